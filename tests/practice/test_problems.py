"""The pages of the exercises are those that the command line's texts give, as they are now."""

import re
from pathlib import Path

import pytest
import yaml

from nnx_state.practice.exercises import SLUGS, common_diagnoses, exercises
from nnx_state.practice.reports import address
from workshop.site.problems import page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.slug)
def test_a_page_is_that_of_its_exercise(exercise):
    committed = (DOCS / "exercises" / f"{exercise.slug}.md").read_text("utf-8")
    assert committed == page(exercise), "What to do: python noxfile.py generate"


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.slug)
def test_a_page_says_all_that_the_command_line_says(exercise):
    text = page(exercise)
    assert exercise.problem in text
    assert exercise.solution in text
    assert len(exercise.hints) == len(re.findall(r"^/// details \| Hint", text, re.MULTILINE)) >= 2
    for mistake in exercise.mistakes():
        assert f"- [{mistake.headline}](../{mistake.lesson})" in text


def test_the_exercises_are_in_the_order_of_the_lessons():
    nav = yaml.load((DOCS.parent / "mkdocs.yml").read_text("utf-8"), Loader=yaml.BaseLoader)["nav"]
    for part, first in (("Lessons", "lessons/index.md"), ("Exercises", "exercises/index.md")):
        (pages,) = [entry[part] for entry in nav if part in entry]
        assert pages[0] == first
        assert [Path(entry).stem for entry in pages[1:]] == list(SLUGS)


def test_every_word_for_all_exercises_leads_to_a_page():
    for diagnosis in common_diagnoses().values():
        assert (DOCS / diagnosis.lesson.partition("#")[0]).exists()


@pytest.mark.parametrize(
    ("lesson", "path"),
    [
        ("lessons/linear.md", "lessons/linear/"),
        ("lessons/linear.md#see", "lessons/linear/#see"),
        ("lessons/index.md", "lessons/"),
        ("pitfalls.md#x", "pitfalls/#x"),
    ],
)
def test_a_lesson_has_an_address(lesson, path, monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)
    assert address(lesson) == path
    monkeypatch.setenv("SITE_URL", "https://a.test/b/")
    assert address(lesson) == f"https://a.test/b/{path}"
