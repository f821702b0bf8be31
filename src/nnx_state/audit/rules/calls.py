"""Rules of what a call of the model does; they need inputs."""

from collections.abc import Iterator

from flax import nnx

from nnx_state.audit.rules.base import ERROR, NOTE, WARNING, Found, Model, is_float, rule, shares, with_article

MAKE_A_KERNEL = {nnx.WeightNorm, nnx.SpectralNorm}  # of other Params, in each call
DROP = (nnx.Dropout, nnx.MultiHeadAttention)  # with a stream for their masks
HAND_ON = (
    "the mode into the call of this layer, and of each one on the way, such as "
    "`self.drop(x, deterministic=not train)`; or no such argument, and `model.eval()`."
)


@rule("written-param", ERROR, "a Param that a forward pass writes", needs="inputs")
def _written_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        if row.path in model.call.written and not MAKE_A_KERNEL & {*row.around}:
            share = model.step.decayed.get(row.path)
            decay = "" if model.step.optimizer else ", and weight decay draws it to zero"
            if share:
                decay = f", and weight decay takes {shares(share)}"
            yield Found(
                row,
                f"a Param that one call in training changes {model.call.written[row.path]}: it moves twice in each "
                f"step, by the call and by the optimizer{decay}.",
                "`nnx.Variable(…)` for a counter, `nnx.BatchStat(…)` for a running average.",
            )


@rule("eval-writes", WARNING, "a running average that a forward pass writes in evaluation", needs="inputs")
def _eval_writes(model: Model) -> Iterator[Found]:
    evaluation = model.call.evaluation
    for row in model.variables(nnx.BatchStat):  # what else is written, as a cache or a count is, may be meant
        if row.path in evaluation.written and not evaluation.told:
            yield Found(
                row,
                f"an average that a call after `model.eval()` changes {evaluation.written[row.path]}: what is "
                "evaluated changes the next evaluation.",
                "an attribute such as `use_running_average` or `deterministic`, which `model.eval()` sets, and `if`.",
            )


@rule("mode-unheard", WARNING, "a Dropout or a running average that the mode of a call does not reach", needs="inputs")
def _mode_unheard(model: Model) -> Iterator[Found]:
    evaluation = model.call.evaluation
    apart = f", and two such calls differ by up to {evaluation.apart:.3g}" if evaluation.apart else ""
    for row in model.variables(nnx.RngCount):
        if row.path in evaluation.written and any(issubclass(one, DROP) for one in row.around):
            if evaluation.told:
                what = f"a layer that `{evaluation.told}` does not reach: it still draws a mask{apart}."
                yield Found(row, what, HAND_ON)
            else:
                yield Found(
                    row,
                    f"a layer that `model.eval()` does not reach: it still draws a mask{apart}. Its call says "
                    "`deterministic=False`, which goes before what `model.eval()` sets.",
                    "no `deterministic=False` in that call.",
                )
    for row in model.variables(nnx.BatchStat):  # without an argument, `eval-writes` finds it
        if row.path in evaluation.written and evaluation.told:
            yield Found(
                row,
                f"an average that `{evaluation.told}` does not reach: such a call still changes it "
                f"{evaluation.written[row.path]}.",
                HAND_ON,
            )


@rule("unused-param", NOTE, "a Param on which no output depends", needs="inputs")
def _unused_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        if row.path in model.call.unused and is_float(row) and row.path not in model.call.written:
            share = model.step.decayed.get(row.path)
            decays = f" If it is a copy, such as an average of weights: a step takes {shares(share)}." if share else ""
            yield Found(
                row,
                f"a Param on which no output of this call depends: its gradient is zero, and its {row.nbytes} bytes "
                f"and those of its moments are kept for nothing, unless another method uses it.{decays}",
                "the layer into the call, or no layer; a type of its own, if it is used and not trained.",
            )


@rule("static-written", WARNING, "a static value that a forward pass changes", needs="inputs")
def _static_written(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.home == "static" and row.path in model.call.settings:
            before, after = model.call.settings[row.path]
            yield Found(
                row,
                f"a static value that a call changes from {before} to {after}: it is part of the program, so that "
                "`nnx.jit` compiles again for each value, and no checkpoint holds it.",
                "`nnx.Variable(jnp.array(…))` for a number; set and fill what is no number outside of the call.",
            )


@rule("array-written", WARNING, "a plain array that a forward pass writes or adds", needs="inputs")
def _array_written(model: Model) -> Iterator[Found]:
    written = [row for row in model.rows if row.home == "array" and row.path in model.call.written]
    does = {row.path: f"changes {model.call.written[row.path]}" for row in written}
    for row in (*written, *model.call.added):
        yield Found(
            row,
            f"a plain array that a call {does.get(row.path, 'adds to the model')}: it has no type, so that no filter "
            "by type finds it, and `nnx.jit` in tree mode and `jax.jit` forget what the call wrote.",
            "`nnx.Variable(…)` or a type of your own, made in `__init__`; return from the call what nothing keeps.",
        )


@rule("lost-write", ERROR, "a Variable that a transform of JAX writes in a copy", needs="inputs")
def _lost_write(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Variable):
        if row.path in model.call.lost:
            yield Found(
                row,
                f"{with_article(row.home)} that a function under a transform of JAX writes in this call, in a "
                "copy that is thrown away: after the call it is what it was before.",
                "the transform of NNX with the same name, such as `nnx.remat` for `jax.checkpoint`; or return the new "
                "value from the function, and write it outside.",
            )


@rule("compiles-again", WARNING, "a leaf whose shape or dtype a forward pass changes", needs="inputs")
def _compiles_again(model: Model) -> Iterator[Found]:
    if len(model.call.forms) < 3:  # the first call left all as it was, or nothing was called
        return
    before, once, twice = model.call.forms
    for row in model.rows:
        old, new, last = (forms.get(row.path) for forms in (before, once, twice))
        if old and old != new:
            when = "once more" if new == last else "again at each call"
            yield Found(
                row,
                f"{old} before a call and {new or 'nothing'} after it, and that is part of the program: "
                f"`nnx.jit` compiles {when}.",
                "a leaf that keeps its shape and dtype: room for all of it in `__init__`, and `.astype(…)` where it is "
                "written.",
            )
