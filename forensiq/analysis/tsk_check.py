"""Proof, before the first use, that the structures of the C library are laid out as declared.

A FAT12 volume of 32 KiB with one file is made in memory, opened through pytsk3's own accessors and through our
declarations, and every value that forensiq reads is compared. A build of pytsk3 that differs is refused by name.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any

from forensiq.analysis.tsk_structs import META, NAME, AttributeRun, Directory, FileHandle, Metadata, Name
from forensiq.errors import ForensiqError

__all__ = ["check_layout"]

_SECTOR = 512
_SECTORS = 64
_CONTENT = b"layout"
_FAT_TIME, _FAT_DATE = 0x6000, 0x5A21


def _volume() -> bytes:
    """Return a FAT12 volume: boot sector, two tables of one sector, a root directory of one sector, one file."""
    boot = bytearray(_SECTOR)
    boot[0:11] = b"\xeb\x3c\x90forensiq"
    struct.pack_into("<HBHBHHBHHHII", boot, 11, _SECTOR, 1, 1, 2, 16, _SECTORS, 0xF8, 1, 1, 1, 0, 0)
    struct.pack_into("<BBBI11s8s", boot, 36, 0x80, 0, 0x29, 0x12345678, b"NO NAME    ", b"FAT12   ")
    boot[510:512] = b"\x55\xaa"
    table = b"\xf8\xff\xff\xff\x0f".ljust(_SECTOR, b"\0")
    entry = b"LAYOUT  TXT\x20" + struct.pack(
        "<BBHHHHHHHI", 0, 0, _FAT_TIME, _FAT_DATE, _FAT_DATE, 0, _FAT_TIME, _FAT_DATE, 2, len(_CONTENT)
    )
    root = entry.ljust(_SECTOR, b"\0")
    return (bytes(boot) + table + table + root + _CONTENT).ljust(_SECTORS * _SECTOR, b"\0")


class _Memory:
    """A medium in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.sector_size = _SECTOR

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


def check_layout(binding: Any, image_class: Any, file_system_class: Any, lib: Any) -> None:
    """Compare ``binding`` (pytsk3) with our declarations; :class:`~forensiq.errors.ForensiqError` where they differ."""
    data = _volume()

    class _Image(binding.Img_Info):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(url="", type=binding.TSK_IMG_TYPE_EXTERNAL)

        def close(self) -> None:
            """Nothing to close."""

        def read(self, offset: int, size: int) -> bytes:
            return data[offset : offset + size]

        def get_size(self) -> int:
            return len(data)

    theirs = _theirs(binding.FS_Info(_Image()))
    ours = _ours(file_system_class(image_class(lib, _Memory(data), _SECTOR), 0), lib)
    wrong = sorted(key for key in theirs if theirs[key] != ours.get(key))
    if wrong:
        raise ForensiqError(
            f"this build of pytsk3 ({lib.version}) lays out its data in a way unknown to forensiq: {', '.join(wrong)}",
            hint="install the version of pytsk3 that forensiq names in its requirements",
        )


def _theirs(fs: Any) -> dict[str, int | bytes]:
    result: dict[str, int | bytes] = {
        f"fs.{key}": int(getattr(fs.info, key))
        for key in ("root_inum", "first_inum", "last_inum", "block_count", "last_block_act", "block_size", "ftype")
    }
    file = next(entry for entry in fs.open_dir(path="/") if entry.info.name.name == b"LAYOUT.TXT")
    result["name"] = file.info.name.name
    result |= {f"name.{key}": int(getattr(file.info.name, key)) for key in ("meta_addr", "meta_seq", "type", "flags")}
    fields: tuple[str, ...] = ("addr", "flags", "type", "mode", "nlink", "size", "uid", "gid", "seq")
    fields += tuple(f"{each}time{nano}" for each in ("m", "a", "c", "cr") for nano in ("", "_nano"))
    result |= {f"meta.{key}": int(getattr(file.info.meta, key)) for key in fields}
    attribute = next(iter(file))
    result |= {f"attribute.{key}": int(getattr(attribute.info, key)) for key in ("type", "id", "size", "flags")}
    run = next(iter(attribute))
    result |= {f"run.{key}": int(getattr(run, key)) for key in ("addr", "len", "offset", "flags")}
    result["content"] = file.read_random(0, len(_CONTENT))
    return result


def _ours(fs: Any, lib: Any) -> dict[str, int | bytes]:
    keys = ("root_inum", "first_inum", "last_inum", "block_count", "last_block_act", "block_size", "ftype")
    result: dict[str, int | bytes] = {f"fs.{key}": getattr(fs.info, key) for key in keys}
    opened = lib.fs_dir_open_meta(fs.pointer, fs.info.root_inum)
    directory = Directory.from_address(opened)
    raw = ctypes.string_at(directory.names, directory.names_used * NAME.size)
    for index, (_, name, address, sequence, kind, flags) in enumerate(NAME.iter_unpack(raw)):
        if ctypes.string_at(name) != b"LAYOUT.TXT":
            continue
        result["name"] = ctypes.string_at(name)
        result |= {"name.meta_addr": address, "name.meta_seq": sequence, "name.type": kind, "name.flags": flags}
        pointer = lib.fs_file_alloc(fs.pointer)
        handle = FileHandle.from_address(pointer)
        handle.name = directory.names + index * ctypes.sizeof(Name)
        add = ctypes.PYFUNCTYPE(ctypes.c_uint8, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
        add(fs.info.file_add_meta)(fs.pointer, pointer, address)
        result |= _metadata(handle.meta)
        handle.name = None
        lib.fs_file_close(pointer)
        result |= _content(fs, lib, address)
    lib.fs_dir_close(opened)
    fs.close()
    return result


def _metadata(pointer: int) -> dict[str, int | bytes]:
    values = META.unpack(ctypes.string_at(pointer, META.size))
    keys = ["flags", "addr", "type", "mode", "nlink", "size", "uid", "gid", "mtime", "mtime_nano"]
    keys += ["atime", "atime_nano", "ctime", "ctime_nano", "crtime", "crtime_nano"]
    result: dict[str, int | bytes] = {f"meta.{key}": value for key, value in zip(keys, values[1:], strict=True)}
    result["meta.seq"] = Metadata.from_address(pointer).seq
    return result


def _content(fs: Any, lib: Any, address: int) -> dict[str, int | bytes]:
    file = fs.open_file(address)
    stream = fs.default_stream(file)
    result: dict[str, int | bytes] = {
        "attribute.type": stream.type,
        "attribute.id": stream.id,
        "attribute.size": stream.size,
        "attribute.flags": stream.flags,
    }
    run: AttributeRun = next(iter(fs.runs(stream)))
    result |= {"run.addr": run.addr, "run.len": run.len, "run.offset": run.offset, "run.flags": run.flags}
    buffer = bytearray(len(_CONTENT))
    fs.read(stream, 0, memoryview(buffer))
    lib.fs_file_close(file)
    return result | {"content": bytes(buffer)}
