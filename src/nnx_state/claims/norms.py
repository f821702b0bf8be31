"""Norms: what `nnx.WeightNorm`, `nnx.SpectralNorm` and `nnx.BatchNorm` write, and in which dtype."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import copies, leaves, moved, names, optimizer, read, update, write
from nnx_state.claims.registry import claim, expect, raises, works

SEE = "lessons/batch-stats.md#see"
EVAL = "lessons/batch-stats.md#evaluation-without-eval"
SAVED = "lessons/batch-stats.md#only-the-params-are-saved"
TRAIN = "lessons/training.md#see"
ISSUE = "an issue of Flax"
X = ((1.0, 2.0, 3.0, 4.0), (4.0, 3.0, 2.0, 1.0))


def inputs() -> Any:
    """Return two examples of width 4."""
    return jnp.array(X)


def weight_norm() -> Any:
    """Return a Linear under `nnx.WeightNorm`."""
    rngs = nnx.Rngs(0)
    return nnx.WeightNorm(nnx.Linear(4, 2, rngs=rngs), rngs=rngs)


def spectral_norm() -> Any:
    """Return a Linear under `nnx.SpectralNorm`."""
    rngs = nnx.Rngs(0)
    return nnx.SpectralNorm(nnx.Linear(4, 2, rngs=rngs), rngs=rngs)


def called(model: Any, **keywords: Any) -> list[str]:
    """Call a model, and return the last names of the leaves that it has written."""
    before = copies(model)
    model(inputs(), **keywords)
    return sorted(re.findall(r"\w+", path)[-1] for path in moved(before, model))


@claim(
    "weight-norm-writes-the-kernel",
    "A call of `nnx.WeightNorm` writes the kernel of its layer, a Param.",
    SEE,
    ISSUE,
)
def weight_norm_writes_the_kernel() -> None:
    model = weight_norm()
    expect(called(model), ["kernel"])
    expect(isinstance(model.layer_instance.kernel, nnx.Param), True)
    expect(jnp.linalg.norm(read(model.layer_instance.kernel), axis=0).round(3).tolist(), [1.0, 1.0])


@claim(
    "weight-norm-writes-in-eval",
    "After `model.eval()`, too, a call of `nnx.WeightNorm` writes the kernel of its layer.",
    EVAL,
    ISSUE,
)
def weight_norm_writes_in_eval() -> None:
    model = weight_norm()
    model.eval()
    expect(called(model), ["kernel"])


@claim(
    "weight-norm-forgets-a-scaling",
    "A kernel under `nnx.WeightNorm` that is set to ten times its value gives the output that it gave before.",
    SEE,
)
def weight_norm_forgets_a_scaling() -> None:
    model = weight_norm()
    output = model(inputs())
    kernel = model.layer_instance.kernel
    ten = read(kernel) * 10.0
    write(kernel, ten)
    expect(bool((read(kernel) == ten).all()), True)
    expect(bool(jnp.allclose(model(inputs()), output, atol=1e-5)), True)
    expect(bool(jnp.allclose(read(kernel), ten)), False)


@claim(
    "weight-norm-in-a-closure-raises",
    "A function under `nnx.jit` that calls an `nnx.WeightNorm` from outside raises a TraceContextError.",
    "lessons/transforms.md#the-model-is-not-an-argument",
    ISSUE,
)
def weight_norm_in_a_closure_raises() -> None:
    model = weight_norm()
    text = "Cannot mutate Param from a different trace level"
    raises(lambda: nnx.jit(lambda x: model(x))(inputs()), "TraceContextError", text)


@claim(
    "weight-norm-under-jax-jit",
    "`jax.jit` of an `nnx.WeightNorm` gives the output of a call as it is, and leaves the kernel unnormalised.",
    "lessons/transforms.md#see",
)
def weight_norm_under_jax_jit() -> None:
    model, other = weight_norm(), weight_norm()
    before = read(model.layer_instance.kernel)
    output = works(lambda: jax.jit(lambda model, x: model(x))(model, inputs()))
    expect(bool(jnp.allclose(output, other(inputs()), atol=1e-5)), True)
    expect(read(model.layer_instance.kernel).tolist() == before.tolist(), True)


@claim(
    "weight-norm-scales-are-params",
    "`nnx.state(model, nnx.Param)` holds the scales of an `nnx.WeightNorm`.",
    SAVED,
)
def weight_norm_scales_are_params() -> None:
    model = weight_norm()
    expect(len(leaves(model)), 3)
    expect([name.partition(".")[0] for name in names(nnx.state(model, nnx.Param))], ["layer_instance"] * 2 + ["scales"])


@claim(
    "weight-norm-scales-are-trained",
    "A step of `nnx.Optimizer` with `wrt=nnx.Param` moves the scales of an `nnx.WeightNorm`.",
    TRAIN,
)
def weight_norm_scales_are_trained() -> None:
    model = weight_norm()
    trained, before = optimizer(model, optax.sgd(0.1)), copies(model)
    update(trained, model, nnx.grad(lambda model: jnp.sum(model(inputs()) ** 2))(model))
    expect([path.partition(".")[0] for path in moved(before, model)], ["layer_instance"] * 2 + ["scales"])


@claim(
    "weight-norm-splits-by-type",
    "`nnx.split(model, nnx.Param)` of an `nnx.WeightNorm` leaves nothing over.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
)
def weight_norm_splits_by_type() -> None:
    model = weight_norm()
    _, params = works(lambda: nnx.split(model, nnx.Param))
    expect(names(params) == names(model), True)


@claim(
    "spectral-norm-writes-the-kernel",
    "A call of `nnx.SpectralNorm` writes the kernel of its layer, and the BatchStats `u` and `sigma`.",
    SEE,
    ISSUE,
)
def spectral_norm_writes_the_kernel() -> None:
    model = spectral_norm()
    expect(called(model), ["kernel", "sigma", "u"])
    expect(len(names(nnx.state(model, nnx.BatchStat))), 2)


@claim(
    "spectral-norm-in-eval-writes-the-kernel",
    "After `model.eval()` a call of `nnx.SpectralNorm` leaves its BatchStats, and writes the kernel all the same.",
    EVAL,
    ISSUE,
)
def spectral_norm_in_eval_writes_the_kernel() -> None:
    model = spectral_norm()
    model.eval()
    expect(called(model), ["kernel"])


@claim(
    "update-stats-spares-the-batch-stats",
    "A call of `nnx.SpectralNorm` with `update_stats=False` leaves its BatchStats as they are.",
    EVAL,
)
def update_stats_spares_the_batch_stats() -> None:
    model = spectral_norm()
    expect([name for name in called(model, update_stats=False) if name != "kernel"], [])
    expect([name for name in called(model) if name != "kernel"], ["sigma", "u"])


@claim(
    "averages-are-float32",
    "An `nnx.BatchNorm` with `param_dtype=jnp.bfloat16` has a scale of bfloat16, and averages of float32.",
    SEE,
)
def averages_are_float32() -> None:
    model = nnx.BatchNorm(4, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    dtypes = {name: str(read(getattr(model, name)).dtype) for name in ("scale", "mean", "var")}
    expect(dtypes, {"scale": "bfloat16", "mean": "float32", "var": "float32"})


@claim(
    "layer-norm-writes-nothing",
    "A call of `nnx.LayerNorm` in training writes nothing to the model, and a call of `nnx.BatchNorm` does.",
    SEE,
)
def layer_norm_writes_nothing() -> None:
    seen = []
    for layer in (nnx.LayerNorm(4, rngs=nnx.Rngs(0)), nnx.BatchNorm(4, rngs=nnx.Rngs(0))):
        before = copies(layer)
        layer(inputs())
        seen.append(moved(before, layer))
    expect(seen, [[], ["mean", "var"]])
