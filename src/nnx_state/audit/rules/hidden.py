"""Rules of what the state does not hold, and of what does not belong in it."""

from collections.abc import Iterator

from nnx_state.audit.rules.base import ERROR, Found, Model, has_tracers, rule, with_article


@rule("hidden-state", ERROR, "a Variable, or an array, that the state does not hold")
def _hidden_state(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.home == "hidden" and not has_tracers(row):
            yield Found(
                row,
                f"{with_article(row.kind)} of {row.nbytes} bytes that the state does not hold: gradients, optimizers, "
                "filters and checkpoints miss it.",
                "`nnx.List` or `nnx.Dict` in place of a list or a dict; in place of a function or a class that holds "
                "it, an attribute that `__init__` sets.",
            )


@rule("leaked-tracer", ERROR, "a tracer that a traced function left in the model")
def _leaked_tracer(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if has_tracers(row):
            yield Found(
                row,
                "a tracer: a function under a transform of JAX wrote it into the model, and each use of it raises an "
                "UnexpectedTracerError.",
                "`nnx.jit` or `nnx.grad`, which write back; or return the value from the function.",
            )
