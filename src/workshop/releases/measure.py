"""Measure claims on the Flax of this Python, one line of JSON each.

Its command is ``python -m workshop.releases.measure JOBS NAME …``.

The first line says where. The matrix runs this in the environment of each release.
"""

import importlib.metadata
import json
import platform
import sys

from nnx_state.claims.running import run


def about() -> dict[str, object]:
    """Return where a measurement is made."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "versions": {name: importlib.metadata.version(name) for name in ("flax", "jax", "numpy")},
    }


if __name__ == "__main__":
    print(json.dumps(about()), flush=True)
    for name, verdict in run(sys.argv[2:], int(sys.argv[1])):
        print(json.dumps([name, verdict.verdict, verdict.said]), flush=True)
