"""PAdES signatures of PDF reports (ETSI EN 319 142-1, level B-B; B-T with a time stamp), made and checked by pyHanko.

The signature is invisible and is added as an incremental update: the bytes that were there stay as they are, and the
field that carries it has the print flag and no size, as PDF/A-3 asks for (ISO 19005-3, 6.3.2 and 6.3.3). The document's
metadata are not touched, because PDF/A wants them to agree with what is stored twice.

Checking trusts no certificate by itself: ``intact`` says that the bytes are those that were signed; who signed is a
question of the certificate's fingerprint. A self-signed certificate shows integrity, not identity.
"""

from __future__ import annotations

import asyncio
import io
import logging
import urllib.error
import urllib.request

from asn1crypto import tsp
from asn1crypto.x509 import Certificate
from msgspec import Struct
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.timestamps import TimeStamper, TimestampRequestError
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from forensiq.clock import rfc3339
from forensiq.errors import ForensiqError, RecordFormatError, SigningKeyError

__all__ = ["FIELD", "PdfSignature", "sign_pdf", "signatures_of"]

FIELD = "forensiq-report"
_ROOM = 16 * 1024
_TIMEOUT_S = 30
_LARGEST_ANSWER = 1 << 20
_MAX_SIGNATURES = 100

for _name in ("pyhanko", "pyhanko_certvalidator"):
    # Their log repeats, with tracebacks, what a PdfSignature says.
    logging.getLogger(_name).addHandler(logging.NullHandler())


class PdfSignature(Struct, frozen=True):
    """One signature of a PDF as checked.

    ``intact``: the signed bytes are unchanged and the signature over them holds. ``whole_file``: nothing was added
    behind them. ``signed`` is the time that the signer's machine claimed; ``stamped`` the time in a valid time stamp,
    ``stamped_by`` its authority's name, which is not looked up. ``problem`` says why a signature is not intact.
    """

    subject: str
    issuer: str
    fingerprint: str
    self_signed: bool
    intact: bool
    whole_file: bool
    signed: str | None
    stamped: str | None
    stamped_by: str | None
    problem: str | None = None


class _Writer(IncrementalPdfFileWriter):
    def _update_meta(self) -> None:
        """Leave the document's metadata as they are."""


class _Authority(TimeStamper):
    def __init__(self, url: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._url = url

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """Ask the authority (RFC 3161, 3.4: over HTTP)."""
        return await asyncio.to_thread(self._ask, req.dump())

    def _ask(self, request: bytes) -> tsp.TimeStampResp:
        if not self._url.startswith(("http://", "https://")):
            raise TimestampRequestError(f"{self._url} is not the address of a time stamp authority")
        question = urllib.request.Request(  # noqa: S310  (the scheme is checked above)
            self._url, data=request, headers={"Content-Type": "application/timestamp-query"}
        )
        try:
            with urllib.request.urlopen(question, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                body = answer.read(_LARGEST_ANSWER)
            return tsp.TimeStampResp.load(body, strict=True)
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise TimestampRequestError(f"the time stamp authority gave no time stamp: {error}") from error


def sign_pdf(data: bytes, pkcs12: bytes, passphrase: str, *, reason: str, authority: str | None = None) -> bytes:
    """Return ``data`` with a PAdES signature by the key in ``pkcs12`` (the bytes of a PKCS#12 file).

    ``authority`` is the address of a time stamp authority. :class:`~forensiq.errors.SigningKeyError` where the key
    cannot be opened, :class:`~forensiq.errors.ForensiqError` where the authority gives no time stamp.
    """
    try:
        signer = signers.SimpleSigner.load_pkcs12_data(pkcs12, other_certs=[], passphrase=passphrase.encode())
    except ValueError as error:
        raise SigningKeyError("the passphrase is wrong, or it is no PKCS#12 file") from error
    if signer is None or signer.signing_cert is None:
        raise SigningKeyError("the PKCS#12 file holds no key with a certificate")
    facts = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        reason=reason,
        name=signer.signing_cert.subject.human_friendly,
    )
    stamper = _Authority(authority) if authority is not None else None
    try:
        signing = signers.PdfSigner(facts, signer=signer, timestamper=stamper)
        signed = signing.sign_pdf(_Writer(io.BytesIO(data)), bytes_reserved=2 * _ROOM)
    except TimestampRequestError as error:
        raise ForensiqError(str(error), hint="sign without --timestamp-url, or try again later") from error
    except (SigningError, PdfError) as error:
        raise ForensiqError(f"the PDF could not be signed: {error}") from error
    result: bytes = signed.getvalue()
    return result


def signatures_of(data: bytes) -> tuple[PdfSignature, ...]:
    """Return every signature of a PDF, checked; ``RecordFormatError`` where it is no PDF that can be read."""
    try:
        found = PdfFileReader(io.BytesIO(data)).embedded_regular_signatures[:_MAX_SIGNATURES]
        return tuple(_checked(each) for each in found)
    except (PdfError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise RecordFormatError(f"the signatures of the PDF cannot be read: {error}") from error


def _checked(embedded: object) -> PdfSignature:
    certificate: Certificate = embedded.signer_cert  # type: ignore[attr-defined]
    facts = {
        "subject": certificate.subject.human_friendly,
        "issuer": certificate.issuer.human_friendly,
        "fingerprint": certificate.sha256.hex(),
        "self_signed": certificate.subject == certificate.issuer,
    }
    claimed = embedded.self_reported_timestamp  # type: ignore[attr-defined]
    signed = rfc3339(claimed) if claimed is not None else None
    nobody = ValidationContext(trust_roots=[], allow_fetching=False)
    try:
        status = asyncio.run(
            async_validate_pdf_signature(embedded, signer_validation_context=nobody, ts_validation_context=nobody)  # type: ignore[arg-type]
        )
    except (SignatureValidationError, ValueError) as error:
        return PdfSignature(**facts, intact=False, whole_file=False, signed=signed, stamped=None, stamped_by=None,
                            problem=str(error))  # fmt: skip
    stamp = status.timestamp_validity
    stamped = stamp is not None and stamp.intact and stamp.valid
    return PdfSignature(
        **facts,
        intact=status.intact and status.valid,
        whole_file=status.coverage is SignatureCoverageLevel.ENTIRE_FILE,
        signed=signed,
        stamped=rfc3339(stamp.timestamp) if stamp is not None and stamped else None,
        stamped_by=stamp.signing_cert.subject.human_friendly if stamp is not None and stamped else None,
        problem=None if status.intact and status.valid else "the signed bytes were changed, or the signature is wrong",
    )
