# Written by `python noxfile.py generate` from `__all__` of the lessons' modules.
from .batch_stats import RunningNorm
from .caches import CachedAttention, reorder_cache, reset_cache
from .checkpoints import latest_step, restore_checkpoint, save_checkpoint
from .containers import MLP, hidden_state
from .cost import microseconds, nbytes, python_calls
from .counters import Buffer, CallCounter, Scratch, persistent_state, restore_persistent
from .filters import Attribute, Exactly, paths, sizes
from .freezing import LoRALinear, merge_lora
from .homes import fates, kinds
from .linear import Linear
from .multi_param import MultiParam, multi_param_forward
from .own_types import EMA, EmaWeight
from .randomness import Noise, draws, reseed
from .reading_writing import assign, replaced_variables, variable_types
from .sharding import ShardedLinear, run_on_devices, shardings
from .split_merge import restore, shared, snapshot
from .training import grouped_optimizer, param_groups, train_step
from .transforms import TraceCounter, unchanged
from .vmap_scan import Stack, ensemble, member

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
