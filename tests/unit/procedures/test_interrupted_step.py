"""Killed before any change of a file, a step that puts files into a case has happened or not, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.staging import LOCK, STAGED, Stage
from forensiq.errors import CustodyError, DestinationExistsError, UsageError
from forensiq.model.case import EvidenceItem
from forensiq.model.finding import Severity
from forensiq.procedures.case import add_attachment, add_evidence_item, add_note, amend_case, new_case
from forensiq.procedures.case_commit import finish_interrupted
from forensiq.procedures.case_seal import countersign_seal, seal_case, timestamp_seal
from forensiq.procedures.case_transfer import HandOver, receive_item, transfer_item
from forensiq.procedures.case_verify import CaseVerification, verify_case
from forensiq.procedures.report import ReportRequest, make_report
from tests.unit.procedures.cases import key_file

CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)


def _opened(folder: Path) -> Path:
    ada = key_file(folder / "keys", "ada")
    case = folder / "case"
    new_case(case, "2026-7", "Ada", key=ada)
    (folder / "label.jpg").write_bytes(b"\xff\xd8 photo")
    add_evidence_item(case, EvidenceItem("ITEM-1"), key=ada)
    return case


def _handed_over(folder: Path) -> Path:
    case = _opened(folder)
    transfer_item(case, "ITEM-1", HandOver("B. Okafor"), key=key_file(folder / "keys", "ada"))
    return case


def _sealed(folder: Path) -> Path:
    case = _opened(folder)
    seal_case(case, key=key_file(folder / "keys", "ada"))
    return case


def _stamped(case: Path) -> None:
    timestamp_seal(case, response=case.parent / "stamp.tsr", key=key_file(case.parent / "keys", "ada"))


Step = Callable[[Path], object]
STEPS: dict[str, tuple[Callable[[Path], Path], Step]] = {
    "the first seal": (_opened, lambda case: seal_case(case, key=key_file(case.parent / "keys", "ada"))),
    "another seal": (_sealed, lambda case: seal_case(case, key=key_file(case.parent / "keys", "ada"))),
    "a countersignature": (_sealed, lambda case: countersign_seal(case, key=key_file(case.parent / "keys", "eve"))),
    "a time stamp": (_sealed, _stamped),
    "an attachment": (
        _opened,
        lambda case: add_attachment(case, case.parent / "label.jpg", key=key_file(case.parent / "keys", "ada")),
    ),
    "an item": (
        _opened,
        lambda case: add_evidence_item(case, EvidenceItem("ITEM-2"), key=key_file(case.parent / "keys", "ada")),
    ),
    "a hand-over": (
        _opened,
        lambda case: transfer_item(case, "ITEM-1", HandOver("B"), key=key_file(case.parent / "keys", "ada")),
    ),
    "a receipt": (_handed_over, lambda case: receive_item(case, key=key_file(case.parent / "keys", "okafor"))),
    "a report": (
        _opened,
        lambda case: make_report(
            ReportRequest(case, case / "reports/r.json", "json", key_file(case.parent / "keys", "ada"))
        ),
    ),
}


def run_until(step: Step, case: Path, last: int) -> int | None:
    """Do ``step`` in a child that dies before change number ``last`` of a file; how many there were if it lived."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        changes = 0

        def one_more(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal changes
            flags = arguments[2] if event == "open" else 0
            if event in CHANGES or (isinstance(flags, int) and flags & WRITING):
                changes += 1
                if changes == last:
                    os._exit(9)

        code = 1
        try:
            sys.addaudithook(one_more)
            step(case)
            os.write(writing, str(changes).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(status) == (0 if said else 9)
    return int(said) if said else None


def contents(case: Path, below: str = "") -> set[str]:
    files = [path for path in (case / below).rglob("*") if path.is_file() and path.name != LOCK]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def codes(found: CaseVerification) -> set[str]:
    return {each.code for each in found.findings if each.severity is not Severity.INFO}


@pytest.mark.parametrize("name", STEPS)
def test_killed_before_any_change_of_a_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # The typesetter has threads, which a fork does not take along.
    receipt = SimpleNamespace(data=b"%PDF receipt")
    monkeypatch.setattr("forensiq.procedures.case_transfer.render_receipt", lambda _: receipt)
    begin, step = STEPS[name]
    (tmp_path / "0").mkdir()
    original = begin(tmp_path / "0")
    if name == "a time stamp":
        _pretend_stamps(tmp_path / "0", monkeypatch)
    usual = codes(verify_case(original))

    def trial(last: int) -> tuple[Path, int | None]:
        # Each copy has a machine of its own, which remembers only what it saw of it.
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state {last}"))
        case = Path(shutil.copytree(tmp_path / "0", tmp_path / f"to {last}")) / "case"
        return case, run_until(step, case, last)

    whole, calls = trial(-1)
    assert calls is not None
    assert calls > 5
    assert codes(verify_case(whole)) <= usual
    stride = 1 if request.config.getoption("--long") else max(1, calls // 6)
    unfinished = 0
    for last in range(1, calls + 1, stride):
        case, lived = trial(last)
        assert lived is None
        found = verify_case(case)
        assert found.exit_code == 0, (last, found.findings)
        unfinished += bool(codes(found) & {"file.not_in_place", "case.unfinished_step"})
        left = contents(case, STAGED)
        try:
            step(case)
        except (DestinationExistsError, UsageError) as error:
            said = str(error)
            if name not in ("an attachment", "a report", "a time stamp", "an item", "a receipt"):
                raise
            if "exists" not in said and "already" not in said:
                raise
        finish_interrupted(case, key_file(case.parent / "keys", "ada"))
        found = verify_case(case)
        assert (found.exit_code, codes(found) - usual) == (0, set()), last
        assert not (case / STAGED).exists()
        assert left <= contents(case)
        shutil.rmtree(case.parent)
    assert unfinished


def _pretend_stamps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensiq.model.ledger import TimestampFacts

    (folder / "stamp.tsr").write_bytes(b"a stamp")
    facts = TimestampFacts("2026-11-22T00:00:00Z", "Stamps", "", "1", False)
    for module in ("procedures.case_seal", "custody.seal_check"):
        monkeypatch.setattr(f"forensiq.{module}.check_response", lambda *_: facts)


def test_the_files_of_a_step_that_never_happened_are_kept_and_bound(tmp_path: Path) -> None:
    case = _sealed(tmp_path)
    waiting = case / STAGED / "seals/0002"
    waiting.mkdir(parents=True)
    (waiting / "manifest.json").write_bytes(b"signed, and never said")
    found = verify_case(case)
    assert (found.exit_code, "case.unfinished_step" in codes(found)) == (0, True)
    recovered = finish_interrupted(case, key_file(tmp_path / "keys", "ada"))
    assert recovered.set_aside == ("seals/0002/manifest.json",)
    (kept,) = (case / "set-aside").glob("*/seals/0002/manifest.json")
    assert kept.read_bytes() == b"signed, and never said"
    assert "case.unfinished_step" not in codes(verify_case(case))
    kept.write_bytes(b"changed")
    assert verify_case(case).exit_code == 5


def test_a_file_that_waits_is_not_put_over_one_that_somebody_changed(tmp_path: Path) -> None:
    case = _opened(tmp_path)
    ada = key_file(tmp_path / "keys", "ada")
    bound = (case / "case.toml").read_bytes()
    (case / STAGED).mkdir()
    (case / STAGED / "case.toml").write_bytes(bound)
    (case / "case.toml").write_bytes(bound + b"# by hand\n")
    finish_interrupted(case, ada)
    assert (case / "case.toml").read_bytes() == bound + b"# by hand\n"
    assert [path.read_bytes() for path in (case / "set-aside").glob("*/case.toml")] == [bound]


def test_what_others_wrote_into_case_toml_gets_no_signature_in_passing(tmp_path: Path) -> None:
    case = _opened(tmp_path)
    ada = key_file(tmp_path / "keys", "ada")
    (case / "case.toml").write_bytes((case / "case.toml").read_bytes() + b"\n[[people]]\nname = 'Eve'\n")
    with pytest.raises(CustodyError, match="edited by hand"):
        add_evidence_item(case, EvidenceItem("ITEM-2"), key=ada)
    with pytest.raises(CustodyError, match="edited by hand"):
        add_attachment(case, tmp_path / "label.jpg", key=ada)
    assert verify_case(case).exit_code == 5
    assert not (case / "attachments/label.jpg").exists()
    amend_case(case, "looked at, and it is mine", key=ada)
    add_evidence_item(case, EvidenceItem("ITEM-2"), key=ada)
    assert verify_case(case).exit_code == 0


def test_files_of_images_never_wait(tmp_path: Path) -> None:
    """Moving an image to where files wait does not make it a file that waits."""
    case = _opened(tmp_path)
    image = case / "evidence/ITEM-1/ITEM-1.E01"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"image")
    from forensiq.procedures.custody_step import custody_step

    with custody_step(case, "acquire", key=key_file(tmp_path / "keys", "ada")) as step:
        step.file(image)
    (case / STAGED / "evidence/ITEM-1").mkdir(parents=True)
    image.rename(case / STAGED / "evidence/ITEM-1/ITEM-1.E01")
    found = verify_case(case)
    assert (found.exit_code, "image.missing" in codes(found)) == (4, True)


HOLDER = """
import sys
from pathlib import Path
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.staging import Stage
with Stage(CaseFolder(Path(sys.argv[1]))) as stage:
    stage.write({"reports/r.json": b"mine"})
    print("written", flush=True)
    sys.stdin.readline()
    stage.place(["reports/r.json"])
"""


def test_what_another_process_is_writing_is_not_set_aside(tmp_path: Path) -> None:
    case = _opened(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(case)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "written\n"
        waiting = subprocess.Popen(
            [sys.executable, "-m", "forensiq", "case", "item", str(case), "--id", "ITEM-9"],
            stdout=subprocess.DEVNULL,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert waiting.wait(timeout=60) == 0
    assert (case / "reports/r.json").read_bytes() == b"mine"
    assert not (case / "set-aside").exists()


def test_a_link_in_the_place_of_the_waiting_room_is_refused(tmp_path: Path) -> None:
    case = _opened(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (case / STAGED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CustodyError, match="link"), Stage(CaseFolder(case)):
        pass
    add_note(case, "does not need it", key=key_file(tmp_path / "keys", "ada"))
    assert list((tmp_path / "elsewhere").iterdir()) == []
