"""The lines of a ledger, parsed and with their signatures checked; those of a long ledger by all processors.

Lines are yielded in order and in bounded batches, so memory does not grow with the ledger. Signatures are most of the
work of an audit: for a ledger of more than 4 MiB (some 8,000 entries) worker processes check them while this one
parses; without workers it does both.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

from forensiq.custody.ledger import MAX_LINE, Ledger, parse_line, signed_parts
from forensiq.custody.signing import verify_signatures
from forensiq.errors import NotCanonicalError
from forensiq.model.ledger import LedgerEntry

__all__ = ["CheckedLine", "checked_lines"]

_LARGE = 4 * 1024 * 1024
_BATCH_LINES, _BATCH_BYTES = 500, 1024 * 1024
_WORKERS = 8

_Parts = list[tuple[bytes, bytes, bytes]]


@dataclass(frozen=True, slots=True)
class CheckedLine:
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


def checked_lines(ledger: Ledger) -> Iterator[CheckedLine]:
    """Yield every line in order; after one that is longer than a line may be there are no more."""
    workers = min(os.cpu_count() or 1, _WORKERS)
    if workers == 1 or ledger.size() <= _LARGE:
        for batch, parts in _batches(ledger):
            yield from _joined(batch, verify_signatures(parts))
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[list[CheckedLine], _Parts, Future[list[bool]] | None]] = deque()
        for batch, parts in _batches(ledger):
            waiting.append((batch, parts, _submit(pool, parts)))
            # Two batches for each worker keep it busy; more would only be memory.
            while len(waiting) > 2 * workers:
                yield from _answered(*waiting.popleft())
        while waiting:
            yield from _answered(*waiting.popleft())


def _submit(pool: ProcessPoolExecutor, parts: _Parts) -> Future[list[bool]] | None:
    """Give ``parts`` to a worker; ``None`` where there are none (killed, or a machine that allows no processes)."""
    try:
        return pool.submit(verify_signatures, parts)
    except (BrokenExecutor, OSError):
        return None


def _answered(batch: list[CheckedLine], parts: _Parts, answer: Future[list[bool]] | None) -> Iterator[CheckedLine]:
    try:
        held = answer.result() if answer is not None else verify_signatures(parts)
    except (BrokenExecutor, OSError):
        held = verify_signatures(parts)
    return _joined(batch, held)


def _batches(ledger: Ledger) -> Iterator[tuple[list[CheckedLine], _Parts]]:
    batch: list[CheckedLine] = []
    parts: _Parts = []
    size = 0
    for offset, line in ledger.lines():
        body = line.removesuffix(b"\n")
        parsed = _parse(offset, body, ended=len(body) < len(line))
        batch.append(parsed)
        if parsed.entry is not None:
            parts.append(signed_parts(parsed.entry, body))
        size += len(line)
        if len(batch) >= _BATCH_LINES or size >= _BATCH_BYTES:
            yield batch, parts
            batch, parts, size = [], [], 0
    yield batch, parts


def _parse(offset: int, body: bytes, *, ended: bool) -> CheckedLine:
    digest = hashlib.sha256(body).hexdigest()
    if len(body) > MAX_LINE:
        return CheckedLine(offset, len(body), ended, digest, None, "too long")
    try:
        return CheckedLine(offset, len(body), ended, digest, parse_line(body))
    except NotCanonicalError as error:
        return CheckedLine(offset, len(body), ended, digest, None, error.message)


def _joined(batch: list[CheckedLine], held: list[bool]) -> Iterator[CheckedLine]:
    answers = iter(held)
    for line in batch:
        yield line if line.entry is None else replace(line, holds=next(answers))
