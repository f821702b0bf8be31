"""Audit: ask your own model what the lessons ask, and be told the line that made each value that is not right."""

from nnx_state.audit.findings import Finding as Finding
from nnx_state.audit.report import Report as Report
from nnx_state.audit.report import audit as audit
from nnx_state.audit.table import Row as Row
from nnx_state.audit.table import table as table
