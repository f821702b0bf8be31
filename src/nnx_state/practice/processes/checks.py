"""Checks of the exercise Processes, in two processes with a device each.

The text of the attempt runs in both, and what each of its functions returned and printed there comes back. A function
that waits for a process which has come to its end already would wait for ever, and is ended.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnx_state import run_on_devices
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part

Answer = dict[str, Any]

ROWS = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[-1.0, 0.5, 7.0], [8.0, 9.0, -2.0]]]
KERNEL = [[1.0, -2.0], [0.5, 3.0], [4.0, -1.0], [2.0, 6.0]]
BIAS = [0.25, -0.75]
LOSSES = [[1.0, 2.0], [5.0, 10.0]]
MEAN = 4.5
LINE = "step 3: loss 4.5000\n"
PARTS = ("batch_of", "whole", "report")
GRACE = 8.0  # seconds in which a function must end once it has ended in the other process
RAISED = {
    "not the same on each process": "put",
    "spans non-addressable": "unread",
    "only supports tiled=True": "tiled",
}


def batches(attempt: Attempt) -> Iterator[Finding]:
    """The rows of all processes are one array, cut along `data`."""
    attempt.function("batch_of", "mesh", "rows")
    line = attempt.line("batch_of")
    for index, answer in enumerate(_answers(attempt, "batch_of")):
        where = f"in process {index} "
        if answer["type"] != "array":
            raise Stop(Finding("result-type", "batch", f"{where}it is {answer['type']}", "an array of JAX", line))
        if answer["shape"] == [2, 3]:
            raise Stop(Finding("own", "batch", f"{where}its shape is (2, 3)", "(4, 3), the rows of both", line))
        if answer["replicated"]:
            measured = f"Process {index} has {answer['rows']} on its device."
            raise Stop(Finding("replicated", "batch", f"{where}it is replicated", "cut along `data`", line, measured))
        if answer["spec"][:1] != ["data"] or any(answer["spec"][1:]) or answer["shape"] != [4, 3]:
            seen = f"{where}its shape is {answer['shape']}, cut as {answer['spec']}"
            raise Stop(Finding("axis", "batch", seen, "(4, 3), cut along `data` by rows", line))
        if answer["rows"] != [ROWS[index]]:
            seen = f"process {index} has the rows {answer['rows'][0]}"
            raise Stop(Finding("numbers", "batch", seen, f"{ROWS[index]}, which it has read", line))
    yield from ()


def numbers_of_all(attempt: Attempt) -> Iterator[Finding]:
    """Each process gets the numbers of all Params."""
    attempt.function("whole", "model")
    line = attempt.line("whole")
    for index, answer in enumerate(_answers(attempt, "whole")):
        where = f"in process {index} "
        wanted = {"kernel": KERNEL, "layer.bias": BIAS}
        if answer["paths"] != sorted(wanted):
            seen = f"{where}it has {', '.join(answer['paths']) or answer['type']}"
            raise Stop(Finding("structure", "whole", seen, ", ".join(sorted(wanted)), line))
        if odd := [path for path, kind in answer["types"].items() if kind != "ndarray"]:
            seen = f"{where}`{odd[0]}` is of type {answer['types'][odd[0]]}"
            raise Stop(Finding("leaf", "whole", seen, "arrays of NumPy", line))
        for path, value in wanted.items():
            if answer["values"][path] != value:
                half = answer["values"][path] in (KERNEL[:2], KERNEL[2:])
                seen = f"{where}`{path}` is {answer['values'][path]}"
                raise Stop(Finding("own" if half else "value", "whole", seen, f"{value}", line))
    yield from ()


def logs(attempt: Attempt) -> Iterator[Finding]:
    """Process 0 prints the mean, and both return it."""
    attempt.function("report", "step", "losses")
    line = attempt.line("report")
    one, two = _answers(attempt, "report")
    if two["printed"]:
        told = "both processes print" if one["printed"] else "process 1 prints, and process 0 does not"
        yield Finding("twice", "report", told, "process 0 alone prints", line)
    elif not one["printed"]:
        yield Finding("silent", "report", "no process prints", f"`{LINE.strip()}` in process 0", line)
    elif one["printed"] != LINE:
        yield Finding("text", "report", f"it prints {one['printed']!r}", f"{LINE!r}", line)
    for index, answer in enumerate((one, two)):
        seen = f"in process {index} it returns {answer['value']!r}"
        if answer["type"] != "float":
            raise Stop(Finding("result-type", "report", f"{seen}, of type {answer['type']}", "a float", line))
        if abs(answer["value"] - MEAN) > 1e-5:
            own = abs(answer["value"] - sum(LOSSES[index]) / 2) < 1e-5
            raise Stop(Finding("own" if own else "value", "report", seen, f"{MEAN}", line))


STAGES = (*part(batches), *part(numbers_of_all), *part(logs))


def _answers(attempt: Attempt, name: str) -> list[Answer]:
    """Return what a function of the attempt did in each of the two processes.

    Raises:
        Stop: If it raised, or waited for a process that had ended it.
        NotImplementedError: If it has no body of its own.
    """
    line = attempt.line(name)
    with attempt.does(f"`{name}` in two processes"):
        answers = _ran(attempt.source, str(attempt.path), name) or _ran(attempt.source, str(attempt.path), name, name)
    for index, answer in enumerate(answers):
        if answer.get("waits"):
            seen = f"in `{name}` process {index} waits, and the other one has come to its end"
            raise Stop(Finding("alone", "", seen, "the same steps in all processes", line))
        if text := answer.get("raised", ""):
            if text.startswith("NotImplementedError"):
                raise NotImplementedError(name)
            kinds = [kind for words, kind in RAISED.items() if words in text]
            seen = f"`{name}` raised in process {index}: {text[:120].strip()}"
            raise Stop(Finding(kinds[0] if kinds else "failed", "", seen, "no error", line))
    return answers


def _ran(source: str, path: str, name: str, alone: str = "") -> list[Answer]:
    """Return what a function did in each of the two processes, which run all three, or one alone.

    Returns:
        The answers; none if the processes did not come as far, since a function before it waited.
    """
    folder = Path.cwd() / f"answers{alone}"
    told = [folder / f"{index}-{name}.json" for index in range(2)]
    if not folder.exists():
        folder.mkdir()
        given = {"rows": ROWS, "kernel": KERNEL, "bias": BIAS, "losses": LOSSES}
        arguments = (source, path, [alone] if alone else PARTS, str(folder), GRACE, given)
        try:
            run_on_devices(_work, *arguments, devices=2, processes=2)
        except RuntimeError:
            if not [*folder.iterdir()]:
                raise
    return [json.loads(file.read_text("utf-8")) for file in told] if all(file.exists() for file in told) else []


def _work(source: str, path: str, parts: list[str], folder: str, grace: float, given: Any) -> None:
    """Run the attempt in one of the processes, and write down what its functions do; it travels alone."""
    import contextlib
    import io
    import json
    import os
    import pathlib
    import threading
    import time
    from typing import Any

    import jax
    import numpy as np
    from flax import nnx

    index, mesh = jax.process_index(), jax.make_mesh((2,), ("data",))
    whole, by_row = (jax.NamedSharding(mesh, spec) for spec in (jax.P(), jax.P("data")))  # type: ignore[no-untyped-call]

    def file(number: int, name: str) -> pathlib.Path:
        return pathlib.Path(folder, f"{number}-{name}.json")

    def tell(name: str, answer: dict[str, Any]) -> None:
        draft = pathlib.Path(folder, f"{index}-{name}.draft")
        draft.write_text(json.dumps(answer), "utf-8")
        draft.rename(file(index, name))

    def watch(name: str) -> None:
        ended = None
        while not file(index, name).exists():
            time.sleep(0.05)
            if file(1 - index, name).exists():
                ended = ended or time.monotonic()
                if time.monotonic() - ended > grace:
                    tell(name, {"waits": True})
                    os._exit(3)

    def described(name: str, value: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {"type": type(value).__name__}
        if name == "batch_of" and isinstance(value, jax.Array):
            answer |= {"type": "array", "shape": value.shape, "replicated": value.sharding.is_fully_replicated}
            answer["spec"] = list(getattr(value.sharding, "spec", ()))
            answer["rows"] = [shard.data.tolist() for shard in value.addressable_shards]
        elif name == "whole":
            paths = jax.tree_util.tree_leaves_with_path(value)
            leaves = {".".join(str(getattr(key, "key", key)) for key in keys): leaf for keys, leaf in paths}
            answer |= {"paths": sorted(leaves), "types": {path: type(leaf).__name__ for path, leaf in leaves.items()}}
            of_numpy = {path: leaf for path, leaf in leaves.items() if isinstance(leaf, np.ndarray)}
            answer["values"] = {path: leaf.tolist() for path, leaf in of_numpy.items()}
        elif name == "report":
            answer["value"] = value if isinstance(value, (int, float)) else str(value)
        return answer

    module: dict[str, Any] = {"__name__": "attempt", "__file__": path}
    exec(compile(source, path, "exec"), module)
    kernel, bias, losses, rows = (np.asarray(given[key], np.float32) for key in ("kernel", "bias", "losses", "rows"))
    model: Any = nnx.Dict(kernel=nnx.Param(jax.device_put(kernel, by_row)), layer=nnx.Dict())
    model.layer.bias = nnx.Param(jax.device_put(bias, whole))
    model.count = nnx.Variable(jax.device_put(np.zeros((), np.int32), whole))
    join: Any = jax.make_array_from_process_local_data
    arguments = {
        "batch_of": (mesh, rows[index]),
        "whole": (model,),
        "report": (3, join(by_row, losses[index])),
    }
    for name in parts:
        threading.Thread(target=watch, args=(name,), daemon=True).start()
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                value = module[name](*arguments[name])
            answer = described(name, value) | {"printed": printed.getvalue()}
        except Exception as error:
            answer = {"raised": f"{type(error).__name__}: {error}".splitlines()[0]}
        tell(name, answer)
