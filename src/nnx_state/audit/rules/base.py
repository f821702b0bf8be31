"""What a rule is, what it looks at, and what several of them ask of a value."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from nnx_state.audit.lines import Place
from nnx_state.audit.optimizing import Step
from nnx_state.audit.running import Call
from nnx_state.audit.saving import Trip
from nnx_state.audit.table import Row

ERROR, WARNING, NOTE = "error", "warning", "note"
SHOWN = 3  # paths in a sentence


@dataclass(frozen=True)
class Model:
    """What rules look at.

    Attributes:
        rows: the table of its values.
        call: what calls of copies did; nothing where no inputs were given.
        step: what steps of the optimizer did to copies; nothing where none was given.
        trip: what a save and a restore of copies did; nothing where no `save` was given.
    """

    rows: list[Row]
    call: Call
    step: Step = dataclasses.field(default_factory=Step)
    trip: Trip = dataclasses.field(default_factory=Trip)

    def variables(self, kind: type) -> Iterator[Row]:
        """Yield the rows of the Variables of a type and its subtypes which the state holds."""
        for row in self.rows:
            if row.home != "hidden" and isinstance(row.held, kind):
                yield row


@dataclass(frozen=True)
class Found:
    """What a rule has found.

    Attributes:
        row: the value; None where the finding is about a line and no value.
        what: what it is, and what that does to this model, in one sentence or two.
        write: what to write in its place.
        line: the line, where it is not the one that makes the value.
    """

    row: Row | None
    what: str
    write: str
    line: Place | None = None

    @property
    def path(self) -> str:
        """Return the path of the value."""
        return self.row.path if self.row else ""

    @property
    def place(self) -> Place | None:
        """Return the line to mend."""
        return self.line or (self.row.place if self.row else None)


@dataclass(frozen=True)
class Rule:
    """What is looked for.

    Attributes:
        name: its id, which never changes, and the name of its page.
        severity: `"error"`, `"warning"`, or `"note"` for what cannot be sure: off by default, and never a failure.
        about: what it finds, in a few words.
        finds: the search itself.
        needs: what the audit has to be given besides the model: `"inputs"`, `"optimizer"`, `"gradients"`, `"save"` for
            functions, or `"orbax"`; nothing if it reads values alone.
    """

    name: str
    severity: str
    about: str
    finds: Callable[[Model], Iterator[Found]]
    needs: str


RULES: dict[str, Rule] = {}


def rule(name: str, severity: str, about: str, *, needs: str = "") -> Callable[[Any], Any]:
    """Register a search as a rule."""

    def register(finds: Callable[[Model], Iterator[Found]]) -> Callable[[Model], Iterator[Found]]:
        RULES[name] = Rule(name, severity, about, finds, needs)
        return finds

    return register


def dtype_name(array: Any) -> str:
    """Name the dtype of an array for a sentence."""
    return "a random key" if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else str(array.dtype)


def with_article(noun: str) -> str:
    """Return a noun after the article that it takes, such as `an array`."""
    return f"{'an' if noun[0].lower() in 'aeiou' or noun.startswith('Rng') else 'a'} {noun}"


def named(paths: Iterable[str]) -> str:
    """Name the first of some paths for a sentence, and count the rest."""
    names = list(paths)
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:SHOWN]) + rest


def shares(share: float) -> str:
    """Say what a weight decay takes of a value, for a sentence."""
    total = 1 - (1 - share) ** 1000
    percent = f"{total:.0%}" if total >= 0.01 else f"{100 * total:.1g}%"
    return f"{share:.3g} of it, and a thousand steps {percent}"


def count_numbers(row: Row) -> int:
    """Count the numbers of a value."""
    return sum(array.size for array in row.arrays)


def is_float(row: Row) -> bool:
    """Tell whether a value has arrays, all of them with floats."""
    return bool(row.arrays) and all(jnp.issubdtype(array.dtype, jnp.inexact) for array in row.arrays)


def has_tracers(row: Row) -> bool:
    """Tell whether a value holds a tracer."""
    return any(isinstance(array, jax.core.Tracer) for array in row.arrays)


def has_numbers(array: Any) -> bool:
    """Tell an array with numbers that this process can read from one that is abstract, traced or elsewhere."""
    is_array = isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer)
    return is_array and array.is_fully_addressable and not array.is_deleted()
