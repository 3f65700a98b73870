"""Against published check values: RFC 3720, appendix B.4 (CRC-32C); the catalogue of Greg Cook (CRC-32/CD-ROM-EDC)."""

from __future__ import annotations

import pytest

from forensiq.images.crc import crc32c, edc


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"123456789", 0xE306_9283), (bytes(32), 0x8A91_36AA), (b"\xff" * 32, 0x62A8_AB43), (b"", 0)],
)
def test_castagnoli(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_error_detection_code_of_discs() -> None:
    assert edc(b"123456789") == 0x6EC2_EDC4
    assert edc(bytes(2064)) == 0
