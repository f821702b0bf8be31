"""What the classic lesson says: what Param and Variable are in the lesson that this project grew from."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    NO_ARRAYS,
    Layer,
    counted,
    counting,
    grad,
    leaves,
    loss,
    names,
    numbers,
    optimizer,
    read,
    step,
    update,
)
from nnx_state.claims.registry import SEED, claim, differs, expect, works


class Linear(nnx.Module):
    """The layer without a bias that the lesson compares with."""

    def __init__(self, in_features: int, out_features: int, rngs: Any) -> None:
        draw = jax.random.normal(rngs.params(), (in_features, out_features))
        self.kernel = nnx.Param(draw * (1.0 / jnp.sqrt(in_features)))

    def __call__(self, x: Any) -> Any:
        """Return `x @ kernel`."""
        return x @ self.kernel


class MultiParam(Linear):
    """The layer that the lesson builds."""

    def __init__(self, in_features: int, out_features: int, rngs: Any) -> None:
        super().__init__(in_features, out_features, rngs)
        self.bias = nnx.Param(jnp.zeros((out_features,)))
        self.count = nnx.Variable(jnp.array(0.0))

    def __call__(self, x: Any) -> Any:
        """Return `x @ kernel + bias`."""
        return x @ self.kernel + self.bias


def left_alone(model: Any, transformation: Any) -> list[str]:
    """Return which leaves of a layer one step of an optimizer does not change."""
    before = numbers(model)
    after = numbers(step(model, transformation))
    return sorted(path for path in before if before[path] == after[path])


def adamw() -> Any:
    return optax.adamw(0.1, weight_decay=0.1)


@claim("classic-params-get-gradients", "A Param receives a gradient.", "lessons/multi-param.md#see", SEED)
def classic_params_get_gradients() -> None:
    moved = {path: any(map(bool, jnp.ravel(read(leaf)))) for path, leaf in leaves(grad(loss, Layer())).items()}
    expect([path for path in ("bias", "kernel") if moved.get(path)], ["bias", "kernel"])


@claim(
    "classic-variables-get-no-gradient",
    "A plain `nnx.Variable` receives no gradient from `nnx.grad`, not even where the loss uses it.",
    "lessons/training.md#see",
    SEED,
)
def classic_variables_get_no_gradient() -> None:
    expect(names(grad(counted, counting())), ["bias", "kernel"])


@claim(
    "classic-optimizer-updates-params",
    "The optimizer updates the Params: after one step the kernel and the bias have changed.",
    "lessons/multi-param.md#predict",
    SEED,
)
def classic_optimizer_updates_params() -> None:
    still = left_alone(Layer(), adamw())
    expect([path for path in ("bias", "kernel") if path in still], [])


@claim(
    "classic-optimizer-leaves-variables",
    "The optimizer does not touch a plain `nnx.Variable`, not even with weight decay.",
    "lessons/multi-param.md#predict",
    SEED,
)
def classic_optimizer_leaves_variables() -> None:
    expect(left_alone(Layer(count=nnx.Variable(jnp.array(5.0))), adamw()), ["count"])


@claim(
    "classic-class-decides",
    "Of two equal arrays with one role in the loss, the class of the wrapper alone decides which one is updated.",
    "lessons/multi-param.md#see",
    SEED,
)
def classic_class_decides() -> None:
    model = Layer(bias=lambda zeros: nnx.Param(zeros + 2.0), count=nnx.Variable(jnp.full(2, 2.0)))
    trained = optimizer(model, optax.sgd(0.1))
    update(trained, model, grad(lambda model: jnp.sum(read(model.bias) ** 2 + read(model.count) ** 2), model))
    expect([round(float(read(leaf)[0]), 2) for leaf in (model.bias, model.count)], [1.6, 2.0])


@claim(
    "classic-variable-is-state",
    "A plain `nnx.Variable` is a leaf of `nnx.state(model)` and of the state that `nnx.split` returns.",
    "lessons/multi-param.md#see",
    SEED,
)
def classic_variable_is_state() -> None:
    _, state = nnx.split(Layer())
    for each in (nnx.state(Layer()), state):
        expect((type(each).__name__, "count" in names(each)), ("State", True))


@claim("classic-both-wrap-arrays", "A Param and a Variable both wrap a JAX array.", "lessons/reading-writing.md", SEED)
def classic_both_wrap_arrays() -> None:
    model = Layer()
    expect([isinstance(read(leaf), jax.Array) for leaf in (model.kernel, model.count)], [True, True])


@claim(
    "classic-state-of-params",
    "`nnx.state(model, nnx.Param)` holds the kernel and the bias, and not the counter.",
    "lessons/multi-param.md#see",
    SEED,
)
def classic_state_of_params() -> None:
    expect(names(nnx.state(MultiParam(4, 2, nnx.Rngs(0)), nnx.Param)), ["bias", "kernel"])


@claim(
    "classic-state-of-variables",
    "`nnx.state(model, nnx.Variable)` holds the kernel, the bias and the counter, as `nnx.state(model)` does.",
    "lessons/multi-param.md#see",
    SEED,
)
def classic_state_of_variables() -> None:
    model = MultiParam(4, 2, nnx.Rngs(0))
    expect([names(nnx.state(model, nnx.Variable)), names(nnx.state(model))], [["bias", "count", "kernel"]] * 2)


@claim(
    "classic-variable-is-every-leaf",
    "The filter `nnx.Variable` returns every leaf of a module's state, whatever the module holds.",
    "lessons/filters.md",
    SEED,
    instead=NO_ARRAYS,
)
def classic_variable_is_every_leaf() -> None:
    model: Any = Layer()
    model.grid = jnp.ones(2)
    missed = sorted(set(names(model)) - set(names(nnx.state(model, nnx.Variable))))
    if missed:
        differs(f"it misses {missed}, which holds a plain array")


@claim("classic-param-is-a-variable", "`nnx.Param` is a subclass of `nnx.Variable`.", "lessons/own-types.md", SEED)
def classic_param_is_a_variable() -> None:
    expect(issubclass(nnx.Param, nnx.Variable), True)


@claim(
    "classic-types-are-distinct",
    "Filters tell `nnx.BatchStat`, `nnx.Cache` and a subclass of your own apart.",
    "lessons/own-types.md",
    SEED,
)
def classic_types_are_distinct() -> None:
    class Buffer(nnx.Variable): ...  # type: ignore[type-arg, unused-ignore]

    model: Any = Layer()
    kinds = (nnx.BatchStat, nnx.Cache, Buffer)
    model.one, model.two, model.three = (kind(jnp.ones(2)) for kind in kinds)
    found: list[list[str]] = [names(nnx.state(model, kind)) for kind in (*kinds, nnx.Param)]
    expect(found, [["one"], ["two"], ["three"], ["bias", "kernel"]])


@claim(
    "classic-zero-bias-changes-nothing",
    "With a bias of zeros, the output is identical to that of the layer without a bias and with the same seed.",
    "lessons/multi-param.md#see",
    SEED,
)
def classic_zero_bias_changes_nothing() -> None:
    outputs = [layer(4, 2, nnx.Rngs(int(3.0)))(jnp.arange(4.0)) for layer in (Linear, MultiParam)]
    expect((outputs[0].shape, outputs[0].tolist() == outputs[1].tolist()), ((2,), True))


@claim(
    "classic-forward-on-params",
    "`x @ self.kernel + self.bias` works on the Params as they are, and gives one number for each feature.",
    "lessons/linear.md#see",
    SEED,
)
def classic_forward_on_params() -> None:
    y = works(lambda: MultiParam(4, 2, nnx.Rngs(0))(jnp.ones(4)))
    expect([isinstance(y, jax.Array), y.shape], [True, (2,)])
