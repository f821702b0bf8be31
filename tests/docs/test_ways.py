"""The path through the lessons: ways that leave out nothing that is needed, and the first place of each term."""

import pytest

from nnx_state._lessons import LESSONS, Lesson
from workshop.site import lessons, order, terms, ways
from workshop.site.terms import Page, Place
from workshop.site.tree import ROOT

A, B, C = Lesson("a", "A", "?"), Lesson("b", "B", "?", ("a",)), Lesson("c", "C", "?", ("b",))


def test_a_lesson_needs_what_its_needs_need():
    needs = {"a": (), "b": ("a",), "c": ("b", "x"), "d": ("c",)}
    assert order.all_needs(needs, "d") == {"a", "b", "c", "x"}
    assert order.all_needs(needs, "a") == set()


def test_no_lesson_comes_before_what_it_needs():
    place = {lesson.slug: number for number, lesson in enumerate(LESSONS)}
    needs = {lesson.slug: lesson.needs for lesson in LESSONS}
    for lesson in LESSONS:
        assert all(place[need] < place[lesson.slug] for need in order.all_needs(needs, lesson.slug))


@pytest.mark.parametrize(
    ("way", "complaint"),
    [
        (ways.Way("A", "", without=("x",)), "'A' names x, which is no lesson. What to do: take it out."),
        (ways.Way("A", "", known=("x",)), "'A' names x, which is no lesson."),
        (ways.Way("A", "", without=("a",)), "'A' leaves out a, which b needs. What to do: leave out b too, or keep a."),
        (ways.Way("A", "", without=("a", "b"), known=("a",)), "'A' leaves out b, which c needs."),
    ],
)
def test_a_way_that_leaves_out_what_is_needed_is_refused(way, complaint):
    (found,) = ways.complaints([way], [A, B, C])
    assert found.startswith(f"src/workshop/site/ways.py: {complaint}")


def test_a_way_may_leave_out_what_its_reader_knows_and_what_nothing_needs():
    assert ways.complaints([ways.Way("A", "", without=("a", "c"), known=("a",)), *ways.WAYS], [A, B, C, *LESSONS]) == []


def test_a_way_is_listed_with_its_reading_time():
    way = ways.Way("Mine", "Read on.", without=("b",))
    assert ways.listed([way], {A: 50, B: 7, C: 11}) == "- **Mine**: 2 lessons, 1 hour 1 minute. Read on."


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0 minutes"), (1, "1 minute"), (59, "59 minutes"), (120, "2 hours"), (125, "2 hours 5 minutes")],
)
def test_a_time_is_told_in_hours_and_minutes(minutes, words):
    assert ways.duration(minutes) == words


PAGES = [
    Page(
        "docs/a.md",
        "---\nleaf: 1\n---\n\n# Leaf\n\n`leaf`, [it](leaf.md) leaves.\n\n```python\nleaf\n```\n\n## A `b`\n\n{}\n",
    ),
    Page("docs/b.md", "# B\n\nA *leaf*.\n"),
]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A *leaf* is it.", Place("docs/a.md", 15, True, "a-b")),
        ("*Leaves* is a verb, a *small leaf* a leaf.", Place("docs/a.md", 15, True, "a-b")),
        ("A leaf, a *leaf*.", Place("docs/a.md", 15, False, "a-b")),
        ("It has two leaves.", Place("docs/a.md", 15, False, "a-b")),
        ("A **leaf**.", Place("docs/a.md", 15, False, "a-b")),
        ("Nothing leaves it.", Place("docs/b.md", 3, True, "")),
        ("A [leaf](c.md).", Place("docs/b.md", 3, True, "")),
    ],
)
def test_the_first_place_of_a_term_is_in_prose_and_explains_it_in_italics(text, place):
    first, second = PAGES
    pages = [first._replace(text=first.text.replace("{}", text)), second]
    assert terms.first_places(pages, ["leaf"]) == {"leaf": place}


def test_the_terms_are_linked_to_their_first_places():
    places = {"Param": Place("docs/lessons/b.md", 3, True, ""), "leaf": Place("docs/lessons/a.md", 3, True, "c-d")}
    assert terms.table(places) == "[leaf](a.md#c-d) · [Param](b.md)"


def test_every_term_is_on_the_path():
    assert terms.first_places(lessons.on_the_path(ROOT)).keys() == terms.TERMS.keys()
