"""The process behind :class:`~forensiq.sources.expendable.ExpendableSource`: reads what it is asked for.

``python -m forensiq.sources.expendable_process SOCKET MEMORY SECTOR_SIZE PATH``, the first two as descriptors.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import socket
import sys
from pathlib import Path

from forensiq.errors import SourceLostError, SourceReadError
from forensiq.sources import open_source
from forensiq.sources.base import Source
from forensiq.sources.expendable import ANSWER, REQUEST

__all__ = ["main", "serve"]


def serve(source: Source, channel: socket.socket, memory: int) -> None:
    """Answer requests until the other side is gone."""
    channel.sendall(ANSWER.pack(0, 0))
    shared: memoryview | None = None
    while len(request := channel.recv(REQUEST.size, socket.MSG_WAITALL)) == REQUEST.size:
        direct, offset, length = REQUEST.unpack(request)
        if shared is None or len(shared) < length:
            shared = memoryview(mmap.mmap(memory, os.fstat(memory).st_size))
        read = source.read_direct if direct else source.read_into
        try:
            answer = ANSWER.pack(0, read(offset, shared[:length]))
        except SourceReadError as error:
            answer = ANSWER.pack(1, error.errno)
        except SourceLostError as error:
            code = error.facts.get("errno")
            answer = ANSWER.pack(2, code if isinstance(code, int) else errno.ENODEV)
        channel.sendall(answer)


def main() -> None:
    """Open the source and serve. Ctrl-C is for the program that started this, which then closes the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel, memory, sector_size = (int(word) for word in sys.argv[1:4])
    with open_source(Path(sys.argv[4]), sector_size=sector_size) as source:
        serve(source, socket.socket(fileno=channel), memory)


if __name__ == "__main__":
    main()
