"""The State of NNX: what happens to a value in a Flax NNX module, and the code that the lessons teach."""

from nnx_state.batch_stats import RunningNorm
from nnx_state.caches import CachedAttention, reorder_cache, reset_cache
from nnx_state.checkpoints import latest_step, restore_checkpoint, save_checkpoint
from nnx_state.containers import MLP, hidden_state
from nnx_state.cost import microseconds, nbytes, python_calls
from nnx_state.counters import Buffer, CallCounter, Scratch, persistent_state, restore_persistent
from nnx_state.filters import Attribute, Exactly, paths, sizes
from nnx_state.freezing import LoRALinear, merge_lora
from nnx_state.homes import fates, kinds
from nnx_state.linear import Linear
from nnx_state.multi_param import MultiParam, multi_param_forward
from nnx_state.own_types import EMA, EmaWeight
from nnx_state.randomness import Noise, draws, reseed
from nnx_state.reading_writing import assign, replaced_variables, variable_types
from nnx_state.sharding import ShardedLinear, run_on_devices, shardings
from nnx_state.split_merge import restore, shared, snapshot
from nnx_state.training import grouped_optimizer, param_groups, train_step
from nnx_state.transforms import TraceCounter, unchanged
from nnx_state.vmap_scan import Stack, ensemble, member

__all__ = [
    "EMA",
    "MLP",
    "Attribute",
    "Buffer",
    "CachedAttention",
    "CallCounter",
    "EmaWeight",
    "Exactly",
    "Linear",
    "LoRALinear",
    "MultiParam",
    "Noise",
    "RunningNorm",
    "Scratch",
    "ShardedLinear",
    "Stack",
    "TraceCounter",
    "assign",
    "draws",
    "ensemble",
    "fates",
    "grouped_optimizer",
    "hidden_state",
    "kinds",
    "latest_step",
    "member",
    "merge_lora",
    "microseconds",
    "multi_param_forward",
    "nbytes",
    "param_groups",
    "paths",
    "persistent_state",
    "python_calls",
    "reorder_cache",
    "replaced_variables",
    "reseed",
    "reset_cache",
    "restore",
    "restore_checkpoint",
    "restore_persistent",
    "run_on_devices",
    "save_checkpoint",
    "shardings",
    "shared",
    "sizes",
    "snapshot",
    "train_step",
    "unchanged",
    "variable_types",
]
