"""Reads in a process that may be given up.

A read of a dying drive may never return, and nothing in user space can cancel it. So another process reads, into memory
that both share; when it does not answer in time it is killed and left behind, and no new read is sent to the drive.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence

from forensiq.errors import SourceError, SourceLostError, SourceReadError
from forensiq.model.source import SourceIdentity
from forensiq.sources.base import Source
from forensiq.streams.closing import Closing
from forensiq.streams.shared_memory import SharedMemory

__all__ = ["ANSWER", "REQUEST", "ExpendableSource"]

REQUEST = struct.Struct("<?QQ")
"""To the process: whether past the page cache, offset, length (bytes)."""
ANSWER = struct.Struct("<BQ")
"""From the process: 0 and the bytes read, 1 and the errno of a failed read, 2 and the errno of a lost source."""

_CHILD = "forensiq.sources.expendable_process"
_START_S = 60.0
_SILENT = tuple((os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDONLY, 0) for stream in (0, 1, 2))
"""A process that hangs in a read may outlive us: it must not hold the pipes that somebody reads our output from."""


class ExpendableSource(Closing):
    """A :class:`~forensiq.sources.base.Source` whose reads end: with data, an error, or after ``timeout_s`` seconds.

    ``source`` tells what the source is and stays the caller's; nothing is read through it. The process opens the same
    path again, read-only. ``command`` starts another process in its place (for tests).

    After a read that did not end, every read is a :class:`SourceLostError` (facts: offset, length, timeout_s).
    """

    parallel_reads = 1

    def __init__(self, source: Source, timeout_s: float, *, command: Sequence[str] | None = None) -> None:
        self.identity: SourceIdentity = source.identity
        self.size = source.size
        self.sector_size = source.sector_size
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._lost: SourceLostError | None = None
        self._memory = SharedMemory()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fixed = [sys.executable, "-m", _CHILD]
            arguments = [str(theirs.fileno()), str(self._memory.descriptor), str(self.sector_size), self.identity.path]
            for descriptor in (theirs.fileno(), self._memory.descriptor):
                os.set_inheritable(descriptor, True)
            argv = [*(command or fixed), *arguments]
            self._process: int | None = os.posix_spawn(argv[0], argv, os.environ, file_actions=_SILENT)
        finally:
            theirs.close()
            os.set_inheritable(self._memory.descriptor, False)
        if not self._wait(_START_S):
            self.close()
            raise SourceError(f"{self.identity.path} cannot be read: the reading process did not start")

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_into`."""
        return self._read(offset, buffer, direct=False)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_direct`."""
        return self._read(offset, buffer, direct=True)

    def _read(self, offset: int, buffer: memoryview, *, direct: bool) -> int:
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._memory.ensure(len(buffer))
            try:
                self._socket.sendall(REQUEST.pack(direct, offset, len(buffer)))
                answer = self._wait(self.timeout_s)
            except OSError:
                answer = b""
            if answer is None:
                raise self._give_up(offset, len(buffer))
            if not answer:
                raise self._lose("the reading process ended", offset, errno.EIO)
            kind, value = ANSWER.unpack(answer)
            if kind == 1:
                raise SourceReadError(offset, len(buffer), value)
            if kind == 2:
                raise self._lose(f"{self.identity.path} is gone: {os.strerror(value)}", offset, value)
            self._memory.copy_to(buffer[:value])
            return int(value)

    def _wait(self, seconds: float) -> bytes | None:
        """Return the next answer, ``b""`` where the process has ended, ``None`` where it does not answer in time."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        answer = self._socket.recv(ANSWER.size, socket.MSG_WAITALL)
        return answer if len(answer) == ANSWER.size else b""

    def _give_up(self, offset: int, length: int) -> SourceLostError:
        self._end_process()
        self._lost = SourceLostError(
            f"the drive is not responding: a read at byte {offset} has not ended in {self.timeout_s:g} seconds",
            hint="switch the drive off and on (or unplug it), then run the same command with --resume",
            path=self.identity.path,
            offset=offset,
            length=length,
            timeout_s=self.timeout_s,
        )
        return self._lost

    def _lose(self, message: str, offset: int, code: int) -> SourceLostError:
        self._lost = SourceLostError(message, path=self.identity.path, offset=offset, errno=code)
        return self._lost

    def _end_process(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        # A process in an uninterruptible read ends when the kernel gives up the read: it is not waited for.
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(self._process, os.WNOHANG)[0] == 0:
                threading.Thread(target=_reap, args=(self._process,), daemon=True).start()
        self._process = None

    def close(self) -> None:
        """End the process; may be called twice."""
        self._end_process()
        self._socket.close()
        self._memory.close()


def _reap(process: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)
