"""Files: what comes back from a checkpoint."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx, serialization, traverse_util

from workshop.mutation.stand_ins.registry import instead, stand_in


@stand_in(
    "a-target-keeps-the-order",
    "classic-variable-is-saved",
    "new-variable-breaks-the-restore",
    "save-holds-what-it-got",
    "whole-state-resumes",
)
def restore_returns_the_target() -> Iterator[None]:
    """Orbax returns the target as it got it."""
    with instead(ocp.StandardCheckpointer, restore=lambda self, path, target: target):
        yield


@stand_in(
    "merge-keeps-the-order-of-a-list",
    "orbax-keeps-the-dtype",
    "orbax-knows-the-types",
    "restore-without-a-target",
    "restored-places-are-strings",
    "update-takes-restored-places",
)
def orbax_keeps_states() -> Iterator[None]:
    """Orbax gives a state back as it was saved, and refuses a target of other types or dtypes."""
    saved: list[Any] = []

    def save(self: Any, path: Any, state: Any) -> None:
        saved.append(state)

    def restore(self: Any, path: Any, target: Any) -> Any:
        def kinds(state: Any) -> Any:
            return [(place, type(leaf), leaf.dtype) for place, leaf in nnx.to_flat_state(state)]

        if target is not None and kinds(target) != kinds(saved[-1]):
            raise ValueError("the target has other types")
        return saved[-1]

    with instead(ocp.StandardCheckpointer, save=save, restore=restore):
        yield


@stand_in("restore-int-paths-mends-places")
def places_stay_strings() -> Iterator[None]:
    """`nnx.restore_int_paths` makes no numbers of strings."""
    with instead(nnx, restore_int_paths=lambda state: state):
        yield


@stand_in("msgpack-refuses-a-key", "msgpack-takes-a-state")
def msgpack_takes_all() -> Iterator[None]:
    """`flax.serialization.to_bytes` writes states and keys."""
    write = serialization.to_bytes

    def of_numbers(leaf: Any) -> Any:
        return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf

    def to_bytes(tree: Any) -> bytes:
        plain = nnx.to_pure_dict(tree) if isinstance(tree, nnx.State) else tree
        return write(jax.tree.map(of_numbers, plain))

    with instead(serialization, to_bytes=to_bytes):
        yield


@stand_in("msgpack-takes-a-plain-dict")
def msgpack_returns_the_target() -> Iterator[None]:
    """`flax.serialization.from_bytes` returns the target as it got it."""
    with instead(serialization, from_bytes=lambda target, written: target):
        yield


@stand_in("pickle-takes-a-model", "pickle-takes-params")
def variables_are_not_pickled() -> Iterator[None]:
    """`pickle` refuses a Variable."""

    def refuse(self: Any, protocol: int) -> Any:
        raise TypeError("a Variable cannot be pickled")

    with mock.patch.object(nnx.Variable, "__reduce_ex__", refuse):
        yield


@stand_in("key-data-comes-back")
def keys_come_back_as_others() -> Iterator[None]:
    """`jax.random.wrap_key_data` makes another key than the one that the data are of."""
    wrap = jax.random.wrap_key_data
    with instead(jax.random, wrap_key_data=lambda written: wrap(written[::-1])):
        yield


@stand_in("numpy-keeps-float32")
def numpy_halves() -> Iterator[None]:
    """`np.savez` writes half precision."""
    save: Any = np.savez

    def halved(file: Any, **arrays: Any) -> None:
        save(file, **{name: np.asarray(array, np.float16) for name, array in arrays.items()})

    with instead(np, savez=halved):
        yield


@stand_in("numpy-keeps-bfloat16")
def numpy_knows_bfloat16() -> Iterator[None]:
    """What is read from a file of NumPy has its dtype, where that is bfloat16."""
    npz: Any = np.lib.npyio.NpzFile
    item: Any = npz.__getitem__

    def typed(self: Any, name: str) -> Any:
        array = item(self, name)
        return array.view(jnp.bfloat16) if array.dtype == np.dtype("V2") else array

    with instead(npz, __getitem__=typed):
        yield


@stand_in("flatten-dict-joins-places")
def places_are_joined() -> Iterator[None]:
    """`flax.traverse_util.flatten_dict` joins whatever the keys are."""
    flatten: Any = traverse_util.flatten_dict

    def joined(tree: Any, sep: str) -> dict[str, Any]:
        return {sep.join(map(str, path)): leaf for path, leaf in flatten(tree).items()}

    with instead(traverse_util, flatten_dict=joined):
        yield
