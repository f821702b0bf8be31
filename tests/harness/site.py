"""Build the site for the tests: once, however many processes share it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from filelock import FileLock


class BuildError(Exception):
    """The site does not build; the text is what MkDocs said."""


def environment() -> dict[str, str]:
    """Return the variables of this process without those that change the site's addresses."""
    return {name: value for name, value in os.environ.items() if name not in {"SITE_URL", "REPO_URL"}}


def built_site(config: pytest.Config, folder: Path) -> Path:
    """Build the site strictly, unless this run already has, or has tried to.

    Args:
        config: whose root directory holds mkdocs.yml.
        folder: the temporary directory of this process.

    Returns:
        The folder of the built site.

    Raises:
        BuildError: MkDocs failed or warned.
    """
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    site, failure = shared / "site", shared / "site.failed"
    with FileLock(shared / "site.lock"):
        if failure.exists():
            raise BuildError(failure.read_text("utf-8"))
        if not site.exists():
            partial = shared / "site.partial"
            command = [sys.executable, "-m", "workshop.site.build", "--site-dir", str(partial)]
            build = subprocess.run(
                command, cwd=config.rootpath, env=environment(), capture_output=True, text=True, check=False
            )
            if build.returncode:
                failure.write_text(f"`python noxfile.py build` failed:\n{build.stdout}{build.stderr}", "utf-8")
                raise BuildError(failure.read_text("utf-8"))
            partial.rename(site)
    return site


def fetched(page: Path) -> set[Path]:
    """Return the files that a browser fetches because the HTML of a page names them: styles, scripts and images."""
    tags = BeautifulSoup(page.read_text("utf-8"), "html.parser").select("link[rel=stylesheet], link[rel=icon], [src]")
    return {(page.parent / tag.get("href", tag.get("src"))).resolve() for tag in tags}
