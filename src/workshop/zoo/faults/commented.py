"""The fault of `unused-ignore`: in a file of its own, since a comment is reported for each model that has the file."""

from typing import Any


def commented(base: Any) -> type:
    """Return a subclass with a comment that leaves nothing out."""

    class Commented(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_size = 3  # nnx-state: ignore[integer-param] because it was a Param once

    return Commented
