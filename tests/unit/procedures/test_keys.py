from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from forensiq.custody.pkcs12 import create_pkcs12, read_pkcs12
from forensiq.errors import CustodyError, DestinationExistsError, SafetyRefusal, SigningKeyError, UsageError
from forensiq.procedures.key_files import new_key, show_keys, trust
from forensiq.procedures.keys import choose_key, open_signer

PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)
    monkeypatch.delenv("FORENSIQ_PASSPHRASE", raising=False)


def test_a_new_key_its_certificate_and_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORENSIQ_PASSPHRASE", PASSPHRASE)
    path = tmp_path / "k.pem"
    made = new_key(path, "Ada", choose_key(path))
    assert made.certificate is not None
    assert show_keys(path) == (made,)
    trusted = trust(str(path), None)
    assert (trusted.name, trusted.fingerprint) == ("Ada", made.fingerprint)
    assert show_keys(path)[0].trusted_as == "Ada"
    assert [each.name for each in show_keys(None)] == ["Ada"]
    monkeypatch.setenv("FORENSIQ_KEY", str(path))
    assert open_signer(personal=True).public.fingerprint == made.fingerprint
    certificate = show_keys(Path(made.certificate))[0]
    assert certificate.name == "CN=Ada"
    assert "self-signed" in str(certificate.certificate)
    with pytest.raises(DestinationExistsError):
        new_key(path, "Ada", choose_key(path))


def test_openssl_opens_the_certificate(tmp_path: Path) -> None:
    path = tmp_path / "k.p12"
    create_pkcs12(path, "Ada Ü", PASSPHRASE)
    command = ["openssl", "pkcs12", "-in", str(path), "-passin", f"pass:{PASSPHRASE}", "-nodes"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    assert b"BEGIN PRIVATE KEY" in text
    facts = subprocess.run(["openssl", "x509", "-noout", "-text"], input=text, check=True, capture_output=True).stdout
    assert b"NIST CURVE: P-256" in facts
    assert b"Digital Signature, Non Repudiation" in facts


def test_an_agencys_certificate_is_read(tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Agency/CN=Lab", "-keyout", "k"]
    subprocess.run([*make, "-out", "c"], cwd=tmp_path, check=True, capture_output=True)
    export = ["openssl", "pkcs12", "-export", "-inkey", "k", "-in", "c", "-out", "a.p12", "-passout", "pass:secret"]
    subprocess.run(export, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "a.p12").chmod(0o600)
    assert read_pkcs12(tmp_path / "a.p12", "secret").subject == "CN=Lab,O=Agency"
    with pytest.raises(SigningKeyError):
        read_pkcs12(tmp_path / "a.p12", "wrong")
    (tmp_path / "a.p12").chmod(0o644)
    with pytest.raises(SafetyRefusal):
        read_pkcs12(tmp_path / "a.p12", "secret")


def test_where_a_passphrase_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.write(write, "früh\nnot this\n".encode())
    os.close(write)
    monkeypatch.setenv("FORENSIQ_PASSPHRASE", "of the environment")
    assert choose_key(passphrase_fd=read, prompt=lambda _: "asked").passphrase("k") == "früh"
    os.close(read)
    assert choose_key(prompt=lambda _: "asked").passphrase("k") == "of the environment"
    monkeypatch.delenv("FORENSIQ_PASSPHRASE")
    assert choose_key(prompt=lambda _: "asked").passphrase("k") == "asked"
    with pytest.raises(SigningKeyError, match="needs a passphrase"):
        choose_key().passphrase("k")
    with pytest.raises(SigningKeyError, match="file descriptor"):
        choose_key(passphrase_fd=read).passphrase("k")


def test_without_a_key_the_machine_signs_always_with_the_same_one(tmp_path: Path) -> None:
    first, second = open_signer(), open_signer()
    assert first.public == second.public
    assert first.public.name.startswith("machine ")
    assert (tmp_path / "config/forensiq/machine-key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SigningKeyError, match="person's key"):
        open_signer(personal=True)


def test_a_short_passphrase_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shorter"):
        new_key(tmp_path / "k.pem", "Ada", choose_key(prompt=lambda _: "short"))
    assert not (tmp_path / "k.pem.p12").exists()


@pytest.mark.parametrize("key", ["", "xyz", "0" * 63, "g" * 64])
def test_what_is_no_fingerprint_is_not_trusted(key: str) -> None:
    with pytest.raises(SigningKeyError):
        trust(key or "none", "Ada")


def test_trust_needs_a_name_and_an_undamaged_list(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="whose"):
        trust("0" * 64, None)
    trust("AB:" + "0" * 62, "Ada")
    assert show_keys(None)[0].fingerprint == "ab" + "0" * 62
    (tmp_path / "config/forensiq/trusted_keys.json").write_text("[")
    with pytest.raises(CustodyError, match="cannot be read"):
        show_keys(None)


def test_a_name_is_read_without_backslashes_where_nothing_can_be_mistaken(tmp_path: Path) -> None:
    plain = create_pkcs12(tmp_path / "a.p12", "A. Lee, Digital Forensics Unit", "correct horse")
    assert plain.subject == "CN=A. Lee, Digital Forensics Unit"
    pretender = create_pkcs12(tmp_path / "b.p12", "Lab,O=Agency", "correct horse")
    assert pretender.subject == "CN=Lab\\,O=Agency"  # escaped, as RFC 4514 has it
