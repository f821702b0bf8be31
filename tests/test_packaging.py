"""What is installed: the package and nothing else."""

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from nnx_state import _pages

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_contains_only_the_package_its_start_and_the_pages_that_it_shows(wheel):
    package = ROOT / "src" / "nnx_state"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sources = {f"nnx_state/{path.relative_to(package).as_posix()}" for path in files}
    pages = {f"nnx_state/pages/{name}.md" for name in _pages.known() if "/" in name}
    pages |= {"nnx_state/pages/pitfalls/answers.json"}
    names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == sources | pages | {"nnx_state_start.py"}
    assert {Path(name).suffix for name in sources} == {".py", ".pyi", ".typed", ".toml", ".md", ".json"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_metadata_names_the_versions_that_we_support(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    metadata = wheel.read(name).decode()
    for line in ("Name: nnx-state", "Requires-Python: >=3.11", "Classifier: Typing :: Typed", "Requires-Dist: flax"):
        assert f"\n{line}" in metadata
    assert "pytest" not in metadata.partition("\n\n")[0]  # a user of the package installs no tool


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/install.md", "CONTRIBUTING.md"])
def test_those_who_arrive_are_told_on_which_release_this_run_is(name):
    release = f"Flax {version('flax')} with JAX {version('jax')}"
    assert release in (ROOT / name).read_text("utf-8")
