"""Digests that carry over from the copied image, and those that do not because they cover more than the medium."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiq.errors import ExitCode
from forensiq.model.finding import Severity
from forensiq.procedures.acquire import exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.convert import convert
from tests.support.ewf_builder import EwfBuilder
from tests.support.media import media

MEDIUM = media(3 * 4096 + 512)


@pytest.mark.parametrize("tail", [b"o", b"odd"])
def test_a_digest_that_covers_an_odd_tail_is_checked_with_it(tmp_path: Path, tail: bytes) -> None:
    (image,) = EwfBuilder(MEDIUM, tail=tail).write(tmp_path / "x")
    record = convert(AcquireRequest(source=str(image), output=tmp_path / "Y", format="raw"))
    assert exit_code_of(record) is ExitCode.OK
    findings = [each for each in record.findings if each.severity is not Severity.INFO]
    assert {(each.code, each.severity) for each in findings} == {("convert.odd_tail", Severity.WARNING)}
    assert {each.found for each in findings} == {tail.hex()}
    assert (tmp_path / "Y.dd").read_bytes() == MEDIUM


def test_a_digest_that_agrees_neither_with_nor_without_its_tail_is_an_error(tmp_path: Path) -> None:
    other = EwfBuilder(bytes([MEDIUM[0] ^ 1]) + MEDIUM[1:], tail=b"odd")
    (image,) = EwfBuilder(MEDIUM, tail=b"odd").write(tmp_path / "x")
    (wrong,) = other.write(tmp_path / "w")
    theirs, content = wrong.read_bytes(), bytearray(image.read_bytes())
    for name, length in ((b"digest\0", 76 + 80), (b"hash\0", 76 + 36)):
        start, there = content.index(name) + 76, theirs.index(name) + 76
        content[start : start + length - 76] = theirs[there : there + length - 76]
    image.write_bytes(content)
    record = convert(AcquireRequest(source=str(image), output=tmp_path / "Y", format="raw"))
    assert exit_code_of(record) is ExitCode.VERIFICATION
    assert [each.code for each in record.findings if each.severity is Severity.ERROR] == ["convert.digest"] * 2
