"""What is made of the entries of the pitfalls: the data of the matcher, and the list of all entries on the index.

The data are one file, `docs/pitfalls/answers.json`: the site publishes it, and the wheel holds it beside the pages.
"""

import json
import re
from pathlib import Path
from typing import Any

from workshop.pitfalls import FOLDER, Cause, Entry, entries
from workshop.site import tables
from workshop.site.tree import Tree

FILE, INDEX = f"{FOLDER}/answers.json", f"{FOLDER}/index.md"
# - *What someone says. What another says.* [the entry](page.md#anchor), [another](page.md#anchor)
SAID = re.compile(r"^- \*(?P<words>[^*]+)\* (?P<links>.*\]\([\w-]+\.md#[\w-]+\).*)$", re.MULTILINE)
LINKED = re.compile(r"\]\([\w-]+\.md#([\w-]+)\)")


def make(tree: Tree) -> None:
    """Make the data, and the list; an older state of the repository has neither.

    Raises:
        ValueError: If the index names an entry that there is not.
    """
    if not tree.has(INDEX):
        return
    found = in_order(entries(tree.root / FOLDER), tree.read("mkdocs.yml"))
    tables.fill(tree, INDEX, listed(found, tree.root))
    phrases = said(tree.read(INDEX))
    known = {entry.anchor for entry in found}
    if lost := sorted({anchor for phrase in phrases for anchor in phrase["anchors"]} - known):
        raise ValueError(f"{INDEX}: no entry is named {', '.join(lost)}. What to do: mend the link.")
    data = {"entries": [_entry(entry) for entry in found], "phrases": phrases}
    tree.make(FILE, f"{json.dumps(data, indent=1, ensure_ascii=False)}\n")


def in_order(found: list[Entry], settings: str) -> list[Entry]:
    """Return the entries in the order of their pages in the navigation."""
    pages = re.findall(r"- pitfalls/([\w-]+)\.md", settings)
    return sorted(found, key=lambda entry: pages.index(entry.page.stem) if entry.page.stem in pages else len(pages))


def listed(found: list[Entry], root: Path) -> str:
    """Return the list of all entries in Markdown, by page; each item has the id of its entry."""
    lines: list[str] = []
    pages = dict.fromkeys(entry.page for entry in found)
    for page in pages:
        heading = re.search(r"^# (?:Pitfalls: )?(.+)$", page.read_text("utf-8"), re.MULTILINE)
        title = heading[1] if heading else page.stem
        lines += [f"### {title[0].upper()}{title[1:]}", ""]
        for entry in (entry for entry in found if entry.page == page):
            text = f"`{entry.title}`" if entry.is_error else entry.title
            lines.append(f"- [{text}]({page.name}#{entry.anchor}){{ #{entry.anchor} }}")
        lines.append("")
    return "\n".join(lines).rstrip()


def said(index: str) -> list[dict[str, Any]]:
    """Return the words of those who have a symptom, with the anchors of the entries that the index names for it."""
    return [
        {"words": words.strip(), "anchors": LINKED.findall(line["links"])}
        for line in SAID.finditer(index)
        for words in re.split(r"[.?!;] ?", line["words"])
        if words.strip()
    ]


def _entry(entry: Entry) -> dict[str, Any]:
    data: dict[str, Any] = {"page": entry.page.stem, **_named(entry)}
    if entry.texts:
        data["texts"] = entry.texts
    if entry.causes:
        data |= {"question": entry.question, "causes": [_named(cause) for cause in entry.causes]}
    return data


def _named(part: Cause) -> dict[str, Any]:
    return {"anchor": part.anchor, "title": part.title} | ({"told": part.told} if part.told else {})
