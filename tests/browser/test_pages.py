"""Every page: quiet, at home, its code copied as written; accessible and no wider than its window in both looks.

Loading a page takes longest, so each is loaded once, and all that is asked of it is asked then. What a look can change
is seen in both; `look.js` says what axe is spared.
"""

import re
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from workshop.pages import Block, read

LOOKS = [("light", 390), ("dark", 1440)]  # a telephone and a desk; colours do not depend on the width
PALETTE = {"light": "default", "dark": "slate"}  # as the theme names them
LOOK = Path(__file__).with_name("look.js")
KINDS = ["error", "request to elsewhere", "wrong copy", "overflow", "fault that axe finds"]


def with_tools(page):
    """Give each document that a page opens axe and our own functions."""
    page.add_init_script(AXE_SCRIPT)
    page.add_init_script(path=LOOK)
    return page


def take_on(page, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", PALETTE[scheme])


def written(docs: Path, path: str) -> tuple[Block, ...] | None:
    """Return the blocks of a page's source; None for a page that shows sources or has none."""
    if path.startswith(("reference", "claims/")):
        return None
    places = [docs / f"{path}index.md", docs / f"{path.rstrip('/')}.md", docs / f"{path.rstrip('/')}.py"]
    return next((read(place) for place in places if place.exists()), None)


def wrong_copies(blocks: tuple[Block, ...], texts: list[str | None]) -> list[str]:
    """Compare blocks with what their buttons copied; of a set of tabs one is in sight, the others are like it."""
    if len(blocks) != len(texts) or (blocks and not any(texts)):
        return [f"{len(blocks)} blocks are written, copied is {texts}"]
    wrong = []
    for block, text in zip(blocks, texts, strict=True):
        code = re.sub(r"# \(\d+\)!$", "", block.code, flags=re.MULTILINE)  # an annotation is no part of the code
        if text is not None and text.rstrip() != code.rstrip():
            wrong.append(f"{block}: copied is {text!r}")
        compile(text or code, str(block), "exec")
    return wrong


def faults(page) -> list[tuple[str, str]]:
    """Return what is wrong with the look of a page as it is now, each with its kind."""
    wider = page.evaluate("look.wider()")
    overflow = [("overflow", f"{wider} px wider than the window")] if wider > 0 else []
    return overflow + [("fault that axe finds", fault) for fault in page.evaluate("look.faults()")]


@pytest.fixture(scope="module")
def found(open_window, address, pages, pytestconfig) -> dict[str, list[str]]:
    """Visit all pages, and return what is wrong with them, by kind."""
    wrong = {kind: [] for kind in KINDS}
    looks = LOOKS.copy()

    def note(kind, message):
        wrong[kind].append(f"{page.url} {scheme} {width} px: {message}")

    with open_window(permissions=["clipboard-read", "clipboard-write"]) as window:
        page = with_tools(window.new_page())
        page.on("console", lambda message: note("error", message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: note("error", error))
        page.on("request", lambda r: None if r.url.startswith(address) else note("request to elsewhere", r.url))
        for path in pages:
            scheme, width = looks[0]
            page.goto(path)
            page.evaluate("look.reveal()")
            page.evaluate("look.thin()")
            for scheme, width in looks:
                take_on(page, scheme, width)
                for kind, message in faults(page):
                    note(kind, message)
            if (blocks := written(pytestconfig.rootpath / "docs", path)) is not None:
                page.wait_for_function("look.hasButtons()")
                for message in wrong_copies(blocks, page.evaluate("look.copied()")):
                    note("wrong copy", message)
            looks.reverse()  # the next page begins in the look that this one ends in
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_no_page_has_a(found, kind):
    assert not found[kind], "\n".join(found[kind])


DAMAGE = [
    ("slate", ".md-typeset p:nth-of-type(2) { color: #444 }", "color-contrast: 1 times"),
    ("slate", ".md-typeset p:nth-of-type(2) { background: #aaa }", "color-contrast: "),
    ("default", ".md-typeset p:nth-of-type(2) { color: #888 }", "color-contrast: 1 times"),
    ("default", ".md-typeset { width: 3000px }", "px wider than the window"),
]


def test_damage_to_one_look_is_seen_in_it_alone(context):
    """What axe is spared does not hide one text among others."""
    page = with_tools(context().new_page())
    page.goto("")
    page.evaluate("look.thin()")
    for palette, style, message in DAMAGE:
        damage = page.add_style_tag(content=f"[data-md-color-scheme={palette}] {style}")
        for scheme, width in LOOKS:
            take_on(page, scheme, width)
            messages = " ".join(text for _, text in faults(page))
            assert (message in messages) == (PALETTE[scheme] == palette), messages
        damage.evaluate("style => style.remove()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_is_accessible(context, scheme):
    page = with_tools(context(scheme=scheme).new_page())
    page.goto("")
    page.keyboard.press("/")
    page.keyboard.type("Param")
    page.locator(".md-search-result__link").first.wait_for()
    assert page.evaluate("look.faults()") == []
