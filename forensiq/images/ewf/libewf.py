"""EWF through libewf: the second opinion on an E01, and the reader of Ex01. The only module that knows pyewf.

What libewf (20240506 to 20260924) does that a caller must know: a chunk with a wrong checksum is given as zeros,
without an error; a set whose last segments are missing opens with its full size; one handle used by two threads at once
crashes. So each thread gets a handle of its own, the set is found by :func:`find_segments` and not by ``pyewf.glob``,
and nothing that is read here counts as checked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyewf

from forensiq.errors import ImageDamageError, ImageFormatError, UnknownHashError
from forensiq.images.request import OpenRequest
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing

__all__ = ["LibewfImage", "open_ex01"]

_FIELDS = {
    "case_number": "case_number",
    "evidence_number": "evidence_number",
    "examiner_name": "examiner",
    "description": "description",
    "notes": "notes",
    "model": "model",
    "serial_number": "serial",
    "acquiry_software_version": "software",
    "acquiry_operating_system": "operating_system",
}


class LibewfImage(Closing):
    """An image read by libewf; satisfies :class:`forensiq.images.base.EvidenceImage`."""

    parallel_reads = 8
    acquisition_errors: Sequence[Extent] = ()

    def __init__(self, paths: Sequence[Path], *, image_format: str = "ex01") -> None:
        """Open the segments ``paths``, all of them and in order; ``ImageFormatError`` where libewf cannot."""
        self.format = image_format
        self._paths = tuple(paths)
        self._local = threading.local()
        self._handles: list[Any] = []
        self._lock = threading.Lock()
        self.library_version = f"libewf {pyewf.get_version()}"
        handle = self._handle()
        try:
            self.size = int(handle.get_media_size())
            self.sector_size = int(handle.get_bytes_per_sector())
            self.chunk_size: int | None = int(handle.get_chunk_size())
            self.metadata = _metadata(handle.get_header_values() or {})
            self.stored_digests = _digests(handle.get_hash_values() or {})
        except OSError as error:
            self.close()
            raise ImageFormatError(
                f"{self._paths[0]} cannot be read by libewf: {_short(error)}", path=str(self._paths[0])
            ) from error
        if self.size <= 0 or self.sector_size <= 0:
            self.close()
            raise ImageFormatError(f"{self._paths[0]} has no medium: it is malformed", path=str(self._paths[0]))
        self.compression: str | None = None
        folder = self._paths[0].parent
        self.segments = tuple(
            Segment(number, path.name if path.parent == folder else str(path.absolute()), path.stat().st_size)
            for number, path in enumerate(self._paths, 1)
        )
        self.identity = SourceIdentity(SourceKind.IMAGE, str(self._paths[0]), self.size, self.sector_size)

    def _handle(self) -> Any:  # noqa: ANN401 pyewf has no types
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = pyewf.handle()
            try:
                handle.open([str(path) for path in self._paths])
            except OSError as error:
                raise ImageFormatError(
                    f"{self._paths[0]} cannot be opened by libewf: {_short(error)}", path=str(self._paths[0])
                ) from error
            self._local.handle = handle
            with self._lock:
                self._handles.append(handle)
        return handle

    def findings(self) -> Sequence[Finding]:
        """Say that nothing here can be located."""
        return (
            Finding(
                Severity.INFO,
                Cause.NOTE,
                "libewf.unlocated",
                "this format is read through libewf, which gives damaged chunks as zeros and does not say so: damage "
                "shows only as a digest that differs, and its place cannot be told",
            ),
        )

    def check_structure(self) -> Iterator[Finding]:
        """The same as :meth:`findings`: libewf does not tell what it checks."""
        yield from self.findings()

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer``; only what libewf reports is an :class:`~forensiq.errors.ImageDamageError`."""
        wanted = max(0, min(len(buffer), self.size - offset))
        handle = self._handle()
        done = 0
        while done < wanted:
            try:
                data = handle.read_buffer_at_offset(wanted - done, offset + done)
            except OSError as error:
                raise ImageDamageError(
                    f"libewf cannot read at byte {offset + done} of the medium: {_short(error)}",
                    offset=offset + done,
                    length=wanted - done,
                    reason="libewf cannot read it",
                ) from error
            if not data:
                raise ImageDamageError(
                    f"libewf gives no bytes at byte {offset + done} of the medium",
                    offset=offset + done,
                    length=wanted - done,
                    reason="libewf gives no bytes",
                )
            buffer[done : done + len(data)] = data
            done += len(data)
        return done

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """Fill ``buffer``, chunk by chunk where that fails, with zeros for what libewf refuses."""
        wanted = Extent.between(offset, min(offset + len(buffer), self.size)) if offset < self.size else Extent(0, 0)
        try:
            return self.read_into(wanted.offset, buffer[: wanted.length]), ()
        except ImageDamageError:
            damage: list[Damage] = []
            for piece in wanted.pieces(self.chunk_size or 1 << 15):
                view = buffer[piece.offset - wanted.offset :][: piece.length]
                try:
                    self.read_into(piece.offset, view)
                except ImageDamageError as error:
                    view[:] = bytes(len(view))
                    damage.append(Damage(piece, None, "libewf.read", str(error)))
            return wanted.length, damage

    def close(self) -> None:
        """Close all handles; may be called twice. No thread may be reading."""
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()
            self._local = threading.local()


def open_ex01(request: OpenRequest) -> LibewfImage:
    """Open an EWF version 2 image (``.Ex01``, ``.Ex02`` …)."""
    path = request.path
    stem, ending = path.name[:-2], path.name[-2:]
    if not (ending.isdecimal() and path.suffix[1:3].lower() == "ex"):
        return LibewfImage([path])
    folders = dict.fromkeys([path.parent, *request.folders])
    paths: list[Path] = []
    for number in range(1, 100):
        places = (folder / f"{stem}{number:02d}" for folder in folders)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            break
        paths.append(found)
    return LibewfImage(paths or [path])


def _metadata(values: dict[str, str]) -> ImageMetadata:
    known = {_FIELDS[name]: text for name, text in values.items() if name in _FIELDS and text}
    other = {name: text for name, text in values.items() if name not in _FIELDS and text}
    return ImageMetadata(**known, other=other)


def _digests(values: dict[str, str]) -> DigestSet:
    found: dict[HashAlgorithm, str] = {}
    for name, text in values.items():
        try:
            algorithm = HashAlgorithm.parse(name)
        except UnknownHashError:
            continue
        if len(text) == 2 * algorithm.digest_size and text.strip("0"):
            found[algorithm] = text.lower()
    return DigestSet.of(found)


def _short(error: OSError) -> str:
    """Return the first clause of libewf's message, which is a whole call stack."""
    return str(error).split(". ")[0][:200]
