"""What people bring from PyTorch, Linen and Equinox: how it shows in an attempt, and what NNX has in its place."""

import re
from collections.abc import Iterable

from nnx_state.practice.findings import Finding, told

VARIABLE = "a Variable: `self.name = nnx.Variable(…)`"

# Methods that another library calls by name: whose they are, and which one NNX calls.
METHODS = {"setup": ("of-linen", "__init__"), "forward": ("of-pytorch", "__call__")}

# What modules, arrays and namespaces of another library have, and what does the work in NNX.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "of-pytorch": {
        "register_buffer": VARIABLE,
        "register_parameter": "a Param: `self.name = nnx.Param(…)`",
        "training": "an attribute that the problem names, or an argument",
        "parameters": "`nnx.state(model, nnx.Param)`",
        "named_parameters": "`nnx.to_flat_state(nnx.state(model, nnx.Param))`",
        "named_modules": "`nnx.iter_modules(model)`",
        "register_forward_hook": "`nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)`",
        "state_dict": "`nnx.state(model)`",
        "load_state_dict": "`nnx.update(model, state)`",
        "backward": "`nnx.grad` of a function of the model",
        "half": "a loop over the Params: `param.set_value(param[...].astype(jnp.float16))`",
        "zero_grad": "nothing: `nnx.grad` returns new gradients",
        "requires_grad": "filters, which say what trains: `wrt` of the optimizer, `nnx.DiffState` of the gradient",
        "requires_grad_": "filters, which say what trains: `wrt` of the optimizer, `nnx.DiffState` of the gradient",
        "param_groups": "the optimizer's state: `optimizer.opt_state`, with `optax.inject_hyperparams`",
        "detach": "`jax.lax.stop_gradient(x)`",
        "fill_": "`variable[...] = jnp.full_like(variable[...], number)`",
        "copy_": "`variable[...] = array`",
        "add_": "`variable[...] += array`",
        "zero_": "`variable[...] = jnp.zeros_like(variable[...])`",
        "mul_": "`variable[...] *= number`",
        "lerp_": "`variable[...] += share * (array - variable)`",
        "ModuleList": "`nnx.List(…)`",
        "ModuleDict": "`nnx.Dict(…)`",
        "Parameter": "`nnx.Param(…)`",
        "register_module": "an attribute that holds the module",
        "to": "`jax.device_put(x, …)`, or a mesh",
        "cuda": "`jax.device_put(x, …)`, or a mesh",
        "no_grad": "nothing: no gradient is taken unless `nnx.grad` is called",
        "view": "`array.reshape(…)`",
    },
    "of-linen": {
        "param": "a Param, made in `__init__`: `self.name = nnx.Param(…)`",
        "variable": f"{VARIABLE}, made in `__init__`",
        "make_rng": "a key of the streams: `rngs.params()`",
        "is_initializing": "nothing: a module of NNX is whole after `__init__`",
        "is_mutable_collection": "nothing: a Variable can be written wherever the module is",
        "compact": "an `__init__` that makes the layers",
        "Dense": "`nnx.Linear(inputs, outputs, rngs=rngs)`",
        "apply_gradients": "`optimizer.update(model, grads)`",
        "init": "nothing: a module of NNX holds its values",
        "apply": "a call of the module: `model(x)`",
    },
    "of-equinox": {
        "filter_jit": "`nnx.jit`",
        "filter_grad": "`nnx.grad`",
        "partition": "`nnx.split(model, filter, ...)`",
        "combine": "`nnx.merge(graphdef, state, …)`",
        "tree_at": "a write into the Variable: `variable[...] = array`",
        "filter_vmap": "`nnx.vmap`",
    },
}

# Keywords of functions and layers, in the same way.
KEYWORDS: dict[str, dict[str, str]] = {
    "of-pytorch": {
        "dim": "the keyword `axis`",
        "keepdim": "the keyword `keepdims`",
        "bias": "the keyword `use_bias`",
        "device": "`jax.device_put(x, …)`, or a mesh",
    },
    "of-linen": {
        "variable_axes": "`in_axes=nnx.StateAxes({…})`",
        "variable_broadcast": "`in_axes=nnx.StateAxes({…})`, with None for what is shared",
        "mutable": "nothing: what a call writes is in the model afterwards",
    },
    "of-equinox": {
        "key": "the keyword `rngs`, or a call such as `rngs.params()` where a key is wanted",
        "donate": "the keyword `donate_argnums`",
    },
}

LACKS = re.compile(r"(?:has no|Cannot set) attribute '?(\w+)'?")
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
    if isinstance(error, TypeError) and (found := UNKNOWN.search(said)):
        return _known(KEYWORDS, found[1], f"the keyword `{found[1]}` raised {told(error)}", line)
    if isinstance(error, AttributeError) and (found := LACKS.search(said)):
        return _known(ATTRIBUTES, found[1], f"`.{found[1]}` raised {told(error)}", line)
    return None


def _known(habits: dict[str, dict[str, str]], name: str, seen: str, line: int | None) -> Finding | None:
    """Return the finding for a name, if one of the libraries has it."""
    for whose, names in habits.items():
        if name in names:
            return Finding(whose, name, seen, names[name], line)
    return None
