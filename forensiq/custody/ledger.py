r"""The ledger: one canonical-JSON line for each event, chained by hash, each line signed; lines are only appended.

A line is the canonical JSON (:mod:`forensiq.custody.canonical`) of one entry, then ``\n``. ``previous`` is the SHA-256
of the line before it without its newline, so it covers that line's signature too. ``signature`` is the Ed25519
signature over the canonical JSON of the entry without ``signature``, by ``key``, which stands in the line itself:
one line can be checked alone, and appending reads only the end of the file however long it is.

Ordering. Under an exclusive ``flock`` on the ledger: (1) read the end; (2) if the file does not end in a newline, a
write was cut short: copy those bytes to ``ledger.torn-OFFSET-SHA.bin``, make that durable, then cut them off; signed
lines are complete lines and are never touched; (3) check the last line; (4) write the new line with one ``write``;
(5) ``fsync``. An event has happened when :meth:`Ledger.append` returns. A torn end that is in fact a whole valid line
without its newline is kept: only the newline is added.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from forensiq import clock
from forensiq.custody.canonical import decode, encode
from forensiq.custody.signing import Signer, verify_signature
from forensiq.errors import CustodyError, DestinationExistsError, NotCanonicalError
from forensiq.model.jsonable import Json
from forensiq.model.ledger import NO_HASH, LedgerEntry, LedgerHead
from forensiq.streams.durable import destination_error, sync_folder

__all__ = ["MAX_LINE", "Event", "Ledger", "head_after", "ledger_line", "parse_line", "signature_holds"]

MAX_LINE = 16 * 1024 * 1024
"""Longest line in bytes that is written or read; longer ones are refused before they are held in memory."""

_FIELDS = frozenset(LedgerEntry.__struct_fields__) - {"hash"}
_KINDS: tuple[tuple[str, type, str], ...] = (
    *((name, int, "integer") for name in ("seq", "monotonic_us")),
    *((name, str, "text") for name in ("utc", "boot", "actor", "action")),
    *((name, dict, "object") for name in ("parameters", "result", "digests")),
)
_HEXADECIMAL = (("previous", 64), ("key", 64), ("signature", 128))
_BLOCK = 64 * 1024
_HEX = re.compile("[0-9a-f]*").fullmatch


class Event(Struct, frozen=True):
    """What is to be written: who did what, with what, and what came of it (fields as in ``LedgerEntry``)."""

    actor: str
    action: str
    parameters: Mapping[str, Json] = field(default_factory=dict)
    result: Mapping[str, Json] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    clock_offset_us: int | None = None


def parse_line(line: bytes) -> LedgerEntry:
    """Return the entry in ``line`` (without newline); :class:`NotCanonicalError` if it is none. No signature check."""
    value = decode(line)
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise NotCanonicalError("not a ledger entry: other fields than an entry has")
    for name, kind, what in _KINDS:
        # The very type: a bool is an int to isinstance, and JSON's true is no number.
        if type(value[name]) is not kind:
            raise NotCanonicalError(f"not a ledger entry: {name} is no {what}")
    if type(value["clock_offset_us"]) not in (int, type(None)):
        raise NotCanonicalError("not a ledger entry: clock_offset_us is no integer")
    for digest in value["digests"].values():  # type: ignore[union-attr]
        if not _is_hex(digest, 64):
            raise NotCanonicalError("not a ledger entry: a digest is no SHA-256")
    for name, length in _HEXADECIMAL:
        if not _is_hex(value[name], length):
            raise NotCanonicalError(f"not a ledger entry: {name} is not {length} hexadecimal digits")
    return LedgerEntry(**value, hash=hashlib.sha256(line).hexdigest())  # type: ignore[arg-type]


def signature_holds(key: str, signature: str, line: bytes) -> bool:
    """Say whether ``line`` was signed by the key in it; ``key`` and ``signature`` are as :func:`parse_line` read them.

    What was signed is the line without its field ``signature``. In canonical form only ``utc`` follows that field, and
    it is text, in which a quotation mark is escaped: so the last place that looks like the field is the field.
    """
    part = f'"signature":"{signature}",'.encode()
    at = line.rindex(part)
    return verify_signature(bytes.fromhex(key), bytes.fromhex(signature), line[:at] + line[at + len(part) :])


def head_after(entry: LedgerEntry | None) -> LedgerHead:
    """Return the head of a ledger whose last entry is ``entry``."""
    return LedgerHead(0, 0, NO_HASH) if entry is None else LedgerHead(entry.seq, entry.seq, entry.hash)


class Ledger:
    """The ledger in one file. Holds nothing between calls, so any number of processes may use the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make an empty ledger; :class:`~forensiq.errors.DestinationExistsError` if there is one."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise DestinationExistsError(f"{self.path} exists", path=str(self.path)) from error
        except OSError as error:
            raise destination_error(error, self.path, "making the ledger") from error
        os.close(handle)
        sync_folder(self.path.parent)

    def append(self, event: Event, signer: Signer) -> LedgerEntry:
        """Append ``event``, signed by ``signer``; durable when this returns.

        Before it, where they apply: ``ledger_repaired`` (a torn end was set aside) and ``signer_changed`` (another key
        than that of the last entry signs from here on). :class:`~forensiq.errors.CustodyError` if the last line does
        not verify: nothing is appended to a ledger that was tampered with.
        :class:`~forensiq.errors.DestinationError` if it cannot be written; the ledger is then as it was.
        """
        with self._locked() as handle:
            last, end = self._tail(handle)
            torn = self._set_aside(handle, end)
            if torn:
                last, end = self._write(handle, end, last, _repair(event, torn), signer)
            if last is not None and last.key != signer.public.raw.hex():
                last, end = self._write(handle, end, last, _key_event(event, last, signer), signer)
            last, _ = self._write(handle, end, last, event, signer)
            return last

    def head(self) -> LedgerHead:
        """Return where the ledger ends now; a torn end does not count. ``CustodyError`` as for :meth:`append`."""
        with self._locked(write=False) as handle:
            return head_after(self._tail(handle)[0])

    def size(self) -> int:
        """Return the size of the file in bytes; :class:`~forensiq.errors.CustodyError` if there is none."""
        with self._locked(write=False) as handle:
            return os.fstat(handle).st_size

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield offset and bytes of each line that is there now, newline included where it has one.

        A line of more than ``MAX_LINE`` bytes is yielded cut off, without newline, and ends the iteration. Nothing is
        checked; lines that are appended meanwhile are not yielded.
        """
        with self._locked(write=False) as handle:
            file = os.fdopen(os.dup(handle), "rb")
            size = os.fstat(handle).st_size
        with file:
            offset = 0
            while offset < size and (line := file.readline(min(MAX_LINE + 2, size - offset))):
                yield offset, line
                offset += len(line)
                if not line.endswith(b"\n"):
                    return

    def bindings(self, path: str, *, most: int = 1) -> list[tuple[str, int]]:
        """Return digest and ``seq`` of the entries that bind ``path``, the newest first, at most ``most``.

        Searches the bytes from the end; only entries whose own signature holds count. The chain is not checked.
        """
        wanted, result = encode(path) + b":", list[tuple[str, int]]()
        with self._locked(write=False) as handle:
            end = os.fstat(handle).st_size
            while len(result) < most and (found := _last(handle, wanted, end)) >= 0:
                start = end = _line_start(handle, found)
                entry = self._valid(_line_at(handle, start))
                if entry is not None and path in entry.digests:
                    result.append((entry.digests[path], entry.seq))
        return result

    @contextmanager
    def _locked(self, *, write: bool = True) -> Iterator[int]:
        try:
            flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            handle = os.open(self.path, flags)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise CustodyError(f"{self.path} cannot be opened: {reason}", path=str(self.path)) from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CustodyError(f"{self.path} is not a regular file", path=str(self.path))
            fcntl.flock(handle, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
            yield handle
        finally:
            os.close(handle)

    def _tail(self, handle: int) -> tuple[LedgerEntry | None, int]:
        """Return the last complete entry and the offset behind its newline (or behind a line that only lacks it)."""
        size = os.fstat(handle).st_size
        end = _line_start(handle, size)
        if size - end <= MAX_LINE and size > end:
            whole = self._valid(os.pread(handle, size - end, end))
            if whole is not None:
                return whole, size
        if end == 0:
            return None, 0
        start = _line_start(handle, end - 1)
        entry = self._valid(os.pread(handle, end - 1 - start, start)) if end - start <= MAX_LINE else None
        if entry is None:
            raise CustodyError(
                "the last line of the ledger does not verify; nothing was appended",
                hint="forensiq case verify DIR says what is wrong",
                path=str(self.path),
                offset=start,
            )
        return entry, end

    @staticmethod
    def _valid(line: bytes) -> LedgerEntry | None:
        try:
            entry = parse_line(line)
        except NotCanonicalError:
            return None
        return entry if signature_holds(entry.key, entry.signature, line) else None

    def _set_aside(self, handle: int, end: int) -> dict[str, str]:
        """Move the bytes from ``end`` on to a side file; return path and digest of what awaits its event."""
        size = os.fstat(handle).st_size
        if size > end:
            digest, name = hashlib.sha256(), f".torn-{end}.part"
            part = self.path.with_name(self.path.name + name)
            try:
                part.unlink(missing_ok=True)
                with part.open("xb") as copy:
                    for at in range(end, size, _BLOCK):
                        piece = os.pread(handle, min(_BLOCK, size - at), at)
                        digest.update(piece)
                        copy.write(piece)
                    copy.flush()
                    os.fsync(copy.fileno())
                part.rename(self.path.with_name(f"ledger.torn-{end}-{digest.hexdigest()[:16]}.bin"))
                sync_folder(self.path.parent)
                os.ftruncate(handle, end)
                os.fsync(handle)
            except OSError as error:
                raise destination_error(error, self.path, "setting a torn end of the ledger aside") from error
        waiting = sorted(self.path.parent.glob(f"ledger.torn-{end}-*.bin"))
        return {each.name: _sha256(each) for each in waiting if not each.is_symlink()}

    def _write(
        self, handle: int, end: int, last: LedgerEntry | None, event: Event, signer: Signer
    ) -> tuple[LedgerEntry, int]:
        line = ledger_line(event, last, signer)
        if len(line) > MAX_LINE:
            raise CustodyError(f"an event of {len(line)} bytes is longer than a ledger line may be ({MAX_LINE})")
        whole = os.pread(handle, 1, end - 1) == b"\n" if end else True
        data = (b"" if whole else b"\n") + line + b"\n"
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(handle, data[done:], end + done)
            os.fsync(handle)
        except OSError as error:
            os.ftruncate(handle, end)
            raise destination_error(error, self.path, "writing the ledger") from error
        return parse_line(line), end + len(data)


def ledger_line(event: Event, last: LedgerEntry | None, signer: Signer) -> bytes:
    """Return the line, without newline, that says ``event`` behind ``last``."""
    content: dict[str, Json] = {
        "seq": last.seq + 1 if last else 1,
        "utc": clock.rfc3339(clock.utc_now()),
        "monotonic_us": int(clock.monotonic() * 1_000_000),
        "boot": _boot(),
        "clock_offset_us": event.clock_offset_us,
        "actor": event.actor,
        "action": event.action,
        "parameters": dict(event.parameters),
        "result": dict(event.result),
        "digests": dict(event.digests),
        "previous": last.hash if last else NO_HASH,
        "key": signer.public.raw.hex(),
    }
    return encode({**content, "signature": signer.sign(encode(content)).hex()})


def _repair(event: Event, torn: Mapping[str, str]) -> Event:
    what = "the end of the ledger was cut short by a crash; its bytes were set aside, no signed line was touched"
    return Event(event.actor, "ledger_repaired", {"reason": what}, {}, torn)


def _key_event(event: Event, last: LedgerEntry, signer: Signer) -> Event:
    facts: dict[str, Json] = {
        "from_key": last.key,
        "to_fingerprint": signer.public.fingerprint,
        "to_name": signer.public.name,
    }
    return Event(event.actor, "signer_changed", facts)


def _last(handle: int, wanted: bytes, end: int) -> int:
    """Return where ``wanted`` last begins before ``end``, -1 if it does not, a block at a time."""
    at = end
    while at > 0:
        start = max(0, at - _BLOCK)
        found = os.pread(handle, min(at + len(wanted) - 1, end) - start, start).rfind(wanted)
        if found >= 0:
            return start + found
        at = start
    return -1


def _line_at(handle: int, start: int) -> bytes:
    """Return the line that begins at ``start``, without newline, as far as a line may be long."""
    line = b""
    while len(line) <= MAX_LINE and b"\n" not in line and (piece := os.pread(handle, _BLOCK, start + len(line))):
        line += piece
    return line.partition(b"\n")[0]


def _line_start(handle: int, end: int) -> int:
    """Return the offset behind the last newline before ``end`` (0 if there is none), without reading beyond need."""
    at = end
    while at > 0:
        start = max(0, at - _BLOCK)
        found = os.pread(handle, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _is_hex(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) == length and _HEX(value) is not None
