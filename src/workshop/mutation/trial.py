"""Tell whether claims can come out the other way: ``python noxfile.py trial``, the sister of ``drift``.

Each assertion of a claim that runs on this release is inverted, and each call that performs what the statement speaks
of is taken out: the verdict, or what is said, must turn, or the check must break off. And each claim must have been
seen to hold and to differ: on a published release, or on this one under a stand-in (`stand_ins/`), a Flax that does
otherwise. What survives is mended, or explained in ``equivalent-trials.toml``.
"""

import argparse
import ast
import builtins
import contextlib
import dataclasses
import inspect
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from nnx_state._worker import EndedError, Worker
from nnx_state.claims import published
from nnx_state.claims.registry import (
    CRASHED,
    DIFFERS,
    HOLDS,
    NOT_APPLICABLE,
    TOPICS,
    Claim,
    Differs,
    Verdict,
    claims,
    judge,
)
from workshop.mutation.mutants import Mutant, Place, replaced
from workshop.mutation.stand_ins import STAND_INS

EQUIVALENT = Path(__file__).with_name("equivalent-trials.toml")
LIMIT = 300.0  # seconds for one run, the imports of a new process included
INVERTED, TAKEN_OUT = "inverted", "taken out"
OUTCOMES = {"differs", "expect", "raises", "Differs"}  # what a function ends in that upholds or refutes
LIBRARIES = {"nnx", "jax", "optax", "ocp", "copy", "pickle", "serialization"}
WRITES = {"add", "bump", "bump_plain", "bumped", "grad", "step", "update", "write"}  # those of compat
TRANSFORMS = {"jit", "vmap", "remat", "grad", "value_and_grad", "eval_shape", "checkpoint"}  # a claim may hand one on
# Methods that look at a result, or make plain Python of it.
LOOKS = {
    "all",
    "any",
    "append",
    "get",
    "items",
    "max",
    "mean",
    "partition",
    "ravel",
    "split",
    "sum",
    "tolist",
    "values",
}


@dataclasses.dataclass(frozen=True)
class Change:
    """One change of a check.

    Attributes:
        kind: `INVERTED` or `TAKEN_OUT`.
        mutant: the topic with the change.
    """

    kind: str
    mutant: Mutant


@dataclasses.dataclass(frozen=True)
class Question:
    """What a worker is asked: to judge a claim.

    Attributes:
        name: the claim.
        source: the topic from which its check is taken; empty for that of the package.
        stand_in: the name of a stand-in; empty for the Flax that is installed.
    """

    name: str
    source: str = ""
    stand_in: str = ""


def changes(claim: Claim, lines: set[int]) -> Iterator[Change]:
    """Yield every change of a check, from top to bottom, in the lines that run on this release."""
    file = Path(inspect.getfile(claim.check))
    source = file.read_text("utf-8")
    check = _function(source, claim.check.__name__)
    for statement in check.body:
        made = {node.value for node in ast.walk(statement) if isinstance(node, ast.Expr)}  # goes with its statement
        for node in ast.walk(statement):
            if isinstance(node, (ast.stmt, ast.expr)) and lines.isdisjoint(
                range(node.lineno, (node.end_lineno or 0) + 1)
            ):
                continue
            taken_out = [] if node in made else _taken_out(node, claim)
            for kind, place, after in (*_inverted(node, claim), *taken_out):
                yield Change(kind, replaced(source, place, after))


def _inverted(node: ast.AST, claim: Claim) -> Iterator[tuple[str, Place, str]]:
    """Yield the opposite of an assertion."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="differs"))):
            yield INVERTED, node, "pass"
        case ast.Expr(value=ast.Call() as call) if _judges(call, claim):
            yield INVERTED, node, f"inverted(lambda: {ast.unparse(call)})"
        case ast.If(test=test):
            yield INVERTED, test, f"(not ({ast.unparse(test)}))"
        case ast.Return(value=None):  # what was to be raised has been raised
            yield INVERTED, node, "differs('inverted')"


def _taken_out(node: ast.AST, claim: Claim) -> Iterator[tuple[str, Place, str]]:
    """Yield what is left when a call or an assignment is not made: the input of the call, or nothing."""
    match node:
        case ast.Expr(value=ast.Call() as call) if _performs(call, claim) and not _judges(call, claim):
            yield TAKEN_OUT, node, "pass"
        case ast.AugAssign() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield TAKEN_OUT, node, "pass"
        case ast.Call() if _performs(node, claim):
            yield TAKEN_OUT, node, _input(node)
    if isinstance(node, ast.Call):
        for argument in node.args:
            if isinstance(argument, ast.Attribute) and argument.attr in TRANSFORMS:
                yield TAKEN_OUT, argument, "(lambda function: function)"
        for keyword in node.keywords:
            if keyword.arg and f"{keyword.arg}=" in claim.statement:
                others = [other for other in node.keywords if other is not keyword]
                yield TAKEN_OUT, node, ast.unparse(ast.Call(node.func, node.args, others))


def _judges(call: ast.Call, claim: Claim) -> bool:
    """Tell whether a call is an assertion."""
    return isinstance(call.func, ast.Name) and _concludes(_global(claim, call.func.id))


def _performs(call: ast.Call, claim: Claim) -> bool:
    """Tell whether a call does something, other than to build a model, to look at a result, or to judge it."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=root), attr=name) if root in LIBRARIES:
            return not name[0].isupper()
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="jax"), attr="lax" | "nn")):
            return True
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return _global(claim, root) is None and name not in LOOKS
        case ast.Name(id=name):
            known = _global(claim, name)
            own = inspect.isfunction(known) and known.__module__ == claim.check.__module__
            varies = any(not _is_constant(argument) for argument in call.args)
            return name in WRITES or (own and varies) or (known is None and not hasattr(builtins, name))
        case ast.Call():
            return True  # what a transform has returned
    return False


def _is_constant(argument: ast.expr) -> bool:
    """Tell a literal, and a dtype."""
    return isinstance(argument, ast.Constant) or ast.unparse(argument).startswith("jnp.")


def _input(call: ast.Call) -> str:
    """Return the first argument of a call as code, or None where it has none.

    Of `nnx.state` its filters are taken out first: the helpers of the claims take a module for its state.
    """
    if not call.args:
        return "None"
    first = call.args[0]
    argument = ast.unparse(first.value if isinstance(first, ast.Starred) else first)
    if ast.unparse(call.func) == "nnx.state":
        return f"nnx.state({argument})" if call.args[1:] else "None"
    return f"({argument})"


def _global(claim: Claim, name: str) -> Any:
    """Return what a name stands for in the module of a check."""
    return claim.check.__globals__.get(name)


def _concludes(function: Any) -> bool:
    """Tell whether a function of the claims upholds or refutes, itself or in what it calls."""
    if not isinstance(function, FunctionType) or not function.__module__.startswith("nnx_state.claims."):
        return False
    if function.__name__ in OUTCOMES:
        return True
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    return not OUTCOMES.isdisjoint(function.__code__.co_names) or any(
        _concludes(other) for other in called if other is not function
    )


def _function(source: str, name: str) -> ast.FunctionDef:
    (found,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return found


def inverted(assertion: Callable[[], Any]) -> None:
    """Go on where an assertion refutes or breaks off, and refute where it does neither."""
    try:
        assertion()
    except Exception:
        return
    raise Differs("an inverted assertion")


def answer(question: Question) -> tuple[Verdict, set[int]]:
    """Judge a claim in this process; return its verdict, and the lines of its topic that ran."""
    claim = claims()[question.name]
    file, ran = inspect.getfile(claim.check), set()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != file:
            return None
        ran.add(frame.f_lineno)
        return trace

    if question.source:
        claim = dataclasses.replace(claim, check=_check(claim, question.source))
    context = STAND_INS[question.stand_in].context() if question.stand_in else contextlib.nullcontext()
    if not (question.source or question.stand_in):
        sys.settrace(trace)
    try:
        with context:
            return judge(claim.run), ran
    finally:
        sys.settrace(None)


def _check(claim: Claim, source: str) -> Callable[[], None]:
    """Return the check of a claim as it stands in a changed topic."""
    node = _function(source, claim.check.__name__)
    node.decorator_list = []
    names = claim.check.__globals__ | {"inverted": inverted}
    exec(compile(ast.Module([node], []), inspect.getfile(claim.check), "exec"), names)
    check: Callable[[], None] = names[node.name]
    return check


Asking = Callable[[Question], tuple[Verdict, set[int]]]


class Asker:
    """Asks a worker that is started once, and again where a change ended it."""

    def __init__(self) -> None:
        self._worker = Worker(answer)

    def __call__(self, question: Question) -> tuple[Verdict, set[int]]:
        """Return the verdict on a claim, and the lines that ran."""
        try:
            found: tuple[Verdict, set[int]] = self._worker.ask(question, LIMIT)
        except EndedError as ended:
            how = "it did not end" if ended.code is None else f"exit code {ended.code}"
            return Verdict(CRASHED, how), set()
        return found

    def close(self) -> None:
        """End the worker; the next question starts another, in which nothing has run."""
        self._worker.close()


@dataclasses.dataclass
class Result:
    """What a trial of one claim has found.

    Attributes:
        name: the claim.
        verdict: that on this release.
        tried: how many changes of each kind there are.
        survivors: those that change nothing, each with its kind.
        seen: which verdicts have been seen: `holds`, `differs`.
        wrong: what is wrong with its stand-in, if it has one.
    """

    name: str
    verdict: Verdict
    tried: Counter[str]
    survivors: list[Change]
    seen: set[str]
    wrong: str = ""

    @property
    def missing(self) -> set[str]:
        """The verdicts that have not been seen, where this release has what the statement speaks of."""
        return set() if self.verdict.verdict == NOT_APPLICABLE else {HOLDS, DIFFERS} - self.seen


def put_on_trial(name: str, ask: Asking, afresh: Asking, seen: set[str]) -> Result:
    """Try every change of one claim, and its stand-in.

    Args:
        name: the claim.
        ask: what judges, one question after another in one process.
        afresh: what judges in a process of its own: what survives may owe it to what ran before.
        seen: the verdicts of the published releases.
    """
    claim = claims()[name]
    verdict, ran = ask(Question(name))
    result = Result(name, verdict, Counter(), [], seen | {verdict.verdict})
    if verdict.verdict not in (HOLDS, DIFFERS):
        return result
    for change in changes(claim, ran):
        result.tried[change.kind] += 1
        question = Question(name, change.mutant.source)
        if ask(question)[0] == verdict and afresh(question)[0] == verdict:
            result.survivors.append(change)
    for stand_in in [key for key, one in STAND_INS.items() if name in one.turns]:
        turned, _ = ask(Question(name, stand_in=stand_in))
        if {verdict.verdict, turned.verdict} == {HOLDS, DIFFERS}:
            result.seen.add(turned.verdict)
        else:
            result.wrong += f"under the stand-in {stand_in} it {turned.verdict} {turned.said}. "
    return result


def explained() -> dict[tuple[str, str], str]:
    """Return the reason why a change that survives changes nothing, by claim and change."""
    entries = tomllib.loads(EQUIVALENT.read_text("utf-8")).get("change", [])
    return {(entry["claim"], entry["change"]): entry["reason"] for entry in entries}


def seen_on_releases() -> dict[str, set[str]]:
    """Return which verdicts each claim has on the published releases."""
    _, columns = published.load()
    found: dict[str, set[str]] = {name: set() for name in claims()}
    for column in columns.values():
        for name in found.keys() & column.verdicts.keys():
            found[name].add(column.verdicts[name].verdict)
    return found


def main() -> int:
    """Put the claims that are named, those of topics, or all, on trial, and print what survives."""
    known = claims()
    parser = argparse.ArgumentParser(prog="python noxfile.py trial --", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="claims or topics; all of them by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many claims at a time")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known) - set(TOPICS):
        parser.error(f"no claim or topic is named {', '.join(sorted(unknown))}.")
    wanted = set(arguments.names)
    chosen = [name for name, claim in known.items() if not wanted or {name, claim.topic} & wanted]
    reasons = {key: reason for key, reason in explained().items() if key[0] in chosen or key[0] not in known}
    seen = seen_on_releases()

    def share(names: list[str]) -> list[Result]:
        results = []
        ask = Asker()

        def afresh(question: Question) -> tuple[Verdict, set[int]]:
            ask.close()
            return ask(question)

        for name in names:
            results.append(put_on_trial(name, ask, afresh, seen[name]))
            for line in told(results[-1], reasons):
                print(line, flush=True)
        ask.close()
        return results

    shares = [chosen[number :: arguments.jobs] for number in range(arguments.jobs)]

    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = [result for part in pool.map(share, shares) for result in part]
    return summary(results, reasons)


def told(result: Result, reasons: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield what a reader has to know of one claim: what survives without a reason, and what it has never done."""
    for change in result.survivors:
        if (result.name, str(change.mutant)) not in reasons:
            yield f"{result.name}: survives {change.kind}, line {change.mutant.line}: {change.mutant}"
    if result.verdict.verdict == CRASHED:
        yield f"{result.name}: its check broke off, {result.verdict.said}"
    for verdict in result.missing:
        yield f"{result.name}: never seen that it {verdict}; run `matrix` if it is new, or write a stand-in"
    if result.wrong:
        yield f"{result.name}: {result.wrong}"


def summary(results: list[Result], reasons: dict[tuple[str, str], str]) -> int:
    """Print the figures of a trial, and return 0 where nothing is left to do."""
    tried = sum((result.tried for result in results), Counter[str]())
    survivors = [(result.name, str(change.mutant)) for result in results for change in result.survivors]
    stale = sorted(reasons.keys() - set(survivors))
    for key in stale:
        print(f"{EQUIVALENT.name}: no such survivor, take it out: {key}")
    left = [key for key in survivors if key not in reasons]
    both = sum({HOLDS, DIFFERS} <= result.seen for result in results)
    elsewhere = sum(result.verdict.verdict == NOT_APPLICABLE for result in results)
    print(
        f"{len(results)} claims: {tried[INVERTED]} inversions and {tried[TAKEN_OUT]} removals, "
        f"{len(survivors)} survive, of which {len(survivors) - len(left)} are explained; "
        f"{both} claims were seen to hold and to differ, {elsewhere} are of other releases"
    )
    broken = [result for result in results if result.verdict.verdict == CRASHED or result.wrong or result.missing]
    return int(bool(left or stale or broken))


if __name__ == "__main__":
    sys.exit(main())
