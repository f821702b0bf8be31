"""The templates: what Jinja2, of MkDocs, and MiniJinja, of its successor Zensical, both understand."""

from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

FOLDER = Path(__file__).parents[2] / "docs/assets/overrides"
TEMPLATES = sorted(FOLDER.rglob("*.html"))

FILTERS = {"e", "int", "items", "length", "replace", "striptags", "url"}  # both bring `url` themselves
TESTS = {"defined"}
FUNCTIONS = {"lang.t", "namespace", "range", "super"}


def name_of(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def macros() -> set[str]:
    trees = [jinja2.Environment().parse(path.read_text("utf-8")) for path in TEMPLATES]
    return {macro.name for tree in trees for macro in tree.find_all(nodes.Macro)}


def spelled(function: nodes.Node) -> str:
    """Return a function as it is called: `super`, or `text.split`, in which the text may be any expression."""
    if isinstance(function, nodes.Getattr):
        return f"{spelled(function.node)}.{function.attr}"
    return function.name if isinstance(function, nodes.Name) else "…"


def complaints(source: str, macros: set[str]) -> list[str]:
    """Return what a template uses that is not known to be understood by both."""
    tree = jinja2.Environment().parse(source)
    found = [f"the filter {node.name}" for node in tree.find_all(nodes.Filter) if node.name not in FILTERS]
    found += [
        f"{node.name} with {len(node.args)} arguments"
        for node in tree.find_all(nodes.Filter)
        if node.name == "replace" and len(node.args) != 2
    ]
    found += [f"the test {node.name}" for node in tree.find_all(nodes.Test) if node.name not in TESTS]
    called = {spelled(node.node) for node in tree.find_all(nodes.Call)}
    return [*found, *(f"the function {name}" for name in sorted(called - FUNCTIONS - macros))]


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_is_understood_by_both(path):
    fix = "What to do: write it with what is listed in this test, or show that Jinja2 and MiniJinja both have it."
    assert complaints(path.read_text("utf-8"), macros()) == [], fix


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ('{{ page.url.split("/") }}', "the function page.url.split"),
        ('{{ ("a" ~ b).split("/") }}', "the function ….split"),
        ('{{ a | replace("b", "c", 1) }}', "replace with 3 arguments"),
        ("{% set _ = page.meta.update({}) %}", "the function page.meta.update"),
        ("{{ a | wordwrap }}", "the filter wordwrap"),
        ("{% if a is sameas b %}{% endif %}", "the test sameas"),
    ],
)
def test_what_one_of_them_lacks_is_named(source, complaint):
    assert complaints(source, set()) == [complaint]
