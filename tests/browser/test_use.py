"""What a reader does: search, copy, switch colours, move by keyboard, read without scripts."""

import re

import pytest
from playwright.sync_api import expect

from harness.site import fetched
from workshop.pages import read
from workshop.pitfalls import entries, proved, section

LESSON = "lessons/multi-param/"
SEARCH = re.compile("search_index|workers/search")


def test_search_finds_the_lesson_by_keyboard(context):
    page = context().new_page()
    page.goto("")
    page.keyboard.press("/")
    page.keyboard.type("Param Variable")
    results = page.locator(".md-search-result__item > .md-search-result__link")
    results.first.wait_for()
    addresses = [link.get_attribute("href") for link in results.all()[:3]]
    lesson = next((place for place, address in enumerate(addresses) if LESSON in address), None)
    assert lesson is not None, addresses
    for _ in range(20):
        page.keyboard.press("ArrowDown")
        if LESSON in (page.evaluate("document.activeElement.href") or ""):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{LESSON}*")


def test_a_pasted_error_finds_its_pitfall_first(context, pytestconfig):
    """What is pasted is the first line that a page shows, with all that stands in it."""
    docs = pytestconfig.rootpath / "docs"
    errors = {}
    for entry in filter(lambda entry: entry.is_error, entries(docs / "pitfalls.md")):
        shown = (error for page, anchor in entry.proofs for _, error in proved(section(docs / page, anchor)))
        errors[entry.anchor] = next(error for error in shown if entry.covers(error))
    assert len(errors) >= 12
    page = context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto("")
    page.keyboard.press("/")
    field = page.locator("[data-md-component=search-query]")
    sections = page.locator(".md-search-result__item").first.locator(".md-search-result__link[href*='#']")
    missed = []
    for anchor, error in errors.items():
        page.evaluate("text => navigator.clipboard.writeText(text)", f"{error}\nand what follows")
        field.fill("")
        field.press("Control+V")
        try:
            expect(sections.first).to_have_attribute("href", re.compile(f"/pitfalls/(.*)#{anchor}$"), timeout=5000)
        except AssertionError:
            missed.append(f"{error}: {[link.get_attribute('href') for link in sections.all()[:2]]}")
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("width", [390, 1440])
def test_what_the_search_needs_waits_for_the_first_search(context, width):
    window = context(width=width)
    page = window.new_page()
    requests = []
    window.on("request", lambda request: requests.append(request.url))
    page.goto(LESSON, wait_until="networkidle")
    assert not any(map(SEARCH.search, requests))
    assert page.workers == []
    with page.expect_worker(), page.expect_response(re.compile("search_index")):
        page.locator(".md-header [for=__search]:visible, .md-search__input:visible").first.click()
    page.keyboard.type("Variable")
    page.locator(".md-search-result__link").first.wait_for()


@pytest.mark.parametrize("path", ["", LESSON, "pitfalls/", "claims/", "reference/linear/", "notebooks/averages/"])
def test_a_page_fetches_what_its_html_names(context, address, site, path):
    """So the tests of the built site know from the HTML what a page weighs."""
    window = context()
    requests = []
    window.on("request", lambda request: requests.append(request.url))
    window.new_page().goto(path, wait_until="networkidle")
    file = site / path / "index.html"
    assert {site / url.removeprefix(address) for url in requests} == {file.parent, *fetched(file)}


def test_a_click_copies_the_code(context, pytestconfig):
    """That the button of every block copies it is seen where each page is visited."""
    page = context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(LESSON)
    page.locator(".language-python .md-code__button:visible").first.click()
    block, *_ = read(pytestconfig.rootpath / f"docs/{LESSON.rstrip('/')}.md")
    assert page.evaluate("navigator.clipboard.readText()").rstrip() == block.code.rstrip()


def test_output_has_no_copy_button(context):
    page = context().new_page()
    page.goto(LESSON)
    expect(page.locator(".output .md-code__button:visible")).to_have_count(0)
    expect(page.locator(".language-python .md-code__button:visible")).not_to_have_count(0)


def test_colours_follow_the_system_until_chosen_and_the_choice_persists(context):
    page = context(scheme="light").new_page()
    page.goto("")
    body = page.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.locator("[data-md-component=palette] label:visible").click()
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.goto(LESSON)
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    page.locator("[data-md-component=palette] label:visible").click()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    page.emulate_media(color_scheme="light")
    page.reload()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")


def test_the_first_tab_stop_skips_to_the_content(context):
    page = context().new_page()
    page.goto(LESSON)
    page.keyboard.press("Tab")
    skip = page.locator(".md-skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    target = skip.get_attribute("href")
    page.keyboard.press("Enter")
    assert page.url.endswith(target)
    expect(page.locator(f"h1{target}, h2{target}")).to_be_in_viewport()


def test_wide_code_is_scrolled_by_keyboard(context, pages):
    page = context(width=390).new_page()
    page.goto(LESSON, wait_until="load")
    wide = page.locator("pre > code[tabindex='0'][role=group][aria-label]").first
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


def test_a_page_reads_without_scripts(context):
    page = context(java_script_enabled=False).new_page()
    page.goto(LESSON)
    for shown in ("h1", ".language-python code", ".output code", ".md-tabs__link", ".md-footer__link"):
        expect(page.locator(shown).first).to_be_visible()


def test_the_cheat_sheet_prints_on_one_sheet(context):
    page = context().new_page()
    page.goto("cheat-sheet/")
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == 1
