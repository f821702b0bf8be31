"""A lesson has its files, follows the template, and has no words left to write; nothing is left of one that is gone."""

import re
from collections.abc import Iterator
from pathlib import Path

from nnx_state._lessons import LESSONS
from workshop.census.repository import Repository
from workshop.new import layout
from workshop.pages import read
from workshop.site import downloads
from workshop.site.order import LIST

SECTIONS = ["Predict", "Run", "See", "When it goes wrong", "Check yourself", "Next"]
OPTIONAL = "Without this package"  # before "Check yourself", where a helper of this package was used


def lessons_have_their_files(repository: Repository) -> Iterator[str]:
    """Every lesson of the list has its page, module, test, exercise and reference."""
    for lesson in LESSONS:
        if missing := [path for path in layout.needed(lesson) if not (repository.root / path).is_file()]:
            fix = f"python noxfile.py new -- {lesson.slug}"
            yield f"{lesson.slug}: this lesson lacks {', '.join(missing)}. What to do: write it, or {fix} lays it out."


def reference_shows_its_module(repository: Repository) -> Iterator[str]:
    """The reference page of a lesson shows its module."""
    for lesson in LESSONS:
        page = repository.docs / "reference" / f"{lesson.slug}.md"
        directive = f"::: nnx_state.{lesson.module}"
        if page.exists() and directive not in page.read_text("utf-8").splitlines():
            yield f"{repository.name(page)}: it does not show its module. What to do: write `{directive}`."


def lessons_follow_the_template(repository: Repository) -> Iterator[str]:
    """The page of a lesson has the sections of every lesson, and opens with a term in italics."""
    for page in repository.lessons:
        name, text = repository.name(page), page.read_text("utf-8")
        sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
        if sections not in (SECTIONS, [*SECTIONS[:-2], OPTIONAL, *SECTIONS[-2:]]):
            fix = f"write {', '.join(SECTIONS)}, in this order; {OPTIONAL} may stand before Check yourself"
            yield f"{name}: its sections are others. What to do: {fix}."
        opening = text.partition("\n---\n\n# ")[2].partition("\n\n")[2].partition("\n\n")[0]
        if not re.search(r"(?<!\*)\*[^*\n]+\*(?!\*)", opening):
            yield f"{name}: it sets no term in italics. What to do: open with one sentence that defines it."


def predictions_are_choices(repository: Repository) -> Iterator[str]:
    """A lesson asks for a guess among two to four choices, and says of each why it is so or not."""
    choice = re.compile(r"^\d\. ", re.MULTILINE)
    reason = re.compile(r"^\d\. \*\*(Yes|No)\.\*\* ", re.MULTILINE)
    for page in repository.lessons:
        before, _, after = page.read_text("utf-8").partition("\n\n/// answer | Answer\n\n")
        choices = choice.findall(before.rpartition("\n\n")[2])
        told = after.partition("\n\n")[0]
        reasons = reason.findall(told)
        numbered = 2 <= len(choices) == len(choice.findall(told)) == len(reasons) <= 4
        if not numbered or reasons.count("Yes") != 1:
            fix = (
                "What to do: number 2 to 4 choices above the answer, and a reason for each in it, one with `**Yes.**`."
            )
            yield f"{repository.name(page)}: its prediction is not a choice. {fix}"


def predictions_fit_a_telephone(repository: Repository) -> Iterator[str]:
    """The program that a reader is to predict has lines of 60 characters at most: a smaller part of it is no riddle."""
    for page in repository.lessons:
        run = page.read_text("utf-8").partition("\n## Run\n")[0].count("\n")
        for block in read(page):
            for number, line in enumerate(block.code.splitlines() if block.line < run else (), start=block.line):
                if len(line) > 60:
                    fix = "What to do: give its longest part a name of its own."
                    place = f"{repository.name(page)}:{number}"
                    yield f"{place}: this line of the prediction has {len(line)} characters. {fix}"


def nothing_is_left_to_write(repository: Repository) -> Iterator[str]:
    """No file of a lesson holds words of the template that say what is to be written in their place."""
    for path in (LIST, *(path for lesson in LESSONS for path in layout.needed(lesson))):
        file = repository.root / path
        for number, line in enumerate(file.read_text("utf-8").splitlines() if file.exists() else (), start=1):
            if found := layout.TO_WRITE.search(line):
                yield f"{path}:{number}: not written yet. What to do: write {found[1]}"


def nothing_is_left_of_a_lesson(repository: Repository) -> Iterator[str]:
    """No notebook and no exercise belongs to a lesson that is not in the list."""
    slugs = {lesson.slug for lesson in LESSONS}
    modules = {lesson.module for lesson in LESSONS}
    practice: set[Path] = {path.parent for path in repository.package.glob("practice/*/*.*")}
    left = [path for path in practice if path.name not in modules and path.name != "__pycache__"]
    left += [path for path in (repository.docs / downloads.FOLDER).glob("*") if path.stem not in slugs]
    for path in sorted(left):
        yield f"{repository.name(path)}: it belongs to no lesson. What to do: remove it, or add its lesson to {LIST}."
