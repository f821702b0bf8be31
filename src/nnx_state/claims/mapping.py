"""vmap and scan: on which axis a state lives, and what becomes of a count."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, add, grad, loss, read, under, write
from nnx_state.claims.registry import claim, differs, expect, need, raises

PREDICT = "lessons/vmap-scan.md#predict"
SEE = "lessons/vmap-scan.md#see"
RAISES = "lessons/vmap-scan.md#what-raises"
CHANCE = "lessons/vmap-scan.md#shapes-that-fit-by-chance"
GUIDE, ISSUE = "a guide of Flax", "an issue of Flax"

EACH, ONE, CARRY = 0, None, getattr(nnx, "Carry", None)  # a slice for each member, one for all, handed on


def call(model: Any, x: Any) -> Any:
    add(model.count, 1.0)
    return model(x)


def stacked(members: int, width: int = 2, count: Any = None) -> Layer:
    """Return a layer whose Params have one more axis in front; its count is a scalar, unless one is given."""
    model = Layer(nnx.Variable(jnp.zeros(())) if count is None else count)
    keys = jax.random.split(jax.random.key(1), members)
    write(model.kernel, jnp.stack([jax.random.normal(key, (4, width)) for key in keys]))
    write(model.bias, jnp.zeros((members, width)))
    return model


def mapped(axes: dict[Any, Any], function: Callable[..., Any] = call) -> Callable[..., Any]:
    """Return `nnx.vmap` of a function of a model and of slices of `x`; its oldest spelling is another."""
    if hasattr(nnx, "StateAxes"):
        return nnx.vmap(function, in_axes=(nnx.StateAxes(axes), EACH))
    vmap: Any = nnx.vmap  # where no filter matches, it hands over the whole
    mapped: Callable[..., Any] = vmap(function, state_axes={key: axes[key] for key in axes if key is not ...})
    return mapped


def scanned(axes: Any, function: Callable[..., Any] = call) -> Callable[..., Any]:
    """Return `nnx.scan` of a function of a model and of a carry; its older spellings are others."""
    scan: Any = nnx.scan
    if not hasattr(nnx, "Carry"):
        older: Callable[..., Any] = scan(function, carry_argnum=1, state_axes={nnx.Param: EACH}, scan_output=False)
        return older
    if inspect.signature(nnx.scan).parameters["out_axes"].default == 0:
        paired = scan(lambda model, x: (function(model, x), None), in_axes=(axes, nnx.Carry))
        return lambda model, x: paired(model, x)[0]
    newer: Callable[..., Any] = scan(function, in_axes=(axes, nnx.Carry), out_axes=nnx.Carry)
    return newer


def stacked_params(rest: Any) -> Any:
    """Return the axes of stacked Params and of the rest, if this release has a class for them."""
    pairs: dict[Any, Any] = {nnx.Param: EACH, ...: rest}
    return nnx.StateAxes(pairs) if hasattr(nnx, "StateAxes") else pairs


@claim(
    "vmap-counts-one-call",
    "A count that `nnx.vmap` hands to all examples, with `None`, grows by one a call, however many examples there are.",
    PREDICT,
)
def vmap_counts_one_call() -> None:
    model = Layer()
    y = mapped({...: ONE})(model, jnp.ones((5, 4)))
    expect((y.shape, float(read(model.count))), ((5, 2), 1.0))


@claim(
    "vmap-gives-the-numbers-of-a-batch",
    "`nnx.vmap` over the examples gives the numbers of a call with the batch.",
    PREDICT,
)
def vmap_gives_the_numbers_of_a_batch() -> None:
    model, x = Layer(), jnp.arange(20.0).reshape(5, 4)
    y = mapped({...: ONE})(model, x)
    expect(bool(jnp.allclose(y, model(x), atol=1e-4)), True)


@claim(
    "vmap-axis-0-needs-an-axis",
    "With `in_axes=0`, a scalar count in the model makes `nnx.vmap` raise a ValueError.",
    RAISES,
)
def vmap_axis_0_needs_an_axis() -> None:
    raises(lambda: nnx.vmap(call)(stacked(3), jnp.ones((3, 4))), ValueError, "rank should be at least 1")


@claim(
    "state-axes-keep-a-count-whole",
    "`nnx.StateAxes({nnx.Param: 0, ...: None})` maps stacked Params and keeps a scalar count whole.",
    SEE,
    GUIDE,
)
def state_axes_keep_a_count_whole() -> None:
    model = stacked(3)
    y = mapped({nnx.Param: EACH, ...: ONE})(model, jnp.ones((3, 4)))
    expect((y.shape, float(read(model.count))), ((3, 2), 1.0))


@claim(
    "a-count-for-each-member",
    "A count with an axis of its own counts for each member of an ensemble.",
    "lessons/vmap-scan.md#run",
)
def a_count_for_each_member() -> None:
    model = stacked(3, count=nnx.Variable(jnp.zeros(3)))
    under(functools.partial(nnx.vmap, in_axes=(EACH, ONE)), call)(model, jnp.ones(4))
    expect(read(model.count).tolist(), [1.0, 1.0, 1.0])


@claim("gradient-of-an-ensemble", "`nnx.grad` under `nnx.vmap` gives each member the gradient that it has alone.", SEE)
def gradient_of_an_ensemble() -> None:
    model = stacked(3)
    together = mapped({nnx.Param: EACH, ...: ONE}, lambda model, x: read(grad(loss, model)["kernel"]))
    grads = together(model, jnp.arange(3.0))
    for member in range(3):
        alone = Layer()
        write(alone.kernel, read(model.kernel)[member])
        if not jnp.allclose(grads[member], read(grad(loss, alone)["kernel"]), atol=1e-4):
            differs(f"the gradient of member {member} is another")


@claim(
    "state-axes-need-every-leaf",
    "`nnx.StateAxes` raises a ValueError where a leaf matches none of its filters.",
    RAISES,
)
def state_axes_need_every_leaf() -> None:
    raises(lambda: mapped({nnx.Param: EACH})(stacked(3), jnp.ones((3, 4))), ValueError, "No axis found for")


@claim("state-axes-end-with-the-rest", "In `nnx.StateAxes`, `...` before another filter raises a ValueError.", RAISES)
def state_axes_end_with_the_rest() -> None:
    raises(lambda: mapped({...: ONE, nnx.Param: EACH})(stacked(3), jnp.ones((3, 4))), ValueError, "last filters")


@claim(
    "state-axes-take-the-first-match",
    "In `nnx.StateAxes({nnx.Variable: None, nnx.Param: 0})` no Param is mapped.",
    CHANCE,
)
def state_axes_take_the_first_match() -> None:
    y = mapped({nnx.Variable: ONE, nnx.Param: EACH})(stacked(3), jnp.ones((3, 4)))
    expect(y.shape, (3, 3, 2))


@claim(
    "vmap-cuts-a-model-without-members",
    "`nnx.vmap` with `in_axes=0` takes the rows of a kernel for members, in silence.",
    CHANCE,
)
def vmap_cuts_a_model_without_members() -> None:
    model = nnx.Linear(4, 4, use_bias=False, rngs=nnx.Rngs(0))
    y = nnx.vmap(lambda model, x: jnp.sum(read(model.kernel) * x), in_axes=(EACH, EACH))(model, jnp.ones((4, 4)))
    expect(bool(jnp.allclose(y, read(model.kernel).sum(axis=1), atol=1e-5)), True)


@claim(
    "what-depends-on-the-example-has-an-axis",
    "BatchNorm that `nnx.vmap` hands to all examples raises a ValueError.",
    RAISES,
    ISSUE,
)
def what_depends_on_the_example_has_an_axis() -> None:
    model = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    shared = mapped({...: ONE}, lambda model, x: model(x))
    texts = ("got axis spec None but output was batched", "vmap has mapped output but out_axes is None")
    raises(lambda: shared(model, jnp.ones((2, 5, 4))), ValueError, texts)


@claim("members-built-alike", "Members that `nnx.vmap` builds from one `nnx.Rngs` are all alike.", CHANCE)
def members_built_alike() -> None:
    build: Any = nnx.vmap(lambda rngs: nnx.Linear(4, 4, rngs=rngs), in_axes=ONE, axis_size=3)
    expect(f"{kernels(build(nnx.Rngs(0)))} of 3 kernels", "1 of 3 kernels")


@claim(
    "split-rngs-make-members-differ",
    "`nnx.split_rngs(splits=3)` gives each member that `nnx.vmap` builds a key of its own.",
    SEE,
    GUIDE,
)
def split_rngs_make_members_differ() -> None:
    build: Any = nnx.split_rngs(splits=3)(nnx.vmap(lambda rngs: nnx.Linear(4, 4, rngs=rngs)))
    expect(f"{kernels(build(nnx.Rngs(0)))} of 3 kernels", "3 of 3 kernels")


@claim("scan-carries-a-count", "`nnx.scan` over four stacked layers, with the count as `nnx.Carry`, counts four.", SEE)
def scan_carries_a_count() -> None:
    model = stacked(4, width=4)
    y = scanned(stacked_params(CARRY))(model, jnp.ones(4))
    expect((y.shape, float(read(model.count))), ((4,), 4.0))


@claim("scan-is-traced-once", "`nnx.scan` over four stacked layers traces the layer once.", SEE)
def scan_is_traced_once() -> None:
    counted = []

    def layer(model: Any, x: Any) -> Any:
        counted.append(1)
        return model(x)

    y = nnx.jit(scanned(stacked_params(CARRY), layer))(stacked(4, width=4), jnp.ones(4))
    expect((len(counted), bool(jnp.allclose(y, 1.0))), (1, False))


@claim(
    "scan-gives-the-numbers-of-a-loop",
    "`nnx.scan` over stacked layers gives the numbers of a Python loop over them.",
    SEE,
)
def scan_gives_the_numbers_of_a_loop() -> None:
    model, x = stacked(4, width=4), jnp.ones(4)
    for kernel in read(model.kernel):
        x = x @ kernel
    y = scanned(stacked_params(CARRY))(model, jnp.ones(4))
    expect(bool(jnp.allclose(x, y, rtol=1e-3, atol=1e-3)), True)


@claim(
    "scan-needs-an-axis",
    "`nnx.scan` with axis 0 for a module that has a scalar raises: the scalar has no such axis.",
    RAISES,
)
def scan_needs_an_axis() -> None:
    need(nnx, "Carry")
    try:
        scanned(EACH)(stacked(4, width=4), jnp.ones(4))
    except (IndexError, ValueError) as error:
        expect(any(text in str(error) for text in ("tuple index out of range", "axis 0 is out of bounds")), True)
        return
    differs("nothing is raised")


@claim(
    "scan-drops-what-is-shared",
    "`nnx.scan` drops what is written to a count that has `None` in `nnx.StateAxes`, in silence.",
    "lessons/vmap-scan.md#counts-that-are-lost",
)
def scan_drops_what_is_shared() -> None:
    def layer(model: Any, x: Any) -> Any:
        add(model.count, 1.0)
        return x + read(model.count)

    model = stacked(4, width=4)
    x = scanned(stacked_params(ONE), layer)(model, jnp.zeros(4))
    expect((x.tolist(), float(read(model.count))), ([4.0] * 4, 0.0))


def kernels(model: Any) -> int:
    """Return how many different kernels a stack of them holds."""
    return len({tuple(kernel.ravel().tolist()) for kernel in read(model.kernel)})
