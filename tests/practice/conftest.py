"""Each test has a learner of its own: a folder to work in and a progress file beside it."""

import pytest


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("NNX_STATE_PROGRESS", str(tmp_path / "state" / "progress.json"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
