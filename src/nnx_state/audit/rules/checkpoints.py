"""Rules of checkpoints; they need a way to save."""

from collections.abc import Iterator

from flax import nnx

from nnx_state.audit.rules.base import ERROR, Found, Model, count_numbers, rule
from nnx_state.audit.table import Row
from nnx_state.counters import Scratch

MAY_BE_LEFT_OUT = (Scratch, nnx.Intermediate, nnx.Cache, nnx.RngKey)  # a key comes back with the seed of the model


@rule("lost-in-checkpoint", ERROR, "a leaf that Orbax cannot save, or changes", needs="orbax")
def _lost_in_checkpoint(model: Model) -> Iterator[Found]:
    trip = model.trip
    if not trip.is_plain:
        return
    for row in _rows(model):
        if said := trip.refused.get(row.path):
            yield Found(
                row,
                f"a leaf that Orbax does not save, so that none of the {trip.leaves} leaves is saved with it: "
                f"{said.rstrip('.')}.",
                "an array that has numbers, in a dtype that Orbax knows; for what is made anew, a type of its own, "
                "which the save leaves out.",
            )
        elif said := trip.changed.get(row.path):
            yield Found(row, f"a leaf that {said} after a round trip through Orbax.", "a dtype that Orbax keeps.")


@rule("save-forgets", ERROR, "a leaf that your own save and restore do not bring back", needs="save")
def _save_forgets(model: Model) -> Iterator[Found]:
    trip = model.trip
    if trip.is_plain:
        return
    own = {row.path for row in model.step.rows[1:]}
    is_whole = bool(own) and own <= trip.forgotten
    if is_whole:
        yield Found(
            model.step.rows[0],
            f"an optimizer of which nothing comes back: its {len(own)} leaves, moments and counts, begin anew in a "
            "resumed run.",
            "`nnx.state(optimizer)` into the checkpoint, beside the state of the model.",
        )
    for row in _rows(model):
        if row.path in trip.forgotten and not (is_whole and row.path in own):
            yield Found(
                row,
                f"a leaf that your save forgets: after the restore {_count(row)} as before it, and not as saved.",
                "`nnx.state(model)` without a filter into the checkpoint, or a filter that matches this leaf.",
            )
        elif said := trip.changed.get(row.path):
            yield Found(
                row,
                f"a leaf that {said}, after your save and restore.",
                "the leaf as it is into the checkpoint, under its own path and in its own dtype.",
            )


def _rows(model: Model) -> Iterator[Row]:
    """Yield the leaves of the run that a checkpoint has to hold."""
    for row in (*model.rows, *model.step.rows[1:]):
        if not (isinstance(row.held, MAY_BE_LEFT_OUT) or _is_of_a_new_stream(model, row)):
            yield row


def _is_of_a_new_stream(model: Model, row: Row) -> bool:
    """Tell the count of a stream that came back with another key: what it draws is new, from 0 on as well."""
    return isinstance(row.held, nnx.RngCount) and f"{row.path.removesuffix('count')}key" in model.trip.changed


def _count(row: Row) -> str:
    size = count_numbers(row)
    return f"its {size} numbers are" if size > 1 else "its number is"
