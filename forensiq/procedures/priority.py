"""``--priority metadata``: the order of a rescue follows the file systems on the failing medium (decision 0100).

1. What describes everything: partition tables, boot sectors and superblocks, the tables and maps of each file system.
2. Directories: a walk through each file system, which reads them and the records of all files.
3. Everything that is in use.

The parsing is done by a sandboxed worker that has no access to the source: each of its reads is one of the rescue's, so
nothing is read twice, and what it needed is saved. What cannot be parsed is left to the order of the medium, and said.
"""

from __future__ import annotations

from collections.abc import Generator

from forensiq.acquisition.rescue import Fetch, Stage
from forensiq.analysis.explorer import Explorer
from forensiq.analysis.opening import ImageRef, ServedMedium
from forensiq.clock import monotonic
from forensiq.errors import ForensiqError, ImageFormatError
from forensiq.model.allocation import Allocation, AllocationClass
from forensiq.model.extent import Extent, merge
from forensiq.model.listing import ContentKind, Volume, VolumeSystem
from forensiq.procedures.allocation import allocation_in

__all__ = ["FileSystemOrder"]

_HEAD = 64 << 10
_TAIL = 16 << 10  # the backup of a GPT (34 sectors), of a boot sector or of a volume header
_MOST_S = 600.0


class FileSystemOrder:
    """An order of work (:data:`~forensiq.acquisition.rescue.OrderOfWork`) for a medium of ``size`` bytes.

    ``statement`` says in words what came of it. No more than ``most_s`` seconds are spent on reads for the parsing;
    after that it ends with what was found.
    """

    def __init__(self, size: int, sector_size: int, *, most_s: float = _MOST_S) -> None:
        self._size = size
        self._sector_size = sector_size
        self._left_s = most_s
        self.statement = "the file systems were not looked for"

    def __call__(self, fetch: Fetch) -> Generator[Stage, None, None]:
        """Yield the stages."""
        self.statement = "the search for file systems did not come to its end"
        served = ServedMedium(self._size, self._sector_size, lambda offset, length: self._read(fetch, offset, length))
        try:
            with Explorer(ImageRef("the medium", served=served)) as explorer:
                system = explorer.volumes()
                yield Stage(_heads(system), at_any_cost=True)
                allocation = allocation_in(explorer, system, as_recognised=True)
                yield Stage(allocation.of(AllocationClass.TABLE, AllocationClass.METADATA), at_any_cost=True)
                for volume in system.volumes:
                    if volume.content(ContentKind.FILE_SYSTEM) is not None:
                        _walk_through(explorer, volume)
                lost = len(explorer.losses)
        except ForensiqError as error:
            # Only what concerns the parsing: a lost source, a full disk and a request to stop end the rescue.
            if type(error) is not ForensiqError and not isinstance(error, ImageFormatError):
                raise
            self.statement = f"in the order of the medium: its file systems cannot be read ({error})"
            return
        self.statement = self._said(allocation, lost)
        yield Stage(allocation.of(AllocationClass.ALLOCATED))
        yield Stage(allocation.of(AllocationClass.NOT_READABLE, AllocationClass.BOOT))

    def _read(self, fetch: Fetch, offset: int, length: int) -> bytes | None:
        if self._left_s <= 0:
            return None
        started = monotonic()
        data = fetch(offset, length)
        self._left_s -= monotonic() - started
        return data

    def _said(self, allocation: Allocation, lost: int) -> str:
        number = sum(each.file_system is not None for each in allocation.volumes)
        if not number:
            return "in the order of the medium: no file system that can be read was found"
        count = "1 file system" if number == 1 else f"{number} file systems"
        tables = allocation.total(AllocationClass.TABLE, AllocationClass.METADATA)
        in_use = allocation.total(AllocationClass.ALLOCATED)
        words = f"{count} first: {tables:,} bytes of tables and maps, the directories, then {in_use:,} bytes in use"
        if self._left_s <= 0:
            words += "; looking for them was given up when it took too long"
        return words + (f"; {lost} places of them could not be read at first" if lost else "")


def _walk_through(explorer: Explorer, volume: Volume) -> None:
    """Read all directories, and the records of all files: what is read is saved by that."""
    for fs in explorer.state(volume, as_recognised=True).file_systems:
        for _ in explorer.walk(fs, recovery=False, orphans=False):
            pass


def _heads(system: VolumeSystem) -> tuple[Extent, ...]:
    """Return both ends of the medium and of each volume, and the tables: where everything begins and has its backup."""
    whole = Extent(0, system.size)
    places = [whole, *(Extent(each.offset, each.length) for each in system.volumes)]
    ends = [Extent(each.offset, min(_HEAD, each.length)) for each in places]
    ends += [Extent.between(max(each.offset, each.end - _TAIL), each.end) for each in places]
    return merge(each.intersect(whole) for each in ends)
