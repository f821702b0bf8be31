"""Adam, computed by NumPy: what an optimizer should have made of known numbers."""

from collections.abc import Callable, Iterator

import numpy as np

Arrays = list[np.ndarray]


def adam(
    params: Arrays, slopes: Callable[[Arrays], Arrays], rate: float, weight_decay: float = 0.0
) -> Iterator[Arrays]:
    """Yield the params after each step of AdamW, without end; without weight decay that is Adam.

    The formulas are those of Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1, and of
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, with the defaults of Optax.

    Args:
        params: the numbers to begin with.
        slopes: returns the gradient of the loss by each of the params.
        rate: the learning rate.
        weight_decay: the share of a param that is taken off, times the learning rate.
    """
    first, second = ([np.zeros_like(param) for param in params] for _ in range(2))
    step = 0
    while True:
        step += 1
        grads = slopes(params)
        first = [0.9 * moment + 0.1 * grad for moment, grad in zip(first, grads, strict=True)]
        second = [0.999 * moment + 0.001 * grad**2 for moment, grad in zip(second, grads, strict=True)]
        moved = []
        for param, mean, square in zip(params, first, second, strict=True):
            scaled = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            moved.append(param - rate * (scaled + weight_decay * param))
        params = moved
        yield params
