from __future__ import annotations

import io
import random
import zlib
from pathlib import Path

import pytest

from forensiq.custody.pkcs12 import create_pkcs12
from forensiq.errors import ForensiqError, RecordFormatError, SigningKeyError
from forensiq.model.report import ReportPackage
from forensiq.reports.pdf import render_pdf
from forensiq.reports.pdf_attachments import attachments_of
from forensiq.reports.pdf_signature import sign_pdf, signatures_of
from forensiq.reports.reading import read_report
from tests.unit.reports import samples


@pytest.fixture(scope="module")
def pkcs12(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("keys") / "ada.p12"
    create_pkcs12(path, "王小明 / Ada", "correct horse")
    return path.read_bytes()


@pytest.fixture(scope="module")
def signed(pkcs12: bytes) -> bytes:
    package = ReportPackage(samples.case_report(items=(), files=()))
    return sign_pdf(render_pdf(package).data, pkcs12, "correct horse", reason="case report")


def test_a_signature_says_whose_certificate_it_is_and_covers_the_file(signed: bytes) -> None:
    (found,) = signatures_of(signed)
    assert (found.intact, found.whole_file, found.self_signed) == (True, True, True)
    assert "王小明 / Ada" in found.subject
    assert found.stamped is None


def test_an_unsigned_report_has_no_signature() -> None:
    assert signatures_of(render_pdf(ReportPackage(samples.case_report(items=(), files=()))).data) == ()


def test_another_signature_behind_does_not_hide_what_was_added(signed: bytes, pkcs12: bytes) -> None:
    # An adversary updates the document, then signs the whole with a key of his own.
    with pytest.raises(ForensiqError):
        sign_pdf(signed, pkcs12, "correct horse", reason="again")  # the field is taken: a second one is not made
    (found,) = signatures_of(signed + b"\n% more\n")
    assert (found.intact, found.whole_file) == (True, False)


@pytest.mark.parametrize(("key", "passphrase"), [(None, "wrong"), (b"no key", "correct horse")])
def test_a_key_that_cannot_be_opened_is_named(signed: bytes, pkcs12: bytes, key: bytes | None, passphrase: str) -> None:
    with pytest.raises(SigningKeyError):
        sign_pdf(signed, key or pkcs12, passphrase, reason="x")


@pytest.mark.parametrize("address", ["ftp://example.org", "file:///etc/passwd", "http://127.0.0.1:1/"])
def test_an_authority_that_gives_nothing_is_an_error_and_not_a_missing_stamp(pkcs12: bytes, address: str) -> None:
    data = render_pdf(ReportPackage(samples.case_report(items=(), files=()))).data
    with pytest.raises(ForensiqError, match="time stamp"):
        sign_pdf(data, pkcs12, "correct horse", reason="x", authority=address)


def test_damaged_bytes_never_surprise_the_reader(signed: bytes) -> None:
    choose = random.Random(7)
    for _ in range(40):
        data = bytearray(signed)
        for _ in range(choose.choice((1, 3, 20))):
            data[choose.randrange(len(data))] = choose.randrange(256)
        for check in (signatures_of, read_report):
            try:
                check(bytes(data[: choose.randrange(len(data))]) if choose.random() < 0.1 else bytes(data))
            except RecordFormatError as error:
                assert error.message  # noqa: PT017


def _pdf_with(stream: bytes, filters: str = "/FlateDecode") -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(
        (
            b"<</Type/Catalog/Names<</EmbeddedFiles<</Names[(a)2 0 R]>>>>/Pages 4 0 R>>",
            b"<</Type/Filespec/F(a)/UF(a)/EF<</F 3 0 R>>>>",
            b"<</Length %d/Filter%s>>\nstream\n" % (len(stream), filters.encode()) + stream + b"\nendstream",
            b"<</Type/Pages/Kids[]/Count 0>>",
        ),
        start=1,
    ):
        places.append(out.tell())
        out.write(b"%d 0 obj\n" % number + body + b"\nendobj\n")
    start = out.tell()
    out.write(b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def test_an_attachment_is_unpacked_up_to_the_limit_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attachments_of(_pdf_with(zlib.compress(b"x" * 1000))) == {"a": b"x" * 1000}
    monkeypatch.setattr("forensiq.reports.pdf_attachments.LARGEST", 999)
    with pytest.raises(RecordFormatError, match="too large"):
        attachments_of(_pdf_with(zlib.compress(b"x" * 1000)))


@pytest.mark.parametrize(
    ("stream", "filters"),
    [(zlib.compress(b"x" * 100)[:-8], "/FlateDecode"), (b"x", "/LZWDecode"), (b"x", "/FlateDecode")],
)
def test_an_attachment_that_cannot_be_unpacked_is_refused(stream: bytes, filters: str, tmp_path: Path) -> None:
    with pytest.raises(RecordFormatError):
        attachments_of(_pdf_with(stream, filters))
