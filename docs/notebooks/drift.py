# %% [markdown]
# # See the counter drift
#
# A counter tagged as a Param drifts under weight decay, and neither the loss nor the bias shows it.
#
# The model counts its own calls.
# It is trained for 100 steps, six times: the counter is a Param or a Variable, the optimizer SGD, Adam or AdamW.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

from nnx_state import MultiParam
from nnx_state.figures import PARAM, VARIABLE, show


class Counting(MultiParam):
    def __init__(self, label):
        super().__init__(in_features=4, out_features=1, rngs=nnx.Rngs(0))
        self.count = label(jnp.zeros(()))

    def __call__(self, x):
        self.count[...] += 1
        return super().__call__(x)


# %% [markdown]
# ## Train
#
# The data follow a line with an offset of 1, so the bias should end at 1.
# The counter should end at 100, the number of calls.

# %%
inputs = jax.random.normal(jax.random.key(1), (64, 4))
targets = inputs.sum(axis=1, keepdims=True) + 1.0


@nnx.jit
def train_step(model, optimizer):
    def mean_squared_error(model):
        return jnp.mean((model(inputs) - targets) ** 2)

    loss, grads = nnx.value_and_grad(mean_squared_error)(model)
    optimizer.update(model, grads)
    return loss, model.bias[0], model.count[...]


def history(label, optimizer):
    """Return loss, bias and counter after each step, of shape (100, 3)."""
    model = Counting(label)
    optimizer = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    return jnp.array([train_step(model, optimizer) for _ in range(100)])


optimizers = {
    "SGD": optax.sgd(0.1),
    "Adam": optax.adam(0.1),
    "AdamW": optax.adamw(0.1, weight_decay=0.1),
}
runs = {
    (name, label): history(label, optimizer)
    for name, optimizer in optimizers.items()
    for label in (nnx.Param, nnx.Variable)
}

# %% [markdown]
# ## Look
#
# The counter comes first: as a Param it falls behind under AdamW, and under no other.
# Loss and bias are the same whichever label the counter has, so that they do not show it.


# %%
def draw(name):
    """Draw counter, loss and bias of one optimizer, and say what is drawn."""
    figure, panels = plt.subplots(3, 1, figsize=(2.6, 5), layout="constrained")
    tagged, untagged = runs[name, nnx.Param], runs[name, nnx.Variable]
    for axes, (column, title) in zip(
        panels, [(2, "counter"), (0, "loss"), (1, "bias")], strict=True
    ):
        axes.plot(tagged[:, column], color=PARAM, linewidth=5, label="Param")
        axes.plot(untagged[:, column], "--", color=VARIABLE, label="Variable")
        axes.set_title(f"{name}: {title}", fontsize="medium")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set(ylim=(0, 190), yticks=(0, 50, 100))
    panels[0].legend(frameon=False, title="counter as", loc="upper left")
    panels[-1].set(xlabel="step")
    loss, bias, count = tagged[-1]
    return figure, (
        f"{name}, 100 steps: the counter ends at {count:.0f} as a Param and at "
        f"{untagged[-1, 2]:.0f} as a Variable. With either label the loss falls "
        f"to {loss:.2f} and the bias goes to {bias:.2f}."
    )


show(draw(name) for name in ("AdamW", "Adam", "SGD"))

# %% [markdown]
# ## The numbers

# %%
print("       loss  bias  as Param  as Variable")
for name in optimizers:
    tagged, untagged = runs[name, nnx.Param], runs[name, nnx.Variable]
    assert (tagged[:, :2] == untagged[:, :2]).all()  # loss and bias agree
    assert untagged[-1, 2] == 100
    assert (tagged[-1, 2] == 100) == (name != "AdamW")
    (loss, bias, drifted), count = tagged[-1], untagged[-1, 2]
    print(f"{name:6} {loss:.2f}  {bias:.2f}  {drifted:8.1f}  {count:11.1f}")

# %% [markdown]
# No error was raised, and the loss is the same.
#
# Back to the lesson: [Param and Variable](../../lessons/multi-param/).
