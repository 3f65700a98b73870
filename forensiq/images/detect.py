"""Which format a file is in: by its first bytes, never by a guess.

=========================== ==================================================================================
bytes                       format
=========================== ==================================================================================
``EVF 09 0d 0a ff 00``      ``e01``: EWF version 1 (also where only this signature is damaged)
``LVF 09 0d 0a ff 00``      logical evidence (L01), version 1: no medium, refused by name
``EVF2 0d 0a 81 00``        ``ex01``: EWF version 2
``LEF2 0d 0a 81 00``        logical evidence (Lx01), version 2: refused by name
others                      named in the message where they are well known
none of them                ``raw``, if the ending of the name, a record beside it or the kind of file says so
=========================== ==================================================================================
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from forensiq.errors import ImageFormatError
from forensiq.images.ewf.files import open_read_only
from forensiq.images.ewf.layout import (
    DESCRIPTOR_SIZE,
    FILE_HEADER_SIZE,
    LOGICAL_SIGNATURE,
    SIGNATURE,
    SectionDescriptor,
)
from forensiq.images.ewf.sections import KINDS

__all__ = ["RAW_ENDINGS", "detect_format", "sniff"]

RAW_ENDINGS = frozenset({".dd", ".raw", ".img", ".ima", ".image", ".iso", ".bin", ".dmp"})
"""Endings by which a file without any signature is taken for a raw image; besides numbers (``.000``, ``.001``)."""

_SPLIT_ENDING = re.compile(r"\.(\d{2,5}|aa+)")
_LOGICAL = "logical evidence (L01): a collection of files and not the image of a medium"
_MAGIC = (
    (b"EVF2\r\n\x81\x00", "ex01"),
    (b"QFI\xfb", "qcow2"),
    (b"KDMV", "vmdk"),
    (b"COWD", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
)
_KNOWN = (
    (LOGICAL_SIGNATURE, 0, _LOGICAL),
    (b"LEF2\r\n\x81\x00", 0, _LOGICAL),
    (b"ADSEGMENTEDFILE", 0, "logical evidence (AD1) of FTK Imager"),
    (b"conectix", 0, "a Virtual PC disk (VHD)"),
    (b"vhdxfile", 0, "a Hyper-V disk (VHDX)"),
    (b"AFF10\r\n\x00", 0, "an AFF image"),
    (b"<<< ", 0, "a VirtualBox disk (VDI)"),
    (b"PK\x03\x04", 0, "a zip archive (perhaps AFF4)"),
    (b"\xfd7zXZ\x00", 0, "an xz archive: unpack it first"),
    (b"\x1f\x8b", 0, "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive: unpack it first"),
)


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
    head, size = _head(path)
    if size == 0:
        raise ImageFormatError(f"{path} is empty", path=str(path), size=0)
    if (name := _by_content(head)) is not None:
        return name
    if _says_raw(path) or recorded == "raw":
        return "raw"
    if path.suffix.lower() == ".vmdk":
        return "vmdk"
    raise _unknown(path, head)


def sniff(path: Path) -> str | None:
    """Return the format that the content of ``path`` tells; ``None`` where it tells none."""
    head, _ = _head(path)
    name = _by_content(head)
    if name is None and any(head[at : at + len(magic)] == magic for magic, at, _ in _KNOWN):
        raise _unknown(path, head)
    return name


def _by_content(head: bytes) -> str | None:
    if head.startswith(SIGNATURE) or _damaged_e01(head):
        return "e01"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _head(path: Path) -> tuple[bytes, int]:
    descriptor, size = open_read_only(path)
    try:
        return os.pread(descriptor, 512, 0), size
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


def _unknown(path: Path, head: bytes) -> ImageFormatError:
    for magic, at, name in _KNOWN:
        if head[at : at + len(magic)] == magic:
            return ImageFormatError(
                f"{path} is {name}", hint="forensiq reads E01, Ex01 and raw images", path=str(path), found=name
            )
    return ImageFormatError(
        f"{path} is not an image that forensiq knows",
        hint="a raw image is taken for one by its name (.dd, .raw, .img, .001 …), by a record beside it, or when its "
        "format is named",
        path=str(path),
        found=head[:16].hex(),
    )
