"""The lines of a ledger, parsed and with their signatures checked; those of a long ledger by all processors.

Lines are yielded in order and in bounded batches, so memory does not grow with the ledger. Signatures are most of the
work of an audit: for a ledger of more than 4 MiB (some 8,000 entries) worker processes check them while this one
parses; without workers it does both. The workers leave Ctrl-C to this process, which ends them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

from msgspec import Struct

from forensiq.custody.ledger import MAX_LINE, Ledger, parse_line, signature_holds
from forensiq.errors import NotCanonicalError
from forensiq.model.ledger import LedgerEntry

__all__ = ["CheckedLine", "checked_lines"]

_LARGE = 4 * 1024 * 1024
_BATCH_LINES, _BATCH_BYTES = 500, 1024 * 1024
_WORKERS = 8

_Signed = list[tuple[str, str, bytes]]
"""Key, signature (both hexadecimal) and line of each entry."""


class CheckedLine(Struct, frozen=True):
    """One line: where it is, how long, whether it ends in a newline; its entry or why there is none.

    ``digest`` is the SHA-256 of the line without newline, ``holds`` whether the signature does.
    """

    offset: int
    length: int
    ended: bool
    digest: str
    entry: LedgerEntry | None
    problem: str = ""
    holds: bool = False


class _Parsed(Struct, frozen=True):
    offset: int
    line: bytes
    ended: bool
    entry: LedgerEntry | None
    problem: str


def checked_lines(ledger: Ledger) -> Iterator[CheckedLine]:
    """Yield every line in order; after one that is longer than a line may be there are no more."""
    workers = min(os.cpu_count() or 1, _WORKERS)
    if workers == 1 or ledger.size() <= _LARGE:
        for batch in _batches(ledger):
            yield from _joined(batch, _check(_signed(batch)))
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_leave_signals)
    try:
        waiting: deque[tuple[list[_Parsed], Future[list[bool]] | None]] = deque()
        for batch in _batches(ledger):
            waiting.append((batch, _submit(pool, batch)))
            # Two batches for each worker keep it busy; more would only be memory.
            while len(waiting) > 2 * workers:
                yield from _answered(*waiting.popleft())
        while waiting:
            yield from _answered(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_signals() -> None:
    """Let Ctrl-C reach only the process that started this worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check(signed: _Signed) -> list[bool]:
    return [signature_holds(*each) for each in signed]


def _signed(batch: list[_Parsed]) -> _Signed:
    return [(each.entry.key, each.entry.signature, each.line) for each in batch if each.entry is not None]


def _submit(pool: ProcessPoolExecutor, batch: list[_Parsed]) -> Future[list[bool]] | None:
    """Give a batch to a worker; ``None`` where there are none (killed, or a machine that allows no processes)."""
    try:
        return pool.submit(_check, _signed(batch))
    except (BrokenExecutor, OSError):
        return None


def _answered(batch: list[_Parsed], answer: Future[list[bool]] | None) -> Iterator[CheckedLine]:
    try:
        held = answer.result() if answer is not None else _check(_signed(batch))
    except (BrokenExecutor, OSError):
        held = _check(_signed(batch))
    return _joined(batch, held)


def _batches(ledger: Ledger) -> Iterator[list[_Parsed]]:
    batch: list[_Parsed] = []
    size = 0
    for offset, line in ledger.lines():
        body = line.removesuffix(b"\n")
        batch.append(_parse(offset, body, ended=len(body) < len(line)))
        size += len(line)
        if len(batch) >= _BATCH_LINES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _parse(offset: int, body: bytes, *, ended: bool) -> _Parsed:
    if len(body) > MAX_LINE:
        return _Parsed(offset, body, ended, None, "too long")
    try:
        return _Parsed(offset, body, ended, parse_line(body), "")
    except NotCanonicalError as error:
        return _Parsed(offset, body, ended, None, error.message)


def _joined(batch: list[_Parsed], held: list[bool]) -> Iterator[CheckedLine]:
    answers = iter(held)
    for each in batch:
        size, entry = len(each.line), each.entry
        if entry is not None:
            yield CheckedLine(each.offset, size, each.ended, entry.hash, entry, "", next(answers))
        else:
            digest = hashlib.sha256(each.line).hexdigest()
            yield CheckedLine(each.offset, size, each.ended, digest, None, each.problem)
