"""The text that describes a VMware disk: identifiers, extents, and what it says of a parent.

Source: VMware, *Virtual Disk Format 5.0*; the kinds of extents of ESXi as libvmdk's documentation has them. The text is
hostile: its length and the number of its lines are bounded, and nothing in it is followed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from forensiq.errors import ImageFormatError, UnsupportedContentError

__all__ = ["MARK", "MAX_DESCRIPTOR", "NO_PARENT", "Descriptor", "ExtentLine", "parse_descriptor"]

MARK = b"# Disk DescriptorFile"
MAX_DESCRIPTOR = 1 << 20
NO_PARENT = "ffffffff"
_MAX_EXTENTS = 65_536
_LONGEST_LINE = 8192
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d{1,18})\s+(\w+)(?:\s+"([^"]*)")?(?:\s+(\d{1,18}))?.*')
_ENTRY = re.compile(r'\s*([\w.:]+)\s*=\s*"?([^"]*?)"?\s*')
_ENCODING = re.compile(rb'^\s*encoding\s*=\s*"?([\w-]{1,32})', re.MULTILINE | re.IGNORECASE)
_ENCODINGS = {"utf-8": "utf-8", "windows-1252": "cp1252", "windows-1251": "cp1251", "windows-1250": "cp1250"} | {
    "shift_jis": "shift_jis", "gbk": "gbk", "big5": "big5", "us-ascii": "utf-8"
}  # fmt: skip


class ExtentLine(Struct, frozen=True):
    """One line of the extent description: sizes and places in sectors of 512 bytes; ``file`` is hostile text."""

    access: str
    sectors: int
    kind: str
    file: str
    offset: int


class Descriptor(Struct, frozen=True):
    """What the text says. ``entries`` has every ``key = value``, the keys in lower case."""

    entries: Mapping[str, str]
    extents: tuple[ExtentLine, ...]

    @property
    def create_type(self) -> str:
        """The kind of disk, as it calls itself."""
        return self.entries.get("createtype", "")

    @property
    def cid(self) -> str:
        """The content identifier, lower-case hexadecimal."""
        return _cid(self.entries.get("cid", ""))

    @property
    def parent_cid(self) -> str:
        """The content identifier that the parent had; :data:`NO_PARENT` where there is none."""
        return _cid(self.entries.get("parentcid", NO_PARENT))


def _cid(text: str) -> str:
    return text.strip().lower().rjust(8, "0")


def parse_descriptor(data: bytes, name: str) -> Descriptor:
    """Return what the text ``data`` says; ``name`` is for messages.

    Raises :class:`~forensiq.errors.ImageFormatError` for what is no descriptor, and
    :class:`~forensiq.errors.UnsupportedContentError` for one of an encrypted disk.
    """
    data = data.split(b"\0", 1)[0]
    if not data.lstrip().startswith(MARK):
        raise ImageFormatError(f"{name}: the descriptor of the VMDK is not one", found=data[:16].hex())
    found = _ENCODING.search(data)
    encoding = _ENCODINGS.get(found[1].decode("ascii").lower(), "utf-8") if found else "utf-8"
    entries: dict[str, str] = {}
    extents: list[ExtentLine] = []
    for line in data.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#") or len(text) > _LONGEST_LINE:
            continue
        if extent := _EXTENT.fullmatch(text):
            access, sectors, kind, file, offset = extent.groups()
            extents.append(ExtentLine(access, int(sectors), kind.upper(), file or "", int(offset or 0)))
            if len(extents) > _MAX_EXTENTS:
                raise ImageFormatError(f"{name}: a VMDK with more than {_MAX_EXTENTS} extents is not possible")
        elif entry := _ENTRY.fullmatch(text):
            entries.setdefault(entry[1].lower(), entry[2])
    if any(key.startswith("encryption.") for key in entries):
        raise UnsupportedContentError(f"{name} is an encrypted VMDK", path=name, format="vmdk", encryption="VMware")
    if not extents:
        raise ImageFormatError(f"{name}: the descriptor of the VMDK names no extent")
    return Descriptor(entries, tuple(extents))
