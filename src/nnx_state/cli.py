"""The command line: `nnx-state`. Each verb is one call into a capability."""

import contextlib
import enum
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Annotated, TextIO

import typer

from nnx_state import _pages
from nnx_state._outcome import COULD_NOT_RUN, DONE, Outcome, RefusedError
from nnx_state.practice import verbs

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells give it


class Format(enum.StrEnum):
    """How the output is written."""

    TEXT = "text"
    JSON = "json"


Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The exercise, such as multi-param.")]
As = Annotated[Format, typer.Option("--format", help="text for people, json for programs.")]

ABOUT = "Param, Variable, or neither? Exercises and claims about Flax NNX state."
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=ABOUT)
practice = typer.Typer(no_args_is_help=True, help="Attempt a problem, and be told which mistake it was.")
app.add_typer(practice, name="practice")


@practice.command("list")
def list_all(form: As = Format.TEXT) -> None:
    """Show every exercise and how far you are."""
    _say(verbs.list_all(), form)


@practice.command()
def start(
    slug: Annotated[str, typer.Argument(metavar="[SLUG]", help="The exercise; by default the next one.")] = "",
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where the file is written.", readable=False)
    ] = Path(),
    form: As = Format.TEXT,
) -> None:
    """Write the file to begin with, and show the problem."""
    _say(verbs.start(slug, folder), form)


@practice.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The attempt; by default the one begun.", readable=False)
    ] = None,
    slug: Annotated[str, typer.Option("--exercise", metavar="SLUG", help="For a file of another name.")] = "",
    form: As = Format.TEXT,
) -> None:
    """Grade an attempt, by default that of the exercise begun last.

    Exit codes: 0 it passed, 1 not yet, 2 there is no verdict, or it could not be told.
    """
    if _perhaps_terminal():
        threading.Thread(target=_import_rich, daemon=True).start()  # it is needed when the verdict is there
    _say_all(verbs.check(file, slug), form)


@practice.command()
def watch(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where your attempts are.", readable=False)] = Path(),
    form: As = Format.TEXT,
) -> None:
    """Grade each attempt when it is saved, and go on when it passes. Ctrl-C ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script may have started it with Ctrl-C ignored
    with contextlib.suppress(KeyboardInterrupt):
        _say_while_told(verbs.watch(folder), form)


@practice.command()
def hint(
    slug: Slug,
    every: Annotated[bool, typer.Option("--all", help="Show all hints.")] = False,
    form: As = Format.TEXT,
) -> None:
    """Show the next hint."""
    _say(verbs.hint(slug, every), form)


@practice.command()
def solution(
    slug: Slug,
    force: Annotated[bool, typer.Option("--force", help="Show it before your attempt passes.")] = False,
    form: As = Format.TEXT,
) -> None:
    """Show a solution, once your attempt passes."""
    _say(verbs.solution(slug, force), form)


@practice.command()
def reset(slug: Slug, form: As = Format.TEXT) -> None:
    """Begin again; your attempt is kept under another name."""
    _say(verbs.reset(slug), form)


@app.command()
def claims(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The claims; all by default.")] = None,
    topic: Annotated[str, typer.Option(metavar="TOPIC", help="All claims of a topic.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="How many claims run at a time.")] = 1,
    every: Annotated[bool, typer.Option("--all", help="Show those that are as published, too.")] = False,
    form: As = Format.TEXT,
) -> None:
    """Run the claims of the site on your Flax, and show which are not as published.

    A release without published verdicts is compared with the nearest one. Exit codes: 0 all as published, 1 some
    differ, 2 it could not be run.
    """
    from nnx_state.claims import verbs as claims_verbs  # what the other verbs need not wait for

    _say_while_told(claims_verbs.check(names or [], topic, jobs, every), form)


@app.command()
def explain(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT|FILE]", help="What to explain; by default what is piped in.")
    ] = None,
    form: As = Format.TEXT,
) -> None:
    """Explain a traceback, a warning, or a symptom in your own words.

    python train.py 2>&1 | nnx-state explain

    What comes through the pipe is shown as it comes. Exit codes: 0 it is known, 1 it is not, 2 it could not be read.
    """
    from nnx_state.answers import verbs as answers_verbs  # what the other verbs need not wait for

    through = sys.stdout if form is Format.TEXT else sys.stderr
    _say(answers_verbs.explain(what or [], through.buffer), form)


class AuditFormat(enum.StrEnum):
    """How an audit is written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


@app.command()
def audit(
    target: Annotated[
        str, typer.Argument(metavar="[TARGET]", help="The model: package.module:callable, or file.py:callable.")
    ] = "",
    inputs: Annotated[
        str, typer.Option(metavar="TARGET", help="What it is called with: a tuple, a function, or shapes.")
    ] = "",
    method: Annotated[str, typer.Option(metavar="NAME", help="The method that is called; __call__ by default.")] = "",
    optimizer: Annotated[str, typer.Option(metavar="TARGET", help="An optimizer, or model -> optimizer.")] = "",
    gradients: Annotated[str, typer.Option(metavar="TARGET", help="The filter of the gradient.")] = "",
    save: Annotated[str, typer.Option(metavar="TARGET", help="Your save(model, folder), or orbax.")] = "",
    restore: Annotated[str, typer.Option(metavar="TARGET", help="Your restore(model, folder).")] = "",
    select: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Ask this rule alone; repeat it.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULE", help="Leave this rule out; repeat it.")] = None,
    baseline: Annotated[str, typer.Option(metavar="FILE", help="Tell what this file does not record.")] = "",
    update: Annotated[bool, typer.Option("--update-baseline", help="Record what is found in the baseline.")] = False,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="Show what is looked for.")] = False,
    rule: Annotated[str, typer.Option("--explain", metavar="RULE", help="Show the page of a rule.")] = "",
    form: Annotated[
        AuditFormat, typer.Option("--format", help="text, json, SARIF, or annotations of GitHub.")
    ] = AuditFormat.TEXT,
) -> None:
    """Tell what is wrong with the state of your own model, with the line that made it.

    nnx-state audit my_project.models:build --inputs my_project.models:example

    What is not said here is taken from the table tool.nnx-state.audit in pyproject.toml: target, inputs, method,
    select, ignore, baseline, optimizer, gradients, save, restore.
    Exit codes: 0 nothing was found, 1 something was, 2 the model could not be audited.
    """
    from nnx_state.audit import verbs as audit_verbs  # what the other verbs need not wait for
    from nnx_state.audit.settings import Settings

    shown = Format.JSON if form in (AuditFormat.JSON, AuditFormat.SARIF) else Format.TEXT
    if list_rules:
        _say(audit_verbs.rules(), shown)
    if rule:
        _say(audit_verbs.explain(rule), shown)
    rules = tuple(select or ()), tuple(ignore or ())
    said = Settings(target, inputs, method, *rules, baseline, optimizer, gradients, save, restore)
    _say(audit_verbs.check(said, form, update=update), shown)


@app.command()
def lesson(
    name: Annotated[str, typer.Argument(metavar="SLUG", help="The lesson, such as linear, or linear#see for a part.")],
    form: As = Format.TEXT,
) -> None:
    """Show a lesson, or another page of the site such as reference/linear or pitfalls."""
    text = _pages.page(name)
    _say(Outcome(text, {"page": name, "text": text}), form)


def _say(outcome: Outcome, form: Format) -> None:
    _say_all([outcome], form)


def _say_all(outcomes: Iterable[Outcome], form: Format) -> None:
    """Tell outcomes as they come, and end with the highest of their codes.

    What is done before the next one comes, such as saving that an attempt has passed, is also done when nobody is told.
    """
    code, told = DONE, True
    for outcome in outcomes:
        told = _print(outcome, form) and told
        code = max(code, outcome.code)
    raise typer.Exit(code if told else COULD_NOT_RUN)


def _say_while_told(outcomes: Iterable[Outcome], form: Format) -> None:
    """Tell outcomes as they come, as long as they can be told, and end with the code of the last one."""
    code = DONE
    for outcome in outcomes:
        code = outcome.code
        if not _print(outcome, form):
            raise typer.Exit(COULD_NOT_RUN)
    raise typer.Exit(code)


def _print(outcome: Outcome, form: Format) -> bool:
    """Tell an outcome; return whether it could be written."""
    try:
        if form is Format.JSON:
            if outcome.data:
                print(json.dumps(outcome.data), flush=True)
        elif not (_perhaps_terminal() and _shown(outcome.text)):
            print(outcome.text, flush=True)
    except OSError:
        return _drop(sys.stdout)
    return sys.stdout is not None


def _perhaps_terminal() -> bool:
    """Tell whether there may be a terminal; where there is none, nothing waits for the import of Rich."""
    said = {"FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()
    return sys.stdout is not None and (bool(said) or sys.stdout.isatty())


def _shown(text: str) -> bool:
    """Show Markdown with colours; return whether that can be done."""
    console, markdown = _import_rich()
    screen = console.Console()
    if not screen.is_terminal:
        return False
    screen.print(markdown.Markdown(text))
    screen.print()
    return True


def _import_rich() -> tuple[ModuleType, ModuleType]:
    """Return what shows Markdown, which takes longer to import than most verbs take."""
    import rich.console
    import rich.markdown

    return rich.console, rich.markdown


def _drop(stream: TextIO) -> bool:
    """Give up a stream that cannot be written, so that Python does not try once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return False


def _flushed(stream: TextIO | None) -> bool:
    """Write what is left for a stream; return whether it could be written."""
    if stream is None:  # it was closed before this process began
        return True
    try:
        stream.flush()
    except OSError:
        return _drop(stream)
    return True


def _refused(error: Exception) -> int:
    """Tell what cannot be done, and return the exit code."""
    said = str(error)
    if isinstance(error, OSError) and error.filename:
        said = f"{error.filename}: {error.strerror}."
    if sys.stderr:
        with contextlib.suppress(OSError):
            print(said, file=sys.stderr)
    return COULD_NOT_RUN


def main() -> None:
    """Run the command line; what cannot be done is told in one line, with exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the name of a file may be no text
    code: int | str | None = DONE
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    except (RefusedError, OSError) as error:
        code = _refused(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    written = [_flushed(stream) for stream in (sys.stdout, sys.stderr)]
    sys.exit(code if all(written) else COULD_NOT_RUN)
