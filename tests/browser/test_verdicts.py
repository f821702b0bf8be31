"""The page Claims: filters, the comparison of two releases, links to it, narrow screens, no scripts."""

import re

import pytest
from playwright.sync_api import expect

from nnx_state.claims import published
from nnx_state.claims.registry import TOPICS, claims

_, COLUMNS = published.load()
OLD, NEW = "0.11.2", max(COLUMNS, key=published.version)


def rows(page):
    return page.locator(".claims__table tbody tr[id]:visible")


def status(page):
    return page.locator(".claims__form [role=status]")


def count(condition):
    return sum(condition(name) for name in claims())


@pytest.fixture
def page(context):
    page = context().new_page()
    page.goto("claims/")
    expect(status(page)).to_have_text(f"{len(claims())} claims")
    return page


def test_everything_is_there_at_first(page):
    expect(rows(page)).to_have_count(len(claims()))
    expect(page.locator(".claims__table thead th:visible")).to_have_count(len(COLUMNS) + 1)


def test_the_verdicts_are_those_of_the_data(page):
    marks = page.locator(".claims td b").all_text_contents()
    wanted = [
        column.verdicts[name].verdict
        for topic in TOPICS
        for name, one in claims().items()
        if one.topic == topic
        for column in COLUMNS.values()
    ]
    assert marks == wanted


def test_filters_by_topic_verdict_release_and_text(page):
    page.get_by_label("Topic", exact=True).select_option("reading")
    expect(rows(page)).to_have_count(count(lambda name: claims()[name].topic == "reading"))
    page.get_by_role("button", name="Show all").click()
    expect(rows(page)).to_have_count(len(claims()))
    page.get_by_label("Verdict", exact=True).select_option("differs")
    page.get_by_label("On release").select_option(OLD)
    expect(rows(page)).to_have_count(count(lambda name: COLUMNS[OLD].verdicts[name].verdict == "differs"))
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Search the claims").fill("orbax")
    found = rows(page).all_text_contents()
    assert 0 < len(found) < len(claims())
    assert all("orbax" in text.lower() for text in found)


def test_two_releases_are_compared_and_the_comparison_has_an_address(page, context):
    page.get_by_label("Changed from").select_option(OLD)
    page.get_by_label("to", exact=True).select_option(NEW)
    changed = count(lambda name: COLUMNS[OLD].verdicts[name].verdict != COLUMNS[NEW].verdicts[name].verdict)
    expect(status(page)).to_have_text(f"{changed} claims changed from {OLD} to {NEW}")
    expect(rows(page)).to_have_count(changed)
    expect(page.locator(".claims__table thead th:visible")).to_have_text(["Claim", OLD, NEW])
    other = context().new_page()
    other.goto(page.url)
    expect(rows(other)).to_have_count(changed)


def test_who_upgrades_is_led_to_a_comparison(context):
    page = context().new_page()
    page.goto("upgrading/")
    page.get_by_role("link", name="the claims").click()
    page.wait_for_url("**/claims/?from=0.11.2&to=0.12.8")
    expect(status(page)).to_have_text(re.compile(r"claims changed from 0\.11\.2 to 0\.12\.8"))


def test_it_works_by_keyboard(page):
    page.get_by_label("Search the claims").focus()
    page.keyboard.type("jax.grad")
    page.keyboard.press("Enter")  # does not leave the page
    rows(page).first.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(rows(page).first.locator("details li").first).to_be_visible()


def test_heads_stay_in_sight(page):
    rows(page).last.scroll_into_view_if_needed()
    head, box = (page.locator(place).first.bounding_box() for place in (".claims thead th", ".claims"))
    assert abs(head["y"] - box["y"]) < 5


def test_without_scripts_the_table_stands_there(context):
    page = context(java_script_enabled=False).new_page()
    page.goto("claims/")
    expect(rows(page)).to_have_count(len(claims()))
    expect(page.locator(".claims__form")).to_have_count(0)


def test_a_narrow_screen_shows_ranges_in_place_of_columns(context):
    page = context(width=360).new_page()
    page.goto("claims/")
    expect(page.locator(".claims td:visible")).to_have_count(0)
    expect(page.locator(".claims__short").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_each_row_leads_to_its_lesson_and_its_source(page, context):
    other = context().new_page()
    for name in list(claims())[::120]:
        for link in page.locator(f"tr#{name} details p a").all():
            address = link.evaluate("link => link.href")
            assert other.goto(address).ok
            if "#" in address:
                assert other.locator(f"[id='{address.partition('#')[2]}']").count() == 1
