"""Comments that tell the audit to leave a line alone: `# nnx-state: ignore[RULE] because …`."""

import io
import linecache
import re
import tokenize
from dataclasses import dataclass, field

from nnx_state.audit.lines import Place
from nnx_state.audit.rules import RULES, UNUSED_IGNORE
from nnx_state.audit.table import Row

COMMENT = re.compile(r"#\s*nnx-state:\s*ignore\[([\w\s,-]*)\](?:\s*because\s+(\S.*))?")


@dataclass(frozen=True)
class Fault:
    """What is not right with a comment itself: the rule `unused-ignore`."""

    what: str
    write: str
    place: Place


@dataclass
class Ignores:
    """The comments in the files of a model."""

    reasons: dict[Place, tuple[list[str], str]]
    taken: set[tuple[Place, str]] = field(default_factory=set)

    @classmethod
    def of(cls, rows: list[Row]) -> "Ignores":
        """Read the comments of all files in which a value of a model is made."""
        files = sorted({row.place.file for row in rows if row.place})
        return cls({place: said for file in files for place, said in _comments(file)})

    def take(self, rule: str, place: Place | None) -> bool:
        """Tell whether a finding is to be left out: its line names the rule and the reason."""
        rules, reason = self.reasons.get(place, ([], "")) if place else ([], "")
        if place and rule in rules and reason:
            self.taken.add((place, rule))
            return True
        return False

    def faults(self, asked: list[str]) -> list[Fault]:
        """Return the comments that have no reason, and those that leave out nothing of the rules that were asked."""
        found: list[Fault] = []
        if UNUSED_IGNORE not in asked:
            return found
        for place, (rules, reason) in self.reasons.items():
            for rule in rules:
                if not reason:
                    what = f"`ignore[{rule}]` gives no reason, so that it does nothing."
                    found.append(Fault(what, f"`# nnx-state: ignore[{rule}] because …`.", place))
                elif rule not in RULES:
                    what = f"`ignore[{rule}]` names no rule."
                    found.append(Fault(what, "the id of a rule, or no comment.", place))
                elif rule in asked and (place, rule) not in self.taken:
                    what = f"`ignore[{rule}]` leaves nothing out."
                    found.append(Fault(what, "no comment: what it was for is gone.", place))
        return found


def _comments(file: str) -> list[tuple[Place, tuple[list[str], str]]]:
    source = "".join(linecache.getlines(file))
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and (said := COMMENT.search(token.string)):
                rules = [name.strip() for name in said[1].split(",") if name.strip()]
                found.append((Place(file, token.start[0]), (rules, (said[2] or "").strip())))
    except (tokenize.TokenError, SyntaxError):
        return []
    return found
