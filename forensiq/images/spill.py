"""Where an image goes on when its destination is full: the next of some folders that was not full yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError
from forensiq.streams.durable import destination_error

__all__ = ["SpillFolders", "refuse_taken"]


class SpillFolders:
    """Called by a writer with the segment that met a full destination; returns the folder for the rest of the image.

    Each folder is given once, in the order that was asked for, and none that the error itself names as full.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [Path(each) for each in folders]

    def __call__(self, segment: int, error: DestinationFullError) -> Path | None:
        """Return the next folder, ``None`` where there is none left."""
        del segment
        full = Path(str(error.facts.get("path", ""))).parent
        while self._folders:
            folder = self._folders.pop(0)
            if folder.absolute() != full.absolute():
                return folder
        return None


def refuse_taken(folders: Sequence[Path], stem: str) -> None:
    """Refuse folders that hold files which an image called ``stem`` may need: :class:`DestinationExistsError`."""
    for folder in folders:
        try:
            taken = sorted(each.name for each in folder.iterdir() if each.name.startswith(f"{stem}."))
        except FileNotFoundError:
            continue
        except NotADirectoryError as error:
            raise DestinationError(f"{folder} is a file, not a folder", path=str(folder)) from error
        except OSError as error:
            raise destination_error(error, folder, f"listing {folder}") from error
        if taken:
            raise DestinationExistsError(
                f"{folder / taken[0]} exists already; nothing is replaced", path=str(folder / taken[0])
            )
