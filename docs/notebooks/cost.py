# %% [markdown]
# # See what dispatch costs
#
# How long does a call take beside the arithmetic that it is for, and when does that matter?
#
# *Dispatch* is Python's part of a call.
# The times are those of the machine that built this page, so compare them with each other.
# Each is the median of many rounds, and each round measures all ways in turn.

# %%
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
from flax import nnx

from nnx_state import MultiParam, microseconds, python_calls
from nnx_state.figures import PARAM, VARIABLE, show


def stack(depth):
    layers = [MultiParam(4, 4, rngs=nnx.Rngs(0)) for _ in range(depth)]
    return nnx.Sequential(*layers)


def forward(model, x):
    return model(x)


def merged(graphdef, state, x):
    return forward(nnx.merge(graphdef, state), x)


def by_hand(layers, x):
    for kernel, bias in layers:
        x = x @ kernel + bias
    return x


def ways(model):
    """Return each way of calling a model, as a function of the input."""
    graphdef, state = nnx.split(model)
    pure = jax.jit(partial(merged, graphdef))
    raw = [(layer.kernel[...], layer.bias[...]) for layer in model.layers]
    return {
        "nnx.jit": partial(nnx.jit(forward), model),
        "graph=False": partial(nnx.jit(forward, graph=False), model),
        "cached_partial": nnx.cached_partial(nnx.jit(forward), model),
        "jax.jit, module": partial(jax.jit(forward), model),
        "jax.jit, state": partial(pure, state),
        "jax.jit, arrays": partial(pure, nnx.as_pure(state)),
        "by hand": partial(jax.jit(by_hand), raw),
    }


# %% [markdown]
# ## Measure
#
# Models of 1, 4 and 16 small layers, with 3 Variables in each.
# By hand is the same arithmetic on a list of raw arrays, under `jax.jit`.

# %%
depths, x = (1, 4, 16), jnp.ones(4)
calls = {depth: ways(stack(depth)) for depth in depths}
times, counts = {}, {}
for depth, found in calls.items():
    ready = {name: partial(call, x) for name, call in found.items()}
    times[depth] = microseconds(ready, rounds=50)
    counts[depth] = {name: python_calls(call) for name, call in ready.items()}

# %% [markdown]
# ## Look
#
# The first figure: the time grows with the number of Variables, and is longest under `nnx.jit`.
#
# The second one: each mark is one way with one model.
# The ways that run many Python functions lie near one line: the functions are what takes the time.
#
# Orange are the ways of NNX, blue those of `jax.jit`, grey is by hand.

# %%
STYLES = {
    "nnx.jit": (PARAM, "o-"),
    "graph=False": (PARAM, "s:"),
    "cached_partial": (PARAM, "^--"),
    "jax.jit, module": (VARIABLE, "o-"),
    "jax.jit, state": (VARIABLE, "^--"),
    "jax.jit, arrays": (VARIABLE, "s:"),
    "by hand": ("#808080", "D-"),
}


def plot(title, xlabel, x_of):
    """Return a figure of the times of all ways over what a function of depth and way gives."""
    figure, axes = plt.subplots(figsize=(2.6, 4.6), layout="constrained")
    for name, (color, style) in STYLES.items():
        across = [x_of(depth, name) for depth in depths]
        up = [times[depth][name] for depth in depths]
        axes.plot(across, up, style, color=color, label=name, markersize=5)
    axes.set(xscale="log", yscale="log", xlabel=xlabel)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", frameon=False, fontsize="small")
    return figure


def said(numbers):
    """Say the numbers of the largest model."""
    return ", ".join(f"{name} {number:.0f}" for name, number in numbers.items())


by_size = plot("microseconds", "Variables", lambda depth, name: 3 * depth)
by_size.axes[0].set_xticks([3, 12, 48], [3, 12, 48], minor=False)
by_size.axes[0].set_xticks([], minor=True)
by_cause = plot(
    "microseconds",
    "Python functions in a call, plus 1",
    lambda depth, name: counts[depth][name] + 1,
)
show(
    [
        (by_size, f"Microseconds, 48 Variables: {said(times[16])}."),
        (by_cause, f"Python functions, 48 Variables: {said(counts[16])}."),
    ]
)

# %% [markdown]
# ## One large product
#
# The layer is called under `nnx.jit`, and by hand: the same product and sum of raw arrays.
# Beside dispatch, `nnx.jit` copies the kernel, since its program returns every array of the model.
# With as many rows as features, the product takes much longer than both, and the ratio goes to 1.
# With one row it does not: the product reads the kernel once, and the copy reads and writes it.


# %%
def ratio(size, rows):
    """Return the time of a layer under nnx.jit beside that of its product by hand."""
    layer = MultiParam(size, size, rngs=nnx.Rngs(0))
    inputs = jnp.ones((rows, size))
    compiled, raw = nnx.jit(forward), jax.jit(lambda x, k, b: x @ k + b)
    found = microseconds(
        {
            "layer": partial(compiled, layer, inputs),
            "raw": partial(raw, inputs, layer.kernel[...], layer.bias[...]),
        },
        rounds=15,
    )
    return found["layer"] / found["raw"]


ratios = {size: ratio(size, rows=size) for size in (4, 64, 256, 1024)}
of_one_row = ratio(1024, rows=1)
figure, axes = plt.subplots(figsize=(2.6, 2.6), layout="constrained")
axes.axhline(1, color="#808080", linewidth=1)
axes.plot(list(ratios), list(ratios.values()), "o-", color=PARAM)
axes.set(xscale="log", xlabel="features", ylim=(0, None))
axes.set_xticks(list(ratios), list(ratios), minor=False)
axes.set_xticks([], minor=True)
axes.set_title("nnx.jit / by hand", fontsize="medium", loc="left")
axes.spines[["top", "right"]].set_visible(False)
spoken = ", ".join(f"{size} features {r:.1f}" for size, r in ratios.items())
show([(figure, f"Time of nnx.jit over that by hand: {spoken}.")])

# %% [markdown]
# ## The numbers
#
# Microseconds and Python functions of a call, for the models of 3 and of 48 Variables.

# %%
print("                  microseconds    functions")
for name in STYLES:
    few, many = (f"{times[depth][name]:6.0f}" for depth in (1, 16))
    less, more = (f"{counts[depth][name]:6}" for depth in (1, 16))
    print(f"{name:16}{few}{many} {less}{more}")
for size, number in ratios.items():
    print(f"{size:4} features: nnx.jit / by hand {number:.1f}")
print(f"1024 features, one row: nnx.jit / by hand {of_one_row:.1f}")
# The times are those of the machine that built this page; the functions are the same on each.
assert counts[16]["nnx.jit"] > 2 * counts[1]["nnx.jit"]
assert counts[16]["nnx.jit"] > 2 * counts[16]["jax.jit, arrays"]
assert counts[1]["jax.jit, arrays"] == counts[16]["jax.jit, arrays"]

# %% [markdown]
# Back to the lesson: [Cost](../../lessons/cost/).
