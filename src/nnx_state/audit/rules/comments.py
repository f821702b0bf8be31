"""The rule of the comments that leave findings out."""

from collections.abc import Iterator

from nnx_state.audit.rules.base import WARNING, Found, Model, rule

UNUSED_IGNORE = "unused-ignore"


@rule(UNUSED_IGNORE, WARNING, "a comment that leaves nothing out")
def _unused_ignore(_: Model) -> Iterator[Found]:
    return iter(())  # the report finds them, when it knows what all other rules have found
