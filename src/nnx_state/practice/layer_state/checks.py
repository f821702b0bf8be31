"""Checks of the exercise Layers with state.

First the carry as the module makes it, with a cell whose first carry is not zero; then calls that go on from each
other, plain and compiled, and a reset. Last, whatever is wrong with `Recurrent`, what `written` tells of calls that
write leaves of every kind. No two sizes of an array are equal: axes cannot be mistaken for each other.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import difference, role
from nnx_state.practice.stages import needs, part
from nnx_state.practice.state import copied, held
from nnx_state.practice.values import array_of, close, content, describe, listed, numbers, spec

BATCH, TIME, FEATURES, HIDDEN = 2, 5, 3, 4
X = np.cos(np.arange(1.0, 1 + BATCH * TIME * FEATURES, dtype=np.float32)).reshape(BATCH, TIME, FEATURES)
KERNEL = np.sin(np.arange(1.0, 1 + FEATURES * HIDDEN, dtype=np.float32)).reshape(FEATURES, HIDDEN)
FIRST = np.linspace(0.25, 1.5, BATCH * HIDDEN, dtype=np.float32).reshape(BATCH, HIDDEN)


class Cell(nnx.RNNCellBase):
    """A cell that halves its carry, adds a product and gives out twice of it; its first carry is not zero."""

    def __init__(self) -> None:
        self.in_features, self.hidden_features = FEATURES, HIDDEN
        self.kernel = nnx.Param(array_of(KERNEL))

    @property
    def num_feature_axes(self) -> int:
        """Tell how many axes hold features."""
        return 1

    def initialize_carry(self, input_shape: tuple[int, ...], *_: Any, **__: Any) -> jax.Array:
        """Return the first carry of some sequences."""
        if tuple(input_shape) != (BATCH, FEATURES):
            raise ValueError(f"the first carry is that of inputs of shape {(BATCH, FEATURES)}, got {input_shape}")
        return array_of(FIRST)

    def __call__(self, carry: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Take one step."""
        carry = 0.5 * jnp.asarray(carry) + x @ self.kernel[...]
        return carry, 2 * carry


def steps(x: np.ndarray, carry: np.ndarray) -> np.ndarray:
    """Return the carry after each step."""
    found = []
    for step in range(x.shape[1]):
        carry = 0.5 * carry + x[:, step] @ KERNEL
        found.append(carry)
    return np.stack(found, axis=1)


def names(attempt: Attempt) -> Iterator[Finding]:
    """The layer is there, and can be reset."""
    kind = attempt.module_class("Recurrent", "cell", "batch", "rngs")
    if not hasattr(kind, "reset"):
        line = attempt.line("Recurrent")
        raise Stop(Finding("missing", "reset", "`Recurrent` has no such method", "`reset`", line))
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """The carry is a Variable that nobody trains, with the cell's first carry; the Params are those of the cell."""
    cell = Cell()
    model = build(attempt, cell)
    yield from role(attempt, model, "carry", nnx.Variable)
    if attempt.found[roles]:
        return
    value, line = content(model.carry), attempt.line("carry", "Recurrent")
    if kind := difference(value, FIRST):
        kind = "zeros" if kind == "value" and not np.any(value) else kind
        yield Finding(kind, "carry", f"carry is {numbers(value)}", f"what the cell begins with, {numbers(FIRST)}", line)
    params = [leaf for _, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))]
    if len(params) != 1 or params[0] is not cell.kernel:
        seen = f"the Params are {listed(f'`{path}`' for path in held(nnx.state(model, nnx.Param)))}"
        line = attempt.line("cell", "Recurrent") or attempt.line("Recurrent")
        raise Stop(Finding("params", "cell", seen, "the one Param of the cell, at one path", line))


@needs(names, roles)
def forward(attempt: Attempt) -> Iterator[Finding]:
    """A call returns the outputs of all steps, and leaves the last carry."""
    model, line = build(attempt), attempt.line("__call__", "Recurrent")
    own = model.carry
    y = attempt.call("model(x)", model=model, x=array_of(X))
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"it returns {describe(y)}", "an array", line))
    carries = steps(X, FIRST)
    if not close(y, 2 * carries):
        known = {
            "last": 2 * carries[:, -1],
            "time-first": np.swapaxes(2 * carries, 0, 1),
            "carries": carries,
            "zeros": 2 * steps(X, np.zeros_like(FIRST)),
            "apart": 2 * np.stack([steps(X[:, [step]], FIRST)[:, 0] for step in range(TIME)], axis=1),
            "backwards": (2 * steps(X[:, ::-1], FIRST), 2 * steps(X[:, ::-1], FIRST)[:, ::-1]),
        }
        kind = formula_of(y, known, "shape" if y.shape != carries.shape else "formula")
        raise Stop(Finding(kind, "forward", f"`model(x)` is {shown(y)}", shown(2 * carries), line))
    if model.carry is not own:
        raise Stop(replaced(attempt, model, "a call"))
    after = content(model.carry)
    if not close(after, carries[:, -1]):
        known = {
            "not-written": FIRST,
            "first": carries[:, 0],
            "output": 2 * carries[:, -1],
            "zeros": np.zeros_like(FIRST),
        }
        seen = f"after a call carry is {shown(after)}"
        line = attempt.changing_line("carry")
        raise Stop(Finding(formula_of(after, known), "carry", seen, shown(carries[:, -1]), line))
    yield from ()


def _call(model: Any, x: jax.Array) -> Any:
    return model(x)


@needs(names, roles, forward)
def parts(attempt: Attempt) -> Iterator[Finding]:
    """Two parts are the whole, also where each call is compiled."""
    wanted = 2 * steps(X, FIRST)
    calls: tuple[Callable[[Any, jax.Array], Any], ...] = (_call, nnx.jit(_call))
    for call in calls:
        model = build(attempt)
        with attempt.does("model(x)" if call is _call else "nnx.jit of model(x)"):
            _, second = (np.asarray(call(model, array_of(x))) for x in (X[:, :2], X[:, 2:]))
        if not close(second, wanted[:, 2:]):
            seen = f"the second part of a sequence gives {shown(second)}"
            raise Stop(Finding("forgets", "forward", seen, shown(wanted[:, 2:]), attempt.changing_line("carry")))
    yield from ()


@needs(names, roles)
def resets(attempt: Attempt) -> Iterator[Finding]:
    """A reset sets the carry to zeros, and nothing else."""
    model, line = build(attempt), attempt.line("reset", "Recurrent")
    own = model.carry
    before = copied(model)
    attempt.call("model.reset()", model=model)
    if model.carry is not own:
        raise Stop(replaced(attempt, model, "a reset", line))
    after = content(model.carry)
    if kind := difference(after, np.zeros_like(FIRST)):
        kind = formula_of(after, {"nothing": FIRST}, kind)
        yield Finding(kind, "reset", f"after it carry is {numbers(after)}", "zeros", line)
    other = [path for path, value in copied(model).items() if path != "carry" and not close(value, before[path])]
    if other:
        yield Finding("more", "reset", f"it writes {listed(f'`{path}`' for path in other)} too", "carry alone", line)


class Block(nnx.Module):
    """A part of the model that calls write to."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(array_of(np.array([1.0, 2.0], np.float32)))
        self.mean = nnx.BatchStat(array_of(np.zeros(2, np.float32)))


class Model(nnx.Module):
    """Leaves of several types at two depths, one of them shared and one a plain array."""

    def __init__(self) -> None:
        self.norm = Block()
        self.body = Block()
        self.tied = self.body
        self.count = nnx.Variable(jnp.array(3))
        self.plain = array_of(np.array([5.0, 6.0], np.float32))


def writes_some(model: Any) -> None:
    """Write a count, one number of a Param, and two averages of which one is given the numbers that it has."""
    model.count[...] += 1
    model.body.kernel[1] = 7.0
    model.norm.mean.set_value(model.norm.mean + 1.0)
    model.body.mean.set_value(jnp.zeros(2))


def swaps(model: Any) -> None:
    """Put the numbers of a Param in another order: their sum stays."""
    model.norm.kernel[...] = model.norm.kernel[::-1]


def writes_plain(model: Any) -> None:
    """Put another array in the place of a plain one."""
    model.plain = model.plain + 1.0


CALLS: dict[str, tuple[Callable[[Any], None], list[str]]] = {
    "a call that writes some leaves": (writes_some, ["body.kernel", "count", "norm.mean"]),
    "a call that swaps two numbers": (swaps, ["norm.kernel"]),
    "a call that replaces a plain array": (writes_plain, ["plain"]),
    "a call that writes nothing": (lambda model: None, []),
}


def tells(attempt: Attempt) -> Iterator[Finding]:
    """`written` tells the paths whose numbers differ, and the model stays as it was."""
    attempt.function("written", "model", "call")
    line = attempt.line("written")
    for name, (call, wanted) in CALLS.items():
        model = Model()
        before = copied(model)
        found = attempt.call("written(model, call)", model=model, call=call)
        changed = [path for path, value in copied(model).items() if not np.array_equal(value, before[path])]
        if changed:
            seen = f"after `written(model, call)` the model has other numbers in {listed(changed)}"
            raise Stop(Finding("on-model", "written", seen, "the numbers from before", line))
        if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
            raise Stop(Finding("result-type", "written", f"it returns {describe(found)}", "a list of paths", line))
        if found == wanted:
            continue
        every = sorted(before)
        cases = {
            "order": sorted(found) == wanted,
            "sums": call is swaps and not found,
            "nothing": call is writes_some and not found,
            "all": set(found) >= set(every) - {"plain"},
            "objects": set(found) > set(wanted) and "body.mean" in found,
            "names": {path.rpartition(".")[2] for path in wanted} == set(found),
            "untouched": sorted(found) == sorted(set(every) - set(wanted)),
        }
        kind = first_that_holds(cases, "others")
        raise Stop(Finding(kind, "written", f"of {name} it tells {listed(found)}", listed(wanted), line))
    yield from ()


STAGES = (*part(names, roles, forward, parts, resets), *part(tells))


def build(attempt: Attempt, cell: Any = None) -> Any:
    """Return a layer of the attempt."""
    cell = Cell() if cell is None else cell
    return attempt.call("Recurrent(cell, 2, rngs=nnx.Rngs(0))", cell=cell, nnx=nnx)


def replaced(attempt: Attempt, model: Any, when: str, line: int | None = None) -> Finding:
    """Return the finding that another object stands in the place of the carry."""
    seen = f"after {when}, {describe(getattr(model, 'carry', None))} stands in `carry`"
    line = line or attempt.changing_line("carry", replaces=True)
    return Finding("replaced", "carry", seen, "the Variable from before", line)


def shown(value: Any) -> str:
    """Return an array with its shape."""
    return f"{spec(value)} {numbers(value)}"
