"""What `nnx-state audit` loads, writes and returns."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from nnx_state import cli

COMMAND = [sys.executable, "-m", "nnx_state", "audit"]
SOURCE = """\
import jax.numpy as jnp
from flax import nnx

print("loaded")


class Net(nnx.Module):
    def __init__(self):
        self.table = nnx.Param(jnp.arange(2))
        self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.linear(x)


made = Net()
right = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
x = jnp.ones((1, 2))
wrong = jnp.ones((1, 5))


def wants(size):
    return Net()


class Pair(nnx.Module):
    def __init__(self):
        self.pair = nnx.List([nnx.Param(jnp.arange(2)) for _ in range(2)])


many = Pair()


class NotOfNNX:
    pass
"""


@dataclass(frozen=True)
class Done:
    """What a command wrote, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command in this process, where a file and its module are new each time."""
    (tmp_path / "net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SITE_URL", "https://site.test/")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def audited(*arguments):
        for name in ("net", "own"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "argv", ["nnx-state", "audit", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(ended.value.code, *capsys.readouterr())

    return audited


def test_a_finding_has_its_line_and_its_page(run):
    done = run("net:Net")
    assert done.returncode == 1
    assert "net.py:9: error [integer-param]" in done.stdout
    assert "https://site.test/audit/integer-param/" in done.stdout
    assert "loaded" not in done.stdout  # what the module prints is no part of the report


def test_a_run_finds_more_and_a_choice_of_rules_less(run):
    done = run("net.py:made", "--inputs", "net.py:x", "--format", "json")
    assert [one["rule"] for one in json.loads(done.stdout)["findings"]] == ["integer-param", "static-written"]
    chosen = run("net:made", "--inputs", "net:x", "--ignore", "integer-param", "--ignore", "static-written")
    assert (chosen.returncode, chosen.stdout.split(":")[0]) == (0, "Nothing found")
    assert run("net:right", "--inputs", "float32[1, 2]").returncode == 0
    assert run("net:made", "--select", "same-array").returncode == 0


def test_github_reads_one_line_for_each_finding(run):
    done = run("net:Net", "--format", "github")
    (line,) = done.stdout.splitlines()
    assert line.startswith("::error file=net.py,line=9,title=integer-param::table: a Param of int32")


def test_values_of_one_line_are_told_at_once(run):
    told = run("net:many")
    assert told.stdout.count("[integer-param]") == 1
    assert "- Also found: `pair.1`.\n" in told.stdout
    assert told.stdout.endswith("2 findings in 2 values, of 1 cause.\n")
    (line,) = run("net:many", "--format", "github").stdout.splitlines()
    assert " Also found: `pair.1`. Write " in line


def test_two_runs_write_the_same(tmp_path):
    (tmp_path / "net.py").write_text(SOURCE)
    command = [*COMMAND, "net:made", "--inputs", "net:x", "--format", "json"]
    first, second = (subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False) for _ in "12")
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout)
    assert first.returncode == 1


def test_rules_are_listed_and_explained(run):
    listed = run("--list-rules")
    assert listed.returncode == 0
    assert "`unused-param` (note, with inputs)" in listed.stdout
    explained = run("--explain", "plain-weight")
    assert explained.returncode == 0
    assert "Why it matters" in explained.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Nothing was given to audit"),
        (["net:made", "--inputs", "net:wrong"], "net:made could not be called with net:wrong: TypeError"),
        (["net:made", "--method", "go"], "go is called with inputs, and none were given: give some, or `()`"),
        (["--explain", "typo"], "There is no rule typo"),
    ],
)
def test_what_cannot_be_audited_is_said_in_one_line(run, arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert ("[integer-param]" in done.stdout) == ("So the rules of a call were not asked." in done.stderr)
    assert "Traceback" not in done.stderr


OWN = """\
import jax.numpy as jnp
import optax
from flax import nnx


class Own(nnx.Variable):
    pass


class Net(nnx.Module):
    def __init__(self):
        self.weight = Own(jnp.ones((2, 2)))

    def __call__(self, x):
        return x @ self.weight


def optimizer(model):
    return nnx.Optimizer(model, optax.sgd(0.1), wrt=Own)


def save(model, folder):
    jnp.save(f"{folder}/weight.npy", model.weight[...])


def save_both(model, optimizer, folder):
    save(model, folder)


def restore(folder):
    model = Net()
    model.weight[...] = jnp.load(f"{folder}/weight.npy")
    return model
"""


@pytest.fixture
def own(tmp_path, run):
    """A right program with a type of its own, all in one file."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "below").mkdir()
    return run


def test_a_file_that_is_named_several_times_is_one_module(own):
    for named in (["--optimizer", "own.py:optimizer"], ["--save", "own.py:save", "--restore", "own.py:restore"]):
        told = own("own.py:Net", *named)
        assert (told.returncode, told.stderr) == (0, ""), told.stdout


def test_what_a_save_or_a_rule_needs_is_said(own):
    told = own("own.py:Net", "--save", "own.py:save_both", "--restore", "own.py:restore")
    assert told.returncode == 2
    assert "save takes 3 arguments" in told.stderr
    assert "the optimizer too" in told.stderr
    assert "So the rules of a save were not asked. They call `save(model, folder)`" in told.stderr
    assert "Nothing found" in told.stdout
    told = own("own.py:Net", "--select", "key-reuse")
    assert told.returncode == 2
    assert "The rule key-reuse needs --inputs" in told.stderr
    told = own("own.py:Net", "--select", "lost-in-checkpoint")
    assert told.returncode == 2
    assert "The rule lost-in-checkpoint needs --save orbax" in told.stderr


@pytest.mark.parametrize("target", ["own:Net", "own.py:Net"])
def test_what_the_project_names_is_found_from_its_folder(own, tmp_path, monkeypatch, target):
    (tmp_path / "pyproject.toml").write_text(f'[tool.nnx-state.audit]\ntarget = "{target}"\n')
    monkeypatch.chdir(tmp_path / "below")
    told = own()
    assert told.returncode == 0, told.stderr
    assert "Nothing found" in told.stdout
