"""What every page of the built site has, read from its HTML."""

import functools
import gzip
import re
import subprocess
import sys
from collections import Counter
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from PIL import Image

from harness.site import BuildError, built_site, environment, fetched
from workshop.site import picture

HOST = "http://site.test/"
LOCAL = "http://127.0.0.1:8000/"  # the address of the site where mkdocs.yml is told of no other


@pytest.fixture(scope="module")
def pages(site) -> dict[str, BeautifulSoup]:
    """Return the pages of the site by address; the page for wrong addresses is none of them."""
    files = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    names = [path.relative_to(site).as_posix().removesuffix("index.html") for path in files]
    texts = [path.read_text("utf-8") for path in files]
    return {HOST + name: BeautifulSoup(text, "html.parser") for name, text in zip(names, texts, strict=True)}


def links(address: str, page: BeautifulSoup, selector: str = "a[href]") -> list[str]:
    """Return the absolute address of each link that stays on the site."""
    found = [urljoin(address, link["href"]) for link in page.select(selector)]
    return [link for link in found if link.startswith(HOST)]


def ids(page: BeautifulSoup) -> list[str]:
    return [tag["id"] for tag in page.select("[id]")]


def test_the_site_builds(pytestconfig, tmp_path_factory):
    try:
        built_site(pytestconfig, tmp_path_factory.getbasetemp())
    except BuildError as error:
        pytest.fail(f"{error}\nWhat to do: `python noxfile.py missing` may say it in short.", pytrace=False)


def test_every_page_has_one_h1(pages):
    counts = {address: len(page.select("h1")) for address, page in pages.items()}
    assert {address: count for address, count in counts.items() if count != 1} == {}


def test_every_page_describes_itself(pages):
    """Front matter says ``description: …``; a notebook's is its first paragraph."""
    metas = {address: page.select_one("meta[name=description][content]") for address, page in pages.items()}
    descriptions = {address: meta["content"] if meta else "" for address, meta in metas.items()}
    times = Counter(descriptions.values())
    assert {address: text for address, text in descriptions.items() if not text or times[text] > 1} == {}


def test_a_link_to_a_page_shows_what_it_leads_to(pages, site):
    for address, page in pages.items():
        shown = {tag["property"]: tag["content"] for tag in page.select("meta[property^='og:']")}
        assert shown["og:title"] == page.title.text.removesuffix(" - The State of NNX"), address
        assert shown["og:description"] == page.select_one("meta[name=description]")["content"], address
        assert shown["og:url"] == address.replace(HOST, LOCAL)
        with Image.open(site / shown["og:image"].removeprefix(LOCAL)) as image:
            assert [str(size) for size in image.size] == [shown["og:image:width"], shown["og:image:height"]]
        assert shown["og:image:alt"], address
        assert page.select_one("meta[name='twitter:card']")["content"] == "summary_large_image", address


def test_the_picture_that_a_link_shows_is_up_to_date(site, tmp_path):
    assert picture.is_current(site / picture.FILE), "What to do: python noxfile.py generate"
    (tmp_path / picture.FILE.parent).mkdir()
    assert not picture.is_current(tmp_path / picture.FILE)
    picture.draw().savefig(tmp_path / picture.FILE, metadata={"Source": "another"})
    assert not picture.is_current(tmp_path / picture.FILE)
    assert picture.is_current(picture.write(tmp_path))


def test_every_page_has_its_markdown_beside_it_and_the_overview_lists_it(pages, site):
    links = {address: page.select_one("link[type='text/markdown']") for address, page in pages.items()}
    markdown = {urljoin(address, link["href"]) for address, link in links.items()}
    written = {HOST + path.relative_to(site).as_posix() for path in site.rglob("*.md")}
    assert markdown == written
    listed = re.findall(r"^- \[.+\]\((.+)\): .+$", (site / "llms.txt").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(file.replace(HOST, LOCAL) for file in written)


def test_links_in_the_markdown_lead_somewhere(site):
    broken = []
    for file in site.rglob("*.md"):
        address = HOST + file.relative_to(site).as_posix()
        found = [urljoin(address, link).replace(LOCAL, HOST) for link in links_in(file.read_text("utf-8"))]
        own = [link.partition("#")[0].partition("?")[0] for link in found if link.startswith(HOST)]
        broken += [f"{file}: {link}" for link in own if not (site / link.removeprefix(HOST)).exists()]
    assert not broken, "\n".join(broken)


def links_in(markdown: str) -> list[str]:
    """Return the address of each link in a Markdown text, those in HTML included."""
    found = []
    for block in MarkdownIt("commonmark").parse(markdown):
        for part in [block, *(block.children or [])]:
            if part.type == "link_open":
                found.append(part.attrs["href"])
            elif part.type in {"html_block", "html_inline"}:
                found += re.findall(r'href="([^"]*)"', part.content)
    return found


def test_what_was_invalid_in_the_html_stays_mended(pages):
    """What else `html-validate` has to say is named in `.htmlvalidate.mjs`."""
    for address, page in pages.items():
        assert page.select("[tabindex='']") == [], address
        completed = {tag.get("id") or tag.get("name") for tag in page.select("[autocomplete]")}
        assert completed == {"__drawer", "__search", "query"}, address  # those of the theme


def test_every_page_tells_its_language(pages):
    assert {address: page.html.get("lang") for address, page in pages.items()} == dict.fromkeys(pages, "en")


def test_every_page_leads_to_the_line_that_installs(pages):
    missing = [page for page in pages if f"{HOST}install/" not in links(page, pages[page], ".md-footer a[href]")]
    assert missing == []


def test_every_image_and_figure_has_a_text(pages):
    for address, page in pages.items():
        assert page.select("img:not([alt]), img[alt=''], .notebook svg:not([role=img][aria-label])") == []
        assert page.select(".drawing svg:not([role=img][aria-labelledby][aria-describedby])") == [], address


def test_a_figure_comes_before_the_code_that_drew_it(pages):
    """The code is folded; of the figures of a notebook the telling one comes first."""
    found = {address: page.select(".notebook .figures") for address, page in pages.items()}
    assert len({address for address, figures in found.items() if figures}) == 4
    for figure in (figure for figures in found.values() for figure in figures):
        assert figure.find_next_sibling().name == "details"
        cell = figure.find_parent(class_="jp-Cell")
        assert [code.find_parent("details") is not None for code in cell.select(".language-python")] == [True]
    drift = found[f"{HOST}notebooks/drift/"][0].svg["aria-label"]
    assert drift.startswith("AdamW")


def test_ids_are_unique(pages):
    for address, page in pages.items():
        assert {name: times for name, times in Counter(ids(page)).items() if times > 1} == {}, address


def test_links_and_anchors_lead_somewhere(pages, site):
    broken, anchors = [], {address: set(ids(page)) for address, page in pages.items()}
    for address, page in pages.items():
        for link in links(address, page):
            target, anchor = urldefrag(link)
            target = target.partition("?")[0]
            if target not in pages and not (site / target.removeprefix(HOST)).is_file():
                broken.append(f"{address}: {link}: no such page")
            elif target in pages and anchor and unquote(anchor) not in anchors[target]:
                broken.append(f"{address}: {link}: no such anchor")
    assert not broken, "\n".join(broken)


def test_nothing_is_fetched_from_elsewhere(pages, site):
    """Looks at what a browser fetches unasked; a link to elsewhere is a link."""
    unasked = "[src], [srcset], [data], [poster], link:not([rel=canonical], [rel=prev], [rel=next])"
    elsewhere = re.compile(r"""(?:url\(|@import|src=|srcset=|href=|data=|poster=)\s*["']?(?:https?:)?//[^\s"')>]+""")
    texts = {path.name: path.read_text("utf-8") for path in site.rglob("*.css")}
    for address, page in pages.items():
        tags = page.select(f"{unasked}, style, [style]")
        texts[address] = "\n".join(str(tag) if tag.name == "style" else str(tag).partition(">")[0] for tag in tags)
    fetched = {name: elsewhere.findall(text) for name, text in texts.items()}
    assert {name: addresses for name, addresses in fetched.items() if addresses} == {}


def test_every_page_is_in_the_navigation_and_the_sitemap(pages, site):
    """A page lists its own section, and of every other one the first page."""
    near = {address: pages.keys() & links(address, page, ".md-nav__link[href]") for address, page in pages.items()}
    missing = {address: sorted(pages.keys() - listed.union(*map(near.get, listed))) for address, listed in near.items()}
    assert {address: pages for address, pages in missing.items() if pages} == {}
    sitemap = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text("utf-8"))
    assert sorted(urlsplit(address).path for address in sitemap) == sorted(urlsplit(address).path for address in pages)


def test_a_wrong_address_has_its_page(site):
    assert len(BeautifulSoup((site / "404.html").read_text("utf-8"), "html.parser").select("h1")) == 1


def test_no_page_is_heavy(site):
    weights = {path.relative_to(site).as_posix(): path.stat().st_size for path in site.rglob("*.html")}
    assert {name: weight for name, weight in weights.items() if weight > 300_000} == {}


def test_every_page_with_what_it_fetches_is_light_when_compressed(site):
    compressed = functools.cache(lambda file: len(gzip.compress(file.read_bytes(), 6)))
    pages = {page.relative_to(site).as_posix(): {page, *fetched(page)} for page in site.rglob("index.html")}
    weights = {name: sum(map(compressed, files)) for name, files in pages.items()}
    assert {name: weight for name, weight in weights.items() if weight > 90_000} == {}


@pytest.mark.parametrize("repository", ["", "https://github.com/example/nnx-state"])
def test_a_repository_is_linked_only_if_there_is_one(repository, pytestconfig, tmp_path):
    """The theme's own link would ask the host of the repository for figures on each visit."""
    root = pytestconfig.rootpath
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Home")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {root.as_posix()}/mkdocs.yml\n"
        f"theme: {{custom_dir: '{root.as_posix()}/docs/assets/overrides'}}\n"
        "plugins: [search]\nnav: [index.md]\nwatch: []\n"
    )
    variables = environment() | ({"REPO_URL": repository} if repository else {})
    subprocess.run([sys.executable, "-m", "mkdocs", "build"], cwd=tmp_path, env=variables, check=True)
    html = (tmp_path / "site/index.html").read_text("utf-8")
    assert (f'href="{repository}/edit/main/docs/index.md"' in html) == bool(repository)
    assert ("md-source" in html) == bool(repository)
    assert 'data-md-component="source"' not in html
