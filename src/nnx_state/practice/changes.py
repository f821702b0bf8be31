"""Changes of a program, written as the lines of a diff: what goes, what comes, and beside them what stays.

    -        self.count = nnx.Variable(jnp.array(0.0))
    +        self.count = nnx.Param(jnp.array(0.0))

A line that stays begins with a space; it tells where lines are added, and which of several equal lines is meant.
A line `@@` leads to the next place.
"""

from dataclasses import dataclass, field

NEXT_PLACE = "@@"


class ChangeError(ValueError):
    """Changes that cannot be made, or that change nothing; the message says what to do."""


@dataclass
class Place:
    """One place of a program that changes.

    Attributes:
        old: its lines as they are.
        new: the lines that come into their place.
    """

    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def changed(program: str, changes: str) -> str:
    """Return a program with changes made to it.

    Args:
        program: its text.
        changes: the lines of a diff, the places from top to bottom.

    Raises:
        ChangeError: If the old lines of a place are missing or stand there twice, or if nothing changes.
    """
    lines = program.splitlines()
    result: list[str] = []
    done = 0
    for place in _places(changes):
        start = _position(lines, place, done)
        result += [*lines[done:start], *place.new]
        done = start + len(place.old)
    result += lines[done:]
    if result == lines:
        raise ChangeError("it leaves the solution as it is: add a line that begins with - or +")
    return "".join(f"{line}\n" for line in result)


def positions(lines: list[str], old: list[str]) -> list[int]:
    """Return the index of each line at which some lines stand one after another."""
    return [start for start in range(len(lines) - len(old) + 1) if lines[start : start + len(old)] == old]


def _places(changes: str) -> list[Place]:
    places = [Place()]
    for line in changes.splitlines():
        if line == NEXT_PLACE:
            places.append(Place())
            continue
        mark, text = line[:1] or " ", line[1:]  # an editor may have cut an empty line that stays down to nothing
        if mark not in " -+":
            raise ChangeError(f"no line may begin like {line!r}: begin it with a space if it stays, with - or with +")
        if mark != "+":
            places[-1].old.append(text)
        if mark != "-":
            places[-1].new.append(text)
    return places


def _position(lines: list[str], place: Place, done: int) -> int:
    """Return where a place begins, which is not before what is done already."""
    if not place.old:
        raise ChangeError("a place has no old line: write the line before or after what is added, with a space first")
    shown = "\n".join(place.old)
    found = positions(lines, place.old)
    if not found:
        raise ChangeError(f"these lines do not stand in the solution: copy them from there\n{shown}")
    if len(found) > 1:
        times = f"these lines stand {len(found)} times in the solution"
        raise ChangeError(f"{times}: add the line above or below them, with a space first\n{shown}")
    if found[0] < done:
        order = "these lines stand above or in the place before"
        raise ChangeError(f"{order}: write places from top to bottom, each apart\n{shown}")
    return found[0]
