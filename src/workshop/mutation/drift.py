"""Tell whether the documentation alone would notice that the package has changed: ``python noxfile.py drift``.

Every mutant of a lesson module is put into a copy of the project, and the pages that can notice it are run there.
What survives is either killed by a page that says more, or explained in ``equivalent-mutants.toml``.
A module of the audit is named as in ``audit/lines``. Of its tests and the pages of its rules, those are run against a
mutant that execute the changed statement, which one run of them all tells first.
"""

import argparse
import ast
import functools
import multiprocessing
import os
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from workshop.mutation.copies import PRELOADED, survives
from workshop.mutation.mutants import Mutant, mutants
from workshop.mutation.reached import PACKAGE, Reached, audited
from workshop.pages import read

ROOT = Path(__file__).parents[3]
EQUIVALENT = Path(__file__).with_name("equivalent-mutants.toml")
GOAL = 0.95  # of the mutants, by the doc-tests alone
PATIENCE = 3  # a mutant may well loop for ever: it gets so many times what the pages take as they are


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


def witnesses(module: str) -> list[Path]:
    """Return the files whose snippets reach a module of the lessons, those about it first."""
    slug = module.replace("_", "-")
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").glob("notebooks/*.py")]
    files = [*PACKAGE.glob("*.py"), *pages]
    reached = [file for file in files if module in closure(imported([block.code for block in read(file)]))]
    about = [PACKAGE / f"{module}.py", *(ROOT / "docs" / kind / f"{slug}.md" for kind in ("reference", "lessons"))]
    slow = {"exercises", "notebooks"}  # they start processes, train and plot
    return sorted(reached, key=lambda file: (file not in about, not slow.isdisjoint(file.parts), file))


def audit_witnesses() -> list[Path]:
    """Return the tests of the audit and the pages of its rules; not those that start a process for all that they do."""
    tests = (ROOT / "tests" / "audit").glob("test_*.py")
    pages = (ROOT / "docs" / "audit").glob("*.md")
    return [file for file in (*sorted(tests), *sorted(pages)) if file.stem not in ("test_audit_command", "index")]


def unchanged(module: str, files: list[Path], record: Path | None = None) -> float:
    """Return how many seconds the files take as they are; if they fail, say so and end."""
    start = time.monotonic()
    source = (PACKAGE / f"{module}.py").read_text("utf-8")
    passes, said = survives(module, source, _names(files), record=record)
    if not passes:
        sys.exit(f"The pages fail before anything is changed in {module}.py:\n{said}")
    return time.monotonic() - start


@functools.cache
def reached() -> Reached:
    """Run the tests of the audit once, and return which of them execute which lines."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "reached.json")
        unchanged(audited()[0], audit_witnesses(), record)
        return Reached.read(record)


def choices(module: str, source: str, found: list[Mutant]) -> list[tuple[list[str], float]]:
    """Return what is run against each mutant of a module, and within how many seconds."""
    if not module.startswith("audit/"):
        files = witnesses(module)
        return [(_names(files), PATIENCE * unchanged(module, files) + 10)] * len(found)
    tests = [reached().tests(module, source, mutant.line) for mutant in found]
    return [(chosen, PATIENCE * sum(reached().seconds[test] for test in chosen) + 20) for chosen in tests]


def _names(files: list[Path]) -> list[str]:
    return [str(file.relative_to(ROOT)) for file in files]


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
            found = list(mutants(source))
            attempts = [
                (module, mutant.source, *choice)
                for mutant, choice in zip(found, choices(module, source, found), strict=True)
            ]
            alive = pool.map(survives, *zip(*attempts, strict=True))
            left = 0
            for mutant, (survived, _), (_, _, chosen, _) in zip(found, alive, attempts, strict=True):
                if not survived:
                    continue
                key = (module, source.splitlines()[mutant.line - 1].strip(), str(mutant))
                why = "nothing notices" if chosen else "nothing executes it"
                why = f"equivalent: {reasons[key]}" if key in reasons else why
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
