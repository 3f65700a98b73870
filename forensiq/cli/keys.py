"""``forensiq keys``: signing keys."""

from __future__ import annotations

from forensiq.cli.options import Entry, forensiq_group

__all__ = ["command"]

_HERE = "forensiq.cli"


@forensiq_group(
    "keys",
    {
        "new": Entry(f"{_HERE}.keys_new", "Keys", "Make a signing key, with a certificate for PDF signatures."),
        "show": Entry(f"{_HERE}.keys_show", "Keys", "A key's name and fingerprint, or all keys that you trust."),
        "trust": Entry(f"{_HERE}.keys_trust", "Keys", "Say whose a key is."),
    },
    example='forensiq keys new ~/lee.pem --name "A. Lee"',
)
def command() -> None:
    """Signing keys: who says that the ledger, a seal or a report is true."""
