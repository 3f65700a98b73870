"""Where the bytes of a medium are inside a container: one run of them after the other.

A reader of a container turns its tables into these values and does nothing else; :mod:`forensiq.images.mapped` reads
what they name. Lengths and places are in bytes. There is no span for "nobody knows": what a container cannot give is
:class:`Lost`, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

__all__ = ["Codec", "FromParent", "Held", "Lost", "Packed", "Pattern", "Plain", "Proof", "Span", "Zeros", "joined"]


class Codec(Enum):
    """How a unit is compressed; the value is the name in findings."""

    DEFLATE = "deflate"
    ZLIB = "zlib"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    LZFSE = "LZFSE"
    XZ = "xz"
    ADC = "ADC"
    SNAPPY = "Snappy"
    LZ4 = "LZ4"
    STORED = "stored"


class Plain(NamedTuple):
    """``length`` bytes stored as they are in file number ``file``, from byte ``at`` on."""

    length: int
    file: int
    at: int


class Zeros(NamedTuple):
    """Bytes that the container says are zero, without storing them."""

    length: int


class Proof(NamedTuple):
    """The digest that a unit must have when it is unpacked; ``algorithm`` as :mod:`hashlib` calls it."""

    algorithm: str
    digest: bytes


class Packed(NamedTuple):
    """Bytes ``skip`` to ``skip + length`` of a unit of ``unit`` bytes, compressed to ``stored`` bytes at ``at``.

    The stored bytes may be followed by padding inside ``stored``. Where ``least`` is not 0, the unit is the last one of
    the medium and may have been stored with that many bytes only. ``proof`` is checked where there is one.
    """

    length: int
    file: int
    at: int
    stored: int
    skip: int
    unit: int
    codec: Codec
    least: int = 0
    proof: Proof | None = None


class FromParent(NamedTuple):
    """Bytes that the parent holds at the same place of the medium; zeros behind its end."""

    length: int


class Pattern(NamedTuple):
    """Bytes that stand for what was not read: ``text`` again and again, beginning with its byte ``phase``."""

    length: int
    text: bytes
    phase: int


class Held(NamedTuple):
    """Bytes that are in memory already, from byte ``skip`` of ``data`` on."""

    length: int
    data: bytes
    skip: int


class Lost(NamedTuple):
    """Bytes that cannot be given; ``code`` is a stable word, ``reason`` a sentence, ``file`` the file concerned."""

    length: int
    code: str
    reason: str
    file: int | None = None


Span = Plain | Zeros | Packed | FromParent | Pattern | Held | Lost


def joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the same bytes in fewer spans: neighbours that are one run in a file, or both zeros, become one."""
    last: Span | None = None
    for span in spans:
        if type(span) is Plain and type(last) is Plain and span.file == last.file and span.at == last.at + last.length:
            last = Plain(last.length + span.length, last.file, last.at)
            continue
        if type(span) is type(last) and isinstance(span, Zeros | FromParent):
            last = type(span)(span.length + last.length)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
