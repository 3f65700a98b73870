"""Ed25519 keys: make, load, sign, check.

A private key is PKCS#8 PEM, encrypted with a passphrase (PBES2: PBKDF2-HMAC-SHA-256 with 600,000 rounds, AES-256-CBC),
mode 0600; ``openssl pkey`` reads it. The lines ``Name: …`` before the PEM block are a label that the key's owner chose:
they prove nothing. The fingerprint of a key is the SHA-256 of its SubjectPublicKeyInfo in DER, in hexadecimal, which
``openssl pkey -pubin -in KEY.pub -outform DER | sha256sum`` prints too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
import textwrap
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from msgspec import Struct

from forensiq.errors import SafetyRefusal, SigningKeyError
from forensiq.streams.durable import write_durably

__all__ = [
    "MINIMUM_PASSPHRASE",
    "Passphrase",
    "PublicKey",
    "Signer",
    "SoftwareKey",
    "create_key",
    "encrypt_private_key",
    "fingerprint_of",
    "load_key",
    "load_public_key",
    "public_pem",
    "read_private_file",
    "verify_signature",
]

MINIMUM_PASSPHRASE = 8
_ROUNDS = 600_000
_MAX_KEY_FILE = 64 * 1024
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 section 4: Ed25519, then 32 bytes

Passphrase = Callable[[str], str]
"""Asked for the passphrase of a key, with the key's path for the prompt."""


class PublicKey(Struct, frozen=True):
    """An Ed25519 public key (32 bytes) and the name that came with it, which nobody vouches for."""

    raw: bytes
    name: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, in hexadecimal."""
        return fingerprint_of(self.raw)


class Signer(Protocol):
    """Something that signs with one Ed25519 key: a file, a token."""

    @property
    def public(self) -> PublicKey:
        """The key that :meth:`sign`'s signatures verify with."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature (64 bytes) of ``data``."""
        ...


class SoftwareKey:
    """A key that is held in memory."""

    def __init__(self, key: Ed25519PrivateKey, name: str) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw(), name)

    def sign(self, data: bytes) -> bytes:
        """Return the signature (64 bytes) of ``data``."""
        return self._key.sign(data)


def fingerprint_of(raw: bytes) -> str:
    """Return the fingerprint of an Ed25519 public key of 32 bytes."""
    return hashlib.sha256(_SPKI_PREFIX + raw).hexdigest()


def verify_signature(raw: bytes, signature: bytes, data: bytes) -> bool:
    """Say whether ``signature`` is that of ``data`` by the public key ``raw``; never raises for hostile bytes.

    libsodium is asked first, because it is quicker. It accepts nothing that OpenSSL refuses, and refuses some keys and
    signatures that OpenSSL accepts (points of small order, non-canonical keys); so where it refuses, OpenSSL decides:
    the answer is always the one that ``openssl pkeyutl -verify`` gives.
    """
    # Imported here: 20 ms that programs which check no signature need not wait for.
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    if len(raw) != _KEY_BYTES or len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + data, raw)
    except BadSignatureError:
        return _openssl_verifies(raw, signature, data)
    return True


def _openssl_verifies(raw: bytes, signature: bytes, data: bytes) -> bool:
    try:
        _public_key(raw).verify(signature, data)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


@lru_cache(maxsize=64)
def _public_key(raw: bytes) -> Ed25519PublicKey:
    """Return the key, made once: a ledger has few keys and many signatures."""
    return Ed25519PublicKey.from_public_bytes(raw)


def public_pem(key: PublicKey) -> bytes:
    """Return the public key as PEM, exactly one form for one key (the name is not in it)."""
    body = base64.b64encode(_SPKI_PREFIX + key.raw).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode()


def create_key(path: Path, name: str, passphrase: str | None) -> SoftwareKey:
    """Make a new key in ``path`` (mode 0600) and its public half in ``path`` + ``.pub``; never replaces a file.

    ``passphrase`` ``None`` leaves it unencrypted; :class:`~forensiq.errors.SigningKeyError` for one that is too short.
    """
    _check_name(name)
    if passphrase is not None and len(passphrase) < MINIMUM_PASSPHRASE:
        raise SigningKeyError(f"the passphrase is shorter than {MINIMUM_PASSPHRASE} characters")
    key = Ed25519PrivateKey.generate()
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    if passphrase is None:
        pem = _armour("PRIVATE KEY", der)
    else:
        pem = _armour("ENCRYPTED PRIVATE KEY", encrypt_private_key(der, passphrase))
    signer = SoftwareKey(key, name)
    write_durably(path, f"Name: {name}\n".encode() + pem, mode=0o600)
    label = f"Name: {name}\nFingerprint: {signer.public.fingerprint}\n"
    write_durably(path.with_name(path.name + ".pub"), label.encode() + public_pem(signer.public))
    return signer


def load_key(path: Path, passphrase: Passphrase) -> SoftwareKey:
    """Return the key in ``path``; ``passphrase`` is asked only if the key is encrypted.

    :class:`~forensiq.errors.SafetyRefusal` if other users may read the file, :class:`~forensiq.errors.SigningKeyError`
    if it is not an Ed25519 key or the passphrase is wrong.
    """
    data = read_private_file(path)
    secret = passphrase(str(path)).encode() if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data else None
    try:
        key = serialization.load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "the passphrase is wrong, or the file is damaged" if secret else "not a private key in PEM"
        raise SigningKeyError(f"{path}: {what}", path=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key", hint="make one: forensiq keys new FILE", path=str(path))
    return SoftwareKey(key, _name_in(data) or path.stem)


def load_public_key(path: Path) -> PublicKey:
    """Return the public key in ``path`` (PEM, with or without ``Name:``); SigningKeyError where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_KEY_FILE)
    except OSError as error:
        raise SigningKeyError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "the public key is beside the private one: FILE.pub"
        raise SigningKeyError(f"{path} is not a public key in PEM", hint=hint, path=str(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key", path=str(path))
    return PublicKey(key.public_bytes_raw(), _name_in(data))


def read_private_file(path: Path) -> bytes:
    """Return a file that holds a secret; refuses one that is no regular file or that other users may read or write."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SigningKeyError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise SigningKeyError(f"{path} is not a regular file", path=str(path))
        if facts.st_mode & 0o077:
            mode = f"{facts.st_mode & 0o777:04o}"
            raise SafetyRefusal(
                f"other users may use the key {path} (mode {mode})", hint=f"chmod 600 {path}", path=str(path), mode=mode
            )
        return os.read(handle, _MAX_KEY_FILE)
    finally:
        os.close(handle)


def encrypt_private_key(der: bytes, passphrase: str) -> bytes:
    """Return an EncryptedPrivateKeyInfo (RFC 5958, PBES2 of RFC 8018) of the PKCS#8 structure ``der``."""
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(16)
    key = PBKDF2HMAC(hashes.SHA256(), 32, salt, _ROUNDS).derive(passphrase.encode())
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    body = encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()
    prf = _der(0x30, bytes.fromhex("06082a864886f70d02090500"))  # hmacWithSHA256, NULL
    kdf = _der(0x30, _der(0x04, salt) + _der(0x02, _ROUNDS.to_bytes(3, "big")) + prf)
    kdf = _der(0x30, bytes.fromhex("06092a864886f70d01050c") + kdf)  # PBKDF2
    cipher = _der(0x30, bytes.fromhex("060960864801650304012a") + _der(0x04, iv))  # aes256-CBC
    scheme = _der(0x30, bytes.fromhex("06092a864886f70d01050d") + _der(0x30, kdf + cipher))  # PBES2
    return _der(0x30, scheme + _der(0x04, body))


def _der(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def _armour(label: str, der: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise SigningKeyError("a key needs a name of one line, at most 200 characters", name=name[:200])


def _name_in(pem: bytes) -> str:
    found = re.match(rb"Name: ([^\r\n]{1,800})\r?\n", pem)
    name = found.group(1).decode("utf-8", "replace") if found else ""
    return name if name.isprintable() else ""
