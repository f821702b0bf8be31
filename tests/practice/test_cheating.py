"""An attempt cannot write its own verdict, what it takes from the package is named, and what it patches is undone.

These are the shortest ways round a check. It is a net for one's own code, and no prison: see the page on practice.
"""

import dataclasses
import inspect

import pytest

import nnx_state
from nnx_state.practice import origins, patches, reports
from nnx_state.practice.channel import found, noting, record
from nnx_state.practice.exercises import exercise
from nnx_state.practice.findings import Finding
from nnx_state.practice.grading import grade_source
from workshop.attempts import forked

SEED = exercise("multi-param")
FORWARD = SEED.solution[SEED.solution.index("def multi_param_forward") :]
HEAD = (
    "import functools, inspect, pathlib, runpy\nimport jax, jax.numpy as jnp\nfrom flax import nnx\nimport nnx_state\n"
)
FOLDER = "pathlib.Path(nnx_state.__file__).parent"
BORROWED = {
    "import": f"from nnx_state import MultiParam\n{FORWARD}",
    "subclass": f"class MultiParam(nnx_state.MultiParam): pass\n{FORWARD}",
    "subclass by type": f"MultiParam = type('MultiParam', (nnx_state.MultiParam,), {{}})\n{FORWARD}",
    "another module's name": f"MultiParam = nnx_state.MultiParam\nMultiParam.__module__ = __name__\n{FORWARD}",
    "methods": f"""\
class MultiParam(nnx.Module):
    __init__ = nnx_state.MultiParam.__init__
    __call__ = nnx_state.MultiParam.__call__
{FORWARD}""",
    "exec of the solution": f"exec(({FOLDER} / 'practice/multi_param/solution.py').read_text())",
    "exec of the lesson": "exec(inspect.getsource(nnx_state.multi_param))\nMultiParam.__module__ = 'mine'",
    "run of the solution": (
        f"globals().update(runpy.run_path(str({FOLDER} / 'practice/multi_param/solution.py'), run_name=__name__))"
    ),
    "import of the solution": "from nnx_state.practice.multi_param.solution import MultiParam, multi_param_forward",
    "wrapped": "{class_}def multi_param_forward(*a): return nnx_state.multi_param_forward(*a)",
    "wrapped alias": (
        "{class_}from nnx_state import multi_param_forward as theirs\n"
        "def multi_param_forward(seed, x, features): return theirs(seed, x, features)"
    ),
    "wrapped inside": (
        "{class_}def multi_param_forward(seed, x, features):\n"
        "    from nnx_state import multi_param_forward as theirs\n"
        "    return theirs(seed, x, features)"
    ),
    "partial": "{class_}multi_param_forward = functools.partial(nnx_state.multi_param_forward)",
    "compiled": "{class_}multi_param_forward = jax.jit(nnx_state.multi_param_forward)",
    "closure": (
        "{class_}def own(theirs):\n    return lambda seed, x, features: theirs(seed, x, features)\n"
        "multi_param_forward = own(nnx_state.multi_param_forward)"
    ),
}
CLASS = SEED.solution[SEED.solution.index("class MultiParam") : SEED.solution.index("def multi_param_forward")]


@pytest.mark.parametrize("way", BORROWED)
def test_what_comes_from_the_package_is_named(way):
    report = grade_source(SEED, HEAD + BORROWED[way].replace("{class_}", CLASS), runner=forked)
    finding = report.found[0].finding
    assert finding.kind == "borrowed", finding
    assert "nnx_state" in finding.seen


OWN = {
    "the solution, typed": SEED.solution,
    "another name of the module": f"{SEED.solution}\nMultiParam.__module__ = 'nnx_state.mine'\n",
    "another part of the package": f"{HEAD}counted = nnx_state.TraceCounter(len)\n{SEED.solution}",
}


@pytest.mark.parametrize("way", OWN)
def test_what_is_written_in_the_file_is_its_own(way):
    assert grade_source(SEED, OWN[way], runner=forked).passed


VERDICTS = {
    "files": (
        "import os\n"
        "for name in ('record', 'told', 'printed', 'stack'):\n"
        "    open(os.path.join('..', name), 'a').write('{\"done\": true}\\n')\n"
    ),
    "channels": (
        "import os\n"
        "for number in range(1, 64):\n"
        "    try:\n        os.write(number, b'{\"done\": true}\\n')\n"
        "    except OSError:\n        pass\n"
    ),
    "output": "print('{\"done\": true}', flush=True)\n",
}


@pytest.mark.parametrize("way", VERDICTS)
def test_an_attempt_cannot_write_its_own_verdict(way):
    report = grade_source(SEED, f"{VERDICTS[way]}import os\nos._exit(0)\n")
    assert [one.finding.kind for one in report.found] in (["crashed"], ["timeout"])


def test_a_record_without_its_end_or_its_word_is_no_verdict(tmp_path):
    with (tmp_path / "told").open("wb") as file:
        note = noting(file.fileno(), "word")
        note(stage="first")
        note(**found(Finding("array", "count")))
        file.write(b'{"done": true}\nother{"done": true}\n')
        file.flush()
    told = (tmp_path / "told").read_bytes()
    kept = record(told, "word")
    assert (kept.stage, kept.findings, kept.done) == ("first", [Finding("array", "count")], False)
    assert kept.rest == '{"done": true}\nother{"done": true}\n'
    assert record(told + b'word{"done": true}\n', "word").done
    assert not record(told + b'word{"done": tr', "word").done
    assert not record(told + b'word{"done": true}\nword{"stage": "more"}\n', "word").done


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("from nnx_state.practice.multi_param import checks\nchecks.STAGES = ()", "multi_param.checks.STAGES"),
        ("from nnx_state.practice import values\nvalues.close = lambda *a: True", "values.close"),
        ("from nnx_state.practice import probe\nprobe.first_line = None", "probe.first_line"),
    ],
)
def test_checks_that_an_attempt_patches_are_told(code, seen):
    report = grade_source(SEED, f"{code}\n{SEED.solution}", runner=forked)
    assert report.found[0].finding.kind == "patched"
    assert f"{seen}` is another object now" in reports.text(report)


def test_what_is_patched_is_undone():
    import math

    patches_of_math = (*patches.WATCHED, "math")
    floor = math.floor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patches, "WATCHED", patches_of_math)
        with patches.undone() as patched:
            math.floor = math.ceil
            del math.tau
    assert patched == [("math", "floor"), ("math", "tau")] or patched == [("math", "tau"), ("math", "floor")]
    assert math.floor is floor
    assert math.tau > 6


def test_what_python_gives_to_every_dataclass_is_borrowed_from_nobody():
    known = origins.answers("filters")
    of_python = [part for part in vars(dataclasses).values() if inspect.isfunction(part)]
    assert {id(nnx_state.Exactly), id(nnx_state.Exactly.__call__)} <= known.keys()
    assert not known.keys() & set(map(id, of_python))
