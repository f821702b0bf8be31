"""The entries of the pitfalls as data: `docs/pitfalls/answers.json`, which is made of their pages."""

import functools
import json
from dataclasses import dataclass

from nnx_state import _pages
from nnx_state.answers.texts import Template, squeezed


@dataclass(frozen=True)
class Cause:
    """One of the causes of an entry.

    Attributes:
        title: its heading.
        anchor: the id of its heading.
        told: what tells it from the others: of each group, one text stands around the exception.
    """

    title: str
    anchor: str
    told: tuple[tuple[str, ...], ...]

    def is_told(self, around: str) -> bool:
        """Tell whether what stands around an exception shows it, squeezed as it is."""
        return all(any(text in around for text in group) for group in self.told)


@dataclass(frozen=True)
class Entry(Cause):
    """An entry.

    Attributes:
        page: its page, such as `reading-writing`.
        templates: the texts that lead to it; a symptom has none.
        question: what tells its causes apart.
        causes: its causes, where it has several.
    """

    page: str
    templates: tuple[Template, ...]
    question: str
    causes: tuple[Cause, ...]


@dataclass(frozen=True, eq=False)  # two are the same only if they are one, so that what is made of one can be kept
class Entries:
    """All entries.

    Attributes:
        listed: in the order of the pages.
        phrases: words of those who have a symptom, each with the anchors of its entries.
    """

    listed: tuple[Entry, ...]
    phrases: tuple[tuple[str, tuple[str, ...]], ...]

    @functools.cached_property
    def by_anchor(self) -> dict[str, Entry]:
        """Return each entry by its anchor."""
        return {entry.anchor: entry for entry in self.listed}

    @functools.cached_property
    def _by_class(self) -> dict[str, list[tuple[Template, Entry]]]:
        return {}

    def of_class(self, name: str) -> list[tuple[Template, Entry]]:
        """Return the templates that an exception of this class may have, each with its entry, in their order."""
        if name not in self._by_class:
            every = ((template, entry) for entry in self.listed for template in entry.templates)
            self._by_class[name] = [(template, entry) for template, entry in every if template.is_of(name)]
        return self._by_class[name]


@functools.cache
def load() -> Entries:
    """Return the entries that are installed with the package."""
    return parsed(json.loads((_pages.folder() / "pitfalls" / "answers.json").read_text("utf-8")))


def parsed(data: dict[str, list[dict[str, object]]]) -> Entries:
    """Return the entries of data that were read from JSON."""
    return Entries(
        tuple(map(_entry, data["entries"])),
        tuple((phrase["words"], tuple(phrase["anchors"])) for phrase in data["phrases"]),  # type: ignore[misc, arg-type]
    )


def _entry(data: dict[str, object]) -> Entry:
    values: dict[str, list] = data  # type: ignore[assignment, type-arg]
    return Entry(
        title=str(data["title"]),
        anchor=str(data["anchor"]),
        told=_told(values.get("told", [])),
        page=str(data["page"]),
        templates=tuple(map(Template.of, values.get("texts", []))),
        question=str(data.get("question", "")),
        causes=tuple(
            Cause(cause["title"], cause["anchor"], _told(cause.get("told", []))) for cause in values.get("causes", [])
        ),
    )


def _told(groups: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(map(squeezed, group)) for group in groups)
