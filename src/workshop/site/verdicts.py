"""The pages of claims: the index with its counts, and a page for each topic.

A topic has a table with a row for each claim and a column for each run of releases that agree, the newest first, and
the functions that ran. Each row begins with what the last change means for a program, and with what to write. The
search on the index reads the data that `verdict_data` makes.
"""

import html
import importlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator

from nnx_state._addresses import address
from nnx_state.claims import published
from nnx_state.claims.published import Column
from nnx_state.claims.registry import CRASHED, DIFFERS, HOLDS, NOT_APPLICABLE, TOPICS, Claim, Verdict, claims
from workshop.pitfalls import FOLDER, entries
from workshop.site import consequences, tables
from workshop.site.consequences import Remedy
from workshop.site.tree import Tree

TOOLS = ("compat", "registry")  # what the topics are written with
RELEASE = "docs/assets/overrides/partials/release.html"  # the newest release, which printed pages name
MODULES = (*TOPICS, *TOOLS)  # each has a page of its own, in this order
MARKS = {HOLDS: "✓", DIFFERS: "✗", NOT_APPLICABLE: "○", CRASHED: "!"}
KINDS = (HOLDS, DIFFERS, NOT_APPLICABLE)
INSTEAD = "instead"  # the consequence of a statement that has been false on every release
IN_TREE_MODE = "in tree mode"
ROOM = {"few": 5, "some": 7, "many": 99}  # by how many columns a table has, it needs so much room beside the claims
LINKED = {
    "lessons": "the lesson",
    "exercises": "the exercise",
    "pitfalls": "Pitfalls",
    "upgrading": "Upgrading",
    "coming-from": "the page for those who come from there",
    "reference": "the reference",
    "claims": "the claim",
    "cheat-sheet": "the cheat sheet",
    "index": "the first page",
    "notebooks": "the notebook",
}
_TOPIC = """\
---
description: "{plain}: claims about Flax NNX state, run on releases {first} to {last}, and the functions that ran."
search:
  exclude: true
topic: true
hide: [toc]
---

# {title}

{count} [claims](index.md), each a function that ran on every release from {first} to {last}: {marks}.
A mark is red where the code of the claim raises, and amber where it warns; releases that agree share a column.
*What happened* tells the rest; {elsewhere}the functions stand [below the table](#what-ran).

{table}

## What ran

[What they are written with](compat.md) hides what Flax renamed.

::: nnx_state.claims.{module}
    options:
      heading_level: 3
      show_if_no_docstring: true
      show_root_heading: false
      show_source: true
"""

_TOOL = """\
---
description: "What the claims about Flax NNX state are written with, as it ran on each release: {plain}."
search:
  exclude: true
---

# {title}

[The claims](index.md) are written with these functions.

::: nnx_state.claims.{module}
    options:
      heading_level: 2
      show_if_no_docstring: true
      show_root_heading: false
      show_source: true
"""


def make(tree: Tree) -> None:
    """Make the table of topics in the index, the pages of topics and tools, and the name of the newest release."""
    _, columns = published.load()
    measured = {name: column for name, column in reversed(columns.items()) if not column.failed}
    remedies = consequences.remedies(entries(tree.root / FOLDER))
    tree.make(RELEASE, f"{next(name for name in measured if ' ' not in name)}\n")
    tables.fill(tree, "docs/claims/index.md", index(measured))
    for module in TOPICS:
        tree.make(f"docs/claims/{address_of(module)}.md", topic(module, measured, remedies))
    for module in TOOLS:
        title = heading(module)
        tree.make(f"docs/claims/{address_of(module)}.md", _TOOL.format(title=title, plain=plain(title), module=module))


def index(columns: dict[str, Column]) -> str:
    """Return the form of the search, its place for what is found, and the table of topics.

    Args:
        columns: the verdicts by release, the newest first.
    """
    newest = next(name for name in columns if " " not in name)
    verdicts = columns[newest].verdicts
    rows = [f"| Topic | Claims | {' | '.join(f'{kind} on {newest}' for kind in KINDS)} |", f"|{'---|' * 5}"]
    for module in TOPICS:
        names = [claim.name for claim in of_topic(module)]
        counts = Counter(verdicts[name].verdict for name in names if name in verdicts)
        told = " | ".join(str(counts[kind] or "") for kind in KINDS)
        rows.append(f"| [{heading(module)}]({address_of(module)}.md) | {len(names)} | {told} |")
    return f"{_form(columns)}\n\n" + "\n".join(rows)


def _form(columns: dict[str, Column]) -> str:
    """Return the form, which is seen only where scripts run; its answers come from the data."""
    topics = [(address_of(module), plain(heading(module))) for module in TOPICS]
    names = [(name, name) for name in columns]
    fields = [
        _field("topic", "Topic", topics, "all"),
        _field("verdict", "Verdict", [(kind, kind) for kind in KINDS], "any"),
        _field("release", "On release", names, "any"),
        f'<div class="claims__pair">{_field("from", "Changed from", names)}{_field("to", "to", names)}</div>',
    ]
    text = '<label for="claims-text">Search the claims</label><input type="search" id="claims-text" name="text">'
    return f"""\
<form class="claims__form" data-search-exclude>
<div>{text}</div>
{chr(10).join(fields)}
<button type="reset" class="md-button">Show none</button>
</form>
<div class="claims__found" id="found" tabindex="-1" data-search-exclude><p role="status"></p></div>"""


def _field(name: str, title: str, options: list[tuple[str, str]], empty: str = "none") -> str:
    choices = "".join(
        f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in [("", empty), *options]
    )
    label, control = f'<label for="claims-{name}">{title}</label>', f'<select id="claims-{name}" name="{name}">'
    return f"<div>{label}{control}{choices}</select></div>"


def topic(module: str, columns: dict[str, Column], remedies: list[Remedy]) -> str:
    """Return the page of a topic, in Markdown.

    Args:
        module: its module, such as `plain_arrays`.
        columns: the verdicts by release, the newest first.
        remedies: what the entries of the pitfalls page say to write.
    """
    title, listed = heading(module), of_topic(module)
    releases = [name for name in columns if " " not in name]
    elsewhere = [name for column in columns.values() for cells in column.elsewhere.values() for name in cells]
    others = {claim.name for claim in listed}.intersection(elsewhere)
    return _TOPIC.format(
        title=title,
        plain=plain(title),
        first=releases[-1],
        last=releases[0],
        count=len(listed),
        marks=", ".join(f"{MARKS[kind]} {kind}" for kind in KINDS),
        elsewhere="some claims fare otherwise on another Python, which it tells too; " if others else "",
        table=table(listed, columns, remedies),
        module=module,
    )


def table(listed: list[Claim], columns: dict[str, Column], remedies: list[Remedy]) -> str:
    """Return a table as HTML: a row for each claim, a column for each run of releases that agree on all of them."""
    groups = list(consequences.groups(listed, columns))
    heads = "".join(
        f'<th scope="col" data-releases="{html.escape("|".join(group))}">{_head(group)}</th>' for group in groups
    )
    rows = "\n".join(_row(claim, columns, groups, remedies) for claim in listed)
    room = next(name for name, most in ROOM.items() if len(groups) <= most)
    return f"""\
<div class="claims claims--{room}" data-search-exclude>
<table class="claims__table">
<caption>Verdicts, the newest release first</caption>
<thead><tr><th scope="col">Claim</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _head(group: list[str]) -> str:
    """Return the releases of a column in two lines, or a release and its mode."""
    if len(group) > 1:
        return f"{group[-1]}<br>to {group[0]}"
    release, _, mode = group[0].partition(" ")
    return f"{release}<br>{mode}" if mode else release


def _row(claim: Claim, columns: dict[str, Column], groups: list[list[str]], remedies: list[Remedy]) -> str:
    missing = Verdict(CRASHED, "not measured")
    verdicts = {name: column.verdicts.get(claim.name, missing) for name, column in columns.items()}
    said = "".join(_happened(span, one) for span, one in spans(verdicts))
    for name, column in columns.items():
        for python, cells in column.elsewhere.items():
            if claim.name in cells:
                said += _happened(f"{name} on Python {python}", cells[claim.name])
    bare = {name: Verdict(one.verdict) for name, one in verdicts.items()}
    short = " · ".join(f"{span} {one.verdict}" for span, one in spans(bare))
    links = (
        f'<a href="../../{address(claim.lesson)}">lesson</a> '
        f'<a href="#nnx_state.claims.{claim.topic}.{claim.check.__name__}">source</a>'
    )
    taught = "" if claim.source == "ours" else f"Said by {html.escape(claim.source)}. "
    marks = "".join(_cell(claim, group, verdicts) for group in groups)
    return (
        f'<tr id="{claim.name}"><th scope="row"><p><a href="#{claim.name}" class="claims__self">'
        f"{rich(claim.statement)}</a></p>{''.join(_consequences(claim, verdicts, columns, remedies))}"
        f'<p class="claims__short">{short}</p>'
        f"<details><summary>What happened</summary><ul>{said}</ul><p>{taught}{links}</p></details></th>{marks}</tr>"
    )


def _consequences(
    claim: Claim, verdicts: dict[str, Verdict], columns: dict[str, Column], remedies: list[Remedy]
) -> Iterator[str]:
    """Yield what the last change means, or what happens in the place of the statement; and what tree mode changes."""
    releases = {name: column for name, column in columns.items() if " " not in name}
    newest = verdicts[next(iter(releases))]
    if change := consequences.last_change(claim, releases):
        kind, since, before = change
        told = f": {newest.said}" if newest.said else f"; before: {before.said}" if before.said else ""
        yield _consequence(claim, kind, f"since {since}{told}", newest, remedies)
    elif newest.verdict == DIFFERS:
        yield _consequence(claim, INSTEAD, newest.said, newest, remedies)
    for name in columns.keys() - releases.keys():
        if kind := consequences.consequence(claim, newest, verdicts[name]):
            told = f": {verdicts[name].said}" if verdicts[name].said else ""
            yield _consequence(claim, kind, f"{IN_TREE_MODE}{told}", verdicts[name], remedies)


def _consequence(claim: Claim, kind: str, told: str, one: Verdict, remedies: list[Remedy]) -> str:
    write = ""
    if kind in consequences.BAD or (kind == INSTEAD and consequences.outcome(claim, one) == consequences.RAISES):
        write = _write(claim, one, remedies, tree_mode=told.startswith(IN_TREE_MODE))
    shown = f'<b class="claims__is-{kind.replace(" ", "-")}">{kind}</b> {rich(told)}'
    return f'<p class="claims__change">{shown}{write}</p>'


def _write(claim: Claim, one: Verdict, remedies: list[Remedy], *, tree_mode: bool) -> str:
    """Return what to write: the fix of a pitfall where one is known, or else where the page of the claim shows it."""
    if found := consequences.remedy(claim, one, remedies):
        link = f'<a href="../../pitfalls/#{found.entry.anchor}">Pitfalls</a>'
        return f'<span class="claims__write"><b>Write</b> {rich(found.fix)} {link}</span>'
    where, name = ("upgrading/#what-is-coming-tree-mode", "Upgrading") if tree_mode else (address(claim.lesson), "")
    name = name or LINKED[claim.lesson.partition("/")[0].partition(".")[0]]
    return f'<span class="claims__write"><b>Write</b> as <a href="../../{where}">{name}</a> shows.</span>'


def _happened(span: str, one: Verdict) -> str:
    return f"<li><b>{span}</b> {one.verdict}{f': {rich(one.said)}' if one.said else ''}</li>"


def _cell(claim: Claim, group: list[str], verdicts: dict[str, Verdict]) -> str:
    """Return a cell: its mark says whether the statement is true, its colour what the code does."""
    one, said = verdicts[group[0]], {verdicts[name].said for name in group}
    kind, done = one.verdict.replace(" ", "-"), consequences.outcome(claim, one)
    loud = done in (consequences.RAISES, consequences.WARNS)
    title = f' title="{html.escape(one.said)}"' if one.said and len(said) == 1 else ""
    classes = f"claims__{kind} claims__{done}" if loud else f"claims__{kind}"
    does = f"<b>, {done}</b>" if loud else ""
    mark = f'<i aria-hidden="true">{MARKS[one.verdict]}</i>'
    return f'<td class="{classes}"{title}>{mark}<b>{one.verdict}</b>{does}</td>'


def spans(verdicts: dict[str, Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Yield each run of neighbouring releases with one verdict, such as `0.8.5 to 0.10.7`, and that verdict.

    Args:
        verdicts: by release, the newest first; tree mode, which is no release, makes a run of its own.
    """
    for (verdict, mode), group in itertools.groupby(verdicts.items(), key=lambda pair: (pair[1], " " in pair[0])):
        run = [name for name, _ in group]
        yield (run[0] if len(run) == 1 or mode else f"{run[-1]} to {run[0]}"), verdict


def of_topic(module: str) -> list[Claim]:
    """Return the claims of a topic, in their order."""
    return [claim for claim in claims().values() if claim.topic == module]


def heading(module: str) -> str:
    """Return the heading of a topic: the first line of its module's docstring, up to the colon."""
    doc = importlib.import_module(f"nnx_state.claims.{module}").__doc__ or ""
    return doc.partition("\n")[0].partition(":")[0].rstrip(".")


def plain(title: str) -> str:
    """Return a heading without its backticks."""
    return title.replace("`", "")


def rich(markdown: str) -> str:
    """Return one sentence of Markdown as HTML: its backticks become code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(markdown, quote=False))


def address_of(module: str) -> str:
    """Return the name of a module's page, without its ending."""
    return module.replace("_", "-")
