"""Every page: quiet, at home, its code copied as written; accessible and no wider than its window in both looks.

Loading a page takes longest, so each is loaded once, and all that is asked of it is asked then. What a look can change
is seen in both; `look.js` says what axe is spared.
"""

import ast
import json
import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from harness.census import sources_of
from nnx_state._lessons import LESSONS
from workshop.pages import Block, chain, read

LOOKS = [("light", 390), ("dark", 1440)]  # a telephone and a desk; colours do not depend on the width
PALETTE = {"light": "default", "dark": "slate"}  # as the theme names them
LOOK = Path(__file__).with_name("look.js")
KINDS = ["error", "request to elsewhere", "wrong copy", "wrong program", "overflow", "fault that axe finds"]


def with_tools(page):
    """Give each document that a page opens axe and our own functions; each lesson is ticked as read already."""
    ticks = json.dumps({lesson.slug: ["read"] for lesson in LESSONS})
    page.add_init_script(f"localStorage.setItem('/.path', {json.dumps(ticks)})")
    page.add_init_script(AXE_SCRIPT)
    page.add_init_script(path=LOOK)
    return page


def take_on(page, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("body")).to_have_attribute("data-md-color-scheme", PALETTE[scheme])


def source(docs: Path, path: str) -> Path | None:
    """Return the file that a page is made of; the page for wrong addresses has none."""
    places = [docs / f"{path}index.md", docs / f"{path.rstrip('/')}.md", docs / f"{path.rstrip('/')}.py"]
    return next((place for place in places if place.exists()), None)


def wrong_copies(blocks: tuple[Block, ...], texts: list[str | None]) -> list[str]:
    """Compare blocks with what their buttons copied; of a set of tabs one is in sight, the others are like it."""
    if len(blocks) != len(texts) or (blocks and not any(texts)):
        return [f"{len(blocks)} blocks are written, copied is {texts}"]
    wrong = []
    for block, text in zip(blocks, texts, strict=True):
        if text is not None and text.rstrip() != code_of(block):
            wrong.append(f"{block}: copied is {text!r}")
        compile(code_of(block), str(block), "exec")
    return wrong


def copies(page) -> list[str | None]:
    """Return what the button of each block copies, a few blocks at a time."""
    texts = []
    while part := page.evaluate(f"look.copied({len(texts)}, 5)"):
        texts += part
    return texts


def program(blocks: tuple[Block, ...], block: Block) -> str | None:
    """Return all that a block needs as one program; None for a block that goes on from no other.

    The runner has executed just this: block by block in one namespace, where a block that must raise ends early and
    the next one goes on. So no process needs to execute every program again.
    """
    *before, last = chain(blocks, block)
    parts = [caught(code_of(one)) if one.raises else code_of(one) for one in before]
    return "\n\n".join([*parts, code_of(last)]) if before else None


def code_of(block: Block) -> str:
    return re.sub(r"# \(\d+\)!$", "", block.code, flags=re.MULTILINE).rstrip()  # an annotation is no part of the code


def caught(code: str) -> str:
    """Return a block that must raise, with its error caught; a text in it that the indentation changes is seen here."""
    indented = textwrap.indent(code, "    ")
    guarded = f'try:\n{indented}\nexcept Exception as error:\n    print(f"{{type(error).__name__}}: {{error}}")'
    inside = ast.parse(guarded).body[0].body
    assert list(map(ast.dump, inside)) == list(map(ast.dump, ast.parse(code).body)), code
    return guarded


def programs(sources: list[Path]) -> Counter[str]:
    """Return the program of each block of some files."""
    return Counter(filter(None, (program(read(source), block) for source in sources for block in read(source))))


def faults(page, of_the_look_alone: bool = False) -> list[tuple[str, str]]:
    """Return what is wrong with a page as it is now, or what another look can make wrong, each with its kind."""
    wider = page.evaluate("look.wider()")
    chosen = json.dumps({"ofTheLookAlone": of_the_look_alone})
    overflow = [("overflow", f"{wider} px wider than the window")] if wider > 0 else []
    return overflow + [("fault that axe finds", fault) for fault in page.evaluate(f"look.faults({chosen})")]


@pytest.fixture(scope="module")
def found(open_window, address, pages, pytestconfig) -> dict[str, list[str]]:
    """Visit all pages, and return what is wrong with them, by kind."""
    wrong = {kind: [] for kind in KINDS}
    looks = LOOKS.copy()
    docs = pytestconfig.rootpath / "docs"

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
                for kind, message in faults(page, of_the_look_alone=(scheme, width) != looks[0]):
                    note(kind, message)
            looks.reverse()  # the next page begins in the look that this one ends in
            if (written := source(docs, path)) is None:
                continue
            expected = programs(sources_of(written, docs))
            copied = Counter(filter(None, page.evaluate("look.programs()")))
            for text in (copied - expected) + (expected - copied):
                note("wrong program", f"only copied or only written is {text!r}")
            if not path.startswith(("reference", "claims/")):  # these show sources too
                for message in wrong_copies(read(written), copies(page)):
                    note("wrong copy", message)
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
