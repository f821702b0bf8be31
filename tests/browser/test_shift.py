"""What a reader looks at stays where it is: nothing moves while a page loads, at its top or at an anchor."""

import re

import pytest

from nnx_state.claims.registry import claims

MOST = 0.02  # the score of all shifts while a page loads, as Chromium counts it
COMPARED = "claims/?from=0.11.2&to=0.12.8#found"
PAGES = [
    "",
    "lessons/",
    "lessons/multi-param/",
    "lessons/multi-param/#when-it-goes-wrong",
    "exercises/multi-param/",
    "claims/",
    "claims/?text=orbax",
    COMPARED,
    "claims/metadata/",
    "claims/metadata/#repr-names-the-types",
    "pitfalls/",
    "pitfalls/#trace-context",
    "cheat-sheet/",
    "upgrading/#flax-011",
    "coming-from/pytorch/",
    "reference/linear/",
    "notebooks/averages/",
    "404.html",
]
WATCH = """
window.shifted = []
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    const places = sources.map(({ node }) => node?.outerHTML?.slice(0, 80) ?? node?.textContent?.slice(0, 80))
    if (!hadRecentInput) window.shifted.push([value, ...places])
  }
}).observe({ type: 'layout-shift', buffered: true })
"""


def settled(page):
    page.wait_for_load_state("networkidle")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def score(page) -> tuple[float, list]:
    shifts = page.evaluate("window.shifted")
    return sum(value for value, *_ in shifts), shifts


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_moves_while_a_page_loads(context, width):
    page = context(width=width).new_page()
    page.add_init_script(WATCH)
    moved = []
    for path in PAGES:
        page.goto("about:blank")  # one that differs in its anchor alone would not be loaded
        page.goto(path)
        settled(page)
        total, shifts = score(page)
        if total > MOST:
            moved.append(f"{path} {total:.3f} {shifts}")
    assert moved == []


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["", "claims/", "claims/?text=orbax", "lessons/linear/"])
def test_nothing_moves_while_a_page_comes_slowly(context, path, width):
    """It is shown before the whole of it is there, and the half of a form has the size of the whole."""
    page = context(width=width).new_page()
    page.add_init_script(WATCH)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    slow = {"latency": 100, "downloadThroughput": 100_000, "uploadThroughput": 100_000}  # milliseconds, bytes a second
    devtools.send("Network.emulateNetworkConditions", {"offline": False, **slow})
    page.goto(path)
    settled(page)
    total, shifts = score(page)
    assert total <= MOST, shifts


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["lessons/", "claims/metadata/", "coming-from/pytorch/", "reference/"])
def test_nothing_moves_while_a_page_comes_in_pieces(context, address_in_pieces, path, width):
    """The widths of a table's columns are known with its last row."""
    page = context(width=width).new_page()
    page.add_init_script(WATCH)
    page.goto(address_in_pieces + path)
    settled(page)
    total, shifts = score(page)
    assert total <= MOST / 2, shifts
    tables = page.locator("article table").locator("visible=true")
    assert tables.count() > 0


def paste(page):
    page.locator(".answers textarea").click()
    page.keyboard.insert_text("TraceContextError: Cannot mutate Param from a different trace level")


def search(page):
    page.locator("label[for=__search].md-header__button, .md-search__input").locator("visible=true").first.click()
    page.keyboard.type("freeze a layer")


def choose(page):
    page.get_by_label("Search the claims").click()
    page.keyboard.type("orbax")


LATE = {  # what comes late to a page, what a reader does before it comes, and what it brings
    "the comparison": (COMPARED, "**/verdicts.json", None, ".claims__found li"),
    "a search among claims": ("claims/?text=orbax", "**/verdicts.json", None, ".claims__found li"),
    "a choice of claims": ("claims/", "**/verdicts.json", choose, ".claims__found li"),
    "an answer on the first page": ("", "**/answers.json", paste, ".answers__told a"),
    "an answer among pitfalls": ("pitfalls/", "**/answers.json", paste, ".answers__told a"),
    "the search": ("lessons/linear/", "**/search_index.json", search, ".md-search-result__item"),
    "what is ticked": ("lessons/", "**/path.js", None, ".ticked:not([hidden])"),
    "ticks of a lesson": ("lessons/linear/", "**/path.js", None, "#next + ol .ticks"),
    "the scripts of the first page": ("", "**/*.js", None, ".answers textarea"),
    "the scripts of a lesson": ("lessons/homes/", "**/*.js", None, ".bar"),
    "the scripts of claims": (COMPARED, "**/*.js", None, ".claims__found li"),
    "the scripts of two libraries": ("coming-from/pytorch/", "**/*.js", None, ".spellings .md-typeset__table"),
}


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("what", LATE)
def test_nothing_moves_when_what_is_fetched_comes_late(context, what, width):
    """It is held back until all else is still, on a slow machine, so that its place has to be kept."""
    path, late, act, brought = LATE[what]
    page = context(width=width).new_page()
    page.goto("404.html")  # a place of the site, to remember there what was done
    page.evaluate("__md_set('path', { linear: ['read', 'guessed', 'passed'], homes: ['read', 'passed'] })")
    page.add_init_script(WATCH)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    held = []

    def hold(route):
        held.append(route)

    page.route(late, hold)
    if act:
        page.goto(path)
        settled(page)
        act(page)
    else:
        page.goto(path, wait_until="commit")
    page.locator("h1").wait_for()
    while not held:
        page.wait_for_timeout(100)
    page.wait_for_timeout(1000)  # what moves within half a second of a key or a tap is not counted
    assert page.locator(brought).count() == 0
    for route in held:  # which grows while what came asks for more
        route.continue_()
    page.unroute(late)
    page.locator(brought).first.wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    total, shifts = score(page)
    assert total <= MOST, shifts


def test_a_shift_is_seen(context):
    page = context().new_page()
    page.add_init_script(WATCH)
    page.goto("claims/")
    settled(page)
    page.evaluate("document.querySelector('h1').style.marginBottom = '20rem'")
    settled(page)
    page.wait_for_function("window.shifted.length > 0")
    assert score(page)[0] > MOST


def test_where_a_link_leads_nothing_is_covered(context):
    """The header and the heads of a table lie over the page; what an address names comes below them."""
    last = [name for name, one in claims().items() if one.topic == "metadata"][6]
    page = context(width=800).new_page()
    for path in (f"claims/metadata/#{last}", COMPARED, "pitfalls/#trace-context"):
        page.goto("about:blank")
        page.goto(path)
        settled(page)
        anchor = re.sub(".*#", "", path)
        place = page.locator(f"[id='{anchor}']")
        box = place.bounding_box()
        assert 0 < box["y"] < 300, path
        covering = page.evaluate(
            "([x, y]) => document.elementFromPoint(x, y).closest('thead, header')?.outerHTML ?? ''",
            [box["x"] + 5, box["y"] + 2],
        )
        assert covering == "", path
