"""The pages of claims: the search over all, the tables of topics, addresses to send, narrow screens, no scripts."""

import re
from collections import Counter

import pytest
from playwright.sync_api import expect

from nnx_state.claims import published
from nnx_state.claims.registry import TOPICS, claims
from nnx_state.claims.retired import RETIRED
from workshop.site import consequences

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
    return page.locator(".claims__found [role=status]")


def count(condition):
    return sum(condition(name) for name in claims())


def meant(old, new):
    """Return how many claims have each consequence between two columns, in the order of a list."""
    kinds = Counter(
        consequences.consequence(one, COLUMNS[old].verdicts[name], COLUMNS[new].verdicts[name])
        for name, one in claims().items()
    )
    return {kind: kinds[kind] for kind in consequences.KINDS if kinds[kind]}


def changed(old, new):
    return sum(meant(old, new).values())


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


@pytest.mark.parametrize(
    ("words", "name"),
    [("plain array saved", "classic-array-is-not-saved"), ("arrays saves plain", "classic-array-is-not-saved")],
)
def test_words_are_found_wherever_they_stand_and_however_they_end(page, words, name):
    page.get_by_label("Search the claims").fill(words)
    expect(page.locator(f".claims__found a[href$='#{name}']")).to_be_visible()


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (NEW, TREE_MODE)])
def test_two_columns_are_compared_and_the_comparison_has_an_address(page, context, old, new):
    page.get_by_label("Changed from").select_option(old)
    expect(status(page)).to_contain_text("Choose a release under “to” as well")
    expect(found(page)).to_have_count(0)
    page.get_by_label("to", exact=True).select_option(new)
    expect(status(page)).to_have_text(f"{changed(old, new)} claims changed from {old} to {new}")
    expect(found(page)).to_have_count(changed(old, new))
    lines = [re.compile(f"^{old} "), re.compile(f"^{new} "), re.compile("^Write ")]
    expect(found(page).first.locator("p")).to_have_text(lines)
    other = context().new_page()
    other.goto(page.url)
    expect(found(other)).to_have_count(changed(old, new))


def test_what_a_change_means_comes_first(page):
    page.goto(f"claims/?from={OLD}&to={NEW}")
    expect(page.locator(".claims__found h3")).to_have_text(
        [f"{kind.capitalize()}: {number}" for kind, number in meant(OLD, NEW).items()]
    )
    warned = page.locator(".claims__found li", has=page.locator("a[href$='#reading-value-warns']"))
    expect(warned).to_contain_text("there is no warning")
    expect(warned.locator("p").last).to_contain_text("count[...]")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_chosen_pair_goes_along_to_the_row(context, width):
    page = context(width=width).new_page()
    page.goto(f"claims/?from={OLD}&to={NEW}")
    page.locator(".claims__found a[href$='#hook-warns']").click()
    row = page.locator("tr#hook-warns")
    expect(row).to_be_in_viewport()
    told = row.locator(".claims__short")
    expect(told).to_have_text(f"{OLD} differs · {NEW} holds")
    expect(row.locator(".claims__chosen")).to_have_count(2)
    expect(told if width == 390 else row.locator(".claims__chosen").first).to_be_visible()


@pytest.mark.parametrize(
    ("start", "link", "old", "new"),
    [
        ("upgrading/", "The comparison of two releases", "0.12.8", NEW),
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
    expect(status(page)).to_be_in_viewport()
    page.get_by_role("link", name="Choose other releases").click()
    expect(page.get_by_label("Changed from")).to_be_in_viewport()


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
    heads = topic.locator(".claims thead th").evaluate_all("heads => heads.map((head) => head.dataset.releases)")
    groups = [head.split("|") for head in heads[1:]]
    assert [name for group in groups for name in group] == list(reversed(COLUMNS))
    marks = topic.locator(".claims td b:first-of-type").all_text_contents()
    for number, name in enumerate(LISTED):
        for place, group in enumerate(groups):
            expected = {COLUMNS[release].verdicts[name].verdict for release in group}
            assert {marks[number * len(groups) + place]} == expected


def test_the_colour_of_a_mark_is_what_the_code_does(topic):
    """Red is code that raises, also where the statement says so and holds; one that is refuted is not red for that."""
    heads = topic.locator(".claims thead th").evaluate_all("heads => heads.map((head) => head.dataset.releases)")
    newest = [head.split("|")[0] for head in heads[1:]]
    colours = "row => [...row.querySelectorAll('td')].map((cell) => getComputedStyle(cell).color)"
    shown = {True: set(), False: set()}
    verdicts = set()
    for name in LISTED:
        row = topic.locator(f".claims__table tr[id='{name}']")
        for release, colour in zip(newest, row.evaluate(colours), strict=True):
            one = COLUMNS[release].verdicts[name]
            raises = consequences.outcome(claims()[name], one) == consequences.RAISES
            shown[raises].add(colour)
            verdicts.add((raises, one.verdict))
    assert {(True, "holds"), (True, "differs"), (False, "holds"), (False, "differs")} <= verdicts
    assert len(shown[True]) == 1
    assert shown[True].isdisjoint(shown[False])


def test_the_linked_row_is_marked_and_opened(topic):
    first, last = rows(topic).first, rows(topic).last
    grounds = "row => getComputedStyle(row.firstElementChild).backgroundColor"
    topic.goto(f"claims/{TOPIC}/#{LISTED[-1]}")
    expect(last.locator("details li").first).to_be_visible()
    expect(first.locator("details li").first).to_be_hidden()
    assert last.evaluate(grounds) != first.evaluate(grounds)
    first.locator(".claims__self").click()
    expect(first.locator("details li").first).to_be_visible()


@pytest.mark.parametrize("width", [390, 800, 1440])
@pytest.mark.parametrize("topic", ["steps", "gradients", "metadata"])  # with few columns, some and many
def test_the_newest_release_is_never_cut_off(context, topic, width):
    page = context(width=width).new_page()
    page.goto(f"claims/{topic}/")
    table = page.locator(".claims__table").bounding_box()
    assert table["x"] >= 0
    assert table["x"] + table["width"] <= width
    told = page.locator(".claims__short:visible").first.or_(page.locator("thead th").nth(2))
    assert NEW in told.first.text_content()


def test_a_row_tells_what_happened_by_keyboard(topic):
    rows(topic).first.locator("summary").focus()
    topic.keyboard.press("Enter")
    expect(rows(topic).first.locator("details li").first).to_be_visible()


def test_heads_stay_in_sight(topic):
    rows(topic).last.evaluate("row => row.scrollIntoView({ block: 'center' })")
    heads = topic.locator(".claims thead th")
    head, header = (place.bounding_box() for place in (heads.first, topic.locator(".md-header")))
    assert abs(head["y"] - header["y"] - header["height"]) < 3
    for box in (head.bounding_box() for head in heads.all()):
        on_top = topic.evaluate("([x, y]) => document.elementFromPoint(x, y).tagName", [box["x"] + 9, box["y"] + 9])
        assert on_top == "TH"


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
