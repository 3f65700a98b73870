"""The Sleuth Kit: its C library, as pytsk3 brings it, over any evidence image.

pytsk3's objects cost about fifty microseconds for each file, which is ten times what the library itself needs, and this
build has no pools (APFS). Its shared object exports the whole C interface, so that is used directly, with pytsk3 as
the proof that the structures are laid out as declared. Everything here runs inside a worker process: a C library over
hostile bytes may crash, hang or eat memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pytsk3
from msgspec import Struct

from forensiq.analysis.apfs import ApfsVolume
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.tsk_check import check_layout
from forensiq.analysis.tsk_structs import (
    Attribute,
    AttributeRun,
    FileSystemInfo,
    ImageInfo,
    PoolInfo,
    PoolVolume,
)
from forensiq.analysis.window import Medium
from forensiq.errors import ImageDamageError, SourceReadError
from forensiq.model.scope import MediumScope

__all__ = [
    "NTFS_DATA",
    "NTFS_FILE_NAME",
    "NTFS_INDEX_ROOT",
    "RESIDENT",
    "RUN_FILLER",
    "RUN_SPARSE",
    "Library",
    "PoolVolumeFacts",
    "Stream",
    "TskError",
    "TskFileSystem",
    "TskImage",
    "TskPool",
    "library",
    "stream_at",
]

_READ = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t
)
_CLOSE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_BLOCK_FLAGS = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64)
_STAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)

NONRESIDENT, RESIDENT = 0x02, 0x04
"""``TSK_FS_ATTR_FLAG_ENUM``: in use is 1."""
RUN_FILLER, RUN_SPARSE = 0x01, 0x02
BLOCK_ALLOCATED, BLOCK_UNALLOCATED = 0x01, 0x02
SLACK = 0x01
NTFS_DATA, NTFS_INDEX_ROOT, NTFS_FILE_NAME = 128, 144, 48

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "tsk_img_open_external": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint, _READ, _CLOSE, _STAT)),
    "tsk_fs_open_img": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)),
    "tsk_fs_close": (None, (ctypes.c_void_p,)),
    "tsk_fs_dir_open_meta": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_uint64)),
    "tsk_fs_dir_close": (None, (ctypes.c_void_p,)),
    "tsk_fs_file_alloc": (ctypes.c_void_p, (ctypes.c_void_p,)),
    "tsk_fs_file_close": (None, (ctypes.c_void_p,)),
    "tsk_fs_file_open_meta": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)),
    "tsk_fs_file_attr_getsize": (ctypes.c_int, (ctypes.c_void_p,)),
    "tsk_fs_file_attr_get_idx": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int)),
    "tsk_fs_file_attr_get": (ctypes.c_void_p, (ctypes.c_void_p,)),
    "tsk_fs_file_attr_get_type": (
        ctypes.c_void_p,
        (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint16, ctypes.c_uint8),
    ),
    "tsk_fs_attr_read": (
        ctypes.c_ssize_t,
        (ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    ),
    "tsk_fs_meta_close": (None, (ctypes.c_void_p,)),
    "tsk_fs_type_toname": (ctypes.c_char_p, (ctypes.c_int,)),
    "tsk_list_add": (ctypes.c_uint8, (ctypes.c_void_p, ctypes.c_uint64)),
    "tsk_error_get": (ctypes.c_char_p, ()),
    "tsk_error_reset": (None, ()),
    "tsk_pool_open_img_sing": (ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)),
    "tsk_pool_close": (None, (ctypes.c_void_p,)),
}


class TskError(FileSystemError):
    """The Sleuth Kit could not do it; the message is its own."""


class Library:
    """The functions of the C library, with their types. Calls keep the interpreter's lock: a worker has one thread."""

    def __init__(self) -> None:
        self.version: str = pytsk3.get_version()
        shared = ctypes.PyDLL(pytsk3.__file__)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(shared, name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name.removeprefix("tsk_"), function)

    img_open_external: Callable[..., int | None]
    fs_open_img: Callable[..., int | None]
    fs_close: Callable[[int], None]
    fs_dir_open_meta: Callable[[int, int], int | None]
    fs_dir_close: Callable[[int], None]
    fs_file_alloc: Callable[[int], int | None]
    fs_file_close: Callable[[int], None]
    fs_file_open_meta: Callable[[int, None, int], int | None]
    fs_file_attr_getsize: Callable[[int], int]
    fs_file_attr_get_idx: Callable[[int, int], int | None]
    fs_file_attr_get: Callable[[int], int | None]
    fs_file_attr_get_type: Callable[[int, int, int, int], int | None]
    fs_attr_read: Callable[[int, int, int, int, int], int]
    fs_meta_close: Callable[[int], None]
    fs_type_toname: Callable[[int], bytes | None]
    list_add: Callable[[int, int], int]
    error_get: Callable[[], bytes | None]
    error_reset: Callable[[], None]
    pool_open_img_sing: Callable[[int, int, int], int | None]
    pool_close: Callable[[int], None]

    def take_error(self) -> str:
        """Return the library's last error as text and clear it."""
        text = (self.error_get() or b"").decode("utf-8", "replace")
        self.error_reset()
        return text or "no reason given"


_loaded: list[Library] = []


def library() -> Library:
    """Return the library; the first call proves the layout of its structures."""
    if not _loaded:
        lib = Library()
        check_layout(pytsk3, TskImage, TskFileSystem, lib)
        _loaded.append(lib)
    return _loaded[0]


class TskImage:
    """A medium as the library sees it. Reads that fail are errors to the library, and kept in :attr:`unreadable`."""

    def __init__(
        self, lib: Library, medium: Medium, sector_size: int, on_read: Callable[[], None] | None = None
    ) -> None:
        self.lib = lib
        self.medium = medium
        self._on_read = on_read
        self.unreadable: list[tuple[int, int]] = []
        self._info = ImageInfo()
        self._callbacks = (_READ(self._read), _CLOSE(lambda _: None), _STAT(lambda _, __: None))
        pointer = lib.img_open_external(ctypes.addressof(self._info), medium.size, sector_size, *self._callbacks)
        if not pointer:
            raise TskError(f"the image cannot be given to The Sleuth Kit: {lib.take_error()}")
        self.pointer: int = pointer

    def _read(self, _: int, offset: int, target: ctypes._Pointer[ctypes.c_char], length: int) -> int:
        if self._on_read is not None:
            self._on_read()
        buffer = memoryview((ctypes.c_char * length).from_address(ctypes.addressof(target.contents))).cast("B")
        try:
            return self.medium.read_into(offset, buffer)
        except (ImageDamageError, SourceReadError):
            if len(self.unreadable) < 10_000:
                self.unreadable.append((offset, length))
            return -1


class Stream(Struct, frozen=True):
    """One attribute of a file with content. ``name`` is ``None`` for the unnamed stream; sizes in bytes.

    ``runs`` are (block of the file, block of the file system, blocks, flags); empty for resident content.
    """

    pointer: int
    type: int
    id: int
    name: bytes | None
    size: int
    flags: int
    allocated_size: int

    @property
    def attribute(self) -> str:
        """``type-id``, as The Sleuth Kit writes it."""
        return f"{self.type}-{self.id}"


class TskFileSystem:
    """An open file system at a byte offset of an image."""

    def __init__(self, image: TskImage, offset: int, kind: int = 0, *, image_pointer: int | None = None) -> None:
        self.lib = image.lib
        self.image = image
        self.offset = offset
        self.taken: MediumScope | None = None
        """What of the medium was taken, where not all of it was: the rest reads as zeros and is no data."""
        pointer = self.lib.fs_open_img(image_pointer or image.pointer, offset, kind)
        if not pointer:
            raise TskError(self.lib.take_error())
        self.pointer: int = pointer
        self.info = FileSystemInfo.from_address(pointer)
        self.block_size = self.info.block_size
        self.name = (self.lib.fs_type_toname(self.info.ftype) or b"unknown").decode("ascii", "replace")
        self.is_ntfs = self.name == "ntfs"
        self._block_flags = _BLOCK_FLAGS(self.info.block_getflags)
        self.apfs: ApfsVolume | None = None
        """The same volume through libfsapfs, where it is one of APFS and libfsapfs can open it."""

    @property
    def root(self) -> int:
        """The inode of the root directory."""
        return int(self.info.root_inum)

    def close(self) -> None:
        """Close it; may be called once."""
        self.lib.fs_close(self.pointer)

    def open_file(self, inode: int) -> int:
        """Return a ``TSK_FS_FILE`` for a metadata address; the caller closes it with ``lib.fs_file_close``."""
        pointer = self.lib.fs_file_open_meta(self.pointer, None, inode)
        if not pointer:
            raise TskError(f"inode {inode}: {self.lib.take_error()}")
        return pointer

    def streams(self, file: int) -> Iterator[Stream]:
        """Yield all attributes of an open file that the library knows content of; none where they cannot be loaded."""
        for index in range(self.lib.fs_file_attr_getsize(file)):
            pointer = self.lib.fs_file_attr_get_idx(file, index)
            if pointer:
                yield stream_at(pointer)
        self.lib.error_reset()

    def default_stream(self, file: int) -> Stream | None:
        """Return the stream that is the file's content by default; ``None`` where there is none."""
        pointer = self.lib.fs_file_attr_get(file)
        if not pointer:
            self.lib.error_reset()
            return None
        return stream_at(pointer)

    def named_stream(self, file: int, kind: int, number: int) -> Stream | None:
        """Return the attribute with that type and number; ``None`` where there is none."""
        pointer = self.lib.fs_file_attr_get_type(file, kind, number, 1)
        if not pointer:
            self.lib.error_reset()
            return None
        return stream_at(pointer)

    def runs(self, stream: Stream, most: int = 1 << 20) -> Iterator[AttributeRun]:
        """Yield the runs of a non-resident stream, at most ``most``: a list that loops in memory must end."""
        if not stream.flags & NONRESIDENT:
            return
        at = Attribute.from_address(stream.pointer).run
        while at and most:
            run = AttributeRun.from_address(at)
            yield run
            at = run.next
            most -= 1

    def read(self, stream: Stream, offset: int, buffer: memoryview, *, slack: bool = False) -> int:
        """Fill ``buffer`` from ``offset`` of the stream; return the bytes read (fewer only at its end)."""
        target = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        done = self.lib.fs_attr_read(
            stream.pointer, offset, ctypes.addressof(target), len(buffer), SLACK if slack else 0
        )
        if done < 0:
            raise TskError(self.lib.take_error())
        return done

    def block_flags(self, block: int) -> int:
        """Return ``TSK_FS_BLOCK_FLAG_ENUM`` of a block that is in the file system: 1 in use, 2 free, 8 metadata."""
        return int(self._block_flags(self.pointer, block))

    def is_allocated(self, block: int) -> bool | None:
        """Whether a block is in use; ``None`` where the file system cannot say."""
        if not self.info.first_block <= block <= self.info.last_block_act:
            return None
        flags = self.block_flags(block)
        if flags & BLOCK_ALLOCATED:
            return True
        if flags & BLOCK_UNALLOCATED:
            return False
        self.lib.error_reset()
        return None


def stream_at(pointer: int) -> Stream:
    """Return the facts of a ``TSK_FS_ATTR``; they are valid as long as its file is open."""
    raw = Attribute.from_address(pointer)
    name = ctypes.string_at(raw.name) if raw.name else None
    return Stream(pointer, raw.type, raw.id, name or None, raw.size, raw.flags, raw.allocsize)


class PoolVolumeFacts(Struct, frozen=True):
    """A volume of a container: its place in it (block), name, and whether it is encrypted."""

    index: int
    name: str
    block: int
    blocks: int
    encrypted: bool


class TskPool:
    """A container of volumes (APFS) at a byte offset of an image."""

    def __init__(self, image: TskImage, offset: int) -> None:
        self.lib = image.lib
        self.image = image
        pointer = self.lib.pool_open_img_sing(image.pointer, offset, 0)
        if not pointer:
            raise TskError(self.lib.take_error())
        self.pointer: int = pointer
        self.info = PoolInfo.from_address(pointer)

    def volumes(self) -> list[PoolVolumeFacts]:
        """Return the volumes, in order."""
        result: list[PoolVolumeFacts] = []
        at = self.info.vol_list
        while at and len(result) < 1000:
            raw = PoolVolume.from_address(at)
            name = (raw.desc or b"").decode("utf-8", "replace")
            result.append(PoolVolumeFacts(raw.index, name, raw.block, raw.num_blocks, bool(raw.flags & 1)))
            at = raw.next
        return result

    def open_volume(self, block: int) -> TskFileSystem:
        """Open the file system of a volume; ``block`` from :meth:`volumes`."""
        opener = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(self.info.get_img_info)
        image = opener(self.pointer, block)
        if not image:
            raise TskError(self.lib.take_error())
        return TskFileSystem(self.image, 0, image_pointer=image)
