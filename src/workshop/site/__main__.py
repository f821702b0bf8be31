"""Write all that is made and committed: ``python -m workshop.site``, or ``python noxfile.py generate``."""

import os
import sys

from workshop.site.makers import made


def main() -> None:
    """Write what is stale and name it; where something is wrong, say what and write nothing."""
    try:
        tree = made(repository=os.environ.get("REPO_URL", ""), site=os.environ.get("SITE_URL", ""))
    except ValueError as wrong:
        sys.exit(str(wrong))
    for path in tree.write():
        print(f"written: {path}")


if __name__ == "__main__":
    main()
