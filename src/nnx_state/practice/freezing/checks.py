"""Checks of the exercise Freezing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state import LoRALinear, paths, train_step, unchanged
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, close, content, describe, numbers, role

INS, OUTS, RANK, ALPHA = 4, 3, 2, 5.0
STEPS, RATE, DECAY = 4, 0.1, 0.5
X = jnp.linspace(-1.0, 1.0, 2 * INS).reshape(2, INS)


def build(attempt: Attempt, seed: int = 2, bias: bool = True, filled: bool = False) -> Any:
    """Return an adapter of the attempt, with known numbers if it is to be filled, and its base."""
    base = nnx.Linear(INS, OUTS, use_bias=bias, rngs=nnx.Rngs(0))
    if base.bias is not None:
        base.bias[...] = jnp.array([0.5, -1.0, 2.0])
    what = f"Adapter(base, {RANK}, {ALPHA}, rngs=nnx.Rngs({seed}))"
    adapter = attempt.call(what, nnx=nnx, base=base)
    if filled:
        adapter.a[...] = jnp.linspace(-1.0, 1.0, INS * RANK).reshape(INS, RANK)
        adapter.b[...] = jnp.linspace(2.0, -1.0, RANK * OUTS).reshape(RANK, OUTS)
    return adapter, base


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.module_class("Adapter")
    attempt.function("fine_tune", "model", "tx", "loss_fn", "steps")
    attempt.function("merged", "adapter")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """The base is the layer that was given, and the two matrices are LoRAParams."""
    adapter, base = build(attempt)
    line = attempt.line("base", "Adapter") or attempt.line("Adapter")
    if (kept := getattr(adapter, "base", None)) is not base:
        kind, seen = "copied" if kept is not None else "missing", f"`base` is {describe(kept)}"
        yield Finding(kind, "base", seen, "the layer that was given", line)
    if types := [name for name in ("kernel", "bias") if type(getattr(base, name, None)) is not nnx.Param]:
        seen = ", ".join(f"its {name} is {describe(getattr(base, name, None))}" for name in types)
        measured = f"After one Adapter was made, the base has these Params: {paths(base, nnx.Param)}."
        yield Finding("type", "base", seen, "the Params of the base stay Params", line, measured)
    found = f"In this adapter the filter `nnx.LoRAParam` finds {', '.join(paths(adapter, nnx.LoRAParam)) or 'nothing'}."
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
        seen = np.shape(content(getattr(adapter, name, np.zeros(shape))))
        kind, line = "transposed" if seen == shape[::-1] else "shape", attempt.line(name, "Adapter")
        if seen != shape:
            sizes = f"{list(shape)} for a layer of {INS, OUTS} and rank {RANK}"
            yield Finding(kind, name, f"{name} has shape {list(seen)}", sizes, line)


def start(attempt: Attempt) -> Iterator[Finding]:
    """The numbers at first: `a` comes from the key, `b` is zero."""
    if _any(attempt, roles, shapes):
        return
    (first, base), (again, _), (other, _) = (build(attempt, seed) for seed in (2, 2, 3))
    a, b, line, rngs = first.a[...], first.b[...], attempt.line("a", "Adapter"), nnx.Rngs(2)
    one, two = (attempt.call(f"Adapter(base, {RANK}, {ALPHA}, rngs=rngs)", base=base, rngs=rngs) for _ in range(2))
    zero = f"With a = b = 0 all gradients are 0: both are still 0 after {STEPS} steps." if not b.any() else ""
    rank = f"The matrix a @ b then has rank 1 where {RANK} was asked for."
    for wrong, kind, seen, measured in (
        (not a.any(), "zero", "every number of a is 0", zero),
        (close(a[:, 0], a[:, 1]), "constant", f"the columns of a are equal: {numbers(a[:, 0])}", rank),
        (not (a == again.a[...]).all(), "unseeded", "seed 2 gives two matrices", ""),
        ((a == other.a[...]).all(), "same-key", "seeds 2 and 3 give one matrix", ""),
        ((one.a[...] == two.a[...]).all(), "repeated", "two adapters from one `nnx.Rngs` are equal", ""),
    ):
        if wrong:
            yield Finding(kind, "a", seen, "random numbers from `rngs`", line, measured)
            break
    if b.any():
        moved = abs(attempt.call("adapter(x)", adapter=first, x=X) - base(X)).max()
        measured = f"Before any training the adapter moves the outputs of the base by up to {moved:.2g}."
        yield Finding("value", "b", f"b starts at {numbers(b)}", "zeros", attempt.line("b", "Adapter"), measured)


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass computes the formula, and gradients pass through both of its terms."""
    if _any(attempt, roles, shapes):
        return
    adapter, base = build(attempt, filled=True)
    a, b, line = adapter.a[...], adapter.b[...], attempt.line("__call__", "Adapter")
    y = attempt.call("adapter(x)", adapter=adapter, x=X)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
    elif misfit := _misfit("forward", y, base(X), X @ a @ b, ("base(x)", "x @ a @ b"), line):
        yield misfit
    else:
        with attempt.does("the gradient of `adapter(x)` by x"):
            seen = jax.grad(lambda x: adapter(x).sum())(X)[0]
        parts = base.kernel[...].sum(1), ALPHA / RANK * (a @ b).sum(1)
        if not close(seen, sum(parts)):
            yield Finding("detached", "forward", f"the gradient by x is {numbers(seen)}", numbers(sum(parts)), line)
        with attempt.does("`adapter(x)`, whose base has no bias,"):
            build(attempt, bias=False)[0](X)


def training(attempt: Attempt) -> Iterator[Finding]:
    """Training moves the LoRAParams as the optimizer asks, and nothing else."""
    sound = not _any(attempt, roles, shapes, forward)
    model, traces = _model(attempt.module_class("Adapter") if sound else LoRALinear), list[Any]()
    before, held, tx = nnx.clone(model, arrays=True), _variables(model), optax.adamw(RATE, weight_decay=DECAY)

    def loss_fn(model: Any) -> Any:
        traces.append(getattr(model.calls.get_raw_value(), "_trace", None))
        model.calls[...] += 1
        return _loss(model)

    line = attempt.line("fine_tune")
    with attempt.does(f"`fine_tune(model, optax.adamw({RATE}, weight_decay={DECAY}), loss_fn, {STEPS})`"):
        returned = attempt.get("fine_tune")(model, tx, loss_fn, STEPS)
    if other := [path for path, value in held.items() if _variables(model).get(path) is not value]:
        yield Finding("replaced", "fine_tune", f"other objects in {', '.join(other)}", "the same Variables", line)
        return
    kept, others = unchanged(before, model, ...), nnx.All(nnx.Param, nnx.Not(nnx.LoRAParam))
    if rest := [path for path in paths(model, others) if path not in kept]:
        yield _moved(before, model, rest, line)
    if stays := [path for path in paths(model, nnx.LoRAParam) if path in kept]:
        yield Finding("unmoved", "fine_tune", f"{', '.join(stays)} stayed", "every LoRAParam is trained", line)
    elif not rest:
        yield from _updates(before, model, tx, line)
    if (calls := int(model.calls[...])) != STEPS:
        yield Finding("calls", "fine_tune", f"after {STEPS} steps the count of calls is {calls}", str(STEPS), line)
    if len(traces) >= STEPS:
        kind = "eager" if None in traces else "unrolled" if len({id(trace) for trace in traces}) == 1 else "retraced"
        seen = f"Python ran the loss function {len(traces)} times in {STEPS} steps"
        yield Finding(kind, "fine_tune", seen, "once, while it is compiled", line)
    if returned is not None:
        yield Finding("result-type", "fine_tune", f"it returns {describe(returned)}", "None", line)


def merging(attempt: Attempt) -> Iterator[Finding]:
    """The merged layer is a new one, and computes what the adapter computes."""
    if _any(attempt, roles, shapes, forward):
        return
    adapter, base = build(attempt, filled=True)
    before, line = nnx.clone(adapter, arrays=True), attempt.line("merged")
    linear = attempt.call("merged(adapter)", adapter=adapter)
    if moved := sorted(set(paths(before)) - set(unchanged(before, adapter, ...))):
        measured = f"It moved the outputs of the adapter by up to {abs(adapter(X) - before(X)).max():.2g}."
        yield Finding("in-place", "merged", f"it changed {', '.join(moved)}", "the adapter as it was", line, measured)
        return
    if not isinstance(linear, nnx.Linear):
        yield Finding("result-type", "merged", f"it returns {describe(linear)}", "an `nnx.Linear`", line)
        return
    for finding in role(attempt, linear, "kernel", nnx.Param):
        found = f"In the merged layer the filter `nnx.Param` finds {', '.join(paths(linear, nnx.Param)) or 'nothing'}."
        yield replace(finding, about="merged-kernel", line=attempt.line("kernel", "merged") or line, measured=found)
    if shared := [path for path, value in _variables(linear).items() if value is _variables(base).get(path)]:
        yield Finding("shared", "merged", f"both have the same {', '.join(shared)}", "Variables of its own", line)
    kernel, low = base.kernel[...], adapter.a[...] @ adapter.b[...]
    if misfit := _misfit("merged", content(linear.kernel), kernel, low, ("base.kernel", "a @ b"), line):
        yield misfit
    elif not close(linear(X), adapter(X)):
        seen = f"its outputs are off by up to {abs(linear(X) - adapter(X)).max():.2g}"
        yield Finding("bias", "merged", seen, "those of the adapter", line)
    with attempt.does("`merged(adapter)`, whose base has no bias,"):
        attempt.get("merged")(build(attempt, bias=False)[0])


STAGES = (names, roles, shapes, start, forward, training, merging)


def _any(attempt: Attempt, *stages: Callable[[Attempt], Iterator[Finding]]) -> bool:
    return any(True for stage in stages for _ in stage(attempt))


def _variables(node: nnx.Module) -> dict[str, nnx.Variable[Any]]:
    found = nnx.iter_graph(node)
    return {".".join(map(str, path)): value for path, value in found if isinstance(value, nnx.Variable)}


def _misfit(about: str, seen: Any, base: Any, low: Any, words: tuple[str, str], line: int | None) -> Finding | None:
    """Name what stands where `base + alpha / rank * low` should stand, if it is something else."""
    scale = ALPHA / RANK
    if close(seen, base + scale * low):
        return None
    ratio = float(((seen - base) * low).sum() / (low**2).sum()) if np.shape(seen) == base.shape else scale
    ways = (
        ("no-adapter", base, f"{words[0]} alone"),
        ("no-base", scale * low, f"{scale} * {words[1]} alone"),
        ("scale", base + ratio * low, f"{words[0]} + {ratio:.3g} * {words[1]}"),
    )
    near = [(kind, text) for kind, value, text in ways if close(seen, value)]
    kind, text = near[0] if near else ("formula", f"{numbers(seen)} from known numbers")
    return Finding(kind, about, text, f"{words[0]} + {scale} * {words[1]}, for alpha 5 and rank 2", line)


def _model(adapter: Callable[..., Any]) -> Any:
    """Return a model with two adapters, a layer without one, and a counter."""
    layers = [nnx.Linear(*sizes, rngs=nnx.Rngs(n)) for n, sizes in enumerate(((INS, 5), (5, OUTS), (OUTS, 2)))]
    body, head = (adapter(layer, RANK, alpha=ALPHA, rngs=nnx.Rngs(7)) for layer in layers[:2])
    return nnx.Dict(body=body, head=head, out=layers[2], calls=nnx.Variable(jnp.zeros((), jnp.int32)))


def _loss(model: Any) -> Any:
    return ((model.out(model.head(jnp.tanh(model.body(X)))) - 1.0) ** 2).mean()


def _moved(before: Any, model: Any, rest: list[str], line: int | None) -> Finding:
    """Name what moved Params that are frozen: weight decay alone, or training."""
    old, new, left = _variables(before), _variables(model), (1 - RATE * DECAY) ** STEPS
    by = max(float(abs(new[path][...] - old[path][...]).max()) for path in rest)
    kind, measured = "rest-trained", f"{STEPS} steps of this AdamW moved a frozen number by {by:.2g}."
    if all(close(new[path][...], old[path][...] * left) for path in rest):
        kind, measured = "rest-decayed", f"No gradient came, and {STEPS} steps multiplied {rest[0]} by {left:.3f}."
    return Finding(kind, "fine_tune", f"{', '.join(rest)} moved", "the LoRAParams alone move", line, measured)


def _updates(before: Any, model: Any, tx: Any, line: int | None) -> Iterator[Finding]:
    one, two = nnx.clone(before, arrays=True), nnx.clone(before, arrays=True)
    optimizer, ways = nnx.Optimizer(one, tx, wrt=nnx.LoRAParam), []
    for _ in range(STEPS + 1):
        train_step(one, optimizer, _loss)
        train_step(two, nnx.Optimizer(two, tx, wrt=nnx.LoRAParam), _loss)
        ways.append([_low(one), _low(two)])
    seen, wanted = _low(model), ways[STEPS - 1][0]
    near = [[np.allclose(seen, way, atol=1e-3) for way in pair] for pair in ways]
    if near[STEPS - 1] == [False, True]:
        yield Finding("anew", "fine_tune", "each step begins with new moments", "one optimizer for all steps", line)
    elif taken := [n for n, (same, _) in enumerate(near, 1) if same and not near[STEPS - 1][0]]:
        yield Finding("steps", "fine_tune", f"it took {taken[0]} steps", f"{STEPS} steps", line)
    elif not near[STEPS - 1][0]:
        yield Finding("updates", "fine_tune", f"the adapters hold {numbers(seen)}", numbers(wanted), line)


def _low(model: Any) -> Any:
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(nnx.state(model, nnx.LoRAParam))])
