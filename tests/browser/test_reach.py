"""Every page by keyboard alone, on a narrow screen, in forced colours, without scripts, and where no page is."""

import re

import pytest
from playwright.sync_api import expect

LESSON = "lessons/multi-param/"
PAGES = [
    "",
    LESSON,
    "exercises/multi-param/",
    "claims/",
    "claims/classic-pitfalls/",
    "cheat-sheet/",
    "upgrading/",
    "notebooks/averages/",
    "404.html",
]
LEAST = 24  # pixels, of what is touched

# Where the focus is, what is wrong with it there, and what is left over at the end.
TOOLS = """
window.reach = {
  here() {
    const element = document.activeElement
    if (!element || element === document.body) return null
    element.dataset.reached = ''
    document.getAnimations().forEach((one) => one.finish())
    const ringed = element.matches('.md-option') ? element.nextElementSibling : element
    const ring = [ringed, ringed.closest('form')].some((one) => one && getComputedStyle(one).outlineStyle !== 'none')
    const wrong = [!ring && 'no ring', !inSight(ringed) && 'out of sight'].filter(Boolean)
    return wrong.length ? `${wrong.join(', ')}: ${element.outerHTML.slice(0, 120)}` : ''
  },
  left() {
    // of radio buttons with one name, Tab reaches one, and arrows the others
    const group = (one) => one.type === 'radio' && document.querySelector(`[name=${one.name}][data-reached]`)
    const reached = (one) => 'reached' in one.dataset || one.querySelector('[data-reached]') || group(one)
    return clickable().filter((one) => !reached(one)).map((one) => one.outerHTML.slice(0, 120))
  },
  small() {
    const inText = (one) => one.closest('p, li, td, th, h1, h2, h3, dd') && one.matches('a, label, input')
    const least = LEAST
    return clickable().filter((one) => !inText(one)).map((one) => [one.getBoundingClientRect(), one])
      .filter(([{ width, height }]) => Math.min(width, height) < least - 0.1)
      .map(([{ width, height }, one]) => `${width} x ${height}: ${one.outerHTML.slice(0, 120)}`)
  },
}
const visible = (one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true })
function inSight(element) {
  const { x, y, width, height } = element.getClientRects()[0] ?? element.getBoundingClientRect() // its first line
  const [across, down] = [x + Math.min(width, innerWidth) / 2, y + Math.min(height, innerHeight) / 2]
  if (!visible(element) || !width || !height) return false
  const top = document.elementFromPoint(Math.max(0, across), Math.max(0, down))
  return Boolean(top && (element.contains(top) || top.contains(element)))
}
function clickable() {
  // a label of a field that is itself reached, and a ground that closes what lies on it, are for the mouse alone
  const inReach = (control) => control && (control.matches('.md-option') || visible(control))
  const isOfField = (one) => one.matches('label:not([role=button])') && inReach(one.control)
  const isAlso = (one) => isOfField(one) || one.matches('[class*=overlay]')
  const kinds = 'a[href], button, summary, select, input, label[for], [role=button], [tabindex="0"]'
  return [...document.querySelectorAll(kinds)].filter((one) => visible(one) && !one.closest('[inert]') && !isAlso(one))
    .filter((one) => getComputedStyle(one).pointerEvents !== 'none' && !one.matches('.md-option'))
    .filter((one) => one.getClientRects().length && one.getBoundingClientRect().right > 0)
}
""".replace("LEAST", str(LEAST))


def opened(context, path, **options):
    page = context(**options).new_page()
    page.add_init_script(TOOLS)
    page.goto(path, wait_until="networkidle")
    return page


def walked(page, most=700) -> list[str]:
    """Press Tab until the focus leaves the page; return what was wrong on the way."""
    wrong = []
    for _ in range(most):
        page.keyboard.press("Tab")
        told = page.evaluate("reach.here()")
        if told is None:
            return wrong
        wrong += [told] if told else []
    return [*wrong, "the way has no end"]


@pytest.mark.parametrize(("path", "width"), [*((path, 320) for path in PAGES), (LESSON, 1440), ("claims/", 1440)])
def test_all_that_can_be_clicked_is_reached_and_seen(context, path, width):
    page = opened(context, path, width=width)
    assert walked(page) == []
    assert page.evaluate("reach.left()") == []
    assert page.evaluate("reach.small()") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_out_of_reach_or_out_of_sight_is_noticed(context):
    page = opened(context, "404.html", width=320)
    page.add_style_tag(content=".md-content li:nth-of-type(2) a { opacity: 0 }")
    page.evaluate("document.querySelector('.md-header [for=__drawer] [role]').tabIndex = -1")
    assert re.search("out of sight: <a", "\n".join(walked(page)))
    assert re.search("for=.__drawer", "\n".join(page.evaluate("reach.left()")))


@pytest.mark.parametrize("path", [LESSON, "claims/classic-pitfalls/"])
def test_the_menu_opens_by_keyboard_keeps_the_focus_and_gives_it_back(context, path):
    page = opened(context, path, width=320)
    menu = page.get_by_role("button", name="Menu")
    for _ in range(6):
        page.keyboard.press("Tab")
        if menu.evaluate("menu => menu === document.activeElement"):
            break
    expect(menu).to_be_focused()
    expect(menu).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    links = page.locator(".md-sidebar--primary :focus")
    expect(links).to_be_visible()
    assert [told for told in walked(page, 100) if told] == []
    page.keyboard.press("Escape")
    expect(menu).to_have_attribute("aria-expanded", "false")
    expect(menu).to_be_focused()


def test_a_list_of_the_menu_opens_and_closes_by_keyboard(context):
    page = opened(context, LESSON, width=320)
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    back = page.get_by_role("button", name="Back from Lessons")
    expect(back).to_be_visible()
    back.focus()
    page.keyboard.press("Enter")
    section = page.get_by_role("button", name="Lessons", exact=True)
    expect(section).to_be_focused()
    expect(section).to_have_attribute("aria-expanded", "false")
    page.keyboard.press(" ")
    expect(section.or_(back).first).to_be_visible()
    expect(page.locator(".md-sidebar--primary [data-md-level='1'] :focus")).to_be_visible()


def test_search_is_entered_and_left_by_keyboard(context):
    page = opened(context, LESSON)
    field = page.locator("[data-md-component=search-query]")
    stops = []
    for _ in range(8):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        if field.evaluate("field => field === document.activeElement"):
            break
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#__search")).not_to_be_checked()
    assert page.evaluate("document.activeElement.outerHTML.slice(0, 60)") == stops[-2]
    field.focus()
    page.keyboard.press("Tab")
    expect(page.locator("#__search")).not_to_be_checked()
    expect(page.locator(":focus")).to_be_in_viewport()


def test_a_telephone_opens_the_search_and_returns_to_its_sign(context):
    page = opened(context, LESSON, width=320)
    sign = page.get_by_role("button", name="Search", exact=True)
    sign.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-md-component=search-query]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sign).to_be_focused()
    expect(sign).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signs_are_seen_in_forced_colours(context, scheme):
    """A sign that is a mask is seen by its ground, which is not that of the page."""
    page = context(scheme=scheme, forced_colors="active").new_page()
    page.goto(LESSON)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    styles = "one => ({ ...getComputedStyle(one, '::after'), mask: getComputedStyle(one, '::after').maskImage })"
    drawn = page.locator(".md-typeset summary").first.evaluate(f"({styles})")
    assert drawn["mask"] != "none"
    assert drawn["forcedColorAdjust"] == "none"
    assert drawn["backgroundColor"] not in (ground, "rgba(0, 0, 0, 0)")


def test_what_is_copied_is_said(context):
    page = context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto(LESSON)
    toast = page.locator(".md-dialog")
    expect(toast).to_have_attribute("role", "status")
    page.locator(".bar__copy:visible").first.click()
    expect(toast).to_contain_text(re.compile("[Cc]opied"))


def test_without_scripts_colours_follow_the_system(context):
    grounds = []
    for scheme in ("light", "dark"):
        page = context(scheme=scheme, java_script_enabled=False).new_page()
        page.goto(LESSON)
        grounds.append(page.screenshot(clip={"x": 1, "y": 200, "width": 1, "height": 1}))
        expect(page.locator(".md-search")).to_be_hidden()
        expect(page.locator("[data-md-component=palette] label:visible")).to_have_count(0)
    assert grounds[0] != grounds[1]


def test_a_long_page_has_a_way_back_up(context):
    page = context(width=390).new_page()
    page.goto("pitfalls/")
    up = page.locator(".md-top")
    expect(up).to_be_hidden()
    page.mouse.wheel(0, 9000)
    page.wait_for_function("scrollY > 5000")
    page.mouse.wheel(0, -300)
    expect(up).to_be_visible()
    up.click()
    page.wait_for_function("scrollY < 10")


@pytest.mark.parametrize(
    ("before", "today"),
    [
        ("pitfalls/#in-place", "pitfalls/reading-writing/#in-place"),
        (
            "lessons/training/#the-first-gate-the-gradient",
            "lessons/gradients/#the-type-decides-or-a-filter-of-yours",
        ),
    ],
)
def test_the_address_of_a_section_that_has_moved_leads_to_it(context, before, today):
    page = context().new_page()
    page.goto(before)
    page.wait_for_url(f"**/{today}")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("lessons/multi-parm/", LESSON), ("multi-param", LESSON), ("claims/meta-data.html", "claims/metadata/")],
)
def test_where_no_page_is_the_nearest_is_named(context, wrong, meant):
    page = context().new_page()
    assert page.goto(wrong).status == 404
    expect(page).to_have_title(re.compile("not found"))
    guess = page.locator(".missing a")
    expect(guess).to_have_attribute("href", f"/{meant}")
    guess.click()
    page.wait_for_url(f"**/{meant}")


def test_where_no_page_is_the_ways_onward_lead_somewhere(context):
    page = context().new_page()
    page.goto("nothing/of/this/kind/xyzzyx/")
    links = page.locator("article a")
    expect(links).to_have_count(5)  # and no guess
    for address in links.evaluate_all("links => links.map((link) => link.href)"):
        assert page.request.get(address).ok
