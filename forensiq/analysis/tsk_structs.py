"""The public structures of The Sleuth Kit's C library, as pytsk3 has it built in (4.15), for 64-bit Linux.

Source: ``tsk/fs/tsk_fs.h``, ``tsk/img/tsk_img.h`` and ``tsk/pool/tsk_pool.h``. Whoever loads the library proves the
layout against pytsk3's own accessors before the first use (:mod:`forensiq.analysis.tsk`).
"""

from __future__ import annotations

import ctypes
import struct

__all__ = [
    "ATTRIBUTE",
    "ATTRIBUTES_COMPLETE",
    "META",
    "META_MORE",
    "META_TIMES_2",
    "NAME",
    "Attribute",
    "AttributeRun",
    "Directory",
    "FileHandle",
    "FileSystemInfo",
    "ImageInfo",
    "Metadata",
    "Name",
    "PoolInfo",
    "PoolVolume",
]

_POINTER = ctypes.c_void_p
_LOCK = ctypes.c_byte * 40
_CACHE_ENTRIES, _CACHE_LENGTH = 32, 65536


class ImageInfo(ctypes.Structure):
    """``TSK_IMG_INFO``."""

    _fields_ = (
        ("tag", ctypes.c_uint32),
        ("itype", ctypes.c_int),
        ("size", ctypes.c_int64),
        ("num_img", ctypes.c_int),
        ("sector_size", ctypes.c_uint),
        ("page_size", ctypes.c_uint),
        ("spare_size", ctypes.c_uint),
        ("images", _POINTER),
        ("cache_lock", _LOCK),
        ("cache", ctypes.c_byte * (_CACHE_ENTRIES * _CACHE_LENGTH)),
        ("cache_off", ctypes.c_int64 * _CACHE_ENTRIES),
        ("cache_age", ctypes.c_int * _CACHE_ENTRIES),
        ("cache_len", ctypes.c_size_t * _CACHE_ENTRIES),
        ("read", _POINTER),
        ("close", _POINTER),
        ("imgstat", _POINTER),
    )


class FileSystemInfo(ctypes.Structure):
    """``TSK_FS_INFO``, up to the last member that is used."""

    _fields_ = (
        ("tag", ctypes.c_int),
        ("img_info", _POINTER),
        ("offset", ctypes.c_int64),
        ("inum_count", ctypes.c_uint64),
        ("root_inum", ctypes.c_uint64),
        ("first_inum", ctypes.c_uint64),
        ("last_inum", ctypes.c_uint64),
        ("block_count", ctypes.c_uint64),
        ("first_block", ctypes.c_uint64),
        ("last_block", ctypes.c_uint64),
        ("last_block_act", ctypes.c_uint64),
        ("block_size", ctypes.c_uint),
        ("dev_bsize", ctypes.c_uint),
        ("block_pre_size", ctypes.c_uint),
        ("block_post_size", ctypes.c_uint),
        ("journ_inum", ctypes.c_uint64),
        ("ftype", ctypes.c_int),
        ("duname", ctypes.c_char_p),
        ("flags", ctypes.c_int),
        ("fs_id", ctypes.c_uint8 * 32),
        ("fs_id_used", ctypes.c_size_t),
        ("endian", ctypes.c_int),
        ("list_inum_named_lock", _LOCK),
        ("list_inum_named", _POINTER),
        ("encryption_type", ctypes.c_int),
        ("encryption_data", _POINTER),
        ("orphan_dir_lock", _LOCK),
        ("orphan_dir", _POINTER),
        ("block_walk", _POINTER),
        ("block_getflags", _POINTER),
        ("inode_walk", _POINTER),
        ("file_add_meta", _POINTER),
        ("get_default_attr_type", _POINTER),
    )


class Name(ctypes.Structure):
    """``TSK_FS_NAME``."""

    _fields_ = (
        ("tag", ctypes.c_int),
        ("name", _POINTER),
        ("name_size", ctypes.c_size_t),
        ("shrt_name", _POINTER),
        ("shrt_name_size", ctypes.c_size_t),
        ("meta_addr", ctypes.c_uint64),
        ("meta_seq", ctypes.c_uint32),
        ("par_addr", ctypes.c_uint64),
        ("par_seq", ctypes.c_uint32),
        ("date_added", ctypes.c_uint64),
        ("type", ctypes.c_int),
        ("flags", ctypes.c_int),
    )


NAME = struct.Struct("@i4xP8x16xQI4x24xii")
"""``TSK_FS_NAME``: tag, name, meta_addr, meta_seq, type, flags."""


class _Times2(ctypes.Structure):
    _fields_ = (
        ("fn_crtime", ctypes.c_int64),
        ("fn_crtime_nano", ctypes.c_int64),
        ("fn_mtime", ctypes.c_int64),
        ("fn_mtime_nano", ctypes.c_int64),
        ("fn_atime", ctypes.c_int64),
        ("fn_atime_nano", ctypes.c_int64),
        ("fn_ctime", ctypes.c_int64),
        ("fn_ctime_nano", ctypes.c_int64),
        ("fn_id", ctypes.c_uint16),
    )


class Metadata(ctypes.Structure):
    """``TSK_FS_META``."""

    _fields_ = (
        ("tag", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("addr", ctypes.c_uint64),
        ("type", ctypes.c_int),
        ("mode", ctypes.c_int),
        ("nlink", ctypes.c_int),
        ("size", ctypes.c_int64),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("mtime", ctypes.c_int64),
        ("mtime_nano", ctypes.c_uint32),
        ("atime", ctypes.c_int64),
        ("atime_nano", ctypes.c_uint32),
        ("ctime", ctypes.c_int64),
        ("ctime_nano", ctypes.c_uint32),
        ("crtime", ctypes.c_int64),
        ("crtime_nano", ctypes.c_uint32),
        ("time2", _Times2),
        ("content_ptr", _POINTER),
        ("content_len", ctypes.c_size_t),
        ("content_type", ctypes.c_int),
        ("reset_content", _POINTER),
        ("seq", ctypes.c_uint32),
        ("attr", _POINTER),
        ("attr_state", ctypes.c_int),
        ("name2", _POINTER),
        ("link", _POINTER),
    )


META = struct.Struct("@iiQiii4xQIIqI4xqI4xqI4xqI4x")
"""``TSK_FS_META`` from tag to crtime_nano. Its size is signed; one of 16 EiB must not look negative."""

META_TIMES_2 = struct.Struct("@qqqqqqqqH")
"""``time2.ntfs``: crtime, mtime, atime, ctime of $FILE_NAME with nanoseconds, and the attribute's number."""


_TIMES_2 = Metadata.time2.offset
META_MORE = struct.Struct(f"={_TIMES_2}x8qH{Metadata.attr.offset - _TIMES_2 - 66}xQi")
"""``TSK_FS_META`` once more: ``time2.ntfs`` as in :data:`META_TIMES_2`, the list of attributes, its state."""

ATTRIBUTES_COMPLETE = 1
"""``TSK_FS_META_ATTR_STUDIED``."""


class FileHandle(ctypes.Structure):
    """``TSK_FS_FILE``."""

    _fields_ = (("tag", ctypes.c_int), ("name", _POINTER), ("meta", _POINTER), ("fs_info", _POINTER))


class Directory(ctypes.Structure):
    """``TSK_FS_DIR``."""

    _fields_ = (
        ("tag", ctypes.c_int),
        ("fs_file", _POINTER),
        ("names", _POINTER),
        ("names_used", ctypes.c_size_t),
        ("names_alloc", ctypes.c_size_t),
        ("addr", ctypes.c_uint64),
        ("seq", ctypes.c_uint32),
        ("fs_info", _POINTER),
    )


class AttributeRun(ctypes.Structure):
    """``TSK_FS_ATTR_RUN``; all numbers in blocks."""

    _fields_ = (
        ("next", _POINTER),
        ("offset", ctypes.c_uint64),
        ("addr", ctypes.c_uint64),
        ("len", ctypes.c_uint64),
        ("crypto_id", ctypes.c_uint64),
        ("flags", ctypes.c_int),
    )


class Attribute(ctypes.Structure):
    """``TSK_FS_ATTR``, without its functions."""

    _fields_ = (
        ("next", _POINTER),
        ("fs_file", _POINTER),
        ("flags", ctypes.c_int),
        ("name", _POINTER),
        ("name_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("id", ctypes.c_uint16),
        ("size", ctypes.c_int64),
        ("run", _POINTER),
        ("run_end", _POINTER),
        ("skiplen", ctypes.c_uint32),
        ("allocsize", ctypes.c_int64),
        ("initsize", ctypes.c_int64),
        ("compsize", ctypes.c_uint32),
        ("resident_buf", _POINTER),
        ("resident_size", ctypes.c_size_t),
        ("resident_offset", ctypes.c_int64),
    )


def _gap(low: str, high: str, size: int) -> str:
    return f"{getattr(Attribute, high).offset - getattr(Attribute, low).offset - size}x"


ATTRIBUTE = struct.Struct(f"=Q8xi{_gap('flags', 'name', 4)}Q8xiH{_gap('id', 'size', 2)}q")
"""``TSK_FS_ATTR``: next, flags, name, type, id, size."""


class PoolVolume(ctypes.Structure):
    """``TSK_POOL_VOLUME_INFO``."""

    _fields_ = (
        ("tag", ctypes.c_uint32),
        ("index", ctypes.c_int),
        ("desc", ctypes.c_char_p),
        ("password_hint", ctypes.c_char_p),
        ("block", ctypes.c_uint64),
        ("num_blocks", ctypes.c_uint64),
        ("next", _POINTER),
        ("prev", _POINTER),
        ("flags", ctypes.c_int),
    )


class PoolInfo(ctypes.Structure):
    """``TSK_POOL_INFO``, up to the list of volumes and the function that opens one."""

    _fields_ = (
        ("tag", ctypes.c_uint32),
        ("ctype", ctypes.c_int),
        ("block_size", ctypes.c_uint32),
        ("num_blocks", ctypes.c_uint64),
        ("num_vols", ctypes.c_int),
        ("img_offset", ctypes.c_uint64),
        ("vol_list", _POINTER),
        ("close", _POINTER),
        ("poolstat", _POINTER),
        ("get_img_info", _POINTER),
    )
