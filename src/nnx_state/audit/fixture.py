"""A fixture for pytest: write `pytest_plugins = ["nnx_state.audit.fixture"]` in `conftest.py`."""

from collections.abc import Callable
from typing import Any

import pytest

from nnx_state.audit import settings
from nnx_state.audit.report import Report, audit


@pytest.fixture
def audit_state(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Return a function that audits a model and raises an AssertionError with its errors and warnings.

    It takes what `nnx_state.audit.audit` takes, and returns the report.
    The rules are those that the project's `pyproject.toml` selects and ignores, unless the call says others.
    """
    project = settings.of_project(request.config.rootpath)
    said: dict[str, Any] = {"select": project.select or None, "ignore": project.ignore}

    def audited(model: Any, **arguments: Any) -> Report:
        __tracebackhide__ = True  # as in `raise_for`
        report = audit(model, **(said | arguments))
        report.raise_for()
        return report

    return audited
