"""The exercises: what each one asks, its files, and the mistakes that it can tell. Nothing here imports JAX."""

import functools
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnx_state._lessons import LESSONS
from nnx_state._outcome import RefusedError
from nnx_state.practice import attempts
from nnx_state.practice.attempts import Attempt

FOLDER = Path(__file__).parent
SLUGS = tuple(lesson.slug for lesson in LESSONS)
_HINT = re.compile(r"^/// details \| Hint \d+: ([^\n]*)\n\n(.*?)\n\n///$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Diagnosis:
    """What is said of one mistake.

    Attributes:
        name: its name, the same as that of the wrong attempt that proves it.
        headline: the mistake in one sentence.
        why: what it would do to the learner's models.
        next: one thing to do.
        lesson: the page and heading that explain it, such as `lessons/linear.md#the-kernel-is-a-plain-array`.
    """

    name: str
    headline: str
    why: str
    next: str
    lesson: str


@dataclass(frozen=True)
class Exercise:
    """One problem and all that belongs to it.

    Attributes:
        slug: its name, that of its lesson.
    """

    slug: str

    @property
    def module(self) -> str:
        """Return the name of its folder, and of the file that a learner writes, without `.py`."""
        return self.slug.replace("-", "_")

    @property
    def folder(self) -> Path:
        """Return the folder of its files."""
        return FOLDER / self.module

    @property
    def filename(self) -> str:
        """Return the name of the file that a learner writes."""
        return f"{self.module}.py"

    @functools.cached_property
    def statement(self) -> str:
        """Return the source of its page: the problem, the hints and a check by hand, in Markdown."""
        return (self.folder / "statement.md").read_text("utf-8")

    @property
    def title(self) -> str:
        """Return the title of its lesson."""
        return next(lesson.title for lesson in LESSONS if lesson.slug == self.slug)

    @property
    def problem(self) -> str:
        """Return what is asked, in Markdown."""
        return self._part(r"## Problem\n\n(.*?)\n\n## ")

    @property
    def hints(self) -> list[tuple[str, str]]:
        """Return each hint as its title and its text."""
        return _HINT.findall(self.statement)

    @property
    def starter(self) -> str:
        """Return the file that a learner begins with."""
        return (self.folder / "starter.py").read_text("utf-8")

    @property
    def solution(self) -> str:
        """Return one solution."""
        return (self.folder / "solution.py").read_text("utf-8")

    @functools.cached_property
    def entries(self) -> dict[str, Any]:
        """Return what is written of each mistake: the words, the changes that make it, or both."""
        return attempts.read(self.folder / "diagnoses.toml")

    @functools.cached_property
    def diagnoses(self) -> dict[str, Diagnosis]:
        """Return the mistakes that this exercise explains in its own words."""
        return _words(self.entries)

    @functools.cached_property
    def wrong(self) -> dict[str, Attempt]:
        """Return the wrong attempts that prove the diagnoses, such as `count-param` and `count-param--alias`."""
        return attempts.wrong(self.folder, self.solution, self.entries)

    @functools.cached_property
    def right(self) -> dict[str, Attempt]:
        """Return right attempts: the solution, and variants that are spelled in another way."""
        return attempts.right(self.folder, self.solution)

    def diagnosis(self, kind: str, about: str = "") -> Diagnosis:
        """Return the words for a finding; the exercise's own go before those for every exercise.

        Args:
            kind: what was found, such as `array`.
            about: the name that it was found of, such as `count`, or nothing.
        """
        name = f"{about}-{kind}" if about else kind
        if name in self.diagnoses:
            return self.diagnoses[name]
        words = common_diagnoses().get(kind, common_diagnoses()["unexplained"])

        def filled(text: str) -> str:
            return string.Template(text).substitute(about=about)

        return Diagnosis(name, filled(words.headline), filled(words.why), filled(words.next), words.lesson)

    def mistakes(self) -> list[Diagnosis]:
        """Return every mistake that a wrong attempt proves to be told, in the order of the exercise's own words."""
        names = {attempt.diagnosis for attempt in self.wrong.values()}
        own = [diagnosis for name, diagnosis in self.diagnoses.items() if name in names]
        return own + [self._common(name) for name in sorted(names - self.diagnoses.keys())]

    def _common(self, name: str) -> Diagnosis:
        kind = max((kind for kind in common_diagnoses() if f"-{name}".endswith(f"-{kind}")), key=len)
        return self.diagnosis(kind, name.removesuffix(kind).removesuffix("-"))

    def _part(self, pattern: str) -> str:
        found = re.search(pattern, self.statement, re.DOTALL)
        if not found:
            raise ValueError(f"{self.folder.name}/statement.md has nothing like {pattern!r}: write that part.")
        return found[1]


def exercises() -> list[Exercise]:
    """Return every exercise, in the order of the lessons."""
    return [Exercise(slug) for slug in SLUGS]


def exercise(name: str) -> Exercise:
    """Return an exercise by its name; `multi_param` and `multi_param.py` mean `multi-param`.

    Raises:
        RefusedError: If there is no such exercise.
    """
    slug = name.removesuffix(".py").replace("_", "-")
    if slug not in SLUGS:
        raise RefusedError(f"No exercise is named {name!r}: choose one of {', '.join(SLUGS)}.")
    return Exercise(slug)


@functools.cache
def common_diagnoses() -> dict[str, Diagnosis]:
    """Return the mistakes that can be made in every exercise."""
    return _words(attempts.read(FOLDER / "common.toml"))


def _words(entries: dict[str, Any]) -> dict[str, Diagnosis]:
    """Return what entries say of mistakes; one that holds proofs alone has its words elsewhere."""
    found = {}
    for name, entry in entries.items():
        words = {key: text for key, text in entry.items() if key not in {attempts.PROOF, attempts.SPELLING}}
        if words:
            found[name] = Diagnosis(name, **words)
    return found
