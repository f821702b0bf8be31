"""The comments that leave findings out, and what the audit says of those that do not."""

import linecache
from pathlib import Path

import pytest

from nnx_state.audit import audit
from nnx_state.audit.rules import RULES

SOURCE = """\
import jax.numpy as jnp
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        self.index = nnx.Param(jnp.array(1))  # nnx-state: ignore[integer-param] because it is an index
        self.both = nnx.Param(jnp.array(2))  #nnx-state:ignore[same-array,, integer-param ]because of both
        self.gone = nnx.Param(jnp.ones(3))  # nnx-state: ignore[integer-param] because it was an index
        self.bare = nnx.Param(jnp.array(4))  # nnx-state: ignore[integer-param] because
        self.typo = nnx.Param(jnp.ones(5))  # nnx-state: ignore[typo] because it is one
        self.call = nnx.Param(jnp.ones(6))  # nnx-state: ignore[written-param] because a call writes it
        self.note = nnx.Param(jnp.ones(7))  # nnx-state: ignore[same-draw] because both begin alike
"""
GONE = ("leaves nothing out.", "no comment: what it was for is gone.")
NO_REASON = ("gives no reason, so that it does nothing.", "`# nnx-state: ignore[integer-param] because …`.")
NO_RULE = ("names no rule.", "the id of a rule, or no comment.")


@pytest.fixture
def module(written):
    return written("ignoring", SOURCE)


def told(model, **arguments):
    found = audit(model, **arguments).findings
    return [(one.place.line, one.rule, one.path, one.what, one.write) for one in found if one.rule == "unused-ignore"]


def fault(line, rule, said):
    what, write = said
    return (line, "unused-ignore", "", f"`ignore[{rule}]` {what}", write)


def test_a_comment_with_its_reason_leaves_a_finding_out_and_the_others_are_told(module):
    faults = [
        fault(8, "same-array", GONE),
        fault(9, "integer-param", GONE),
        fault(10, "integer-param", NO_REASON),
        fault(11, "typo", NO_RULE),
    ]
    assert told(module.Net()) == faults
    left = [(one.rule, one.path, one.severity) for one in audit(module.Net()).findings]
    assert left == [
        ("unused-ignore", "", "warning"),
        ("unused-ignore", "", "warning"),
        ("unused-ignore", "", "warning"),
        ("integer-param", "bare", "error"),
        ("unused-ignore", "", "warning"),
    ]
    assert told(module.Net(), select=RULES) == [*faults, fault(13, "same-draw", GONE)]


def test_the_comment_of_a_rule_about_calls_is_judged_where_something_was_called(module):
    module.Net.__call__ = lambda model: model.call[...]
    assert fault(12, "written-param", GONE) not in told(module.Net())
    assert fault(12, "written-param", GONE) in told(module.Net(), inputs=())


def test_comments_are_judged_where_their_rule_was_asked(module):
    assert told(module.Net(), select=["integer-param"]) == []
    assert told(module.Net(), select=["unused-ignore"]) == [
        fault(10, "integer-param", NO_REASON),
        fault(11, "typo", NO_RULE),
    ]


def test_a_file_that_is_no_python_any_more_has_no_comments(module):
    assert told(module.Net())
    for broken in ("'''", "def f():\n        a\n    b\n"):
        Path(module.__file__).write_text(SOURCE + broken)
        linecache.checkcache()
        assert told(module.Net()) == []
