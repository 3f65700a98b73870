"""The read-only export: what it gives, and what it refuses."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.errors import ImageDamageError, SourceLostError, SourceReadError, UsageError
from forensiq.streams import nbd
from forensiq.streams.nbd import NbdClient
from forensiq.streams.nbd_server import NbdServer

DATA = random.Random(1).randbytes(100_100)
SIZE = 100_352


def read(offset: int, buffer: memoryview) -> int:
    if offset <= 50_000 < offset + len(buffer):
        raise ImageDamageError("damaged", offset=50_000, length=1)
    buffer[:] = DATA[offset : offset + len(buffer)]
    return len(buffer)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NbdServer]:
    with NbdServer(tmp_path / "s", read, len(DATA), SIZE) as serving:
        yield serving


def connect(tmp_path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(tmp_path / "s"))
    return connection


def test_the_medium_and_zeros_behind_it(server: NbdServer, tmp_path: Path) -> None:
    client = NbdClient(connect(tmp_path), "evidence")
    assert client.size == SIZE
    for offset, length in ((0, 1), (0, 50_000), (50_001, SIZE - 50_001), (SIZE - 1, 1), (100_099, 2)):
        buffer = bytearray(b"x" * length)
        client.read_into(offset, memoryview(buffer))
        assert bytes(buffer) == DATA.ljust(SIZE, b"\0")[offset : offset + length]
    client.close()
    assert server.counts.reads == 5


def test_damage_is_an_error_and_the_connection_goes_on(server: NbdServer, tmp_path: Path) -> None:
    client = NbdClient(connect(tmp_path))
    with pytest.raises(SourceReadError) as caught:
        client.read_into(49_999, memoryview(bytearray(2)))
    assert caught.value.errno == nbd.ERROR_IO
    client.read_into(0, memoryview(bytearray(10)))
    client.close()
    assert server.counts.failed_reads == 1


@pytest.mark.parametrize("offset", [SIZE - 1, SIZE, 1 << 63])
def test_behind_the_end_is_refused(server: NbdServer, tmp_path: Path, offset: int) -> None:
    client = NbdClient(connect(tmp_path))
    with pytest.raises(SourceReadError):
        client.read_into(offset, memoryview(bytearray(2)))
    client.close()


def test_an_unknown_export_is_refused(server: NbdServer, tmp_path: Path) -> None:
    with pytest.raises(SourceLostError):
        NbdClient(connect(tmp_path), "other")


def _transmitting(tmp_path: Path) -> socket.socket:
    connection = connect(tmp_path)
    assert nbd.receive(connection, 18) == nbd.GREETING
    connection.sendall(nbd.CLIENT_FLAGS + nbd.OPTION.pack(nbd.OPTION_MAGIC, nbd.OPTION_EXPORT_NAME, 0))
    assert struct.unpack(">QH", nbd.receive(connection, 10)) == (SIZE, nbd.EXPORT_FLAGS)
    return connection


@pytest.mark.parametrize("command", [1, 4, 6])
def test_whatever_writes_is_not_permitted(server: NbdServer, tmp_path: Path, command: int) -> None:
    connection = _transmitting(tmp_path)
    payload = bytes(70_000) if command == 1 else b""
    connection.sendall(nbd.REQUEST.pack(nbd.REQUEST_MAGIC, 0, command, 77, 0, 70_000) + payload)
    assert nbd.REPLY.unpack(nbd.receive(connection, 16)) == (nbd.REPLY_MAGIC, nbd.ERROR_PERMISSION, 77)
    connection.sendall(nbd.REQUEST.pack(nbd.REQUEST_MAGIC, 0, nbd.COMMAND_READ, 78, 0, 4))
    assert nbd.receive(connection, 20)[16:] == DATA[:4]
    assert server.counts.writes_refused == 1
    connection.close()


def test_nonsense_ends_the_connection_and_not_the_server(server: NbdServer, tmp_path: Path) -> None:
    for nonsense in (
        b"GET / HTTP/1.0\r\n\r\n" * 4,
        b"\0\0\0\1" + b"\xff" * 64,
        b"\0\0\0\1" + nbd.OPTION_MAGIC + b"\xff" * 8,
    ):
        with connect(tmp_path) as connection, contextlib.suppress(ConnectionResetError):
            connection.sendall(nonsense)
            while connection.recv(4096):
                pass
    client = NbdClient(connect(tmp_path))
    assert client.size == SIZE
    client.close()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        NbdServer(tmp_path / ("x" * 120), read, 1, 512)


def test_closing_removes_the_socket(tmp_path: Path) -> None:
    server = NbdServer(tmp_path / "s", read, len(DATA), SIZE)
    client = NbdClient(connect(tmp_path))
    server.close()
    server.close()
    assert not (tmp_path / "s").exists()
    with pytest.raises(SourceLostError):
        client.read_into(0, memoryview(bytearray(1)))
    client.close()
