"""The files of the repository: as they are, and above them those that are made anew."""

from pathlib import Path

ROOT = Path(__file__).parents[3]


class Tree:
    """Reads files and collects what is to be written, so that a file can be made of others that are made.

    Paths are relative to the root and written with slashes, such as `docs/lessons/linear.md`.

    Args:
        root: the folder that holds `mkdocs.yml`.

    Attributes:
        made: the text of each file that was made, by path.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.made: dict[str, str] = {}

    def has(self, path: str) -> bool:
        """Tell whether a file was made, or is there."""
        return path in self.made or (self.root / path).is_file()

    def read(self, path: str) -> str:
        """Return the text of a file, as it was made if it was."""
        return self.made[path] if path in self.made else (self.root / path).read_text("utf-8")

    def make(self, path: str, text: str) -> None:
        """Say what a file is to hold."""
        self.made[path] = text

    def stale(self) -> list[str]:
        """Return the paths of the files that are missing, or hold something else than was made."""
        return [path for path, text in self.made.items() if self._on_disk(path) != text.encode()]

    def write(self) -> list[str]:
        """Write the stale files, each at once and whole, and return their paths; the others are not touched."""
        stale = self.stale()
        for path in stale:
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_name(f"{file.name}.new")
            new.write_text(self.made[path], "utf-8", newline="\n")
            new.replace(file)
        return stale

    def _on_disk(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None
