from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq import clock
from forensiq.clock import monotonic
from forensiq.custody import audit
from forensiq.custody.audit import MAX_FINDINGS, Pin, audit_ledger
from forensiq.custody.canonical import decode, encode
from forensiq.custody.ledger import MAX_LINE, Event, Ledger, ledger_line, parse_line
from forensiq.model.finding import Severity
from forensiq.model.ledger import NO_HASH, LedgerHead
from tests.unit.custody.keys import key, key_of

Lines = list[bytes]


def made(folder: Path, count: int = 6) -> Ledger:
    ledger = Ledger(folder / "ledger.jsonl")
    ledger.create()
    for number in range(count):
        ledger.append(Event("Ada", "note", {"number": number}), key())
    return ledger


def codes(ledger: Ledger, *pins: Pin) -> list[str]:
    return [finding.code for finding in audit_ledger(ledger, pins).findings]


def test_an_untouched_ledger_is_intact(tmp_path: Path) -> None:
    ledger = made(tmp_path)
    seen: list[int] = []
    report = audit_ledger(
        ledger, [Pin(ledger.head(), "the seal"), Pin(LedgerHead(0, 0, NO_HASH), "the first record")],
        names={key().public.fingerprint: "Ada Lee"}, visit=lambda entry: seen.append(entry.seq),
    )  # fmt: skip
    assert report.intact
    assert report.findings == ()
    assert report.head == ledger.head()
    assert seen == [1, 2, 3, 4, 5, 6]
    (signer,) = report.signers
    assert (signer.entries, signer.first_seq, signer.last_seq, signer.trusted_as) == (6, 1, 6, "Ada Lee")


def _edit(lines: Lines) -> Lines:
    return [*lines[:2], lines[2].replace(b'"number":2', b'"number":7'), *lines[3:]]


def _resign_with_another_key(lines: Lines) -> Lines:
    value = decode(lines[2])
    assert isinstance(value, dict)
    del value["signature"]
    value |= {"key": key_of(9).public.raw.hex(), "parameters": {"number": 7}}
    return [*lines[:2], encode({**value, "signature": key_of(9).sign(encode(value)).hex()}), *lines[3:]]


def _insert_forged(lines: Lines) -> Lines:
    value = decode(lines[2])
    assert isinstance(value, dict)
    del value["signature"]
    value |= {"seq": 3, "parameters": {"number": 99}}
    return [*lines[:3], encode({**value, "signature": key_of(1).sign(encode(value)).hex()}), *lines[3:]]


@pytest.mark.parametrize(
    ("manipulation", "code", "where"),
    [
        (_edit, "ledger.entry_edited", "ledger line 3"),
        (_resign_with_another_key, "ledger.chain_broken", "ledger line 4"),
        (lambda lines: [*lines[:2], b"{}", *lines[3:]], "ledger.entry_edited", "ledger line 3"),
        (lambda lines: [*lines[:2], lines[2] + b" ", *lines[3:]], "ledger.entry_edited", "ledger line 3"),
        (lambda lines: [*lines[:2], b"", *lines[2:]], "ledger.entry_edited", "ledger line 3"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "ledger.entries_missing", "ledger line 3"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "ledger.out_of_order", "ledger line 4"),
        (lambda lines: lines[:2] + lines[3:], "ledger.entries_missing", "ledger line 3"),
        (lambda lines: lines[2:], "ledger.entries_missing", "ledger line 1"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "ledger.out_of_order", "ledger line 4"),
        (_insert_forged, "ledger.out_of_order", "ledger line 4"),
        (lambda lines: lines[:-1], "ledger.truncated", "entry 6"),
        (lambda lines: [], "ledger.truncated", "entry 6"),
        (lambda lines: [*lines[:5], lines[5][:-9]], "ledger.torn_end", "ledger line 6"),
    ],
)
def test_every_manipulation_is_named_and_located(
    tmp_path: Path, manipulation: Callable[[Lines], Lines], code: str, where: str
) -> None:
    ledger = made(tmp_path)
    pin = Pin(ledger.head(), "the seal")
    lines = manipulation(ledger.path.read_bytes().splitlines())
    ledger.path.write_bytes(b"".join(line + b"\n" for line in lines)[: -1 if code == "ledger.torn_end" else None])
    report = audit_ledger(ledger, [pin])
    assert not report.intact
    assert (code, where) in [(found.code, (found.where or "").split(",")[0]) for found in report.findings]


def test_a_ledger_written_anew_with_the_right_key_does_not_contain_the_pinned_head(tmp_path: Path) -> None:
    pin = Pin(made(tmp_path).head(), "the record of ITEM-1")
    (tmp_path / "ledger.jsonl").unlink()
    report = audit_ledger(made(tmp_path), [pin])
    assert [finding.code for finding in report.findings] == ["ledger.rewritten"]
    assert "ITEM-1" in report.findings[0].message


def test_the_clock_set_back_and_forth_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = made(tmp_path, 2)
    now = clock.utc_now().timestamp()
    monkeypatch.setattr(clock, "utc_now", lambda: datetime.fromtimestamp(now - 3600, UTC))
    ledger.append(Event("a", "note"), key())
    monkeypatch.setattr(clock, "utc_now", lambda: datetime.fromtimestamp(now + 3600, UTC))
    ledger.append(Event("a", "note"), key())
    report = audit_ledger(ledger)
    assert [(each.code, each.where) for each in report.findings] == [
        ("ledger.clock_back", "entry 3"),
        ("ledger.clock_step", "entry 4"),
    ]
    assert all(each.severity is Severity.WARNING for each in report.findings)
    assert report.intact


def test_a_repair_is_told(tmp_path: Path) -> None:
    ledger = made(tmp_path, 2)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-5])
    ledger.append(Event("a", "note"), key())
    assert codes(ledger) == ["ledger.repaired"]


def test_two_signers_are_listed(tmp_path: Path) -> None:
    ledger = made(tmp_path, 2)
    ledger.append(Event("b", "note"), key_of(2))
    report = audit_ledger(ledger)
    assert report.intact
    assert [(each.name, each.first_seq, each.entries) for each in report.signers] == [("", 1, 2), ("key 2", 3, 2)]


def test_hostile_files_are_bounded(tmp_path: Path) -> None:
    ledger = made(tmp_path, 1)
    with ledger.path.open("r+b") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    assert codes(ledger) == ["ledger.line_too_long"]
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_LINE
    tracemalloc.stop()
    ledger.path.write_bytes(b"rubbish\n" * (MAX_FINDINGS + 5))
    found = codes(ledger)
    assert len(found) == MAX_FINDINGS + 1
    assert found[-1] == "ledger.more"
    ledger.path.write_bytes(b"[" * 200_000 + b"\n")
    assert codes(ledger) == ["ledger.entry_edited"]


def test_many_warnings_hide_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_FINDINGS", 3)
    monkeypatch.setattr(clock, "monotonic", lambda: 0.0)
    hours = iter(range(100))
    monkeypatch.setattr(clock, "utc_now", lambda: datetime.fromtimestamp(3600 * next(hours), UTC))
    ledger = made(tmp_path, 9)
    report = audit_ledger(ledger)
    assert [each.code for each in report.findings] == [*["ledger.clock_step"] * 3, "ledger.more"]
    assert report.intact
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b'"number":8', b'"number":9'))
    report = audit_ledger(ledger)
    assert not report.intact
    assert "ledger.entry_edited" in [each.code for each in report.findings]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipping_any_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("flip")
    ledger = made(folder, 2)
    content = bytearray(ledger.path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    ledger.path.write_bytes(content)
    assert not audit_ledger(ledger).intact


def _long(folder: Path, count: int) -> Ledger:
    """A ledger of ``count`` entries, written without waiting for the disk after each."""
    ledger = Ledger(folder / "ledger.jsonl")
    last = None
    with ledger.path.open("wb") as file:
        for number in range(count):
            line = ledger_line(Event("Ada", "note", {"number": number, "text": "x" * 400}), last, key())
            last = parse_line(line)
            file.write(line + b"\n")
    return ledger


def test_a_long_ledger_is_checked_by_several_processes_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = _long(tmp_path, 6000)
    assert ledger.size() > 4 << 20
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    report = audit_ledger(ledger)
    assert report.intact
    assert report.head.count == 6000
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    lines[5000] = lines[5000].replace(b'"number":5000', b'"number":5001')
    ledger.path.write_bytes(b"".join(lines))
    found = audit_ledger(ledger).findings
    assert [(each.code, each.where) for each in found] == [
        ("ledger.entry_edited", "ledger line 5001, entry 5001"),
        ("ledger.chain_broken", "ledger line 5002"),
    ]
    monkeypatch.setattr(ProcessPoolExecutor, "submit", _no_workers)
    assert audit_ledger(ledger).findings == found


def _no_workers(*_: object) -> None:
    raise BrokenProcessPool


@pytest.mark.long
def test_a_hundred_thousand_entries_in_seconds_and_little_memory(tmp_path: Path) -> None:
    ledger = _long(tmp_path, 100_000)
    before = monotonic()
    entry = ledger.append(Event("Ada", "note"), key())
    assert entry.seq == 100_001
    appended = monotonic()
    tracemalloc.start()
    report = audit_ledger(ledger)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.intact
    assert appended - before < 1
    assert peak < 64 << 20
