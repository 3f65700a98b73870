"""Making a key, and saying which ones are known."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from forensiq.custody.pkcs12 import create_pkcs12, read_pkcs12
from forensiq.custody.signing import MINIMUM_PASSPHRASE, PublicKey, create_key, load_public_key
from forensiq.custody.trust import trust_key, trusted_keys
from forensiq.errors import DestinationExistsError, UsageError
from forensiq.procedures.keys import KeyChoice, choose_key

__all__ = ["KeyFacts", "TrustFacts", "new_key", "show_keys", "trust"]


class KeyFacts(Struct, frozen=True):
    """A key for people and scripts. ``trusted_as`` is the name in your list of trusted keys, if it is there.

    ``certificate`` is the PKCS#12 file beside the key; for such a file itself, who issued it and how long it is valid.
    """

    path: str
    name: str
    fingerprint: str
    public_key: str
    certificate: str | None = None
    trusted_as: str | None = None
    schema: str = "forensiq/key/1"


class TrustFacts(Struct, frozen=True):
    """A key that is trusted from now on."""

    fingerprint: str
    name: str
    list: str
    schema: str = "forensiq/trust/1"


def new_key(path: Path, name: str, choice: KeyChoice) -> KeyFacts:
    """Make an Ed25519 key in ``path``, its public half in ``path.pub``, a certificate for PDFs in ``path.p12``.

    All three or none; nothing is replaced.
    """
    beside = [path.with_name(path.name + ending) for ending in ("", ".pub", ".p12")]
    for each in beside:
        if each.exists() or each.is_symlink():
            raise DestinationExistsError(f"{each} exists; nothing was changed", path=str(each))
    passphrase = choice.passphrase(str(path))
    if len(passphrase) < MINIMUM_PASSPHRASE:
        raise UsageError(f"the passphrase is shorter than {MINIMUM_PASSPHRASE} characters")
    create_pkcs12(beside[2], name, passphrase)
    key = create_key(path, name, passphrase)
    return _facts(path, key.public, str(beside[2]))


def show_keys(path: Path | None, choice: KeyChoice | None = None) -> tuple[KeyFacts, ...]:
    """Return the facts of the public key in ``path`` (or beside it); without ``path`` every trusted key.

    A PKCS#12 file (``.p12``, ``.pfx``: your agency's, or that beside a key) is opened with the passphrase of
    ``choice``; the fingerprint is then that of its certificate.
    """
    if path is None:
        return tuple(KeyFacts("", name, mark, "", None, name) for mark, name in sorted(trusted_keys().items()))
    if path.suffix.lower() in (".p12", ".pfx"):
        facts = read_pkcs12(path, (choice or choose_key()).passphrase(str(path)))
        kind = "self-signed" if facts.self_signed else f"issued by {facts.issuer}"
        shown = f"{kind}, valid from {facts.not_before} to {facts.not_after}"
        return (KeyFacts(str(path), facts.subject, facts.fingerprint, "", shown),)
    public = path.with_name(path.name + ".pub")
    certificate = path.with_name(path.name + ".p12")
    key = load_public_key(public if public.exists() else path)
    return (_facts(path, key, str(certificate) if certificate.exists() else None),)


def trust(key: str, name: str | None) -> TrustFacts:
    """Trust a public key file or a fingerprint under ``name`` (for a file, the name in it if none is given)."""
    path = Path(key)
    if path.exists():
        public = path.with_name(path.name + ".pub")
        known = load_public_key(public if public.exists() else path)
        fingerprint, name = known.fingerprint, name or known.name
    else:
        fingerprint = key.lower().replace(":", "")
    place = trust_key(fingerprint, name or "")
    return TrustFacts(fingerprint, name or "", str(place))


def _facts(path: Path, key: PublicKey, certificate: str | None) -> KeyFacts:
    return KeyFacts(
        str(path), key.name, key.fingerprint, key.raw.hex(), certificate, trusted_keys().get(key.fingerprint)
    )
