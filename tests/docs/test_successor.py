"""The comparison of the site with the one that Zensical builds; `python noxfile.py successor` makes it."""

import re
import sys

import pytest

from workshop import environments
from workshop.pages import is_notebook
from workshop.successor import build, losses

PAGE = """\
<html><head><title>{title}</title><meta name="description" content="About."></head><body><nav>Menu</nav>
<article><h1>{title}<a class="headerlink">#</a></h1><p>{text}</p></article></body></html>
"""


@pytest.fixture
def write(tmp_path):
    """Give a function that writes a site from the texts of its pages by address, and returns its folder."""

    def write_site(name, texts):
        for address, text in texts.items():
            file = tmp_path / name / address / "index.html"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(PAGE.format(title=address or "home", text=text))
        return tmp_path / name

    return write_site


SITE = {"": "Welcome.", "lessons/linear": "A kernel and no bias.", "notebooks/drift": "It drifts."}
LOST = {"notebooks/drift/"}
ZENSICAL = {address: text for address, text in SITE.items() if f"{address}/" not in LOST}


def test_what_is_listed_as_lost_and_all_else_as_it_was_is_no_complaint(write):
    assert losses.complaints(write("site", SITE), write("successor", ZENSICAL), LOST) == []


@pytest.mark.parametrize(
    ("successor", "lost", "complaint"),
    [
        (SITE, LOST, "notebooks/drift/ is not lost. What to do: take it out of lost.toml."),
        (ZENSICAL, {*LOST, "gone/"}, "gone/ is not lost. What to do: take it out of lost.toml."),
        (ZENSICAL, set(), "notebooks/drift/ is missing. What to do: mend it, or list it in lost.toml with the reason."),
        (ZENSICAL | {"new": ""}, LOST, "new/ is new. What to do: find out what made it, and leave that out."),
        (
            ZENSICAL | {"lessons/linear": "A kernel."},
            LOST,
            "lessons/linear/ reads differently: 'kernel and no bias.' became 'kernel.'. What to do: mend it.",
        ),
        (
            ZENSICAL | {"": "Welcome. More."},
            LOST,
            "/ reads differently: '' became 'More.'. What to do: mend it.",
        ),
    ],
)
def test_each_other_loss_is_named(write, successor, lost, complaint):
    assert losses.complaints(write("site", SITE), write("successor", successor), lost) == [complaint]


def test_title_and_description_are_words_of_a_page_and_its_menu_is_not(write):
    page = losses.pages(write("site", SITE))["lessons/linear/"]
    assert losses.words(page) == ["About.", "lessons/linear", "lessons/linear", "A", "kernel", "and", "no", "bias."]


def test_what_is_listed_as_lost_are_the_notebooks(pytestconfig):
    docs = pytestconfig.rootpath / "docs"
    notebooks = [path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.py") if is_notebook(path)]
    assert losses.listed() == {f"{notebook}/" for notebook in notebooks}


def test_the_constraints_name_versions_and_hashes_and_no_address():
    text = build.CONSTRAINTS.read_text("utf-8")
    entries = re.findall(r"^(\S+?)==\S+(?: ; .*?)? \\\n((?:    --hash=sha256:\w+(?: \\)?\n)+)", text, re.MULTILINE)
    assert {"zensical", "mkdocstrings", "ruff"} <= {name for name, _ in entries}
    assert text.count("==") - text.count("== '") == len(entries)
    assert "//" not in text


def test_an_environment_is_made_once_for_its_constraints(tmp_path, monkeypatch):
    calls = []

    def uv(*arguments):
        calls.append(arguments[0])
        (tmp_path / "environment").mkdir(exist_ok=True)

    monkeypatch.setattr(environments, "uv", uv)
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("a==1")
    for _ in range(2):
        environments.installed(tmp_path / "environment", constraints)
        assert calls == ["venv", "pip"]
    constraints.write_text("a==2")
    environments.installed(tmp_path / "environment", constraints)
    assert calls == ["venv", "pip"] * 2


def test_what_cannot_be_installed_is_an_error():
    with pytest.raises(environments.InstallError, match=r"^uv: error: unrecognized subcommand"):
        environments.uv("nonsense")


def test_a_build_that_fails_is_an_error_with_what_was_said(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "installed", lambda *_: sys.executable)  # it has no Zensical
    for folder in ("docs", "src"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mkdocs.yml").write_text("site_name: NNX")
    with pytest.raises(build.BuildError, match="No module named zensical"):
        build.build(tmp_path, tmp_path / "cache")
