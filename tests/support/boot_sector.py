"""A medium that boots: its first sector writes over sector 1, says something on the serial line, and switches off."""

from __future__ import annotations

__all__ = ["MESSAGE", "bootable"]

MESSAGE = b"forensiq boot sector: hello from the guest"

_CODE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "8ec0"  # mov es, ax
    "b80103"  # mov ax, 0301h   write one sector
    "bb007c"  # mov bx, 7c00h
    "b90200"  # mov cx, 2       cylinder 0, sector 2 (LBA 1)
    "ba8000"  # mov dx, 80h     head 0, first disk
    "cd13"  # int 13h
    "be007d"  # mov si, 7d00h
    "baf803"  # mov dx, 3f8h    the first serial line
    "fc"  # cld
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "7403"  # jz end
    "ee"  # out dx, al
    "ebf8"  # jmp next
    "b80753"  # end: mov ax, 5307h   APM: set power state
    "bb0100"  # mov bx, 1       all devices
    "b90300"  # mov cx, 3       off
    "cd15"  # int 15h
    "f4"  # stay: hlt
    "ebfd"  # jmp stay
)


def bootable(size: int) -> bytes:
    """Return a medium of ``size`` bytes with this sector, and text in the sectors behind it."""
    sector = _CODE.ljust(256, b"\0") + (MESSAGE + b"\r\n\0").ljust(254, b"\0") + b"\x55\xaa"
    text = b"untouched evidence. " * (size // 20 + 1)
    return (sector + text)[:size]
