"""Every claim: how it is registered, what it says, and that the published verdicts are those of a run."""

import os
import re
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest
from flax import nnx

from nnx_state.claims import published, registry
from nnx_state.claims.compat import VERSION
from nnx_state.claims.registry import (
    CRASHED,
    DIFFERS,
    HOLDS,
    NOT_APPLICABLE,
    SEED,
    TOPICS,
    Differs,
    NotApplicable,
    Verdict,
    claim,
    claims,
    expect,
    judge,
    named,
    need,
    need_keyword,
    raises,
    warns,
    works,
)
from nnx_state.claims.retired import RETIRED
from nnx_state.claims.running import Worker, run

DOCS = Path(__file__).parents[2] / "docs"
CLAIMS = list(claims().values())
RELEASE = ".".join(map(str, VERSION))
CITED = re.compile(r"claims/[\w-]+\.md#([a-z][\w-]+)")


def test_there_are_many_claims():
    assert len(CLAIMS) >= 150
    assert len([claim for claim in CLAIMS if claim.source == SEED]) >= 12
    assert {claim.topic for claim in CLAIMS} == set(TOPICS)
    files = {path.stem for path in registry.source_files()}
    others = {"__init__", "published", "retired", "running", "verbs"}
    assert {path.stem for path in Path(registry.__file__).parent.glob("*.py")} == files | others


def test_claims_stand_in_the_order_of_their_topics_however_these_were_imported(monkeypatch):
    monkeypatch.setattr(registry, "_CLAIMS", dict(sorted(claims().items(), key=lambda item: item[1].topic)))
    assert list(dict.fromkeys(claim.topic for claim in claims().values())) == list(TOPICS)


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.name)
def test_a_claim_is_one_plain_sentence_with_a_lesson(one):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name)
    assert one.statement.endswith(".")
    assert len(one.statement) <= 200
    assert not re.search(r"\b0\.\d+\.\d+\b", one.statement), "a statement speaks of no release"
    page = one.lesson.partition("#")[0].replace("pitfalls.md", "pitfalls/index.md")  # which leads to each entry
    assert (DOCS / page).exists()  # the strict build checks its heading


def test_statements_differ():
    assert len({one.statement for one in CLAIMS}) == len(CLAIMS)


def test_the_published_verdicts_are_of_these_claims():
    hashed, columns = published.load()
    assert hashed == published.sources(), "What to do: python noxfile.py matrix"
    for name, column in columns.items():
        if not column.failed:
            assert set(column.verdicts) == set(claims()), name
            assert column.versions["flax"] == name.partition(" ")[0]
    assert list(columns) == sorted(columns, key=published.version)
    assert published.FILE.read_text("utf-8") == published.dump(columns, hashed)


def test_a_run_gives_the_published_verdicts():
    _, columns = published.load()
    measured = dict(run(list(claims())))
    differences = published.compare(measured, columns[RELEASE].verdicts, claims())
    assert not differences, "\n".join(differences)


def test_no_cell_is_an_accident_of_its_check():
    _, columns = published.load()
    for release, column in columns.items():
        for name, verdict in column.verdicts.items():
            assert verdict.verdict in (HOLDS, DIFFERS, NOT_APPLICABLE), (release, name, verdict)
            assert bool(verdict.said) == (verdict.verdict != HOLDS)
            for accident in (" at 0x", "module 'flax", "NameError"):
                assert accident not in verdict.said, (release, name, verdict)


def test_a_page_cites_claims_that_hold():
    _, columns = published.load()
    pages = {page: set(CITED.findall(page.read_text("utf-8"))) - set(TOPICS) for page in DOCS.rglob("*.md")}
    everywhere = set().union(*pages.values())
    assert len(everywhere) >= 15
    assert everywhere - set(claims()) == set()
    # An entry of the pitfalls cites what its error or symptom is about, which may be that a claim differs.
    cited = {name for page, names in pages.items() if page.parent.name != "pitfalls" for name in names}
    assert {name: columns[RELEASE].verdicts[name].said for name in cited} == dict.fromkeys(cited, "")


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (lambda: None, Verdict(HOLDS)),
        (lambda: expect([1], [1]), Verdict(HOLDS)),
        (lambda: expect([1], [2]), Verdict(DIFFERS, "[1], not [2]")),
        (lambda: raises(lambda: int("x"), ValueError, "invalid literal"), Verdict(HOLDS)),
        (lambda: raises(lambda: 3, ValueError), Verdict(DIFFERS, "nothing is raised, the result is a int")),
        (lambda: raises(lambda: [][0], ValueError), Verdict(DIFFERS, "IndexError: list index out of range")),
        (
            lambda: raises(lambda: [][0], IndexError, "no such text"),
            Verdict(DIFFERS, "IndexError: list index out of range"),
        ),
        (lambda: need(registry, "claim"), Verdict(HOLDS)),
        (lambda: need(registry, "view"), Verdict(NOT_APPLICABLE, "there is no nnx_state.claims.registry.view")),
        (lambda: raises(lambda: int("x"), (KeyError, ValueError), ("no such text", "invalid")), Verdict(HOLDS)),
        (lambda: raises(lambda: expect(1, 2), Exception), Verdict(DIFFERS, "1, not 2")),
        (lambda: works(lambda: 3), Verdict(HOLDS)),
        (lambda: works(lambda: {}["a"]), Verdict(DIFFERS, "KeyError: 'a'")),
        (
            lambda: works(lambda: need(registry, "view")),
            Verdict(NOT_APPLICABLE, f"there is no {registry.__name__}.view"),
        ),
        (lambda: warns(deprecated, DeprecationWarning, "it is old"), Verdict(HOLDS)),
        (
            lambda: warns(deprecated, DeprecationWarning, "it is new"),
            Verdict(DIFFERS, "the warning is another, DeprecationWarning: it is old"),
        ),
        (
            lambda: warns(deprecated, UserWarning, "it is old"),
            Verdict(DIFFERS, "the warning is another, DeprecationWarning: it is old"),
        ),
        (lambda: warns(dict, UserWarning, "old"), Verdict(DIFFERS, "there is no warning")),
        (lambda: need_keyword(nnx.split, "filters"), Verdict(HOLDS)),
        (lambda: need_keyword(nnx.split, "copy"), Verdict(NOT_APPLICABLE, "nnx.split takes no copy=")),
        (lambda: {}["a"], Verdict(CRASHED, "KeyError: 'a'")),
    ],
)
def test_a_check_has_one_verdict(check, verdict):
    assert judge(check) == verdict


def register(monkeypatch, check, statement="A claim.", **options):
    monkeypatch.setattr(registry, "_CLAIMS", {})
    claim("a-claim", statement, "lessons/homes.md", **options)(check)
    return registry._CLAIMS["a-claim"]


def look_up():
    return {}["a"]


def test_an_exception_says_something_of_a_claim_where_the_claim_expects_it(monkeypatch):
    assert judge(register(monkeypatch, look_up).run) == Verdict(CRASHED, "KeyError: 'a'")
    assert judge(register(monkeypatch, look_up, instead="'b'").run) == Verdict(CRASHED, "KeyError: 'a'")
    for texts in ("'a'", ("'b'", "'a'")):
        assert judge(register(monkeypatch, look_up, instead=texts).run) == Verdict(DIFFERS, "KeyError: 'a'")


def test_the_names_of_a_statement_are_read_from_its_code():
    assert named("A sentence about nnx.Param without code.") == []
    statement = "`nnx.List.append` and `nnx.grad(f, argnums=nnx.DiffState(0, nnx.Param))`, `jax.nnx.x`, and `nnx.grad`."
    assert named(statement) == ["nnx.List.append", "nnx.grad", "nnx.DiffState", "nnx.Param", "nnx.x"]


@pytest.mark.parametrize("name", ["nnx.no_such_name", "nnx.List.no_such_name"])
def test_a_claim_about_a_name_that_does_not_exist_never_holds(monkeypatch, name):
    seen = []
    one = register(monkeypatch, lambda: seen.append(1), f"`{name}(x)` does something.")
    short = name.removeprefix("nnx.")
    assert judge(one.run) == Verdict(NOT_APPLICABLE, f"there is no {name if '.' not in short else short}")
    assert seen == []


@pytest.mark.parametrize("one", [claim for claim in CLAIMS if named(claim.statement)], ids=lambda one: one.name)
def test_a_claim_asks_for_every_name_of_its_statement(monkeypatch, one):
    for name in named(one.statement):
        first = name.split(".")[1]
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patch.setattr(registry, "need_name", absent(f"nnx.{first}"))
            assert judge(one.run) == Verdict(NOT_APPLICABLE, f"there is no nnx.{first}")


def absent(missing):
    """Return what asks for a name of NNX on a release that lacks one."""

    def need_name(name):
        if ".".join(name.split(".")[:2]) == missing:
            raise NotApplicable(f"there is no {missing}")

    return need_name


def test_a_name_that_is_gone_never_returns_and_leads_to_another():
    known = claims()
    assert set(RETIRED).isdisjoint(known)
    assert set(RETIRED.values()) <= set(known)


def deprecated():
    warnings.warn("it is old", DeprecationWarning, stacklevel=1)


def test_a_claim_knows_its_lines(monkeypatch):
    def check():
        raise Differs("it differs")

    one = register(monkeypatch, check)
    assert one.lines[1] - one.lines[0] == 1
    assert one.topic == "test_claims"
    with pytest.raises(ValueError, match="Two claims are named 'a-claim'"):
        claim("a-claim", "Another.", "lessons/homes.md")(check)


def test_a_verdict_that_is_not_applicable_says_why():
    def check():
        raise NotApplicable("there is no nnx.view")

    assert judge(check) == Verdict(NOT_APPLICABLE, "there is no nnx.view")


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


def abort():
    os.abort()


def leave():
    os._exit(3)


def loop():
    while True:
        pass


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (abort, Verdict(CRASHED, "signal SIGABRT")),
        (leave, Verdict(CRASHED, "exit code 3")),
        (loop, Verdict(CRASHED, "it did not end within 1 s")),
    ],
)
def test_a_claim_that_ends_the_interpreter_is_recorded(worker, check, verdict):
    assert worker.judge(os.getpid) == Verdict(HOLDS)  # it is there, so that the limit is that of the check alone
    assert worker.judge(check, limit=1 if check is loop else 60) == verdict
    assert worker.judge(os.getpid) == Verdict(HOLDS)


def leave_a_thread():
    """End before a thread that writes into a temporary folder, as Orbax does where a save raises."""
    with tempfile.TemporaryDirectory() as folder:

        def write():
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                Path(folder, "deep", str(time.monotonic_ns())).mkdir(parents=True)

        thread = threading.Thread(target=write)
        thread.start()
    thread.join()


def test_a_folder_that_something_still_writes_into_is_no_verdict(worker):
    assert worker.judge(leave_a_thread) == Verdict(HOLDS)
