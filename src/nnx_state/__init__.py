"""The State of NNX: what happens to a value in a Flax NNX module, and the code that the lessons teach."""

from nnx_state.counters import Buffer, CallCounter, Scratch, persistent_state, restore_persistent
from nnx_state.filters import Attribute, Exactly, paths, sizes
from nnx_state.linear import Linear
from nnx_state.multi_param import MultiParam, multi_param_forward
from nnx_state.reading_writing import assign, replaced_variables, variable_types
from nnx_state.split_merge import restore, shared, snapshot
from nnx_state.training import grouped_optimizer, param_groups, train_step
from nnx_state.transforms import TraceCounter, unchanged

__all__ = [
    "Attribute",
    "Buffer",
    "CallCounter",
    "Exactly",
    "Linear",
    "MultiParam",
    "Scratch",
    "TraceCounter",
    "assign",
    "grouped_optimizer",
    "multi_param_forward",
    "param_groups",
    "paths",
    "persistent_state",
    "replaced_variables",
    "restore",
    "restore_persistent",
    "shared",
    "sizes",
    "snapshot",
    "train_step",
    "unchanged",
    "variable_types",
]
