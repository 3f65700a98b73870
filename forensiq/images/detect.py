"""Which format a file is in: by its first and last bytes, never by a guess.

============================== ===============================================================================
bytes                          format
============================== ===============================================================================
``EVF 09 0d 0a ff 00``         ``e01``: EWF version 1 (also where only this signature is damaged)
``EVF2 0d 0a 81 00``           ``ex01``: EWF version 2
``QFI fb``                     ``qcow2``
``KDMV``, ``COWD``, descriptor ``vmdk``; also any ``.vmdk`` without a signature, which may be a flat extent
``conectix``, first or last    ``vhd``
``vhdxfile``                   ``vhdx``
``7f 10 da be`` at 64          ``vdi``
``koly`` in the last 512       ``dmg``
zip with AFF4's members        ``aff4``
``CD001``/``NSR0`` from 32768  ``iso``, where the ending is that of an optical medium, too
a cue sheet, or raw sectors    ``bincue``
others                         named in the message where they are well known: encrypted, logical, not supported
none of them                   ``raw``, if the ending of the name, a record beside it or the kind of file says so;
                               ``.dmg`` only where it begins as a disk does
============================== ===============================================================================

What a record of ours calls raw is raw, whatever it begins with: the first bytes of a medium are the suspect's.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from msgspec import Struct

from forensiq.errors import ImageFormatError, UnsupportedContentError
from forensiq.images.ewf.files import open_read_only
from forensiq.images.ewf.layout import (
    DESCRIPTOR_SIZE,
    FILE_HEADER_SIZE,
    LOGICAL_SIGNATURE,
    SIGNATURE,
    SectionDescriptor,
)
from forensiq.images.ewf.sections import KINDS

__all__ = ["OPTICAL_ENDINGS", "RAW_ENDINGS", "detect_format", "sniff"]

RAW_ENDINGS = frozenset({".dd", ".raw", ".img", ".ima", ".image", ".iso", ".bin", ".dmp", ".cdr"})
"""Endings by which a file without any signature is taken for a raw image; besides numbers (``.000``, ``.001``)."""
OPTICAL_ENDINGS = frozenset({".iso", ".cdr", ".udf", ".toast"})
"""Endings by which an image with a file system of optical media is one of 2048-byte sectors."""

_SPLIT_ENDING = re.compile(r"\.(\d{2,5}|aa+)")
_CUE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?:REM|CATALOG|CDTEXTFILE|TITLE|PERFORMER|SONGWRITER)\b[^\r\n]*[\r\n]\s*)*FILE\s",
    re.IGNORECASE,
)
_SYNC = b"\x00" + b"\xff" * 10 + b"\x00"
_LOGICAL = "logical evidence (L01): a collection of files and not the image of a medium"
_FIRST = 4096
_MAGIC = (
    (b"EVF2\r\n\x81\x00", 0, "ex01"),
    (b"QFI\xfb", 0, "qcow2"),
    (b"KDMV", 0, "vmdk"),
    (b"COWD", 0, "vmdk"),
    (b"# Disk DescriptorFile", 0, "vmdk"),
    (b"conectix", 0, "vhd"),
    (b"vhdxfile", 0, "vhdx"),
    (b"\x7f\x10\xda\xbe", 64, "vdi"),
)
_KNOWN = (
    (LOGICAL_SIGNATURE, 0, _LOGICAL),
    (b"LEF2\r\n\x81\x00", 0, _LOGICAL),
    (b"ADSEGMENTEDFILE", 0, "logical evidence (AD1) of FTK Imager"),
    (b"AFF10\r\n\x00", 0, "an AFF image (version 1 to 3)"),
    (b"QED\x00", 0, "a QED disk image"),
    (b"WithoutFreeSpace", 0, "a Parallels disk"),
    (b"WithouFreSpacExt", 0, "a Parallels disk"),
    (b"\xbe\xba\xfe\xca\x00\x00\x00\x00", 0, "a space-efficient sparse disk of ESX (seSparse VMDK)"),
    (b"sprs", 0, "an Apple sparse image (.sparseimage)"),
    (b"Bochs Virtual HD Image", 0, "a Bochs disk image"),
    (b"MSWIM\x00\x00\x00", 0, "a Windows image (WIM): files and not a medium"),
    (b"MComprHD", 0, "a compressed image of MAME (CHD)"),
    (b"MEDIA DESCRIPTOR", 0, "a media descriptor of Alcohol (MDS)"),
    (b"PK\x03\x04", 0, "a zip archive"),
    (b"\xfd7zXZ\x00", 0, "an xz archive: unpack it first"),
    (b"\x1f\x8b", 0, "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive: unpack it first"),
)
_HINT = "forensiq reads E01, Ex01, raw, VMDK, VHD, VHDX, QCOW2, VDI, DMG, AFF4, ISO and BIN/CUE"


class _Ends(Struct, frozen=True):
    """The first 4096 bytes of a file, those from 32768 on, its last 65,536, and its size in bytes."""

    head: bytes
    volume: bytes
    tail: bytes
    size: int


def detect_format(path: Path, recorded: str | None = None) -> str:
    """Return the name of the format of ``path``; :class:`~forensiq.errors.ImageFormatError` where there is none.

    ``recorded`` is the format that a record beside the file says it has.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ImageFormatError(
            f"{path} cannot be opened: {error.strerror}", path=str(path), errno=error.errno or 0
        ) from error
    if stat.S_ISDIR(mode):
        raise ImageFormatError(f"{path} is a folder, not an image", hint="name one file of the image", path=str(path))
    if stat.S_ISBLK(mode):
        return "raw"
    ends = _ends(path)
    if ends.size == 0:
        raise ImageFormatError(f"{path} is empty", path=str(path), size=0)
    if recorded == "raw" and _says_raw(path):
        return "raw"
    name = _by_content(path, ends) or _by_sectors(path, ends)
    if name is not None:
        return name
    if _encrypted(ends) is None and (_says_raw(path) or recorded == "raw"):
        return "raw"
    if path.suffix.lower() == ".vmdk":
        return "vmdk"
    if path.suffix.lower() == ".dmg" and _encrypted(ends) is None and _begins_as_a_disk(ends.head):
        return "raw"
    raise _unknown(path, ends)


def sniff(path: Path) -> str | None:
    """Return the format of a container that the content of ``path`` tells; ``None`` where it tells none.

    What is known and cannot be read is an :class:`~forensiq.errors.ImageFormatError` that names it.
    """
    ends = _ends(path)
    name = _by_content(path, ends)
    if name is None and _named(ends) is not None:
        raise _unknown(path, ends)
    return name


def _by_content(path: Path, ends: _Ends) -> str | None:
    head = ends.head
    if head.startswith(SIGNATURE) or _damaged_e01(head):
        return "e01"
    for magic, at, name in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return name
    if head.startswith((b"encrcdsa", b"sprs")) or ends.tail.endswith(b"cdsaencr"):
        return None
    if head.startswith(b"PK\x03\x04"):
        inside = (b"container.description", b"version.txt")
        aff4 = path.suffix.lower() == ".aff4" or any(each in head for each in inside)
        return "aff4" if aff4 or b"information.turtle" in ends.tail else None
    last = ends.tail[-512:]
    if last.startswith(b"koly"):
        return "dmg"
    if last.startswith(b"conectix") and (path.suffix.lower() == ".vhd" or _fits_fixed_vhd(last, ends.size)):
        return "vhd"
    return None


def _begins_as_a_disk(head: bytes) -> bool:
    """Say whether a ``.dmg`` without a trailer is a plain disk: a cut off compressed one must not be taken for it."""
    places = (
        (0, b"ER"),
        (510, b"\x55\xaa"),
        (512, b"EFI PART"),
        (1024, b"H+"),
        (1024, b"HX"),
        (1024, b"BD"),
        (32, b"NXSB"),
    )
    return any(head[at : at + len(mark)] == mark for at, mark in places)


def _fits_fixed_vhd(footer: bytes, size: int) -> bool:
    """Say whether a footer is that of this file: a medium may hold the footer of a VHD in its last sector."""
    checksum = ~(sum(footer) - sum(footer[64:68])) & 0xFFFF_FFFF
    kind, current = int.from_bytes(footer[60:64], "big"), int.from_bytes(footer[48:56], "big")
    return checksum == int.from_bytes(footer[64:68], "big") and (kind != 2 or current + 512 == size)


def _by_sectors(path: Path, ends: _Ends) -> str | None:
    ending = path.suffix.lower()
    if ending in OPTICAL_ENDINGS and (ends.volume[1:6] == b"CD001" or b"NSR0" in ends.volume):
        return "iso"
    if ending == ".cue" and ends.size < 1 << 20 and _CUE.match(ends.head):
        return "bincue"
    if ends.head.startswith(_SYNC) and ends.head[2352:2364] in (_SYNC, b""):
        return "bincue"
    return None


def _ends(path: Path) -> _Ends:
    descriptor, size = open_read_only(path)
    try:
        return _Ends(
            os.pread(descriptor, _FIRST, 0),
            os.pread(descriptor, 16 * 2048, 32768),
            os.pread(descriptor, 65_536, max(0, size - 65_536)),
            size,
        )
    except OSError as error:
        raise ImageFormatError(
            f"{path} cannot be read: {error.strerror}", path=str(path), errno=error.errno or 0
        ) from error
    finally:
        os.close(descriptor)


def _damaged_e01(head: bytes) -> bool:
    """Say whether a section descriptor in order stands where the first one of an E01 does."""
    if len(head) < FILE_HEADER_SIZE + DESCRIPTOR_SIZE:
        return False
    descriptor, checksum = SectionDescriptor.unpack(head[FILE_HEADER_SIZE:])
    return checksum.ok and descriptor.kind in KINDS and not head.startswith(LOGICAL_SIGNATURE)


def _says_raw(path: Path) -> bool:
    ending = path.suffix.lower()
    return ending in RAW_ENDINGS or _SPLIT_ENDING.fullmatch(ending) is not None


def _encrypted(ends: _Ends) -> str | None:
    if ends.head.startswith(b"encrcdsa") or ends.tail.endswith(b"cdsaencr"):
        return "an encrypted Apple disk image (DMG)"
    if ends.head.startswith(b"AFF10\r\n\x00") and b"affkey_" in ends.head:
        return "an encrypted AFF image"
    return None


def _named(ends: _Ends) -> str | None:
    if (name := _encrypted(ends)) is not None:
        return name
    return next((name for magic, at, name in _KNOWN if ends.head[at : at + len(magic)] == magic), None)


def _unknown(path: Path, ends: _Ends) -> ImageFormatError:
    if (name := _named(ends)) is not None:
        kind = UnsupportedContentError if _encrypted(ends) else ImageFormatError
        return kind(f"{path} is {name}", hint=_HINT, path=str(path), found=name)
    return ImageFormatError(
        f"{path} is not an image that forensiq knows",
        hint="a raw image is taken for one by its name (.dd, .raw, .img, .001 …), by a record beside it, or when its "
        "format is named",
        path=str(path),
        found=ends.head[:16].hex(),
    )
