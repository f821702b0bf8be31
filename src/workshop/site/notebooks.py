"""The notebooks of the site, run in the background: each once for every state of what its outputs depend on.

``python -m workshop.site.notebooks FAILURES`` runs those whose outputs are not kept in ``.cache/notebooks`` yet,
and says in the folder FAILURES why one failed.
"""

import argparse
import contextlib
import hashlib
import html
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert.filters import strip_ansi

PLUGIN = "mkdocs-jupyter"
_START = '<div class="jupyter-wrapper">'  # what the template shows of a notebook begins here
_NOTE = '<div class="admonition {}"><p class="admonition-title">{}</p>{}</div>'
_WAITS = _NOTE.format("info", "This notebook runs in the background. Its outputs come when it has ended.", "")


@dataclass(frozen=True)
class Outcome:
    """What came out of a notebook as it is now.

    Attributes:
        key: what its outputs depend on, as `keys` returns it.
        executed: its HTML with outputs, if it ran.
        failure: why it failed, if it did.
    """

    key: str
    executed: str | None
    failure: str | None

    def shown(self, unexecuted: str) -> str:
        """Return the HTML that its page shows, given that without outputs."""
        if self.executed is not None:
            return self.executed
        note = _WAITS
        if self.failure is not None:
            note = _NOTE.format("failure", "This notebook failed.", f"<pre>{html.escape(self.failure)}</pre>")
        return unexecuted.replace(_START, f"{_START}{note}", 1)


def load(config_file: str, **options: Any) -> MkDocsConfig:
    """Return the configuration of a site whose notebooks are converted without being run."""
    settings = load_config(config_file, **options)
    settings.plugins[PLUGIN].config["execute"] = False
    return settings


def sources(place: Path) -> list[Path]:
    """Return a file, or those below a folder, but for what Python and editors put beside them."""
    if place.is_file():
        return [place]
    found = (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    return sorted(path for path in found if path.parent.name != "__pycache__" and not re.match(r"[.#]|.*~$", path.name))


def cache(settings: MkDocsConfig) -> Path:
    """Return the folder that keeps the outputs of the notebooks that ran."""
    return _root(settings) / ".cache" / "notebooks"


def keys(settings: MkDocsConfig) -> dict[Path, str]:
    """Return for every notebook a hash of all that its outputs depend on.

    That is its source, the package and the lock; what is installed, since that may be behind the lock; and how
    notebooks are converted.
    """
    root = _root(settings)
    installed = sorted(path.name for folder in sys.path for path in Path(folder).glob("*.dist-info"))
    shared = hashlib.sha256(repr((sys.version, installed, settings.plugins[PLUGIN].config)).encode())
    for path in (root / "requirements.txt", *sources(root / "src" / "nnx_state")):
        content = path.read_bytes()
        shared.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    found = {}
    for source in sorted(Path(settings.docs_dir, "notebooks").glob("*.py")):
        own = shared.copy()
        own.update(source.read_bytes())
        found[source] = own.hexdigest()
    return found


def run(source: Path, settings: MkDocsConfig) -> str:
    """Run a notebook as a build does, and return its HTML.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    address = source.relative_to(settings.docs_dir).as_posix()
    page = Page(None, File(address, settings.docs_dir, settings.site_dir, settings.use_directory_urls), settings)
    plugin = settings.plugins[PLUGIN]
    plugin.config["execute"] = True
    plugin.on_pre_page(page, config=settings, files=Files([]))  # gives the page a way to render that runs it
    plugin.config["execute"] = False
    page.render(settings, Files([]))
    return page.content or ""


def run_all(settings: MkDocsConfig, failures: Path) -> None:
    """Run each notebook whose outputs are not kept yet, and keep them, or say in a folder why it failed."""
    for source, key in keys(settings).items():
        kept = _file(cache(settings), source)
        if _read(kept, key) is not None:
            continue
        try:
            executed = run(source, settings)
        except Exception as error:  # whatever a cell raises, and the end of the process that it runs in
            reason = strip_ansi(str(error))
            print(f"{source}: this notebook failed.\n{reason}", file=sys.stderr)
            _write(_file(failures, source), key, reason)
            continue
        if keys(settings).get(source) == key:  # else something was edited meanwhile, and it may have seen either
            _write(kept, key, executed)


class Background:
    """Runs notebooks in a process of its own, and stops it when what they depend on changes.

    Args:
        folder: for what nobody needs once this has stopped: why a notebook failed, and temporary files.
    """

    def __init__(self, folder: Path) -> None:
        self.failures = folder / "failures"
        self._folder = folder
        self._keys: dict[Path, str] = {}
        self._waiting = False
        self._process: subprocess.Popen[bytes] | None = None

    def outcomes(self, settings: MkDocsConfig) -> dict[Path, Outcome]:
        """Return what came out of each notebook as it is now, and stop what runs for an earlier state."""
        now = keys(settings)
        if now != self._keys:
            self.stop()
            self._keys = now
        found = {}
        for source, key in now.items():
            executed, failure = (_read(_file(folder, source), key) for folder in (cache(settings), self.failures))
            found[source] = Outcome(key, executed, failure)
        self._waiting = any(outcome.executed is outcome.failure is None for outcome in found.values())
        return found

    def start(self, settings: MkDocsConfig) -> None:
        """Run the notebooks without an outcome, unless they run already."""
        if self._waiting and (self._process is None or self._process.poll() is not None):
            command = [sys.executable, "-m", "workshop.site.notebooks", f"--config-file={settings.config_file_path}"]
            variables = os.environ | {
                "TMPDIR": str(self._folder),
                # what was compiled once, by a test or a notebook, is not compiled again
                "JAX_COMPILATION_CACHE_DIR": str(_root(settings) / ".cache" / "jax"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            # a session of its own, since Ctrl-C is for who started it
            self._process = subprocess.Popen([*command, str(self.failures)], env=variables, start_new_session=True)

    def stop(self) -> None:
        """Stop the process, and the one in which a notebook runs."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
                kernels = psutil.Process(self._process.pid).children(recursive=True)
                self._process.kill()
                for kernel in kernels:
                    kernel.kill()
            self._process.wait()
            self._process = None


def _root(settings: MkDocsConfig) -> Path:
    return Path(settings.config_file_path).parent


def _file(folder: Path, source: Path) -> Path:
    return folder / f"{source.stem}.html"


def _read(path: Path, key: str) -> str | None:
    """Return what was written for a key, if nothing was for another since."""
    if not path.exists():
        return None
    written_for, _, text = path.read_text("utf-8").partition("\n")
    return text if written_for == key else None


def _write(path: Path, key: str, text: str) -> None:
    """Write for a key, in one step, since other processes may read or write the same."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(f"{key}\n{text}")
    Path(file.name).replace(path)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m workshop.site.notebooks", description=__doc__)
    parser.add_argument("--config-file", default="mkdocs.yml")
    parser.add_argument("failures", type=Path, metavar="FAILURES")
    arguments = parser.parse_args()
    run_all(load(arguments.config_file), arguments.failures)


if __name__ == "__main__":
    main()
