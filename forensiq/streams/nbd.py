"""The network block device protocol, as far as a read-only medium over a unix socket needs it.

Numbers are big-endian. Handshake ("fixed newstyle"): the server greets with its flags, the client answers with its own;
then options, each with replies, until ``GO`` (or ``EXPORT_NAME``) begins the transmission. A request is 28 bytes, a
reply 16 and the data. Source: the NBD project's ``doc/proto.md``.
"""

from __future__ import annotations

import socket
import struct

from forensiq.errors import SourceLostError, SourceReadError

__all__ = [
    "ACK",
    "CLIENT_FLAGS",
    "COMMAND_DISCONNECT",
    "COMMAND_FLUSH",
    "COMMAND_READ",
    "ERROR_INVALID",
    "ERROR_IO",
    "ERROR_PERMISSION",
    "EXPORT_FLAGS",
    "GREETING",
    "INFO",
    "INFO_EXPORT",
    "OPTION",
    "OPTION_ABORT",
    "OPTION_EXPORT_NAME",
    "OPTION_GO",
    "OPTION_INFO",
    "OPTION_LIST",
    "OPTION_MAGIC",
    "OPTION_REPLY",
    "OPTION_REPLY_MAGIC",
    "REFUSED_INVALID",
    "REFUSED_UNKNOWN",
    "REFUSED_UNSUPPORTED",
    "REPLY",
    "REPLY_MAGIC",
    "REQUEST",
    "REQUEST_MAGIC",
    "SERVER",
    "NbdClient",
    "receive",
]

GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
"""Of the server: fixed newstyle, no zeros behind an export's description."""
CLIENT_FLAGS = struct.pack(">I", 3)
OPTION_MAGIC = b"IHAVEOPT"
OPTION = struct.Struct(">8sII")
OPTION_REPLY = struct.Struct(">QIII")
OPTION_REPLY_MAGIC = 0x3E889045565A9
OPTION_EXPORT_NAME, OPTION_ABORT, OPTION_LIST, OPTION_INFO, OPTION_GO = 1, 2, 3, 6, 7
ACK, SERVER, INFO = 1, 2, 3
REFUSED_UNSUPPORTED, REFUSED_INVALID, REFUSED_UNKNOWN = 0x80000001, 0x80000003, 0x80000006
INFO_EXPORT = struct.Struct(">HQH")
EXPORT_FLAGS = 0x103
"""Read-only, and several connections see the same."""
REQUEST = struct.Struct(">IHHQQI")
REPLY = struct.Struct(">IIQ")
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
COMMAND_READ, COMMAND_DISCONNECT, COMMAND_FLUSH = 0, 2, 3
ERROR_PERMISSION, ERROR_IO, ERROR_INVALID = 1, 5, 22
_MOST_DATA = 64 << 10


def receive(connection: socket.socket, count: int) -> bytes:
    """Return exactly ``count`` bytes; :class:`ConnectionError` where the other side ends before."""
    data = bytearray(count)
    _receive_into(connection, memoryview(data))
    return bytes(data)


def _receive_into(connection: socket.socket, buffer: memoryview) -> None:
    """Fill ``buffer``; :class:`ConnectionError` where the other side ends before."""
    done = 0
    while done < len(buffer):
        count = connection.recv_into(buffer[done:])
        if not count:
            raise ConnectionError("the other side closed the connection")
        done += count


class NbdClient:
    """One connection to a server that exports one medium. Not for several threads at once.

    ``size`` in bytes. Raises :class:`~forensiq.errors.SourceLostError` where the server does not speak the protocol or
    goes away.
    """

    def __init__(self, connection: socket.socket, name: str = "") -> None:
        """Take over ``connection``, and ask for the export ``name``; where that fails the connection is closed."""
        self._connection = connection
        self._number = 0
        begun = False
        try:
            self.size = self._begin(name.encode())
            begun = True
        except OSError as error:
            raise SourceLostError(f"the NBD server went away: {error}") from error
        finally:
            if not begun:
                connection.close()

    def _begin(self, name: bytes) -> int:
        greeting = receive(self._connection, 18)
        if greeting[:16] != GREETING[:16] or not greeting[17] & 1:
            raise SourceLostError("the NBD server does not speak the newstyle protocol")
        data = struct.pack(">I", len(name)) + name + bytes(2)
        self._connection.sendall(CLIENT_FLAGS + OPTION.pack(OPTION_MAGIC, OPTION_GO, len(data)) + data)
        size: int | None = None
        while True:
            magic, _, kind, length = OPTION_REPLY.unpack(receive(self._connection, OPTION_REPLY.size))
            if magic != OPTION_REPLY_MAGIC or length > _MOST_DATA:
                raise SourceLostError("the NBD server sent what is no reply")
            data = receive(self._connection, length)
            if kind == INFO and data[:2] == bytes(2) and length == INFO_EXPORT.size:
                size = INFO_EXPORT.unpack(data)[1]
            elif kind == ACK and size is not None:
                return size
            elif kind != INFO:
                raise SourceLostError(f"the NBD server refused the export (reply {kind:#x})")

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; :class:`~forensiq.errors.SourceReadError` where the server cannot read it."""
        self._number += 1
        try:
            request = REQUEST.pack(REQUEST_MAGIC, 0, COMMAND_READ, self._number, offset, len(buffer))
            self._connection.sendall(request)
            magic, error, number = REPLY.unpack(receive(self._connection, REPLY.size))
            if magic != REPLY_MAGIC or number != self._number:
                raise SourceLostError("the NBD server sent what is no reply")
            if error:
                raise SourceReadError(offset, len(buffer), error)
            _receive_into(self._connection, buffer)
        except OSError as failure:
            raise SourceLostError(f"the NBD server went away: {failure}") from failure

    def close(self) -> None:
        """End the connection."""
        try:
            self._connection.sendall(REQUEST.pack(REQUEST_MAGIC, 0, COMMAND_DISCONNECT, 0, 0, 0))
        except OSError:  # it is gone already
            pass
        finally:
            self._connection.close()
