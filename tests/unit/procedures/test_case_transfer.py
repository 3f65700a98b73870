from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.custody.canonical import decode, encode
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.seal import sign_statement
from forensiq.custody.transfer_file import parse_transfer, read_transfers
from forensiq.errors import CustodyError, NoReferenceError, NotCanonicalError, UsageError, VerificationFailed
from forensiq.model.finding import Severity
from forensiq.model.jsonable import Json
from forensiq.procedures.case import read_ledger
from forensiq.procedures.case_ledger import append_event
from forensiq.procedures.case_transfer import HandOver, receive_item, transfer_item
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.key_files import trust
from forensiq.procedures.keys import KeyChoice, open_signer
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


def _rewrite(case: Path, side: str, key: KeyChoice, **changes: Json) -> None:
    """What somebody can do who has the case and a key of their own: write a statement anew, sign it, and say so."""
    folder, signer = CaseFolder(case), open_signer(key)
    stem = case / f"transfers/0001.{side}"
    value = decode(stem.with_name(f"{stem.name}.json").read_bytes())
    assert isinstance(value, dict)
    parts = sign_statement(stem, encode({**value, **changes}), signer, key_name=f"{stem.name}.pem")
    for path, content in parts.items():
        path.write_bytes(content)
    digests = {f"transfers/{path.name}": hashlib.sha256(content).hexdigest() for path, content in parts.items()}
    append_event(folder, signer, "Eve", f"{side}.finished", digests=digests)


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        case = make_case(folder / "case", folder / "keys")
        transfer_item(case, "ITEM-1", SAID, key=key_file(folder / "keys", "ada"))
        receive_item(case, key=key_file(folder / "keys", "okafor"))
    return folder


@pytest.fixture
def eve(handed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, KeyChoice]:
    """A copy of a case with a hand-over, and a key that nobody knows."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Path(shutil.copytree(handed / "case", tmp_path / "case")), key_file(tmp_path / "keys", "eve")


def codes(case: Path) -> list[str]:
    found = verify_case(case, images=False)
    assert found.exit_code == 5
    return [each.code for each in found.findings]


def test_a_hand_over_is_shown_by_the_check_of_the_case(handed: Path, eve: tuple[Path, KeyChoice]) -> None:
    (facts,) = verify_case(eve[0], images=False).transfers
    assert (facts.number, facts.item, facts.received_by) == ("0001", "ITEM-1", "B. Okafor")
    assert (facts.release_valid, facts.receipt_valid, facts.match) == (True, True, True)
    assert (facts.releaser_trusted_as, facts.receiver_trusted_as) == (None, None)
    trust(open_signer(key_file(handed / "keys", "okafor")).public.fingerprint, "Bo")
    assert verify_case(eve[0], images=False).transfers[0].receiver_trusted_as == "Bo"


def test_a_statement_written_anew_with_another_key_is_found(eve: tuple[Path, KeyChoice]) -> None:
    case, key = eve
    mark = open_signer(key).public.fingerprint
    _rewrite(case, "receipt", key, received_by="Eve", received_fingerprint=mark)
    assert {"file.rebound", "transfer.contradicts"} <= set(codes(case))


def test_a_statement_signed_by_another_key_than_it_names_is_found(eve: tuple[Path, KeyChoice]) -> None:
    case, key = eve
    _rewrite(case, "receipt", key, condition="broken")
    assert {"transfer.signature", "transfer.other_signer", "file.rebound"} <= set(codes(case))


def test_a_statement_that_its_own_digests_belie_is_found(eve: tuple[Path, KeyChoice]) -> None:
    case, key = eve
    _rewrite(case, "receipt", key, match=False)
    assert "transfer.contradicts" in codes(case)


def test_a_release_with_other_digests_than_the_ledger_is_found(eve: tuple[Path, KeyChoice]) -> None:
    case, key = eve
    value = decode((case / "transfers/0001.release.json").read_bytes())
    assert isinstance(value, dict)
    files = value["before"]
    assert isinstance(files, list)
    assert isinstance(files[0], dict)
    files[0]["sha256"] = "0" * 64
    _rewrite(case, "release", key, before=files, after=files)
    found = [each for each in verify_case(case, images=False).findings if each.code == "transfer.contradicts"]
    assert any(each.expected != each.found == "0" * 64 for each in found)


@pytest.mark.parametrize("side", ["release", "receipt"])
def test_a_hand_over_without_its_statement_is_found(eve: tuple[Path, KeyChoice], side: str) -> None:
    case, _ = eve
    (case / f"transfers/0001.{side}.json").write_bytes(b"{}")
    assert "transfer.unreadable" in codes(case)
    (case / f"transfers/0001.{side}.json").unlink()
    assert "file.missing" in codes(case)


def test_a_hand_over_under_another_number_is_found(eve: tuple[Path, KeyChoice]) -> None:
    for path in (eve[0] / "transfers").iterdir():
        path.rename(path.with_name(path.name.replace("0001", "0002")))
    assert "transfer.moved" in codes(eve[0])


def test_another_image_does_not_become_the_right_one_by_an_entry_in_the_ledger(eve: tuple[Path, KeyChoice]) -> None:
    case, key = eve
    image = case / "evidence/ITEM-1/ITEM-1.E01"
    image.write_bytes(b"another image")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    append_event(
        CaseFolder(case), open_signer(key), "Eve", "acquire.finished", digests={"evidence/ITEM-1/ITEM-1.E01": digest}
    )
    (found,) = [each for each in verify_case(case, images=False).findings if each.code == "image.rebound"]
    assert (found.severity, found.found) == (Severity.ERROR, digest)


def test_a_drive_acquired_anew_by_the_same_key_is_told_and_is_no_fault(case: Path, ada: KeyChoice) -> None:
    digests = {"evidence/ITEM-1/ITEM-1.E01": "0" * 64}
    append_event(CaseFolder(case), open_signer(ada), "Ada", "acquire.finished", digests=digests)
    found = [each for each in verify_case(case, images=False).findings if each.code == "image.rebound"]
    assert [each.severity for each in found] == [Severity.WARNING]


def test_everything_gone_afterwards_is_a_difference(case: Path, tmp_path: Path, ada: KeyChoice) -> None:
    (tmp_path / "empty").mkdir()
    record = transfer_item(case, "ITEM-1", SAID, moved_to=tmp_path / "empty", key=ada)
    assert record.match is False
    assert {each.code for each in record.findings} == {"transfer.file_missing"}


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
