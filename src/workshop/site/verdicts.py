"""The pages of claims: the index with its counts, and a page for each topic.

A topic has a table with a row for each claim and a column for each release, the newest first, and the functions that
ran. The search on the index reads the data that `verdict_data` makes.
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
from workshop.site import tables
from workshop.site.tree import Tree

TOOLS = ("compat", "registry")  # what the topics are written with
MODULES = (*TOPICS, *TOOLS)  # each has a page of its own, in this order
MARKS = {HOLDS: "✓", DIFFERS: "✗", NOT_APPLICABLE: "○", CRASHED: "!"}
KINDS = (HOLDS, DIFFERS, NOT_APPLICABLE)
_TOPIC = """\
---
description: "{plain}: claims about Flax NNX state, run on releases {first} to {last}, and the functions that ran."
search:
  exclude: true
hide: [toc]
---

# {title}

{count} [claims](index.md), each a function that ran on every release below: {marks}.
*What happened* tells where it was otherwise; {elsewhere}the functions stand [below the table](#what-ran).

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
    """Make the table of topics in the index, and the pages of topics and tools."""
    _, columns = published.load()
    measured = {name: column for name, column in reversed(columns.items()) if not column.failed}
    tables.fill(tree, "docs/claims/index.md", index(measured))
    for module in TOPICS:
        tree.make(f"docs/claims/{address_of(module)}.md", topic(module, measured))
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
<p role="status"></p>
</form>
<div class="claims__found" data-search-exclude></div>"""


def _field(name: str, title: str, options: list[tuple[str, str]], empty: str = "none") -> str:
    choices = "".join(
        f'<option value="{html.escape(value)}">{html.escape(text)}</option>' for value, text in [("", empty), *options]
    )
    label, control = f'<label for="claims-{name}">{title}</label>', f'<select id="claims-{name}" name="{name}">'
    return f"<div>{label}{control}{choices}</select></div>"


def topic(module: str, columns: dict[str, Column]) -> str:
    """Return the page of a topic, in Markdown.

    Args:
        module: its module, such as `plain_arrays`.
        columns: the verdicts by release, the newest first.
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
        elsewhere="some are others on another Python, which it tells too; " if others else "",
        table=table(listed, columns),
        module=module,
    )


def table(listed: list[Claim], columns: dict[str, Column]) -> str:
    """Return a table as HTML: a row for each claim, a column for each release, the verdicts as marks with words."""
    heads = "".join(f'<th scope="col">{_wrapped(name)}</th>' for name in columns)
    rows = "\n".join(_row(claim, columns) for claim in listed)
    return f"""\
<div class="claims" role="region" aria-label="Claims and verdicts" tabindex="0" data-search-exclude>
<table class="claims__table">
<thead><tr><th scope="col">Claim</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _wrapped(column: str) -> str:
    """Return the name of a column in two lines where it names a mode."""
    release, _, mode = column.partition(" ")
    return f"{release}<br>{mode}" if mode else release


def _row(claim: Claim, columns: dict[str, Column]) -> str:
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
    marks = "".join(_cell(name, one) for name, one in verdicts.items())
    return (
        f'<tr id="{claim.name}"><th scope="row"><p><a href="#{claim.name}" class="claims__self">'
        f"{rich(claim.statement)}</a></p>"
        f'<p class="claims__short">{short}</p>'
        f"<details><summary>What happened</summary><ul>{said}</ul><p>{taught}{links}</p></details></th>{marks}</tr>"
    )


def _happened(span: str, one: Verdict) -> str:
    return f"<li><b>{span}</b> {one.verdict}{f': {rich(one.said)}' if one.said else ''}</li>"


def _cell(release: str, one: Verdict) -> str:
    kind = one.verdict.replace(" ", "-")
    title = f' title="{html.escape(f"Flax {release}: {one.said}")}"' if one.said else ""
    return f'<td class="claims__{kind}"{title}><i aria-hidden="true">{MARKS[one.verdict]}</i><b>{one.verdict}</b></td>'


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
