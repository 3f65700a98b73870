"""PKCS#12 files for PDF signatures: PDF readers do not dependably know Ed25519, so there is a key of another kind.

The certificate is self-signed: it shows that a document was not changed, not who signed it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from forensiq import clock
from forensiq.custody.signing import read_private_file
from forensiq.errors import SigningKeyError
from forensiq.streams.durable import write_durably

__all__ = ["CertificateFacts", "create_pkcs12", "read_pkcs12"]

_ROUNDS = 600_000
_VALID = timedelta(days=3650)


class CertificateFacts:
    """Who a certificate says it is for, and by whom; ``fingerprint`` is the SHA-256 of its DER form."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.subject = _readable(certificate.subject)
        self.issuer = _readable(certificate.issuer)
        self.self_signed = certificate.subject == certificate.issuer
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
        self.not_before = clock.rfc3339(certificate.not_valid_before_utc)
        self.not_after = clock.rfc3339(certificate.not_valid_after_utc)


def create_pkcs12(path: Path, name: str, passphrase: str) -> CertificateFacts:
    """Make a P-256 key with a self-signed certificate for ``name`` in ``path`` (mode 0600), valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name holds at most 64 characters (RFC 5280, ub-common-name).
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = clock.utc_now()
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    protection = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(passphrase.encode())
    )
    data = pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, None, protection)
    write_durably(path, data, mode=0o600)
    return CertificateFacts(certificate)


def read_pkcs12(path: Path, passphrase: str) -> CertificateFacts:
    """Open a PKCS#12 file, our own or an agency's, and say whose it is; SafetyRefusal if others may read it.

    :class:`~forensiq.errors.SigningKeyError` if it holds no key with a certificate or the passphrase is wrong.
    """
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(read_private_file(path), passphrase.encode())
    except ValueError as error:
        text = f"{path}: the passphrase is wrong, or it is no PKCS#12 file"
        raise SigningKeyError(text, path=str(path)) from error
    if key is None or certificate is None:
        raise SigningKeyError(f"{path} holds no key with a certificate", path=str(path))
    return CertificateFacts(certificate)


def _readable(name: x509.Name) -> str:
    """Return a name as RFC 4514 writes it, without its backslashes where nothing can be mistaken for something else."""
    parts = [(attribute.rfc4514_attribute_name, attribute.value) for attribute in reversed(list(name))]
    plain = [f"{kind}={value}" for kind, value in parts if isinstance(value, str) and value.isprintable()]
    if len(plain) < len(parts) or any(set(str(value)) & set('=+"\\;<>') for _, value in parts):
        return name.rfc4514_string()
    return ",".join(plain)
