from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.custody.canonical import decode, encode
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.seal import normal_code
from forensiq.errors import CustodyError, NoReferenceError, SigningKeyError, UsageError
from forensiq.model.jsonable import Json
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.case import add_note
from forensiq.procedures.case_check import check_seal
from forensiq.procedures.case_ledger import append_event
from forensiq.procedures.case_seal import countersign_seal, seal_case
from forensiq.procedures.case_transfer import HandOver, receive_item, transfer_item
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.key_files import trust
from forensiq.procedures.keys import KeyChoice, open_signer
from tests.unit.procedures.cases import SEGMENT_SIZE, SOURCE_SIZE, key_file, make_case


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed and countersigned case; tests change copies of it."""
    folder = tmp_path_factory.mktemp("sealed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        make_case(folder / "case", folder / "keys")
        seal_case(folder / "case", key=key_file(folder / "keys", "ada"))
        countersign_seal(folder / "case", key=key_file(folder / "keys", "witness"), role="witness")
    return folder / "case"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "copy"))


@pytest.fixture
def key(tmp_path: Path) -> KeyChoice:
    return key_file(tmp_path / "keys", "ada")


def standalone(case: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier in the case, by an interpreter that sees nothing of forensiq, from another folder."""
    command = [sys.executable, "-I", "-S", str(case / "verify_seal.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={"PATH": os.environ["PATH"]})


def test_a_sealed_case_is_intact_and_its_signer_unknown_until_trusted(copy: Path, key: KeyChoice) -> None:
    found = check_seal(copy)
    assert (found.exit_code, found.verification.verdict) == (0, "intact")
    assert "signer unknown" in found.verification.summary
    assert found.seal is not None
    assert found.seal.valid
    assert [each.valid for each in found.seal.countersignatures] == [True]
    trust(found.seal.fingerprint, "Ada Lee")
    trust(found.seal.countersignatures[0].fingerprint, "W. Ness")
    again = verify_case(copy)
    assert again.signers_trusted
    assert "signers known" in again.summary
    assert again.seals[0].trusted_as == "Ada Lee"


def test_the_seal_code_on_paper(copy: Path) -> None:
    code = (copy / "seals/0001/seal-code.txt").read_text().strip()
    assert check_seal(copy, code=code.lower().replace("-", " ").replace("o", "0")).exit_code == 0
    other = check_seal(copy, code="AAAA" + code[4:])
    assert other.exit_code == 5
    assert "seal.other_code" in [each.code for each in other.verification.findings]
    assert normal_code("ab10 28") == "ABIO-2B"


def test_the_standalone_verifier_agrees(copy: Path) -> None:
    code = (copy / "seals/0001/seal-code.txt").read_text().strip()
    done = standalone(copy, "--code", code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("INTACT\n")
    assert "countersigned: witness" in done.stdout
    assert standalone(copy, "--code", "AAAA" + code[4:]).returncode == 5


def test_stock_openssl_verifies_seal_and_countersignature(copy: Path) -> None:
    for name, pem in (("manifest", "signer.pem"), ("countersign-01", "countersign-01.pem")):
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin", "-in", f"{name}.json"]
        done = subprocess.run([*command, "-sigfile", f"{name}.sig"], cwd=copy / "seals/0001", capture_output=True)
        assert done.returncode == 0
        assert b"Verified Successfully" in done.stdout


def _write(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(case: Path) -> None:
        (case / name).write_bytes(change((case / name).read_bytes()))

    return apply


def _swap(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert before in data
        return data.replace(before, after, 1)

    return change


def _image_and_record(case: Path) -> None:
    old = hashlib.sha256((case / "evidence/ITEM-1/ITEM-1.E01").read_bytes()).hexdigest().encode()
    _another_image(case)
    new = hashlib.sha256((case / "evidence/ITEM-1/ITEM-1.E01").read_bytes()).hexdigest().encode()
    _write("evidence/ITEM-1/ITEM-1.record.json", _swap(old, new))(case)


def _another_image(case: Path) -> None:
    """Somebody acquires another drive with the same tool and puts the image in the place of the sealed one."""
    source = case.parent / "other.img"
    source.write_bytes(bytes(range(256)) * (SOURCE_SIZE // 256))
    other = case.parent / "other" / "ITEM-1"
    request = AcquireRequest(source=str(source), output=other, compression="none", segment_size=SEGMENT_SIZE)
    assert acquire(request).status == "complete"
    for name in ("ITEM-1.E01", "ITEM-1.E02"):
        shutil.copy(other.with_name(name), case / "evidence/ITEM-1" / name)


def _manifest_value(name: str, value: Json) -> Callable[[Path], None]:
    def change(data: bytes) -> bytes:
        manifest = decode(data)
        assert isinstance(manifest, dict)
        return encode({**manifest, name: value})

    return _write("seals/0001/manifest.json", change)


def _reseal_with_own_key(case: Path) -> None:
    """Somebody who has the case but not the key seals it anew under the name of the signer."""
    shutil.rmtree(case / "seals/0001")
    seal_case(case, key=key_file(case.parent / "keys", "eve"))


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    return _write("ledger.jsonl", lambda data: b"".join(change(data.splitlines(keepends=True))))


TAMPERING = [
    (
        "a note in the ledger reworded",
        _write("ledger.jsonl", _swap(b"Seal intact", b"Seal broken")),
        5,
        "ledger.entry_edited",
    ),
    ("two ledger entries exchanged", _lines(lambda e: [e[0], e[2], e[1], *e[3:]]), 5, "ledger.out_of_order"),
    ("a ledger entry deleted", _lines(lambda e: e[:2] + e[3:]), 5, "ledger.entries_missing"),
    ("the ledger cut short below the seal", _lines(lambda e: e[:3]), 5, "ledger.truncated"),
    ("the ledger cut short behind the seal", _lines(lambda e: e[:-3]), 5, "seal.unrecorded"),
    ("a ledger entry repeated", _lines(lambda e: [*e[:2], e[1], *e[2:]]), 5, "ledger.out_of_order"),
    ("the ledger emptied", _write("ledger.jsonl", lambda data: b""), 5, "ledger.truncated"),
    (
        "the clock of an entry changed",
        _write("ledger.jsonl", _swap(b'"utc":"20', b'"utc":"19')),
        5,
        "ledger.entry_edited",
    ),
    ("the record changed", _write("evidence/ITEM-1/ITEM-1.record.json", lambda d: d + b" "), 5, "file.changed"),
    ("the map changed", _write("evidence/ITEM-1/ITEM-1.map", lambda d: d.replace(b"+", b"-")), 5, "file.changed"),
    ("the log changed", _write("evidence/ITEM-1/ITEM-1.log.txt", lambda d: b"FAILED"), 5, "file.changed"),
    ("the image changed", _write("evidence/ITEM-1/ITEM-1.E02", lambda d: d[:-1] + b"X"), 4, "image.changed"),
    ("the image replaced by a whole one", _another_image, 5, "image.replaced"),
    ("a segment lost", lambda case: (case / "evidence/ITEM-1/ITEM-1.E02").unlink(), 4, "image.missing"),
    ("image and stored digest replaced", _image_and_record, 5, "image.replaced"),
    ("an attachment changed", _write("attachments/ITEM-1/label.jpg", lambda d: d + b"!"), 5, "file.changed"),
    ("an attachment removed", lambda case: (case / "attachments/ITEM-1/label.jpg").unlink(), 5, "file.missing"),
    ("case.toml changed", _write("case.toml", _swap(b"Ada", b"Eve")), 5, "file.changed"),
    ("the checklist changed", _write("checklist.md", _swap(b"[ ]", b"[x]")), 5, "seal.file_changed"),
    ("a file added", lambda case: (case / "evidence/ITEM-1/new").write_bytes(b"x"), 5, "seal.file_added"),
    ("the verifier changed", _write("verify_seal.py", lambda d: d + b"#"), 5, "file.changed"),
    ("a file made a link", lambda case: _link(case / "checklist.md"), 5, "file.not_regular"),
    ("a folder made a link", lambda case: _link(case / "attachments"), 5, "file.not_regular"),
    ("manifest: a file left out", _manifest_value("files", []), 5, "seal.signature"),
    ("manifest: another time", _manifest_value("created", "2020"), 5, "seal.signature"),
    ("manifest: no JSON", _write("seals/0001/manifest.json", lambda d: b"[" * 100_000), 5, "seal.manifest_edited"),
    (
        "manifest: a key twice",
        _write("seals/0001/manifest.json", _swap(b"{", b'{"case_number":"",')),
        5,
        "seal.manifest_edited",
    ),
    (
        "manifest: NaN",
        _write("seals/0001/manifest.json", _swap(b'"count":', b'"count":NaN,"c":')),
        5,
        "seal.manifest_edited",
    ),
    ("the signature changed", _write("seals/0001/manifest.sig", lambda d: bytes(64)), 5, "seal.signature"),
    ("the signature removed", lambda case: (case / "seals/0001/manifest.sig").unlink(), 5, "seal.signature"),
    (
        "the key exchanged",
        lambda case: shutil.copy(case / "seals/0001/countersign-01.pem", case / "seals/0001/signer.pem"),
        5,
        "seal.signature",
    ),
    ("the seal code changed", _write("seals/0001/seal-code.txt", lambda d: b"AAAA" + d[4:]), 5, "seal.code"),
    (
        "the countersignature's role changed",
        _write("seals/0001/countersign-01.json", _swap(b"witness", b"officer")),
        5,
        "seal.countersignature",
    ),
    (
        "the countersignature removed",
        lambda case: (case / "seals/0001/countersign-01.json").unlink(),
        5,
        "file.missing",
    ),
    (
        "the seal moved to another number",
        lambda case: (case / "seals/0001").rename(case / "seals/0002"),
        5,
        "seal.moved",
    ),
]


def _link(path: Path) -> None:
    path.rename(path.with_name(path.name + ".away"))
    path.symlink_to(path.with_name(path.name + ".away"))


@pytest.mark.parametrize(
    ("change", "code", "finding"), [each[1:] for each in TAMPERING], ids=[each[0] for each in TAMPERING]
)
def test_tampering_is_found_and_named(copy: Path, change: Callable[[Path], object], code: int, finding: str) -> None:
    change(copy)
    found = verify_case(copy)
    assert finding in [each.code for each in found.findings]
    assert found.exit_code == code
    assert standalone(copy).returncode == 5


@pytest.mark.parametrize(
    ("name", "exit_code", "inside"),
    [
        ("evidence/ITEM-1/ITEM-1.map", 5, "file.rebound"),
        ("evidence/ITEM-1/ITEM-1.log.txt", 5, "file.rebound"),
        ("attachments/ITEM-1/label.jpg", 5, "file.rebound"),
        ("seals/0001/seal-code.svg", 5, "file.rebound"),
    ],
)
def test_a_later_entry_does_not_make_another_file_the_right_one(
    copy: Path, name: str, exit_code: int, inside: str
) -> None:
    """Somebody without the key changes a file and binds it with an entry of their own."""
    eve = open_signer(key_file(copy.parent / "keys", "eve"))
    (copy / name).write_bytes(b"something else")
    digest = hashlib.sha256(b"something else").hexdigest()
    append_event(CaseFolder(copy), eve, "Ada", "acquire.finished", digests={name: digest})
    found = verify_case(copy)
    assert (found.exit_code, inside in [each.code for each in found.findings]) == (exit_code, True)
    done = standalone(copy)
    assert done.returncode == 5
    assert "ANOTHER KEY" in done.stdout


def test_who_sealed_does_not_countersign_or_receive(copy: Path, key: KeyChoice) -> None:
    with pytest.raises(UsageError, match="this very key"):
        countersign_seal(copy, key=key)
    transfer_item(copy, "ITEM-1", HandOver("B. Okafor"), key=key)
    with pytest.raises(UsageError, match="this very key"):
        receive_item(copy, key=key)


def test_folders_nested_deeper_than_pythons_stack(copy: Path) -> None:
    deep = os.open(copy, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    os.close(deep)
    assert "seal.file_added" in [each.code for each in verify_case(copy, images=False).findings]
    subprocess.run(["rm", "-rf", copy / "d"], check=True)


def test_a_case_sealed_anew_by_somebody_else_is_not_the_case_on_paper(copy: Path) -> None:
    code = (copy / "seals/0001/seal-code.txt").read_text().strip()
    seal = check_seal(copy).seal
    assert seal is not None
    trust(seal.fingerprint, "Ada")
    with pytest.raises(CustodyError, match="nothing was signed"):
        _reseal_with_own_key(copy)
    # Even with a ledger that forgets the old seal, signed with a key of their own:
    lines = (copy / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "ledger.jsonl").write_bytes(b"".join(lines[: seal.ledger_head.count]))
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
    seal_case(copy, key=key_file(copy.parent / "keys", "eve"))
    found = check_seal(copy, code=code)
    assert found.exit_code == 5
    assert found.seal is not None
    assert found.seal.trusted_as is None
    assert not found.verification.signers_trusted


def test_notes_behind_the_seal_are_no_fault(copy: Path, key: KeyChoice) -> None:
    add_note(copy, "one more", key=key)
    assert verify_case(copy).exit_code == 0
    assert standalone(copy).returncode == 0
    second = seal_case(copy, key=key)
    assert second.number == "0002"
    assert check_seal(copy).exit_code == 0
    assert check_seal(copy, number="1").exit_code == 0
    assert standalone(copy).returncode == 0


def test_broken_cases_are_neither_sealed_nor_countersigned(copy: Path, key: KeyChoice) -> None:
    (copy / "evidence/ITEM-1/ITEM-1.E01").write_bytes(b"x")
    before = (copy / "ledger.jsonl").read_bytes()
    for sign in (seal_case, countersign_seal):
        with pytest.raises(CustodyError, match="nothing was signed"):
            sign(copy, key=key)
    assert (copy / "ledger.jsonl").read_bytes() == before
    assert [each.name for each in (copy / "seals").iterdir()] == ["0001"]


def test_a_seal_needs_a_persons_key_and_a_check_needs_a_seal(tmp_path: Path) -> None:
    case = make_case(tmp_path / "case", tmp_path / "keys")
    with pytest.raises(SigningKeyError, match="person's key"):
        seal_case(case)
    with pytest.raises(NoReferenceError):
        check_seal(case)
    seal_case(case, key=key_file(tmp_path / "keys", "ada"))
    with pytest.raises(UsageError, match="no seal"):
        check_seal(case, number="7")


def test_names_in_any_bytes_are_sealed_and_checked(tmp_path: Path, key: KeyChoice) -> None:
    case = make_case(tmp_path / "case", tmp_path / "keys")
    for name in (b"new\nline", b"bad\xff", "ünï \u202e".encode(), b"\\udcff", b'q"uote'):
        Path(os.fsdecode(os.fsencode(case / "evidence/ITEM-1") + b"/" + name)).write_bytes(b"content")
    seal_case(case, key=key)
    assert check_seal(case).exit_code == 0
    done = standalone(case)
    assert done.returncode == 0, done.stdout
    Path(os.fsdecode(os.fsencode(case / "evidence/ITEM-1") + b"/bad\xff")).write_bytes(b"CONTENT")
    assert check_seal(case).exit_code != 0
    assert standalone(case).returncode == 5


def test_paths_in_a_manifest_cannot_lead_out_of_the_case(copy: Path, tmp_path: Path, key: KeyChoice) -> None:
    from forensiq.custody.signing import load_key

    signer = load_key(key.path or Path(), key.passphrase)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    for path in ("../secret", str(secret), "/hex/" + b"../secret".hex(), "evidence/../../secret", "/hex/zz", ""):
        data = decode((copy / "seals/0001/manifest.json").read_bytes())
        assert isinstance(data, dict)
        sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
        entry: dict[str, Json] = {"path": path, "size": 6, "md5": "5ebe2294ecd0e0f08eab7690d2a6ee69", "sha256": sha256}
        files = data["files"]
        assert isinstance(files, list)
        forged = encode({**data, "files": [*files, entry]})
        (copy / "seals/0001/manifest.json").write_bytes(forged)
        (copy / "seals/0001/manifest.sig").write_bytes(signer.sign(forged))
        assert "seal.file_missing" in [each.code for each in verify_case(copy).findings]
        done = standalone(copy)
        assert done.returncode == 5
        assert "Traceback" not in done.stderr
