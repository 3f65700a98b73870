"""Searches and content types, over a volume whose bytes are known."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.analysis import yara_scan
from forensiq.analysis.content_types import content_type, is_mismatch
from forensiq.analysis.scan import compile_patterns, scan_pieces
from forensiq.analysis.yara_rules import RuleScanner, compile_rules
from forensiq.errors import UsageError
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.search import read_rules, search_image, types_of_image
from tests.support.fat import fat_volume

FILES = {
    b"NOTE    TXT": b"a Secret here",
    b"WIDE    TXT": "xx secret 4711".encode("utf-16-le"),
    b"PHOTO   JPG": b"PK\x03\x04 not a photo",
    b"GONE    TXT": b"lost secret",
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    raw = bytearray(fat_volume(FILES, deleted=frozenset({b"GONE    TXT"})))
    raw[5 * 512 + 100 : 5 * 512 + 111] = b"slacksecret"
    raw[100 * 512 : 100 * 512 + 10] = b"freesecret"
    path = tmp_path / "floppy.dd"
    path.write_bytes(raw)
    return path


def test_files_slack_and_free_space(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        hits = [(hit["area"], hit["path"], hit["offset"]) for hit in search_image(listing, texts=["secret"])]
    assert ("file", "/NOTE.TXT", 2) in hits
    assert ("file", "/WIDE.TXT", 6) in hits
    assert ("file", "/_ONE.TXT", 5) in hits
    assert ("slack", "/NOTE.TXT", 105) in hits
    assert ("unallocated", None, 100 * 512 + 4) in hits


def test_a_regular_expression_finds_wide_text_too(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        hits = list(search_image(listing, expressions=["secret [0-9]{4}"], free=False))
    assert [(hit["path"], hit["offset"], hit["length"]) for hit in hits] == [("/WIDE.TXT", 6, 22)]
    with Listing(image_reference(image)) as listing, pytest.raises(UsageError):
        list(search_image(listing, expressions=["("]))


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(1, 9000), min_size=1, max_size=5), st.integers(0, 9000))
def test_a_match_across_pieces_is_found_once(needle: bytes, sizes: list[int], place: int) -> None:
    total = sum(sizes) + 9100
    data = bytearray(b"\xaa" * total if needle != b"\xaa" * len(needle) else b"\x55" * total)
    data[place : place + len(needle)] = needle
    parts, at = [], 0
    for size in [*sizes, total]:
        parts.append(bytes(data[at : at + size]))
        at += size
    found = [hit["offset"] for hit in scan_pieces(parts, compile_patterns([], [], [needle.hex()]))]
    assert found.count(place) == 1
    assert len(found) == len(set(found))


def test_an_ending_that_the_content_contradicts(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        odd = [(entry["path"], entry["content_type"]) for entry in types_of_image(listing, mismatches=True)]
    assert odd == [("/PHOTO.JPG", "application/zip")]


@pytest.mark.parametrize(
    ("ending", "head", "odd"),
    [
        ("jpg", b"\xff\xd8\xff\xe0", False),
        ("JPG", b"MZ\x90", True),
        ("docx", b"PK\x03\x04", False),
        ("png", b"nothing known", True),
        ("txt", b"MZ\x90", False),
        ("", b"MZ\x90", False),
    ],
)
def test_mismatches(ending: str, head: bytes, odd: bool) -> None:
    assert is_mismatch(ending, content_type(head)) is odd


RULES = """
rule secret : confidential { meta: by = "test" strings: $a = "secret" nocase wide ascii condition: $a }
rule archive { condition: uint32be(0) == 0x504b0304 and filesize < 1KB }
"""


def test_yara_rules_over_files_slack_and_free_space(image: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yar").write_text(RULES)
    with Listing(image_reference(image)) as listing:
        hits = list(search_image(listing, yara=read_rules([tmp_path / "mine.yar"])))
    found = {(hit["pattern"], hit["area"], hit["path"], hit["offset"]) for hit in hits}
    assert found == {
        ("secret", "file", "/NOTE.TXT", 2),
        ("secret", "slack", "/NOTE.TXT", 105),
        ("secret", "file", "/WIDE.TXT", 6),
        ("secret", "file", "/_ONE.TXT", 5),
        ("secret", "unallocated", None, 4101),
        ("archive", "file", "/PHOTO.JPG", 0),
    }
    free = next(hit for hit in hits if hit["area"] == "unallocated")
    assert 100 * 512 + 4 in [each["offset"] for each in free["strings"]]
    first = next(hit for hit in hits if hit["path"] == "/NOTE.TXT")
    assert first["namespace"] == "mine"
    assert first["tags"] == ["confidential"]
    assert first["strings"] == [{"name": "$a", "offset": 2, "length": 6}]
    assert first["inode"]
    assert first["partition_offset"] == 0


def test_bad_rules_are_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "bad.yar").write_text("rule x { condition: no_such_thing }")
    (tmp_path / "binary.yar").write_bytes(b"\xff\xfe\0")
    for name in ("bad.yar", "binary.yar", "missing.yar"):
        with pytest.raises(UsageError, match=name):
            read_rules([tmp_path / name])


def test_a_file_larger_than_a_window_is_looked_at_in_windows_that_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = "rule mark { strings: $a = /M{5}[0-9]/ condition: $a }\nrule small { condition: filesize < 100000 }"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "w.yar").write_text(rules)
        compiled = compile_rules([Path(folder) / "w.yar"])
    monkeypatch.setattr(yara_scan, "_OVERLAP", 100)
    data = bytearray(b"x" * 5000)
    places = [10, 995, 1895, 1950, 4990]
    for number, place in enumerate(places):
        data[place : place + 6] = b"MMMMM%d" % number
    scan = yara_scan.YaraScan(RuleScanner(compiled.compiled), lambda: None)
    hits = list(scan._windows(lambda at, count: bytes(data[at : at + count]), 0, len(data), 1000))
    told = {each["offset"] for hit in hits for each in hit["strings"] if hit["pattern"] == "mark"}
    assert told == set(places)
    assert all("window" in hit for hit in hits)
