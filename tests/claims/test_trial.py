"""Claims on trial: what a change of a check is, what survives, and that every claim can come out the other way."""

import inspect
import sys

import pytest

from nnx_state.claims import registry
from nnx_state.claims.registry import CRASHED, DIFFERS, HOLDS, NOT_APPLICABLE, Claim, Verdict, claims, differs, expect
from workshop.mutation import trial
from workshop.mutation.stand_ins import STAND_INS
from workshop.mutation.stand_ins import registry as stand_ins
from workshop.mutation.trial import INVERTED, TAKEN_OUT, put_on_trial

# One of each kind: what is written back, what is lost, what raises, what warns, what has a keyword, what differs.
SAMPLE = [
    "grad-keeps-a-count",
    "jax-jit-loses-a-variable",
    "reference-survives-jax-jit",
    "split-leaves-nothing-over",
    "sow-alone-warns",
    "masked-freezes",
]


def add(store):
    store["count"] += 1
    return store


def strong():
    store = {"count": 0}
    before = dict(store)
    add(store)
    expect((before["count"], store["count"]), (0, 1))


def weak():
    store = {"count": 0}
    seen = dict(store)
    add(store)
    expect(seen["count"], 0)


def refuting():
    store = add({"count": 0})
    if store["count"] == 1:
        differs("it is counted")


def raising():
    try:
        int("x")
    except ValueError:
        return
    differs("nothing is raised")


def keyword():
    expect(sorted([1, 2], reverse=True), [2, 1])


def fake(check, statement="A claim."):
    lines, first = inspect.getsourcelines(check)
    return Claim(check.__name__, "test_trial", statement, "", "ours", (), check, (first, first + len(lines) - 1))


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The claims of this file, with its checks, stand-ins that are none, and no reasons."""
    found = claims() | {check.__name__: fake(check) for check in (strong, weak, refuting, raising)}
    found["keyword"] = fake(keyword, "`sorted(x, reverse=True)` sorts backwards.")
    monkeypatch.setattr(trial, "claims", lambda: found)
    return found


def on_trial(name, seen=()):
    return put_on_trial(name, trial.answer, trial.answer, set(seen))


def survivors(name):
    return [f"{change.kind}: {change.mutant}" for change in on_trial(name).survivors]


def test_a_claim_that_shows_the_write_has_no_survivors():
    result = on_trial("strong")
    assert (result.verdict, result.survivors) == (Verdict(HOLDS), [])
    assert result.tried == {INVERTED: 1, TAKEN_OUT: 1}


def test_a_claim_that_shows_no_write_has_a_survivor():
    assert survivors("weak") == [f"{TAKEN_OUT}: add(store)  ->  pass"]


def test_what_survives_is_asked_again_in_a_process_of_its_own():
    same = Verdict(HOLDS)
    result = put_on_trial("weak", lambda question: (same, {line + 1 for line in range(999)}), trial.answer, set())
    assert [str(change.mutant) for change in result.survivors] == ["add(store)  ->  pass"]


def test_a_claim_that_differs_is_turned_as_well():
    result = on_trial("refuting")
    assert (result.verdict, result.survivors) == (Verdict(DIFFERS, "it is counted"), [])
    assert result.tried == {INVERTED: 2, TAKEN_OUT: 1}


def test_what_does_not_run_here_is_not_tried():
    result = on_trial("raising")
    assert (result.verdict, result.survivors) == (Verdict(HOLDS), [])
    assert result.tried == {INVERTED: 1}  # `return`, and not `differs`


def test_a_keyword_of_the_statement_is_taken_out(known):
    _, ran = trial.answer(trial.Question("keyword"))
    found = [str(change.mutant) for change in trial.changes(known["keyword"], ran) if change.kind == TAKEN_OUT]
    assert found == ["sorted([1, 2], reverse=True)  ->  sorted([1, 2])"]
    assert survivors("keyword") == []


def test_an_assertion_is_inverted():
    trial.inverted(lambda: expect(1, 2))
    trial.inverted(lambda: {}["a"])
    with pytest.raises(registry.Differs, match="an inverted assertion"):
        trial.inverted(lambda: expect(1, 1))


def stand(monkeypatch, **contexts):
    monkeypatch.setattr(trial, "STAND_INS", {})
    monkeypatch.setattr(stand_ins, "STAND_INS", trial.STAND_INS)
    for name, change in contexts.items():

        def context(change=change):
            with stand_ins.instead(sys.modules[__name__], add=change):
                yield

        context.__name__ = name
        stand_ins.stand_in("strong")(context)


def test_a_stand_in_shows_that_a_claim_can_differ(monkeypatch):
    assert {HOLDS, DIFFERS} - on_trial("strong").seen == {DIFFERS}
    stand(monkeypatch, forgets=lambda store: store)
    result = on_trial("strong")
    assert (result.seen, result.wrong) == ({HOLDS, DIFFERS}, "")


@pytest.mark.parametrize(("change", "verdict"), [(add, "holds "), (lambda store: {}["a"], "crashed KeyError: 'a'")])
def test_a_stand_in_that_does_not_turn_its_claim_is_told(monkeypatch, change, verdict):
    stand(monkeypatch, useless=change)
    result = on_trial("strong")
    assert result.wrong == f"under the stand-in useless it {verdict}. "
    assert list(trial.told(result, {}))[-1] == f"strong: {result.wrong}"


def test_what_survives_is_told_unless_it_is_explained(capsys):
    result = on_trial("weak", {HOLDS, DIFFERS})
    key = ("weak", "add(store)  ->  pass")
    line = inspect.getsourcelines(weak)[1] + 3
    assert list(trial.told(result, {})) == [f"weak: survives taken out, line {line}: add(store)  ->  pass"]
    assert list(trial.told(result, {key: "a reason"})) == []
    assert [trial.summary([result], reasons) for reasons in ({}, {key: "a reason"})] == [1, 0]
    assert (
        "1 claims: 1 inversions and 1 removals, 1 survive, of which 1 are explained; 1 claims"
        in capsys.readouterr().out
    )


def test_an_explanation_of_nothing_fails(capsys):
    result = on_trial("strong", {HOLDS, DIFFERS})
    assert trial.summary([result], {("strong", "gone"): "a reason"}) == 1
    assert "no such survivor, take it out: ('strong', 'gone')" in capsys.readouterr().out


def test_a_claim_that_breaks_off_fails(capsys):
    result = trial.Result("broken", Verdict(CRASHED, "KeyError: 'a'"), trial.Counter(), [], {HOLDS, DIFFERS})
    assert list(trial.told(result, {})) == ["broken: its check broke off, KeyError: 'a'"]
    assert trial.summary([result], {}) == 1


def test_a_claim_of_other_releases_is_counted_and_does_not_fail(capsys):
    result = trial.Result("newer", Verdict(NOT_APPLICABLE, "there is no nnx.X"), trial.Counter(), [], {HOLDS})
    assert list(trial.told(result, {})) == []
    assert trial.summary([result], {}) == 0
    assert "1 are of other releases" in capsys.readouterr().out


def test_a_claim_that_was_never_seen_to_differ_fails(capsys):
    result = on_trial("strong")
    assert list(trial.told(result, {})) == [
        "strong: never seen that it differs; run `matrix` if it is new, or write a stand-in"
    ]
    assert trial.summary([result], {}) == 1


def test_an_unknown_name_is_told(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trial", "no-such-claim"])
    with pytest.raises(SystemExit):
        trial.main()
    assert "no claim or topic is named no-such-claim" in capsys.readouterr().err


def test_a_sample_of_claims_can_come_out_the_other_way(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trial", "--jobs", "1", *SAMPLE])
    assert trial.main() == 0, capsys.readouterr().out
    assert f"{len(SAMPLE)} claims were seen to hold and to differ" in capsys.readouterr().out


def test_every_claim_was_seen_to_hold_and_to_differ_or_has_a_stand_in():
    named = {name for one in STAND_INS.values() for name in one.turns}
    assert named <= set(claims())
    seen = trial.seen_on_releases()
    assert [name for name in claims() if not {HOLDS, DIFFERS} <= seen[name] and name not in named] == []


def test_every_stand_in_says_what_is_otherwise():
    for name, one in STAND_INS.items():
        assert one.turns, name
        assert one.context.__doc__.endswith("."), name


def test_every_explanation_is_of_a_claim():
    assert {name for name, _ in trial.explained()} <= set(claims())
    assert all(reason for reason in trial.explained().values())
