"""Which key signs, and where its passphrase comes from."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.custody.signing import Passphrase, Signer, load_key
from forensiq.custody.token import is_token_uri, open_token_key
from forensiq.custody.trust import machine_key
from forensiq.errors import SigningKeyError

__all__ = ["KeyChoice", "choose_key", "open_signer", "opened"]

_MAX_PASSPHRASE = 4096


class KeyChoice(Struct, frozen=True):
    """Which key signs (``None``: this machine's own) and where its passphrase comes from.

    ``path`` is a file, or the URI of a key on a PKCS#11 token (:mod:`forensiq.custody.token`).
    ``signer`` is the key once it is open.
    """

    path: Path | None
    passphrase: Passphrase
    signer: Signer | None = None


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


def _first_line(handle: int) -> str:
    data = b""
    try:
        while b"\n" not in data and len(data) < _MAX_PASSPHRASE and (piece := os.read(handle, 1)):
            data += piece
        return data.split(b"\n")[0].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"no passphrase can be read from file descriptor {handle}: {error}") from error
