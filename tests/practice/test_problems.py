"""The pages of the exercises say what the command line says; that they are up to date is a matter of the census."""

import re
from pathlib import Path

import pytest

from nnx_state.practice.exercises import Exercise, common_diagnoses, exercises
from nnx_state.practice.reports import address
from workshop.site.problems import page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.slug)
def test_a_page_says_all_that_the_command_line_says(exercise):
    text = page(exercise)
    assert f"\n# Exercise: {exercise.title}\n" in text
    assert text.endswith(f"\nBack to the lesson: [{exercise.title}](../lessons/{exercise.slug}.md).\n")
    assert exercise.problem in text
    assert exercise.solution in text
    assert len(exercise.hints) == len(re.findall(r"^/// details \| Hint", text, re.MULTILINE)) >= 2
    for mistake in exercise.mistakes():
        assert f"- [{mistake.headline}](../{mistake.lesson})" in text


@pytest.mark.parametrize(
    ("part", "other"),
    [("---\n\nWrite", "---\nWrite"), ("## Problem", "## The problem"), ("## Check by hand", "## By hand")],
)
def test_a_statement_that_lacks_a_part_is_named(part, other, tmp_path, monkeypatch):
    (tmp_path / "statement.md").write_text(Exercise("linear").statement.replace(part, other), "utf-8")
    monkeypatch.setattr(Exercise, "folder", tmp_path)
    with pytest.raises(ValueError, match=r"statement\.md lacks a part\. What to do: "):
        page(Exercise("linear"))


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
