"""Serves one medium over the network block device protocol, on a unix socket, read-only by construction.

There is no code that writes: a request to write, trim or zero is answered with "not permitted" and counted. Each
connection has a thread. The socket is only for its owner.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from forensiq.errors import ForensiqError, UsageError
from forensiq.streams import nbd
from forensiq.streams.closing import Closing

__all__ = ["EXPORT_NAME", "LONGEST_SOCKET", "NbdServer", "ServerCounts"]

EXPORT_NAME = "evidence"
LONGEST_SOCKET = 107
"""Bytes of the path of a unix socket, by Linux."""
_MOST_READ = 32 << 20
_MOST_OPTION = 64 << 10
_WRITES = (1, 4, 6)  # write, trim, write zeroes

Read = Callable[[int, memoryview], int]


class ServerCounts(Struct):
    """What was asked for until now. Bytes of the medium."""

    reads: int = 0
    bytes_read: int = 0
    failed_reads: int = 0
    writes_refused: int = 0


class NbdServer(Closing):
    """Serves ``size`` bytes; behind ``medium`` of them there are zeros. ``read`` fills a buffer from an offset of the
    medium, from several threads, and raises a :class:`~forensiq.errors.ForensiqError` where it cannot: the client
    gets an I/O error."""

    def __init__(self, path: Path, read: Read, medium: int, size: int) -> None:
        """Listen at ``path``, which is made and must not be there."""
        place = os.fsencode(path)
        if len(place) > LONGEST_SOCKET:
            raise UsageError(
                f"{path} is too long for a socket ({LONGEST_SOCKET} bytes)", hint="name a folder with a shorter path"
            )
        self.counts = ServerCounts()
        self._path = path
        self._read = read
        self._medium = medium
        self._size = size
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._ended = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(place)
        except OSError as error:
            self._listener.close()
            raise UsageError(f"{path}: no socket can be made there ({error.strerror})", path=str(path)) from error
        finally:
            os.umask(before)
        self._listener.listen(8)
        self._start(self._accept)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="nbd", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            with self._lock:
                if self._ended:
                    connection.close()
                    return
                self._connections.add(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._negotiate(connection):
                self._transmit(connection)
        except OSError:  # the client went away, or the server was closed
            return
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _negotiate(self, connection: socket.socket) -> bool:
        connection.sendall(nbd.GREETING)
        flags = struct.unpack(">I", nbd.receive(connection, 4))[0]
        if not flags & 1:
            return False
        while True:
            magic, option, length = nbd.OPTION.unpack(nbd.receive(connection, nbd.OPTION.size))
            if magic != nbd.OPTION_MAGIC or length > _MOST_OPTION:
                return False
            data = nbd.receive(connection, length)
            if option == nbd.OPTION_EXPORT_NAME:
                if data not in (b"", EXPORT_NAME.encode()):
                    return False
                padding = b"" if flags & 2 else bytes(124)
                connection.sendall(struct.pack(">QH", self._size, nbd.EXPORT_FLAGS) + padding)
                return True
            if option == nbd.OPTION_ABORT:
                self._reply(connection, option, nbd.ACK)
                return False
            if option in (nbd.OPTION_GO, nbd.OPTION_INFO):
                if self._describe(connection, option, data) and option == nbd.OPTION_GO:
                    return True
            elif option == nbd.OPTION_LIST:
                name = EXPORT_NAME.encode()
                self._reply(connection, option, nbd.SERVER, struct.pack(">I", len(name)) + name)
                self._reply(connection, option, nbd.ACK)
            else:
                self._reply(connection, option, nbd.REFUSED_UNSUPPORTED)

    def _describe(self, connection: socket.socket, option: int, data: bytes) -> bool:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 6 + length:
            self._reply(connection, option, nbd.REFUSED_INVALID)
            return False
        if data[4 : 4 + length] not in (b"", EXPORT_NAME.encode()):
            self._reply(connection, option, nbd.REFUSED_UNKNOWN)
            return False
        self._reply(connection, option, nbd.INFO, nbd.INFO_EXPORT.pack(0, self._size, nbd.EXPORT_FLAGS))
        self._reply(connection, option, nbd.ACK)
        return True

    @staticmethod
    def _reply(connection: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
        connection.sendall(nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, option, kind, len(data)) + data)

    def _transmit(self, connection: socket.socket) -> None:
        buffer = bytearray()
        while True:
            request = nbd.REQUEST.unpack(nbd.receive(connection, nbd.REQUEST.size))
            magic, _, command, cookie, offset, length = request
            if magic != nbd.REQUEST_MAGIC or command == nbd.COMMAND_DISCONNECT:
                return
            if command == nbd.COMMAND_READ:
                if length > _MOST_READ or offset + length > self._size:
                    connection.sendall(nbd.REPLY.pack(nbd.REPLY_MAGIC, nbd.ERROR_INVALID, cookie))
                    continue
                if len(buffer) < length:
                    buffer = bytearray(length)
                self._answer(connection, cookie, offset, memoryview(buffer)[:length])
            elif command == nbd.COMMAND_FLUSH:
                connection.sendall(nbd.REPLY.pack(nbd.REPLY_MAGIC, 0, cookie))
            else:
                self._refuse(connection, command, cookie, length)

    def _answer(self, connection: socket.socket, cookie: int, offset: int, buffer: memoryview) -> None:
        wanted = max(0, min(len(buffer), self._medium - offset))
        try:
            whole = not wanted or self._read(offset, buffer[:wanted]) == wanted
        except ForensiqError:
            whole = False
        with self._lock:
            self.counts.reads += 1
            self.counts.bytes_read += len(buffer)
            self.counts.failed_reads += not whole
        if not whole:
            connection.sendall(nbd.REPLY.pack(nbd.REPLY_MAGIC, nbd.ERROR_IO, cookie))
            return
        buffer[wanted:] = bytes(len(buffer) - wanted)
        connection.sendall(nbd.REPLY.pack(nbd.REPLY_MAGIC, 0, cookie))
        connection.sendall(buffer)

    def _refuse(self, connection: socket.socket, command: int, cookie: int, length: int) -> None:
        if command == _WRITES[0]:
            while length:
                length -= len(nbd.receive(connection, min(length, _MOST_OPTION)))
        refused = command in _WRITES
        with self._lock:
            self.counts.writes_refused += refused
        error = nbd.ERROR_PERMISSION if refused else nbd.ERROR_INVALID
        connection.sendall(nbd.REPLY.pack(nbd.REPLY_MAGIC, error, cookie))

    def close(self) -> None:
        """End every connection, stop listening and remove the socket; may be called twice."""
        with self._lock:
            self._ended = True
            open_ones = list(self._connections)
        for each in (self._listener, *open_ones):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
        self._path.unlink(missing_ok=True)
