"""The one task runner: ``python noxfile.py TASK …`` needs Python and pip, ``nox -s TASK …`` needs nox as well.

Every task runs in one environment, ``.venv``. It is made from ``requirements.txt`` when it is missing or out of date.
A second Python makes an environment of its own beside it, such as ``.venv-3.13``: it may get another release of Flax.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

os.environ["NO_MKDOCS_2_WARNING"] = "1"  # the theme repeats a notice that pyproject.toml heeds

ROOT = Path(__file__).parent
VERSION = "{}.{}".format(*sys.version_info)
MADE_BY = ROOT / ".venv" / "pyvenv.cfg"
IS_OURS = not MADE_BY.exists() or re.search(rf"^version(_info)? = {re.escape(VERSION)}\b", MADE_BY.read_text(), re.M)
VENV = ROOT / (".venv" if IS_OURS else f".venv-{VERSION}")
REQUIREMENTS = ROOT / "requirements.txt"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may meet this file, and this file alone
    sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: start again with a newer one.")


def install() -> bool:
    """Install what is locked, and the package as it stands here; tell whether that worked.

    uv takes seconds where pip takes minutes; pip knows the mirrors and proxies that its own settings name.
    """
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    uv = [PYTHON, "-m", "uv", "--quiet", "pip", "install", f"--python={PYTHON}"]
    only_uv = VENV / "only-uv.txt"
    only_uv.write_text(re.search(r"^uv==.*\n(?: .*\n)*", REQUIREMENTS.read_text(), re.MULTILINE)[0])

    def done(*command: str | Path) -> bool:
        return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

    def done_by(*tool: str | Path) -> bool:
        locked = done(*tool, "--require-hashes", "-r", REQUIREMENTS)
        return locked and done(*tool, "--no-deps", "--no-build-isolation", "-e", ".")

    return (done(*pip, "--require-hashes", "-r", only_uv) and done_by(*uv)) or done_by(*pip)


@functools.cache
def environment() -> str:
    """Return the Python of ``.venv`` after bringing it up to date; when nothing changed this takes no time."""
    sources = [path.read_bytes() for path in (REQUIREMENTS, ROOT / "pyproject.toml")]
    wanted = hashlib.sha256(b"".join(sources)).hexdigest()
    stamp = VENV / "installed-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Setting up {VENV.name} from requirements.txt: about a minute, this once.", flush=True)
        stamp.unlink(missing_ok=True)
        if not PYTHON.exists():
            venv.create(VENV, with_pip=True, clear=True)
        if not install():
            sys.exit(f"The installation failed, see above. Once that is mended, delete {VENV.name} and start again.")
        stamp.write_text(wanted)
    return str(PYTHON)


try:
    import nox
except ModuleNotFoundError:  # a bare Python: start again inside the environment, which has nox
    try:
        sys.exit(subprocess.call([environment(), __file__, *sys.argv[1:]]))
    except KeyboardInterrupt:  # it was meant for the task, which has ended
        sys.exit(130)

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = []  # without a task, nox lists them


def run(session: nox.Session, *module_and_arguments: str) -> None:
    """Run ``python -m MODULE ARGUMENTS`` in the environment."""
    session.run(environment(), "-m", *module_and_arguments, external=True)


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the site at http://127.0.0.1:8000 and show each change of a page or of the package."""
    command = (environment(), "-m", "workshop.site.serve", *session.posargs)
    session.run(*command, external=True, interrupt_timeout=10)  # nox gives it 0.3 s to end after Ctrl-C


@nox.session
def generate(session: nox.Session) -> None:
    """Write what is made and committed: all that follows from the list of lessons, exercises, claims, notebooks."""
    run(session, "workshop.site")
    run(session, "workshop.site.picture")


@nox.session
def missing(session: nox.Session) -> None:
    """Say in seconds what is missing or stale in the whole repository, each thing once, and what mends it."""
    run(session, "workshop.census")


@nox.session
def new(session: nox.Session) -> None:
    """Lay out the files of a lesson, ``-- SLUG --title … --question … --after SLUG``, and generate what follows."""
    run(session, "workshop.new", *session.posargs)
    generate(session)


@nox.session
def build(session: nox.Session) -> None:
    """Build the site into ``site``, HTML and Markdown; a warning is an error."""
    generate(session)
    run(session, "workshop.site.build", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test and every snippet."""
    run(session, "pytest", "--numprocesses=auto", *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run every test but those in a browser with the newest Python here, which gets the newest Flax."""
    from workshop import interpreters

    version, python = interpreters.newest()
    if version == VERSION:
        session.log(f"No Python newer than this {version} was found, so that `tests` has seen the newest Flax here.")
        return
    session.run(python, __file__, "tests", "--", "--ignore=tests/browser", *session.posargs, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the snippets alone: README, pages and docstrings."""
    run(session, "pytest", "README.md", "docs", "src", *session.posargs)


@nox.session
def torch(session: nox.Session) -> None:
    """Install PyTorch, without which the page for those who come from it does not run."""
    run(session, "pip", "--disable-pip-version-check", "install", "--quiet", "--no-build-isolation", "-e", ".[torch]")


@nox.session
def wheel(session: nox.Session) -> None:
    """Run every test and every snippet on the package as it is installed from its wheel."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder)
    run(session, "build", "--wheel", "--no-isolation", f"--outdir={folder}")
    (built,) = folder.glob("*.whl")
    run(session, "pip", "install", "--quiet", "--no-deps", f"--target={folder / 'installed'}", str(built))
    session.env["PYTHONPATH"] = str(folder / "installed")  # it comes before the editable install
    settings = ("--rootdir=.", "--config-file=pyproject.toml", "--numprocesses=auto")
    run(session, "pytest", *settings, "--pyargs", "nnx_state", "README.md", "docs", "tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, spelling, Markdown and the formatting of code in pages."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")
    run(session, "mypy")
    run(session, "codespell_lib")
    session.run(shutil.which("rumdl", path=PYTHON.parent), "check", "--no-cache", ".", external=True)  # has no module
    run(session, "pytest", "--quiet", "tests/docs/test_census.py", "-k", "formatted")


@nox.session
def outputs(session: nox.Session) -> None:
    """Write into every page what its blocks print, and nothing else; ``-- docs/lessons/linear.md`` into some."""
    run(session, "pytest", "--rewrite-outputs", *(session.posargs or ("README.md", "docs", "src")))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure layers and ways to call them beside raw arrays, as ratios in one run; ``-- -k cost`` for some."""
    settings = ("--dist=no", "--benchmark-columns=median")  # the plugin refuses to measure beside xdist
    run(session, "pytest", "tests/bench", "--override-ini=python_files=bench_*.py", *settings, *session.posargs)


@nox.session
def drift(session: nox.Session) -> None:
    """Change the modules in every small way, and list the changes that no page notices; ``-- MODULE …`` for some."""
    run(session, "workshop.mutation.drift", *session.posargs)


@nox.session
def grading(session: nox.Session) -> None:
    """Change the solutions in every small way, and list the changes that no check notices; ``-- SLUG …`` for some."""
    run(session, "workshop.mutation.grading", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Edit attempts at random, and let programs take turns or fail at each call; ``-- --help`` says how to choose."""
    run(session, "workshop.fuzzing", *session.posargs)


@nox.session
def mistake(session: nox.Session) -> None:
    """Show a wrong attempt whole with its diagnosis, ``-- SLUG NAME``; draft a new one, ``-- SLUG --draft FILE``."""
    run(session, "workshop.mistakes", *session.posargs)


@nox.session
def trial(session: nox.Session) -> None:
    """Invert each assertion of the claims, take out each call, and list what survives; ``-- NAME …`` for some."""
    run(session, "workshop.mutation.trial", *session.posargs)


@nox.session
def matrix(session: nox.Session) -> None:
    """Run all claims on every release of Flax that matters; ``-- --help`` says what else it can do."""
    run(session, "workshop.releases.matrix", *session.posargs)


@nox.session
def pastes(session: nox.Session) -> None:
    """Record what terminals show where the programs of the pitfalls raise; ``-- docs/lessons/linear.md`` for some."""
    run(session, "workshop.pastes", *session.posargs)


@nox.session
def zoo(session: nox.Session) -> None:
    """Hold the audit against modules of public packages; ``-- --seed`` puts the fault of each rule into them."""
    run(session, "workshop.zoo", *session.posargs)


@nox.session
def statements(session: nox.Session) -> None:
    """Add what the installed Flax NNX can raise and warn of to the list that says which entry explains it."""
    run(session, "workshop.statements")


@nox.session
def successor(session: nox.Session) -> None:
    """Build the site with Zensical too, and say what it loses that is not listed; ``-- --upgrade`` takes its newest."""
    run(session, "workshop.successor", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write ``requirements.txt`` for every platform and Python, with hashes; ``-- --upgrade`` moves on."""
    command = "uv pip compile pyproject.toml --group dev --output-file requirements.txt --quiet"
    everywhere = "--universal --python-version 3.11 --fork-strategy fewest"  # fewest: one Flax for all Pythons
    checked = "--generate-hashes --no-emit-index-url --no-header"
    run(session, *command.split(), *everywhere.split(), *checked.split(), *session.posargs)


if __name__ == "__main__":
    tasks_follow = sys.argv[1:] and not sys.argv[1].startswith("-")
    sys.argv[1:1] = ["--noxfile", __file__, *(["--session"] if tasks_follow else [])]
    nox.main()
