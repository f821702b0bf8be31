"""What is published of the claims was measured."""

from collections.abc import Iterator

from nnx_state.claims import published
from workshop.census.repository import Repository


def claims_were_measured(repository: Repository) -> Iterator[str]:
    """The published verdicts are those of the claims and checks as they are now."""
    file = repository.package / "claims" / published.FILE.name
    if file.exists() and published.load(file)[0] != published.sources():
        yield (
            f"{repository.name(file)}: it was measured before a claim or a check changed. "
            "What to do: python noxfile.py matrix"
        )
