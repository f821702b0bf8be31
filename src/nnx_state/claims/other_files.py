"""Other files: states in Orbax without a target, msgpack, pickle and NumPy, and what becomes of keys and names."""

import io
import pickle
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx, serialization, traverse_util

from nnx_state.claims.compat import Layer, leaves, numbers, read
from nnx_state.claims.registry import claim, expect, need, raises, works

SEE = "lessons/checkpoints.md#see"
RUN = "lessons/checkpoints.md#run"
FIT = "lessons/split-merge.md#an-update-that-does-not-fit"
BROKEN = "lessons/checkpoints.md#the-save-breaks-off"
KEYS = "lessons/randomness.md#see"
DTYPE = "lessons/reading-writing.md#the-number-changes"
ISSUE, ORBAX = "an issue of Flax", "an issue of Orbax"
NO_KEY = "JAX array with PRNGKey dtype cannot be converted to a NumPy array"


class Stack(nnx.Module):
    """A model of layers, each a Param with its own place for a value.

    Args:
        depth: how many layers.
        start: the value of the first one.
    """

    def __init__(self, depth: int = 12, start: float = 0.0) -> None:
        self.layers = nnx.List([nnx.Param(jnp.array([start + place])) for place in range(depth)])


class Empty(nnx.Module):
    """A model with a Param of no elements."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.ones(2))
        self.empty = nnx.Param(jnp.zeros((0, 2)))


def values(model: Any) -> list[int]:
    """Return what the layers of a Stack hold, in order."""
    return [int(read(layer)[0]) for layer in model.layers]


def plain(model: Any) -> Any:
    """Return the state of a model as a plain dict of arrays."""
    need(nnx, "to_pure_dict")
    return nnx.to_pure_dict(nnx.state(model))


def flat(model: Any) -> dict[str, Any]:
    """Return the arrays of a model by dotted paths."""
    return {path: read(leaf) for path, leaf in leaves(model).items()}


def from_orbax(saved: Any, target: Any = None) -> Any:
    """Save a tree with Orbax, and return what it restores: into a target, if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        checkpointer = ocp.StandardCheckpointer()
        try:
            checkpointer.save(f"{folder}/state", saved)
        finally:  # a save that is refused leaves a thread behind that writes to the folder
            getattr(checkpointer, "wait_until_finished", lambda: None)()  # older releases wait in `save`
        return checkpointer.restore(f"{folder}/state", target)


def from_npz(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays that were saved with NumPy."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


@claim(
    "merge-keeps-the-order-of-a-list",
    "`nnx.merge` with what Orbax restores without a target gives each of 12 layers in an `nnx.List` its own numbers.",
    "lessons/checkpoints.md#the-model-has-changed-since-the-save",
    ORBAX,
)
def merge_keeps_the_order_of_a_list() -> None:
    saved = Stack()
    restored = from_orbax(plain(saved))
    merged = works(lambda: nnx.merge(nnx.split(Stack())[0], restored))
    expect(values(merged), values(saved))


@claim(
    "restored-places-are-strings",
    "What Orbax restores without a target has strings for the places in an `nnx.List`, which the state numbers.",
    "lessons/checkpoints.md#the-model-has-changed-since-the-save",
    ORBAX,
)
def restored_places_are_strings() -> None:
    saved = plain(Stack(2))
    expect([list(saved["layers"]), list(from_orbax(saved)["layers"])], [[0, 1], ["0", "1"]])


@claim(
    "update-takes-restored-places",
    "`nnx.update` takes what Orbax restores without a target into a model with an `nnx.List`.",
    FIT,
    ORBAX,
)
def update_takes_restored_places() -> None:
    model, restored = Stack(2, start=5.0), from_orbax(plain(Stack(2)))
    works(lambda: nnx.update(model, restored))
    expect(values(model), [0, 1])


@claim(
    "restore-int-paths-mends-places",
    "After `nnx.restore_int_paths`, `nnx.update` puts what Orbax restores without a target into an `nnx.List`.",
    FIT,
    ORBAX,
)
def restore_int_paths_mends_places() -> None:
    model, restored = Stack(start=5.0), from_orbax(plain(Stack()))
    expect("0" in restored["layers"], True)
    works(lambda: nnx.update(model, nnx.restore_int_paths(restored)))
    expect(values(model), list(range(12)))


@claim(
    "replace-by-pure-dict-takes-strings",
    "`nnx.replace_by_pure_dict` takes strings for the places in an `nnx.List`, and gives each layer its own numbers.",
    FIT,
    ORBAX,
)
def replace_by_pure_dict_takes_strings() -> None:
    model, restored = Stack(start=5.0), from_orbax(plain(Stack()))
    state = nnx.state(model)
    expect("0" in restored["layers"], True)
    works(lambda: nnx.replace_by_pure_dict(state, restored))
    nnx.update(model, state)
    expect(values(model), list(range(12)))


@claim(
    "a-target-keeps-the-order",
    "What Orbax restores into the state of a model with an `nnx.List` gives each of 12 layers its own numbers.",
    RUN,
    ORBAX,
)
def a_target_keeps_the_order() -> None:
    saved, model = Stack(), Stack(start=5.0)
    restored = works(lambda: from_orbax(nnx.state(saved), nnx.state(model)))
    expect(read(leaves(restored)["layers.0"]) is read(saved.layers[0]), False)
    nnx.update(model, restored)
    expect(values(model), list(range(12)))


@claim(
    "orbax-saves-no-elements",
    "Orbax saves a Param of no elements with the rest of a state.",
    BROKEN,
    ORBAX,
)
def orbax_saves_no_elements() -> None:
    state = nnx.state(Empty())
    restored = works(lambda: from_orbax(state, state))
    expect(read(restored["empty"]).shape, (0, 2))


@claim(
    "msgpack-takes-a-plain-dict",
    "`flax.serialization.to_bytes` of `nnx.to_pure_dict(state)` comes back through `from_bytes`, to the last digit.",
    SEE,
    ISSUE,
)
def msgpack_takes_a_plain_dict() -> None:
    model = Layer(nnx.Variable(jnp.array(7.0)))
    restored = works(lambda: serialization.from_bytes(plain(Layer()), serialization.to_bytes(plain(model))))
    expect({name: array.tolist() for name, array in restored.items()} == numbers(model), True)


@claim(
    "msgpack-takes-a-state",
    "`flax.serialization.to_bytes` takes the `nnx.State` of a model.",
    SEE,
    ISSUE,
)
def msgpack_takes_a_state() -> None:
    state = nnx.state(Layer())
    written = works(lambda: serialization.to_bytes(state))
    expect(isinstance(written, bytes), True)


@claim(
    "msgpack-refuses-a-key",
    "`flax.serialization.to_bytes` of a plain dict with the key of a stream raises a TypeError.",
    KEYS,
    ISSUE,
)
def msgpack_refuses_a_key() -> None:
    streams = plain(nnx.Rngs(0))
    raises(lambda: serialization.to_bytes(streams), TypeError, NO_KEY)


@claim(
    "pickle-takes-params",
    "The Params of a model go through `pickle` as a state, and `nnx.update` puts them into another model.",
    SEE,
    ISSUE,
)
def pickle_takes_params() -> None:
    model, other = Layer(nnx.Variable(jnp.array(7.0)), bias=lambda _: nnx.Param(jnp.ones(2))), Layer()
    written = works(lambda: pickle.dumps(nnx.state(model, nnx.Param)))
    works(lambda: nnx.update(other, pickle.loads(written)))
    expect([read(other.bias).tolist(), float(read(other.count))], [[1.0, 1.0], 0.0])


@claim(
    "pickle-takes-a-model",
    "A model goes through `pickle` with its Variables, their types and their numbers.",
    SEE,
    ISSUE,
)
def pickle_takes_a_model() -> None:
    model = Layer(nnx.Variable(jnp.array(7.0)))
    other = works(lambda: pickle.loads(pickle.dumps(model)))
    expect(numbers(other) == numbers(model), True)
    expect([type(leaf).__name__ for leaf in (other.kernel, other.count)], ["Param", "Variable"])


@claim(
    "numpy-refuses-a-key",
    "`np.asarray` of the key of a stream raises a TypeError that names `jax.random.key_data`.",
    KEYS,
    ISSUE,
)
def numpy_refuses_a_key() -> None:
    (key,) = (array for path, array in flat(nnx.Dropout(0.5, rngs=nnx.Rngs(0))).items() if "key" in path)
    raises(lambda: np.asarray(key), TypeError, NO_KEY)


@claim(
    "key-data-comes-back",
    "A key goes through NumPy as `jax.random.key_data`, and `jax.random.wrap_key_data` draws what the key draws.",
    KEYS,
)
def key_data_comes_back() -> None:
    key = nnx.Rngs(3).params()
    written = works(lambda: from_npz({"key": jax.random.key_data(key)}))
    expect(isinstance(written["key"], np.ndarray), True)
    drawn = [float(jax.random.normal(each)) for each in (jax.random.wrap_key_data(written["key"]), key)]
    expect(drawn[0] == drawn[1], True)


@claim(
    "numpy-keeps-float32",
    "The arrays of a model go through `np.savez` by their paths, and come back to the last digit.",
    SEE,
)
def numpy_keeps_float32() -> None:
    model = Layer(nnx.Variable(jnp.array(7.0)))
    restored = works(lambda: from_npz(flat(model)))
    expect({type(array) for array in restored.values()}, {np.ndarray})
    expect({name: array.tolist() for name, array in restored.items()} == numbers(model), True)


@claim(
    "numpy-keeps-bfloat16",
    "A Param of bfloat16 goes through `np.savez`, and comes back as bfloat16.",
    DTYPE,
)
def numpy_keeps_bfloat16() -> None:
    model = Layer(bias=lambda _: nnx.Param(jnp.ones(2, jnp.bfloat16)))
    restored = works(lambda: from_npz(flat(model)))
    expect(str(restored["bias"].dtype), "bfloat16")


@claim(
    "update-makes-jax-arrays",
    "`nnx.update` with NumPy arrays leaves arrays of JAX in the Variables.",
    SEE,
)
def update_makes_jax_arrays() -> None:
    model = Layer()
    nnx.update(model, jax.tree.map(np.asarray, nnx.state(model)))
    found = read(model.kernel)
    expect(["NumPy" if isinstance(found, np.ndarray) else "JAX", found.shape], ["JAX", (4, 2)])


@claim(
    "flatten-dict-joins-places",
    "`flax.traverse_util.flatten_dict(…, sep='.')` takes the plain dict of a model with an `nnx.List`.",
    "lessons/filters.md#see",
    ISSUE,
)
def flatten_dict_joins_places() -> None:
    found = plain(Stack(2))
    flatten: Any = traverse_util.flatten_dict
    joined = works(lambda: flatten(found, sep="."))
    expect(sorted(joined), ["layers.0", "layers.1"])
