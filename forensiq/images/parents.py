"""Finds the other files that a container names: parents, backing files, extents.

A name inside evidence is hostile. It never leads away from where the user pointed: a file is looked for beside the
image and in the folders that were named on the command line, and an absolute path, a drive letter or ``..`` counts for
nothing but its last part. A symbolic link that leads out of these folders is not followed either: it may have come with
the evidence. What is not there is said to be missing; nothing is ever read as zeros instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from forensiq.errors import ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.request import OpenRequest

__all__ = ["MAX_DEPTH", "find_named", "open_parent"]

MAX_DEPTH = 64
"""Longest chain of parents."""
_LONGEST = 4096
_SEPARATORS = re.compile(r"[/\\]+")
_HINT = (
    "put it beside the image, or name its folder with --segments-in DIR (links that lead elsewhere are not followed)"
)


def find_named(name: str, image: Path, folders: Sequence[Path] = ()) -> Path | None:
    """Return the file that ``name`` (as a container states it) is, or ``None`` where it is not there.

    Looked for in ``folders`` and then beside ``image``: a relative path below these that does not lead out of them,
    else its last part alone, in the case of letters as it stands and then in any.
    """
    name = name.split("\0", 1)[0]
    parts = [part for part in _SEPARATORS.split(name) if part not in ("", ".")]
    if not parts or parts[-1] == ".." or not _possible(name):
        return None
    inside = ".." not in parts and name[0] not in "/\\" and not re.match(r"[A-Za-z]:|\w+://", name)
    places = tuple(dict.fromkeys((*folders, image.parent)))
    for folder in places:
        names = [Path(*parts)] if inside and len(parts) > 1 else []
        names.append(Path(parts[-1]))
        for each in names:
            if _is_file(folder / each, places):
                return folder / each
        same = _names_in(folder, folder.stat().st_mtime_ns).get(parts[-1].casefold(), []) if folder.is_dir() else []
        if len(same) == 1 and _is_file(folder / same[0], places):
            return folder / same[0]
    return None


def _possible(name: str) -> bool:
    try:
        return len(os.fsencode(name)) <= _LONGEST
    except UnicodeEncodeError:
        return False


def _is_file(path: Path, places: Sequence[Path]) -> bool:
    """Say whether ``path`` is a file that lies, when every link is followed, below one of ``places``."""
    try:
        if not path.is_file():
            return False
        real = os.path.realpath(path)
        return any(real.startswith(os.path.join(os.path.realpath(each), "")) for each in places)
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


@lru_cache(maxsize=4)
def _names_in(folder: Path, changed: int) -> Mapping[str, list[str]]:  # noqa: ARG001 part of the key
    """Return the names in a folder by what they are without regard to case; a disk may have thousands of files."""
    found: dict[str, list[str]] = {}
    for each in os.scandir(folder):
        found.setdefault(each.name.casefold(), []).append(each.name)
    return found


def open_parent(request: OpenRequest, names: Sequence[str], kind: str, format_: str | None = None) -> EvidenceImage:
    """Open the parent that ``names`` (in the order of trust) name; ``kind`` is the word for it in messages.

    ``format_`` is the format that the container states; without it the content tells. Raises
    :class:`~forensiq.errors.MissingSegmentError` where no file of these names is there, and
    :class:`~forensiq.errors.ImageFormatError` for a chain that is a loop or too long.
    """
    named = [name for name in dict.fromkeys(names) if name]
    path = next((found for name in named if (found := find_named(name, request.path, request.folders))), None)
    if path is None:
        shown = named[0] if named else "a file that it does not name"
        raise MissingSegmentError(
            f"{request.path.name}: its {kind} is not there: {shown}",
            hint=_HINT,
            path=str(request.path),
            missing=named,
        )
    chain = (*request.chain, _identity(request.path))
    if _identity(path) in chain:
        raise ImageFormatError(
            f"{request.path.name}: its {kind} {path.name} leads back to an image of the same chain: a loop",
            path=str(request.path),
            parent=str(path),
        )
    if len(chain) >= MAX_DEPTH:
        raise ImageFormatError(
            f"{request.path.name}: more than {MAX_DEPTH} images depend on each other", path=str(request.path)
        )
    return request.open_other(path, format_, chain)


def _identity(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise ImageFormatError(
            f"{path} cannot be opened: {error.strerror}", path=str(path), errno=error.errno or 0
        ) from error
    return state.st_dev, state.st_ino
