"""Long texts that are hard for what matches tracebacks: an algorithm that tries too much takes minutes for them."""

import random

CHAIN = """Traceback (most recent call last):
  File "train.py", line 1, in <module>
{}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "train.py", line 3, in <module>
{}
"""


def hard_texts(size: int) -> dict[str, str]:
    """Return the texts by name, each of about so many characters."""
    return {
        "line ends": "\n" * size,
        "heads": "ValueError: " * (size // 12),
        "lines of heads": "Error:\n" * (size // 7),
        "names": "a." * (size // 2) + "Error:",
        "colours": "\x1b[31m" * (size // 5),
        "escapes": "\x1b[" * (size // 2),
        "spaces": f"{' ' * (size // 2)}ValueError: {' ' * (size // 2)}",
        "parts": "ValueError: at vmap out_axes " + "got axis spec None but " * (size // 23),
        "chain": CHAIN.format("KeyError: 1", "ValueError: at vmap out_axes") * (size // len(CHAIN)),
        "bytes": random.Random(0).randbytes(size).decode("utf-8", "replace"),
    }
