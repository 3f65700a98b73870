"""Keys for tests, made from a number: quick, and the same in every run."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forensiq.custody.signing import SoftwareKey


def key_of(number: int) -> SoftwareKey:
    return SoftwareKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), f"key {number}")


def key() -> SoftwareKey:
    return key_of(1)
