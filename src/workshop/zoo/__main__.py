"""Hold the audit against modules of public packages: ``python noxfile.py zoo``.

Each module of `models.toml` is built and audited, and each finding is held against `verdicts.toml`; one without a
verdict is a failure. With ``-- --seed`` the fault of each rule is put into each module where it fits.
What comes of all packages is kept in `results.jsonl`, from which `docs/audit/index.md` has its figures.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from workshop import interpreters
from workshop.environments import InstallError, installed, uv
from workshop.zoo import results

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "zoo"
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
SETTINGS = {  # each module is small and new, so that nearly all time is taken by the compiler
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    "JAX_COMPILATION_CACHE_DIR": str(CACHE / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
# What the modules need of what their packages ask for, some of which is PyTorch, TensorFlow or CUDA.
NEEDED = """
canvit-core
chex
diffrax
einops
filelock
flax
grain
healpy
huggingface-hub
jax
jax-autovmap
jaxtyping
lazy-loader
nir
optax
orbax-checkpoint
pillow
platformdirs
psutil
requests
safetensors
"""


def main() -> int:
    """Try the audit on the packages that are named, or on all, and say what is not as it is written down."""
    parser = argparse.ArgumentParser(prog="python noxfile.py zoo --", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=", ".join(results.packages()))
    parser.add_argument("--seed", action="store_true", help="put the fault of each rule into each module")
    parser.add_argument("--lock", action="store_true", help="take the newest releases, and write them down")
    parser.add_argument("--figures", action="store_true", help="run nothing: print what the page says of the results")
    arguments = parser.parse_args()
    if arguments.figures:
        print(results.section())
        return 0
    try:
        if arguments.lock:
            lock()
        python = environment()
    except InstallError as error:
        sys.exit(str(error))
    names = arguments.packages or list(results.packages())
    results.keep(_tried(python, names, ["--seed"] if arguments.seed else []))
    complaints = results.unjudged() + (results.unseen() if arguments.seed else [])
    print("\n".join(complaints) or "All is as it is written down.")
    return int(bool(complaints))


def environment() -> str:
    """Return the Python of the environment that has the packages."""
    version, base = interpreters.newest()
    return installed(CACHE / "environment", CONSTRAINTS, base, version)


def lock() -> None:
    """Write the constraints: the packages without what they ask for, and what their modules need."""
    settings = ["--universal", "--python-version", "3.12", "--generate-hashes"]
    plain = ["--no-emit-index-url", "--no-header", "--no-annotate"]
    parts = [
        uv("pip", "compile", "-", "--no-deps", *settings, *plain, text="\n".join(results.packages())),
        uv("pip", "compile", "-", *settings, *plain, text=NEEDED),
    ]
    CONSTRAINTS.write_text("".join(parts), "utf-8", newline="\n")


def _tried(python: str, names: list[str], options: list[str]) -> list[dict[str, Any]]:
    """Return what is told of each module; all packages are tried in one process, since to import JAX takes long."""
    command = [python, "-m", "workshop.zoo.trying", *options, *names]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src")} | SETTINGS
    told = []
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            one = json.loads(line)
            told.append(one)
            print(f"\r{one['package']} {one['module']}", end="\x1b[K", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if process.returncode:
        sys.exit("The audit failed, see above.")
    return told


if __name__ == "__main__":
    sys.exit(main())
