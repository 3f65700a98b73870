"""The description of an AFF4 image (``information.turtle``): what its parts are, and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from forensiq.images.container_file import ContainerConfig
from forensiq.model.digest import DigestSet, HashAlgorithm

__all__ = ["Described", "MapDigests", "describe", "zip_name"]

_ZLIB = "<https://www.ietf.org/rfc/rfc1950.txt>"
_NAMES = {
    HashAlgorithm.MD5: "MD5",
    HashAlgorithm.SHA1: "SHA1",
    HashAlgorithm.SHA256: "SHA256",
    HashAlgorithm.SHA512: "SHA512",
}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def zip_name(name: str) -> str:
    """Return the folder of an object in the zip file."""
    return name.replace(":", "%3A").replace("/", "%2F")


class MapDigests(Struct, frozen=True):
    """SHA-512, in hex: of the list of block digests, of the parts of the map, of both together."""

    blocks: str
    points: str
    targets: str
    map: str
    whole: str

    @classmethod
    def of(cls, points: bytes, targets: bytes, blocks: bytes) -> MapDigests:
        """Return those of a map; ``blocks`` is the digest of the list of block digests."""
        first, second = hashlib.sha512(points), hashlib.sha512(targets)
        return cls(
            blocks=blocks.hex(),
            points=first.hexdigest(),
            targets=second.hexdigest(),
            map=hashlib.sha512(points + targets).hexdigest(),
            whole=hashlib.sha512(blocks + first.digest() + second.digest()).hexdigest(),
        )


class Described(Struct, frozen=True):
    """The objects of an image by name, and what is to be said of them. Sizes in bytes."""

    volume: str
    image: str
    map: str
    stream: str
    stream_size: int
    chunk_size: int
    chunks_in_bevy: int
    digests: DigestSet
    tables: MapDigests


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04X}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08X}"


def _text(value: str) -> str:
    return '"' + "".join(map(_escaped, value)) + '"'


def _typed(value: object, kind: str) -> str:
    return f'"{value}"^^{kind}'


def _subject(name: str, kinds: str, facts: Iterable[tuple[str, str]]) -> str:
    lines = [f"<{name}>", f"    a {kinds}"]
    lines[1:] = [" ;\n".join([lines[1], *(f"    aff4:{key} {value}" for key, value in facts if value)]) + " .\n"]
    return "\n".join(lines)


def describe(image: Described, config: ContainerConfig) -> str:
    """Return the whole text."""
    when = _typed(datetime.fromtimestamp(config.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "xsd:dateTime")
    digests = " , ".join(
        _typed(text, f"aff4:{_NAMES[algorithm]}") for algorithm, text in image.digests.items() if algorithm in _NAMES
    )
    stored = ("stored", f"<{image.volume}>")
    target = ("target", f"<{image.image}>")
    case, notes = f"{image.image}/case", f"{image.image}/notes"
    contains = " , ".join(f"<{each}>" for each in (image.image, image.map, image.stream, case, notes))
    fields, tables = config.metadata, image.tables
    sectors = -(-config.media_size // config.sector_size)
    parts = [
        "@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .",
        "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .",
        "@prefix aff4: <http://aff4.org/Schema#> .\n",
        _subject(
            image.volume,
            "aff4:ZipVolume",
            [
                ("contains", contains),
                ("creationTime", when),
                ("interface", "aff4:Volume"),
                ("stored", _text(config.path.name)),
            ],
        ),
        _subject(
            image.image,
            "aff4:ContiguousImage , aff4:DiskImage , aff4:Image",
            [
                ("blockSize", _typed(config.sector_size, "xsd:int")),
                ("dataStream", f"<{image.map}>"),
                ("diskModel", _text(fields.model) if fields.model else ""),
                ("diskSerial", _text(fields.serial) if fields.serial else ""),
                ("hash", _typed(tables.whole, "aff4:blockMapHashSHA512")),
                ("sectorCount", _typed(sectors, "xsd:long")),
                ("size", _typed(config.media_size, "xsd:long")),
                stored,
            ],
        ),
        _subject(
            image.map,
            "aff4:Map",
            [
                ("blockMapHash", _typed(tables.whole, "aff4:SHA512")),
                ("dependentStream", f"<{image.stream}>"),
                ("hash", digests),
                ("mapGapDefaultStream", "aff4:Zero"),
                ("mapHash", _typed(tables.map, "aff4:SHA512")),
                ("mapIdxHash", _typed(tables.targets, "aff4:SHA512")),
                ("mapPointHash", _typed(tables.points, "aff4:SHA512")),
                ("size", _typed(config.media_size, "xsd:long")),
                stored,
                target,
            ],
        ),
        _subject(
            image.stream,
            "aff4:ImageStream",
            [
                ("chunkSize", _typed(image.chunk_size, "xsd:int")),
                ("chunksInSegment", _typed(image.chunks_in_bevy, "xsd:int")),
                ("compressionMethod", _ZLIB),
                ("size", _typed(image.stream_size, "xsd:long")),
                stored,
                ("target", f"<{image.map}>"),
                ("version", _typed(1, "xsd:int")),
            ],
        ),
        _subject(
            f"{image.stream}/blockhash.sha256", "aff4:BlockHashes", [("hash", _typed(tables.blocks, "aff4:SHA512"))]
        ),
        _subject(
            case,
            "aff4:CaseDetails",
            [
                ("caseName", _text(fields.case_number)),
                ("caseDescription", _text(fields.description)),
                ("examiner", _text(fields.examiner)),
                stored,
                target,
            ],
        ),
        _subject(
            notes,
            "aff4:CaseNotes",
            [
                ("caseNumber", _text(fields.case_number)),
                ("evidenceNumber", _text(fields.evidence_number)),
                ("examiner", _text(fields.examiner)),
                ("notes", _text(fields.notes)),
                stored,
                target,
                ("timestamp", when),
            ],
        ),
    ]
    return "\n".join(parts)
