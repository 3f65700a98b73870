"""Preflight of the headers: encryption that announces itself, data that looks like it, RAID and LVM members."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from forensiq.analysis.volumes import read_volumes
from forensiq.analysis.window import Medium, Window
from forensiq.errors import ImageDamageError, SourceLostError, SourceReadError
from forensiq.model.extent import Extent
from forensiq.model.listing import ContentKind, Volume, VolumeKind, VolumeSystem
from forensiq.model.preflight import CheckVerdict, PreflightCheck

__all__ = ["check_headers", "looks_random"]

_SAMPLE = 128 << 10
_UNIFORM = (160.0, 370.0)
_PARTS = ("RAID", "LVM", "ZFS", "bcache")
_BEFORE_POWER_IS_CUT = "if the machine it comes from still runs, save the keys before its power is cut"


def check_headers(medium: Medium) -> Iterator[PreflightCheck]:
    """Say what the headers of the medium and of its volumes announce; reads only small pieces.

    What cannot be read is asked for once, and said: nothing is called free of encryption that was not seen.
    """
    medium = headers = _Headers(medium)
    system = read_volumes(medium)
    encrypted = False
    for volume, content in ((each, content) for each in system.volumes for content in each.contents):
        where = _where(volume)
        facts: dict[str, str | int | float | bool | None] = {"offset": volume.offset, "content": content.name}
        if content.kind is ContentKind.ENCRYPTION:
            encrypted = True
            message = f"{where} is encrypted: {content.name}"
            yield PreflightCheck("source.encryption", CheckVerdict.WARNING, message, _BEFORE_POWER_IS_CUT, facts)
        elif any(word in content.name for word in _PARTS):
            message = f"{where} is a member of something larger: {content.name}"
            yield PreflightCheck("source.member", CheckVerdict.WARNING, message, "acquire every member", facts)
    for window, where in _without_header(medium, system):
        if looks_random(window.read(0, _SAMPLE)):
            encrypted = True
            message = f"{where} begins with data that looks random: perhaps encrypted without a header (VeraCrypt)"
            facts = {"offset": window.offset}
            yield PreflightCheck("source.encryption", CheckVerdict.WARNING, message, _BEFORE_POWER_IS_CUT, facts)
    if headers.failed:
        where = ", ".join(f"byte {each.offset:,}" for each in headers.failed[:3])
        more = f" and {len(headers.failed) - 3} more places" if len(headers.failed) > 3 else ""
        message = headers.lost or f"headers could not be read (at {where}{more})"
        message += ": encryption, RAID and LVM could not be ruled out"
        yield PreflightCheck("source.encryption", CheckVerdict.UNKNOWN, message)
    elif not encrypted:
        yield PreflightCheck("source.encryption", CheckVerdict.GO, "no encryption announces itself in the headers")


class _Headers:
    """A medium that is asked once for what it cannot give: a failing drive is spared, and what failed is known."""

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self.size = medium.size
        self.sector_size = medium.sector_size
        self.failed: list[Extent] = []
        self.lost = ""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        wanted = Extent(offset, len(buffer))
        if self.lost or any(each.overlaps(wanted) for each in self.failed):
            raise SourceReadError(offset, len(buffer), errno.EIO)
        try:
            return self._medium.read_into(offset, buffer)
        except SourceLostError as error:
            self.lost = error.message
            self.failed.append(wanted)
            raise SourceReadError(offset, len(buffer), errno.EIO) from error
        except (SourceReadError, ImageDamageError):
            self.failed.append(wanted)
            raise


def looks_random(sample: bytes) -> bool:
    """Say whether every byte value is about as frequent as in random data (chi-square, 255 degrees of freedom).

    Random data lies between the limits but for about one case in 100,000. Well compressed data may as well: this is a
    suspicion and never more.
    """
    if len(sample) < _SAMPLE:
        return False
    expected = len(sample) / 256
    counts = [0] * 256
    for value in sample:
        counts[value] += 1
    square = sum((count - expected) ** 2 for count in counts) / expected
    return _UNIFORM[0] < square < _UNIFORM[1]


def _without_header(medium: Medium, system: VolumeSystem) -> Iterator[tuple[Window, str]]:
    if not system.schemes and not any(volume.contents for volume in system.volumes):
        yield Window(medium), "the medium"
        return
    for volume in system.volumes:
        if volume.kind is VolumeKind.PARTITION and not volume.contents:
            yield Window(medium, volume.offset, volume.length), _where(volume)


def _where(volume: Volume) -> str:
    return "the medium" if not volume.index else f"partition {volume.index}"
