"""What is made and committed is as `python noxfile.py generate` makes it now."""

from collections.abc import Iterator

from workshop.census.repository import Repository
from workshop.site.makers import made


def made_files_are_up_to_date(repository: Repository) -> Iterator[str]:
    """No file that is made is missing, or made of something that has changed."""
    try:
        stale = made(repository.root).stale()
    except ValueError as wrong:
        yield str(wrong)
        return
    if stale:
        yield f"{', '.join(stale)}: not up to date. What to do: python noxfile.py generate"
