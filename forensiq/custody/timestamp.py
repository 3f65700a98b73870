"""Time stamps (RFC 3161): an authority signs that some bytes existed at a time.

The request can be made here and answered elsewhere, so a laboratory without network can have its seals stamped: write
the request (``.tsq``), carry it out, bring the answer (``.tsr``) back.
"""

from __future__ import annotations

import hashlib
import http.client
import secrets
import urllib.error
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.x509 import Certificate
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from forensiq import clock
from forensiq.errors import CustodyError, UsageError
from forensiq.model.ledger import TimestampFacts

__all__ = ["Certificate", "check_response", "fetch_response", "load_roots", "make_request"]

_MAX_RESPONSE = 1024 * 1024
_TIMEOUT_S = 30
_GRANTED = (0, 1)  # RFC 3161 section 2.4.2: granted, granted with modifications
_HASHES = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}


def make_request(data: bytes) -> bytes:
    """Return a request for a time stamp over the SHA-256 of ``data``, with a nonce, asking for the certificates."""
    return _request(data).as_bytes()


def fetch_response(url: str, data: bytes) -> bytes:
    """Ask the authority at ``url`` (http or https; RFC 3161 section 3.4) for a time stamp over ``data``.

    Returns what it answers. :class:`~forensiq.errors.CustodyError` if it does not answer, or not this request: without
    our nonce, the answer may be one that was given earlier.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError("a time stamp authority has an http or https address", url=url)
    asked = _request(data)
    query = urllib.request.Request(url, asked.as_bytes(), {"Content-Type": "application/timestamp-query"})  # noqa: S310
    try:
        with urllib.request.urlopen(query, timeout=_TIMEOUT_S) as reply:  # noqa: S310
            answer: bytes = reply.read(_MAX_RESPONSE)
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError) as error:
        raise CustodyError(
            f"the time stamp authority does not answer: {error}",
            hint="without network: --request-out FILE.tsq now, --response FILE.tsr later",
            url=url,
        ) from error
    stamp = _decoded(answer)
    if stamp.status in _GRANTED and stamp.tst_info.nonce != asked.nonce:
        raise CustodyError("the time stamp authority answered another request: the nonce is not ours", url=url)
    return answer


def _request(data: bytes) -> TimeStampRequest:
    builder = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build()


def _decoded(response: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(_in_der_order(response))
    except ValueError as error:
        raise CustodyError(f"the time stamp does not verify: {error}") from error


def load_roots(path: Path) -> list[Certificate]:
    """Return the certificates in a PEM file; :class:`~forensiq.errors.UsageError` if there are none."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} holds no certificates in PEM: {error}", path=str(path)) from error


def check_response(data: bytes, response: bytes, roots: list[Certificate] | None = None) -> TimestampFacts:
    """Check that ``response`` is a granted time stamp over ``data`` with a signature that holds.

    Steps: (1) it is a response, and granted; (2) it is over the hash of ``data``; (3) its signature holds, with a chain
    to ``roots``; without ``roots``, to a certificate inside the response, which shows integrity and not identity.
    :class:`~forensiq.errors.CustodyError` says which step failed.
    """
    # 1. A granted response.
    stamp = _decoded(response)
    if stamp.status not in _GRANTED:
        raise CustodyError("the time stamp authority refused the request", status=stamp.status)
    try:
        info = stamp.tst_info
        # 2. Over these bytes.
        algorithm = _HASHES.get(info.message_imprint.hash_algorithm.dotted_string)
        if algorithm is None or not secrets.compare_digest(algorithm(data).digest(), info.message_imprint.message):
            raise CustodyError("the time stamp is for other data")
        # 3. Signed.
        inside = [x509.load_der_x509_certificate(each) for each in stamp.signed_data.certificates]
        leaf = _verify(stamp, algorithm(data).digest(), inside, roots)
    except (ValueError, KeyError, VerificationError) as error:
        # KeyError: a name in a certificate with a kind of string that the parser does not know.
        raise CustodyError(f"the time stamp does not verify: {error}") from error
    return TimestampFacts(
        clock.rfc3339(info.gen_time),
        leaf,
        info.policy.dotted_string if info.policy is not None else "",
        str(info.serial_number),
        bool(roots),
    )


def _verify(stamp: TimeStampResponse, digest: bytes, inside: list[Certificate], roots: list[Certificate] | None) -> str:
    signers = [(each.issuer, each.serial_number) for each in stamp.signed_data.signer_infos]
    signing = [each for each in inside if (each.issuer, each.serial_number) in signers]
    if not signing:
        raise CustodyError("the time stamp does not hold the certificate of its signer")
    builder = VerifierBuilder()
    # The library trusts every certificate that it is given, intermediates too: what the response brings is not added.
    for root in roots or inside:
        builder = builder.add_root_certificate(root)
    builder.build().verify(stamp, digest)
    return signing[0].subject.rfc4514_string()


def _in_der_order(response: bytes) -> bytes:
    """Return ``response`` with the certificates in it in the order that DER wants of a set.

    OpenSSL and some authorities write them in the order of the chain (BER, which RFC 5652 allows); the parser takes
    only DER. They are not under the signature, and the length stays as it is. ``ValueError`` if this is no response.
    """
    body = _inside(response, 0, 0x30)  # TimeStampResp
    token = _inside(response, _behind(response, body), 0x30)  # behind the status: the token, a ContentInfo
    content = _inside(response, _behind(response, token), 0xA0)  # behind its type
    at = _inside(response, content, 0x30)  # SignedData: version, digest algorithms, content, [0] certificates
    for _ in range(3):
        at = _behind(response, at)
    if at >= len(response) or response[at] != 0xA0:
        return response
    first, end = _inside(response, at, 0xA0), _behind(response, at)
    parts: list[bytes] = []
    at = first
    while at < end:
        after = _behind(response, at)
        parts.append(response[at:after])
        at = after
    if at != end:
        raise ValueError("a time stamp response whose certificates are not DER")
    return response[:first] + b"".join(sorted(parts)) + response[end:]


def _inside(data: bytes, at: int, tag: int) -> int:
    """Return the offset of the content of the element at ``at``, which must have ``tag``."""
    if at >= len(data) or data[at] != tag:
        raise ValueError("not a time stamp response")
    return _header(data, at)[0]


def _behind(data: bytes, at: int) -> int:
    """Return the offset behind the element at ``at``."""
    start, length = _header(data, at)
    if start + length > len(data):
        raise ValueError("a time stamp response that is cut short")
    return start + length


def _header(data: bytes, at: int) -> tuple[int, int]:
    """Return offset and length of the content of the element at ``at`` (definite lengths, tags of one byte)."""
    if at + 2 > len(data):
        raise ValueError("a time stamp response that is cut short")
    length, start = data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(data):
            raise ValueError("a time stamp response with a length that is not DER")
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    return start, length
