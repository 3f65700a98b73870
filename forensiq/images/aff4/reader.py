"""Reads AFF4 images, version 1: one zip file or several that hold stripes; streams, maps, and what was not read.

What the imager could not read (``UnreadableData``) and what nobody tried to (``UnknownData``) are kept apart: the first
are acquisition errors, the second unknown regions. Both are given as AFF4 defines them, so that digests stay what they
were. The digests of the container are of its stored streams and of its map; they are checked as such. Where the chunks
of a stream have digests of their own, each chunk is checked when it is read, and a wrong one is damage of its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from forensiq.errors import Fact, ImageFormatError, MissingSegmentError, UnsupportedContentError
from forensiq.images.aff4.stream import (
    BLOCK_DIGESTS,
    BevyCache,
    ChunkedStream,
    MapStream,
    Stream,
    SymbolicStream,
    symbolic,
)
from forensiq.images.aff4.turtle import AFF4, Facts, Literal
from forensiq.images.aff4.volume import Volume, volume_name
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, problem, stated
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Span, joined
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.finding import Cause, Finding
from forensiq.model.image import ImageMetadata

__all__ = ["Aff4Image", "open_aff4"]

_ALGORITHMS = {AFF4 + name: HashAlgorithm(name.lower()) for name in ("MD5", "SHA1", "SHA256", "SHA512")}
_MOST_VOLUMES = 1024
_PIECE = 1 << 20
_BEVIES_KEPT = 16 << 20
_MOST_FINDINGS = 100


def _digests(facts: Facts, name: str, kind: str = "hash") -> dict[HashAlgorithm, str]:
    found = {}
    for value in facts.values(name, kind):
        if isinstance(value, Literal) and value.type in _ALGORITHMS:
            algorithm, text = _ALGORITHMS[value.type], value.text.strip().lower()
            if len(text) == 2 * algorithm.digest_size and not set(text) - set("0123456789abcdef"):
                found[algorithm] = text
    return found


class Aff4Image(MappedImage):
    """An AFF4 image, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "aff4"

    def __init__(self, path: Path, files: SegmentFiles, volumes: list[Volume], disk: str) -> None:
        self._path = path
        self._volumes = volumes
        self._facts = volumes[0].facts
        self._disk = disk
        self._open: dict[str, Stream] = {}
        self._bevies: BevyCache = BoundedCache(_BEVIES_KEPT)
        self._data = self._facts.text(disk, "dataStream")
        self._stream = self._find(self._data, 0)
        size = self._facts.number(disk, "size") or self._facts.number(self._data, "size") or 0
        super().__init__(files, check_size(path, size))
        if isinstance(self._stream, MapStream | ChunkedStream) and self._stream.size < size:
            raise ImageFormatError(f"{path}: its stream is shorter than its medium", path=str(path))
        sector = self._facts.number(disk, "blockSize") or 512
        self.sector_size = sector if sector in (512, 2048, 4096) else 512
        chunked = self.chunked
        if chunked:
            self.chunk_size = min(max(each.chunk for each in chunked), 2 << 20)
            self.compression = chunked[0].codec.value if chunked[0].codec is not None else "none"
        self.content_checks = bool(chunked) and all(_covered(each) for each in chunked)
        self.stored_digests = DigestSet.of(_digests(self._facts, disk) | _digests(self._facts, self._data))
        self.acquisition_errors = self._with_status("unreadable")
        self.unknown_regions = self._with_status("unknown")
        self.metadata = _metadata(self._facts, disk)

    @property
    def chunked(self) -> list[ChunkedStream]:
        """The streams that hold data."""
        return [each for each in self._open.values() if isinstance(each, ChunkedStream)]

    def _find(self, name: str, depth: int) -> Stream:
        """Return the stream called ``name``; a map may have a map for its target, but not without end."""
        found = symbolic(name) or self._open.get(name)
        if found is not None:
            return found
        volume = next((each for each in self._volumes if self._described(each, name)), None)
        if depth > 2 or volume is None:
            raise ImageFormatError(
                f"{self._path}: the stream {name} of the AFF4 image is nowhere", path=str(self._path)
            )
        facts = volume.facts
        if facts.has_type(name, "EncryptedStream") or facts.has_type(name, "RandomAccessEncryptedStream"):
            raise UnsupportedContentError(f"{self._path} is an encrypted AFF4 image", path=str(self._path))
        if facts.has_type(name, "ImageStream"):
            made: Stream = ChunkedStream(self._path, name, facts, volume, self._bevies)
        elif facts.has_type(name, "Map"):
            made = self._map(name, volume, depth)
        else:
            raise ImageFormatError(
                f"{self._path}: a stream of a kind that forensiq does not know: {name}", path=str(self._path)
            )
        self._open[name] = made
        return made

    def _described(self, volume: Volume, name: str) -> bool:
        """Say whether ``volume`` holds the stream, and does not only mention that another one does."""
        kinds = ("ImageStream", "Map", "EncryptedStream", "RandomAccessEncryptedStream")
        stored = volume.facts.names(name, "stored")
        return any(volume.facts.has_type(name, kind) for kind in kinds) and (not stored or volume.name in stored)

    def _map(self, name: str, volume: Volume, depth: int) -> MapStream:
        members = [volume.find(name, part) for part in ("/map", "/idx")]
        data = [None if each is None else volume.read(each) for each in members]
        if data[0] is None or data[1] is None:
            raise ImageFormatError(f"{self._path}: the map of the AFF4 image is missing", path=str(self._path))
        names = [line.strip() for line in data[1].decode("utf-8", "replace").splitlines() if line.strip()]
        if len(names) > 65_536:
            raise ImageFormatError(f"{self._path}: the map of the AFF4 image is not possible", path=str(self._path))
        targets = [self._find(each, depth + 1) for each in names]
        default = self._find(volume.facts.text(name, "mapGapDefaultStream") or f"{AFF4}Zero", depth + 1)
        size = volume.facts.number(name, "size") or 0
        return MapStream(self._path, size, data[0], targets, default)

    def _with_status(self, status: str) -> tuple[Extent, ...]:
        if not isinstance(self._stream, MapStream):
            return ()
        return merge(
            Extent(place, length)
            for place, length, _, stream in self._stream.parts(0, self.size)
            if isinstance(stream, SymbolicStream) and stream.status == status
        )

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        return self._stream.spans(offset, length)

    def check_container(self) -> Iterator[Finding]:
        """Check the digests of the map's parts and of every stored stream."""
        checked = []
        for part, kind in (("/map", "mapPointHash"), ("/idx", "mapIdxHash"), ("/mapPath", "mapPathHash")):
            volume = self._volumes[0]
            wanted = _digests(volume.facts, self._data, kind)
            member = volume.find(self._data, part)
            data = volume.read(member) if member is not None else None
            for algorithm, text in wanted.items():
                if data is None or hashlib.new(algorithm.value, data).hexdigest() != text:
                    yield problem("aff4.map.digest", f"the {algorithm.value} of {part[1:]} is not the stored one")
                elif part == "/map":
                    checked.append(f"{algorithm.spelled} of the map")
        streams = self.chunked
        proven = 0
        for stream in streams:
            wrong = list(islice(self._block_lists(stream), _MOST_FINDINGS))
            yield from wrong
            wanted = _digests(stream.volume.facts, stream.name)
            computed = self._hash(stream, wanted) if wanted else {}
            for algorithm, text in wanted.items():
                if computed is not None and computed[algorithm] != text:
                    yield problem(
                        "aff4.stream.digest",
                        f"the {algorithm.value} of a stored stream is not the one in the container",
                        cause=Cause.DIGEST,
                        expected=text,
                        found=computed[algorithm],
                        segment=self.files.paths[stream.volume.index].name,
                    )
            if wanted and computed == wanted:
                proven += 1
                checked.append(f"{' and '.join(each.spelled for each in wanted)} of the stored data")
            elif not wanted and not wrong and _covered(stream):
                proven += 1
                checked.append("the digest of each stored chunk")
        if streams and proven == len(streams) and any(each.endswith("map") for each in checked):
            self.container_proof = f"{', '.join(dict.fromkeys(checked))} agree with the container"

    def _block_lists(self, stream: ChunkedStream) -> Iterator[Finding]:
        """Check the lists of the chunks' digests: each can be read, and they are as the container's facts have them."""
        for name in BLOCK_DIGESTS:
            wanted = _digests(stream.volume.facts, f"{stream.name}/blockhash.{name}")
            hashers = {algorithm: hashlib.new(algorithm.value, usedforsecurity=False) for algorithm in wanted}
            for number in range(stream.bevies):
                member = stream.volume.find(stream.name, f"/{number:08d}.blockHash.{name}")
                if member is None:
                    break
                data = stream.volume.read(member)
                if data is None:
                    words = f"the list of block digests ({name}) of segment {number} of a stream is damaged"
                    yield problem("aff4.blocks", words, segment=self.files.paths[stream.volume.index].name)
                    continue
                for hasher in hashers.values():
                    hasher.update(data)
            for algorithm, text in wanted.items():
                if hashers[algorithm].hexdigest() != text:
                    words = f"the {algorithm.value} of the list of block digests ({name}) is not the stored one"
                    yield problem("aff4.blocks.digest", words, expected=text, found=hashers[algorithm].hexdigest())

    def _hash(self, stream: ChunkedStream, wanted: dict[HashAlgorithm, str]) -> dict[HashAlgorithm, str] | None:
        """Return the digests of a stream; ``None`` where a part of it is damaged, which reading it tells."""
        hashers = {algorithm: hashlib.new(algorithm.value) for algorithm in wanted}
        buffer = memoryview(bytearray(_PIECE))
        for piece in Extent(0, stream.size).pieces(_PIECE):
            done = 0
            for span in joined(stream.spans(piece.offset, piece.length)):
                if self.fill(span, piece.offset + done, buffer[done : done + span.length]):
                    return None
                done += span.length
            for hasher in hashers.values():
                hasher.update(buffer[: piece.length])
        return {algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()}


def _covered(stream: ChunkedStream) -> bool:
    """Say whether every chunk of the stream has a digest of its own."""
    return all(stream.block_digests(number) is not None for number in range(stream.bevies))


def open_aff4(request: OpenRequest) -> Aff4Image:
    """Open an AFF4 image with its other volumes; see :class:`~forensiq.images.request.OpenRequest`."""
    path = request.path
    first = SegmentFiles([path])
    try:
        names = _other_volumes(path, Volume(first, 0))
    finally:
        first.close()
    paths = [path, *_find_volumes(request, names)]
    files = SegmentFiles(paths)
    try:
        volumes = [Volume(files, index) for index in range(len(paths))]
        image = Aff4Image(path, files, volumes, _disk(path, volumes[0].facts))
    except ImageFormatError:
        files.close()
        raise
    image.container.update(_about(image, volumes))
    return image


def _other_volumes(path: Path, volume: Volume) -> list[str]:
    """Return the names of the volumes that hold streams of this image and are not this one."""
    facts = volume.facts
    _disk(path, facts)
    streams = [*facts.of_type("ImageStream"), *facts.of_type("Map")]
    stored = {each for name in streams for each in facts.names(name, "stored")}
    if len(stored) > _MOST_VOLUMES:
        raise ImageFormatError(f"{path}: an image of {len(stored)} volumes is not possible", path=str(path))
    return sorted(stored - {volume.name})


def _find_volumes(request: OpenRequest, names: list[str]) -> list[Path]:
    wanted, found = set(names), dict[str, Path]()
    if wanted:
        for folder in dict.fromkeys((request.path.parent, *request.folders)):
            for path in sorted(folder.glob("*.[aA][fF][fF]4")):
                if path.is_file() and (name := volume_name(path)) in wanted:
                    found.setdefault(name, path)
    missing = [name for name in names if name not in found]
    if missing:
        raise MissingSegmentError(
            f"{request.path.name}: {len(missing)} other volumes of the image are not there: {', '.join(missing[:3])}",
            hint="put them beside the image, or name their folder with --segments-in DIR",
            path=str(request.path),
            missing=missing,
        )
    return [found[name] for name in names]


def _disk(path: Path, facts: Facts) -> str:
    disks = [name for name in facts.of_type("Image") if facts.text(name, "dataStream")]
    disks = disks or [name for name in facts.of_type("DiskImage") if facts.text(name, "dataStream")]
    if len(disks) == 1:
        return disks[0]
    if disks:
        raise ImageFormatError(
            f"{path}: the AFF4 volume holds {len(disks)} images: forensiq reads volumes with one", path=str(path)
        )
    if facts.of_type("FileImage"):
        raise ImageFormatError(
            f"{path} is logical evidence (AFF4-L): a collection of files and not the image of a medium", path=str(path)
        )
    raise ImageFormatError(f"{path}: the AFF4 volume holds no image of a medium", path=str(path))


def _metadata(facts: Facts, disk: str) -> ImageMetadata:
    notes = [name for kind in ("CaseDetails", "CaseNotes") for name in facts.of_type(kind)]
    times = facts.of_type("TimeStamps")

    def first(key: str) -> str:
        return next((text for name in notes if (text := facts.text(name, key))), "")

    return ImageMetadata(
        case_number=first("caseNumber"),
        evidence_number=first("evidenceNumber"),
        examiner=first("examiner"),
        description=first("caseDescription"),
        notes=first("notes"),
        model=" ".join(each for each in (facts.text(disk, "diskMake"), facts.text(disk, "diskModel")) if each),
        serial=facts.text(disk, "diskSerial"),
        acquired=next((text for name in times if (text := facts.text(name, "startTime"))), None),
    )


def _about(image: Aff4Image, volumes: list[Volume]) -> dict[str, Fact]:
    facts = volumes[0].facts
    disk = image._disk
    tool = volumes[0].members.get("version.txt")
    version = (volumes[0].read(tool, 4096) or b"") if tool is not None else b""
    values: dict[str, Fact] = {
        "volumes": [each.name for each in volumes],
        "version": [line for line in version.decode("utf-8", "replace").split() if line][:8],
        "image": disk,
        "firmware": facts.text(disk, "diskFirmware"),
        "device": facts.text(disk, "diskDeviceName"),
        "completion": facts.text(disk, "acquisitionCompletionState"),
        "stream_digests": [
            f"{algorithm.value} {text}"
            for each in image.chunked
            for algorithm, text in _digests(each.volume.facts, each.name).items()
        ],
        "unreadable_bytes": sum(each.length for each in image.acquisition_errors),
        "unknown_bytes": sum(each.length for each in image.unknown_regions),
    }
    return dict(stated(**values))
