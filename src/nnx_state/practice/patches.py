"""What an attempt changes in a library that it imports, or in the checks: it is told, and undone."""

import builtins
import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

WATCHED = ("jax", "jax.numpy", "flax.nnx", "optax")
OWN = "nnx_state.practice."  # the checks themselves


@contextlib.contextmanager
def undone() -> Iterator[list[tuple[str, str]]]:
    """Undo what is changed meanwhile, and add each library and name to the list that is yielded."""
    before = {(library, name): value for library in _libraries() for name, value in vars(library).items()}
    patched: list[tuple[str, str]] = []
    try:
        yield patched
    finally:
        for (library, name), value in before.items():
            if vars(library).get(name) is not value:
                setattr(library, name, value)
                if not name.startswith("_") or library.__name__.startswith(OWN):
                    patched.append((library.__name__, name))


def _libraries() -> list[ModuleType]:
    """Return what an attempt imports and should leave as it is."""
    loaded = dict(sys.modules)
    checks = [module for name, module in loaded.items() if name.startswith(OWN)]
    return [builtins, *(loaded[name] for name in WATCHED if name in loaded), *checks]
