"""One zip file of an AFF4 image: its name, its facts, and where its members are. Never unpacks without a bound."""

from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.parse import quote

from isal import isal_zlib

from forensiq.errors import ImageFormatError
from forensiq.images.aff4.turtle import Facts, TurtleError, parse_turtle
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.spans import Codec
from forensiq.images.unpack import UnpackError, unpack

__all__ = ["Member", "Volume", "volume_name"]

_MOST_TURTLE = 32 << 20
_MOST_MEMBER = 512 << 20
_ALWAYS, _MOST_RATIO = 16 << 20, 64
_LOCAL_HEADER = 30
_ZIP_FAULTS = (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, RuntimeError, EOFError)
"""What zipfile raises of a damaged or unusual file; ``RuntimeError`` of an encrypted member."""


class Member:
    """One file in the zip: where its local header is, how large it is stored and unpacked (bytes), and its CRC-32."""

    __slots__ = ("crc", "header_at", "packed", "size", "stored")

    def __init__(self, info: zipfile.ZipInfo) -> None:
        self.header_at = info.header_offset
        self.stored = info.compress_size
        self.size = info.file_size
        self.packed = info.compress_type != zipfile.ZIP_STORED
        self.crc = info.CRC


def volume_name(path: Path) -> str:
    """Return the name that a volume has in its zip comment or its ``container.description``; empty where none."""
    try:
        with zipfile.ZipFile(path) as package:
            return _own_name(package)
    except _ZIP_FAULTS:
        return ""


def _own_name(package: zipfile.ZipFile) -> str:
    name = package.comment.split(b"\0", 1)[0].strip()
    if not name.startswith(b"aff4://") and "container.description" in package.NameToInfo:
        with package.open("container.description") as file:
            name = file.read(4096).split(b"\0", 1)[0].strip()
    return name.decode("utf-8", "replace")


class Volume:
    """The members and the facts of one zip file; reads through ``files``, where it is number ``index``."""

    def __init__(self, files: SegmentFiles, index: int) -> None:
        self._files = files
        self.index = index
        path = files.paths[index]
        try:
            with zipfile.ZipFile(path) as package:
                self.name = _own_name(package)
                infos = package.infolist()
        except _ZIP_FAULTS as error:
            raise ImageFormatError(
                f"{path}: the AFF4 volume is cut off or damaged ({error})", path=str(path)
            ) from error
        if any(info.flag_bits & 1 for info in infos):
            raise ImageFormatError(f"{path}: a zip archive with encrypted members", path=str(path), encryption="zip")
        self.members = {info.filename: Member(info) for info in infos}
        self.facts = self._read_facts(path)

    def _read_facts(self, path: Path) -> Facts:
        member = self.members.get("information.turtle")
        if member is not None and member.size > _MOST_TURTLE:
            raise ImageFormatError(
                f"{path}: an information.turtle of {member.size:,} bytes: forensiq reads at most {_MOST_TURTLE:,}",
                hint="a collection of files (AFF4-L) may have one of that size; an image of a medium has not",
                path=str(path),
                size=str(member.size),
            )
        data = self.read(member, _MOST_TURTLE) if member is not None else None
        if data is None:
            raise ImageFormatError(f"{path}: its information.turtle is missing or damaged", path=str(path))
        try:
            return parse_turtle(data.decode("utf-8"))
        except (TurtleError, UnicodeDecodeError) as error:
            raise ImageFormatError(f"{path}: its information.turtle cannot be read: {error}", path=str(path)) from error

    def find(self, stream: str, part: str = "") -> Member | None:
        """Return the member that holds ``part`` of the stream with that name."""
        full = stream + part
        inside = full.removeprefix(self.name)
        for name in (quote(stream, safe="") + part, quote(full, safe="/"), full, inside, inside.lstrip("/"),
                     quote(inside.lstrip("/"), safe="/")):  # fmt: skip
            if name in self.members:
                return self.members[name]
        return None

    def place(self, member: Member) -> int:
        """Return where in the file the bytes of a member begin."""
        head = self._files.read(self.index, member.header_at, _LOCAL_HEADER)
        if len(head) < _LOCAL_HEADER or not head.startswith(b"PK\x03\x04"):
            return 1 << 62  # behind every end: what is read there is missing, and said to be
        names = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        return member.header_at + _LOCAL_HEADER + names

    def read(self, member: Member, most: int = _MOST_MEMBER) -> bytes | None:
        """Return a whole member, at most ``most`` bytes; ``None`` where it is larger, cut off or damaged.

        Its CRC-32 is checked. One that unpacks to more than 16 MiB and 64 times what is stored is not unpacked at all.
        """
        if max(member.size, member.stored) > most or member.size > max(_ALWAYS, _MOST_RATIO * member.stored):
            return None
        data = self._files.read(self.index, self.place(member), member.stored)
        if member.packed:
            try:
                data = bytes(unpack(Codec.DEFLATE, data, member.size)) if member.size else b""
            except UnpackError:
                return None
        return data if len(data) == member.size and isal_zlib.crc32(data) == member.crc else None
