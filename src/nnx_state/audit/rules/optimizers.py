"""Rules of optimizers; they need one."""

from collections.abc import Iterator

from flax import nnx

from nnx_state.audit.optimizing import Step
from nnx_state.audit.rules.base import (
    ERROR,
    NOTE,
    Found,
    Model,
    count_numbers,
    is_float,
    named,
    rule,
    shares,
    with_article,
)
from nnx_state.audit.table import Row

NORMS = (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.InstanceNorm)
STATE = (nnx.BatchStat, nnx.Cache, nnx.Intermediate, nnx.RngState)  # which a forward pass writes
FILTER = "a filter such as `wrt=nnx.Param`, which leaves out what a call writes."


@rule("wrt-matches-nothing", ERROR, "an optimizer whose filter matches nothing", needs="optimizer")
def _wrt_matches_nothing(model: Model) -> Iterator[Found]:
    if (filtered := _filter(model.step)) and not model.step.trained:
        params = list(model.variables(nnx.Param))
        numbers = sum(map(count_numbers, params))
        yield Found(
            filtered,
            f"a filter that matches no leaf of this model: a step counts, and moves none of the {numbers} numbers of "
            f"its {len(params)} Params.",
            "a filter that matches what is to be trained, such as `nnx.Param`; `nnx.state(model, wrt)` shows what "
            "it matches.",
        )


@rule("wrt-differs", ERROR, "a leaf that the optimizer trains, and that gets no gradient", needs="gradients")
def _wrt_differs(model: Model) -> Iterator[Found]:
    step = model.step
    filtered = _filter(step)
    if filtered and step.gradients is not None and (missing := step.trained - step.gradients):
        yield Found(
            filtered,
            f"a filter that matches {len(step.trained)} leaves, of which {named(sorted(missing))} "
            f"{'gets' if len(missing) == 1 else 'get'} no gradient: the first update {step.first}.",
            "one filter for both: `nnx.grad(loss, argnums=nnx.DiffState(0, optimizer.wrt))`.",
        )


@rule("unused-gradient", NOTE, "a gradient that the optimizer does not use", needs="gradients")
def _unused_gradient(model: Model) -> Iterator[Found]:
    step = model.step
    filtered = _filter(step)
    if filtered and step.gradients is not None and step.trained and (unused := step.gradients - step.trained):
        nbytes = sum(row.nbytes for row in model.rows if row.path in unused)
        yield Found(
            filtered,
            f"a filter that leaves out {named(sorted(unused))}, for which a gradient is computed in each step: "
            f"{nbytes} bytes that no update reads.",
            "`nnx.grad(loss, argnums=nnx.DiffState(0, optimizer.wrt))`, which computes what the optimizer uses.",
        )


@rule("foreign-optimizer", ERROR, "an optimizer that was made for another model", needs="optimizer")
def _foreign_optimizer(model: Model) -> Iterator[Found]:
    step = model.step
    if not (filtered := _filter(step)):
        return
    if step.is_foreign:
        what = "an optimizer that holds another model: each update moves that one, and this one stays as it is."
        yield Found(filtered, what, "`nnx.Optimizer(model, …)` of this model, and `optimizer.update(model, grads)`.")
    elif step.misfits:
        yield Found(
            filtered,
            f"an optimizer that was made for other leaves: what it remembers does not fit {named(step.misfits)}. The "
            f"first update {step.first}.",
            "a new `nnx.Optimizer` after the model has changed; `carry_over(old, new)` copies what still fits.",
        )


@rule("trained-state", ERROR, "a value that is trained, and that a call or a stream writes", needs="optimizer")
def _trained_state(model: Model) -> Iterator[Found]:
    step = model.step
    for row, wrote in _state(model):
        if row.path in step.trained and row.path not in step.decayed:
            moved = step.moved.get(row.path)
            does = f": a step with a gradient of 1 moves it by {moved:.3g}" if moved else ""
            does = does if is_float(row) else ": it is no float, so that `nnx.grad` raises where it takes its gradient"
            yield Found(row, f"{with_article(row.kind)} that the optimizer trains{wrote}{does}.", FILTER)


@rule("decay-on-state", ERROR, "a counter or an average that weight decay shrinks", needs="optimizer")
def _decay_on_state(model: Model) -> Iterator[Found]:
    for row, wrote in _state(model):
        if share := model.step.decayed.get(row.path):
            yield Found(
                row,
                f"{with_article(row.kind)} that the optimizer trains{wrote}: a step without any gradient takes "
                f"{shares(share)}.",
                FILTER,
            )


@rule("decay-on-bias", NOTE, "a bias or the scale of a norm that weight decay shrinks", needs="optimizer")
def _decay_on_bias(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        share = model.step.decayed.get(row.path)
        if share and is_float(row) and (row.name == "bias" or issubclass(row.owner, NORMS)):
            kind = "the scale of a norm" if row.name == "scale" else "a bias"
            yield Found(
                row,
                f"{kind} that decays: a step without any gradient takes {shares(share)}. Most recipes decay kernels "
                "alone.",
                "a mask, as in `optax.adamw(rate, mask=param_mask(model, nnx.PathContains('kernel')))`.",
            )


def _state(model: Model) -> Iterator[tuple[Row, str]]:
    """Yield what a call or a stream writes, by its type or as a call shows, and that in words; Params say so alone."""
    for row in model.variables(nnx.Variable):
        written = model.call.written.get(row.path)
        if not isinstance(row.held, nnx.Param) and (isinstance(row.held, STATE) or written):
            yield row, f", and that a call changes {written}" if written else ""


def _filter(step: Step) -> Row | None:
    """Return the row of the optimizer's filter, if there is an optimizer."""
    return step.rows[0] if step.rows else None
