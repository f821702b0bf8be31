"""Layers of Flax: which state they make beside their Params, and when it changes."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import grad, layers, leaves, names, numbers, optimizer, read, under, update
from nnx_state.claims.registry import claim, differs, expect, raises, works

GUIDE = "a guide of Flax"


class Network(nnx.Module):
    """A Linear, a BatchNorm and a Dropout."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        parts = nnx.Linear(3, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
        self.parts = layers(*parts)


def norm(**options: Any) -> Any:
    return nnx.BatchNorm(3, rngs=nnx.Rngs(0), **options)


def batch() -> Any:
    return 5.0 + jnp.arange(12.0).reshape(4, 3) ** 2


def attention() -> Any:
    """Return an attention layer with room for three tokens."""
    layer = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=True, rngs=nnx.Rngs(0))
    layer.init_cache((1, 3, 8))
    return layer


def changed(model: Any, before: dict[str, Any]) -> list[str]:
    after = numbers(model)
    return sorted(path for path in before if before[path] != after[path])


@claim(
    "batch-norm-has-two-types",
    "In `nnx.BatchNorm` the scale and the bias are Params, the mean and the variance are BatchStats.",
    "lessons/batch-stats.md#see",
    GUIDE,
)
def batch_norm_has_two_types() -> None:
    found = [names(nnx.state(norm(), kind)) for kind in (nnx.Param, nnx.BatchStat)]
    expect(found, [["bias", "scale"], ["mean", "var"]])


@claim(
    "batch-stats-move-in-training",
    "A forward pass of `nnx.BatchNorm` in training mode changes its BatchStats, and one after `eval()` does not.",
    "lessons/batch-stats.md#see",
    GUIDE,
)
def batch_stats_move_in_training() -> None:
    seen = []
    for mode in ("train", "eval"):
        layer = norm()
        getattr(layer, mode)()
        before = numbers(layer)
        layer(batch())
        seen.append(changed(layer, before))
    expect(seen, [["mean", "var"], []])


@claim(
    "optimizer-leaves-batch-stats",
    "The optimizer changes the scale and the bias of `nnx.BatchNorm`, and not its BatchStats.",
    "lessons/batch-stats.md#see",
)
def optimizer_leaves_batch_stats() -> None:
    layer = norm()
    trained = optimizer(layer, optax.adamw(0.1, weight_decay=0.1))
    grads = grad(lambda layer: jnp.sum(layer(batch()) ** 3), layer)
    before = numbers(layer)
    update(trained, layer, grads)
    expect(changed(layer, before), ["bias", "scale"])


@claim(
    "momentum-is-what-stays",
    "The `momentum` of `nnx.BatchNorm` is the share of the new batch in the average, as in PyTorch.",
    "lessons/batch-stats.md#momentum-and-variance-of-pytorch",
)
def momentum_is_what_stays() -> None:
    layer = norm(momentum=0.9)
    layer(batch())
    share = float(read(layer.mean)[0] / batch()[:, 0].mean())
    if round(share, 3) != 0.9:
        differs(f"with a momentum of 0.9 the share of the batch is {share:.2f}")


@claim(
    "running-variance-is-biased",
    "The running variance of `nnx.BatchNorm` is that of the batch divided by `n - 1`, as in PyTorch.",
    "lessons/batch-stats.md#momentum-and-variance-of-pytorch",
)
def running_variance_is_biased() -> None:
    layer = norm(momentum=0.0)
    layer(batch())
    unbiased = float(batch()[:, 0].var(ddof=1))
    share = float(read(layer.var)[0]) / unbiased
    if round(share, 2) != 1.0:
        differs(f"for a batch of 4 it is {share:.2f} of that: the sum is divided by `n`")


@claim(
    "eval-in-jit-leaks",
    "`model.eval()` inside `nnx.jit` stays inside: the caller's model goes on in training mode.",
    "lessons/batch-stats.md#eval-inside-nnxjit",
)
def eval_in_jit_leaks() -> None:
    layer = norm()
    under(nnx.jit, lambda layer: layer.eval())(layer)
    if layer.use_running_average:
        differs("the caller's model is in evaluation mode afterwards")


@claim(
    "modes-set-attributes-alone",
    "`train()` and `eval()` set attributes where a layer has them, and change no Variable.",
    "lessons/batch-stats.md#see",
    GUIDE,
)
def modes_set_attributes_alone() -> None:
    model: Any = Network()
    linear, norm_, dropout = model.parts
    before = {path: read(leaf) for path, leaf in leaves(model).items()}
    model.eval()
    expect([norm_.use_running_average, dropout.deterministic, hasattr(linear, "deterministic")], [True, True, False])
    model.train()
    expect([norm_.use_running_average, dropout.deterministic], [False, False])
    expect([path for path, leaf in leaves(model).items() if read(leaf) is not before.get(path)], [])


@claim(
    "view-shares-variables",
    "`nnx.view(model, use_running_average=True)` has switches of its own and the same Variables as the model.",
    "lessons/batch-stats.md#see",
    GUIDE,
)
def view_shares_variables() -> None:
    layer = norm()
    view = nnx.view(layer, use_running_average=True)
    expect([view.use_running_average, layer.use_running_average, view.mean is layer.mean], [True, False, True])


@claim(
    "init-cache-makes-caches",
    "`init_cache` of `nnx.MultiHeadAttention` makes three `nnx.Cache` Variables, an integer index among them.",
    "lessons/caches.md#see",
)
def init_cache_makes_caches() -> None:
    found = nnx.state(attention(), nnx.Cache)
    expect(names(found), ["cache_index", "cached_key", "cached_value"])
    expect(str(read(leaves(found)["cache_index"]).dtype), "int32")


@claim(
    "decode-needs-init-cache",
    "With `decode=True` alone there is no cache: to call the layer before `init_cache` raises a ValueError.",
    "lessons/caches.md#there-is-no-cache-or-no-room",
)
def decode_needs_init_cache() -> None:
    layer = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=True, rngs=nnx.Rngs(0))
    raises(
        lambda: layer(jnp.ones((1, 1, 8))),
        ValueError,
        "Autoregressive cache not initialized, call ``init_cache`` first",
    )


@claim(
    "grad-passes-by-the-cache",
    "`nnx.grad` of an attention layer works although its cache holds an integer index.",
    "lessons/caches.md#a-gradient-meets-the-index",
)
def grad_passes_by_the_cache() -> None:
    grads = works(lambda: grad(lambda layer: layer(jnp.ones((1, 1, 8))).sum(), attention()))
    expect(sorted({path.split(".")[-1] for path in names(grads)}), ["bias", "kernel"])
    expect(any(bool(jnp.any(read(leaf))) for leaf in leaves(grads).values()), True)


@claim(
    "full-cache-raises",
    "A token past the end of the cache of `nnx.MultiHeadAttention` raises an error.",
    "lessons/caches.md#the-cache-is-full",
)
def full_cache_raises() -> None:
    layer = attention()
    tokens = jax.random.normal(jax.random.key(0), (1, 4, 8))
    for position in range(3):
        layer(tokens[:, position : position + 1])
    third = read(layer.cached_key)[0, 2].tolist()
    try:
        layer(tokens[:, 3:])
    except (IndexError, ValueError):
        return
    kept = read(layer.cached_key)[0, 2].tolist() == third
    differs(f"nothing is raised, and the last token of the cache {'stays' if kept else 'is overwritten'}")
