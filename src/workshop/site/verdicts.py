"""The table of claims and verdicts on the page Claims, and the pages of their sources."""

import html
import importlib
import itertools
import re
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


_EVIDENCE = """\
---
description: "Sources of claims about Flax NNX state, as they ran on each release: {title}."
search:
  exclude: true
---

# {title}

The functions behind [the verdicts](index.md){more}.

::: nnx_state.claims.{module}
    options:
      heading_level: 2
      show_if_no_docstring: true
      show_root_heading: false
      show_source: true
"""


def make(tree: Tree) -> None:
    """Make the table in the page Claims, and the pages of the sources."""
    _, columns = published.load()
    tables.fill(tree, "docs/claims/index.md", table(columns))
    for module in MODULES:
        tree.make(f"docs/claims/{address_of(module)}.md", evidence(module))


def table(columns: dict[str, Column]) -> str:
    """Return the table as HTML: a row for each claim, a column for each release, the verdicts as marks with words.

    Args:
        columns: the verdicts by release, the oldest first.
    """
    heads = "".join(f'<th scope="col">{release}</th>' for release in columns)
    bodies = "\n".join(_topic(topic, columns) for topic in TOPICS)
    marks = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items() if verdict != CRASHED)
    caption = f"Claims about NNX state on releases of Flax: {marks}"
    return f"""\
<div class="claims" role="region" aria-label="Claims and verdicts" tabindex="0" data-search-exclude>
<table class="claims__table">
<caption>{caption}</caption>
<thead><tr><th scope="col">Claim</th>{heads}</tr></thead>
{bodies}
</table>
</div>"""


def heading(topic: str) -> str:
    """Return the heading of a topic: the first line of its module's docstring, up to the colon."""
    doc = importlib.import_module(f"nnx_state.claims.{topic}").__doc__ or ""
    return doc.partition("\n")[0].partition(":")[0].rstrip(".")


def spans(releases: list[str], verdicts: list[Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Yield each run of releases with one verdict, such as `0.8.5 to 0.10.7`, and that verdict."""
    pairs = zip(releases, verdicts, strict=True)
    for verdict, group in itertools.groupby(pairs, key=lambda pair: pair[1]):
        run = [release for release, _ in group]
        yield (run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}"), verdict


def rich(markdown: str) -> str:
    """Return one sentence of Markdown as HTML: its backticks become code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(markdown, quote=False))


def _topic(topic: str, columns: dict[str, Column]) -> str:
    rows = "\n".join(_row(claim, columns) for claim in claims().values() if claim.topic == topic)
    title = f'<tr><th scope="rowgroup" colspan="{len(columns) + 1}" id="{topic}">{rich(heading(topic))}</th></tr>'
    return f'<tbody data-topic="{topic}">\n{title}\n{rows}\n</tbody>'


def _row(claim: Claim, columns: dict[str, Column]) -> str:
    releases = list(columns)
    verdicts = [column.verdicts.get(claim.name, Verdict(CRASHED, "not measured")) for column in columns.values()]
    ranges = list(spans(releases, verdicts))
    said = "".join(
        f"<li><b>{span}</b> {one.verdict}{f': {rich(one.said)}' if one.said else ''}</li>" for span, one in ranges
    )
    short = " · ".join(f"{span} {one.verdict}" for span, one in spans(releases, [Verdict(v.verdict) for v in verdicts]))
    links = (
        f'<a href="../{address(claim.lesson)}">lesson</a> '
        f'<a href="{address_of(claim.topic)}/#nnx_state.claims.{claim.topic}.{claim.check.__name__}">source</a>'
    )
    taught = "" if claim.source == "ours" else f"Said by {html.escape(claim.source)}. "
    cells = "".join(_cell(release, one) for release, one in zip(releases, verdicts, strict=True))
    return (
        f'<tr id="{claim.name}"><th scope="row"><p><a href="#{claim.name}" class="claims__self">'
        f"{rich(claim.statement)}</a></p>"
        f'<p class="claims__short">{short}</p>'
        f"<details><summary>What happened</summary><ul>{said}</ul><p>{taught}{links}</p></details></th>{cells}</tr>"
    )


def _cell(release: str, one: Verdict) -> str:
    kind = one.verdict.replace(" ", "-")
    title = f' title="{html.escape(f"Flax {release}: {one.said}")}"' if one.said else ""
    return f'<td class="claims__{kind}"{title}><i aria-hidden="true">{MARKS[one.verdict]}</i><b>{one.verdict}</b></td>'


def evidence(module: str) -> str:
    """Return the page that shows the source of a topic, or of what topics are written with, in Markdown."""
    more = "" if module in TOOLS else "; [what they are written with](compat.md) hides what Flax renamed"
    return _EVIDENCE.format(title=heading(module).replace("`", ""), module=module, more=more)


def address_of(module: str) -> str:
    """Return the name of the page that shows a module's source, without its ending."""
    return module.replace("_", "-")
