"""The options of every command that signs: which key, and where its passphrase comes from (never an argument)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensiq.cli.options import PATH
from forensiq.errors import SigningKeyError

if TYPE_CHECKING:
    from forensiq.procedures.keys import KeyChoice

__all__ = ["key_choice", "signing_options"]

_OPTIONS = (
    click.option(
        "--key", type=PATH, help="Key to sign with, a file or pkcs11:…; else FORENSIQ_KEY, else this machine's own."
    ),
    click.option(
        "--passphrase-fd", type=int, metavar="N", help="Read the passphrase from file descriptor N (its first line)."
    ),
)


def signing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--key`` and ``--passphrase-fd``; pass them to :func:`key_choice`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def key_choice(key: Path | None, passphrase_fd: int | None, *, confirm: bool = False) -> KeyChoice:
    """Return the key that was named; its passphrase is asked on a terminal if nothing else gives it."""
    # Only who signs pays for loading the cryptography: every listing has these options.
    from forensiq.procedures.keys import choose_key

    def prompt(question: str) -> str:
        if not sys.stdin.isatty():
            raise SigningKeyError(
                f"{question} needs a passphrase",
                hint="FORENSIQ_PASSPHRASE, or --passphrase-fd N",
                path=question,
            )
        text: str = click.prompt(
            f"Passphrase of {question}", hide_input=True, confirmation_prompt=confirm, err=True, show_default=False
        )
        return text

    return choose_key(key, passphrase_fd=passphrase_fd, prompt=prompt)
