"""A sealed package with everything that may be in one: no byte of any file in it can be changed unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.custody.pkcs12 import create_pkcs12
from forensiq.procedures.case import add_attachment, add_note
from forensiq.procedures.case_seal import countersign_seal, seal_case, timestamp_seal
from forensiq.procedures.case_transfer import HandOver, receive_item, transfer_item
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.keys import KeyChoice
from forensiq.procedures.report import FORMATS, ReportRequest, make_report
from tests.interop.authority import Authority
from tests.unit.procedures.cases import key_file, make_case

PASSPHRASE = "correct horse"


def _environment(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))
    patch.delenv("FORENSIQ_KEY", raising=False)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A case with image, photo, hand-over with receipt, a report of every kind, seal, time stamp, countersignature."""
    folder = tmp_path_factory.mktemp("package")
    with pytest.MonkeyPatch.context() as patch:
        _environment(folder, patch)
        case = make_case(folder / "case", folder / "keys")
        ada = KeyChoice(key_file(folder / "keys", "ada").path, lambda _: PASSPHRASE)
        okafor = key_file(folder / "keys", "okafor")
        create_pkcs12(folder / "keys/ada.pem.p12", "Ada Lovelace", PASSPHRASE)
        photo = folder / "Foto — 日本.jpg"
        photo.write_bytes(b"\xff\xd8 another")
        add_attachment(case, photo, key=ada)
        transfer_item(case, "ITEM-1", HandOver("B. Okafor", "examination"), key=ada)
        receive_item(case, key=okafor)
        for kind in FORMATS:
            make_report(ReportRequest(case, case / "reports" / f"report.{kind}", kind, ada))
        seal_case(case, key=ada)
        countersign_seal(case, key=okafor, role="receiver")
        authority = Authority(folder / "tsa", "Stamps")
        timestamp_seal(case, request_out=folder / "s.tsq", key=ada)
        (folder / "s.tsr").write_bytes(authority.answer((folder / "s.tsq").read_bytes()))
        timestamp_seal(case, response=folder / "s.tsr", roots=authority.root, key=ada)
        add_note(case, "Put into the safe.", key=ada)
        make_report(ReportRequest(case, case / "reports" / "later.json", "json", ada))
        # What this machine remembers must not be needed.
        _environment(folder / "elsewhere", patch)
        yield case


def files_of(case: Path) -> list[Path]:
    return sorted(path for path in case.rglob("*") if path.is_file())


def code_after(case: Path, path: Path, at: int, mask: int) -> int:
    """The exit code of ``case verify`` with one byte of ``path`` flipped; the file is as before afterwards."""
    content = path.read_bytes()
    try:
        path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
        return verify_case(case, images=False).exit_code
    finally:
        path.write_bytes(content)


def test_everything_is_in_the_package_and_it_is_intact(package: Path) -> None:
    names = {path.relative_to(package).as_posix() for path in files_of(package)}
    wanted = {
        "README.txt", "verify_seal.py", "case.toml", "checklist.md", "ledger.jsonl",
        "attachments/ITEM-1/label.jpg", "attachments/Foto — 日本.jpg",
        "evidence/ITEM-1/ITEM-1.E01", "evidence/ITEM-1/ITEM-1.E02",
        *(f"evidence/ITEM-1/ITEM-1.{each}" for each in ("record.json", "log.txt", "map", "blocks.csv")),
        *(f"transfers/0001.{side}.{each}" for side in ("release", "receipt") for each in ("json", "sig", "pem", "pdf")),
        *(f"reports/report.{kind}{each}" for kind in FORMATS for each in ("", ".sig", ".pub")),
        *(f"reports/later.json{each}" for each in ("", ".sig", ".pub")),
        *(f"seals/0001/{each}" for each in ("manifest.json", "manifest.sig", "manifest.sig.tsr", "signer.pem")),
        *(f"seals/0001/{each}" for each in ("seal-code.txt", "seal-code.svg")),
        *(f"seals/0001/countersign-01.{each}" for each in ("json", "sig", "pem")),
    }  # fmt: skip
    assert names == wanted
    found = verify_case(package)
    assert (found.exit_code, found.verdict) == (0, "intact")
    assert found.seals[0].timestamp is not None


@pytest.mark.parametrize(
    "place", [0.5, pytest.param(0.0, marks=pytest.mark.long), pytest.param(1.0, marks=pytest.mark.long)]
)
def test_a_flipped_byte_of_each_file_is_found(package: Path, place: float) -> None:
    """In the middle; in the long run also the first and the last byte."""
    unseen = [
        path.name
        for path in files_of(package)
        if code_after(package, path, int(place * (path.stat().st_size - 1)), 0x20) == 0
    ]
    assert unseen == []


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_flipping_any_byte_of_any_file_is_found(package: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files_of(package)))
    at = data.draw(st.integers(0, path.stat().st_size - 1))
    assert code_after(package, path, at, data.draw(st.integers(1, 255))) != 0


@pytest.mark.long
def test_every_file_that_is_taken_away_is_missed(package: Path) -> None:
    unseen = []
    for path in files_of(package):
        content = path.read_bytes()
        path.unlink()
        try:
            if path.name != "ledger.jsonl" and verify_case(package, images=False).exit_code == 0:
                unseen.append(path.name)
        finally:
            path.write_bytes(content)
    assert unseen == []


@pytest.mark.long
def test_the_standalone_verifier_sees_a_flipped_byte_in_each_file(package: Path, tmp_path: Path) -> None:
    """All but the verifier itself, of which a copy from elsewhere is run."""
    trusted = tmp_path / "verify_seal.py"
    trusted.write_bytes((package / "verify_seal.py").read_bytes())

    def code() -> int:
        command = [sys.executable, "-I", "-S", str(trusted), str(package)]
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(command, cwd="/", env=environment, stdout=subprocess.DEVNULL).returncode

    assert code() == 0
    unseen = []
    for path in files_of(package):
        content = path.read_bytes()
        at = len(content) // 3
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            if code() != 5:
                unseen.append(path.name)
        finally:
            path.write_bytes(content)
    assert unseen == []
