"""Every page, light on a telephone and dark on a desk: quiet, at home, accessible and no wider than its window."""

import pytest
from axe_playwright_python.sync_playwright import Axe

REVEAL = """() => {
  document.querySelectorAll('details').forEach((fold) => { fold.open = true })
  return document.documentElement.scrollWidth - window.innerWidth
}"""
# Axe takes minutes for what is alike: it sees two topics of claims, and each kind of token in code once a page.
THIN = """() => {
  document.querySelectorAll('.claims tbody:nth-of-type(n+3)').forEach((topic) => topic.remove())
  const seen = new Set()
  for (const token of document.querySelectorAll('.highlight code span')) {
    if (seen.has(token.className)) token.replaceWith(...token.childNodes)
    else seen.add(token.className)
  }
}"""


def accessibility(page) -> list[str]:
    """Return what axe finds wrong with a page as it is now: each rule with the first of its places."""
    page.wait_for_function("document.getAnimations().length === 0")  # a colour on its way is no colour to measure
    violations = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {len(rule['nodes'])} times, first {rule['nodes'][0]['html']}" for rule in violations]


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1440)])  # colours do not depend on the width
def test_page(context, address, pages, scheme, width):
    page = context(width=width, scheme=scheme).new_page()
    problems = []
    page.on("console", lambda message: problems.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith(address) else None)
    everywhere = []
    for path in pages:
        page.goto(path)
        wider = page.evaluate(REVEAL)
        if wider > 0:
            problems.append(f"{wider} px wider than the window")
        page.evaluate(THIN)
        problems += accessibility(page)
        everywhere += [f"/{path} {scheme} {width} px: {problem}" for problem in problems]
        problems.clear()
    assert not everywhere, "\n".join(everywhere)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_is_accessible(context, scheme):
    page = context(scheme=scheme).new_page()
    page.goto("")
    page.keyboard.press("/")
    page.keyboard.type("Param")
    page.locator(".md-search-result__link").first.wait_for()
    assert accessibility(page) == []
