"""What a file is by its first bytes, and the endings that go with it. Sources: the formats' own specifications."""

from __future__ import annotations

__all__ = ["HEAD", "content_type", "is_mismatch"]

HEAD = 4096
"""Bytes that are looked at."""

_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg", "jpg jpeg jpe jfif thm"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (0, b"GIF87a", "image/gif", "gif"),
    (0, b"GIF89a", "image/gif", "gif"),
    (0, b"II*\0", "image/tiff", "tif tiff dng nef cr2 arw"),
    (0, b"MM\0*", "image/tiff", "tif tiff dng nef"),
    (8, b"WEBP", "image/webp", "webp"),
    (4, b"ftypheic", "image/heic", "heic heif"),
    (4, b"ftyp", "video/mp4", "mp4 m4v m4a mov 3gp heic heif avif cr3"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska", "mkv webm mka"),
    (8, b"AVI ", "video/x-msvideo", "avi"),
    (8, b"WAVE", "audio/wav", "wav"),
    (0, b"ID3", "audio/mpeg", "mp3"),
    (0, b"fLaC", "audio/flac", "flac"),
    (0, b"OggS", "application/ogg", "ogg oga ogv opus"),
    (0, b"%PDF-", "application/pdf", "pdf ai"),
    (0, b"{\\rtf", "application/rtf", "rtf doc"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", "doc xls ppt msi msg db dot xla pub vsd mpp"),
    (0, b"PK\x03\x04", "application/zip",
     "zip docx xlsx pptx docm xlsm odt ods odp jar apk epub xpi war ipa kmz cbz dotx pages numbers key"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar", "rar cbr"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "7z"),
    (0, b"\x1f\x8b", "application/gzip", "gz tgz svgz"),
    (0, b"BZh", "application/x-bzip2", "bz2 tbz2"),
    (0, b"\xfd7zXZ\0", "application/x-xz", "xz txz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd", "zst"),
    (257, b"ustar", "application/x-tar", "tar"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable", "exe dll sys scr ocx cpl drv efi com mui"),
    (0, b"\x7fELF", "application/x-elf", "so o elf bin ko axf"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3", "db sqlite sqlite3 db3 sqlitedb"),
    (0, b"regf", "application/x-windows-registry", "dat hve"),
    (0, b"ElfFile\0", "application/x-windows-event-log", "evtx"),
    (0, b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut", "lnk"),
    (0, b"!BDN", "application/vnd.ms-outlook-pst", "pst ost"),
    (0, b"EVF\t\r\n\xff\0", "application/x-ewf", "e01"),
    (0, b"-----BEGIN ", "application/x-pem-file", "pem crt key cer asc pub p7b"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm", "class dylib"),
    (0, b"wOFF", "font/woff", "woff"),
)  # fmt: skip
_BY_ENDING = {ending: kind for _, _, kind, endings in _SIGNATURES for ending in endings.split()}
_CERTAIN = {"jpg", "jpeg", "png", "gif", "pdf", "docx", "xlsx", "pptx", "zip", "rar", "7z", "mp4", "exe", "mkv", "webp",
            "tif", "tiff", "sqlite", "evtx", "lnk", "pst", "flac", "xz", "bz2"}  # fmt: skip
"""Endings whose files always begin with the signature."""


def content_type(head: bytes) -> tuple[str, frozenset[str]] | None:
    """Return the type that the first bytes tell and the endings it may have; ``None`` where they tell nothing."""
    for offset, magic, kind, endings in _SIGNATURES:
        if head[offset : offset + len(magic)] == magic:
            return kind, frozenset(endings.split())
    return None


def is_mismatch(ending: str, found: tuple[str, frozenset[str]] | None) -> bool:
    """Whether an ending (without the dot) and the content contradict each other; no ending contradicts nothing."""
    ending = ending.lower()
    if not ending:
        return False
    if found is None:
        return ending in _CERTAIN
    return ending not in found[1] and ending in _BY_ENDING
