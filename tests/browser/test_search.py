"""The search: what people ask for leads first to where they would go."""

import re

import pytest
from playwright.sync_api import expect

from workshop.pages import read

TABLE = "tests/browser/queries.tsv"
TAB = "\t"
# The answer of the theme to a query, told when the last result of it stands there.
ANSWERS = """async queries => {
  const field = document.querySelector("[data-md-component=search-query]")
  const list = document.querySelector(".md-search-result__list")
  const shown = () => [...list.querySelectorAll(":scope > li")].map(item => [...item.querySelectorAll("a")].map(
    ({href, textContent}) => ({href: href.slice(document.baseURI.length), text: textContent})))
  const answers = []
  for (const query of queries) {
    const answered = new Promise(resolve => new MutationObserver((_, observer) => {
      observer.disconnect()
      resolve()
    }).observe(document.querySelector(".md-search-result__meta"), {childList: true}))
    field.value = query
    field.dispatchEvent(new Event("input", {bubbles: true}))
    await answered
    await new Promise(requestAnimationFrame)
    answers.push(shown().slice(0, 3))
  }
  return answers
}"""


def table(root) -> dict[str, str]:
    lines = (root / TABLE).read_text("utf-8").splitlines()
    return dict(line.split(TAB) for line in lines if line and not line.startswith("#"))


def test_the_table_has_every_name_of_nnx_that_pages_use(pytestconfig):
    """A name is asked for as it stands in code."""
    root = pytestconfig.rootpath
    pages = [path for path in (root / "docs").rglob("*.md") if path.parent.name not in {"claims", "reference"}]
    used = {name for path in pages for block in read(path) for name in re.findall(r"\bnnx\.[A-Za-z_]\w*", block.code)}
    asked = table(root)
    assert len(asked) >= 100
    missing = sorted(used - asked.keys())
    assert not missing, f"What to do: write into {TABLE} where each should lead: {', '.join(missing)}."


@pytest.fixture(scope="module")
def answers(open_window, pytestconfig):
    """Ask all that the table has in one window, and return the first three results of each."""
    wanted = table(pytestconfig.rootpath)
    with open_window() as window:
        page = window.new_page()
        page.goto("")
        page.keyboard.press("/")
        page.keyboard.type("first")
        page.locator(".md-search-result__item").first.wait_for()
        found = page.evaluate(ANSWERS, list(wanted))
    return dict(zip(wanted, found, strict=True))


def leads(sections, target) -> bool:
    """Tell whether a result is the page of a target, and its first section the wanted one if one is wanted."""
    page, _, wanted = target.partition("#")
    addresses = [section["href"] for section in sections]
    anchors = [address.partition("#")[2] for address in addresses if "#" in address]
    return addresses[0].partition("#")[0] == page and (not wanted or anchors[:1] == [wanted])


def test_what_people_ask_for_leads_there(answers, pytestconfig):
    """First nearly always, and always among the first three; words lead to a section."""
    wanted = table(pytestconfig.rootpath)
    places = {
        query: next((place for place, item in enumerate(answers[query]) if leads(item, target)), None)
        for query, target in wanted.items()
    }
    told = {
        query: f"{wanted[query]} is wanted, found is {[item[0]['href'] for item in answers[query]]}"
        for query, place in places.items()
        if place != 0
    }
    assert None not in places.values(), told
    assert len(told) <= 0.05 * len(wanted), told
    in_words = [query for query, target in wanted.items() if "#" in target and re.fullmatch(r"[\w ?'-]+", query)]
    assert len(in_words) >= 60
    assert len(told.keys() & in_words) <= 0.05 * len(in_words), told


def test_results_show_nothing_of_the_theme(answers):
    """A notebook's code stands there once, without the words of its buttons."""
    texts = [section["text"] for found in answers.values() for item in found for section in item]
    assert texts
    assert [text for text in texts if "Copied!" in text] == []


def test_a_notebook_is_found_by_its_code_once(context):
    page = context().new_page()
    page.goto("")
    page.keyboard.press("/")
    page.keyboard.type("mean_squared_error history")
    result = page.locator(".md-search-result__item", has=page.locator("[href*='notebooks/drift']"))
    expect(result.first).to_contain_text("def history(label, optimizer)")
    assert (text := result.first.text_content()).count("def history(label, optimizer)") == 1, text
    assert "Copied!" not in text
