"""The names of the files of a raw image, and in which folder each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forensiq.images.output import FileCalls, part_path, remove

__all__ = ["RawParts"]


class RawParts:
    """``X.dd``, or ``X.001`` … of a split image; parts are in the folder of the stem but for those that were spilled.

    ``folders`` are those in which parts may be besides, in the order in which they were filled.
    """

    def __init__(self, stem: Path, count: int, *, split: bool, folders: Sequence[Path] = ()) -> None:
        self._home = stem.parent
        self._folders = tuple(folders)
        self._names = [f"{stem.name}.{number:03d}" for number in range(1, count + 1)] if split else [f"{stem.name}.dd"]
        self._placed: dict[int, Path] = {}
        self.current = stem.parent

    @property
    def paths(self) -> tuple[Path, ...]:
        """The final names of all files, in order."""
        return tuple(self.path(index) for index in range(len(self._names)))

    def path(self, index: int) -> Path:
        """Return the final name of one file."""
        return self._placed.get(index, self._home) / self._names[index]

    def name_in_record(self, index: int) -> str:
        """Return the name as it stands in a record: absolute where the file is not beside the first one's folder."""
        path = self.path(index)
        return path.name if path.parent == self._home else str(path.absolute())

    def path_in(self, index: int, folder: Path) -> Path:
        """Return the final name that a file would have in ``folder``."""
        return folder / self._names[index]

    def place(self, index: int, folder: Path) -> None:
        """Note that this file is in ``folder``, and that the next ones go there."""
        self._placed[index] = folder
        self.current = folder

    def used_folders(self) -> tuple[Path, ...]:
        """Return the folders that hold a file."""
        return tuple(dict.fromkeys(path.parent for path in self.paths))

    def locate(self, calls: FileCalls) -> None:
        """Find the files that an earlier writer left; a copy that it did not complete is removed.

        A part that is spilled is copied before it is removed where it was, so the earlier place is the whole one.
        """
        for index, name in enumerate(self._names):
            found = [
                folder
                for folder in dict.fromkeys((self._home, *self._folders))
                if (folder / name).exists() or part_path(folder / name).exists()
            ]
            if not found:
                return
            self.place(index, found[0])
            for folder in found[1:]:
                remove(part_path(folder / name), calls=calls)
