"""Diff: what changed between two images of a drive: sectors, and the files, metadata and free space they belong to.

1. Compare the media, sector by sector; what an image does not have (damage, a scope) is not compared, and said.
2. Ask each image what the differing sectors are in it: the machinery of impact, once for each side.
3. Put both answers together: a file that is hit on both sides changed in place; one that is hit on one side alone got
   these blocks, or lost them, in between.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from forensiq.analysis.explorer import Loss
from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.images.base import EvidenceImage
from forensiq.images.scope_map import inherited_scope
from forensiq.model.extent import Extent, merge
from forensiq.procedures.impact import AreaHit, DamageSource, FileHit, ImpactRecord, impact_of
from forensiq.procedures.partitions import image_reference
from forensiq.streams.progress import Progress
from forensiq.verification.difference import MediumDifference, difference_of

__all__ = ["DiffResult", "FileChange", "diff_images", "lines_of"]

_Key = tuple[int, str, str | None, int]


class FileChange(Struct, frozen=True):
    """A stream that differing sectors fall in: what is hit of it in the first image (``a``), in the second (``b``)."""

    partition: int
    path: str
    stream: str | None
    a: FileHit | None
    b: FileHit | None

    @property
    def change(self) -> str:
        """``changed`` in both, or ``only_in_a``, ``only_in_b``: the file has these sectors in one image alone."""
        return "changed" if self.a and self.b else "only_in_a" if self.a else "only_in_b"


class DiffResult(Struct, frozen=True):
    """What differs; offsets and lengths in bytes of the medium. ``areas`` are in no allocated file, for each side."""

    images: tuple[str, str]
    sizes: tuple[int, int]
    sector_size: int
    medium: MediumDifference
    left_out: tuple[Extent, ...]
    files: tuple[FileChange, ...]
    areas: Mapping[str, tuple[AreaHit, ...]]
    bytes_by_kind: Mapping[str, Mapping[str, int]]
    losses: tuple[Loss, ...]

    @property
    def identical(self) -> bool:
        """Whether both media are the same, as far as both could be read, and both could be read as a whole."""
        seen = self.medium
        return not (seen.differing or seen.not_compared or seen.beyond or self.left_out)

    @property
    def differing_bytes(self) -> int:
        """How many bytes are in sectors that differ."""
        return sum(each.length for each in self.medium.differing)

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.identical:
            return f"the media are identical: {self.medium.compared:,} bytes were compared"
        parts = [f"{self.differing_bytes:,} of {self.medium.compared:,} bytes compared differ"]
        parts[0] += f", in {len(self.medium.differing):,} places"
        if self.medium.beyond:
            larger = "first" if self.sizes[0] > self.sizes[1] else "second"
            parts.append(f"the {larger} image has {self.medium.beyond.length:,} bytes more")
        if self.medium.not_compared:
            lost = sum(each.length for each in self.medium.not_compared)
            parts.append(f"{lost:,} bytes are damaged in one of them and were not compared")
        if self.left_out:
            left = sum(each.length for each in self.left_out)
            parts.append(f"{left:,} bytes were skipped by scope in one of them and were not compared")
        return "; ".join(parts)


def diff_images(
    first: Path, second: Path, *, progress: Progress | None = None, stop: threading.Event | None = None
) -> DiffResult:
    """Return what differs between two images. Raises what opening them raises, and
    :class:`~forensiq.errors.Interrupted` when ``stop`` is set."""
    references = image_reference(first), image_reference(second)
    with open_reference(references[0]) as a, open_reference(references[1]) as b:
        left_out = _left_out(a, b)
        medium = difference_of(a, b, leave_out=left_out, progress=progress or Progress(0), stop=stop)  # 1
        sizes, sector = (a.size, b.size), a.sector_size
    sides = tuple(_side(reference, medium.differing, stop) for reference in references)  # 2
    return DiffResult(  # 3
        images=(references[0].path, references[1].path),
        sizes=sizes,
        sector_size=sector,
        medium=medium,
        left_out=left_out,
        files=tuple(_paired(*sides)),
        areas={name: side.areas for name, side in zip("ab", sides, strict=True)},
        bytes_by_kind={name: side.bytes_by_kind for name, side in zip("ab", sides, strict=True)},
        losses=tuple(loss for side in sides for loss in side.losses),
    )


def _left_out(a: EvidenceImage, b: EvidenceImage) -> tuple[Extent, ...]:
    shared = min(a.size, b.size)
    scopes = [scope for image in (a, b) if (scope := inherited_scope(image)) is not None]
    return merge(each for scope in scopes for each in scope.ranges.skipped(shared))


def _side(reference: ImageRef, differing: tuple[Extent, ...], stop: threading.Event | None) -> ImpactRecord:
    return impact_of(reference, [DamageSource("differs", differing)], stop=stop)


def _paired(a: ImpactRecord, b: ImpactRecord) -> Iterator[FileChange]:
    left, right = _by_key(a), _by_key(b)
    for key in sorted({*left, *right}, key=lambda each: (each[0], each[1], each[2] or "", each[3])):
        partition, path, stream, _ = key
        yield FileChange(partition, path, stream, left.get(key), right.get(key))


def _by_key(record: ImpactRecord) -> dict[_Key, FileHit]:
    kinds = ("content", "inode", "directory", "slack", "file_system_metadata")
    found: dict[_Key, FileHit] = {}
    for hit in sorted(record.files, key=lambda each: kinds.index(each.kind) if each.kind in kinds else len(kinds)):
        if hit.allocated:
            found.setdefault((hit.partition, hit.path, hit.stream, kinds.index(hit.kind) >= 3), hit)
    return found


def lines_of(result: DiffResult) -> Iterator[dict[str, object]]:
    """Yield the result as objects for JSON Lines: files, areas, ranges, and the summary last."""
    for each in result.files:
        hit = each.b or each.a
        assert hit is not None
        yield {
            "entry": "file",
            "change": each.change,
            "partition": each.partition,
            "path": each.path,
            "path_hex": hit.path_hex,
            "stream": each.stream,
            "kind": hit.kind,
            "a": _facts(each.a),
            "b": _facts(each.b),
        }
    for side, areas in result.areas.items():
        for area in areas:
            yield {
                "entry": "area",
                "side": side,
                "kind": area.kind,
                "partition": area.partition,
                "offset": area.offset,
                "length": area.length,
                "note": area.note,
            }
    for name, extents in (
        ("range", result.medium.differing),
        ("not_compared", result.medium.not_compared),
        ("skipped_by_scope", result.left_out),
        ("beyond", (result.medium.beyond,) if result.medium.beyond else ()),
    ):
        for extent in extents:
            yield {
                "entry": name,
                "offset": extent.offset,
                "length": extent.length,
                "first_lba": extent.offset // result.sector_size,
                "sectors": -(-extent.length // result.sector_size),
            }
    yield {
        "entry": "summary",
        "schema": "forensiq/diff/1",
        "images": list(result.images),
        "sizes": list(result.sizes),
        "identical": result.identical,
        "differing_bytes": result.differing_bytes,
        "differing_ranges": len(result.medium.differing),
        "compared_bytes": result.medium.compared,
        "bytes_by_kind": {side: dict(kinds) for side, kinds in result.bytes_by_kind.items()},
        "not_looked_into": [f"{loss.where}: {loss.message}" for loss in result.losses[:100]],
        "summary": result.summary,
    }


def _facts(hit: FileHit | None) -> dict[str, object] | None:
    if hit is None:
        return None
    return {
        "inode": hit.inode,
        "kind": hit.kind,
        "bytes": hit.bytes,
        "size": hit.size,
        "ranges": [dict(each) for each in hit.ranges],
    }
