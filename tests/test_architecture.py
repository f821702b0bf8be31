"""The arrows of the package: what a module may import.

A lesson module is a file beside `__init__.py`, and so is what lessons share, whose name begins with an underscore;
a capability is a folder there; `cli.py` sits on top of both, and `figures.py` apart: the notebooks draw with it.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nnx_state

PACKAGE = Path(nnx_state.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"jax", "flax", "optax", "orbax"}
ABOVE = {"__init__.py", "__main__.py", "cli.py", "figures.py"}  # beside the lessons, and none of them


def imports(tree: ast.Module) -> set[str]:
    """Return every dotted name that a module imports, on any line: `from a import b` counts as `a.b`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return names


EVERY = {"Exception", "BaseException"}


def hides_errors(node: ast.AST) -> bool:
    """Tell whether a statement lets every error pass, expected or not, without a word."""
    if isinstance(node, ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else "BaseException"
        return caught in EVERY and all(isinstance(each, ast.Pass) for each in node.body)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(ast.unparse(argument) in EVERY for argument in node.args)
    return False


def complaints(path: str, source: str, capabilities: set[str]) -> list[str]:
    """Return what is wrong with a module, given its path inside the package and the names of the capabilities."""
    tree = ast.parse(source)
    found = []
    allowed = FRAMEWORKS | sys.stdlib_module_names
    if path == "_checks.py":
        allowed |= {"numpy"}  # arguments arrive as NumPy arrays too
    is_lesson = "/" not in path and path not in ABOVE
    for name in sorted(imports(tree)):
        top, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        if not top:
            found.append(f"{path} imports {name}: write the absolute name.")
        elif top == "nnx_state":
            if part == "cli" and path != "__main__.py":
                found.append(f"{path} imports {name}: nothing may import cli.")
            elif is_lesson and part in capabilities:
                found.append(f"{path} imports {name}: a lesson may not import a capability.")
        elif is_lesson and top not in allowed:
            found.append(
                f"{path} imports {name}: a lesson knows the standard library, jax, flax, optax and orbax alone."
            )
    if path.startswith("practice/") and any(map(hides_errors, ast.walk(tree))):  # a measurement would fail unseen
        found.append(f"{path} hides every error: name those that are expected.")
    if path == "__init__.py" and imports(tree) != {"lazy_loader"}:
        found.append(f"{path} imports more than lazy_loader: name what is public in __init__.pyi.")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module_keeps_the_arrows(path):
    capabilities = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir()}
    assert complaints(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"), capabilities) == []


def test_public_names_are_the_reexports():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    exported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(nnx_state.__all__) == sorted(exported)
    assert all(getattr(nnx_state, name).__name__ == name for name in exported)


def test_the_command_line_starts_without_jax():
    program = "import sys, nnx_state.cli; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


HIDES = "hides every error: name those that are expected."
EAGER = "imports more than lazy_loader: name what is public in __init__.pyi."
LESSON = "a lesson knows the standard library, jax, flax, optax and orbax alone."


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("linear.py", "import torch", f"linear.py imports torch: {LESSON}"),
        ("linear.py", "def f():\n    import numpy.linalg", f"linear.py imports numpy.linalg: {LESSON}"),
        (
            "linear.py",
            "from nnx_state.audit import report",
            "linear.py imports nnx_state.audit.report: a lesson may not import a capability.",
        ),
        (
            "linear.py",
            "from nnx_state import audit",
            "linear.py imports nnx_state.audit: a lesson may not import a capability.",
        ),
        (
            "audit/report.py",
            "import nnx_state.cli",
            "audit/report.py imports nnx_state.cli: nothing may import cli.",
        ),
        ("audit/report.py", "from . import x", "audit/report.py imports ..x: write the absolute name."),
        ("practice/a.py", "with contextlib.suppress(Exception):\n    run()", f"practice/a.py {HIDES}"),
        ("practice/a.py", "try:\n    run()\nexcept:\n    pass", f"practice/a.py {HIDES}"),
        ("__init__.py", "import jax", f"__init__.py {EAGER}"),
        ("__init__.py", "from nnx_state.linear import Linear", f"__init__.py {EAGER}"),
    ],
)
def test_each_broken_arrow_is_reported(path, source, complaint):
    assert complaints(path, source, {"audit"}) == [complaint]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("linear.py", "import math\nimport jax.numpy as jnp\nfrom flax import nnx\nfrom nnx_state import _checks"),
        ("audit/report.py", "import rich\nfrom nnx_state.linear import Linear"),
        ("cli.py", "import argparse\nfrom nnx_state.audit import report"),
        ("__main__.py", "from nnx_state.cli import main"),
        ("__init__.py", '"""Doc."""\nimport lazy_loader'),
    ],
)
def test_what_is_allowed_is_not_reported(path, source):
    assert complaints(path, source, {"audit"}) == []
