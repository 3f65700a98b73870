"""Time stamps against an authority of OpenSSL's on this machine (``openssl ts``)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from forensiq.custody.timestamp import check_response, fetch_response, load_roots, make_request
from forensiq.errors import CustodyError, UsageError
from forensiq.procedures.case_check import check_seal
from forensiq.procedures.case_seal import seal_case, timestamp_seal
from tests.interop.authority import Authority, openssl
from tests.unit.procedures.cases import key_file, make_case


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "one", "Trusted")


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "two", "Trusted")


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make_case(tmp_path / "case", tmp_path / "keys")
    seal_case(tmp_path / "case", key=key_file(tmp_path / "keys", "ada"))
    return tmp_path / "case"


def test_a_seal_is_stamped_without_network(case: Path, tmp_path: Path, authority: Authority) -> None:
    key = key_file(tmp_path / "keys", "ada")
    asked = timestamp_seal(case, request_out=tmp_path / "s.tsq", key=key)
    assert asked.timestamp is None
    (tmp_path / "s.tsr").write_bytes(authority.answer((tmp_path / "s.tsq").read_bytes()))
    done = timestamp_seal(case, response=tmp_path / "s.tsr", roots=authority.root, key=key)
    assert done.timestamp is not None
    assert done.timestamp.trusted
    assert done.timestamp.authority == "CN=Trusted stamps"
    checked = check_seal(case)
    assert checked.exit_code == 0
    assert checked.seal is not None
    assert checked.seal.timestamp is not None
    assert not checked.seal.timestamp.trusted
    known = check_seal(case, ca=authority.root).seal
    assert known is not None
    assert known.timestamp == done.timestamp
    verify = ("ts", "-verify", "-data", "manifest.sig", "-in", "manifest.sig.tsr", "-CAfile", str(authority.root))
    assert b"OK" in openssl(*verify, cwd=case / "seals/0001")
    alone = [sys.executable, "-I", str(case / "verify_seal.py"), "--ca", str(authority.root)]
    text = subprocess.run(alone, capture_output=True, text=True, check=True).stdout
    assert "time stamp" in text


def test_a_stamp_of_an_authority_that_only_has_the_same_name_is_refused(
    case: Path, tmp_path: Path, authority: Authority, impostor: Authority
) -> None:
    key = key_file(tmp_path / "keys", "ada")
    timestamp_seal(case, request_out=tmp_path / "s.tsq", key=key)
    (tmp_path / "s.tsr").write_bytes(impostor.answer((tmp_path / "s.tsq").read_bytes()))
    with pytest.raises(CustodyError, match="does not verify"):
        timestamp_seal(case, response=tmp_path / "s.tsr", roots=authority.root, key=key)
    assert not (case / "seals/0001/manifest.sig.tsr").exists()
    timestamp_seal(case, response=tmp_path / "s.tsr", key=key)
    found = check_seal(case, ca=authority.root)
    assert "seal.timestamp" in [each.code for each in found.verification.findings]
    assert found.exit_code == 5


def test_stamps_of_other_data_and_rubbish_are_refused(authority: Authority) -> None:
    response = authority.answer(make_request(b"data"))
    roots = load_roots(authority.root)
    assert check_response(b"data", response, roots).trusted
    with pytest.raises(CustodyError, match="other data"):
        check_response(b"date", response, roots)
    for rubbish in (b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", response[:-50], response[:40] * 9, b"<html>" * 99):
        with pytest.raises(CustodyError):
            check_response(b"data", rubbish, roots)


def test_no_flipped_byte_of_a_stamp_is_a_fault_of_the_program(authority: Authority) -> None:
    response = authority.answer(make_request(b"data"))
    roots = load_roots(authority.root)
    refused = 0
    for at in range(0, len(response), 11):
        flipped = response[:at] + bytes([response[at] ^ 0x55]) + response[at + 1 :]
        try:
            check_response(b"data", flipped, roots)
        except CustodyError:
            refused += 1
    assert refused > len(response) // 11 // 2


@contextmanager
def served(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """An authority on this machine; the address to ask."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_stamp_over_http(case: Path, tmp_path: Path, authority: Authority) -> None:
    with served(authority.answer) as url:
        done = timestamp_seal(case, url=url, roots=authority.root, key=key_file(tmp_path / "keys", "ada"))
    assert done.timestamp is not None
    assert check_seal(case).exit_code == 0
    with pytest.raises(CustodyError, match="does not answer"):
        timestamp_seal(case, url=url, key=key_file(tmp_path / "keys", "ada"))
    with pytest.raises(UsageError):
        timestamp_seal(case, url="file:///etc/passwd", key=key_file(tmp_path / "keys", "ada"))
    with pytest.raises(UsageError):
        timestamp_seal(case)


def test_an_older_answer_over_http_is_refused(authority: Authority) -> None:
    older = authority.answer(make_request(b"data"))
    with served(lambda _: older) as url, pytest.raises(CustodyError, match="nonce"):
        fetch_response(url, b"data")
    (authority.folder / "data").write_bytes(b"data")
    query = openssl("ts", "-query", "-data", "data", "-sha256", "-no_nonce", "-cert", cwd=authority.folder)
    with served(lambda _: authority.answer(query)) as url, pytest.raises(CustodyError, match="nonce"):
        fetch_response(url, b"data")
    with served(authority.answer) as url:
        assert check_response(b"data", fetch_response(url, b"data")).at
    for rubbish in (b"", b"<html>"):
        with served(lambda _, what=rubbish: what) as url, pytest.raises(CustodyError, match="does not verify"):  # type: ignore[misc]
            fetch_response(url, b"data")


def test_openssl_is_here() -> None:
    assert shutil.which("openssl"), "the tests of time stamps need openssl"
