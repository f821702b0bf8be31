"""What an optimizer remembers: which leaves a rule is for, a rate that is a Variable, and a start with old moments."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import filterlib

from nnx_state._paths import dotted

__all__ = ["carry_over", "hyperparameter", "param_mask"]


def param_mask(
    model: nnx.Module, chosen: filterlib.Filter, *, wrt: filterlib.Filter = nnx.Param
) -> nnx.State[Any, Any]:
    """Return the tree of bools that Optax wants as a mask, True for each trained leaf that a filter matches.

    Optax sees arrays without their types and names, so that the filter is asked here, where the Variables are at hand.

    Args:
        model: The module that is trained.
        chosen: An NNX filter, such as `nnx.PathContains("kernel")`.
        wrt: The filter of the optimizer; the tree has one bool for each leaf that it matches.

    Returns:
        A State of bools, for `optax.adamw(0.1, mask=…)`, `optax.masked(…)` and the like.

    Raises:
        ValueError: If the filter matches no trained leaf.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, param_mask

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    mask = param_mask(model, nnx.PathContains("kernel"))
    print(nnx.to_pure_dict(mask))
    ```

    ```{.text .output}
    {'bias': False, 'kernel': True}
    ```
    """
    matched = filterlib.to_predicate(chosen)
    trained = nnx.to_flat_state(nnx.state(model, wrt))
    mask = {path: bool(matched(path, leaf)) for path, leaf in trained}
    if not any(mask.values()):
        there = ", ".join(map(dotted, mask)) or "no leaf"
        raise ValueError(
            f"the filter must match a trained leaf, {chosen!r} matches none: "
            f"wrt matches {there}. Mend the spelling of one of the two."
        )
    return nnx.from_flat_state(mask)


def hyperparameter(optimizer: nnx.Optimizer[Any], name: str) -> nnx.Variable[jax.Array]:
    """Return the Variable that holds a hyperparameter, such as the learning rate, of an optimizer.

    `optax.inject_hyperparams` puts the numbers of an update rule into the optimizer's state.
    A write into the Variable is what the next step uses, and compiles nothing anew.

    Args:
        optimizer: An optimizer that was made with `optax.inject_hyperparams`, alone or in a chain or a group.
        name: The name of the argument of the update rule, such as `"learning_rate"`.

    Returns:
        The Variable itself, not a copy; of shape `()` and dtype float32 for a Python number.

    Raises:
        ValueError: If the optimizer holds no hyperparameter of this name, or several.

    ```python
    import optax
    from flax import nnx

    from nnx_state import MultiParam, hyperparameter

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    hyperparameter(optimizer, "learning_rate")[...] = 0.01
    print(optimizer.opt_state.hyperparams["learning_rate"][...])
    ```

    ```{.text .output}
    0.01
    ```
    """
    held = {path: leaf for path, leaf in nnx.to_flat_state(nnx.state(optimizer)) if "hyperparams" in path}
    found = {path: leaf for path, leaf in held.items() if path[-1] == name}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        places = ", ".join(map(dotted, found))
        raise ValueError(
            f"the optimizer must hold one {name!r}, got {len(found)}: write into the one you mean: {places}."
        )
    if held:
        names = ", ".join(sorted({str(path[-1]) for path in held}))
        raise ValueError(f"the optimizer must hold a hyperparameter {name!r}: name one that it holds, {names}.")
    raise ValueError(
        f"the optimizer must hold a hyperparameter {name!r}, and it holds none: "
        f"make it with optax.inject_hyperparams(optax.adam)({name}=…)."
    )


def carry_over(old: nnx.Optimizer[Any], new: nnx.Optimizer[Any]) -> list[str]:
    """Give a new optimizer what an old one remembers, leaf by leaf, wherever shape and dtype agree.

    It is meant for a model that has changed: make an optimizer of the changed model, and carry over the rest.
    The counts are carried over too, so that schedules go on; moments that start anew are then taken for old ones.

    Args:
        old: The optimizer of the model as it was; it stays as it is.
        new: An optimizer of the model as it is now, with the same update rule; it is changed in place.

    Returns:
        The paths in the new optimizer's state that start anew, such as `["opt_state.0.mu.head.bias"]`.

    Raises:
        ValueError: If nothing but the count of steps fits: the two have different update rules.

    ```python
    import optax
    from flax import nnx

    from nnx_state import MultiParam, carry_over

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    old = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    model.bias = nnx.Param(model.bias[:1])  # another shape
    new = nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)
    print(carry_over(old, new))
    ```

    ```{.text .output}
    ['opt_state.0.trace.bias']
    ```
    """
    remembered = dict(nnx.to_flat_state(nnx.state(old)))
    wanted = nnx.to_flat_state(nnx.state(new))
    fitting = {path: remembered[path] for path, leaf in wanted if path in remembered and _fits(remembered[path], leaf)}
    ruled = {path for path, _ in wanted if path[0] == "opt_state"}
    if ruled and not ruled & fitting.keys():
        raise ValueError(
            "the optimizers must have the same update rule, and no leaf of the new one's state is in the old one's: "
            "make both with the same Optax transformation."
        )
    for path, leaf in wanted:
        if path in fitting:
            leaf.set_value(jnp.copy(fitting[path].get_value()))  # so that a step that donates leaves the old one whole
    return [dotted(path) for path, _ in wanted if path not in fitting]


def _fits(one: nnx.Variable[Any], other: nnx.Variable[Any]) -> bool:
    return (one.shape, one.dtype) == (other.shape, other.dtype)
