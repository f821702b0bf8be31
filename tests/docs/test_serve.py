"""What `serve` shows: the same as a build, soon after an edit, with the outputs that notebooks have now."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bs4 import BeautifulSoup

from harness.server import SCRIPT, Server
from harness.site import environment
from workshop.site import lighter, notebooks
from workshop.site.preview import Site

SERVE = "workshop.site.serve"
NOTEBOOK = """\
# %% [markdown]
# # A notebook
#
# It shows what a module of the package says.

# %%
from nnx_state import small

f"{'says'.upper()} {small.said()}"
"""
FILES = {
    "docs/index.md": "# Home\n\nThe first page, and [another](other.md).\n",
    "docs/other.md": "# Other\n\nThe second page, on [`said`][nnx_state.small.said].\n",
    "docs/api.md": "# Reference\n\n::: nnx_state.small\n",
    "docs/notebooks/one.py": NOTEBOOK,
    "docs/assets/site.css": "p { color: black }\n",
    "src/nnx_state/__init__.py": '"""A package."""\n',
    "src/nnx_state/data.json": "{}\n",
    "src/nnx_state/small.py": '"""A module."""\n\n\ndef said():\n    """Return a word."""\n    return "hello"\n',
    "requirements.txt": "flax==1\n",
}


def write_project(folder: Path) -> Path:
    """Write a small site with the settings, templates and plugins of ours."""
    root = Path(__file__).parents[2].as_posix()
    settings = f"""\
INHERIT: {root}/mkdocs.yml
theme: {{custom_dir: '{root}/docs/assets/overrides'}}
nav: [index.md, other.md, api.md, notebooks/one.py]
"""
    for name, text in {**FILES, "mkdocs.yml": settings}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def project(tmp_path) -> Path:
    """Return the folder of a small site."""
    return write_project(tmp_path)


def differing(these: dict[str, str | bytes], those: dict[str, str | bytes]) -> list[str]:
    """Return the names of texts that are not the same; the difference of two pages would fill the terminal."""
    return sorted(name for name in these.keys() | those.keys() if these.get(name) != those.get(name))


def edit(path: Path, before: str, after: str) -> None:
    """Replace a text that a file has."""
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")


def state(project: Path) -> dict[Path, str]:
    return notebooks.keys(notebooks.load(str(project / "mkdocs.yml")))


@pytest.mark.parametrize(
    "name", ["docs/notebooks/one.py", "src/nnx_state/small.py", "src/nnx_state/data.json", "requirements.txt"]
)
def test_the_outputs_of_a_notebook_depend_on_its_source_the_package_and_the_lock(project, name):
    before = state(project)
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert state(project) != before


def test_they_depend_on_which_modules_there_are(project):
    before = state(project)
    (project / "src/nnx_state/small.py").rename(project / "src/nnx_state/other.py")
    assert state(project) != before


def test_they_depend_on_the_settings_of_what_converts_them(project):
    before = state(project)
    with (project / "mkdocs.yml").open("a", encoding="utf-8") as file:
        file.write("plugins: [search, mkdocs-jupyter: {no_prompt: false}]\n")
    assert state(project) != before


@pytest.mark.parametrize(
    "name",
    [
        "docs/index.md",
        "docs/assets/site.css",
        "docs/notebooks/two.py",
        "mkdocs.yml",
        "README.md",
        "src/nnx_state/__pycache__/small.cpython-311.pyc",
        "src/nnx_state/.small.py.swp",
        "src/workshop/tool.py",
    ],
)
def test_they_depend_on_nothing_else(project, name):
    before = state(project)
    (project / name).parent.mkdir(exist_ok=True)
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("\n# more\n")
    assert state(project).items() >= before.items()


@pytest.fixture
def ran(project, monkeypatch):
    """Count the runs of notebooks instead of running them."""
    made = []
    monkeypatch.setattr(notebooks, "run", lambda source, settings: made.append(source.name) or f"run {len(made)}")
    return made


def run_all(project: Path) -> list[notebooks.Outcome]:
    """Run what has to run, in the way of the process in the background, and return what came out."""
    settings, folder = notebooks.load(str(project / "mkdocs.yml")), project / ".cache"
    background = notebooks.Background(folder)
    for place in (notebooks.cache(settings), background.failures):
        place.mkdir(parents=True, exist_ok=True)
    notebooks.run_all(settings, background.failures)
    return list(background.outcomes(settings).values())


def test_a_notebook_runs_once_for_each_state(project, ran):
    for name in (None, "docs/notebooks/one.py", "src/nnx_state/small.py", "requirements.txt"):
        if name:
            edit(project / name, "\n", "\n\n")
        times = len(ran)
        (first,), (second,) = run_all(project), run_all(project)
        assert len(ran) == times + 1
        assert first == second
        assert first.shown("without outputs") == f"run {len(ran)}"


def test_a_failure_is_shown_and_not_kept(project, monkeypatch):
    def run(source, settings):
        raise ValueError("1 < 0")

    with monkeypatch.context() as patched:
        patched.setattr(notebooks, "run", run)
        (outcome,) = run_all(project)
    assert "This notebook failed" in outcome.shown('<div class="jupyter-wrapper">')
    assert "1 &lt; 0" in outcome.shown('<div class="jupyter-wrapper">')
    monkeypatch.setattr(notebooks, "run", lambda source, settings: "mended")
    assert run_all(project)[0].shown("") == "mended"


def test_outputs_are_not_kept_when_something_was_edited_meanwhile(project, monkeypatch):
    def run(source, settings):
        edit(project / "src/nnx_state/small.py", "hello", "hallo")
        return "of which of the two?"

    monkeypatch.setattr(notebooks, "run", run)
    (outcome,) = run_all(project)
    assert outcome.executed is outcome.failure is None


@pytest.fixture(scope="module")
def project_served(tmp_path_factory) -> Iterator[tuple[Path, Server]]:
    """Serve a small site."""
    project = write_project(tmp_path_factory.mktemp("served"))
    server = Server(SERVE, folder=project)
    yield project, server
    server.interrupt()


def test_an_edited_page_is_shown_and_its_title_on_every_page(project_served):
    project, server = project_served
    edit(project / "docs/other.md", "# Other\n\nThe second page", "# Another\n\nThe edited page")
    assert "The edited page" in server.wait("other/", "Another")
    assert "Another" in server.get("")
    assert "Another" in server.get("404.html")
    assert "The edited page" in server.get("search/search_index.json")
    assert "The second page" not in server.get("search/search_index.json")


def test_an_edited_module_is_shown_and_the_notebook_runs_again(project_served):
    project, server = project_served
    server.wait("notebooks/one/", "SAYS")
    edit(
        project / "src/nnx_state/small.py",
        'Return a word."""\n    return "hello"',
        'Return another."""\n    return "ahoy"',
    )
    server.wait("api/", "Return another.")
    server.wait("notebooks/one/", "SAYS ahoy")


def test_an_edited_style_sheet_is_served(project_served):
    project, server = project_served
    edit(project / "docs/assets/site.css", "black", "teal")
    server.wait("assets/site.css", "teal")


def test_a_new_page_is_shown_where_the_navigation_has_it(project_served):
    project, server = project_served
    (project / "docs/new.md").write_text("# New\n", "utf-8")
    edit(project / "mkdocs.yml", "nav: [", "nav: [new.md, ")
    server.wait("other/", "New")
    assert "New" in server.get("new/")


def test_a_page_that_cannot_be_read_is_shown_again_once_it_is_mended(project_served):
    project, server = project_served
    edit(project / "docs/index.md", "The first page", "::: nnx_state.nowhere\n\nThe first page")
    server.wait_for_log("nnx_state.nowhere could not be found")
    edit(project / "docs/index.md", "::: nnx_state.nowhere\n\nThe first page", "The mended page")
    server.wait("", "The mended page")


def test_a_notebook_that_fails_says_why_until_it_is_mended(project_served):
    project, server = project_served
    edit(project / "docs/notebooks/one.py", "# %%\nfrom", "# %%\nassert 1 < 0, 'less'\nfrom")
    assert "AssertionError: less" in server.wait("notebooks/one/", "This notebook failed")
    assert "this notebook failed" in server.log
    edit(project / "docs/notebooks/one.py", "assert 1 < 0, 'less'\n", "")
    server.wait("notebooks/one/", "SAYS")


def test_a_second_server_does_no_harm(project_served):
    project, server = project_served
    second = Server(SERVE, folder=project)
    edit(project / "docs/notebooks/one.py", "It shows", "It tells you")
    for each in (server, second):
        each.wait("notebooks/one/", "It tells you")
        each.wait("notebooks/one/", "SAYS")
    assert second.interrupt() == 0
    edit(project / "docs/api.md", "# Reference", "# Reference still")
    server.wait("api/", "Reference still")


def test_after_edits_it_is_what_a_build_makes(project):
    server = Server(SERVE, folder=project)
    server.wait("notebooks/one/", "SAYS")
    edit(project / "docs/other.md", "# Other", "# Another")
    edit(project / "docs/assets/site.css", "black", "teal")
    server.wait("other/", "Another")
    edit(project / "docs/api.md", "# Reference", "# The reference")
    edit(project / "docs/notebooks/one.py", "It shows", "It tells you")
    server.wait("api/", "The reference")
    edit(project / "src/nnx_state/small.py", "hello", "ahoy")
    server.wait("notebooks/one/", "SAYS ahoy")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    variables = environment() | {"SITE_URL": server.address, "PYTHONPATH": str(project / "src")}
    subprocess.run(build, cwd=project, env=variables, check=True)
    built = {path.relative_to(project / "site").as_posix(): path for path in (project / "site").rglob("*.html")}
    texts = {name: path.read_text("utf-8") for name, path in built.items()}
    assert differing({name: SCRIPT.sub("", server.get(name)) for name in built}, texts) == []
    server.interrupt()


def test_ctrl_c_ends_it_and_what_it_started(project, monkeypatch):
    temporary = project / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    started = "import threading\nfrom pathlib import Path\n\nPath('docs/started.txt').write_text('it runs')\n"
    edit(project / "docs/notebooks/one.py", "# %%\n", f"# %%\n{started}threading.Event().wait()\n")
    server = Server(SERVE, folder=project)
    server.wait("started.txt", "it runs")
    others = psutil.Process(server.process.pid).children(recursive=True)
    assert "ipykernel_launcher" in " ".join(" ".join(process.cmdline()) for process in others)
    assert server.interrupt() == 0
    assert psutil.wait_procs(others, timeout=60)[1] == []
    assert "Traceback" not in server.log
    assert list(temporary.iterdir()) == []


def test_a_port_that_is_taken_is_said_before_anything_is_built(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        command = [sys.executable, "-m", SERVE, "--dev-addr", address]
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {address.partition(':')[2]} of 127.0.0.1 is taken")


def pages(site: Path) -> dict[str, str]:
    """Return the pages of a site by name, those of notebooks without outputs."""
    found = {path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*.html")}
    for name in [name for name in found if name.startswith("notebooks/")]:
        soup = BeautifulSoup(found[name], "html.parser")
        for output in soup.select(".jp-Cell-outputWrapper, .figures, .drawn > summary"):
            output.decompose()
        for fold in soup.select(".drawn"):  # below a figure stands the code that drew it
            fold.unwrap()
        lines = str(soup).replace(" jp-mod-noOutputs", "").splitlines()
        found[name] = "\n".join(filter(None, lines))  # an output leaves an empty line
    return found


def index(site: Path) -> dict[str, str]:
    """Return the entries of the search index by address, but those of notebooks."""
    entries = json.loads((site / "search/search_index.json").read_text("utf-8"))["docs"]
    return {e["location"]: json.dumps(e) for e in entries if not e["location"].startswith("notebooks/")}


def assets(site: Path) -> dict[str, bytes]:
    """Return the style sheets, scripts, pictures and inventories of a site by name."""
    files = [path for path in site.rglob("*") if path.suffix in {".css", ".js", ".svg", ".inv"}]
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in files}


def test_our_own_site_is_served_as_it_is_built(site, tmp_path, pytestconfig, monkeypatch):
    """Notebooks are not run for this; that their pages have the outputs is tested above, where there is a small one."""
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)
    served = Site(notebooks.load(str(pytestconfig.rootpath / "mkdocs.yml"), site_dir=str(tmp_path)))
    served.build(outcomes={})
    docs, package = pytestconfig.rootpath / "docs", pytestconfig.rootpath / "src/nnx_state"
    edited = [docs / "index.md", docs / "lessons/linear.md", docs / "reference/linear.md", package / "filters.py"]
    served.update(edited, outcomes={})
    assert differing(pages(tmp_path), pages(site)) == []
    assert differing(index(tmp_path), index(site)) == []
    lighter.lighten(tmp_path)  # the build does this to its files, and serve to none
    assert differing(assets(tmp_path), assets(site)) == []
