"""The pages of claims: the search over all, the tables of topics, addresses to send, narrow screens, no scripts."""

import re

import pytest
from playwright.sync_api import expect

from nnx_state.claims import published
from nnx_state.claims.registry import TOPICS, claims
from nnx_state.claims.retired import RETIRED

_, EVERY = published.load()
COLUMNS = {name: column for name, column in EVERY.items() if not column.failed}
OLD = "0.11.2"
NEW = max((name for name in COLUMNS if " " not in name), key=published.version)
TREE_MODE = f"{NEW} tree mode"
TOPIC = "plain-arrays"
LISTED = [name for name, one in claims().items() if one.topic == TOPIC.replace("-", "_")]


def found(page):
    return page.locator(".claims__found li")


def rows(page):
    return page.locator(".claims__table tbody tr[id]")


def status(page):
    return page.locator(".claims__form [role=status]")


def count(condition):
    return sum(condition(name) for name in claims())


def changed(old, new):
    return count(lambda name: COLUMNS[old].verdicts[name].verdict != COLUMNS[new].verdicts[name].verdict)


@pytest.fixture
def page(context):
    page = context().new_page()
    page.goto("claims/")
    return page


@pytest.fixture
def topic(context):
    page = context().new_page()
    page.goto(f"claims/{TOPIC}/")
    return page


def test_the_data_is_fetched_at_the_first_question(context):
    page = context().new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("claims/")
    page.wait_for_load_state("networkidle")
    assert not [url for url in asked if url.endswith("verdicts.json")]
    page.get_by_label("Search the claims").fill("orbax")
    expect(found(page).first).to_be_visible()
    assert len([url for url in asked if url.endswith("verdicts.json")]) == 1


def test_filters_by_topic_verdict_release_and_text(page):
    page.get_by_label("Topic", exact=True).select_option("reading")
    expect(found(page)).to_have_count(count(lambda name: claims()[name].topic == "reading"))
    page.get_by_role("button", name="Show none").click()
    expect(found(page)).to_have_count(0)
    page.get_by_label("Verdict", exact=True).select_option("differs")
    page.get_by_label("On release").select_option(OLD)
    expect(found(page)).to_have_count(count(lambda name: COLUMNS[OLD].verdicts[name].verdict == "differs"))
    expect(found(page).first).to_contain_text(f"{OLD} differs")
    page.get_by_role("button", name="Show none").click()
    page.get_by_label("Search the claims").fill("orbax save")
    texts = found(page).all_text_contents()
    assert 0 < len(texts) < len(claims())
    page.get_by_label("Search the claims").fill("no claim has these words")
    expect(status(page)).to_have_text("0 claims")


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (NEW, TREE_MODE)])
def test_two_columns_are_compared_and_the_comparison_has_an_address(page, context, old, new):
    page.get_by_label("Changed from").select_option(old)
    expect(status(page)).to_have_text("Choose the other release too.")
    page.get_by_label("to", exact=True).select_option(new)
    expect(status(page)).to_have_text(f"{changed(old, new)} claims changed from {old} to {new}")
    expect(found(page)).to_have_count(changed(old, new))
    expect(found(page).first.locator("p")).to_have_text([re.compile(f"^{old} "), re.compile(f"^{new} ")])
    other = context().new_page()
    other.goto(page.url)
    expect(found(other)).to_have_count(changed(old, new))


@pytest.mark.parametrize(
    ("start", "link", "old", "new"),
    [
        ("upgrading/", "the claims", OLD, "0.12.8"),
        ("upgrading/", "The claims", NEW, TREE_MODE),
        ("claims/", "From Flax 0.12.8 to", "0.12.8", NEW),
        ("claims/", "What tree mode breaks", NEW, TREE_MODE),
    ],
)
def test_a_comparison_is_one_click_away(context, start, link, old, new):
    page = context().new_page()
    page.goto(start)
    page.get_by_role("main").get_by_role("link", name=re.compile(f"^{link}")).click()
    expect(status(page)).to_have_text(f"{changed(old, new)} claims changed from {old} to {new}")


def test_each_claim_has_an_address_and_the_old_one_leads_to_it(context):
    page = context().new_page()
    retired, today = next(iter(RETIRED.items()))
    for old, name in ((LISTED[0], LISTED[0]), (retired, today)):
        page.goto(f"claims/#{old}")
        page.wait_for_url(f"**/claims/{claims()[name].topic.replace('_', '-')}/#{name}")
        expect(page.locator(f"tr#{name}")).to_be_in_viewport()


def test_what_is_found_leads_to_its_row(page):
    page.get_by_label("Topic", exact=True).select_option(TOPIC)
    found(page).last.get_by_role("link").click()
    expect(page.locator(f"tr#{LISTED[-1]}")).to_be_in_viewport()


def test_it_works_by_keyboard(page):
    page.get_by_label("Search the claims").focus()
    page.keyboard.type("jax.grad")
    expect(found(page).first).to_be_visible()
    page.keyboard.press("Enter")  # does not leave the page
    found(page).first.get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/claims/*/#*")


def test_the_verdicts_of_a_topic_are_those_of_the_data(topic):
    marks = topic.locator(".claims td b").all_text_contents()
    assert marks == [column.verdicts[name].verdict for name in LISTED for column in reversed(COLUMNS.values())]


def test_a_row_tells_what_happened_by_keyboard(topic):
    rows(topic).first.locator("summary").focus()
    topic.keyboard.press("Enter")
    expect(rows(topic).first.locator("details li").first).to_be_visible()


def test_heads_stay_in_sight(topic):
    rows(topic).last.scroll_into_view_if_needed()
    head, box = (topic.locator(place).first.bounding_box() for place in (".claims thead th", ".claims"))
    assert abs(head["y"] - box["y"]) < 5


def test_without_scripts_the_topics_stand_there(context):
    page = context(java_script_enabled=False).new_page()
    page.goto("claims/")
    expect(page.locator(".claims__form")).to_be_hidden()
    links = page.locator("article table a")
    expect(links).to_have_count(len(TOPICS))
    links.nth(3).click()
    expect(rows(page).first).to_be_visible()


def test_a_narrow_screen_shows_ranges_in_place_of_columns(context):
    page = context(width=360).new_page()
    page.goto(f"claims/{TOPIC}/")
    expect(page.locator(".claims td:visible")).to_have_count(0)
    expect(page.locator(".claims__short").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_each_row_leads_to_its_lesson_and_its_source(topic, context):
    other = context().new_page()
    for name in LISTED[::6]:
        for link in topic.locator(f"tr#{name} details p a").all():
            address = link.evaluate("link => link.href")
            assert other.goto(address).ok
            if "#" in address:
                assert other.locator(f"[id='{address.partition('#')[2]}']").count() == 1
