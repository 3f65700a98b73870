from __future__ import annotations

import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.ledger import Event, ledger_line, parse_line
from forensiq.custody.signing import Signer
from forensiq.errors import CustodyError, SourceLostError, UsageError
from forensiq.model.ledger import LedgerEntry
from forensiq.procedures.case import new_case, read_ledger
from forensiq.procedures.case_ledger import append_event, ledger_value
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.custody_step import custody_step, evidence_stem
from forensiq.procedures.keys import open_signer


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)
    monkeypatch.delenv("FORENSIQ_PASSPHRASE", raising=False)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    new_case(tmp_path / "case", "7", "Ada")
    return tmp_path / "case"


def entries(case: Path) -> list[LedgerEntry]:
    rows = [row.entry for row in read_ledger(case)]
    assert None not in rows
    return [row for row in rows if row is not None]


def test_a_step_is_started_worked_on_and_finished(case: Path) -> None:
    stem = evidence_stem(case, "ITEM-1")
    assert stem == case / "evidence/ITEM-1/ITEM-1"
    with custody_step(case, "acquire", {"source": Path("/dev/sdb"), "rate": 1.5}) as step:
        stem.parent.mkdir(parents=True)
        record = stem.with_name("ITEM-1.record.json")
        record.write_bytes(b"{}")
        started = entries(case)[-1]
        assert step.head is not None
        assert step.head.last_hash == started.hash
        step.file(record, Path("/etc/hostname"))
        step.digests({"evidence/ITEM-1/ITEM-1.E01": "0" * 64, str(stem) + ".E02": "1" * 64})
        step.result("finished_with_unreadable_sectors", sectors=16)
    assert started.action == "acquire.started"
    assert started.parameters["source"] == "/dev/sdb"
    assert started.parameters["rate"] == "1.5"
    end = entries(case)[-1]
    assert end.action == "acquire.finished_with_unreadable_sectors"
    assert end.parameters == {"started": started.seq}
    assert end.result["sectors"] == 16
    assert end.digests == {
        "evidence/ITEM-1/ITEM-1.record.json": hashlib.sha256(b"{}").hexdigest(),
        "evidence/ITEM-1/ITEM-1.E01": "0" * 64,
        "evidence/ITEM-1/ITEM-1.E02": "1" * 64,
    }


@pytest.mark.parametrize("error", [SourceLostError("the drive is gone"), ValueError("x" * 9999), KeyboardInterrupt()])
def test_a_step_that_fails_is_aborted_and_the_error_goes_on(case: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), custody_step(case, "acquire"):
        raise error
    end = entries(case)[-1]
    assert end.action == "acquire.aborted"
    assert end.result["error"] == type(error).__name__
    assert verify_case(case).exit_code == 0


@pytest.mark.parametrize(("moment", "last"), [("started", "aborted"), ("finished", "finished")])
def test_a_step_that_has_a_start_has_an_end_whenever_ctrl_c_comes(
    case: Path, monkeypatch: pytest.MonkeyPatch, moment: str, last: str
) -> None:
    write = append_event

    def interrupted(folder: CaseFolder, signer: Signer, actor: str, action: str, **more: Any) -> LedgerEntry:
        if action == f"acquire.{moment}":
            signal.raise_signal(signal.SIGINT)
        entry = write(folder, signer, actor, action, **more)
        if action == f"acquire.{moment}":
            signal.raise_signal(signal.SIGTERM)
        return entry

    monkeypatch.setattr("forensiq.procedures.custody_step.append_event", interrupted)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), custody_step(case, "acquire"):
            assert moment == "finished", "the work was begun"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [entry.action for entry in entries(case)][-2:] == ["acquire.started", f"acquire.{last}"]
    assert verify_case(case).exit_code == 0


def test_an_entry_in_another_thread_holds_no_signals(case: Path) -> None:
    def work() -> None:
        with custody_step(case, "acquire"):
            pass

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    assert entries(case)[-1].action == "acquire.finished"


def test_an_entry_costs_the_same_however_long_the_ledger_is(case: Path) -> None:
    """Bytes that the process read, as the kernel counts them."""

    def cost() -> int:
        before = _bytes_read()
        with custody_step(case, "note"):
            pass
        return _bytes_read() - before

    cost()
    short = cost()
    ledger, signer = CaseFolder(case).ledger, open_signer()
    last = entries(case)[-1]
    with ledger.path.open("ab") as file:
        for number in range(4000):
            line = ledger_line(Event("Ada", "note", {"number": number, "text": "x" * 500}), last, signer)
            last = parse_line(line)
            file.write(line + b"\n")
    assert ledger.size() > 4_000_000
    assert cost() < short + (256 << 10)


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_without_a_case_nothing_happens(tmp_path: Path) -> None:
    with custody_step(None, "acquire") as step:
        step.file(tmp_path / "x")
        step.digests({"a": "b"})
        step.result("finished")
    assert step.head is None
    assert not (tmp_path / "config").exists()


def test_no_work_is_begun_on_a_ledger_that_does_not_verify(case: Path) -> None:
    path = case / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    with pytest.raises(CustodyError), custody_step(case, "acquire"):
        pytest.fail("the work was begun")


def test_an_unknown_item_is_added_once(case: Path) -> None:
    evidence_stem(case, "A")
    evidence_stem(case, "A")
    assert [entry.action for entry in entries(case)].count("item_added") == 1
    with pytest.raises(UsageError, match="calls this item"):
        evidence_stem(case, "a")
    for name in ("../x", "", "a/b", "x\n"):
        with pytest.raises(UsageError):
            evidence_stem(case, name)


def test_a_folder_that_is_a_link_is_refused(case: Path, tmp_path: Path) -> None:
    (case / "evidence" / "B").symlink_to(tmp_path)
    with pytest.raises(CustodyError, match="link"):
        evidence_stem(case, "B")


def test_what_the_ledger_can_hold() -> None:
    name = os.fsdecode(b"a\xff")
    assert ledger_value({"p": Path(name), "f": 0.5, "i": 2**60, "t": (1, None, True), name: "x"}) == {
        "p": "a\\udcff",
        "f": "0.5",
        "i": str(2**60),
        "t": [1, None, True],
        "a\\udcff": "x",
    }
    with pytest.raises(TypeError):
        ledger_value(object())


def test_a_ledger_cut_short_shows_on_the_machine_that_wrote_it(case: Path) -> None:
    evidence_stem(case, "A")
    path = case / "ledger.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    found = verify_case(case)
    assert "ledger.truncated" in [each.code for each in found.findings]
    assert found.exit_code == 5
