"""Checks a ledger from its first line to its last: what was changed, and where.

One pass, a bounded number of lines in memory. For each line: (1) it ends, and is the canonical form of an entry; (2)
its signature holds; (3) its number is one more than that of the line before; (4) ``previous`` is the hash of the line
before; (5) its time does not go back. At the end, (6) the heads that were written down elsewhere (records, seals,
reports, this machine) are looked up: a ledger that was cut short or written anew cannot contain them.

After a fault the check goes on from the line as it stands, so one manipulation is one finding and not thousands.
Any key may sign: whether a key is known to you is another question (:mod:`forensiq.custody.trust`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from forensiq import clock
from forensiq.custody.ledger import MAX_LINE, Ledger, head_after
from forensiq.custody.ledger_lines import CheckedLine, checked_lines
from forensiq.custody.signing import fingerprint_of
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.ledger import NO_HASH, LedgerEntry, LedgerHead, LedgerReport, SignerFacts

__all__ = ["MAX_FINDINGS", "Pin", "audit_ledger", "ledger_finding"]

MAX_FINDINGS = 1000
"""Findings of each severity that are listed; ``ledger.more`` counts the rest."""

_STEP_S = 5.0


class Pin(Struct, frozen=True):
    """A head that was written down outside the ledger, and where."""

    head: LedgerHead
    where: str


def ledger_finding(
    code: str,
    message: str,
    where: str | None = None,
    *,
    severity: Severity = Severity.ERROR,
    expected: str | None = None,
    found: str | None = None,
    file_offset: int | None = None,
) -> Finding:
    """Return a finding of the custody checks."""
    cause = Cause.NOTE if severity is Severity.INFO else Cause.METADATA
    return Finding(severity, cause, code, message, where, expected, found, file_offset=file_offset)


def audit_ledger(
    ledger: Ledger,
    pins: Iterable[Pin] = (),
    *,
    names: Mapping[str, str] | None = None,
    visit: Callable[[LedgerEntry], None] | None = None,
) -> LedgerReport:
    """Check ``ledger``; ``visit`` gets every entry whose signature holds, in file order.

    ``names`` maps fingerprints that you trust to names. :class:`~forensiq.errors.CustodyError` only if there is no
    ledger to read.
    """
    return _Audit(pins, names or {}, visit).run(ledger)


class _Audit:
    def __init__(
        self, pins: Iterable[Pin], names: Mapping[str, str], visit: Callable[[LedgerEntry], None] | None
    ) -> None:
        self._pins: dict[int, list[Pin]] = {}
        for pin in pins:
            self._pins.setdefault(pin.head.seq, []).append(pin)
        self._names = names
        self._visit = visit
        self._findings: list[Finding] = []
        self._count: Counter[Severity] = Counter()
        self._signers: dict[str, SignerFacts] = {}
        self._previous = NO_HASH
        self._seq = 0
        self._last: LedgerEntry | None = None
        self._time: tuple[datetime, LedgerEntry] | None = None

    def run(self, ledger: Ledger) -> LedgerReport:
        number = 0
        for number, line in enumerate(checked_lines(ledger), start=1):
            self._line(number, line)
        self._look_up_missing()
        for severity, count in self._count.items():
            if count > MAX_FINDINGS:
                text = f"{count - MAX_FINDINGS} further findings are not listed"
                self._findings.append(ledger_finding("ledger.more", text, "ledger", severity=severity))
        head = head_after(self._last)
        return LedgerReport(
            head if head.seq == number else replace(head, count=number),
            not any(finding.severity is Severity.ERROR for finding in self._findings),
            tuple(self._findings),
            tuple(self._signers.values()),
        )

    def _add(self, finding: Finding) -> None:
        # Each severity has its own room: many warnings must not hide an error.
        self._count[finding.severity] += 1
        if self._count[finding.severity] <= MAX_FINDINGS:
            self._findings.append(finding)

    def _line(self, number: int, line: CheckedLine) -> None:
        where, entry = f"ledger line {number}", line.entry
        if entry is None and line.length > MAX_LINE:
            text = f"a line of more than {MAX_LINE} bytes; what follows was not read"
            self._add(ledger_finding("ledger.line_too_long", text, where, file_offset=line.offset))
            return
        if entry is None:
            if line.ended:
                text = f"not an entry: {line.problem}"
                self._add(ledger_finding("ledger.entry_edited", text, where, file_offset=line.offset))
            else:
                self._torn(where, line.offset, f"{line.length} bytes that are no entry")
            self._previous, self._seq = line.digest, self._seq + 1
            return
        if not line.ended:
            self._torn(where, line.offset, "the entry lacks its newline")
        if line.holds:
            self._signed(entry)
        else:
            text = "the signature does not fit the entry: the entry was changed after it was signed"
            whole = f"{where}, entry {entry.seq}"
            self._add(ledger_finding("ledger.entry_edited", text, whole, file_offset=line.offset))
        self._order(where, line.offset, entry)
        self._previous, self._seq, self._last = entry.hash, entry.seq, entry
        for pin in self._pins.pop(entry.seq, ()):
            self._compare(pin, entry)

    def _torn(self, where: str, offset: int, what: str) -> None:
        text = f"the end of the ledger is cut short ({what}); the next event that is written sets it aside"
        self._add(ledger_finding("ledger.torn_end", text, where, file_offset=offset))

    def _order(self, where: str, offset: int, entry: LedgerEntry) -> None:
        expected = self._seq + 1
        if entry.seq > expected:
            gone = f"entry {expected}" if entry.seq == expected + 1 else f"entries {expected} to {entry.seq - 1}"
            code, text = "ledger.entries_missing", f"{gone} were here and are missing"
        elif entry.seq < expected:
            code, text = "ledger.out_of_order", f"entry {entry.seq} stands behind entry {self._seq}"
        elif entry.previous != self._previous:
            code, text = "ledger.chain_broken", "the entry was written behind another line than the one before it"
        else:
            return
        self._add(
            ledger_finding(
                code, text, where, expected=f"{expected} {self._previous}", found=f"{entry.seq} {entry.previous}",
                file_offset=offset,
            )
        )  # fmt: skip

    def _signed(self, entry: LedgerEntry) -> None:
        known = self._signers.get(entry.key)
        if known is None:
            fingerprint = fingerprint_of(bytes.fromhex(entry.key))
            trusted = self._names.get(fingerprint)
            self._signers[entry.key] = SignerFacts(fingerprint, _name(entry), entry.seq, entry.seq, 1, trusted)
        else:
            self._signers[entry.key] = replace(known, last_seq=entry.seq, entries=known.entries + 1)
        if entry.action == "ledger_repaired":
            text = "a line that a crash had cut short was set aside; no signed line was touched"
            self._add(ledger_finding("ledger.repaired", text, f"entry {entry.seq}", severity=Severity.WARNING))
        self._clock(entry)
        if self._visit is not None:
            self._visit(entry)

    def _clock(self, entry: LedgerEntry) -> None:
        where = f"entry {entry.seq}"
        try:
            now = clock.parse_rfc3339(entry.utc)
        except ValueError:
            self._add(ledger_finding("ledger.time_unreadable", "the time is not RFC 3339", where, found=entry.utc[:40]))
            return
        if self._time is not None:
            before, earlier = self._time
            passed = (now - before).total_seconds()
            if passed < 0:
                text = f"the clock went back by {-passed:.3f} s since entry {earlier.seq}"
                self._add(
                    ledger_finding(
                        "ledger.clock_back", text, where, severity=Severity.WARNING,
                        expected=f"not before {earlier.utc}", found=entry.utc,
                    )
                )  # fmt: skip
            elif entry.boot == earlier.boot and entry.boot != "unknown":
                step = passed - (entry.monotonic_us - earlier.monotonic_us) / 1e6
                if abs(step) > _STEP_S:
                    text = f"the clock was moved by {step:+.1f} s since entry {earlier.seq}, or the machine slept"
                    self._add(ledger_finding("ledger.clock_step", text, where, severity=Severity.WARNING))
        self._time = (now, entry)

    def _compare(self, pin: Pin, entry: LedgerEntry) -> None:
        if pin.head.last_hash != entry.hash:
            self._add(
                ledger_finding(
                    "ledger.rewritten",
                    f"entry {entry.seq} is not the one that {pin.where} speaks of: the ledger was written anew",
                    f"entry {entry.seq}", expected=pin.head.last_hash, found=entry.hash,
                )
            )  # fmt: skip

    def _look_up_missing(self) -> None:
        for seq, pins in sorted(self._pins.items()):
            for pin in pins:
                if seq == 0 and pin.head.last_hash == NO_HASH:
                    continue
                code, why = "ledger.entry_gone", "which cannot be found"
                if seq > self._seq:
                    code, why = "ledger.truncated", f"but the ledger ends at entry {self._seq}: it was cut short"
                text = f"{pin.where} speaks of entry {seq}, {why}"
                self._add(ledger_finding(code, text, f"entry {seq}", expected=pin.head.last_hash))


def _name(entry: LedgerEntry) -> str:
    """What the key calls itself, where this entry introduces it."""
    name = entry.parameters.get("to_name", entry.parameters.get("signer_name", ""))
    return name if isinstance(name, str) else ""
