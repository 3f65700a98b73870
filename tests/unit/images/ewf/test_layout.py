"""The structures of EWF are packed at the documented offsets, and hostile bytes raise nothing unexpected."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.errors import ImageFormatError
from forensiq.images.ewf import layout

VOLUME = layout.Volume(
    chunks=3,
    sectors_per_chunk=64,
    bytes_per_sector=512,
    sectors=129,
    media_flags=3,
    compression=1,
    set_identifier=bytes(range(16)),
)


def test_file_header_is_the_documented_13_bytes() -> None:
    assert layout.FileHeader(258).pack() == b"EVF\x09\x0d\x0a\xff\x00\x01\x02\x01\x00\x00"
    assert layout.FileHeader.unpack(layout.FileHeader(7, logical=True).pack()) == layout.FileHeader(7, logical=True)


@pytest.mark.parametrize("position", range(13))
def test_file_header_with_a_changed_byte_is_refused_or_names_another_segment(position: int) -> None:
    data = bytearray(layout.FileHeader(1).pack())
    data[position] ^= 0x40
    if position in (9, 10):
        assert layout.FileHeader.unpack(bytes(data)).segment != 1
    else:
        with pytest.raises(ImageFormatError):
            layout.FileHeader.unpack(bytes(data))


def test_descriptor_offsets() -> None:
    data = layout.SectionDescriptor("sectors", next=0x1122334455, size=0x66).pack()
    assert len(data) == layout.DESCRIPTOR_SIZE
    assert data[:16] == b"sectors".ljust(16, b"\0")
    assert struct.unpack_from("<QQ", data, 16) == (0x1122334455, 0x66)
    assert data[32:72] == bytes(40)
    assert struct.unpack_from("<I", data, 72)[0] == zlib.adler32(data[:72])


def test_volume_offsets() -> None:
    data = VOLUME.pack()
    assert len(data) == layout.VOLUME_SIZE
    assert struct.unpack_from("<B3xIIIQ", data, 0) == (1, 3, 64, 512, 129)
    assert (data[36], data[52], struct.unpack_from("<I", data, 56)[0]) == (3, 1, 64)
    assert data[64:80] == bytes(range(16))
    assert struct.unpack_from("<I", data, 1048)[0] == zlib.adler32(data[:1048])
    value, checksum = layout.Volume.unpack(data)
    assert value == VOLUME
    assert checksum.ok


def test_a_changed_byte_shows_in_the_checksum() -> None:
    data = bytearray(VOLUME.pack())
    data[500] ^= 1
    _, checksum = layout.Volume.unpack(bytes(data))
    assert not checksum.ok


def test_table_body() -> None:
    entries = array("I", [76, 76 + 100 | layout.COMPRESSED])
    body = layout.pack_table(0x1_0000_0000, entries)
    assert len(body) == layout.table_body_size(2)
    header, checksum = layout.TableHeader.unpack(body)
    assert (header, checksum.ok) == (layout.TableHeader(2, 0x1_0000_0000), True)
    read, footer = layout.unpack_entries(memoryview(body)[24:], 2)
    assert read == entries
    assert footer is not None
    assert footer.ok


def test_table_without_footer() -> None:
    body = layout.pack_table(0, array("I", [76]))
    assert layout.unpack_entries(body[24:-4], 1) == (array("I", [76]), None)


def test_entries_that_the_bytes_do_not_hold_are_refused_before_allocating() -> None:
    with pytest.raises(ImageFormatError):
        layout.unpack_entries(bytes(100), 0xFFFF_FFFF)


def test_error2_round_trip_and_32_bit_limit() -> None:
    table = layout.ErrorTable(((5, 1), (0xFFFF_FFFF, 1)))
    data = table.pack()
    assert len(data) == 520 + 16 + 4
    read, head, entries = layout.ErrorTable.unpack(data)
    assert (read.ranges, head.ok, entries.ok) == (table.ranges, True, True)
    with pytest.raises(ValueError, match="32-bit"):
        layout.ErrorTable(((0x1_0000_0000, 1),)).pack()


def test_error2_with_a_count_beyond_its_bytes_is_refused() -> None:
    data = bytearray(layout.ErrorTable(((5, 1),)).pack())
    data[:4] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageFormatError):
        layout.ErrorTable.unpack(bytes(data))


def test_session_digest_and_hash_round_trip() -> None:
    sessions = layout.SessionTable(((1, 0), (0, 300)))
    assert layout.SessionTable.unpack(sessions.pack())[0] == sessions
    digest = layout.DigestBody(bytes(range(16)), bytes(range(20)))
    assert len(digest.pack()) == layout.DIGEST_SIZE
    assert layout.DigestBody.unpack(digest.pack())[0] == digest
    md5 = layout.HashBody(bytes(range(16)))
    assert len(md5.pack()) == layout.HASH_SIZE
    assert layout.HashBody.unpack(md5.pack())[0] == md5


@pytest.mark.parametrize(
    "unpack",
    [
        layout.FileHeader.unpack,
        layout.SectionDescriptor.unpack,
        layout.Volume.unpack,
        layout.TableHeader.unpack,
        layout.ErrorTable.unpack,
        layout.SessionTable.unpack,
        layout.DigestBody.unpack,
        layout.HashBody.unpack,
    ],
)
@given(data=st.binary(max_size=1200))
def test_hostile_bytes_give_a_value_or_an_image_format_error(unpack: Callable[[bytes], object], data: bytes) -> None:
    try:
        unpack(data)
    except ImageFormatError:
        return
