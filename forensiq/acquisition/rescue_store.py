"""Where the bytes of a failing drive wait until they can be put in order: a sparse raw file and a mapfile.

They are what GNU ddrescue works with (``ddrescue DEVICE X.rescue.part X.rescue.map`` goes on with them). The map claims
nothing that is not durable: the file is synced first, the map is replaced second.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from forensiq.errors import DestinationError, DestinationExistsError, ImageFormatError
from forensiq.images.output import FileCalls, OutputFile, remove
from forensiq.images.sparse import SparseTarget
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile, parse_mapfile
from forensiq.model.media_map import MediaMap
from forensiq.streams.durable import destination_error, write_durably

__all__ = ["RescueStore", "load_map", "load_rescue", "map_saver", "retries_made"]

_MOST_MAP = 256 << 20


class RescueStore(SparseTarget):
    """A :class:`~forensiq.images.base.RescueTarget` in a file of its own; made when the first byte comes.

    ``resume`` takes up a file that is there; else one that is there is a :class:`DestinationExistsError`.
    ``largest`` is where files end on the file system (bytes), if that is known: the store is as long as the medium.
    """

    in_place = False
    in_order_end = 0

    def __init__(
        self, path: Path, *, resume: bool = False, largest: int | None = None, calls: FileCalls | None = None
    ) -> None:
        self.path = path
        self._largest = largest
        self._calls = calls
        self._output: OutputFile | None = None
        if resume:
            self._output = OutputFile.reopen(path, calls=calls)
        elif os.path.lexists(path):
            raise DestinationExistsError(f"{path} exists already and is not replaced", path=str(path))

    def begin_rescue(self, offset: int) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.begin_rescue`; makes the file."""
        del offset
        if self._output is None:
            self._output = OutputFile.create(self.path, calls=self._calls)

    def room(self) -> int | None:
        """See :meth:`forensiq.images.base.RescueTarget.room`: what is free, and no more than a file can hold."""
        try:
            facts = os.statvfs(self.path.parent)
        except OSError as error:
            raise destination_error(error, self.path.parent, "measuring") from error
        free = facts.f_bavail * facts.f_frsize
        return free if self._largest is None else min(free, self._largest)

    @property
    def _sparse(self) -> OutputFile:
        if self._output is None:
            raise DestinationError(f"{self.path} is not open", path=str(self.path))
        return self._output

    def close(self) -> None:
        """Close the file and keep it; may be called twice."""
        if self._output is not None:
            self._output.close()

    def discard(self) -> None:
        """Close and remove the file, where there is one: its bytes are in the image."""
        if self._output is not None:
            self._output.close()
            remove(self.path, calls=self._calls)
            self._output = None


def map_saver(path: Path, *comments: str, base: int = 0) -> Callable[[MediaMap, MapfileState], None]:
    """Return what writes a map to ``path`` as a mapfile, durably, in place of the one before.

    Positions in the file are bytes of the source, as ddrescue counts; byte ``base`` of it is byte 0 of the medium.
    """

    def save(media_map: MediaMap, state: MapfileState) -> None:
        state = replace(state, position=base + state.position)
        write_durably(path, format_mapfile(media_map.moved(base), state, comments).encode(), replace=True)

    return save


def load_map(path: Path, size: int, *, base: int = 0) -> MediaMap:
    """Return the map in the mapfile ``path`` for a medium of ``size`` bytes that starts at byte ``base`` of the source.

    A file that is none is an :class:`ImageFormatError`."""
    return load_rescue(path, size, base=base)[0]


def retries_made(state: MapfileState) -> int:
    """Return how many rounds of retries are behind a rescue in this state (ddrescue counts them as passes)."""
    return {"+": state.current_pass, "-": state.current_pass - 1}.get(state.phase, 0)


def load_rescue(path: Path, size: int, *, base: int = 0) -> tuple[MediaMap, MapfileState]:
    """As :func:`load_map`; and where the rescue stood, as the file says (positions are bytes of the source)."""
    try:
        if path.stat().st_size > _MOST_MAP:
            raise ImageFormatError(f"{path} is too large to be a map", path=str(path))
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise ImageFormatError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    # Of a part of a source, another program's map may tell of the rest too.
    media_map, state = parse_mapfile(text, None if base else size)
    return media_map.part(Extent(base, size)), state
