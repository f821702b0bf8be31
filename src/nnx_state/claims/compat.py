"""One spelling for what Flax has renamed, and the models that the claims are put to.

A claim about behaviour uses these names, so that a rename alone refutes nothing; the renames have claims of their own.
"""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.registry import differs, expect, need

# The text by which releases from 0.10.0 to 0.10.4 refuse a plain array in a module.
NO_ARRAYS = "Arrays leaves are not supported"

Tracer = jax.core.Tracer
VERSION = tuple(int(part) for part in __import__("flax").__version__.split(".")[:3])


class Layer(nnx.Module):
    """The model of the classic lesson: a kernel and a bias, both Params, and a count.

    Args:
        count: what stands in `count`, by default a Variable of 0.0.
        bias: what wraps the bias.
    """

    def __init__(self, count: Any = None, bias: Callable[[Any], Any] = nnx.Param) -> None:
        self.kernel = nnx.Param(jax.random.normal(jax.random.key(0), (4, 2)) * 0.5)
        self.bias = bias(jnp.zeros((2,)))
        self.count = nnx.Variable(jnp.array(0.0)) if count is None else count

    def __call__(self, x: Any) -> Any:
        """Return `x @ kernel + bias`."""
        return x @ read(self.kernel) + read(self.bias)


def loss(model: Any) -> Any:
    """Return a number that depends on the kernel and on the bias of a Layer, and on nothing else."""
    return jnp.sum((model(jnp.ones((3, 4))) - 1.0) ** 2)


def counted(model: Any) -> Any:
    """Return a loss that depends on the count, too."""
    return loss(model) + read(model.count) ** 2


def counting() -> Layer:
    """Return a layer whose count is a Variable of 5."""
    return Layer(nnx.Variable(jnp.array(5.0)))


def bump(model: Any) -> None:
    """Count one in the Variable."""
    add(model.count, 1.0)


def bumped(model: Any) -> Any:
    """Count one in the Variable, and return the model."""
    bump(model)
    return model


def bump_plain(model: Any) -> None:
    """Put another count in the place of the one before."""
    model.count = model.count + 1.0


def count_is(model: Any, wanted: float) -> None:
    """Go on where the count of a model is this number."""
    if (count := float(read(model.count))) != wanted:
        differs(f"the count is {count:.0f} afterwards")


def by_jax(call: Callable[[], Any]) -> Any:
    """Return what a call of a transform of JAX returns, or say that JAX takes no module as an argument."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        if jax.tree_util.all_leaves([Layer()]):
            differs(f"{type(error).__name__}: a module is not a valid JAX type")
        raise


def under(transform: Callable[..., Any], function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return a function under a transform, which says so where the transform runs it on numbers as they are.

    Args:
        transform: a transform of JAX or of NNX.
        function: the function, of at least one argument.
        options: the keywords of the transform.
    """

    def watched(*arguments: Any) -> Any:
        held = [read(leaf) for argument in arguments for leaf in held_by(argument)]
        if not any(isinstance(leaf, Tracer) for leaf in held):
            differs("nothing is traced: the function runs as it is")
        return function(*arguments)

    wrapped: Callable[..., Any] = transform(watched, **options)
    return wrapped


def held_by(argument: Any) -> list[Any]:
    """Return the leaves of a module or of random streams, or those of any other argument."""
    if isinstance(argument, nnx.Module | nnx.Rngs):
        return list(leaves(nnx.state(argument)).values())
    return jax.tree.leaves(argument)


def loses(transform: Callable[..., Any], model: Any, write: Callable[[Any], Any] = bump) -> None:
    """Go on where a write under a transform of JAX shows inside of the function, and not in the module afterwards."""

    def visit(model: Any) -> Any:
        write(model)
        return read(model.count)

    inside = by_jax(lambda: transform(visit)(model))
    seen = {"inside": inside, "afterwards": read(model.count)}
    counts = {where: str(sorted(set(jnp.ravel(count).tolist()))) for where, count in seen.items()}
    expect(counts, {"inside": "[1.0]", "afterwards": "[0.0]"})


def refuses_outer(call: Callable[[], Any], written: Callable[[], Any], name: str) -> None:
    """Go on where a call raises a TraceContextError, since it writes to what was made outside of a trace.

    Args:
        call: the function.
        written: what reads the Variable that it writes to.
        name: what to call that Variable.
    """
    try:
        call()
    except Exception as error:
        if type(error).__name__ != "TraceContextError":  # it has moved between modules of Flax
            raise
        expect("trace level" in str(error), True)
        return
    differs(f"nothing is raised, and {name} holds {'a leaked tracer' if isinstance(written(), Tracer) else 'an array'}")


def copies(model: Any) -> dict[str, Any]:
    """Return what the leaves of a model hold, copied."""
    return {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}


def moved(before: dict[str, Any], model: Any) -> list[str]:
    """Return the paths of the leaves that are not what they were."""
    return sorted(path for path, leaf in leaves(model).items() if (before[path] != read(leaf)).any())


def read(variable: Any) -> Any:
    """Return what a Variable, or a leaf of a State, holds; anything else is returned as it is."""
    if isinstance(variable, jax.Array):
        return variable
    if hasattr(variable, "get_value"):
        return variable.get_value()
    return getattr(variable, "value", variable)


def write(variable: Any, value: Any) -> None:
    """Store a value in a Variable, in the place of what it holds."""
    if hasattr(variable, "set_value"):
        variable.set_value(value)
    else:
        setattr(variable, "value", value)  # noqa: B010 - the attribute is deprecated on newer releases


def add(variable: Any, value: Any) -> None:
    """Add a value to what a Variable holds."""
    write(variable, read(variable) + value)


def leaves(state: Any) -> dict[str, Any]:
    """Return the leaves of a State, or of a module's state, by their dotted paths."""
    if isinstance(state, nnx.Module):
        state = nnx.state(state)
    pairs = nnx.to_flat_state(state) if hasattr(nnx, "to_flat_state") else state.flat_state().items()
    return {".".join(map(str, path)): leaf for path, leaf in pairs}


def names(state: Any) -> list[str]:
    """Return the dotted paths of the leaves of a State, sorted."""
    return sorted(leaves(state))


def numbers(state: Any) -> dict[str, Any]:
    """Return the numbers in each leaf of a State as lists, by path."""
    return {path: jnp.asarray(read(leaf)).tolist() for path, leaf in leaves(state).items()}


def grad(function: Callable[..., Any], *arguments: Any, only: Any = None, argument: int = 0) -> Any:
    """Return the gradients of a function of models; `only` is the filter, by default that of Flax."""
    if only is None:
        return nnx.grad(function, argnums=argument)(*arguments)
    if hasattr(nnx, "DiffState"):
        return nnx.grad(function, argnums=nnx.DiffState(argument, only))(*arguments)
    return nnx.grad(function, argnums=argument, wrt=only)(*arguments)  # type: ignore[call-overload]


def optimizer(model: Any, transformation: Any, wrt: Any = nnx.Param) -> Any:
    """Return an optimizer of a model."""
    return nnx.Optimizer(model, transformation, wrt=wrt)


def update(optimizer: Any, model: Any, grads: Any) -> None:
    """Take one step of an optimizer."""
    takes_model = "model" in inspect.signature(type(optimizer).update).parameters
    optimizer.update(*((model, grads) if takes_model else (grads,)))


def step(model: Any, transformation: Any, times: int = 1) -> Any:
    """Train a model on `loss`, and return it."""
    trained = optimizer(model, transformation)
    for _ in range(times):
        update(trained, model, grad(loss, model))
    return model


def traces(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """Return a function under `nnx.jit`, and a list that gets one entry for each trace."""
    counted: list[int] = []

    def traced(*arguments: Any) -> Any:
        counted.append(1)
        return function(*arguments)

    return nnx.jit(traced), counted


def layers(*modules: Any) -> Any:
    """Return modules in what holds several of them: `nnx.List`, or a list where a module takes one."""
    return nnx.List(modules) if hasattr(nnx, "List") and VERSION >= (0, 12, 0) else list(modules)


def spelled(*spellings: str) -> str | None:
    """Return the first of the spellings of a keyword that `nnx.Variable` takes for more than metadata, if any."""
    accepted = inspect.signature(nnx.Variable.__init__).parameters
    return next((spelling for spelling in spellings if spelling in accepted), None)


def tree_mode(*switches: str) -> contextlib.ExitStack:
    """Return a context in which NNX takes modules for trees, as it is announced to do by default.

    Args:
        switches: the functions of NNX that turn graph mode off, by default both of them.
    """
    switches = switches or ("set_graph_mode", "set_graph_updates")
    need(nnx, *switches)
    modes = contextlib.ExitStack()
    for switch in switches:
        modes.enter_context(getattr(nnx, switch)(False))
    return modes
