"""What a reader does: search, copy, switch colours, move by keyboard, read without scripts."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from harness.runner import tidy
from harness.site import fetched
from workshop.pages import OLDER, read
from workshop.pitfalls import entries, proved, section

LESSON = "lessons/multi-param/"
SEARCH = re.compile("search_index|workers/search|assets/(search|told|matcher).js|verdicts.json|answers.json")
TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 31, in <module>
    grads = jax.grad(loss)(params, rest)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "train.py", line 24, in loss
    model.count[...] += 1
flax.errors.TraceContextError: Cannot mutate Variable from a different trace level"""
# Results that moved after they stood there.
MOVED = """
window.moved = []
new PerformanceObserver((list) => {
  const nodes = list.getEntries().flatMap(({ sources }) => sources.map(({ node }) => node))
  const results = nodes.filter((node) => node?.closest?.(".md-search-result__item"))
  window.moved.push(...results.map(({ outerHTML }) => outerHTML))
}).observe({ type: "layout-shift", buffered: true })
"""


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


def test_a_pasted_error_is_explained_first(context, pytestconfig):
    """What is pasted is the first line that a page shows, with all that stands in it; a cause is in its entry."""
    docs = pytestconfig.rootpath / "docs"
    errors = {}
    for entry in filter(lambda entry: entry.is_error, entries(docs / "pitfalls")):
        blocks = [entry.blocks, *(section(docs / page, anchor) for page, anchor in entry.proofs)]
        shown = (error for found in blocks for _, error in proved(found))
        places = "|".join([entry.anchor, *(cause.anchor for cause in entry.causes)])
        errors[next(error for error in shown if entry.covers(error))] = re.compile(f"/pitfalls/.*#({places})$")
    assert len(errors) >= 200
    page = context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto("")
    first = page.locator(".md-search-result a[href]").first
    missed = []
    for error, place in errors.items():
        paste(page, f"{error}\nand what follows")
        try:
            expect(first).to_have_attribute("href", place, timeout=2000)
        except AssertionError:
            missed.append(f"{error}: {first.get_attribute('href')}")
    assert len(missed) <= 0.05 * len(errors), "\n".join(missed)


def paste(page, text):
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    field = page.locator("[data-md-component=search-query]")
    field.fill("")
    field.press("Control+V")


def test_a_traceback_is_explained_above_what_is_found(context):
    """All of it is read, though the field has one line; Enter opens the entry, and arrow keys reach it."""
    window = context(permissions=["clipboard-read", "clipboard-write"])
    page = window.new_page()
    page.add_init_script(MOVED)
    page.goto(LESSON)
    page.keyboard.press("/")
    paste(page, TRACEBACK)
    told = page.locator(".md-search-result [role=status]")
    link = told.get_by_role("link")
    expect(told).to_contain_text("has several causes. ")
    expect(link.first).to_have_attribute("href", re.compile("/pitfalls/traces/#trace-context-grad$"))
    expect(page.locator(".md-search-result__item")).not_to_have_count(0)
    assert page.locator("[data-md-component=search-query]").input_value() == TRACEBACK.splitlines()[-1]
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.moved") == []
    page.keyboard.press("ArrowDown")
    expect(link.first).to_be_focused()
    page.keyboard.press("ArrowUp")  # back to the field
    page.keyboard.press("Enter")
    page.wait_for_url("**/pitfalls/traces/#trace-context-grad")


def test_an_unknown_error_is_said_to_be_unknown_and_words_are_left_to_the_search(context):
    page = context().new_page()
    page.goto("")
    page.keyboard.press("/")
    told = page.locator(".md-search-result [role=status]")
    page.keyboard.type("ValueError: no such flower in this vase")
    expect(told).to_contain_text("Not known here: ")
    page.locator("[data-md-component=search-query]").fill("learning rate")
    expect(told).to_be_empty()


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
    page.locator(".language-python .bar__copy:visible").first.click()
    block, *_ = read(pytestconfig.rootpath / f"docs/{LESSON.rstrip('/')}.md")
    assert page.evaluate("navigator.clipboard.readText()").rstrip() == block.code.rstrip()


def test_a_guess_comes_before_its_answer(context):
    """By keyboard: the fold stays shut and sends to the choices; a wrong guess is answered, the right one opens it."""
    page = context().new_page()
    page.goto(LESSON)
    choices, fold = page.locator(".guess [type=radio]"), page.locator("details.answer")
    reasons = page.locator(".guess [role=status]")
    question = page.locator("p:has(+ .guess)").inner_text()
    expect(page.get_by_role("group", name=question)).to_be_visible()
    fold.locator("summary").press("Enter")
    expect(choices.first).to_be_focused()
    expect(fold).not_to_have_attribute("open", re.compile(""))
    page.keyboard.press("Space")
    expect(reasons.first).to_contain_text(re.compile(r"^No\. \w+"))
    expect(fold).not_to_have_attribute("open", re.compile(""))
    page.keyboard.press("ArrowDown")
    expect(reasons.nth(1)).to_contain_text(re.compile(r"^Yes\. \w+"))
    expect(fold).to_have_attribute("open", "")
    expect(fold.locator("li:visible")).to_contain_text(["No."])  # of the choice that was not tried


def test_output_has_no_copy_button(context):
    page = context().new_page()
    page.goto(LESSON)
    expect(page.locator(".output .bar")).to_have_count(0)
    expect(page.locator(".language-python .bar:visible")).not_to_have_count(0)


def test_one_paste_runs_a_block_with_all_that_it_needs(context, pytestconfig):
    """A sample, with blocks among it that must raise; every other program is compared where each page is visited."""
    page = context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto("lessons/filters/")
    page.locator(".bar__all:visible").last.click()
    pasted = page.evaluate("navigator.clipboard.readText()")
    run = subprocess.run([sys.executable, "-c", pasted], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    blocks = read(pytestconfig.rootpath / "docs/lessons/filters.md")
    assert sum(block.raises for block in blocks) >= 3
    on_older = importlib.metadata.version("flax") == OLDER
    outputs = [(block.older if on_older else None) or block.output for block in blocks]
    assert tidy(run.stdout) == tidy("".join(output.text for output in outputs if output))


@pytest.mark.parametrize("width", [390, 1440])
def test_what_is_done_with_code_covers_none_of_it(context, width):
    page = context(width=width).new_page()
    page.goto(LESSON)
    covered = """block => {
        const text = document.createRange()
        text.selectNodeContents(block.querySelector('code'))
        const top = text.getBoundingClientRect().top
        const buttons = [...block.querySelectorAll('.bar > button:not([hidden])')]
        const boxes = buttons.map((button) => button.getBoundingClientRect())
        return [Math.max(...boxes.map(({ bottom }) => bottom)) - top, Math.min(...boxes.map(({ height }) => height))]
    }"""
    for block in page.locator(".highlight:has(> .bar):visible").all():
        over, height = block.evaluate(covered)
        assert over <= 0
        assert height >= 24


@pytest.mark.parametrize("path", ["lessons/split-merge/", "lessons/homes/", LESSON, "coming-from/pytorch/"])
def test_wrong_and_right_stand_beside_each_other_where_there_is_room(context, path):
    """Sign and word tell them apart as well as the colour, and no line is cut off."""
    page = context().new_page()
    page.goto(path)
    wrongs, rights = page.locator(".pair > .wrong"), page.locator(".pair > .right")
    marks = "title => [getComputedStyle(title, '::before').content, getComputedStyle(title, '::before').display]"
    assert wrongs.count() == rights.count() > 0
    for wrong, right in zip(wrongs.all(), rights.all(), strict=True):
        assert wrong.locator("> p").evaluate(marks) == ['"✕ Wrong:"', "inline"]
        assert right.locator("> p").evaluate(marks) == ['"✓ Right:"', "inline"]
    stand_beside_each_other(page, wrongs, rights)


@pytest.mark.parametrize("library", ["pytorch", "linen", "equinox"])
def test_two_spellings_stand_beside_each_other_where_there_is_room(context, library):
    """A model and its step in two libraries; a row of the table is a row on a desk, and three lines on a telephone."""
    page = context().new_page()
    page.goto(f"coming-from/{library}/")
    theirs, ours = page.locator(".pair > .theirs"), page.locator(".pair > .ours")
    assert theirs.count() == ours.count() >= 2
    cells = page.locator(".spellings tbody tr").last.locator("td")
    boxes = [cell.bounding_box() for cell in cells.all()]
    assert len({box["y"] for box in boxes}) == 1
    stand_beside_each_other(page, theirs, ours)  # which leaves a telephone
    boxes = [cell.bounding_box() for cell in cells.all()]
    assert len({box["x"] for box in boxes}) == 1
    assert boxes[0]["y"] < boxes[1]["y"] < boxes[2]["y"]
    assert page.locator(".spellings .md-typeset__scrollwrap").evaluate("box => box.scrollWidth - box.clientWidth") <= 0


def test_an_old_line_and_what_to_write_are_read_together_on_a_telephone(context):
    page = context(width=390).new_page()
    page.goto("upgrading/")
    tables = page.locator(".rewrites .md-typeset__scrollwrap")
    hidden = tables.evaluate_all("all => all.map((one) => one.scrollWidth - one.clientWidth)")
    assert len(hidden) > 1
    assert max(hidden) <= 0
    old, met, write = (cell.bounding_box() for cell in page.locator(".rewrites tbody tr").first.locator("td").all())
    assert old["x"] == met["x"] == write["x"]


def stand_beside_each_other(page, lefts, rights):
    """On a desk each pair is a row in which no line is cut off; on a telephone the second stands below the first."""
    for left, right in zip(lefts.all(), rights.all(), strict=True):
        a, b = left.bounding_box(), right.bounding_box()
        assert (a["y"], a["height"]) == (b["y"], b["height"])
        assert a["x"] + a["width"] < b["x"]
    hidden = page.locator(".pair code").evaluate_all("all => all.map((one) => one.scrollWidth - one.clientWidth)")
    assert max(hidden) <= 0
    page.set_viewport_size({"width": 390, "height": 900})
    a, b = lefts.first.bounding_box(), rights.first.bounding_box()
    assert (a["x"], a["width"]) == (b["x"], b["width"])
    assert a["y"] + a["height"] < b["y"]


def test_lines_wrap_hang_and_stay_so(context):
    """What is hidden fades out until then, and the copied text stays as it is written."""
    window = context(width=390, permissions=["clipboard-read", "clipboard-write"])
    page = window.new_page()
    page.goto(LESSON)
    wide = page.locator(".language-python:has(> .bar > .bar__wrap:not([hidden]))").first
    expect(wide.locator("code[data-more]")).to_have_count(1)
    wide.locator(".bar__copy").click()
    written = page.evaluate("navigator.clipboard.readText()")
    expect(page.get_by_text("Copied to clipboard")).to_be_visible()
    wide.get_by_role("button", name="Wrap lines", pressed=False).click()
    expect(page.locator("code[data-more]:visible")).to_have_count(0)
    page.goto("lessons/linear/")
    expect(page.get_by_role("button", name="Wrap lines", pressed=True).first).to_be_visible()
    page.goto(LESSON)
    widths = page.locator("pre > code:visible").evaluate_all(
        "all => all.map((one) => one.scrollWidth - one.clientWidth)"
    )
    assert max(widths) <= 0
    below = """lines => lines.flatMap((line) => {
        const text = document.createRange()
        text.selectNodeContents(line)
        const edge = line.getBoundingClientRect().left
        const [first, ...others] = [...text.getClientRects()].filter(({ width }) => width)
        return others.filter(({ top }) => top > first.bottom).map(({ left }) => left - edge)
    })"""
    hanging = wide.locator(".line").evaluate_all(below)
    assert min(hanging) > 24  # pixels
    wide.locator(".bar__copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == written


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
    for shown in ("h1", ".language-python code", "article > .output code", ".md-tabs__link", ".md-footer__link"):
        expect(page.locator(shown).first).to_be_visible()
    expect(page.locator("ol:has(+ .answer) > li")).to_have_text([re.compile(r"\w")] * 3)
    page.locator(".answer > summary").click()
    expect(page.locator(".answer li:visible")).to_have_text([re.compile(r"^(Yes|No)\. \w")] * 3)
