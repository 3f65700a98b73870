from __future__ import annotations

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from forensiq.custody.signing import create_key, load_key, load_public_key, public_pem, verify_signature
from forensiq.errors import DestinationExistsError, SafetyRefusal, SigningKeyError

PASSPHRASE = "correct horse ü"


def _ask(text: str) -> str:
    return PASSPHRASE


def test_a_new_key_signs_and_comes_back_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "lee.pem"
    made = create_key(path, "Ada Lée", PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    loaded = load_key(path, _ask)
    assert loaded.public == made.public == load_public_key(tmp_path / "lee.pem.pub")
    assert loaded.public.name == "Ada Lée"
    signature = loaded.sign(b"text")
    assert verify_signature(made.public.raw, signature, b"text")
    assert not verify_signature(made.public.raw, signature, b"test")
    assert not verify_signature(made.public.raw, b"", b"text")
    assert not verify_signature(b"short", signature, b"text")


def test_openssl_reads_the_key_and_agrees_on_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    key = create_key(path, "K", PASSPHRASE).public
    command = ["openssl", "pkey", "-in", str(path), "-passin", f"pass:{PASSPHRASE}", "-pubout"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == public_pem(key)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", f"{path}.pub", "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(der).hexdigest() == key.fingerprint
    facts = subprocess.run(["openssl", "asn1parse", "-in", str(path)], capture_output=True, check=True).stdout
    assert b"hmacWithSHA256" in facts
    assert b":0927C0" in facts  # 600,000 rounds


def test_a_key_made_by_openssl_is_read(tmp_path: Path) -> None:
    path = tmp_path / "o.pem"
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", f"pass:{PASSPHRASE}", "-out", str(path)]
    subprocess.run(make, check=True, capture_output=True)
    path.chmod(0o600)
    assert load_key(path, _ask).public.name == "o"


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    create_key(path, "K", PASSPHRASE)
    before = path.read_bytes()
    with pytest.raises(DestinationExistsError):
        create_key(path, "K", PASSPHRASE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k.pem"
    create_key(path, "K", PASSPHRASE)
    path.chmod(mode)
    with pytest.raises(SafetyRefusal, match="other users"):
        load_key(path, _ask)


def test_a_wrong_passphrase_and_files_that_are_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    create_key(path, "K", PASSPHRASE)
    with pytest.raises(SigningKeyError, match="passphrase is wrong"):
        load_key(path, lambda _: "another one")
    with pytest.raises(SigningKeyError, match="cannot be read"):
        load_key(tmp_path / "missing", _ask)
    with pytest.raises(SigningKeyError, match="not a regular file"):
        load_key(tmp_path, _ask)
    for content in (b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        other = tmp_path / "other"
        other.write_bytes(content)
        other.chmod(0o600)
        with pytest.raises(SigningKeyError):
            load_key(other, _ask)
        with pytest.raises(SigningKeyError):
            load_public_key(other)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path], check=True
    )
    path.chmod(0o600)
    with pytest.raises(SigningKeyError, match="not an Ed25519 key"):
        load_key(path, _ask)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_names_of_more_than_one_line_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SigningKeyError):
        create_key(tmp_path / "k.pem", name, PASSPHRASE)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="shorter than 8"):
        create_key(tmp_path / "k.pem", "K", "1234567")
    assert not list(tmp_path.iterdir())


def _openssl(raw: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def test_the_answer_is_openssls_where_libsodium_is_stricter() -> None:
    identity = b"\x01" + bytes(31)
    order_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    nothing = bytes(32)
    cases = [(key, point + nothing) for key in (identity, order_8) for point in (identity, order_8)]
    accepted = [_openssl(key, signature, b"anything") for key, signature in cases]
    assert True in accepted
    assert [verify_signature(key, signature, b"anything") for key, signature in cases] == accepted


@pytest.mark.parametrize("length", [0, 31, 33, 63, 65, 96])
def test_keys_and_signatures_of_a_wrong_length_do_not_hold(length: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    raw, data = key.public_key().public_bytes_raw(), b"data"
    assert verify_signature(raw, key.sign(data), data)
    assert not verify_signature((raw * 4)[:length], key.sign(data), data)
    assert not verify_signature(raw, (key.sign(data) + data + bytes(99))[:length], data)


def test_the_order_of_the_group_added_to_a_signature_does_not_hold() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    signature = key.sign(b"data")
    order = 2**252 + 27742317777372353535851937790883648493
    other = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert not verify_signature(key.public_key().public_bytes_raw(), other, b"data")
