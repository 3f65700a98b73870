"""Writes what stands beside an image while and after it is acquired: map, block digests, record, log."""

from __future__ import annotations

from pathlib import Path

from forensiq.acquisition.plan import AcquisitionPlan
from forensiq.acquisition.result import PipelineResult
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile
from forensiq.model.media_map import MediaMap, ReadStatus
from forensiq.model.records import AcquisitionRecord, ImageFacts
from forensiq.procedures.evidence_files import EvidenceFiles
from forensiq.reports.log_text import render_log

__all__ = ["SidecarWriter", "image_path"]


def image_path(image: ImageFacts) -> Path:
    """Return the path of the first segment of an image that a record describes."""
    return Path(image.path).parent / image.segments[0].path


class SidecarWriter:
    """The files beside one image. Every file is there as a whole, or in its earlier version, or not at all."""

    def __init__(self, files: EvidenceFiles, plan: AcquisitionPlan) -> None:
        self._files = files
        self._plan = plan

    def save_map(self, media_map: MediaMap, *, finished: bool) -> tuple[str, str]:
        """Write the mapfile; return its name and SHA-256. Positions are bytes of the source, as ddrescue counts."""
        base = self._plan.extent.offset
        shifted = MediaMap(base + media_map.size)
        for extent, state in media_map:
            shifted.mark(extent.shifted(base), state)
        done = media_map.total(ReadStatus.READ, ReadStatus.READ_AFTER_RETRY, ReadStatus.UNREADABLE)
        phase = MapfileState(base + done, "+" if finished else "?")
        comments = ["Positions are bytes of the source."]
        if base:
            comments.append(f"Acquired is only what lies behind byte {base}.")
        text = format_mapfile(shifted, phase, tuple(comments))
        return self._files.map.name, self._files.write_text(self._files.map, text)

    def save_blocks(self, result: PipelineResult) -> tuple[str | None, str | None]:
        """Write the block digests, where there are any; return name and SHA-256 of the file."""
        if result.blocks is None:
            return None, None
        sector = self._plan.sector_size
        medium = Extent(0, result.blocks.size)
        filled = result.media_map.extents(ReadStatus.UNREADABLE, ReadStatus.SKIPPED, ReadStatus.NOT_TRIED)
        named = tuple(part for each in filled if (part := each.intersect(medium)))
        lines = result.blocks.csv_lines(sector, self._plan.extent.offset // sector, named)
        return self._files.blocks.name, self._files.write_text(self._files.blocks, "".join(lines))

    def save_record(self, record: AcquisitionRecord) -> None:
        """Write the record."""
        self._files.write_json(self._files.record, record)

    def save_log(self, record: AcquisitionRecord) -> None:
        """Write the record for people."""
        self._files.write_text(self._files.log, render_log(record))

    def copy_to(self, other: EvidenceFiles, record: AcquisitionRecord) -> None:
        """Write the same files beside a second image, with ``record`` as it is seen from there."""
        for ours, theirs in ((self._files.map, other.map), (self._files.blocks, other.blocks)):
            if ours.exists():
                other.write_text(theirs, ours.read_text("utf-8"))
        other.write_json(other.record, record)
        other.write_text(other.log, render_log(record))

    def save_state(self, state: object) -> None:
        """Write what a resumed run needs."""
        self._files.write_json(self._files.state, state)

    def forget_state(self) -> None:
        """Remove the state: the image is complete and recorded."""
        self._files.state.unlink(missing_ok=True)
