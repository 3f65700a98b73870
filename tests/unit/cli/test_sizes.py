from __future__ import annotations

import pytest

from forensiq.cli.sizes import MAXIMUM, parse_offset, parse_size
from forensiq.errors import UsageError
from forensiq.model.quantity import MediaQuantity


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("4KiB", 4096),
        ("4kib", 4096),
        ("2GiB", 2 << 30),
        ("650MB", 650_000_000),
        ("1.5 GiB", 3 << 29),
        ("0x200", 512),
        ("1_000kB", 1_000_000),
        (str(MAXIMUM), MAXIMUM),
    ],
)
def test_a_size_is_understood(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "4K", "4k", "2G", "4b", "-1", "1e3", "1.3B", "4 KiB extra", "½", "٣", "8EiB", "0.0001KiB"]
)
def test_an_unclear_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_the_hint_names_both_readings_of_a_bare_letter() -> None:
    with pytest.raises(UsageError) as caught:
        parse_size("4K")
    assert caught.value.hint == "say 4KiB (powers of 1024) or 4kB (powers of 1000)"


def test_an_offset_may_be_in_sectors() -> None:
    assert parse_offset("63s") == MediaQuantity(63, in_sectors=True)
    assert parse_offset("63s").in_bytes(4096) == 63 * 4096
    assert parse_offset("4KiB").in_bytes(4096) == 4096


@pytest.mark.parametrize("text", ["s", "-1s", "1.5s", "4KiBs", "²s", f"{2**63}s"])
def test_a_wrong_number_of_sectors_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_offset(text)
