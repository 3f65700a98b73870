from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forensiq.custody.ledger import MAX_LINE, Event, Ledger, head_after, parse_line, signature_holds
from forensiq.custody.signing import SoftwareKey
from forensiq.errors import CustodyError, DestinationExistsError, NotCanonicalError
from forensiq.model.ledger import NO_HASH, LedgerEntry, LedgerHead

WRITER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forensiq.custody.ledger import Event, Ledger
from forensiq.custody.signing import SoftwareKey
key = SoftwareKey(Ed25519PrivateKey.from_private_bytes(bytes([int(sys.argv[3])]) * 32), "writer")
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    entry = ledger.append(Event("writer", "note", {"number": number, "by": sys.argv[3], "text": "x" * 3000}), key)
    print(entry.seq, entry.hash, flush=True)
"""


def key(seed: int = 1) -> SoftwareKey:
    return SoftwareKey(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), f"key {seed}")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.jsonl")
    made.create()
    return made


def entries(ledger: Ledger) -> list[LedgerEntry]:
    """Every line, with chain and signatures checked by hand."""
    result: list[LedgerEntry] = []
    for _, line in ledger.lines():
        entry = parse_line(line.removesuffix(b"\n"))
        assert signature_holds(entry.key, entry.signature, line.removesuffix(b"\n"))
        assert entry.seq == len(result) + 1
        assert entry.previous == (result[-1].hash if result else NO_HASH)
        result.append(entry)
    return result


def test_entries_are_chained_and_signed(ledger: Ledger) -> None:
    assert ledger.head() == LedgerHead(0, 0, NO_HASH)
    first = ledger.append(Event("Ada", "case_opened", {"number": "1"}), key())
    second = ledger.append(Event("Ada", "note", {"text": "ünicode \n"}, {"ok": True}, {"a": "0" * 64}, -5), key())
    assert entries(ledger) == [first, second]
    assert second.clock_offset_us == -5
    assert second.hash == hashlib.sha256(ledger.path.read_bytes().splitlines()[1]).hexdigest()
    assert ledger.head() == head_after(second) == LedgerHead(2, 2, second.hash)
    with pytest.raises(DestinationExistsError):
        ledger.create()


def test_another_key_is_an_event(ledger: Ledger) -> None:
    ledger.append(Event("a", "note"), key(1))
    ledger.append(Event("b", "note"), key(2))
    ledger.append(Event("b", "note"), key(2))
    found = entries(ledger)
    assert [entry.action for entry in found] == ["note", "signer_changed", "note", "note"]
    assert found[1].parameters["from_key"] == key(1).public.raw.hex()
    assert found[1].key == key(2).public.raw.hex()


@pytest.mark.parametrize("cut", [1, 2, 100, -2])
def test_a_torn_last_line_is_set_aside_and_an_event_says_so(ledger: Ledger, cut: int) -> None:
    ledger.append(Event("a", "note"), key())
    signed = ledger.path.read_bytes()
    ledger.append(Event("a", "lost"), key())
    torn = ledger.path.read_bytes()[len(signed) :][:cut]
    ledger.path.write_bytes(signed + torn)
    ledger.append(Event("a", "after"), key())
    assert ledger.path.read_bytes().startswith(signed)
    found = entries(ledger)
    assert [entry.action for entry in found] == ["note", "ledger_repaired", "after"]
    ((name, digest),) = found[1].digests.items()
    assert (ledger.path.parent / name).read_bytes() == torn
    assert digest == hashlib.sha256(torn).hexdigest()


def test_a_whole_line_that_lacks_only_its_newline_is_kept(ledger: Ledger) -> None:
    ledger.append(Event("a", "first"), key())
    ledger.append(Event("a", "second"), key())
    ledger.path.write_bytes(ledger.path.read_bytes()[:-1])
    assert ledger.head().count == 2
    ledger.append(Event("a", "third"), key())
    assert [entry.action for entry in entries(ledger)] == ["first", "second", "third"]


def test_a_crash_between_setting_aside_and_the_event_loses_nothing(ledger: Ledger) -> None:
    ledger.append(Event("a", "first"), key())
    end = ledger.path.stat().st_size
    side = ledger.path.with_name(f"ledger.torn-{end}-{hashlib.sha256(b'torn').hexdigest()[:16]}.bin")
    side.write_bytes(b"torn")
    ledger.append(Event("a", "second"), key())
    assert [entry.action for entry in entries(ledger)] == ["first", "ledger_repaired", "second"]


@pytest.mark.parametrize("at", [5, 200, -5])
def test_nothing_is_appended_to_a_ledger_whose_last_line_was_changed(ledger: Ledger, at: int) -> None:
    ledger.append(Event("a", "note", {"text": "t" * 300}), key())
    data = bytearray(ledger.path.read_bytes())
    data[at] ^= 1
    ledger.path.write_bytes(data)
    with pytest.raises(CustodyError, match="last line"):
        ledger.append(Event("a", "more"), key())
    assert ledger.path.read_bytes() == data


def test_appending_reads_only_the_end(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        ledger.append(Event("a", "note", {"text": "x" * 200_000}), key())
    reads: list[int] = []
    real = os.pread

    def counting(handle: int, length: int, at: int) -> bytes:
        reads.append(length)
        return real(handle, length, at)

    ledger.append(Event("a", "short"), key())
    monkeypatch.setattr(os, "pread", counting)
    ledger.append(Event("a", "short"), key())
    assert sum(reads) < 200_000


def test_a_line_without_end_is_not_read_into_memory(ledger: Ledger) -> None:
    with ledger.path.open("r+b") as file:
        file.truncate(1 << 30)
    ((offset, line),) = ledger.lines()
    assert offset == 0
    assert len(line) <= MAX_LINE + 2


def test_an_event_that_is_too_long_is_refused(ledger: Ledger) -> None:
    with pytest.raises(CustodyError, match="longer than"):
        ledger.append(Event("a", "note", {"text": "x" * MAX_LINE}), key())
    assert ledger.path.stat().st_size == 0


def test_a_link_in_the_place_of_the_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "ledger.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CustodyError):
        Ledger(tmp_path / "ledger.jsonl").append(Event("a", "note"), key())
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("name", ["seq", "utc", "parameters", "digests", "key", "signature", "clock_offset_us"])
def test_lines_with_wrong_types_are_refused(ledger: Ledger, name: str) -> None:
    ledger.append(Event("a", "note"), key())
    from forensiq.custody.canonical import decode, encode

    value = decode(ledger.path.read_bytes()[:-1])
    assert isinstance(value, dict)
    with pytest.raises(NotCanonicalError):
        parse_line(encode({**value, name: ["wrong"]}))
    with pytest.raises(NotCanonicalError):
        parse_line(encode({each: value[each] for each in value if each != name}))


def _writer(ledger: Ledger, count: int, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(ledger.path), str(count), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_append_at_once(ledger: Ledger) -> None:
    writers = [_writer(ledger, 40, seed) for seed in (1, 2)]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    notes = [entry for entry in entries(ledger) if entry.action == "note"]
    for by in ("1", "2"):
        assert [entry.parameters["number"] for entry in notes if entry.parameters["by"] == by] == list(range(40))


def test_killed_while_appending_nothing_that_was_reported_is_lost(ledger: Ledger) -> None:
    reported: list[tuple[int, str]] = []
    for delay in (0.0, 0.02, 0.05, 0.11):
        writer = _writer(ledger, 100_000, 1)
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        complete = [line.split() for line in lines if line.endswith("\n")]
        reported += [(int(seq), text) for seq, text in complete]
    ledger.append(Event("a", "after"), key())
    by_seq = {entry.seq: entry.hash for entry in entries(ledger)}
    assert reported
    assert all(by_seq[seq] == text for seq, text in reported)
