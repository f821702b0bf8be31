"""The figures of the lessons: read on a telephone, in both schemes, and described to who does not see them."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from workshop.figures.inlined import FOLDER

SCRIPT = Path(__file__).with_name("figures.js")
NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "docs" / FOLDER).glob("*.svg"))
PALETTE = {"light": "default", "dark": "slate"}  # as the theme names them
OTHER = {"light": "dark", "dark": "light"}
SMALLEST = 10  # CSS pixels
CONTRAST = 4.5


@pytest.fixture(scope="module")
def telephones(open_window):
    """Give a page of a telephone for each scheme, which its switch chooses and not the system."""
    pages = {}
    for scheme, palette in PALETTE.items():
        page = open_window(width=390, scheme=OTHER[scheme]).new_page()
        page.add_init_script(path=SCRIPT)
        page.goto("")
        page.locator(f"input[data-md-color-media$=': {scheme})']").evaluate("choice => choice.click()")
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", palette)
        pages[scheme] = page
    yield pages
    for page in pages.values():
        page.context.close()


@pytest.mark.parametrize("scheme", PALETTE)
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_read_on_a_telephone(telephones, name, scheme):
    page = telephones[scheme]
    page.goto(f"lessons/{name}/")
    assert page.locator("body").get_attribute("data-md-color-scheme") == PALETTE[scheme]
    texts = page.evaluate("figures.texts()")
    assert texts
    wrong = [
        text
        for text in texts
        if text["size"] < SMALLEST or text["contrast"] < CONTRAST or not text["within"] or text["over"]
    ]
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_described_to_who_does_not_see_it(telephones, name):
    page = telephones["light"]
    page.goto(f"lessons/{name}/")
    for figure in page.locator(".drawing").all():
        picture = figure.locator("svg")
        title, description = (picture.locator(part).text_content() for part in ("title", "desc"))
        assert page.get_by_role("img", name=title, description=description, exact=True).count() == 1
        assert figure.locator("figcaption").inner_text()


DAMAGE = {
    ".drawing text { fill: #888 !important }": "contrast",
    ".drawing rect { fill: #555 !important }": "contrast",
    ".drawing text { font-size: 8px }": "size",
    ".drawing text { font-size: 40px }": "within",
    ".drawing text { transform: translateX(300px) }": "within",
}


@pytest.mark.parametrize("style", DAMAGE)
def test_damage_is_seen(telephones, style):
    page = telephones["light"]
    page.goto("lessons/homes/")
    sound = page.evaluate("figures.texts()")
    page.add_style_tag(content=style)
    texts = page.evaluate("figures.texts()")
    limits = {"contrast": CONTRAST, "size": SMALLEST, "within": True}
    what = DAMAGE[style]
    assert min(text[what] for text in sound) >= limits[what] > min(text[what] for text in texts)
