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
from nnx_state.site.figures import PARAM, VARIABLE, show


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
    loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(inputs) - targets) ** 2))(model)
    optimizer.update(model, grads)
    return loss, model.bias[0], model.count[...]


def history(label, optimizer):
    """Return loss, bias and counter after each of 100 steps: an array of shape (100, 3)."""
    model = Counting(label)
    optimizer = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    return jnp.array([train_step(model, optimizer) for _ in range(100)])


optimizers = {"SGD": optax.sgd(0.1), "Adam": optax.adam(0.1), "AdamW": optax.adamw(0.1, weight_decay=0.1)}
runs = {
    name: {label: history(label, optimizer) for label in (nnx.Param, nnx.Variable)}
    for name, optimizer in optimizers.items()
}

# %% [markdown]
# ## Look
#
# Loss and bias are the same whichever label the counter has.
# The counter is not: weight decay pulls it back at every step.


# %%
def draw(name):
    figure, panels = plt.subplots(3, 1, figsize=(3.4, 5.6), sharex=True, layout="constrained")
    for row, (axes, title) in enumerate(zip(panels, ["loss", "bias", "counter"], strict=True)):
        axes.plot(runs[name][nnx.Param][:, row], color=PARAM, linewidth=3, label="Param")
        axes.plot(runs[name][nnx.Variable][:, row], color=VARIABLE, linestyle="--", linewidth=2, label="Variable")
        axes.set_ylabel(title)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_title(name)
    panels[2].set(xlabel="step", ylim=(0, 105))
    panels[2].legend(frameon=False, title="counter as", loc="upper left")
    return figure


def describe(name):
    loss, bias, count = runs[name][nnx.Param][-1]
    return (
        f"{name}: the loss falls to {loss:.2f} and the bias goes to {bias:.2f} with either label. "
        f"The counter ends at {count:.0f} as a Param and at {runs[name][nnx.Variable][-1, 2]:.0f} as a Variable."
    )


show((draw(name), describe(name)) for name in runs)

# %% [markdown]
# ## The numbers

# %%
print(f"{'':6} {'loss':>6} {'bias':>6} {'Param':>7} {'Variable':>9}")
for name, run in runs.items():
    as_param, as_variable = run[nnx.Param], run[nnx.Variable]
    assert (as_param[:, :2] == as_variable[:, :2]).all()  # loss and bias: not one bit differs
    assert as_variable[-1, 2] == 100
    assert (as_param[-1, 2] == 100) == (name != "AdamW")
    loss, bias, count = as_param[-1]
    print(f"{name:6} {loss:6.3f} {bias:6.2f} {count:7.1f} {as_variable[-1, 2]:9.1f}")

# %% [markdown]
# No error was raised, and the loss is no worse.
# The wrong counter is found later, by whatever reads it: a schedule, a log, a resumed run.
#
# Back to the lesson: [Param and Variable](../../lessons/multi-param/).
