"""Every term of the lessons is explained where it is met first on the path."""

from collections.abc import Iterator

from workshop.census.repository import Repository
from workshop.site import lessons, terms


def terms_are_explained_first(repository: Repository) -> Iterator[str]:
    """The first place of each term, in the prose of the lessons in their order, explains it."""
    for term, place in terms.first_places(lessons.on_the_path(repository.root)).items():
        if not place.explained:
            fix = "explain it there and put it into italics, say it without the term, or explain it further up"
            yield f"{place.path}:{place.line}: the first use of {term!r} on the path. What to do: {fix}."
