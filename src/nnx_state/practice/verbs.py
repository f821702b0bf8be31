"""The verbs of `nnx-state practice`: each does its work and returns what to say. Nothing here imports JAX."""

from collections.abc import Iterator
from pathlib import Path

import watchfiles

from nnx_state._outcome import COULD_NOT_RUN, DONE, NOT_YET, Outcome, RefusedError
from nnx_state.practice import files, progress, reports
from nnx_state.practice.exercises import Exercise, exercise, exercises
from nnx_state.practice.grading import grade


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
        path = (folder / one.filename).resolve()
        new = files.write_new(path, one.starter)
        known.of(one.slug).file = str(path)
    said = f"`{path}` is written." if new else f"`{path}` is there already and is left as it is."
    text = f"{reports.problem(one)}\n\n{said} Edit it, then: `nnx-state practice check`"
    data = {"exercise": one.slug, "file": str(path), "written": new, "problem": one.problem}
    return Outcome(_with_notice(known, text), data)


def check(file: Path | None = None, name: str = "") -> Outcome:
    """Grade an attempt: a file, or that of the exercise which was started and has not passed.

    Args:
        file: the attempt; its name tells the exercise, `multi_param.py` is that of multi-param.
        name: the exercise, for a file of another name.

    Raises:
        RefusedError: If there is nothing to check.
    """
    known = progress.load()
    one, path = _chosen(known, file, name)
    report = grade(one, path)
    text, data = reports.text(report), reports.data(report)
    if report.passed:
        with progress.changing() as known:
            known.of(one.slug).passed = True
            known.of(one.slug).file = str(path.resolve())
        text += f" {_then(_next(known))}"
    else:
        text += f"\n\nStuck? `nnx-state practice hint {one.slug}`"
    return Outcome(_with_notice(known, text), data, DONE if report.passed else NOT_YET)


def watch(folder: Path = Path()) -> Iterator[Outcome]:
    """Check each file of an exercise in a folder when it is saved, and go on to the next exercise when one passes.

    Raises:
        RefusedError: If there is no such folder.
    """
    if not folder.is_dir():
        raise RefusedError(f"{folder} is no folder: name the one that your attempts are in.")
    attempts = {(folder / one.filename).resolve(): one for one in exercises()}
    changes = watchfiles.watch(folder, debounce=100, step=20, rust_timeout=500, yield_on_timeout=True, recursive=False)
    next(changes)  # from here on no save is missed
    yield from _current(folder)
    for batch in changes:
        saved = {Path(name).resolve() for change, name in batch if change != watchfiles.Change.deleted}
        for path in sorted(saved & attempts.keys()):
            one = attempts[path]
            yield Outcome(f"Checking `{path.name}` …", {"exercise": one.slug, "checking": str(path)})
            try:
                outcome = check(path)
            except RefusedError as error:  # such as a file that the editor has taken away again
                outcome = Outcome(str(error), {"exercise": one.slug, "error": str(error)}, COULD_NOT_RUN)
            yield outcome
            if outcome.code == DONE:
                yield from _current(folder)


def hint(name: str, every: bool = False) -> Outcome:
    """Return the next hint of an exercise, or every one.

    Raises:
        RefusedError: If the exercise is unknown.
    """
    one = exercise(name)
    with progress.changing() as known:
        entry = known.of(one.slug)
        entry.hints = len(one.hints) if every else min(entry.hints + 1, len(one.hints))
        number = entry.hints
    shown = list(enumerate(one.hints, start=1))[:number] if every else [(number, one.hints[number - 1])]
    parts = [
        f"**Hint {number} of {len(one.hints)}: {title}**\n\n{reports.without_links(body)}"
        for number, (title, body) in shown
    ]
    if number == len(one.hints):
        parts.append(f"That was the last one. `nnx-state practice solution {one.slug} --force` shows a solution.")
    data = {"exercise": one.slug, "hints": [{"title": title, "text": body} for _, (title, body) in shown]}
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
        kept = files.back_up(path)
        files.replace(path, one.starter)
        entry.passed, entry.hints = False, 0
    said = f"Your attempt is kept as `{kept}`." if kept else "There was no attempt to keep."
    text = f"{said} `{path}` is the starter again."
    return Outcome(_with_notice(known, text), {"exercise": one.slug, "file": str(path), "kept": str(kept or "")})


def _current(folder: Path) -> Iterator[Outcome]:
    """Return how far the learner is, and start the next exercise in a folder."""
    known = progress.load()
    one = _next(known)
    done = sum(known.of(one.slug).passed for one in exercises())
    yield Outcome(f"{done} of {len(exercises())} passed.", {"passed": done, "exercises": len(exercises())})
    if one is None:
        yield start()
        return
    yield start(one.slug, folder)
    yield Outcome(f"Waiting for you to save `{one.filename}` in `{folder.resolve()}`; Ctrl-C ends.")


def _next(known: progress.Progress) -> Exercise | None:
    return next((one for one in exercises() if not known.of(one.slug).passed), None)


def _then(one: Exercise | None) -> str:
    return f"Next: `nnx-state practice start {one.slug}`" if one else "That was the last exercise."


def _chosen(known: progress.Progress, file: Path | None, name: str) -> tuple[Exercise, Path]:
    """Return which exercise and file to check."""
    if file is not None:
        try:
            return exercise(name or file.name), file
        except RefusedError:
            if name:
                raise
            why = f"The name of {file} tells no exercise"
            raise RefusedError(f"{why}: name it with --exercise SLUG; `nnx-state practice list` shows them.") from None
    if name:
        chosen = exercise(name)
    else:
        begun = [one for one in exercises() if known.of(one.slug).file]
        chosen = next((one for one in begun if not known.of(one.slug).passed), begun[-1] if begun else exercises()[0])
    if not (kept := known.of(chosen.slug).file):
        raise RefusedError(f"{chosen.slug} was never started: `nnx-state practice start {chosen.slug}` does that.")
    return chosen, Path(kept)


def _with_notice(known: progress.Progress, text: str) -> str:
    return f"{known.notice}\n\n{text}" if known.notice else text
