# %% [markdown]
# # See the averages move
#
# Two kinds of running average follow a training: batch statistics follow the data, and an EMA follows the weights.
#
# An *EMA*, exponential moving average, keeps a share of itself at each step and takes the rest from what is new.
# Neither gets a gradient, and the optimizer touches neither.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax import nnx

from nnx_state import EMA, RunningNorm
from nnx_state.figures import PARAM, VARIABLE, dots, show

# %% [markdown]
# ## Train
#
# The inputs have mean 5 and standard deviation 2, and come in batches of eight.
# A `RunningNorm` keeps their mean, a linear layer learns the targets, and an EMA averages all Params.
# After each step the model is evaluated on 1000 other examples, with its weights and with their averages.
#
# The momentum of the norm is Flax's default of 0.99, then 0.9, then 0.1.
# PyTorch's default is called 0.1, but means 0.9 here.

# %%
STEPS, DECAY = 300, 0.95


def data(key, size):
    keys = jax.random.split(key)
    inputs = 5 + 2 * jax.random.normal(keys[0], (size, 4))
    noise = jax.random.normal(keys[1], (size, 1))
    return inputs, (inputs - 5).sum(axis=1, keepdims=True) / 2 + noise


test_data = data(jax.random.key(0), 1000)
batches = [data(key, 8) for key in jax.random.split(jax.random.key(1), STEPS)]


def mean_squared_error(model, inputs, targets):
    return jnp.mean((model(inputs) - targets) ** 2)


def evaluate(model):
    view = nnx.view(model, use_running_average=True)
    return mean_squared_error(view, *test_data)


@nnx.jit
def train_step(model, optimizer, ema, inputs, targets):
    grads = nnx.grad(mean_squared_error)(model, inputs, targets)
    optimizer.update(model, grads)
    ema.update(model)
    norm, linear = model.layers
    return {
        "batch mean": inputs[:, 0].mean(),
        "running mean": norm.mean[0],
        "weight": linear.kernel[0, 0],
        "average": ema.averages["layers"][1]["kernel"][0, 0],
        "loss": evaluate(model),
        "loss of the averages": evaluate(ema.averaged(model)),
    }


def history(momentum):
    """Return six numbers of each step, as arrays of shape (300,)."""
    norm = RunningNorm(4, momentum=momentum)
    model = nnx.Sequential(norm, nnx.Linear(4, 1, rngs=nnx.Rngs(0)))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    ema = EMA(model, decay=DECAY)
    rows = [train_step(model, optimizer, ema, *batch) for batch in batches]
    return {name: jnp.array([row[name] for row in rows]) for name in rows[0]}


runs = {momentum: history(momentum) for momentum in (0.99, 0.9, 0.1)}

# %% [markdown]
# ## Look at the batch statistics
#
# The dots are the means of the batches, the curve is the running mean, and the data have mean 5.
# A large momentum is calm and late, a small one early and restless.
#
# The loss is the one of evaluation, on a logarithmic scale; the noise in the targets allows 1 at best.


# %%
def panel(axes, title):
    axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw(momentum):
    """Draw running mean and loss of one momentum, and say what is drawn."""
    run = runs[momentum]
    figure, panels = plt.subplots(2, 1, figsize=(2.6, 4), layout="constrained")
    axes = panel(panels[0], f"momentum {momentum}: means")
    dots(axes, run["batch mean"])
    axes.axhline(5, color="#000000", linewidth=0.8, linestyle="--")
    axes.plot(run["running mean"], color=VARIABLE, linewidth=2)
    axes.set(ylim=(0, 8))
    axes = panel(panels[1], f"momentum {momentum}: loss")
    axes.plot(run["loss"], color=PARAM, linewidth=1)
    axes.set(yscale="log", ylim=(0.7, 200), xlabel="step")
    return figure, (
        f"Momentum {momentum}, 300 steps: the running mean is "
        f"{run['running mean'][99]:.1f} after 100 steps and "
        f"{run['running mean'][-1]:.1f} at the end; the data have mean 5. "
        f"The loss is {run['loss'][99]:.1f} after 100 steps and "
        f"{run['loss'][-1]:.1f} at the end."
    )


show(draw(momentum) for momentum in runs)

# %% [markdown]
# The weights are the same in all three runs, since training never reads the running averages.
# So the training loss cannot tell a good momentum from a bad one; evaluation does.
#
# ## Look at the weights and their average
#
# The momentum is 0.9.
# The weight jumps with each batch; its average keeps 95 percent of itself at each step.


# %%
def draw_average(title, new, average):
    """Draw a number that jumps and its average, and say what is drawn."""
    run = runs[0.9]
    figure, axes = plt.subplots(figsize=(3.6, 2.6), layout="constrained")
    axes = panel(axes, title)
    axes.plot(run[new], color=PARAM, linewidth=1, label=new)
    axes.plot(run[average], "--", color=VARIABLE, linewidth=2, label=average)
    axes.set(xlabel="step")
    axes.legend(frameon=False, fontsize="small")
    if "loss" in title:
        axes.set(ylim=(0.8, 5))
    return figure, (
        f"{title}, the last 100 steps: {new} {run[new][-100:].mean():.2f} on "
        f"average, with a spread of {run[new][-100:].std():.2f}; {average} "
        f"{run[average][-100:].mean():.2f}, {run[average][-100:].std():.2f}."
    )


show(
    [
        draw_average("one weight", "weight", "average"),
        draw_average("loss in evaluation", "loss", "loss of the averages"),
    ]
)

# %% [markdown]
# ## The numbers
#
# Both averages follow their formula.
# The EMA divides by the share of what it has seen, so that it does not start from the first weights.


# %%
def averaged(numbers, kept):
    """Return the running average after each number, from zero on."""
    averages = [0.0]
    for number in numbers.tolist():
        averages.append(kept * averages[-1] + (1 - kept) * number)
    return jnp.array(averages[1:])


for momentum, run in runs.items():
    mean = averaged(run["batch mean"], momentum)
    assert jnp.allclose(run["running mean"], mean, rtol=1e-4)
    seen = averaged(jnp.ones(STEPS), DECAY)
    average = averaged(run["weight"], DECAY) / seen
    assert jnp.allclose(run["average"], average, rtol=1e-4)
    assert jnp.allclose(run["weight"], runs[0.9]["weight"], atol=1e-4)

last = slice(-100, None)
print("momentum  mean after 100  its spread  loss  loss of the averages")
for momentum, run in runs.items():
    print(
        f"{momentum:8}  {run['running mean'][99]:14.1f}"
        f"  {run['running mean'][last].std():10.2f}"
        f"  {run['loss'][last].mean():4.1f}"
        f"  {run['loss of the averages'][last].mean():20.1f}"
    )

late, good, restless = (runs[momentum] for momentum in (0.99, 0.9, 0.1))
assert late["running mean"][99] < 4  # 0.99**100 = 37 % are still the zero
assert abs(good["running mean"][99] - 5) < 0.5
assert good["running mean"][last].std() < 0.2
assert restless["running mean"][last].std() > 0.5
assert late["loss"][50:100].mean() > 10 * good["loss"][50:100].mean()
assert good["average"][last].std() < good["weight"][last].std() / 2
assert good["loss"][last].mean() < late["loss"][last].mean()
losses = good["loss"][last], good["loss of the averages"][last]
assert losses[1].mean() < 0.9 * losses[0].mean()

# %% [markdown]
# The averages of the weights made the better model, although they were not trained.
#
# Back to the lesson: [Batch statistics](../../lessons/batch-stats/).
