"""Keys on PKCS#11 tokens, with SoftHSM as the token."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.custody.token import open_token_key
from forensiq.errors import SigningKeyError
from forensiq.procedures.case_check import check_seal
from forensiq.procedures.case_seal import seal_case
from forensiq.procedures.keys import choose_key
from tests.unit.procedures.cases import make_case

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
MODULES = [
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
]
MODULE = next((each for each in MODULES if each.exists()), None)
pytestmark = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM is not installed"
)
EDWARDS25519 = bytes.fromhex("130c656477617264733235353139")  # PrintableString, PKCS#11 3.0 section 2.3.10


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    # SoftHSM reads its configuration once in a process, when the library is loaded.
    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm.conf"))
        make = ["softhsm2-util", "--init-token", "--free", "--label", "lab", "--pin", "1234", "--so-pin", "4321"]
        subprocess.run(make, check=True, capture_output=True)
        token = pkcs11.lib(str(MODULE)).get_token(token_label="lab")
        with token.open(rw=True, user_pin="1234") as session:
            kind = pkcs11.KeyType.EC_EDWARDS
            parameters = session.create_domain_parameters(kind, {pkcs11.Attribute.EC_PARAMS: EDWARDS25519}, local=True)
            generate = pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
            parameters.generate_keypair(mechanism=generate, store=True, label="A Lee")
    return f"pkcs11:token=lab;object=A%20Lee?module-path={MODULE}"


def test_a_case_is_sealed_with_a_key_on_a_token(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FORENSIQ_PASSPHRASE", "1234")
    make_case(tmp_path / "case", tmp_path / "keys")
    seal_case(tmp_path / "case", key=choose_key(Path(uri)))
    checked = check_seal(tmp_path / "case")
    assert checked.exit_code == 0
    assert checked.seal is not None
    assert checked.seal.signer == "A Lee"


def test_wrong_pins_tokens_and_names(uri: str) -> None:
    with pytest.raises(SigningKeyError):
        open_token_key(uri, lambda _: "9999")
    with pytest.raises(SigningKeyError, match="gives no key"):
        open_token_key(uri.replace("A%20Lee", "B"), lambda _: "1234")
    with pytest.raises(SigningKeyError, match="gives no key"):
        open_token_key(uri.replace("token=lab", "token=other"), lambda _: "1234")
    with pytest.raises(SigningKeyError, match="does not name"):
        open_token_key(uri + "&pin-value=1234", lambda _: "1234")
    with pytest.raises(SigningKeyError, match="does not name"):
        open_token_key("pkcs11:token=lab", lambda _: "1234")
    with pytest.raises(SigningKeyError):
        open_token_key("pkcs11:token=lab;object=A?module-path=/nowhere.so", lambda _: "1234")
