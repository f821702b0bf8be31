"""Build the site: ``python -m workshop.site.build``, with the options of ``mkdocs build``; a warning is an error.

MkDocs makes the HTML; its Markdown and ``llms.txt`` are written beside it, and what no page uses is taken out of styles
and scripts. ``mkdocs serve`` does without these.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from mkdocs.config import load_config

from workshop.site import lighter, markdown


def main() -> int:
    """Build the site and return the exit code of MkDocs."""
    parser = argparse.ArgumentParser(prog="python noxfile.py build --", description=__doc__)
    parser.add_argument("-d", "--site-dir", type=Path, default=Path("site"), help="the folder to build the site in")
    arguments, others = parser.parse_known_args()
    # not --quiet: it silences the warnings before --strict can count them
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(arguments.site_dir)]
    if code := subprocess.run([*command, *others], check=False).returncode:
        return code
    markdown.publish(load_config(), arguments.site_dir)
    lighter.lighten(arguments.site_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
