"""The sections of `nav` in `mkdocs.yml` that follow a list: lessons, exercises, claims and reference."""

import re

from nnx_state._lessons import LESSONS
from workshop.site import verdicts
from workshop.site.tree import Tree

MADE = "# written by `python noxfile.py generate`"
SETTINGS = "mkdocs.yml"


def make(tree: Tree) -> None:
    """Make these sections, and leave the rest of the file as it is."""
    tree.make(SETTINGS, with_sections(tree.read(SETTINGS), sections()))


def sections() -> dict[str, list[str]]:
    """Return the pages of each section, its index first."""
    slugs = [lesson.slug for lesson in LESSONS]
    topics = [verdicts.address_of(module) for module in verdicts.MODULES]
    folders = {"Lessons": slugs, "Exercises": slugs, "Claims": topics, "Reference": slugs}
    return {name: [f"{name.lower()}/{page}.md" for page in ("index", *pages)] for name, pages in folders.items()}


def with_sections(settings: str, sections: dict[str, list[str]]) -> str:
    """Return the settings with these sections in the place of those that they have.

    Raises:
        ValueError: If there is no such section, or it is not marked as one that is made.
    """
    for name, pages in sections.items():
        heading = f"  - {name}:  {MADE}\n"
        listed = "".join(f"      - {page}\n" for page in pages)
        settings, times = re.subn(rf"^{re.escape(heading)}(?:      - .*\n)*", heading + listed, settings, flags=re.M)
        if times != 1:
            raise ValueError(f"{SETTINGS}: the list {name} has no place. What to do: write `{heading.strip()}` in nav.")
    return settings
