"""What people bring from PyTorch, Linen and Equinox: how it shows in an attempt, and what NNX has in its place."""

import re
from collections.abc import Iterable

from nnx_state.practice.findings import Finding, told

VARIABLE = "a Variable: `self.name = nnx.Variable(…)`"

# Methods that another library calls by name and NNX does not: whose they are, and which one NNX calls.
METHODS = {"setup": ("of-linen", "__init__"), "forward": ("of-pytorch", "__call__")}

# Attributes that modules and arrays have in another library: whose they are, and what does the work in NNX.
ATTRIBUTES = {
    "register_buffer": ("of-pytorch", VARIABLE),
    "register_parameter": ("of-pytorch", "a Param: `self.name = nnx.Param(…)`"),
    "training": ("of-pytorch", "an attribute that the problem names, or an argument"),
    "parameters": ("of-pytorch", "`nnx.state(model, nnx.Param)`"),
    "named_parameters": ("of-pytorch", "`nnx.to_flat_state(nnx.state(model, nnx.Param))`"),
    "named_modules": ("of-pytorch", "`nnx.iter_modules(model)`"),
    "state_dict": ("of-pytorch", "`nnx.state(model)`"),
    "load_state_dict": ("of-pytorch", "`nnx.update(model, state)`"),
    "backward": ("of-pytorch", "`nnx.grad` of a function of the model"),
    "zero_grad": ("of-pytorch", "nothing: `nnx.grad` returns new gradients"),
    "detach": ("of-pytorch", "`jax.lax.stop_gradient(x)`"),
    "fill_": ("of-pytorch", "`variable[...] = jnp.full_like(variable[...], number)`"),
    "copy_": ("of-pytorch", "`variable[...] = array`"),
    "add_": ("of-pytorch", "`variable[...] += array`"),
    "zero_": ("of-pytorch", "`variable[...] = jnp.zeros_like(variable[...])`"),
    "mul_": ("of-pytorch", "`variable[...] *= number`"),
    "lerp_": ("of-pytorch", "`variable[...] += share * (array - variable)`"),
    "ModuleList": ("of-pytorch", "`nnx.List(…)`"),
    "ModuleDict": ("of-pytorch", "`nnx.Dict(…)`"),
    "Parameter": ("of-pytorch", "`nnx.Param(…)`"),
    "register_module": ("of-pytorch", "an attribute that holds the module"),
    "to": ("of-pytorch", "`jax.device_put(x, …)`, or a mesh"),
    "cuda": ("of-pytorch", "`jax.device_put(x, …)`, or a mesh"),
    "no_grad": ("of-pytorch", "nothing: no gradient is taken unless `nnx.grad` is called"),
    "view": ("of-pytorch", "`array.reshape(…)`"),
    "param": ("of-linen", "a Param, made in `__init__`: `self.name = nnx.Param(…)`"),
    "variable": ("of-linen", f"{VARIABLE}, made in `__init__`"),
    "make_rng": ("of-linen", "a key of the streams: `rngs.params()`"),
    "is_initializing": ("of-linen", "nothing: a module of NNX is whole after `__init__`"),
    "is_mutable_collection": ("of-linen", "nothing: a Variable can be written wherever the module is"),
    "compact": ("of-linen", "an `__init__` that makes the layers"),
    "Dense": ("of-linen", "`nnx.Linear(inputs, outputs, rngs=rngs)`"),
    "filter_jit": ("of-equinox", "`nnx.jit`"),
    "filter_grad": ("of-equinox", "`nnx.grad`"),
    "partition": ("of-equinox", "`nnx.split(model, filter, ...)`"),
    "combine": ("of-equinox", "`nnx.merge(graphdef, state, …)`"),
    "tree_at": ("of-equinox", "a write into the Variable: `variable[...] = array`"),
    "filter_vmap": ("of-equinox", "`nnx.vmap`"),
    "apply_gradients": ("of-linen", "`optimizer.update(model, grads)`"),
    "init": ("of-linen", "nothing: a module of NNX holds its values"),
    "apply": ("of-linen", "a call of the module: `model(x)`"),
}

# Keywords of functions and layers, in the same way.
KEYWORDS = {
    "dim": ("of-pytorch", "the keyword `axis`"),
    "keepdim": ("of-pytorch", "the keyword `keepdims`"),
    "bias": ("of-pytorch", "the keyword `use_bias`"),
    "device": ("of-pytorch", "`jax.device_put(x, …)`, or a mesh"),
    "variable_axes": ("of-linen", "`in_axes=nnx.StateAxes({…})`"),
    "variable_broadcast": ("of-linen", "`in_axes=nnx.StateAxes({…})`, with None for what is shared"),
    "mutable": ("of-linen", "nothing: what a call writes is in the model afterwards"),
    "key": ("of-equinox", "the keyword `rngs`, or a call such as `rngs.params()` where a key is wanted"),
    "donate": ("of-equinox", "the keyword `donate_argnums`"),
}
LACKS = re.compile(r"has no attribute '?(\w+)'?")
UNKNOWN = re.compile(r"got an unexpected keyword argument '(\w+)'")
NO_KEY = re.compile(r"unexpected PRNG key type <class '[\w.]+\.(Rngs|RngStream)'>")


def in_class(kind: type, wanted: Iterable[str], given: Iterable[str]) -> Finding | None:
    """Return what a module of the attempt has from another library, by how it is written.

    Args:
        kind: a class that derives from `nnx.Module`.
        wanted: the names of the arguments that it should be made from.
        given: the names of those that its `__init__` takes.
    """
    written = {name for base in kind.__mro__ if base is not object for name in vars(base)}
    for method, (whose, of_nnx) in METHODS.items():
        if method in written and of_nnx not in written:
            return Finding(whose, method, f"`{kind.__name__}` has `{method}` and no `{of_nnx}`", f"`{of_nnx}`")
    if "rngs" in wanted and "rngs" not in given and "key" in given:
        seen = f"`{kind.__name__}` is made from a `key`"
        return Finding("of-equinox", "key", seen, "the argument `rngs`, which gives keys: `rngs.params()`")
    return None


def in_error(error: BaseException, line: int | None) -> Finding | None:
    """Return which habit has raised an error, if one has.

    Args:
        error: what the attempt has raised.
        line: the line that raised it.
    """
    said = str(error)
    if isinstance(error, TypeError) and (found := NO_KEY.search(said)):
        seen = f"a function of `jax.random` gets an `nnx.{found[1]}` itself"
        return Finding("as-key", "rngs", seen, "one key, as a call of the stream gives it: `rngs.params()`", line)
    if isinstance(error, TypeError) and (found := UNKNOWN.search(said)) and found[1] in KEYWORDS:
        whose, instead = KEYWORDS[found[1]]
        return Finding(whose, found[1], f"the keyword `{found[1]}` raised {told(error)}", instead, line)
    if isinstance(error, AttributeError) and (found := LACKS.search(said)) and found[1] in ATTRIBUTES:
        whose, instead = ATTRIBUTES[found[1]]
        return Finding(whose, found[1], f"`.{found[1]}` raised {told(error)}", instead, line)
    return None
