"""Let two terminals of one learner, and an editor, take turns at every call that changes a file, in a random order.

After each call the progress file is what the changes so far make of it, one after another, and no text of the learner
has gone.
"""

import copy
import os
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from nnx_state._outcome import RefusedError
from nnx_state.practice import progress
from nnx_state.practice.exercises import exercise
from nnx_state.practice.progress import Entry
from workshop.fuzzing import acting
from workshop.fuzzing.learner import Learner, learner
from workshop.fuzzing.processes import listen, started

SLUGS = ("linear", "multi-param", "homes")
VERBS = ("start", "check", "reset", "hint", "list", "watch", "save", "save in place")
CALLS = 4  # of each terminal
EDITOR = (".editor", "save")  # what an editor does may overwrite what it has written before

Known = dict[str, Entry]


@dataclass
class Terminal:
    """One after another, what a learner does there.

    Attributes:
        waiting: what is still to be done: a verb and the exercise.
        number: that of the process that runs; 0 if none does.
        said: the call before which it stands.
        saved: how many times it has replaced the progress file.
    """

    waiting: list[tuple[str, str]]
    number: int = 0
    said: str = ""
    saved: int = 0
    calls: int = -1
    go: int = -1
    done: tuple[str, str] = ("", "")
    out: Path = Path()


@dataclass
class Run:
    """One interleaving.

    Attributes:
        one: the learner.
        random: where its choices come from.
        known: what the progress should be.
        found: what is wrong.
        steps: how many calls were made.
    """

    one: Learner
    random: random.Random
    known: Known = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    steps: int = 0
    texts: int = 0

    def path(self, slug: str) -> Path:
        """Return the file of an exercise."""
        return self.one.work / exercise(slug).filename

    def begin(self, terminal: Terminal) -> None:
        """Start what is next in a terminal; what an editor does is done at once."""
        verb, slug = terminal.done = terminal.waiting.pop(0)
        if verb.startswith("save"):
            self.save(verb, slug)
            return
        arguments = {"check": [str(self.path(slug))], "list": [], "watch": ["."]}.get(verb, [slug])
        calls, told = os.pipe()
        heard, go = os.pipe()
        terminal.out = self.one.home / f"told-{self.steps}"

        def before(said: str) -> None:
            os.write(told, said.encode("utf-8", "backslashreplace"))
            os.read(heard, 1)

        wait, time.sleep = time.sleep, lambda seconds: None  # whoever waits for a lock asks again at once
        terminal.number = started(["practice", verb, *arguments], terminal.out, lambda: listen(before))
        time.sleep = wait
        os.close(told)
        os.close(heard)
        terminal.calls, terminal.go, terminal.saved = calls, go, 0
        self.hear(terminal)

    def hear(self, terminal: Terminal) -> None:
        """Wait until a terminal stands before a call, or its process has ended."""
        if said := os.read(terminal.calls, 10_000):
            terminal.said = said.decode()
            return
        status = os.waitpid(terminal.number, 0)[1]
        os.close(terminal.calls)
        os.close(terminal.go)
        terminal.number = 0
        self.judge_end(terminal, os.waitstatus_to_exitcode(status), terminal.out.read_text("utf-8"))

    def step(self, terminal: Terminal) -> None:
        """Let a terminal make its call, and look at what has come of it."""
        self.steps += 1
        before = self.one.texts()
        said = terminal.said or "save"
        if terminal.number:
            os.write(terminal.go, b"x")
            saves = said.startswith("os.rename") and said.endswith(progress.default_path().name)
            self.hear(terminal)
            if saves:
                terminal.saved += 1
                self.change(*terminal.done)
        else:
            said = ""
            self.begin(terminal)
        self.judge(terminal, said, before)

    def change(self, verb: str, slug: str) -> None:
        """Do to what should be known what a verb has done to it."""
        if verb == "watch":
            self.watched()
            return
        known = progress.Progress(self.known)
        entry = known.of(slug)
        if verb == "start":
            known.begin(slug, str(self.path(slug)))
        elif verb == "check":
            entry.passed, entry.file = True, str(self.path(slug))
        elif verb == "reset":
            entry.passed, entry.hints = False, 0
        elif verb == "hint":
            entry.hints = min(entry.hints + 1, len(exercise(slug).hints))

    def watched(self) -> None:
        """Take what `watch` has changed: it begins exercises and lets them pass, and nothing else."""
        now = progress.load().entries
        for slug, entry in self.known.items():
            other = now.get(slug, Entry())
            if entry.hints != other.hints or entry.passed > other.passed:
                self.found.append(f"watch has changed {slug} from {entry} to {other}")
        self.known = copy.deepcopy(now)

    def judge(self, terminal: Terminal, said: str, before: set[str]) -> None:
        """Note what is wrong after a call."""
        try:
            now = progress.load()
        except RefusedError as error:
            self.found.append(f"after {said}: {error}")
            return
        if now.notice or list(now.entries.items()) != list(self.known.items()):
            self.found.append(f"after {said} of {terminal.done}: {now}, and not {self.known}")
            self.known = copy.deepcopy(now.entries)
        edits = any(part in f"{said} {terminal.done[0]}" for part in EDITOR)
        if (lost := before - self.one.texts()) and not edits:
            self.found.append(f"after {said} of {terminal.done}: {lost} is lost")

    def judge_end(self, terminal: Terminal, code: int, told: str) -> None:
        """Note what is wrong at the end of a process."""
        if code not in {0, 1, 2} or re.search("Traceback|Exception ignored|Another nnx-state|saved. ", told):
            self.found.append(f"{terminal.done} ended with {code}: {told}")
        if not told.strip():
            self.found.append(f"{terminal.done} told nothing")
        if terminal.done[0] == "check" and "**Passed.**" in told and terminal.saved != 1:
            self.found.append(f"{terminal.done} passed and was saved {terminal.saved} times")

    def save(self, verb: str, slug: str) -> None:
        """Save a new text as an editor does: beside the file and then in its place, or into it."""
        self.texts += 1
        text = f"{self.random.choice([acting.RIGHT, acting.WRONG])}# number {self.texts}\n"
        path = self.path(slug)
        if verb == "save in place":
            path.write_text(text, "utf-8")
        else:
            new = path.with_name(f".{path.name}.editor")
            new.write_text(text, "utf-8")
            new.replace(path)


def interleaved(seed: str) -> Run:
    """Run two terminals once; what is chosen follows from the seed alone."""
    chance = random.Random(seed)
    with learner("new") as one:
        run = Run(one, chance)
        slugs = chance.sample(SLUGS, chance.choice([1, 1, 2]))
        for slug in slugs:
            run.save("save", slug)
        terminals = [Terminal([(chance.choice(VERBS), chance.choice(slugs)) for _ in range(CALLS)]) for _ in range(2)]
        while ready := [terminal for terminal in terminals if terminal.number or terminal.waiting]:
            run.step(chance.choice(ready))
        run.found += one.complaints("new")
        return run


def main(seed: int, count: int) -> int:
    """Run so many interleavings, and print what is wrong; return how much that is."""
    wrong = steps = 0
    for number in range(count):
        run = interleaved(f"{seed}-{number}")
        steps += run.steps
        wrong += len(run.found)
        for complaint in run.found:
            print(f"interleaving {seed}-{number}: {complaint}", flush=True)
    print(f"interleavings: {count}, with {steps} calls that took turns; {wrong} findings")
    return wrong
