"""Keys: which one signs, making one, saying which ones are known."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.custody.pkcs12 import create_pkcs12, read_pkcs12
from forensiq.custody.signing import (
    MINIMUM_PASSPHRASE,
    Passphrase,
    PublicKey,
    Signer,
    create_key,
    load_key,
    load_public_key,
)
from forensiq.custody.token import is_token_uri, open_token_key
from forensiq.custody.trust import machine_key, trust_key, trusted_keys
from forensiq.errors import DestinationExistsError, SigningKeyError, UsageError

__all__ = [
    "KeyChoice",
    "KeyFacts",
    "TrustFacts",
    "choose_key",
    "new_key",
    "open_signer",
    "opened",
    "show_keys",
    "trust",
]

_MAX_PASSPHRASE = 4096


class KeyChoice(Struct, frozen=True):
    """Which key signs (``None``: this machine's own) and where its passphrase comes from.

    ``path`` is a file, or the URI of a key on a PKCS#11 token (:mod:`forensiq.custody.token`).
    ``signer`` is the key once it is open.
    """

    path: Path | None
    passphrase: Passphrase
    signer: Signer | None = None


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


def choose_key(
    path: Path | None = None, *, passphrase_fd: int | None = None, prompt: Passphrase | None = None
) -> KeyChoice:
    """Return the key to sign with: ``path``, else ``FORENSIQ_KEY``, else this machine's own.

    The passphrase comes from the file descriptor (its first line), else ``FORENSIQ_PASSPHRASE``, else ``prompt``; it is
    asked for when the key is opened. It can never be an argument, which every user of the machine could read.
    """
    named = path if path is not None else Path(os.environ["FORENSIQ_KEY"]) if os.environ.get("FORENSIQ_KEY") else None

    def ask(question: str) -> str:
        if passphrase_fd is not None:
            return _first_line(passphrase_fd)
        if "FORENSIQ_PASSPHRASE" in os.environ:
            return os.environ["FORENSIQ_PASSPHRASE"]
        if prompt is not None:
            return prompt(question)
        raise SigningKeyError(
            f"{question} needs a passphrase", hint="FORENSIQ_PASSPHRASE, --passphrase-fd N, or a terminal"
        )

    return KeyChoice(named, ask)


def open_signer(choice: KeyChoice | None = None, *, personal: bool = False) -> Signer:
    """Return what signs. ``personal`` refuses this machine's own key: the signature is to be a person's."""
    chosen = choice or choose_key()
    if chosen.signer is not None:
        return chosen.signer
    if chosen.path is not None and is_token_uri(str(chosen.path)):
        return open_token_key(str(chosen.path), chosen.passphrase)
    if chosen.path is not None:
        return load_key(chosen.path, chosen.passphrase)
    if personal:
        raise SigningKeyError(
            "this must be signed with a person's key",
            hint="--key FILE or FORENSIQ_KEY; make one: forensiq keys new FILE --name NAME",
        )
    return machine_key()


def opened(choice: KeyChoice, *, personal: bool = False) -> KeyChoice:
    """Return ``choice`` with its key open, so that nothing is asked when the work has begun."""
    return replace(choice, signer=open_signer(choice, personal=personal))


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


def _first_line(handle: int) -> str:
    data = b""
    try:
        while b"\n" not in data and len(data) < _MAX_PASSPHRASE and (piece := os.read(handle, 1)):
            data += piece
        return data.split(b"\n")[0].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"no passphrase can be read from file descriptor {handle}: {error}") from error
