"""Record what terminals show where the programs of the pitfalls raise: ``python -m workshop.pastes``.

The programs are the blocks that entries show, or else link to. Each page runs in a process of its own; an exception is
recorded where it ends a block, or where a handler prints it: as a script shows it, and as one of IPython, pytest, a
thread, a pool of processes and the log of absl does. What is recorded is what tests hold the matcher to.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import logging
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from nnx_state.answers.texts import Template, squeezed
from workshop.confusion import FOREIGN, RECORDED, figures
from workshop.pages import OLDER, Block, chain, read
from workshop.pitfalls import FOLDER, Entry, entries, section
from workshop.site.tree import ROOT

PROGRAMS = ROOT / "tests" / "answers" / "foreign"  # a program a line, after a first line that imports what all need
RELEASE = importlib.metadata.version("flax")
FILTERING = "auto" if RELEASE == OLDER else "off"  # JAX leaves its own frames out, or shows them: each on one release
LONGEST = 4_000  # characters of a paste


def main() -> None:
    """Record with this Python, or, as a child, one page."""
    parser = argparse.ArgumentParser(prog="python noxfile.py pastes --", description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="the pages whose blocks are run; by default all")
    parser.add_argument("--foreign", action="store_true", help="record the programs that have nothing to do with NNX")
    parser.add_argument("--figures", action="store_true", help="record nothing: say how what is recorded is answered")
    parser.add_argument("--child", action="store_true", help="run one page in this process")
    arguments = parser.parse_args()
    given = [page.resolve() for page in arguments.pages]
    if arguments.figures:
        print(*figures(), sep="\n")
        return
    if arguments.foreign:
        for file in given or sorted(PROGRAMS.glob("*.txt")):
            kept = _kept(RECORDED / f"{FOREIGN}.json")
            _keep(RECORDED / f"{FOREIGN}.json", kept | {file.stem: _of_page(file)})
        return
    if arguments.child and given[0].suffix == ".txt":
        print(json.dumps(list(foreign(given[0])), ensure_ascii=False))
        return
    if arguments.child:
        print(json.dumps(list(recorded(given[0], ROOT / "docs")), ensure_ascii=False))
        return
    file = RECORDED / f"{RELEASE}-{FILTERING}.json"
    kept = _kept(file) if given else {}
    for page in given or pages(ROOT / "docs"):
        name = page.relative_to(ROOT / "docs").as_posix()
        kept[name] = _of_page(page)
        print(f"{RELEASE} {name}: {len(kept[name])} pastes", flush=True)
        _keep(file, kept)


def _keep(file: Path, kept: dict[str, list[dict[str, str]]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: found for name, found in sorted(kept.items()) if found}, indent=1, ensure_ascii=False)
    file.write_text(f"{text}\n", "utf-8", newline="\n")


def _kept(file: Path) -> dict[str, list[dict[str, str]]]:
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def pages(docs: Path) -> list[Path]:
    """Return the pages whose blocks the entries of errors show or link to, in order."""
    return sorted({block.path for entry in entries(ROOT / FOLDER) if entry.texts for block in shown(entry, docs)})


def shown(entry: Entry, docs: Path) -> tuple[Block, ...]:
    """Return the blocks that an entry shows; where it shows none, those of the sections that it links to."""
    return entry.blocks or tuple(block for page, anchor in entry.proofs for block in section(docs / page, anchor))


def _of_page(page: Path) -> list[dict[str, str]]:
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    settings = {"JAX_PLATFORMS": "cpu", "MPLBACKEND": "agg", "JAX_TRACEBACK_FILTERING": FILTERING, "COLUMNS": "80"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "workshop.pastes", "--child", page],
            env=os.environ | cache | settings,
            cwd=folder,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    if done.returncode:
        sys.exit(f"{page}: the recording failed, see above.")
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def recorded(page: Path, docs: Path) -> Iterator[dict[str, str]]:
    """Run a page and yield the pastes of each exception that an entry covers."""
    wanted: dict[Block, list[Entry]] = {}
    for entry in (entry for entry in entries(ROOT / FOLDER) if entry.texts):
        for block in (block for block in shown(entry, docs) if block.path == page):
            wanted.setdefault(block, []).append(entry)
    seen: set[tuple[str, str]] = set()
    for block, error in _errors(page, wanted):
        for entry in wanted.get(block, []):
            anchor = _cause(entry, block)
            for text in (text for text in entry.texts if _is_raised(text, error) and (anchor, text) not in seen):
                seen.add((anchor, text))
                for shape in _chosen(error, len(seen)):
                    yield {"anchor": anchor, "shape": shape, "text": _paste(error, shape)}


def _is_raised(text: str, error: BaseException) -> bool:
    template = Template.of(text)
    return template.is_of(type(error).__name__) and template.fits(squeezed(str(error)))


def _cause(entry: Entry, block: Block) -> str:
    """Return the anchor of the cause below whose heading a block stands, or that of the entry."""
    causes = (cause.anchor for cause in entry.causes if cause.first < block.line <= cause.last)
    return next(causes, entry.anchor)


def foreign(file: Path) -> Iterator[dict[str, str]]:
    """Run the programs of a file, each of which raises or warns, and yield one paste of each."""
    prelude, *programs = file.read_text("utf-8").splitlines()
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(prelude, namespace)
    for number, program in enumerate(programs):
        found: list[BaseException] = []
        block = Block(Path("run.py"), number, 0, "", f"{program}\n")
        _execute(block, dict(namespace), found.append, Path(f"run_{number}.py"))
        if not found:
            print(f"{file.name}: `{program}` raises nothing. What to do: take it out.", file=sys.stderr)
            continue
        shape = list(SHAPES)[number % len(SHAPES)]
        yield {"anchor": "", "shape": shape, "text": _paste(found[-1], shape)}


def _chosen(error: BaseException, number: int) -> list[str]:
    """Return the shapes of an exception: that of a script, or of a warning there, and another, in turn."""
    others = [shape for shape in SHAPES if shape not in ("script", "warning")]
    turn = number if RELEASE == OLDER else number + 2
    return ["warning" if isinstance(error, Warning) else "script", others[turn % len(others)]]


def _errors(page: Path, wanted: Iterable[Block]) -> Iterator[tuple[Block, BaseException]]:
    """Run the chains of some blocks, and yield each exception that ends a block or is printed by a handler."""
    found: list[tuple[Block, BaseException]] = []
    blocks = read(page)
    needed = {block for one in wanted for block in chain(blocks, one)}
    namespace: dict[str, Any] = {}
    for block in blocks:
        if block not in needed or (block.torch and not importlib.util.find_spec("torch")):
            continue
        if not block.continues:
            namespace = {"__name__": "__main__"}
        raised: list[BaseException] = []
        _execute(block, namespace, raised.append)
        found += [(block, error) for error in raised]
    yield from found


def _execute(
    block: Block, namespace: dict[str, Any], note: Callable[[BaseException], object], file: Path | None = None
) -> None:
    name = str(file or f"train_{block.line}.py")
    Path(name).write_text(block.code, "utf-8")  # what shows a traceback reads the lines there

    def printing(*values: object, **options: Any) -> None:
        if error := sys.exception():
            note(error)
        print(*values, **options)  # which may raise too

    namespace["print"] = printing
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        try:
            exec(compile(block.code, name, "exec"), namespace)
        except (Exception, KeyboardInterrupt) as error:  # some programs raise the latter, to show it
            one: BaseException | None = error
            while one:  # JAX gives a cause the frames of all that called it
                one.__traceback__ = _from_program(one.__traceback__, name)
                one = one.__cause__ or one.__context__
            note(error)


def _from_program(frames: types.TracebackType | None, name: str) -> types.TracebackType | None:
    """Return the frames of a traceback from those of a program on, or all; those of this module are left out."""
    kept = []
    while frames:
        if frames.tb_frame.f_code.co_filename != __file__:
            kept.append(frames)
        frames = frames.tb_next
    files = [frame.tb_frame.f_code.co_filename for frame in kept]
    kept = kept[files.index(name) if name in files else 0 :]
    for number, frame in enumerate(kept, start=1):
        frame.tb_next = kept[number] if number < len(kept) else None
    return kept[0] if kept else None


def _script(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _thread(error: BaseException) -> str:
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        thread = threading.Thread(name="Thread-1 (train)")
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
    return written.getvalue()


def _ipython(error: BaseException) -> str:
    from IPython.core.ultratb import FormattedTB

    try:
        shows = FormattedTB(mode="Context", theme_name="linux")
    except TypeError:  # older releases name it otherwise
        shows = FormattedTB(mode="Context", color_scheme="Linux")  # type: ignore[call-arg]
    return str(shows.text(type(error), error, error.__traceback__))


def _pytest(error: BaseException) -> str:
    import pytest

    return str(pytest.ExceptionInfo.from_exception(error).getrepr(style="long"))


def _pool(error: BaseException) -> str:
    from concurrent.futures.process import _RemoteTraceback  # it is what a worker sends

    sent = traceback.format_exception(_RemoteTraceback(f'\n"""\n{_script(error)}"""'))  # type: ignore[arg-type]
    between = "\nThe above exception was the direct cause of the following exception:\n\n"
    return "".join([*sent, between, *traceback.format_exception_only(error)])


def _absl(error: BaseException) -> str:
    from absl import logging as absl

    record = logging.LogRecord(
        "absl", logging.ERROR, "train.py", 33, "step failed", (), (type(error), error, error.__traceback__), "train"
    )
    shown = absl.PythonFormatter().format(record)
    return re.sub(r"(?<=^E)\d{4} \S+ +\d+", "0102 03:04:05.678901 12345", shown)  # the time and the thread


def _warning(error: BaseException) -> str:
    if not isinstance(error, Warning):
        return _script(error)
    last = traceback.extract_tb(error.__traceback__)[0]
    return warnings.formatwarning(error, type(error), last.filename, last.lineno or 0, last.line)


SHAPES: dict[str, Callable[[BaseException], str]] = {
    "script": _script,
    "ipython": _ipython,
    "pytest": _pytest,
    "warning": _warning,
    "thread": _thread,
    "pool": _pool,
    "absl": _absl,
}


def _paste(error: BaseException, shape: str) -> str:
    return _shortened(_anonymous(SHAPES[shape](error)), error)


def _anonymous(text: str) -> str:
    """Return a paste without the folders of this machine, and without addresses in memory.

    pytest shows a file by its way from the folder that it runs in, and IPython by that from the home of a user.
    """
    folders = {
        sysconfig.get_path("purelib"): "/venv/lib/site-packages",
        sysconfig.get_path("stdlib"): "/usr/lib/python",
        str(ROOT): "/src",
        str(Path.home()): "~",
    }
    for folder, name in folders.items():
        if (way := os.path.relpath(folder)).startswith(f"..{os.sep}"):  # its end is the folder itself
            text = text.replace(way, name)
        text = text.replace(folder, name).replace(folder.replace(str(Path.home()), "~", 1), name)
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/tmp\w+", "/scratch", text)
    return re.sub(r"\b0x[0-9a-f]{6,}", "0x7f0000000000", text)  # an address in memory is another one in each run


def _shortened(text: str, error: BaseException) -> str:
    """Return a paste without frames in the middle of a long one, and without the end of a long message."""
    half = LONGEST // 2
    if len(text) <= LONGEST:
        return text
    messages = [found.start() for found in re.finditer(rf".*{type(error).__name__}(\x1b\[[0-9;]*m)*: ", text)]
    start = max(half, min([*messages[-1:], len(text) - half]))
    return f"{text[:half]}\n\n{text[start : start + half]}"


if __name__ == "__main__":
    main()
