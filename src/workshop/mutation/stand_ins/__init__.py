"""Stand-ins: small changes of the Flax that is installed, under each of which some claims must turn.

Each is a context in which one thing is otherwise, together with the names of the claims that must turn in it.
"""

import importlib

from workshop.mutation.stand_ins.registry import STAND_INS

__all__ = ["STAND_INS"]

for _subject in (
    "writes",
    "tree_mode",
    "references",
    "donation",
    "gradients",
    "transformations",
    "states",
    "arrays",
    "static_values",
    "layers",
    "metrics",
    "sequences",
    "mapping",
    "messages",
    "files",
):
    importlib.import_module(f"workshop.mutation.stand_ins.{_subject}")
