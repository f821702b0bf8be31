"""The rules: what each looks for in a model, what that does to it, and what to write; a module for each subject."""

# In the order in which they are listed: each module registers its rules when it is imported.
from nnx_state.audit.rules import labels, hidden, shared, streams, precision, calls, optimizers, checkpoints, comments  # noqa: F401, I001
from nnx_state.audit.rules.base import ERROR as ERROR
from nnx_state.audit.rules.base import NOTE as NOTE
from nnx_state.audit.rules.base import RULES as RULES
from nnx_state.audit.rules.base import WARNING as WARNING
from nnx_state.audit.rules.base import Found as Found
from nnx_state.audit.rules.base import Model as Model
from nnx_state.audit.rules.base import Rule as Rule
from nnx_state.audit.rules.comments import UNUSED_IGNORE as UNUSED_IGNORE
