"""The box for a pasted error: it says what the terminal says, loads what it needs at first use, and sends nothing."""

import json
import random
import re

import pytest
from playwright.sync_api import expect

from answers.test_matcher import CHANGES, QUESTIONS
from harness.hard import hard_texts
from nnx_state.answers import answer
from nnx_state.answers.entries import load
from workshop.confusion import recorded

KNOWN = "Traceback (most recent call last):\n  …\nValueError: Non-exhaustive filters, got a non-empty remainder: {}"


def fuzzed(count):
    """Yield pastes put together by chance."""
    chance = random.Random(0)
    texts = [paste.text[-400:] for paste in recorded()] + [words for words, _ in load().phrases]
    pieces = [*texts, "\n", "\r\n", "\x1b[31m", "E   ", "(pid=1) ", "Error: ", "…", "...", "🙂", "\u00a0", "'", "nnx"]
    for _ in range(count):
        chosen = (chance.choice(pieces)[: chance.randint(1, 300)] for _ in range(chance.randint(1, 8)))
        yield "".join(chosen)


def test_the_browser_gives_the_answers_of_the_terminal(context):
    pastes = [paste.text for foreign in (False, True) for paste in recorded(foreign)]
    cases = [*pastes, *QUESTIONS["known"], *QUESTIONS["unknown"], *map(CHANGES["wrapped"], pastes[::7]), *fuzzed(300)]
    page = context().new_page()
    page.goto("pitfalls/")
    given = page.evaluate(
        """async (cases) => {
            const [{ answer, parsed }, data] = await Promise.all([
                import(new URL("../assets/matcher.js", location)),
                fetch("answers.json").then((answer) => answer.json()),
            ])
            const entries = parsed(data)
            return cases.map((pasted) => answer(pasted, entries))
        }""",
        cases,
    )
    differ = [
        case for case, one in zip(cases, given, strict=True) if one != json.loads(json.dumps(answer(case).data()))
    ]
    assert differ == []


@pytest.mark.parametrize(("path", "width"), [("", 390), ("pitfalls/", 1440)])
def test_a_paste_is_answered_in_the_page(context, path, width):
    window = context(width=width)
    page = window.new_page()
    page.goto(path, wait_until="networkidle")
    requests = []
    window.on("request", lambda request: requests.append(request))
    field = page.get_by_label("It stays in this page")
    field.fill(KNOWN)
    told = page.locator(".answers [role=status]")
    link = told.get_by_role("link", name="Non-exhaustive filters")
    expect(link).to_have_attribute("href", re.compile("/pitfalls/filters-gradients/#non-exhaustive$"))
    fetched = {request.url.rpartition("/")[2] for request in requests} - {"logo.svg"}
    assert fetched == {"told.js", "matcher.js", "answers.json"}
    assert not any(request.post_data or "?" in request.url for request in requests)
    field.press("Tab")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/pitfalls/filters-gradients/#non-exhaustive")
    assert "exhaustive filters" not in page.url


def test_what_is_hard_is_answered_as_fast_as_it_is_read(context):
    page = context().new_page()
    page.goto("pitfalls/")
    field = page.get_by_label("It stays in this page")
    texts = hard_texts(1_000_000)
    for hard in ("heads", "lines of heads", "spaces"):
        field.evaluate("(field, text) => { field.value = text; field.dispatchEvent(new Event('input')) }", texts[hard])
        expect(page.locator(".answers [role=status]")).to_contain_text("Not known here")
        field.fill("")
        expect(page.locator(".answers [role=status]")).to_be_empty()


def test_without_scripts_all_entries_are_listed(context):
    page = context(java_script_enabled=False).new_page()
    page.goto("pitfalls/")
    expect(page.locator(".answers")).to_be_hidden()
    expect(page.locator("#in-place")).to_be_visible()
