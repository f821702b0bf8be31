"""The first page and the path: what a reader sees first, where each step leads, and what is ticked."""

import re

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from nnx_state._lessons import LESSONS
from workshop.pages import read
from workshop.site import install

TITLES = {lesson.slug: lesson.title for lesson in LESSONS}
FIRST, SECOND = (lesson.slug for lesson in LESSONS[:2])


def test_the_program_of_the_home_page_defines_its_labels(pytestconfig):
    program = read(pytestconfig.rootpath / "docs/index.md")[0].code
    assert program.index("class Layer(nnx.Module)") < program.index("nnx.Param(") < program.index("nnx.Variable(")


@pytest.mark.parametrize(("width", "screens"), [(390, 2), (1440, 1)])
def test_the_home_page_says_first_what_it_is_and_answers(context, width, screens):
    """What it is and for whom is on the first screen; on a telephone the answer comes right after."""
    page = context(width=width).new_page()
    page.goto("")
    height = page.evaluate("innerHeight")
    what = page.get_by_text("is a library for neural networks in JAX")
    expect(what).to_contain_text("Flax NNX")
    expect(what).to_contain_text("for those who")
    assert what.bounding_box()["y"] + what.bounding_box()["height"] < height
    answer = page.locator(".first table")
    expect(answer.locator("tr")).to_have_count(6)
    line = page.get_by_text(install.command(), exact=True)
    ways = page.locator("#what-do-you-come-with")
    for shown in (answer, line, ways):
        expect(shown).to_be_visible()
        assert shown.bounding_box()["y"] < screens * height
    words = ("error", "symptom", "library", "older Flax", "Time to learn")
    for word in words:
        expect(page.locator(".ways li").filter(has_text=word)).not_to_have_count(0)


def ends(site, path) -> list[str]:
    """Return where the two steps at the end of a page lead."""
    page = BeautifulSoup((site / path / "index.html").read_text("utf-8"), "html.parser")
    return [link["href"] for link in page.select("#next + ol > li > a")]


def test_each_lesson_and_each_exercise_leads_on_to_the_next_lesson(site):
    following = [f"lessons/{lesson.slug}/" for lesson in LESSONS[1:]] + ["pitfalls/"]
    for lesson, onward in zip(LESSONS, following, strict=True):
        last = lesson is LESSONS[-1]
        next_lesson = f"../../{onward}" if last else f"../{onward.removeprefix('lessons/')}"
        assert ends(site, f"lessons/{lesson.slug}") == [f"../../exercises/{lesson.slug}/", next_lesson]
        assert ends(site, f"exercises/{lesson.slug}") == [f"../../lessons/{lesson.slug}/", f"../../{onward}"]


def test_each_lesson_says_where_it_stands(site):
    for number, lesson in enumerate(LESSONS, start=1):
        page = BeautifulSoup((site / f"lessons/{lesson.slug}/index.html").read_text("utf-8"), "html.parser")
        facts = re.sub(r"\s+", " ", page.select_one(".facts").text)
        assert f"Lesson {number} of {len(LESSONS)}" in facts
        if lesson.needs:
            assert f"after {', '.join(TITLES[slug] for slug in lesson.needs)} " in facts
        own = page.select_one(".md-nav--primary .md-nav__item--active .md-nav__item--active a.md-nav__link")
        assert lesson.question.replace("`", "") in own.text


def test_what_is_done_is_ticked_on_this_machine_until_it_is_cleared(context):
    window = context()
    page = window.new_page()
    page.goto(f"lessons/{FIRST}/")
    own = page.locator(f".md-nav--primary a[href$='/{FIRST}/'] .ticks, .md-nav--primary a[href='./'] .ticks")
    expect(own).to_have_count(0)
    page.locator(".guess input").first.check()
    expect(own).to_have_text("✓ guessed")
    page.locator("#next").scroll_into_view_if_needed()
    expect(own).to_have_text("✓ read, guessed")
    page.locator("#next + ol a").first.click()
    page.wait_for_url(f"**/exercises/{FIRST}/")
    box = page.get_by_label("I passed this exercise")
    expect(box).not_to_be_checked()
    box.check()
    page.locator("#next + ol a").last.click()
    page.wait_for_url(f"**/lessons/{SECOND}/")
    page.goto("lessons/")
    row = page.locator("td > a").first
    expect(row).to_have_text(f"{TITLES[FIRST]}✓ read, guessed, passed")
    expect(page.locator(".ticked")).to_contain_text("1 read, 1 guessed, 1 passed")
    page.get_by_role("button", name="Clear my ticks").click()
    expect(row).to_have_text(TITLES[FIRST])
    expect(page.locator(".ticked")).to_be_hidden()
    page.goto(f"exercises/{FIRST}/")
    expect(box).not_to_be_checked()
    expect(page.locator(".ticks")).to_have_count(0)


def test_what_opens_a_page_in_the_drawer_promises_no_pages_below(context):
    page = context(width=390).new_page()
    page.goto("install/")
    page.locator(".md-header [for=__drawer]").click()
    expect(page.locator(".md-nav--primary .md-nav__item--pruned > a:visible").first).to_be_visible()
    expect(page.locator(".md-nav__item--pruned > a .md-nav__icon:visible")).to_have_count(0)
