"""Reports read by other people's tools: pdfsig, poppler, openssl, xmllint, case_validate; time stamps by openssl."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from forensiq.custody.pkcs12 import create_pkcs12
from forensiq.model.report import ReportPackage
from forensiq.reports.case_uco import render_case_uco
from forensiq.reports.dfxml import render_dfxml
from forensiq.reports.html import render_html
from forensiq.reports.pdf import render_pdf
from forensiq.reports.pdf_signature import sign_pdf, signatures_of
from tests.interop.authority import Authority
from tests.interop.peers import need
from tests.unit.procedures.report_case import make_report_case, report_of
from tests.unit.reports import hostile, samples

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def pkcs12(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("keys") / "ada.p12"
    create_pkcs12(path, "Ada Lovelace", PASSPHRASE)
    return path.read_bytes()


@pytest.fixture(scope="module")
def plain() -> bytes:
    return render_pdf(samples.package()).data


@pytest.fixture(scope="module")
def signed(plain: bytes, pkcs12: bytes) -> bytes:
    return sign_pdf(plain, pkcs12, PASSPHRASE, reason="case report")


def said(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, timeout=120)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_pdfsig_finds_the_signature_valid_and_over_the_whole_file(signed: bytes, tmp_path: Path) -> None:
    need("pdfsig")
    path = tmp_path / "report.pdf"
    path.write_bytes(signed)
    text = said("pdfsig", path)
    assert "Signature is Valid." in text
    assert "Total document signed" in text
    assert "ETSI.CAdES.detached" in text
    damaged = bytearray(signed)
    damaged[1000] ^= 1
    path.write_bytes(damaged)
    assert "Signature is Valid." not in said("pdfsig", path)


def test_qpdf_finds_no_fault_before_and_after_signing(plain: bytes, signed: bytes, tmp_path: Path) -> None:
    need("qpdf")
    for name, content in (("plain.pdf", plain), ("signed.pdf", signed)):
        (tmp_path / name).write_bytes(content)
        assert "No syntax or stream encoding errors found" in said("qpdf", "--check", tmp_path / name)


def test_signing_adds_and_changes_nothing(plain: bytes, signed: bytes) -> None:
    assert signed.startswith(plain)
    (found,) = signatures_of(signed)
    assert (found.intact, found.whole_file, found.self_signed) == (True, True, True)


def _objects(data: bytes) -> PdfFileReader:
    return PdfFileReader(io.BytesIO(data))


@pytest.mark.parametrize("which", ["plain", "signed"])
def test_what_pdf_a_3_asks_for_is_there_before_and_after_signing(
    which: str, plain: bytes, signed: bytes, tmp_path: Path
) -> None:
    # ISO 19005-3: what can be checked without a validator, by the clause.
    data = {"plain": plain, "signed": signed}[which]
    reader = _objects(data)
    root = reader.root
    xmp = root["/Metadata"].data
    assert b"<pdfaid:part>3</pdfaid:part>" in xmp  # 6.6.4
    assert b"<pdfaid:conformance>U</pdfaid:conformance>" in xmp
    assert "/ID" in reader.trailer  # 6.1.3
    assert "/Encrypt" not in reader.trailer
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"  # 6.2.3
    assert not {"/OpenAction", "/AA", "/Perms"} & set(root)  # 6.5, 6.6.1
    info = reader.trailer["/Info"]
    assert b"<xmp:CreatorTool>" + str(info["/Creator"]).encode() in xmp  # 6.6.3
    assert set(info) <= {"/Title", "/Creator", "/CreationDate", "/ModDate"}
    names = list(root["/Names"]["/EmbeddedFiles"]["/Names"])[1::2]
    attached = [spec.get_object() if hasattr(spec, "get_object") else spec for spec in names]
    assert len(attached) == 2
    assert len(root["/AF"]) == 2  # 6.8
    for spec in attached:
        assert {"/F", "/UF", "/AFRelationship", "/EF"} <= set(spec)
        assert "/Subtype" in spec["/EF"]["/F"]
    if which == "signed":
        form = root["/AcroForm"]
        assert "/NeedAppearances" not in form or form["/NeedAppearances"] is False  # 6.4.1
        widget = form["/Fields"][0]
        assert widget["/F"] & 4  # 6.3.2: printed
        assert not widget["/F"] & (1 | 2 | 32)  # not invisible, hidden, no view
        assert [int(side) for side in widget["/Rect"]] == [0, 0, 0, 0]  # 6.3.3: no size, no appearance needed
    need("pdffonts")
    path = tmp_path / "report.pdf"
    path.write_bytes(data)
    rows = [line for line in said("pdffonts", path).splitlines() if " yes " in line or " no " in line]
    assert rows
    assert [row for row in rows if row.split()[-5] != "yes"] == []  # 6.2.11.4: embedded


def test_poppler_lists_the_attachments(signed: bytes, tmp_path: Path) -> None:
    need("pdfdetach")
    path = tmp_path / "report.pdf"
    path.write_bytes(signed)
    said("pdfdetach", "-saveall", "-o", tmp_path, path)
    assert (tmp_path / "ledger.jsonl").read_bytes() == b'{"seq":1}\n'
    assert (tmp_path / "report.json").read_bytes().startswith(b"{")


def test_a_time_stamp_by_an_authority_of_openssl(plain: bytes, pkcs12: bytes, tmp_path: Path) -> None:
    need("openssl", "pdfsig")
    authority = Authority(tmp_path / "tsa", "Stamps Ltd")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        data = sign_pdf(plain, pkcs12, PASSPHRASE, reason="case report", authority=address)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (found,) = signatures_of(data)
    assert found.intact
    assert found.stamped is not None
    assert found.stamped_by is not None
    assert "Stamps Ltd stamps" in found.stamped_by
    path = tmp_path / "report.pdf"
    path.write_bytes(data)
    assert "Signature is Valid." in said("pdfsig", path)


def test_stock_openssl_verifies_the_signature_beside_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("openssl")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    key = make_report_case(tmp_path / "case", tmp_path / "keys")
    report = report_of(tmp_path / "case", key, "html")
    command = ("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", f"{report}.pub", "-rawin", "-in", report)
    assert "Signature Verified Successfully" in said(*command, "-sigfile", f"{report}.sig")
    report.write_bytes(report.read_bytes() + b" ")
    assert "Signature Verified Successfully" not in said(*command, "-sigfile", f"{report}.sig")


@pytest.mark.parametrize(
    "package",
    [samples.package(), hostile.package_with(" ".join(hostile.SHORT)), samples.package(items=(), ledger=None)],
    ids=["usual", "hostile", "empty"],
)
def test_xmllint_finds_the_dfxml_valid(package: ReportPackage, tmp_path: Path) -> None:
    need("xmllint")
    path = tmp_path / "report.dfxml"
    path.write_text(render_dfxml(package.report))
    schemas = [Path(__file__).with_name("dfxml_parts.xsd")]
    if os.environ.get("FORENSIQ_DFXML_XSD"):
        schemas.append(Path(os.environ["FORENSIQ_DFXML_XSD"]))
    for schema in schemas:
        assert "report.dfxml validates" in said("xmllint", "--noout", "--schema", schema, path)


def test_xmllint_reads_the_page_as_html(tmp_path: Path) -> None:
    need("xmllint")
    path = tmp_path / "report.html"
    path.write_text(render_html(hostile.package_with(" ".join(hostile.SHORT))))
    errors = [line for line in said("xmllint", "--html", "--noout", path).splitlines() if "error" in line]
    # HTML 5, which libxml2 2.9 does not know.
    five = {"nav", "bdi", "svg", "rect", "polyline", "polygon", "text", "circle", "figure", "figcaption", "title"}
    assert [line for line in errors if not any(f"Tag {tag} invalid" in line for tag in five)] == []


@pytest.mark.slow
def test_case_validate_finds_the_graph_valid(tmp_path: Path) -> None:
    validator = shutil.which("case_validate", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if validator is None:
        pytest.skip("case_validate (case-utils) is not installed")
    for name, package in (
        ("usual", samples.package(identifier="1")),
        ("hostile", hostile.package_with(" ".join(hostile.SHORT))),
    ):
        (tmp_path / f"{name}.jsonld").write_text(render_case_uco(package.report))
    said_of_both = said(
        validator, "--built-version", "case-1.4.0", tmp_path / "usual.jsonld", tmp_path / "hostile.jsonld"
    )
    assert "Conforms: True" in said_of_both
