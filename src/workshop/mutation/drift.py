"""Tell whether the documentation alone would notice that the package has changed: ``python noxfile.py drift``.

Every mutant of a lesson module is put into a copy of the project, and the pages that can notice it are run there.
What survives is either killed by a page that says more, or explained in ``equivalent-mutants.toml``.
A module of the audit is named as in ``audit/lines``, and its tests are run before the pages of its rules.
"""

import argparse
import ast
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workshop.mutation.mutants import mutants
from workshop.pages import read

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "nnx_state"
EQUIVALENT = Path(__file__).with_name("equivalent-mutants.toml")
GOAL = 0.95  # of the mutants, by the doc-tests alone
LIMIT = 900  # seconds for the pages as they are
PATIENCE = 3  # a mutant may well loop for ever: it gets so many times what the pages take as they are
# Imported once, in the process that every attempt is forked from: the attempts then start at once.
PRELOADED = ["jax", "flax.nnx", "optax", "orbax.checkpoint", "matplotlib.pyplot", "IPython.display", "pytest", "bs4"]


def imported(codes: list[str]) -> set[str]:
    """Return the modules of the package that some code imports, also by way of its re-exports."""
    exported = {
        alias.name: node.module or ""
        for node in ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found = set()
    for node in (node for code in codes for node in ast.walk(ast.parse(code))):
        if isinstance(node, ast.ImportFrom) and node.module == "nnx_state":
            found |= {exported.get(alias.name, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nnx_state."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nnx_state":
            found.add(exported.get(node.attr, node.attr))
    return found


def closure(modules: set[str]) -> set[str]:
    """Return the modules and all that they import from the package, directly or not."""
    done: set[str] = set()
    while new := modules - done:
        done |= new
        files = [PACKAGE / f"{name}.py" for name in new]
        modules = modules | imported([file.read_text("utf-8") for file in files if file.exists()])
    return done


def lessons() -> list[str]:
    """Return the modules of the lessons and what they import: the code that pages teach."""
    taught = {page.stem.replace("-", "_") for page in (ROOT / "docs" / "lessons").glob("*.md")}
    return sorted(name for name in closure(taught) if (PACKAGE / f"{name}.py").exists())


def audited() -> list[str]:
    """Return the modules of the audit, such as `audit/lines`; they are changed where they are named alone."""
    files = (PACKAGE / "audit").rglob("*.py")
    return sorted(file.relative_to(PACKAGE).with_suffix("").as_posix() for file in files if file.stem != "__init__")


def witnesses(module: str) -> list[Path]:
    """Return the files whose snippets reach a module, those about it first; of the audit, its tests too."""
    if module.startswith("audit/"):
        return _audit_witnesses(module)
    slug = module.replace("_", "-")
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").glob("notebooks/*.py")]
    files = [*PACKAGE.glob("*.py"), *pages]
    reached = [file for file in files if module in closure(imported([block.code for block in read(file)]))]
    about = [PACKAGE / f"{module}.py", *(ROOT / "docs" / kind / f"{slug}.md" for kind in ("reference", "lessons"))]
    slow = {"exercises", "notebooks"}  # they start processes, train and plot
    return sorted(reached, key=lambda file: (file not in about, not slow.isdisjoint(file.parts), file))


def _audit_witnesses(module: str) -> list[Path]:
    """Return the tests of the audit, those about a module first, and the pages: of rules, those of its own before."""
    tests = [file for file in (ROOT / "tests" / "audit").glob("test_*.py") if "subprocess" not in file.read_text()]
    pages = [file for file in (ROOT / "docs" / "audit").glob("*.md") if file.stem != "index"]
    rules = set(re.findall(r'^@rule\("([\w-]+)"', (PACKAGE / f"{module}.py").read_text("utf-8"), re.M))
    own = sorted(page for page in pages if page.stem in rules)
    about = Path(module).stem.rstrip("s")
    tests.sort(key=lambda file: (about not in file.stem, -file.stat().st_size))  # what is short there takes long
    return [*own, *tests] if own else [*tests, *sorted(pages)]


def attempt(files: list[Path], module: str, source: str, folder: str) -> None:
    """Run the snippets of some files in a copy of the project, in this process; its exit code is pytest's."""
    copied = Path(folder)
    for name in ("README.md", "conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copied / name)
    for name in ("docs", "src", "tests/harness", "tests/audit"):
        shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "src" / "nnx_state" / f"{module}.py").write_text(source, "utf-8")
    os.chdir(copied)
    os.setpgid(0, 0)  # a page may start processes: they end with it
    log = os.open("log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.path[:0] = [f"{copied}/src", str(copied)]
    os.environ["PYTHONPATH"] = f"{copied}/src"
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "nnx_state"]:
        del sys.modules[name]  # where others preload it, it would hide the copy
    import pytest

    options = ["-x", "-q", "--tb=short", "-pno:randomly", "-pno:cacheprovider", "-pno:hypothesispytest"]
    os._exit(pytest.main([*options, *(str(file.relative_to(ROOT)) for file in files)]))


def survives(module: str, source: str, files: list[Path], limit: float = LIMIT) -> tuple[bool, str]:
    """Tell whether every snippet still passes within a number of seconds, and what pytest said."""
    context = multiprocessing.get_context("forkserver")
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=attempt, args=(files, module, source, folder))
        process.start()
        process.join(limit)
        if process.exitcode is None and process.pid:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        log = Path(folder, "log")
        return process.exitcode == 0, log.read_text("utf-8", errors="replace") if log.exists() else ""


def explained() -> dict[tuple[str, str, str], str]:
    """Return the reason why each equivalent mutant is one, by module, line of code and change."""
    entries = tomllib.loads(EQUIVALENT.read_text("utf-8"))["mutant"]
    return {(entry["module"], entry["code"], entry["change"]): entry["reason"] for entry in entries}


def main() -> int:
    """Mutate the modules that are named, or all, and print what survives."""
    known = lessons() + audited()
    parser = argparse.ArgumentParser(prog="python noxfile.py drift --", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"{', '.join(known)}; by default all but audit/…")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many mutants at a time")
    arguments = parser.parse_args()
    if unknown := set(arguments.modules) - set(known):
        parser.error(f"no module is named {', '.join(sorted(unknown))}: name some of {', '.join(known)}.")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))  # not that of each copy
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    modules = arguments.modules or lessons()
    reasons = {key: reason for key, reason in explained().items() if key[0] in modules}
    total, uncaught, survivors = 0, 0, set()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for module in modules:
            source = (PACKAGE / f"{module}.py").read_text("utf-8")
            files = witnesses(module)
            start = time.monotonic()
            passes, said = survives(module, source, files)
            limit = PATIENCE * (time.monotonic() - start) + 10
            if not passes:
                sys.exit(f"The pages fail before anything is changed in {module}.py:\n{said}")
            found = list(mutants(source))
            attempts = [(module, mutant.source, files, limit) for mutant in found]
            alive = pool.map(survives, *zip(*attempts, strict=True))
            left = 0
            for mutant, (survived, _) in zip(found, alive, strict=True):
                if not survived:
                    continue
                key = (module, source.splitlines()[mutant.line - 1].strip(), str(mutant))
                why = f"equivalent: {reasons[key]}" if key in reasons else "nothing notices"
                print(f"  {module}.py:{mutant.line}: {key[1]}\n    {mutant}\n    {why}", flush=True)
                survivors.add(key)
                left += 1
            print(f"{module}: {len(found) - left} of {len(found)} caught", flush=True)
            total += len(found)
            uncaught += left
    stale = sorted(reasons.keys() - survivors)
    for key in stale:
        print(f"{EQUIVALENT.name}: no such survivor, take it out: {key}")
    caught = 1 - uncaught / total
    print(f"{total} mutants, {caught:.1%} caught, {len(survivors & reasons.keys())} equivalent")
    return int(caught < GOAL or bool(stale) or bool(survivors - reasons.keys()))


if __name__ == "__main__":
    sys.exit(main())
