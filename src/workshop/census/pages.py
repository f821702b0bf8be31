"""Pages are in the navigation, avoid the words that the style avoids, and say of themselves what is so."""

import re
from collections.abc import Iterator

import yaml

from workshop.census.repository import Repository
from workshop.pages import prose, read
from workshop.site import nav
from workshop.site.order import LIST

# What the sections of the navigation follow that are made.
FOLLOWED = dict.fromkeys(("lessons", "exercises", "reference"), f"its lesson to {LIST}")
FOLLOWED["claims"] = "its topic to `TOPICS` in src/nnx_state/claims/registry.py"
AVOIDED = re.compile(r"\b(simply|just|obviously|easy|easily|we|our|us|let's)\b", re.IGNORECASE)


def pages_are_in_the_nav(repository: Repository) -> Iterator[str]:
    """Every page and notebook is in `nav`, as it is once what is made of it is made."""
    settings = nav.with_sections((repository.root / nav.SETTINGS).read_text("utf-8"), nav.sections())
    listed = str(yaml.load(settings, Loader=yaml.BaseLoader)["nav"])
    for path in (*repository.pages, *repository.notebooks):
        if path.is_relative_to(repository.docs) and f"'{path.relative_to(repository.docs).as_posix()}'" not in listed:
            place = FOLLOWED.get(path.parent.name, f"it to `nav` in {nav.SETTINGS}")
            yield f"{repository.name(path)}: it is in no list. What to do: add {place}, or remove the page."


def prose_avoids_words(repository: Repository) -> Iterator[str]:
    """No page holds a word that the style avoids."""
    for path in repository.pages:
        if found := AVOIDED.findall(prose(path.read_text("utf-8"))):
            yield f"{repository.name(path)}: the style avoids {', '.join(found)}. What to do: say it without."


def home_page_says_what_its_run_printed(repository: Repository) -> Iterator[str]:
    """The cells of the table on the home page are those that its program prints."""
    home = repository.docs / "index.md"
    lines = [line for line in home.read_text("utf-8").splitlines() if line.startswith("| ")]
    _, *rows = [[cell.strip() for cell in line.split("|")][2:-1] for line in lines]
    (printed,) = [block.output.text for block in read(home) if block.output and "retraces" in block.output.text]
    facts = {kind: cells for kind, *cells in (line.split() for line in printed.splitlines()[1:])}
    wanted = [facts[kind] for kind in ("param", "variable", "own", "array", "static")]
    if rows != wanted or facts["array"] != facts["data"]:  # these two share a row
        yield f"{repository.name(home)}: its table differs from what it printed. What to do: write {wanted} into it."
