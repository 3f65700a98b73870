"""The sheet of a disc image (``.cue``): its files and tracks. Hostile text, bounded; nothing in it is followed here.

Source: the CDRWIN user's guide, whose words the format has kept.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from forensiq.errors import ImageFormatError

__all__ = ["MODES", "Track", "parse_cue"]

MODES = {
    "MODE1/2048": (2048, 0), "MODE1/2352": (2352, 16), "MODE2/2048": (2048, 0), "MODE2/2324": (2324, 0),
    "MODE2/2336": (2336, 8), "MODE2/2352": (2352, 24), "CDI/2336": (2336, 8), "CDI/2352": (2352, 24),
    "AUDIO": (2352, -1), "CDG": (2448, -1),
}  # fmt: skip
"""Kind of track → bytes of a stored sector, and where its 2048 bytes of user data begin (-1: audio)."""

_FILE = re.compile(r'FILE\s+(?:"([^"]*)"|(\S+))\s+(\w+)', re.IGNORECASE)
_TRACK = re.compile(r"TRACK\s+(\d{1,2})\s+(\S+)", re.IGNORECASE)
_INDEX = re.compile(r"INDEX\s+(\d{1,2})\s+(\d{1,3}):(\d{1,2}):(\d{1,2})", re.IGNORECASE)
_REMARK = re.compile(r"REM\s+SESSION\s+(\d{1,2})", re.IGNORECASE)
_MOST_LINES = 10_000


class Track(Struct, frozen=True):
    """One track. ``start`` is the sector of its index 1 inside its file; ``first`` the first sector it has there."""

    number: int
    kind: str
    file: str
    session: int
    first: int
    start: int


def parse_cue(path: Path, data: bytes) -> list[Track]:
    """Return the tracks of a sheet; :class:`~forensiq.errors.ImageFormatError` for one that cannot be."""
    text = data.decode("utf-8-sig", "surrogateescape")
    tracks: list[Track] = []
    file, session = "", 1
    number, kind = 0, ""
    indexes: dict[int, int] = {}

    def close() -> None:
        if not kind:
            return
        if 1 not in indexes:
            raise ImageFormatError(f"{path}: track {number} of the cue sheet has no index 1", path=str(path))
        tracks.append(Track(number, kind, file, session, indexes.get(0, indexes[1]), indexes[1]))

    for line in text.splitlines()[:_MOST_LINES]:
        line = line.strip()
        if found := _FILE.match(line):
            close()
            kind, indexes = "", {}
            file = found[1] if found[1] is not None else found[2]
            if found[3].upper() != "BINARY":
                file_kind = found[3].upper()
                raise ImageFormatError(
                    f"{path}: a file of the kind {file_kind} in the cue sheet: forensiq reads BINARY ones",
                    path=str(path),
                )
        elif found := _TRACK.match(line):
            close()
            number, kind, indexes = int(found[1]), found[2].upper(), {}
            if kind not in MODES:
                raise ImageFormatError(f"{path}: a track of the kind {kind}: forensiq does not know it", path=str(path))
        elif found := _INDEX.match(line):
            minutes, seconds, frames = int(found[2]), int(found[3]), int(found[4])
            indexes[int(found[1])] = (minutes * 60 + seconds) * 75 + frames
        elif found := _REMARK.match(line):
            session = int(found[1])
    close()
    if not tracks:
        raise ImageFormatError(f"{path}: the cue sheet names no track", path=str(path))
    return tracks
