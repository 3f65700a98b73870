from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.transfer_file import parse_transfer, read_transfers
from forensiq.errors import CustodyError, NoReferenceError, NotCanonicalError, UsageError, VerificationFailed
from forensiq.procedures.case import read_ledger
from forensiq.procedures.case_transfer import HandOver, receive_item, transfer_item
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.keys import KeyChoice
from tests.unit.procedures.cases import key_file, make_case

SAID = HandOver("B. Okafor", "examination", "order 12/26", "evidence room", "0816", "", "good")


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)
    return make_case(tmp_path / "case", tmp_path / "keys")


@pytest.fixture
def ada(tmp_path: Path) -> KeyChoice:
    return key_file(tmp_path / "keys", "ada")


@pytest.fixture
def okafor(tmp_path: Path) -> KeyChoice:
    return key_file(tmp_path / "keys", "okafor")


def actions(case: Path) -> list[str]:
    return [row.entry.action for row in read_ledger(case) if row.entry is not None]


def test_an_item_is_handed_over_and_countersigned(case: Path, ada: KeyChoice, okafor: KeyChoice) -> None:
    released = transfer_item(case, "ITEM-1", SAID, key=ada)
    assert released.match is True
    assert released.matches_ledger is True
    assert [each.path.rpartition("/")[2] for each in released.before] == [
        "ITEM-1.E01", "ITEM-1.E02", "ITEM-1.blocks.csv", "ITEM-1.log.txt", "ITEM-1.map", "ITEM-1.record.json",
    ]  # fmt: skip
    assert released.before == released.after
    assert (released.released_by, released.received) == ("Ada", None)
    received = receive_item(case, seal_in="0816", key=okafor)
    assert received.match is True
    assert received.received is not None
    assert received.seal_in == "0816"
    assert received.received_fingerprint != received.released_fingerprint
    assert read_transfers(CaseFolder(case)) == (received,)
    assert actions(case)[-5:] == [
        "transfer.started", "transfer.finished", "signer_changed", "receipt.started", "receipt.finished",
    ]  # fmt: skip
    assert verify_case(case).exit_code == 0
    for stage in ("release", "receipt"):
        stem = case / f"transfers/0001.{stage}"
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", f"{stem}.pem", "-rawin", "-in", f"{stem}.json"]
        assert subprocess.run([*command, "-sigfile", f"{stem}.sig"], capture_output=True).returncode == 0
        assert stem.with_name(stem.name + ".pdf").read_bytes().startswith(b"%PDF-")
    with pytest.raises(UsageError, match="received already"):
        receive_item(case, key=okafor)


def test_nothing_is_handed_over_that_is_not_what_the_ledger_says(case: Path, ada: KeyChoice) -> None:
    image = case / "evidence/ITEM-1/ITEM-1.E01"
    content = image.read_bytes()
    image.write_bytes(content[:-1])
    with pytest.raises(VerificationFailed, match=r"image\.changed"):
        transfer_item(case, "ITEM-1", SAID, key=ada)
    image.write_bytes(content)
    (case / "evidence/ITEM-1/ITEM-1.map").unlink()
    with pytest.raises(CustodyError, match=r"file\.missing"):
        transfer_item(case, "ITEM-1", SAID, key=ada)
    assert actions(case)[-1] == "transfer.aborted"
    assert not list((case / "transfers").iterdir())


def test_a_copy_that_differs_is_recorded(case: Path, tmp_path: Path, ada: KeyChoice, okafor: KeyChoice) -> None:
    copy = Path(shutil.copytree(case / "evidence/ITEM-1", tmp_path / "copy"))
    assert transfer_item(case, "ITEM-1", SAID, moved_to=copy, key=ada).match is True
    (copy / "ITEM-1.E02").write_bytes(b"other")
    (copy / "ITEM-1.map").unlink()
    received = receive_item(case, place=copy, key=okafor)
    assert received.match is False
    assert [each.code for each in received.findings] == ["transfer.file_changed", "transfer.file_missing"]
    assert actions(case)[-1] == "receipt.finished_with_differences"


def test_the_receiver_may_hash_alone(case: Path, ada: KeyChoice, okafor: KeyChoice) -> None:
    released = transfer_item(case, "ITEM-1", SAID, defer=True, key=ada)
    assert (released.after, released.match) == ((), None)
    assert receive_item(case, number="1", key=okafor).match is True


@pytest.mark.parametrize("name", ["0001.release.json", "0001.release.sig", "0001.release.pem"])
def test_nobody_countersigns_a_release_that_was_changed(
    case: Path, ada: KeyChoice, okafor: KeyChoice, name: str
) -> None:
    transfer_item(case, "ITEM-1", SAID, key=ada)
    path = case / "transfers" / name
    other = {".json": path.read_bytes().replace(b"Okafor", b"Okafur"), ".sig": bytes(64)}
    other[".pem"] = (
        path.read_bytes() if name.endswith("json") else (case / "transfers/0001.release.pem").read_bytes() + b"\n"
    )
    path.write_bytes(other[path.suffix])
    with pytest.raises(CustodyError):
        receive_item(case, key=okafor)
    assert "file.changed" in [each.code for each in verify_case(case).findings]


def test_wrong_use(case: Path, ada: KeyChoice, okafor: KeyChoice) -> None:
    with pytest.raises(UsageError, match="no item"):
        transfer_item(case, "ITEM-9", SAID, key=ada)
    with pytest.raises(UsageError, match="to whom"):
        transfer_item(case, "ITEM-1", HandOver(" "), key=ada)
    with pytest.raises(NoReferenceError):
        receive_item(case, key=okafor)
    for data in (b"{}", b"[]", b'{"schema":"forensiq/transfer/1"}'):
        with pytest.raises(NotCanonicalError):
            parse_transfer(data)
