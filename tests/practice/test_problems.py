"""The pages of the exercises say what the command line says; that they are up to date is a matter of the census."""

import email
import importlib.metadata
import re
from pathlib import Path

import pytest

from nnx_state import _pages
from nnx_state._addresses import address, reached
from nnx_state._outcome import RefusedError
from nnx_state.practice.exercises import Exercise, common_diagnoses, exercises
from workshop.site.problems import page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.slug)
def test_a_page_says_all_that_the_command_line_says(exercise):
    text = page(exercise)
    assert f"\n# Exercise: {exercise.title}\n" in text
    back = f"1. [Lesson: {exercise.title}](../lessons/{exercise.slug}.md). What you need, explained once more."
    assert f"\n## Next\n\n{back}\n" in text
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
    ("lesson", "path", "command"),
    [
        ("lessons/linear.md", "lessons/linear/", "linear"),
        ("lessons/linear.md#see", "lessons/linear/#see", "linear#see"),
        ("lessons/index.md", "lessons/", "index"),
        ("reference/linear.md", "reference/linear/", "reference/linear"),
        ("pitfalls.md#x", "pitfalls/#x", "pitfalls#x"),
    ],
)
def test_a_page_is_reached_by_its_address_or_by_a_command(lesson, path, command, monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)
    assert address(lesson) == path
    assert reached(lesson) == f"`nnx-state lesson {command}`"
    published = email.message_from_string(
        "Project-URL: Source, https://s.test\nProject-URL: Documentation, https://d.test"
    )
    with monkeypatch.context() as installed:
        installed.setattr(importlib.metadata, "metadata", {"nnx-state": published}.get)
        assert reached(lesson) == f"https://d.test/{path}"
    monkeypatch.setenv("SITE_URL", "https://a.test/b/")
    assert reached(lesson) == f"https://a.test/b/{path}"


def test_every_page_that_is_named_can_be_shown(monkeypatch):
    monkeypatch.delenv("SITE_URL", raising=False)
    named = {diagnosis.lesson for one in exercises() for diagnosis in one.diagnoses.values()}
    for lesson in sorted(named | {diagnosis.lesson for diagnosis in common_diagnoses().values()}):
        shown = _pages.page(reached(lesson).removeprefix("`nnx-state lesson ").removesuffix("`"))
        assert shown.startswith("#")
        for unshown in ("```{", ".md", "\n///", "<!--"):
            assert unshown not in shown


@pytest.mark.parametrize(
    ("before", "today"),
    [
        ("pitfalls#in-place", "pitfalls/reading-writing#in-place"),
        ("training#the-first-gate-the-gradient", "gradients#the-type-decides-or-a-filter-of-yours"),
        ("cost#memory-for-every-array", "memory#memory-for-every-array"),
        ("large-models#what-a-step-keeps", "memory#what-a-step-keeps"),
        ("large-models#a-step-that-forgets-what-it-counted", "memory#a-step-that-forgets-what-it-counted"),
        ("vmap-scan#layers-in-turn", "scan#layers-in-turn"),
    ],
)
def test_a_section_that_has_moved_is_shown_by_its_old_name(before, today):
    assert _pages.page(before) == _pages.page(today)
    assert "{ #" not in _pages.page(before.partition("#")[0])


def test_a_page_or_a_heading_that_is_not_there_is_told():
    with pytest.raises(RefusedError, match=r"No lesson is named '\.\./linear': choose one of batch-stats, caches"):
        _pages.page("../linear")
    with pytest.raises(RefusedError, match="linear has no heading 'nothing': choose one of linear, predict, run"):
        _pages.page("linear#nothing")
