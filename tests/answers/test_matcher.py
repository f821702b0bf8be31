"""What the matcher says of pastes that were recorded, whole and as terminals, logs and people change them."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.hard import CHAIN, hard_texts
from nnx_state.answers import answer
from nnx_state.answers.entries import load
from workshop.confusion import figures, recorded

QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text("utf-8"))


def wrapped(text):
    """Return a text as a terminal of 80 columns hands it over: line by line, without its colours."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")
    return "\n".join("\n".join(line[at : at + 80] for at in range(0, len(line) or 1, 80)) for line in lines)


def prefixed(text):
    return "\n".join(f"(train pid={3120 + number % 7}) {line}" for number, line in enumerate(text.split("\n")))


CHANGES = {
    "as it is": lambda text: text,
    "in CRLF": lambda text: text.replace("\n", "\r\n"),
    "wrapped": wrapped,
    "with a worker before each line": prefixed,
    "cut at its start": lambda text: (
        "\n".join(text.split("\n")[2:]) if "Traceback" in text and text.count("\n") > 6 else text
    ),
    "behind a log": lambda text: "INFO:root:step 1 loss 0.3\n" * 50 + text + "\nINFO:root:shutting down\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_recorded_paste_finds_its_entry(change):
    every, wrong, unnamed = list(recorded()), [], []
    is_cut = change.startswith("cut")  # what told it may be cut off
    for paste in every:
        given = answer(CHANGES[change](paste.text))
        said = f"{paste.anchor} ({paste.shape}, {paste.file}): {given.shown}"
        if (first := paste.first(given, guessed=is_cut)) != paste.entry.anchor:
            wrong.append(f"{said}: {first}")
        elif paste.entry.causes and given.found and not paste.is_among(given):
            unnamed.append(said)
    assert len(wrong) <= 0.02 * len(every), "\n".join(wrong)
    assert unnamed == []


def test_every_error_and_every_cause_has_pastes_of_two_shapes():
    """A cause has a paste from each release, since its entry has those of all."""
    shapes = {(paste.anchor, paste.shape) for paste in recorded()}
    times = Counter(anchor for anchor, _ in shapes)
    wanted = [part.anchor for entry in load().listed if entry.templates for part in entry.causes or [entry]]
    assert [anchor for anchor in wanted if times[anchor] < 2] == [], "What to do: python noxfile.py pastes"


def test_the_figures_count_every_paste():
    head, *rows = [line.split() for line in figures()]
    counted = Counter(paste.file for paste in [*recorded(), *recorded(foreign=True)])
    assert head[:2] == ["recorded", "with"]
    assert {row[0]: int(row[1 if row[0] == "foreign" else 2]) for row in rows if row[0] in counted} == counted


def test_what_has_nothing_to_do_with_it_is_not_known():
    pastes = [paste.text for paste in recorded(foreign=True)]
    assert len(pastes) >= 150
    texts = [*pastes, *(paste.rstrip().splitlines()[-1] for paste in pastes), *map(wrapped, pastes)]
    false = [given for given in map(answer, texts) if given.is_known]
    assert false == []


def test_a_symptom_is_found_by_other_words():
    assert len(QUESTIONS["known"]) >= 40
    wrong = {asked: (anchor, answer(asked)) for asked, anchor in QUESTIONS["known"].items() if not said(asked, anchor)}
    assert len(wrong) <= 0.1 * len(QUESTIONS["known"]), wrong


def said(asked, anchor):
    given = answer(asked)
    return anchor in [found.anchor for found in (*given.found[:1], *given.also)]


@pytest.mark.parametrize("asked", QUESTIONS["unknown"])
def test_other_questions_are_not_answered(asked):
    assert not answer(asked).is_known


def test_a_symptom_is_found_in_the_words_of_the_index():
    for words, anchors in load().phrases:
        given = answer(words)
        assert given.is_known, words
        assert {found.anchor for found in (*given.found, *given.also)} & set(anchors), words


KNOWN = "ValueError: Non-exhaustive filters, got a non-empty remainder: {...}"
OTHER = "TypeError: Missing required argument `wrt`. As of Flax 0.11.0 it is required"


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (KNOWN, OTHER, "non-exhaustive"),
        (OTHER, KNOWN, "wrt-missing"),
        ("KeyError: 'a'", KNOWN, "non-exhaustive"),
        (KNOWN, "RuntimeError: the worker died", "non-exhaustive"),
    ],
)
def test_the_innermost_that_is_known_comes_first(first, second, found):
    assert answer(CHAIN.format(first, second)).found[0].anchor == found


def test_examples_in_the_source_that_pytest_shows_were_not_raised():
    source = f'    def copy(array):\n        """\n        >>> copy(x)\n        {KNOWN}\n        """\n>       f()\n'
    assert answer(f"{source}E       {OTHER}\n\nt.py:3: TypeError\n").found[0].anchor == "wrt-missing"
    captured = f"E   KeyError: 'a'\n\nt.py:3: KeyError\n---- Captured stderr call ----\n{KNOWN}\n"
    assert answer(captured).found[0].anchor == "non-exhaustive"


def test_a_warning_is_no_answer_to_an_error():
    warning = "train.py:3: DeprecationWarning: '.value' access is now deprecated. Use variable[...]\n  x = p.value\n"
    assert answer(warning).found[0].anchor == "value-read"
    both = answer(f"{warning}{CHAIN.format('KeyError: 1', 'RuntimeError: no')}")
    assert (both.verdict, both.also[0].anchor) == ("unknown", "value-read")


@pytest.mark.parametrize("cut", [KNOWN[:45], KNOWN[:40] + "...", KNOWN[20:60], KNOWN[12:]])
def test_a_line_that_was_cut_is_known_by_what_is_left(cut):
    assert answer(cut).found[0].anchor == "non-exhaustive"


@pytest.mark.parametrize(
    "cut", ["ValueError", "ValueError: Non", "filters, got a", "", " \n", "Traceback (most recent call last):"]
)
def test_too_little_is_not_known(cut):
    assert not answer(cut).is_known


def test_a_text_that_python_raises_too_needs_more_than_itself():
    line = "TypeError: 'int' object is not subscriptable"
    alone = answer(line)
    assert (alone.verdict, alone.guesses[0].anchor) == ("unknown", "int-in-variable")
    frame = '  File "/site-packages/flax/nnx/variablelib.py", line 1177, in __getitem__\n    return value[key]\n'
    assert answer(f"Traceback (most recent call last):\n{frame}{line}").found[0].anchor == "int-in-variable"


def test_frames_tell_causes_apart():
    text = "flax.errors.TraceContextError: Cannot mutate Variable from a different trace level"
    alone = answer(text)
    assert (alone.verdict, len(alone.found)) == ("causes", 3)
    assert "`jax.grad`" in alone.question
    for frame, first in {
        "jax.grad(loss)(a, b)": "trace-context-grad",
        "step = nnx.jit(f)": "trace-context-module",
    }.items():
        shown = answer(f'Traceback (most recent call last):\n  File "t.py", line 3, in <module>\n    {frame}\n{text}')
        assert (shown.found[0].anchor, len(shown.found)) == (first, 3)


@pytest.mark.parametrize("name", hard_texts(0))
def test_what_is_long_is_answered_in_steps_that_grow_with_it(name):
    few, many = (steps(hard_texts(size)[name]) for size in (50_000, 200_000))
    assert 0 < many <= 5 * few


def steps(text):
    """Count the calls of functions of Python and of C which an answer takes: unlike its seconds, they are the same."""
    answer("a warm-up, which loads the entries")
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        answer(text)
    finally:
        sys.setprofile(None)
    return count
