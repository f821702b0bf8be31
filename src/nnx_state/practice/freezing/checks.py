"""Checks of the exercise Freezing.

First the adapter: what it holds, the shapes, the numbers at first and the forward pass, each once what it rests on is
right. Then `fine_tune`, with a model of adapters that are the attempt's if these are right, and this package's if not.
Last `merged`, which needs adapters that are right.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state import LoRALinear, paths, unchanged
from nnx_state._paths import dotted
from nnx_state.practice.adam import Arrays, adam
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt
from nnx_state.practice.roles import role
from nnx_state.practice.stages import needs, part
from nnx_state.practice.state import copied
from nnx_state.practice.values import array_of, close, content, describe, known, listed, numbered, numbers, ramp, twin

INS, OUTS, RANK, ALPHA = 4, 3, 2, 5.0
STEPS, RATE, DECAY = 4, 0.1, 0.5
SCALE = ALPHA / RANK
X = np.linspace(-1.0, 1.0, 2 * INS, dtype=np.float32).reshape(2, INS)
SIZES = {"body": (INS, OUTS), "head": (OUTS, 5), "out": (5, 2)}  # of the layers of a model


def linear(ins: int, outs: int, bias: bool = True) -> Any:
    """Return a layer with known numbers."""
    return numbered(lambda: nnx.Linear(ins, outs, use_bias=bias, rngs=nnx.Rngs(0)), lambda _, leaf: known(leaf))


def build(attempt: Attempt, seed: int = 2, bias: bool = True, filled: bool = False) -> Any:
    """Return an adapter of the attempt, with known numbers if it is to be filled, and its base."""
    base = linear(INS, OUTS, bias)
    adapter = attempt.call(f"Adapter(base, {RANK}, {ALPHA}, rngs=nnx.Rngs({seed}))", nnx=nnx, base=base)
    if filled:
        adapter.a[...] = ramp(-1.0, 1.0, INS, RANK)
        adapter.b[...] = ramp(2.0, -1.0, RANK, OUTS)
    return adapter, base


def names(attempt: Attempt) -> Iterator[Finding]:
    """The adapter is there; the functions are looked for where they are tried."""
    attempt.module_class("Adapter", "base", "rank", "alpha", "rngs")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """The base is the layer that was given, and the two matrices are LoRAParams."""
    adapter, base = build(attempt)
    kept = getattr(adapter, "base", None)
    line = attempt.line("base", "Adapter") or attempt.line("Adapter")
    if kept is not base:
        kind = "copied" if kept is not None else "missing"
        yield Finding(kind, "base", f"`base` is {describe(kept)}", "the layer that was given", line)
    parts = {name: getattr(base, name, None) for name in ("kernel", "bias")}
    if others := [name for name, part in parts.items() if type(part) is not nnx.Param]:
        seen = ", ".join(f"its {name} is {describe(parts[name])}" for name in others)
        measured = f"After one Adapter was made, the base has these Params: {paths(base, nnx.Param)}."
        yield Finding("type", "base", seen, "the Params of the base stay Params", line, measured)
    found = f"In this adapter the filter `nnx.LoRAParam` finds {listed(paths(adapter, nnx.LoRAParam))}."
    for name in ("a", "b"):
        for finding in role(attempt, adapter, name, nnx.LoRAParam):
            yield replace(finding, measured=found)
    every = paths(adapter, nnx.Any(nnx.Param, nnx.RngState))
    if more := [path for path in every if path.partition(".")[0] not in ("base", "a", "b")]:
        yield Finding("extra", "", f"also {', '.join(more)}", "the base, `a` and `b`", attempt.line("Adapter"))


def shapes(attempt: Attempt) -> Iterator[Finding]:
    """The two matrices have their shapes."""
    adapter, _ = build(attempt)
    for name, shape in (("a", (INS, RANK)), ("b", (RANK, OUTS))):
        seen = np.shape(content(getattr(adapter, name))) if hasattr(adapter, name) else shape
        if seen != shape:
            kind = "transposed" if seen == shape[::-1] else "shape"
            line = attempt.line(name, "Adapter")
            expected = f"{list(shape)} for a layer of {INS, OUTS} and rank {RANK}"
            yield Finding(kind, name, f"{name} has shape {list(seen)}", expected, line)


@needs(roles, shapes)
def start(attempt: Attempt) -> Iterator[Finding]:
    """The numbers at first: `a` comes from the key, `b` is zero."""
    (first, base), (again, _), (other, _) = (build(attempt, seed) for seed in (2, 2, 3))
    rngs = nnx.Rngs(2)
    pair = [attempt.call(f"Adapter(base, {RANK}, {ALPHA}, rngs=rngs)", base=base, rngs=rngs) for _ in range(2)]
    a, b = np.asarray(content(first.a)), np.asarray(content(first.b))
    line = attempt.line("a", "Adapter")
    zero = f"With a = b = 0 all gradients are 0: both are still 0 after {STEPS} steps." if not b.any() else ""
    rank = f"The matrix a @ b then has rank 1 where {RANK} was asked for."
    for wrong, kind, seen, measured in (
        (not a.any(), "zero", "every number of a is 0", zero),
        (close(a[:, 0], a[:, 1]), "constant", f"the columns of a are equal: {numbers(a[:, 0])}", rank),
        (not _equal(first, again), "unseeded", "seed 2 gives two matrices", ""),
        (_equal(first, other), "same-key", "seeds 2 and 3 give one matrix", ""),
        (_equal(*pair), "repeated", "two adapters from one `nnx.Rngs` are equal", ""),
    ):
        if wrong:
            yield Finding(kind, "a", seen, "random numbers from `rngs`", line, measured)
            break
    if b.any():
        x = array_of(X)
        moved = abs(attempt.call("adapter(x)", adapter=first, x=x) - base(x)).max()
        measured = f"Before any training the adapter moves the outputs of the base by up to {moved:.2g}."
        yield Finding("value", "b", f"b starts at {numbers(b)}", "zeros", attempt.line("b", "Adapter"), measured)


@needs(roles, shapes)
def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass computes the formula, and gradients pass through both of its terms."""
    adapter, base = build(attempt, filled=True)
    x, line = array_of(X), attempt.line("__call__", "Adapter")
    y = attempt.call("adapter(x)", adapter=adapter, x=x)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
        return
    kernel, bias, low = (np.asarray(part) for part in (base.kernel[...], base.bias[...], _low(adapter)))
    if misfit := _misfit("forward", y, X @ kernel + bias, X @ low, ("base(x)", "x @ a @ b"), line):
        yield misfit
        return
    with attempt.does("the gradient of `adapter(x)` by x"):
        slope = np.asarray(jax.jit(jax.grad(lambda x: adapter(x).sum()))(x))[0]
    wanted = kernel.sum(1) + SCALE * low.sum(1)
    if not close(slope, wanted):
        yield Finding("detached", "forward", f"the gradient by x is {numbers(slope)}", numbers(wanted), line)
    with attempt.does("`adapter(x)`, whose base has no bias,"):
        build(attempt, bias=False)[0](x)


def training(attempt: Attempt) -> Iterator[Finding]:
    """Training moves the LoRAParams as the optimizer asks, and nothing else; the loss is compiled once."""
    attempt.function("fine_tune", "model", "tx", "loss_fn", "steps")
    sound = attempt.sound(names, roles, shapes, forward)
    model = _model(attempt.module_class("Adapter") if sound else LoRALinear)
    before = twin(model)
    held = _variables(model)
    line = attempt.line("fine_tune")
    x = array_of(X)
    traces = list[Any]()  # of each run of the loss, the trace that it belongs to

    def loss_fn(model: Any) -> Any:
        traces.append(getattr(model.calls.get_raw_value(), "_trace", None))
        model.calls[...] += 1
        y = model.out(model.head(jnp.tanh(model.body(x))))
        return ((y - 1.0) ** 2).mean()

    with attempt.does(f"`fine_tune(model, optax.adamw({RATE}, weight_decay={DECAY}), loss_fn, {STEPS})`"):
        returned = attempt.get("fine_tune")(model, optax.adamw(RATE, weight_decay=DECAY), loss_fn, STEPS)
    now = _variables(model)
    if other := [path for path, variable in held.items() if now.get(path) is not variable]:
        yield Finding("replaced", "fine_tune", f"other objects in {', '.join(other)}", "the same Variables", line)
        return
    kept = unchanged(before, model, ...)
    others = nnx.All(nnx.Param, nnx.Not(nnx.LoRAParam))
    frozen = [path for path in paths(model, others) if path not in kept]
    stays = [path for path in paths(model, nnx.LoRAParam) if path in kept]
    if frozen:
        yield _moved(before, model, frozen, line)
    if stays:
        yield Finding("unmoved", "fine_tune", f"{', '.join(stays)} stayed", "every LoRAParam is trained", line)
    elif not frozen:
        yield from _updates(before, model, line)
    if (calls := int(model.calls[...])) != STEPS:
        yield Finding("calls", "fine_tune", f"after {STEPS} steps the count of calls is {calls}", str(STEPS), line)
    if len(traces) >= STEPS:
        unrolled = len({id(trace) for trace in traces}) == 1
        kind = "eager" if None in traces else "unrolled" if unrolled else "retraced"
        seen = f"Python ran the loss function {len(traces)} times in {STEPS} steps"
        yield Finding(kind, "fine_tune", seen, "once, while it is compiled", line)
    if returned is not None:
        yield Finding("result-type", "fine_tune", f"it returns {describe(returned)}", "None", line)


@needs(names, roles, shapes, forward)
def merging(attempt: Attempt) -> Iterator[Finding]:
    """The merged layer is a new one, and computes what the adapter computes."""
    attempt.function("merged", "adapter")
    adapter, base = build(attempt, filled=True)
    before = twin(adapter)
    x = array_of(X)
    line = attempt.line("merged")
    linear = attempt.call("merged(adapter)", adapter=adapter)
    if moved := sorted(set(paths(before)) - set(unchanged(before, adapter, ...))):
        measured = f"It moved the outputs of the adapter by up to {abs(adapter(x) - before(x)).max():.2g}."
        yield Finding("in-place", "merged", f"it changed {', '.join(moved)}", "the adapter as it was", line, measured)
        return
    if not isinstance(linear, nnx.Linear):
        yield Finding("result-type", "merged", f"it returns {describe(linear)}", "an `nnx.Linear`", line)
        return
    for finding in role(attempt, linear, "kernel", nnx.Param):
        measured = f"In the merged layer the filter `nnx.Param` finds {listed(paths(linear, nnx.Param))}."
        at = attempt.line("kernel", "merged") or line
        yield replace(finding, about="merged-kernel", line=at, measured=measured)
    own = _variables(base)
    if shared := [path for path, variable in _variables(linear).items() if variable is own.get(path)]:
        yield Finding("shared", "merged", f"both have the same {', '.join(shared)}", "Variables of its own", line)
    kernel, words = np.asarray(base.kernel[...]), ("base.kernel", "a @ b")
    if misfit := _misfit("merged", content(linear.kernel), kernel, _low(adapter), words, line):
        yield misfit
    elif not close(linear(x), adapter(x)):
        seen = f"its outputs are off by up to {abs(linear(x) - adapter(x)).max():.2g}"
        yield Finding("bias", "merged", seen, "those of the adapter", line)
    with attempt.does("`merged(adapter)`, whose base has no bias,"):
        attempt.get("merged")(build(attempt, bias=False)[0])


STAGES = (*part(names, roles, shapes, start, forward), *part(training), *part(merging))


def _variables(node: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    """Return every Variable of a module by its path."""
    return {dotted(path): value for path, value in nnx.iter_graph(node) if isinstance(value, nnx.Variable)}


def _equal(one: Any, two: Any) -> bool:
    """Tell whether two adapters have one matrix `a`."""
    return np.array_equal(content(one.a), content(two.a))


def _low(adapter: Any) -> np.ndarray:
    """Return the product of the two matrices of an adapter."""
    low: np.ndarray = np.asarray(content(adapter.a)) @ np.asarray(content(adapter.b))
    return low


def _misfit(
    about: str, seen: Any, base: np.ndarray, low: np.ndarray, words: tuple[str, str], line: int | None
) -> Finding | None:
    """Name what stands where the base and the scaled adapter should stand together, if it is something else.

    Args:
        about: what computes it.
        seen: what it has computed.
        base: the part of the base.
        low: the part of the two matrices, which is to be scaled.
        words: how these two parts are written.
        line: the line of the finding.
    """
    if close(seen, base + SCALE * low):
        return None
    ratio = float(((np.asarray(seen) - base) * low).sum() / (low**2).sum()) if np.shape(seen) == base.shape else SCALE
    scaled = formula_of(seen, {"scale": base + ratio * low})  # a scale of 0 is no adapter, which comes first
    kind = formula_of(seen, {"no-adapter": base, "no-base": SCALE * low}, otherwise=scaled)
    told = {
        "no-adapter": f"{words[0]} alone",
        "no-base": f"{SCALE} * {words[1]} alone",
        "scale": f"{words[0]} + {ratio:.3g} * {words[1]}",
        "formula": f"{numbers(seen)} from known numbers",
    }
    return Finding(kind, about, told[kind], f"{words[0]} + {SCALE} * {words[1]}, for alpha 5 and rank 2", line)


def _model(adapter: Callable[..., Any]) -> Any:
    """Return a model with two adapters, a layer without one, and a counter."""
    layers = {name: linear(*sizes) for name, sizes in SIZES.items()}
    for name in ("body", "head"):
        layers[name] = adapter(layers[name], RANK, alpha=ALPHA, rngs=nnx.Rngs(7))
    return nnx.Dict(**layers, calls=nnx.Variable(jnp.zeros((), jnp.int32)))


def _moved(before: Any, model: Any, frozen: list[str], line: int | None) -> Finding:
    """Name what moved Params that are frozen: weight decay alone, or training."""
    old, new = copied(before), copied(model)
    left = (1 - RATE * DECAY) ** STEPS
    if all(close(new[path], old[path] * left) for path in frozen):
        kind = "rest-decayed"
        measured = f"No gradient came, and {STEPS} steps multiplied {frozen[0]} by {left:.3f}."
    else:
        by = max(float(abs(new[path] - old[path]).max()) for path in frozen)
        kind = "rest-trained"
        measured = f"{STEPS} steps of this AdamW moved a frozen number by {by:.2g}."
    return Finding(kind, "fine_tune", f"{', '.join(frozen)} moved", "the LoRAParams alone move", line, measured)


def _updates(before: Any, model: Any, line: int | None) -> Iterator[Finding]:
    """Compare the adapters with what AdamW makes of them, and name what else was done."""
    start, slopes = _matrices(before), _slopes(before)
    once = list(itertools.islice(adam(start, slopes, RATE, DECAY), STEPS + 1))  # by one optimizer, and one step more
    seen, wanted = _flat(_matrices(model)), _flat(once[STEPS - 1])

    def near(params: Arrays) -> bool:
        return np.allclose(seen, _flat(params), atol=1e-3)

    if near(once[STEPS - 1]):
        return
    anew = start
    for _ in range(STEPS):
        anew = next(adam(anew, slopes, RATE, DECAY))
    if near(anew):
        yield Finding("anew", "fine_tune", "each step begins with new moments", "one optimizer for all steps", line)
    elif taken := [count for count, params in enumerate(once, 1) if near(params)]:
        yield Finding("steps", "fine_tune", f"it took {taken[0]} steps", f"{STEPS} steps", line)
    else:
        yield Finding("updates", "fine_tune", f"the adapters hold {numbers(seen)}", numbers(wanted), line)


def _matrices(model: Any) -> Arrays:
    """Return the matrices of the two adapters: those of the body, then those of the head, `a` before `b`."""
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(nnx.state(model, nnx.LoRAParam))]


def _flat(params: Arrays) -> np.ndarray:
    return np.concatenate([param.ravel() for param in params])


def _slopes(model: Any) -> Callable[[Arrays], Arrays]:
    """Return what computes, for the matrices of the adapters of a model, the gradient of its loss, by NumPy."""
    bases = [model.body.base, model.head.base, model.out]
    kernels, biases = ([np.asarray(getattr(base, name)[...]) for base in bases] for name in ("kernel", "bias"))

    def slopes(params: Arrays) -> Arrays:
        (a, b), (c, d) = params[:2], params[2:]
        hidden = np.tanh(X @ kernels[0] + biases[0] + SCALE * X @ a @ b)
        output = (hidden @ kernels[1] + biases[1] + SCALE * hidden @ c @ d) @ kernels[2] + biases[2]
        by_head = 2 * (output - 1.0) / output.size @ kernels[2].T
        by_hidden = by_head @ (kernels[1] + SCALE * c @ d).T
        by_body = by_hidden * (1 - hidden**2)
        return [
            SCALE * X.T @ by_body @ b.T,
            SCALE * (X @ a).T @ by_body,
            SCALE * hidden.T @ by_head @ d.T,
            SCALE * (hidden @ c).T @ by_head,
        ]

    return slopes
