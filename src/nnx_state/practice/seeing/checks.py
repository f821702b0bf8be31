"""Checks of the exercise Seeing a model.

Each of the three functions is checked whatever is wrong with the others. They are given one model, whose leaves are of
several types and depths, and in which each mistake that is told apart gives another answer than the others.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx

from nnx_state._paths import dotted
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.probe import Attempt
from nnx_state.practice.stages import apart
from nnx_state.practice.state import copied
from nnx_state.practice.values import array_of, describe, listed, ramp, twin


class Layer(nnx.Module):
    """Two Params, and an average that is none."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.kernel = nnx.Param(ramp(-1.0, 2.0, inputs, outputs))
        self.bias = nnx.Param(ramp(0.5, 1.5, outputs))
        self.mean = nnx.BatchStat(ramp(0.25, 1.0, outputs))


class Model(nnx.Module):
    """Layers at two depths, one of them under two names, and leaves of the model itself."""

    def __init__(self) -> None:
        self.head = Layer(2, 3)
        self.layers = nnx.List([Layer(4, 2), Layer(2, 2)])
        self.scale = nnx.Param(array_of(np.float32(2.0)))
        self.count = nnx.Variable(array_of(np.int32(7)))
        self.tied = self.head


@apart
def outlined(attempt: Attempt) -> Iterator[Finding]:
    """Each module has its path and the numbers of its Params."""
    attempt.function("outline", "model")
    line, model = attempt.line("outline"), Model()
    seen = attempt.call("outline(model)", model=model)
    if not isinstance(seen, dict):
        yield Finding("result-type", "outline", describe(seen), "a dict", line)
        return
    modules = list(nnx.iter_modules(model))
    wanted = _sizes(modules, lambda module: _leaves(module, nnx.Param))
    if _texts(seen) != list(seen) and set(_texts(seen)) == set(wanted):
        yield Finding("paths", "outline", f"the keys {list(seen)[:3]}", "text, such as `layers.0`", line)
    elif seen.keys() != wanted.keys():
        readings = {
            "root": seen.keys() == wanted.keys() - {""},
            "children": seen.keys() - {"", "tied"} == {"head", "layers"},
            "twice": "tied" in seen,
            "lists": seen.keys() == wanted.keys() - {"layers"},
        }
        kind = first_that_holds(readings, "others")
        yield Finding(kind, "outline", f"the paths {_shown(seen)}", _shown(wanted), line)
    elif seen != wanted:
        readings = {
            "own": seen == _sizes(modules, lambda module: [v for v in vars(module).values() if type(v) is nnx.Param]),
            "state": seen == _sizes(modules, lambda module: _leaves(module, ...)),
            "leaves": seen == {dotted(path): len(_leaves(module, nnx.Param)) for path, module in modules},
            "bytes": seen == {path: 4 * size for path, size in wanted.items()},
        }
        yield Finding(first_that_holds(readings, "value"), "outline", f"{seen}", f"{wanted}", line)


@apart
def distances(attempt: Attempt) -> Iterator[Finding]:
    """Each leaf that has moved has its path and its norm, and nothing is changed."""
    attempt.function("moved", "before", "model")
    line, model = attempt.line("moved"), Model()
    before = nnx.state(twin(model))
    moves = {
        "count": (model.count, np.int32(3)),
        "head.bias": (model.head.bias, np.array([np.nan, 1.0, 0.0], np.float32)),
        "layers.0.kernel": (model.layers[0].kernel, np.linspace(-1, 2, 8, dtype=np.float32).reshape(4, 2)),
        "layers.1.mean": (model.layers[1].mean, np.array([0.0, -0.5], np.float32)),
        "scale": (model.scale, np.float32(-0.5)),
    }
    for variable, difference in moves.values():
        variable.set_value(array_of(np.asarray(variable[...]) + difference))
    given: dict[str, Any] = {"before": before, "model": model}
    kept = {name: copied(node) for name, node in given.items()}
    seen = attempt.call("moved(before, model)", before=before, model=model)
    if changed := [name for name, node in given.items() if not _equal(copied(node), kept[name])]:
        yield Finding("changed", "moved", f"the call writes into `{changed[0]}`", "both stay as they are", line)
    elif not isinstance(seen, dict):
        yield Finding("result-type", "moved", describe(seen), "a dict", line)
    elif _texts(seen) != list(seen) and set(_texts(seen)) == set(moves):
        yield Finding("paths", "moved", f"the keys {list(seen)[:3]}", "text, such as `layers.0.kernel`", line)
    elif seen.keys() != moves.keys():
        readings = {
            "nothing": not seen,
            "unmoved": seen.keys() == kept["before"].keys(),
            "nan": seen.keys() == moves.keys() - {"head.bias"},
            "params": seen.keys() == moves.keys() - {"count", "layers.1.mean"},
            "top": seen.keys() == {path for path in moves if "." not in path},
        }
        yield Finding(first_that_holds(readings, "others"), "moved", _shown(seen), _shown(moves), line)
    elif odd := [value for value in seen.values() if np.ndim(value) or np.asarray(value).dtype.kind != "f"]:
        yield Finding("result-type", "moved", f"a dict with {describe(odd[0])}", "a dict of floats", line)
    else:
        far = {path: np.asarray(difference, np.float64) for path, (_, difference) in moves.items()}
        norms = {path: np.linalg.norm(difference) for path, difference in far.items()}
        if _same(seen, norms):
            return
        known = {
            "squared": {path: norm**2 for path, norm in norms.items()},
            "largest": {path: abs(difference).max() for path, difference in far.items()},
            "mean": (
                {path: abs(difference).mean() for path, difference in far.items()},
                {path: (difference**2).mean() for path, difference in far.items()},
                {path: (difference**2).mean() ** 0.5 for path, difference in far.items()},
            ),
            "sum": {path: abs(difference).sum() for path, difference in far.items()},
            "relative": {path: norm / np.linalg.norm(kept["before"][path]) for path, norm in norms.items()},
        }
        yield Finding(formula_of(seen, known, same=_same), "moved", _rounded(seen), _rounded(norms), line)


@apart
def ruined(attempt: Attempt) -> Iterator[Finding]:
    """Each leaf that holds a NaN or an infinity is named."""
    attempt.function("not_finite", "state")
    line, model = attempt.line("not_finite"), Model()
    bad = {
        "head.bias": (model.head.bias, [np.nan, 1.0, 0.0]),
        "head.mean": (model.head.mean, [np.inf, 0.0, -1.0]),
        "layers.0.bias": (model.layers[0].bias, [np.nan, np.nan]),
        "layers.1.mean": (model.layers[1].mean, [-np.inf, 1.0]),
        "scale": (model.scale, -np.inf),
    }
    for variable, value in bad.values():
        variable.set_value(array_of(np.asarray(value, np.float32)))
    state = nnx.state(model)
    seen = attempt.call("not_finite(state)", state=state)
    if not isinstance(seen, list):
        yield Finding("result-type", "not_finite", describe(seen), "a list", line)
    elif _texts(seen) != seen and set(_texts(seen)) == set(bad):
        yield Finding("paths", "not_finite", f"{seen[:2]}", "text, such as `layers.0.bias`", line)
    elif sorted(map(str, seen)) != sorted(bad):
        found = set(map(str, seen))
        readings = {
            "infinity": found == {"head.bias", "layers.0.bias"},
            "nan": found == {"head.mean", "layers.1.mean", "scale"},
            "whole": found == {"layers.0.bias", "scale"},
            "finite": found == copied(model).keys() - bad.keys(),
            "params": found == bad.keys() - {"head.mean", "layers.1.mean"},
            "top": found == {"scale"},
        }
        yield Finding(first_that_holds(readings, "others"), "not_finite", _shown(seen), _shown(bad), line)


STAGES = (outlined, distances, ruined)


def _leaves(module: Any, only: Any) -> list[Any]:
    return jax.tree.leaves(nnx.state(module, only))


def _sizes(modules: list[tuple[Any, Any]], held: Callable[[Any], list[Any]]) -> dict[str, int]:
    """Return for the path of each module how many numbers the leaves have that a function finds in it."""
    return {dotted(path): sum(leaf.size for leaf in held(module)) for path, module in modules}


def _texts(paths: Any) -> list[str]:
    """Return paths as the problem writes them, from tuples, or from text with another sign between the parts."""
    return [dotted(path) if isinstance(path, tuple) else str(path).replace("/", ".") for path in paths]


def _shown(paths: Any) -> str:
    return listed(f"`{path}`" for path in sorted(map(str, paths)))


def _same(seen: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(np.allclose(seen[path], wanted[path], rtol=1e-5, equal_nan=True) for path in wanted)


def _equal(now: dict[str, np.ndarray], kept: dict[str, np.ndarray]) -> bool:
    return now.keys() == kept.keys() and all(np.array_equal(now[path], kept[path], equal_nan=True) for path in kept)


def _rounded(found: dict[str, Any]) -> str:
    return listed(f"`{path}`: {float(found[path]):.4g}" for path in sorted(found))
