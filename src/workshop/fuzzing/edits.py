"""Edit attempts at random, their tokens and their bytes, and see what a learner would be told.

Whatever is edited, there is one verdict or one refusal. An edit that passes is the same program, or is listed: it does
what the problem asks all the same, or the checks have a gap.
"""

import ast
import contextlib
import io
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from nnx_state._outcome import RefusedError
from nnx_state.practice import reports
from nnx_state.practice.attempts import Attempt
from nnx_state.practice.exercises import Exercise
from nnx_state.practice.grading import Report, grade
from nnx_state.practice.running import Runner
from workshop.attempts import Reused, forked

LIMIT = 60.0  # seconds; several run at a time
LONGEST = 6_000  # characters that a learner may be told
PIECE = re.compile(r"\w+|[^\S\n]+|\n|.")
FENCED = re.compile("```.*?```", re.DOTALL)  # a line of the attempt
VERDICT = re.compile(r"\*\*(Passed|Not yet|No verdict)\.\*\*")
ODD = [
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",  # a surrogate
    b"\xc3",  # half a letter
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\r",
    b"\r\n",
    b"\x0c",
    b"\x1a",
    b"\x1b[2J",
    b"\t",
    b"\\\n",
    b"\\",
    b"'",
    b'"""',
    b"```\n",
    b"/// details\n",
    "\u2028".encode(),
    "\u202e".encode(),
    "\u0660".encode(),  # a digit, but none of a number
    b"'\\ud800'\n",
    b"'\\d'\n",
    b'"\\N{nothing}"\n',
    b"print('\\ud800')\n",
    b"print('**Passed.**')\n",
    b"# coding: utf-16\n",
    b"x = 0x" + b"f" * 6_000 + b"\n",
    b"x = " + b"9" * 6_000 + b"\n",
    b"x = '" + b"a" * 300_000 + b"'\n",
    b"a" * 300_000,
    b"#" * 1_000_001,
    b"(" * 300,
    b"x = " + b"-" * 3_000 + b"1\n",
    b"x = 1" + b" + 1" * 1_500 + b"\n",
    b"if 1:\n pass\n" + b"elif 1:\n pass\n" * 1_200,
    b"".join(b" " * depth + b"if 1:\n" for depth in range(120)),
]


@dataclass(frozen=True)
class Edit:
    """An attempt that was edited.

    Attributes:
        base: the name of the attempt.
        what: what was done to it.
        data: what the file then holds.
    """

    base: str
    what: str
    data: bytes

    def __str__(self) -> str:
        """Return where it comes from and what was done, shortly."""
        return f"{self.base}: {self.what}"


def edits(one: Exercise, seed: str) -> Iterator[Edit]:
    """Yield edits of the attempts at an exercise without an end, half of them of tokens; the seed says which."""
    chance = random.Random(seed)
    right, wrong = list(one.right.values()), list(one.wrong.values())
    words = [piece for attempt in right for piece in PIECE.findall(attempt.source) if not piece.isspace()]
    while True:
        attempt = chance.choice(chance.choice([right, right, wrong, [Attempt("starter", one.starter)]]))
        name, text = attempt.name, attempt.source
        if chance.random() < 0.5:
            what, text = _of_tokens(text, words, chance)
            yield Edit(name, what, text.encode())
        else:
            what, data = _of_bytes(text.encode(), right[0].source.encode(), chance)
            yield Edit(name, what, data)


def _of_tokens(text: str, words: list[str], chance: random.Random) -> tuple[str, str]:
    """Take a token out, double it, put another one in its place or before it, or let two change places."""
    pieces = PIECE.findall(text)
    told = []
    for _ in range(chance.choice([1, 1, 2])):
        places = [place for place, piece in enumerate(pieces) if not piece.isspace()]
        place, other = chance.choice(places), chance.choice(places)
        old, new = pieces[place], chance.choice(words)
        match chance.choice(["out", "twice", "other", "before", "swap", "line"]):
            case "out":
                pieces[place], how = "", f"without {old!r}"
            case "twice":
                pieces[place], how = f"{old} {old}", f"twice {old!r}"
            case "other":
                pieces[place], how = new, f"{new!r} for {old!r}"
            case "before":
                pieces[place], how = f"{new} {old}", f"{new!r} before {old!r}"
            case "swap":
                pieces[place], pieces[other] = pieces[other], old
                how = f"{old!r} and {pieces[place]!r} swapped"
            case _:
                end = next((at for at in range(place, len(pieces)) if pieces[at] == "\n"), len(pieces) - 1)
                begin = next((at + 1 for at in range(place, -1, -1) if pieces[at] == "\n"), 0)
                how = f"without the line {''.join(pieces[begin:end]).strip()!r}"
                pieces[begin : end + 1] = [""]
        told.append(f"{how} in line {''.join(pieces[:place]).count(chr(10)) + 1}")
    return ", ".join(told), "".join(pieces)


def _of_bytes(data: bytes, other: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Cut, flip, take out or put in bytes, or let another attempt go on in the middle."""
    place = chance.randrange(len(data) + 1)
    match chance.choice(["odd", "odd", "odd", "cut", "flip", "out", "splice", "line ends"]):
        case "odd":
            odd = chance.choice(ODD)
            if chance.random() < 0.5:  # where a line begins
                place = chance.choice([0, *(at + 1 for at, byte in enumerate(data) if byte == 10)])
            return f"{odd[:20]!r} of {len(odd)} at {place}", data[:place] + odd + data[place:]
        case "cut":
            return f"cut at {place}", data[:place]
        case "flip":
            place = min(place, len(data) - 1)
            bit = 1 << chance.randrange(8)
            return f"bit {bit} of {place} flipped", data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        case "out":
            end = place + chance.randrange(1, 40)
            return f"without {data[place:end]!r}", data[:place] + data[end:]
        case "splice":
            start = chance.randrange(len(other))
            return f"from {place} on the solution from {start}", data[:place] + other[start:]
        case _:
            ending = chance.choice([b"\r", b"\r\n", b"\n\r", b"\x0c\n", b" \\\n"])
            return f"lines end in {ending!r}", data.replace(b"\n", ending)


def program(text: str) -> str:
    """Return what a text means: its syntax without docstrings and annotations."""
    tree = ast.parse(text)
    node: Any  # of some kinds, which have a body or annotations
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [one for one in body if not _is_constant(one)]
    return ast.dump(tree)


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def judged(one: Exercise, edit: Edit, path: Path, runner: Runner) -> tuple[str, list[str]]:
    """Return what came of an edit, in a word, and what is wrong with how it is told."""
    path.write_bytes(edit.data)
    try:
        report = grade(one, path, LIMIT, runner)
        if report.passed or any(found.finding.kind == "check-failed" for found in report.found):
            report = grade(one, path, LIMIT, forked)  # an earlier attempt may have changed the process
    except RefusedError as error:
        return "refused", [] if re.fullmatch(r"[^\n]{20,500}", str(error)) else [f"a refusal that says {error}"]
    if report.passed:
        known = {program(attempt.source) for attempt in one.right.values()}
        try:
            same = program(report.source.text) in known
        except RecursionError:  # it runs, but is nested too deeply to be written down
            same = False
        return "the same program" if same else "passed", list(_complaints(report))
    return report.found[0].finding.kind, list(_complaints(report))


def _complaints(report: Report) -> Iterator[str]:
    """Yield what is wrong with what is told of a report, whatever the attempt is."""
    told = reports.text(report)
    before_printed = FENCED.sub("", told.partition("The file printed:")[0])
    if len(VERDICT.findall(before_printed)) != 1 or not VERDICT.match(told):
        yield f"no verdict, or several: {told}"
    if len(told) > LONGEST:
        yield f"it is told in {len(told)} characters: {told[:LONGEST]}"
    json.dumps(reports.data(report))
    with io.StringIO() as screen:
        Console(file=screen, force_terminal=True, width=80).print(Markdown(told))
    if failed := [one.finding.seen for one in report.found if one.finding.kind == "check-failed"]:
        yield f"the check itself failed: {failed[0]}"


def fuzzed(one: Exercise, seed: str, count: int) -> tuple[Counter[str], list[str], list[str]]:
    """Return how often what came of so many edits, those that passed, and what is wrong."""
    kinds: Counter[str] = Counter()
    passed, wrong = [], []
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Reused()) as runner:
        path = Path(folder).resolve() / one.filename
        for number, edit in zip(range(count), edits(one, seed), strict=False):
            try:
                kind, complaints = judged(one, edit, path, runner)
            except Exception as error:  # whatever it is, a learner would have seen it
                kind, complaints = "broke", [f"{type(error).__name__}: {error}"]
            kinds[kind] += 1
            if kind == "passed":
                passed.append(f"{one.slug} {number}, {edit}")
            wrong += [f"{one.slug} {number}, {edit}: {complaint}" for complaint in complaints]
    return kinds, passed, wrong


def main(exercises: list[Exercise], seed: int, count: int, jobs: int) -> int:
    """Edit the attempts at each exercise so many times, and print what passes and what is wrong."""
    total: Counter[str] = Counter()
    faults = 0
    with ThreadPoolExecutor(jobs) as pool:
        for one, (kinds, passed, wrong) in zip(
            exercises, pool.map(lambda one: fuzzed(one, f"{seed}-{one.slug}", count), exercises), strict=True
        ):
            total += kinds
            faults += len(wrong)
            print(f"{one.slug}: {kinds.total()} edits, {kinds['passed']} pass and are another program", flush=True)
            for line in passed:
                print(f"  passes: {line}", flush=True)
            for line in wrong:
                print(f"  wrong: {line}", flush=True)
    print(f"edits: {total.total()}; {', '.join(f'{count} {kind}' for kind, count in total.most_common())}")
    print(f"{total['passed']} to be judged, {faults} findings")
    return faults
