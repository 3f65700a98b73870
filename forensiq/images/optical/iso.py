"""Optical media as one file (``.iso``): the bytes of a raw image, in sectors of 2048 bytes.

What the volume says of itself (ISO 9660, section 8.4 of ECMA-119; UDF's volume recognition, ECMA-167 2/8) is in
``info``. Nothing of it is believed for reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forensiq.errors import Fact, ImageFormatError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, problem, stated
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Plain, Span
from forensiq.model.finding import Finding

__all__ = ["SECTOR", "IsoImage", "open_iso", "volume_facts"]

SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_MOST_DESCRIPTORS = 64


class IsoImage(MappedImage):
    """An optical medium in one file; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "iso"
    sector_size = SECTOR
    parallel_reads = 1

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        yield Plain(length, 0, offset)


def open_iso(request: OpenRequest) -> IsoImage:
    """Open the image of an optical medium; see :class:`~forensiq.images.request.OpenRequest`."""
    files = SegmentFiles([request.path])
    try:
        image = IsoImage(files, check_size(request.path, files.size(0)))
    except ImageFormatError:
        files.close()
        raise
    facts, found = volume_facts(lambda sector: files.read(0, sector * SECTOR, SECTOR), image.size)
    image.container.update(facts)
    image.noted += found
    return image


def volume_facts(read: Callable[[int], bytes], size: int) -> tuple[dict[str, Fact], list[Finding]]:
    """Return what the volume descriptors say, and what is wrong with them.

    ``read`` gives a sector by its number, fewer bytes only at the end; ``size`` is that of the medium in bytes.
    """
    kinds: list[str] = []
    facts: dict[str, Fact] = {}
    found: list[Finding] = []
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
        data = read(number)
        mark = data[1:6]
        if mark not in (b"CD001", b"BEA01", b"NSR02", b"NSR03", b"TEA01", b"BOOT2", b"CDW02"):
            break
        kinds.append({b"CD001": "ISO 9660", b"NSR02": "UDF", b"NSR03": "UDF"}.get(mark, ""))
        if mark == b"CD001" and data[0] == 0:
            facts["bootable"] = data[7:30] == b"EL TORITO SPECIFICATION"
        if mark == b"CD001" and data[0] == 1 and "volume" not in facts:
            sectors = int.from_bytes(data[80:84], "little")
            block = int.from_bytes(data[128:130], "little")
            facts["volume"] = _text(data[40:72])
            facts["volume_sectors"] = sectors
            facts["publisher"] = _text(data[318:446])
            facts["prepared_by"] = _text(data[446:574])
            facts["made_with"] = _text(data[574:702])
            facts["created"] = _time(data[813:830])
            if block == SECTOR and sectors * SECTOR > size:
                found.append(
                    problem(
                        "iso.size",
                        "the volume is larger than the file: it may be cut off",
                        expected=str(sectors * SECTOR),
                        found=str(size),
                    )
                )
    facts["file_systems"] = [each for each in dict.fromkeys(kinds) if each]
    return dict(stated(**facts)), found


def _text(data: bytes) -> str:
    return data.decode("latin-1").strip(" \0")


def _time(data: bytes) -> str:
    digits = data[:16].decode("ascii", "replace")
    if not digits.isdigit() or digits == "0" * 16:
        return ""
    quarter = int.from_bytes(data[16:17], "big", signed=True)
    zone = f"{'-' if quarter < 0 else '+'}{abs(quarter) // 4:02d}:{abs(quarter) % 4 * 15:02d}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}:{digits[12:14]}{zone}"
