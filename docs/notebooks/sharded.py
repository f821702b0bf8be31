# %% [markdown]
# # See where a sharded state lives
#
# A training step on a mesh of two rows and four columns of devices: which device holds which block of each array?
#
# One process stands for eight devices, numbered 0 to 3 in the first row of the mesh and 4 to 7 in the second.
# The rows are the axis `data`, the columns the axis `model`.

# %%
import math

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from nnx_state import run_on_devices
from nnx_state.figures import PARAM, VARIABLE, show


def program(axes):
    """Return the shape of each array, and the devices that hold each block."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from nnx_state import ShardedLinear, train_step

    def loss_fn(model, x):
        return jnp.mean((model(x) * model.scale - 1.0) ** 2)

    def blocks(array):
        places = array.sharding.devices_indices_map(array.shape)
        found = {}
        for device, index in places.items():
            ranges = zip(index, array.shape, strict=True)
            corners = tuple(part.indices(size)[:2] for part, size in ranges)
            found.setdefault(corners, []).append(device.id)
        return array.shape, found

    types = (jax.sharding.AxisType[axes],) * 2
    with jax.set_mesh(jax.make_mesh((2, 4), ("data", "model"), types)):
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(0))
        model.scale = nnx.Param(jnp.ones(8))  # no annotation
        adam = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        x = jax.device_put(jnp.ones((8, 4)), jax.P("data"))
        train_step(model, adam, loss_fn, x)
    return {
        "batch": blocks(x),
        "kernel": blocks(model.kernel[...]),
        "mu of kernel": blocks(adam.opt_state[0].mu["kernel"][...]),
        "bias": blocks(model.bias[...]),
        "scale": blocks(model.scale[...]),
        "count": blocks(model.count[...]),
    }


(arrays,) = run_on_devices(program, "Explicit")

# %% [markdown]
# ## Look
#
# Each panel is an array, each box a block of it; the numbers in a box are the devices that hold a copy.
# The batch is cut into two halves along `data`.
# The kernel, its moment in Adam and the bias are cut into four parts along `model`.
# The scale and the count have no annotation, so all eight devices hold them whole.
#
# The colours: orange for a Param and what belongs to it, blue for a Variable, grey for the batch.


# %%
COLOURS = {"batch": "#808080", "count": VARIABLE}  # all else belongs to a Param


def draw(name, shape, blocks, note=""):
    """Draw the blocks of one array, and say what is drawn."""
    rows, columns = (1, 1, *shape)[-2:]
    figure, axes = plt.subplots(
        figsize=(2.6, 0.9 + 0.2 * rows), layout="constrained"
    )
    for corners, devices in blocks.items():
        (top, bottom), (left, right) = ((0, 1), (0, 1), *corners)[-2:]
        size = right - left, bottom - top
        colour = COLOURS.get(name, PARAM)
        box = Rectangle((left, top), *size, ec=colour, fc=(colour, 0.25), lw=2)
        axes.add_patch(box)
        middle = (left + right) / 2, (top + bottom) / 2
        text = " ".join(map(str, devices))
        axes.text(*middle, text, ha="center", va="center", fontsize="small")
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=(), yticks=())
    axes.spines[:].set_visible(False)
    axes.set_title(f"{name} {shape}{note}", fontsize="medium")
    held = [f"devices {', '.join(map(str, d))}" for d in blocks.values()]
    parts = f"{len(held)} blocks" if len(held) > 1 else "one block"
    return figure, f"{name} of shape {shape}{note}, {parts}: {'; '.join(held)}."


show(draw(name, *array) for name, array in arrays.items())

# %% [markdown]
# ## Who decides
#
# `jax.make_mesh` makes axes of the type `Explicit`: an array without annotation stays whole.
# On axes of the type `Auto` the compiler decides, and cuts the scale in its own way.

# %%
(by_compiler,) = run_on_devices(program, "Auto")
show(
    draw("scale", *found["scale"], f", {axes}")
    for axes, found in (("Explicit", arrays), ("Auto", by_compiler))
)

# %% [markdown]
# ## The numbers
#
# What does one device hold, of all the numbers in an array?

# %%
print("             blocks  on one device")
for name, (shape, blocks) in arrays.items():
    block = next(iter(blocks))
    held = math.prod(stop - start for start, stop in block)
    print(f"{name:12} {len(blocks):6}  {held:5} of {math.prod(shape)}")
    assert held * len(blocks) == math.prod(shape)
    holders = [device for devices in blocks.values() for device in devices]
    assert sorted(holders) == list(range(8))
assert [len(blocks) for _, blocks in arrays.values()] == [2, 4, 4, 4, 1, 1]
different = [name for name in arrays if arrays[name] != by_compiler[name]]
assert different == ["scale"]

# %% [markdown]
# Back to the lesson: [Sharding](../../lessons/sharding/).
