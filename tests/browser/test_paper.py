"""Pages on paper: whole, in one scheme, blocks unbroken, and each says where it is from."""

import io
import re

import pypdf
import pytest

from nnx_state.claims import published

_, COLUMNS = published.load()
RELEASE = max(
    (name for name, column in COLUMNS.items() if not column.failed and " " not in name), key=published.version
)
PAGES = ["lessons/multi-param/", "claims/classic-pitfalls/", "cheat-sheet/", "exercises/multi-param/", "claims/"]
MOST_LINES = 45  # of a block that fits on one sheet wherever it stands

# What stands in an article, piece by piece, but for what leads nowhere on paper.
PIECES = """() => {
  const left = '.bar, .headerlink, .md-content__button, .claims__short, form, .claims__found, .sheet ~ *, td b'
  document.querySelectorAll(left).forEach((piece) => piece.remove())
  const blocks = [...document.querySelectorAll('.md-content__inner .highlight pre > code')]
  const prose = 'h1, h2, h3, p, li, td, th, summary, figcaption, .drawing text'
  const texts = [...document.querySelectorAll(`.md-content__inner :is(${prose})`)]
    .filter((one) => !one.querySelector(prose))
  return { blocks: blocks.map((one) => one.textContent), texts: texts.map((one) => one.textContent) }
}"""
COLOURS = """() => ['body', 'h1', 'p', 'code', '.highlight pre > code', '.highlight span', '.claims__differs', '.paper',
    '.drawing text', '.drawing rect']
  .map((place) => document.querySelector(`.md-content__inner ${place}`) ?? document.body)
  .map((element) => getComputedStyle(element))
  .map((style) => [style.color, style.backgroundColor, style.fill, style.stroke])"""


def bare(text: str) -> str:
    """Return a text without what breaks it into lines."""
    return re.sub(r"\s", "", text)


def printed(page) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))


@pytest.fixture(scope="module")
def paper(open_window):
    """Print each page from the dark scheme on a narrow screen, and give its sheets, pieces and colours."""
    found = {}
    with open_window(scheme="dark", width=390) as window:
        page = window.new_page()
        for path in PAGES:
            page.goto(path)
            sheets = printed(page)
            page.emulate_media(media="print")
            dark = page.evaluate(COLOURS)
            page.emulate_media(media="print", color_scheme="light")
            found[path] = sheets, page.evaluate(PIECES), dark, page.evaluate(COLOURS)
            page.emulate_media(media="null", color_scheme="dark")
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_printed_whole(paper, path):
    sheets, pieces, *_ = paper[path]
    text = bare("".join(sheet.extract_text() for sheet in sheets.pages))
    assert len(pieces["texts"]) >= 3
    missing = [piece for piece in (*pieces["texts"], *pieces["blocks"]) if bare(piece) not in text]
    assert missing == []


@pytest.mark.parametrize("path", PAGES)
def test_a_block_that_fits_on_a_sheet_is_not_broken(paper, path):
    sheets, pieces, *_ = paper[path]
    texts = [bare(sheet.extract_text()) for sheet in sheets.pages]
    blocks = [block for block in pieces["blocks"] if block.count("\n") <= MOST_LINES]
    broken = [block for block in blocks if not any(bare(block) in text for text in texts)]
    assert broken == []


@pytest.mark.parametrize("path", PAGES)
def test_every_sheet_holds_something(paper, path):
    sheets, *_ = paper[path]
    assert all(len(bare(sheet.extract_text())) > 100 for sheet in sheets.pages[:-1])
    assert bare(sheets.pages[-1].extract_text())


@pytest.mark.parametrize("path", PAGES)
def test_both_schemes_print_alike(paper, path):
    *_, dark, light = paper[path]
    assert dark == light


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_where_it_is_from(paper, path):
    sheets, *_ = paper[path]
    first = sheets.pages[0].extract_text()
    assert f"Flax {RELEASE}" in first
    assert f"/{path}" in first


def test_the_cheat_sheet_is_one_sheet_in_type_that_is_read(paper):
    sheets, *_ = paper["cheat-sheet/"]
    (sheet,) = sheets.pages
    sizes = set()

    def visit(text, current, matrix, _font, size):
        if text.strip():
            sizes.add(round(size * abs(matrix[3]) * abs(current[3]), 2))

    sheet.extract_text(visitor_text=visit)
    assert min(sizes) >= 7.5, sizes
