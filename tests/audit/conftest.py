"""Modules that a test writes."""

import importlib.util
import sys

import pytest


@pytest.fixture(autouse=True)
def forgotten(tmp_path):
    """Forget the modules that a test has written, so that another one of the same name is read anew."""
    yield
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a source into a file of its own, and gives the module that it makes."""

    def load(name, source):
        file = tmp_path / f"{name}.py"
        file.write_text(source)
        spec = importlib.util.spec_from_file_location(name, file)
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return made

    return load
