"""Writes what stands beside an image while and after it is acquired: map, block digests, record, log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from forensiq.acquisition.plan import AcquisitionPlan
from forensiq.acquisition.result import PipelineResult
from forensiq.errors import DestinationError, DestinationFullError
from forensiq.images.output import Reserve
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile
from forensiq.model.media_map import MediaMap, ReadStatus
from forensiq.model.records import AcquisitionRecord, ImageFacts
from forensiq.procedures.evidence_files import EvidenceFiles
from forensiq.reports.log_text import render_log

__all__ = ["SidecarWriter", "image_path", "sidecar_room"]

_ROOM = 1 << 20
_BLOCK_LINE = 100
_LEAST_ROOM = 64 << 10


def sidecar_room(plan: AcquisitionPlan) -> int:
    """Return how many bytes are held for record, log, map, state and block digests of one image.

    1 MiB and the block digests: enough for a map of some thousand areas, which stands in record and log as well.
    """
    size = plan.block_hash_size
    return _ROOM + (_BLOCK_LINE * -(-plan.stored_size // size) if size else 0)


def image_path(image: ImageFacts) -> Path:
    """Return the path of the first segment of an image that a record describes."""
    return Path(image.path).parent / image.segments[0].path


class SidecarWriter:
    """The files beside one image. Every file is there as a whole, or in its earlier version, or not at all.

    :meth:`hold_room` keeps room for them on the disks that the images fill; it is given back when one of them needs it.
    """

    def __init__(self, files: EvidenceFiles, plan: AcquisitionPlan) -> None:
        self._files = files
        self._plan = plan
        self._held: dict[Path, Reserve] = {}

    def hold_room(self, folders: Iterable[Path], *, resuming: bool) -> None:
        """Take the room beforehand; :class:`~forensiq.errors.DestinationFullError` where it is not there.

        ``resuming`` makes do with less: a full disk may have no more than what the earlier sitting gave back.
        """
        wanted = sidecar_room(self._plan)
        for folder in dict.fromkeys(folders):
            size = wanted
            while folder not in self._held:
                try:
                    self._held[folder] = Reserve(folder, size)
                except DestinationFullError:
                    if not resuming or size <= _LEAST_ROOM:
                        self.release_room()
                        raise
                    size //= 2

    def release_room(self) -> None:
        """Give all room back; may be called twice."""
        for reserve in self._held.values():
            reserve.release()
        self._held = {}

    def _write(self, files: EvidenceFiles, path: Path, text: str) -> str:
        try:
            return files.write_text(path, text)
        except DestinationFullError:
            if (held := self._held.pop(path.parent, None)) is None:
                raise
            held.release()
            digest = files.write_text(path, text)
            # The image may still grow elsewhere: what is left is held again, as far as it goes.
            with contextlib.suppress(DestinationError):
                self._held[path.parent] = Reserve(path.parent, _LEAST_ROOM)
            return digest

    def _write_json(self, files: EvidenceFiles, path: Path, value: object) -> str:
        return self._write(files, path, files.json_text(value))

    def save_map(self, media_map: MediaMap, *, finished: bool) -> tuple[str, str]:
        """Write the mapfile; return its name and SHA-256. Positions are bytes of the source, as ddrescue counts."""
        base = self._plan.extent.offset
        shifted = media_map.moved(base)
        done = media_map.total(ReadStatus.READ, ReadStatus.READ_AFTER_RETRY, ReadStatus.UNREADABLE)
        phase = MapfileState(base + done, "+" if finished else "?")
        comments = ["Positions are bytes of the source."]
        if base:
            comments.append(f"Acquired is only what lies behind byte {base}.")
        text = format_mapfile(shifted, phase, tuple(comments))
        return self._files.map.name, self._write(self._files, self._files.map, text)

    def save_blocks(self, result: PipelineResult) -> tuple[str | None, str | None]:
        """Write the block digests, where there are any; return name and SHA-256 of the file."""
        if result.blocks is None:
            return None, None
        sector = self._plan.sector_size
        medium = Extent(0, result.blocks.size)
        filled = result.media_map.extents(ReadStatus.UNREADABLE, ReadStatus.SKIPPED, ReadStatus.NOT_TRIED)
        named = tuple(part for each in filled if (part := each.intersect(medium)))
        lines = result.blocks.csv_lines(sector, self._plan.extent.offset // sector, named)
        return self._files.blocks.name, self._write(self._files, self._files.blocks, "".join(lines))

    def save_record(self, record: AcquisitionRecord) -> None:
        """Write the record."""
        self._write_json(self._files, self._files.record, record)

    def save_log(self, record: AcquisitionRecord) -> None:
        """Write the record for people."""
        self._write(self._files, self._files.log, render_log(record))

    def copy_to(self, other: EvidenceFiles, record: AcquisitionRecord) -> None:
        """Write the same files beside a second image, with ``record`` as it is seen from there."""
        for ours, theirs in ((self._files.map, other.map), (self._files.blocks, other.blocks)):
            if ours.exists():
                self._write(other, theirs, ours.read_text("utf-8"))
        self._write_json(other, other.record, record)
        self._write(other, other.log, render_log(record))

    def save_state(self, state: object) -> None:
        """Write what a resumed run needs."""
        self._write_json(self._files, self._files.state, state)

    def forget_state(self) -> None:
        """Remove the state and the map that a scope begins with: there is nothing to go on from."""
        self._files.map.unlink(missing_ok=True)
        self._files.state.unlink(missing_ok=True)

    def forget_unfinished(self) -> None:
        """Remove what only an unfinished acquisition needs: it is complete and recorded. The state goes last."""
        for path in (self._files.rescue_store, self._files.rescue_map, self._files.state):
            path.unlink(missing_ok=True)
