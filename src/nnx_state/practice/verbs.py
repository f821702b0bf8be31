"""The verbs of `nnx-state practice`: each does its work and returns what to say. Nothing here imports JAX."""

from collections.abc import Iterator
from pathlib import Path

from nnx_state import _files, _pages
from nnx_state._outcome import COULD_NOT_RUN, DONE, NOT_YET, Outcome, RefusedError
from nnx_state.practice import progress, reports
from nnx_state.practice.exercises import SLUGS, Exercise, exercise, exercises
from nnx_state.practice.grading import grade

State = tuple[int, ...]


def list_all() -> Outcome:
    """Return every exercise and how far the learner is."""
    known = progress.load()
    rows = []
    for one in exercises():
        entry = known.of(one.slug)
        state = "passed" if entry.passed else "started" if entry.file else ""
        rows.append({"exercise": one.slug, "title": one.title, "state": state, "file": entry.file})
    width = max(len(row["exercise"]) for row in rows)
    lines = [f"{row['state']:7}  {row['exercise']:{width}}  {row['title']}" for row in rows]
    done = sum(row["state"] == "passed" for row in rows)
    text = f"```text\n{chr(10).join(lines)}\n```\n\n{done} of {len(rows)} passed. {_then(_next(known))}"
    return Outcome(_with_notice(known, text), {"exercises": rows, "passed": done})


def start(name: str = "", folder: Path = Path()) -> Outcome:
    """Write the starter of an exercise, by default the next one, into a folder, and return its problem.

    A file that is there already is left as it is.

    Raises:
        RefusedError: If the exercise is unknown or the file cannot be written.
    """
    with progress.changing() as known:
        one = exercise(name) if name else _next(known)
        if one is None:
            return Outcome("**All exercises have passed.** `nnx-state practice start SLUG` repeats one.")
        path = _files.absolute(folder / one.filename)
        new = _files.write_new(path, one.starter)
        known.begin(one.slug, str(path))
    said = f"`{path}` is written." if new else f"`{path}` is there already and is left as it is."
    text = f"{reports.problem(one)}\n\n{said} Edit it, then: `nnx-state practice check`"
    data = {"exercise": one.slug, "file": str(path), "written": new, "problem": one.problem}
    return Outcome(_with_notice(known, text), data)


def check(file: Path | None = None, name: str = "") -> Iterator[Outcome]:
    """Grade an attempt: a file, or that of the exercise which was begun last; the verdict comes before it is saved.

    Args:
        file: the attempt; its name tells the exercise, `multi_param.py` is that of multi-param.
        name: the exercise, for a file of another name.

    Raises:
        RefusedError: If there is nothing to check.
    """
    one, path = _chosen(file, name)
    report = grade(one, path)
    code = DONE if report.passed else COULD_NOT_RUN if report.undecided else NOT_YET
    yield Outcome(reports.text(report), reports.data(report), code)
    if report.passed:
        yield _remembered(one, path)
    elif not report.undecided:
        yield Outcome(f"\nStuck? `nnx-state practice hint {one.slug}`")


def watch(folder: Path = Path()) -> Iterator[Outcome]:
    """Check each file of an exercise in a folder when it is saved, and go on to the next exercise when one passes.

    Raises:
        RefusedError: If there is no such folder.
    """
    import watchfiles  # what the other verbs need not wait for

    if not folder.is_dir():
        raise RefusedError(f"{folder} is no folder: name the one that your attempts are in.")
    attempts = {_files.absolute(folder / one.filename): one for one in exercises()}
    changes = watchfiles.watch(folder, debounce=100, step=20, rust_timeout=500, yield_on_timeout=True, recursive=False)
    next(changes)  # from here on no save is missed
    seen: dict[Path, State] = {}  # how each file was when it was written here, or checked
    yield from _current(folder, seen)
    for batch in changes:
        saved = {_files.absolute(Path(name)) for change, name in batch if change != watchfiles.Change.deleted}
        for path in sorted(saved & attempts.keys()):
            if seen.get(path) == (state := _state(path)):
                continue  # nothing was saved since then
            seen[path] = state
            one = attempts[path]
            yield Outcome(f"Checking `{path.name}` …", {"exercise": one.slug, "checking": str(path)})
            passed = False
            try:
                for outcome in check(path):
                    yield outcome
                    passed |= outcome.data.get("passed", False)
            except RefusedError as error:  # such as a file that the editor has taken away again
                yield Outcome(str(error), {"exercise": one.slug, "error": str(error)}, COULD_NOT_RUN)
            if passed:
                yield from _current(folder, seen)


def hint(name: str, every: bool = False) -> Outcome:
    """Return the next hint of an exercise, or every one.

    Raises:
        RefusedError: If the exercise is unknown.
    """
    one = exercise(name)
    known, number, unsaved = progress.Progress(), len(one.hints) if every else 1, ""
    try:
        with progress.changing() as known:
            entry = known.of(one.slug)
            number = entry.hints = len(one.hints) if every else min(entry.hints + 1, len(one.hints))
    except RefusedError as error:
        unsaved = _unsaved(error)
    shown = list(enumerate(one.hints, start=1))[:number] if every else [(number, one.hints[number - 1])]
    parts = [
        f"**Hint {number} of {len(one.hints)}: {title}**\n\n{_pages.without_links(body)}"
        for number, (title, body) in shown
    ]
    if number == len(one.hints):
        parts.append(f"That was the last one. `nnx-state practice solution {one.slug} --force` shows a solution.")
    data = {"exercise": one.slug, "hints": [{"title": title, "text": body} for _, (title, body) in shown]}
    if unsaved:
        parts.append(unsaved)
        data["error"] = unsaved
    return Outcome(_with_notice(known, "\n\n".join(parts)), data)


def solution(name: str, force: bool = False) -> Outcome:
    """Return a solution, once the exercise has passed or by force.

    Raises:
        RefusedError: If the exercise is unknown.
    """
    one, known = exercise(name), progress.load()
    if not (known.of(one.slug).passed or force):
        text = f"The solution of {one.slug} opens when your attempt passes, or with `--force`."
        return Outcome(_with_notice(known, text), {"exercise": one.slug, "solution": None}, NOT_YET)
    text = f"```python\n{one.solution}```"
    return Outcome(_with_notice(known, text), {"exercise": one.slug, "solution": one.solution})


def reset(name: str) -> Outcome:
    """Put the starter in the place of an attempt, and keep the attempt under another name.

    Raises:
        RefusedError: If the exercise is unknown or was never started, or a file cannot be written.
    """
    one = exercise(name)
    with progress.changing() as known:
        entry = known.of(one.slug)
        if not entry.file:
            raise RefusedError(f"{one.slug} was never started: `nnx-state practice start {one.slug}` does that.")
        path = Path(entry.file)
        kept, new = _files.renew(path, one.starter)
        entry.passed, entry.hints = False, 0
    said = f"Your attempt is kept as `{kept}`." if kept else "There was no attempt to keep."
    text = f"{said} `{path}` is {'the starter again' if new else 'what was saved there meanwhile'}."
    return Outcome(_with_notice(known, text), {"exercise": one.slug, "file": str(path), "kept": str(kept or "")})


def _current(folder: Path, seen: dict[Path, State]) -> Iterator[Outcome]:
    """Return how far the learner is, and start the next exercise in a folder; note how its file is."""
    known = progress.load()
    one = _next(known)
    done = sum(known.of(one.slug).passed for one in exercises())
    yield Outcome(f"{done} of {len(exercises())} passed.", {"passed": done, "exercises": len(exercises())})
    if one is None:
        yield start()
        return
    started = start(one.slug, folder)
    path = Path(started.data["file"])
    if started.data["written"]:
        seen[path] = _state(path)
    yield started
    yield Outcome(f"Waiting for you to save `{one.filename}` in `{_files.absolute(folder)}`; Ctrl-C ends.")


def _state(path: Path) -> State:
    """Return what tells a file from itself after it was saved again; nothing if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _remembered(one: Exercise, path: Path) -> Outcome:
    """Note that an attempt has passed, and return what is next; or what could not be noted, and why."""
    try:
        with progress.changing() as known:
            entry = known.of(one.slug)
            entry.passed, entry.file = True, str(_files.absolute(path))
    except RefusedError as error:
        return Outcome(_unsaved(error), {"exercise": one.slug, "error": _unsaved(error)})
    return Outcome(_with_notice(known, _then(_next(known))))


def _unsaved(error: RefusedError) -> str:
    return f"Your progress could not be saved. {error}"


def _next(known: progress.Progress) -> Exercise | None:
    return next((one for one in exercises() if not known.of(one.slug).passed), None)


def _then(one: Exercise | None) -> str:
    return f"Next: `nnx-state practice start {one.slug}`" if one else "That was the last exercise."


def _chosen(file: Path | None, name: str) -> tuple[Exercise, Path]:
    """Return which exercise and file to check."""
    if file is not None:
        try:
            return exercise(name or file.name), file
        except RefusedError:
            if name:
                raise
            why = f"The name of {file} tells no exercise"
            raise RefusedError(f"{why}: name it with --exercise SLUG; `nnx-state practice list` shows them.") from None
    known = progress.load()
    chosen = exercise(name or known.last_begun() or SLUGS[0])
    if not (kept := known.of(chosen.slug).file):
        why = f"{chosen.slug} was never started: `nnx-state practice start {chosen.slug}` does that."
        raise RefusedError(_with_notice(known, why))
    return chosen, Path(kept)


def _with_notice(known: progress.Progress, text: str) -> str:
    return f"{known.notice}\n\n{text}" if known.notice else text
