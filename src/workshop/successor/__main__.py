"""Build the site twice, with MkDocs and with Zensical, and say what Zensical loses that is not listed.

``python noxfile.py successor`` ends with 1 if there is anything to say.
With ``-- --upgrade`` it takes the newest Zensical first.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from workshop.environments import InstallError
from workshop.successor import build, losses

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "successor"


def main() -> int:
    """Compare the two sites and print what is found."""
    parser = argparse.ArgumentParser(prog="python noxfile.py successor --", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest Zensical, and write that down")
    arguments = parser.parse_args()
    site = CACHE / "site"
    try:
        if arguments.upgrade:
            build.lock(ROOT)
        successor = build.build(ROOT, CACHE)
    except (InstallError, build.BuildError) as error:
        sys.exit(str(error))
    subprocess.run([sys.executable, "-m", "workshop.site.build", "--site-dir", site], cwd=ROOT, check=True)
    lost = losses.listed()
    found = losses.complaints(site, successor, lost)
    same = len(losses.pages(site)) - len(lost)
    print("\n".join(found) or f"{same} pages are as they were, and the {len(lost)} that are listed are lost.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
