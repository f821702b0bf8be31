"""What a project says once about its audits: the table `[tool.nnx-state.audit]` of its `pyproject.toml`."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from nnx_state._outcome import RefusedError

TABLE = "[tool.nnx-state.audit]"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is audited, and how; what is empty was not said.

    Attributes:
        target: the model: `module:callable`, `module:object` or `file.py:callable`.
        inputs: the same for the arguments of a call.
        method: the name of the method that is called with them.
        select: the ids of the rules to ask.
        ignore: those to leave out.
        baseline: the file of the findings that are known already; relative to the file that names it.
        optimizer: the optimizer, or a function that makes one of the model.
        gradients: the filter of the gradient.
        save: the function that saves, or `orbax`.
        restore: the function that restores.
    """

    target: str = ""
    inputs: str = ""
    method: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    baseline: str = ""
    optimizer: str = ""
    gradients: str = ""
    save: str = ""
    restore: str = ""

    def over(self, project: "Settings") -> "Settings":
        """Return these settings, and those of a project where nothing was said here."""
        mine = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return dataclasses.replace(project, **mine)


def of_project(folder: Path) -> Settings:
    """Return what the nearest `pyproject.toml` says, in a folder or around it; nothing where none says anything.

    Raises:
        RefusedError: If that file cannot be read, or says something that the audit does not know.
    """
    file = project_file(folder)
    return _read(file) if file else Settings()


def project_file(folder: Path) -> Path | None:
    """Return the nearest `pyproject.toml`, in a folder or around it."""
    places = (around / "pyproject.toml" for around in (folder, *folder.parents))
    return next((file for file in places if file.is_file()), None)


def _read(file: Path) -> Settings:
    try:
        content: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedError(f"{file} cannot be read: {error}.") from None
    for key in ("tool", "nnx-state", "audit"):
        content = content.get(key, {})
        if not isinstance(content, dict):
            raise RefusedError(f"{file}: {TABLE} has to be a table.")
    said = {name: _value(file, name, value) for name, value in content.items()}
    if "baseline" in said:
        said["baseline"] = str(file.parent / said["baseline"])
    return Settings(**said)


def _value(file: Path, name: str, value: Any) -> Any:
    """Return a setting in the type that it has here."""
    known = {field.name: field.default for field in dataclasses.fields(Settings)}
    if name not in known:
        raise RefusedError(f"{file}: {TABLE} has no setting {name}: choose among {', '.join(known)}.")
    if isinstance(known[name], str):
        if not isinstance(value, str):
            raise RefusedError(f"{file}: {name} of {TABLE} is {value!r}: write a text.")
        return value
    if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise RefusedError(f"{file}: {name} of {TABLE} is {value!r}: write a list of ids of rules.")
    return tuple(value)
