"""List what the installed Flax NNX can raise and warn of, and which entry each has: ``python -m workshop.statements``.

The list is `tests/answers/statements.toml`: a text that it lacks is new in a release, and fails the tests on it. What
the matcher knows is filled in; for each of the others, someone writes an entry, names in `entry` one that says it in
other words, or says in `why` what speaks against one. The tests refuse a text that has neither, and one that the
matcher does not lead to its entry, unless `unmatched` says why it cannot.
"""

import ast
import importlib.util
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnx_state.answers import answer
from nnx_state.answers.entries import load
from workshop.site.tree import ROOT

FILE = ROOT / "tests" / "answers" / "statements.toml"
ANY = "…"
HEADER = "# Written by `python -m workshop.statements`, but for reasons and what the matcher does not know.\n"


@dataclass(frozen=True, order=True)
class Statement:
    """A statement that raises or warns.

    Attributes:
        file: its module inside `flax/nnx`.
        text: the class and the text, of which `…` stands for what varies.
    """

    file: str
    text: str


def statements(folder: Path) -> list[Statement]:
    """Return what the modules below a folder can raise and warn of, each text of a module once."""
    found = set()
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        found |= {Statement(file.relative_to(folder).as_posix(), text) for text in _texts(tree)}
    return sorted(found)


def installed() -> Path:
    """Return the folder of the Flax NNX that is installed, which is not imported."""
    flax = importlib.util.find_spec("flax")
    if flax is None or not flax.submodule_search_locations:
        raise ModuleNotFoundError("Flax is not installed: python noxfile.py tests installs it.")
    return Path(flax.submodule_search_locations[0], "nnx")


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            yield f"{name}: {_text(node.exc.args[0]) if node.exc.args else ''}".strip()
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"warnings.warn", "warn"} and node.args:
            category = [key.value for key in node.keywords if key.arg == "category"] or node.args[1:2]
            name = ast.unparse(category[0]).rpartition(".")[2] if category else "UserWarning"
            yield f"{name}: {_text(node.args[0])}".strip()


def _text(node: ast.expr) -> str:
    """Return what an expression says: its literal parts, and `…` for the others."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split())
    if isinstance(node, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else ANY for part in node.values)
        return " ".join("".join(parts).split())
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return f"{_text(node.left)} {_text(node.right)}"
    return ANY


def listed() -> dict[Statement, dict[str, str]]:
    """Return the statements of the list, each with its `entry` or with `why` it has none.

    A row with an `entry` has `unmatched` where the matcher does not lead there: the reason.
    """
    if not FILE.exists():
        return {}
    rows = tomllib.loads(FILE.read_text("utf-8")).get("statement", [])
    return {Statement(row["file"], row["text"]): row for row in rows}


def entry_of(text: str) -> str:
    """Return the entry to which a text leads, or nothing: what varies in it is left out of the comparison."""
    given = answer(f'  File "flax/nnx/variablelib.py", in nnx\n{text.replace(ANY, "x")}')
    if not given.is_known or len(text) <= 20:
        return ""
    first = given.found[0].anchor  # of several causes the text alone tells none
    return next((entry.anchor for entry in load().listed if first in {cause.anchor for cause in entry.causes}), first)


def led(one: Statement) -> set[str]:
    """Return the entries to which the matcher leads a text, alone or below a frame of its module, with their causes.

    Words stand for what varies in it.
    """
    text = one.text.replace(ANY, "word")
    pastes = [text, f'Traceback (most recent call last):\n  File "flax/nnx/{one.file}", line 1, in call\n{text}']
    named = {found.anchor for given in map(answer, pastes) for found in given.found}
    owners = {entry.anchor for entry in load().listed if named & {cause.anchor for cause in entry.causes}}
    return named | owners


def main() -> None:
    """Add what is new, and fill in what has an entry; what is in the list already stays, for another release has it."""
    rows = listed()
    for one in statements(installed()):
        rows.setdefault(one, {"file": one.file, "text": one.text})
    written = [HEADER]
    for one, row in sorted(rows.items()):
        entry = entry_of(one.text) or row.get("entry", "")
        values = {"file": one.file, "text": one.text}
        values |= {"entry": entry} if entry else {"why": row.get("why", "")}
        if entry and row.get("unmatched"):
            values["unmatched"] = row["unmatched"]
        lines = "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
        written.append(f"[[statement]]\n{lines}\n")
    FILE.write_text("\n".join(written), "utf-8", newline="\n")
    without = [one.text for one, row in listed().items() if not row.get("entry") and not row.get("why")]
    print(f"{len(rows)} statements, {len(without)} of them without an entry and without a reason")


if __name__ == "__main__":
    main()
