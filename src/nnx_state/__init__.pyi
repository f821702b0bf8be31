# Written by `python noxfile.py generate` from `__all__` of the lessons' modules.
from .batch_stats import RunningNorm
from .caches import CachedAttention, reorder_cache, reset_cache
from .checkpoints import latest_step, restore_checkpoint, save_checkpoint
from .containers import MLP, hidden_state
from .cost import microseconds, python_calls
from .counters import Buffer, CallCounter, Scratch, persistent_state, restore_persistent
from .filters import Attribute, Exactly, paths, sizes
from .freezing import LoRALinear, merge_lora
from .gradients import loss_and_grads
from .homes import fates, kinds
from .intermediates import Averages, activations
from .large_models import device_bytes, make_in_blocks
from .layer_state import Carry, StatefulRNN, written
from .linear import Linear
from .memory import nbytes, residual_bytes
from .multi_param import MultiParam, multi_param_forward
from .optimizer_state import carry_over, hyperparameter, param_mask
from .own_types import EMA, EmaWeight
from .precision import cast, dtypes, rounded_away
from .processes import gathered, held_here, unequal_copies
from .randomness import Noise, draws, reseed
from .reading_writing import assign, replaced_variables, variable_types
from .scan import Stack
from .seeing import changes, first_not_finite
from .sharding import ShardedLinear, run_on_devices, shardings
from .split_merge import restore, shared, snapshot
from .surgery import LeftOut, from_torch, load_fitting, named_state, renamed
from .testing import differences
from .training import grouped_optimizer, param_groups, train_step
from .transforms import TraceCounter, unchanged
from .vmap_scan import ensemble, member

__all__ = [
    "EMA",
    "MLP",
    "Attribute",
    "Averages",
    "Buffer",
    "CachedAttention",
    "CallCounter",
    "Carry",
    "EmaWeight",
    "Exactly",
    "LeftOut",
    "Linear",
    "LoRALinear",
    "MultiParam",
    "Noise",
    "RunningNorm",
    "Scratch",
    "ShardedLinear",
    "Stack",
    "StatefulRNN",
    "TraceCounter",
    "activations",
    "assign",
    "carry_over",
    "cast",
    "changes",
    "device_bytes",
    "differences",
    "draws",
    "dtypes",
    "ensemble",
    "fates",
    "first_not_finite",
    "from_torch",
    "gathered",
    "grouped_optimizer",
    "held_here",
    "hidden_state",
    "hyperparameter",
    "kinds",
    "latest_step",
    "load_fitting",
    "loss_and_grads",
    "make_in_blocks",
    "member",
    "merge_lora",
    "microseconds",
    "multi_param_forward",
    "named_state",
    "nbytes",
    "param_groups",
    "param_mask",
    "paths",
    "persistent_state",
    "python_calls",
    "renamed",
    "reorder_cache",
    "replaced_variables",
    "reseed",
    "reset_cache",
    "residual_bytes",
    "restore",
    "restore_checkpoint",
    "restore_persistent",
    "rounded_away",
    "run_on_devices",
    "save_checkpoint",
    "shardings",
    "shared",
    "sizes",
    "snapshot",
    "train_step",
    "unchanged",
    "unequal_copies",
    "variable_types",
    "written",
]
