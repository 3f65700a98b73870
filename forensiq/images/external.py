"""Another program's reader as an image: QEMU's, through ``qemu-nbd`` on a unix socket of our own.

It is the independent opinion on a disk image that forensiq wrote. Only such files are opened with it.
"""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from forensiq.clock import monotonic, sleep
from forensiq.devices.commands import run_command, which
from forensiq.errors import ImageDamageError, ImageFormatError, SourceLostError, SourceReadError
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing
from forensiq.streams.nbd import NbdClient

__all__ = ["QemuImage", "check_with_qemu", "qemu_version"]

_CONNECTIONS = 2
_PATIENCE_S = 20.0
_CHECK_S = 24 * 3600.0


def qemu_version() -> str | None:
    """Return what ``qemu-nbd`` says of itself; ``None`` where it is not installed."""
    if which("qemu-nbd") is None:
        return None
    lines = run_command(("qemu-nbd", "--version"), 20.0).output.splitlines()
    return lines[0].strip() if lines else None


class QemuImage(Closing):
    """An :class:`~forensiq.images.base.EvidenceImage` that QEMU reads; close it, or the program goes on."""

    compression = None
    metadata = ImageMetadata()
    stored_digests = DigestSet()
    acquisition_errors: tuple[Extent, ...] = ()
    chunk_size = None
    parallel_reads = _CONNECTIONS

    def __init__(self, path: Path, reader: str, *, sector_size: int = 512) -> None:
        """Open ``path`` as the format that QEMU calls ``reader``.

        Raises :class:`~forensiq.errors.ImageFormatError` where QEMU does not open it.
        """
        self.format = reader
        self.sector_size = sector_size
        self._folder = Path(tempfile.mkdtemp(prefix="forensiq-nbd-"))
        place = self._folder / "socket"
        command = [which("qemu-nbd") or "qemu-nbd", "--read-only", "--persistent", f"--shared={_CONNECTIONS}"]
        command += [f"--format={reader}", f"--socket={place}", str(path.absolute())]
        self._clients: list[NbdClient] = []
        self._free: queue.SimpleQueue[NbdClient] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        opened = False
        try:
            for _ in range(_CONNECTIONS):
                self._clients.append(NbdClient(self._connect(place, path)))
                self._free.put(self._clients[-1])
            opened = True
        except SourceLostError as error:
            raise ImageFormatError(f"QEMU does not open {path}: {error}", path=str(path)) from error
        finally:
            if not opened:
                self.close()
        self.size = self._clients[0].size
        self.segments: Sequence[Segment] = (Segment(1, path.name, path.stat().st_size, media=Extent(0, self.size)),)
        self.identity = SourceIdentity(SourceKind.IMAGE, str(path), self.size, sector_size)

    def _connect(self, place: Path, path: Path) -> socket.socket:
        until = monotonic() + _PATIENCE_S
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(str(place))
            except OSError as error:
                connection.close()
                if self._process.poll() is not None or monotonic() > until:
                    said = b"" if self._process.stderr is None or self._process.poll() is None else self._said()
                    text = said.decode("utf-8", "replace").strip() or str(error)
                    raise ImageFormatError(f"QEMU does not open {path}: {text}", path=str(path)) from error
                sleep(0.02)
            else:
                return connection

    def _said(self) -> bytes:
        return self._process.stderr.read(4096) if self._process.stderr is not None else b""

    def findings(self) -> Sequence[Finding]:
        """See :meth:`forensiq.images.base.EvidenceImage.findings`: nothing."""
        return ()

    def check_structure(self) -> Iterator[Finding]:
        """See :func:`check_with_qemu`."""
        yield from ()

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.images.base.EvidenceImage.read_into`."""
        wanted = max(0, min(len(buffer), self.size - offset))
        client = self._free.get()
        try:
            client.read_into(offset, buffer[:wanted])
        except SourceReadError as error:
            raise ImageDamageError(
                f"QEMU cannot read {wanted} bytes at offset {offset}", offset=offset, length=wanted, errno=error.errno
            ) from error
        finally:
            self._free.put(client)
        return wanted

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """See :meth:`forensiq.images.base.EvidenceImage.read_checked`."""
        wanted = max(0, min(len(buffer), self.size - offset))
        try:
            return self.read_into(offset, buffer), ()
        except ImageDamageError as error:
            buffer[:wanted] = bytes(wanted)
            return wanted, (Damage(Extent(offset, wanted), self.segments[0].path, "reader.error", error.message),)

    def close(self) -> None:
        """See :meth:`forensiq.images.base.EvidenceImage.close`; ends the program."""
        for client in self._clients:
            client.close()
        self._clients = []
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def check_with_qemu(path: Path, reader: str) -> tuple[Finding, ...]:
    """Let ``qemu-img check`` look at the structure; return what it found, or that it has no check for the format."""
    ended = run_command(("qemu-img", "check", "-q", "-f", reader, str(path)), _CHECK_S)
    if ended.exit_status == 0 or ended.missing:
        return ()
    text = " ".join((ended.output + ended.errors).split())[:500]
    if ended.exit_status == 63:
        return ()
    severity = Severity.WARNING if ended.exit_status == 3 else Severity.ERROR
    words = "qemu-img check found unused space" if ended.exit_status == 3 else "qemu-img check does not accept it"
    return (Finding(severity, Cause.METADATA, "container.check", words, where=path.name, found=text),)
