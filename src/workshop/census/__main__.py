"""Say what is missing or stale in the repository: ``python -m workshop.census``, ``python noxfile.py missing``."""

import sys

from workshop.census.checks import complaints
from workshop.census.repository import Repository


def main() -> None:
    """Print each complaint as it is found; the exit code is 1 if there is one."""
    number = 0
    for complaint in complaints(Repository()):
        number += 1
        print(complaint, flush=True)
    print(f"{number} missing or stale." if number else "Nothing is missing or stale.")
    sys.exit(number > 0)


if __name__ == "__main__":
    main()
