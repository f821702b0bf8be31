"""How a layer draws its kernel: from the seed, normal, and with the scale that keeps the size of its inputs."""

import math
from collections.abc import Iterator

import numpy as np

from nnx_state.practice.findings import Finding
from nnx_state.practice.values import numbers

INPUTS, OUTPUTS = 256, 64  # so many numbers that their standard deviation is known to a few percent
FLAT = 2.1  # a fourth moment below this is uniform's 1.8; normal has 3, and normal truncated at two deviations 2.4


Kernels = tuple[np.ndarray, np.ndarray, np.ndarray]


def seeded(kernels: Kernels, line: int | None) -> Iterator[Finding]:
    """Yield what is wrong with a kernel that is to be drawn from a seed, whatever its numbers are.

    Args:
        kernels: of two layers with one seed and of a third with another.
        line: where the attempt draws it.
    """
    first, again, other = kernels
    if float(first.std()) < 1e-6:
        seen = f"every number is {numbers(first.ravel()[0])}"
        yield Finding("constant", "kernel", seen, "random numbers", line)
    elif not np.array_equal(first, again):
        yield Finding("unseeded", "kernel", "seed 0 gives two kernels", "the same kernel each time", line)
    elif np.array_equal(first, other):
        yield Finding("same-key", "kernel", "seeds 0 and 1 give one kernel", "another kernel for each seed", line)


def drawn(kernels: Kernels, line: int | None) -> Iterator[Finding]:
    """Yield the first thing that is wrong with how a kernel is drawn.

    Args:
        kernels: of two layers with one seed and of a third with another, each of shape `(INPUTS, OUTPUTS)`.
        line: where the attempt draws it.
    """
    if wrong := list(seeded(kernels, line)):
        yield from wrong
        return
    first = kernels[0]
    deviation, wanted = float(first.std()), 1 / math.sqrt(INPUTS)
    if abs(float(first.mean())) > 0.1 * deviation:
        yield Finding("off-center", "kernel", f"its mean is {first.mean():.3g}", "a mean near 0", line)
    elif float(((first / deviation) ** 4).mean()) < FLAT:
        most = float(np.abs(first).max())
        whose = ", as `nn.Linear` of PyTorch draws them" if 0.97 < most / wanted < 1.01 else ""
        seen = f"uniform numbers between {-most:.3g} and {most:.3g}{whose}"
        yield Finding("uniform", "kernel", seen, f"normal numbers of standard deviation {wanted:.3g}", line)
    elif not 0.95 < deviation / wanted < 1.05:
        size = deviation * math.sqrt(INPUTS)
        seen = f"a standard deviation of {deviation:.3g} for {INPUTS} inputs{_looks_like(deviation)}"
        expected = f"{wanted:.3g}, which is 1 / sqrt({INPUTS})"
        measured = f"For inputs of size 1 the outputs have size {size:.3g}: ten such layers multiply by {size**10:.1e}."
        yield Finding("scale", "kernel", seen, expected, line, measured)


def _looks_like(deviation: float) -> str:
    """Name the rule that gives a standard deviation, if one of the usual ones does."""
    rules = {
        "no scale at all": 1.0,
        "1 / in_features": 1 / INPUTS,
        "sqrt(in_features)": math.sqrt(INPUTS),
        "1 / sqrt(out_features)": 1 / math.sqrt(OUTPUTS),
        "He's sqrt(2 / in_features)": math.sqrt(2 / INPUTS),
        "Glorot's sqrt(2 / (in_features + out_features))": math.sqrt(2 / (INPUTS + OUTPUTS)),
        "a fixed 0.01": 0.01,
        "a fixed 0.02": 0.02,
    }
    near = [rule for rule, value in rules.items() if abs(deviation / value - 1) < 0.04]
    return f": it looks like {near[0]}" if near else ""
