"""The command line: `nnx-state`. Each verb is one call into a capability."""

import contextlib
import enum
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from nnx_state._outcome import COULD_NOT_RUN, Outcome, RefusedError
from nnx_state.claims import verbs as claims_verbs
from nnx_state.practice import verbs


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
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where the file is written.")] = Path(),
    form: As = Format.TEXT,
) -> None:
    """Write the file to begin with, and show the problem."""
    _say(verbs.start(slug, folder), form)


@practice.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The attempt; by default the one begun.")
    ] = None,
    slug: Annotated[str, typer.Option("--exercise", metavar="SLUG", help="For a file of another name.")] = "",
    form: As = Format.TEXT,
) -> None:
    """Grade an attempt. Exit codes: 0 it passed, 1 not yet, 2 it could not be run."""
    _say(verbs.check(file, slug), form)


@practice.command()
def watch(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where your attempts are.")] = Path(),
    form: As = Format.TEXT,
) -> None:
    """Grade each attempt when it is saved, and go on when it passes. Ctrl-C ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script may have started it with Ctrl-C ignored
    with contextlib.suppress(KeyboardInterrupt):
        for outcome in verbs.watch(folder):
            _print(outcome, form)


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
    for outcome in claims_verbs.check(names or [], topic, jobs, every):
        _print(outcome, form)
    raise typer.Exit(outcome.code)


def _say(outcome: Outcome, form: Format) -> None:
    _print(outcome, form)
    raise typer.Exit(outcome.code)


def _print(outcome: Outcome, form: Format) -> None:
    if form is Format.JSON:
        print(json.dumps(outcome.data), flush=True)
    elif (console := Console()).is_terminal:
        console.print(Markdown(outcome.text))
        console.print()
    else:
        print(outcome.text, flush=True)


def main() -> None:
    """Run the command line; what cannot be done is told in one line, with exit code 2."""
    try:
        app()
    except RefusedError as error:
        print(error, file=sys.stderr)
        sys.exit(COULD_NOT_RUN)
    except KeyboardInterrupt:
        sys.exit(130)
