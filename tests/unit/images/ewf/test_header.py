"""Header texts: built as EnCase 6 writes them, and read in every known variant."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.errors import ImageFormatError
from forensiq.images.ewf import header
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.image import ImageMetadata

METADATA = ImageMetadata(
    case_number="CASE",
    evidence_number="ev",
    examiner="exam",
    description="desc",
    notes="notes",
    acquired="2026-11-22T20:58:54Z",
    system_time="2026-11-22T20:58:54Z",
    software="20140813",
    operating_system="Linux",
)

# Texts as ewfacquire 20140813 wrote them for the same values.
EWFACQUIRE_HEADER2 = (
    "3\nmain\na\tc\tn\te\tt\tmd\tsn\tav\tov\tm\tu\tp\tdc\n"
    "desc\tCASE\tev\texam\tnotes\t\t\t20140813\tLinux\t1795381134\t1795381134\t0\t\n\n"
    "srce\n0\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n0\t0\n\t\t\t\t\t-1\t-1\t\t\t\n\n"
    "sub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n"
)
EWFACQUIRE_HEADER = (
    "1\r\nmain\r\nc\tn\ta\te\tt\tav\tov\tm\tu\tp\r\n"
    "CASE\tev\tdesc\texam\tnotes\t20140813\tLinux\t2026 11 22 20 58 54\t2026 11 22 20 58 54\t0\r\n\r\n"
)


def test_texts_equal_those_of_ewfacquire() -> None:
    assert header.build_header2(METADATA) == b"\xff\xfe" + EWFACQUIRE_HEADER2.encode("utf-16-le")
    assert header.build_header(METADATA) == EWFACQUIRE_HEADER.encode()


def test_any_language_survives_in_header2_and_is_marked_in_header() -> None:
    metadata = ImageMetadata(examiner="Zoë Ωmega 測試 😀", notes="Größe")
    assert header.parse_header2(header.build_header2(metadata)) == ImageMetadata(
        examiner="Zoë Ωmega 測試 😀", notes="Größe", other={"p": "0"}
    )
    assert header.parse_header(header.build_header(metadata)).examiner == "Zoë ?mega ?? ?"


def test_local_time_is_the_wall_time_of_the_offset() -> None:
    metadata = ImageMetadata(acquired="2026-01-02T03:04:05.900000+01:00")
    assert b"2026 1 2 3 4 5" in header.build_header(metadata)
    seconds = int(datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC).timestamp())
    assert str(seconds).encode("utf-16-le") in header.build_header2(metadata)
    assert header.parse_header(header.build_header(metadata)).acquired == "2026-01-02T03:04:05"
    assert header.parse_header2(header.build_header2(metadata)).acquired == "2026-01-02T02:04:05Z"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_can_break_into_another_field(notes: str, examiner: str) -> None:
    metadata = ImageMetadata(notes=notes, examiner=examiner, case_number="C-1")
    wide = header.parse_header2(header.build_header2(metadata))
    single = header.parse_header(header.build_header(metadata))
    for read in (wide, single):
        assert read.case_number == "C-1"
        assert read.other == {"p": "0"}
        assert read.description == ""
    if notes.isprintable() and examiner.isprintable():
        assert (wide.notes, wide.examiner) == (notes, examiner)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "1\nmain\nc\tn\ta\te\tt\tav\tov\tm\tu\tp\tr\n"
            "C\tN\tA\tE\tT\tV\tO\t2002 3 4 10 19 59\t2002 3 4 10 19 59\t0\tf\n\n",
            ImageMetadata(
                case_number="C",
                evidence_number="N",
                description="A",
                examiner="E",
                notes="T",
                software="V",
                operating_system="O",
                acquired="2002-03-04T10:19:59",
                system_time="2002-03-04T10:19:59",
                other={"p": "0", "r": "f"},
            ),
            id="FTK Imager",
        ),
        pytest.param(
            "3\nmain\na\tc\tn\te\tt\tmd\tsn\tav\tov\tm\tu\tp\tdc\nA\tC\tN\tE\tT\tM\tS\t6\tLinux\t1142163845\t1142163845\t\t\n\n",
            ImageMetadata(
                case_number="C",
                evidence_number="N",
                description="A",
                examiner="E",
                notes="T",
                model="M",
                serial="S",
                software="6",
                operating_system="Linux",
                acquired="2006-03-12T11:44:05Z",
                system_time="2006-03-12T11:44:05Z",
            ),
            id="linen 6",
        ),
        pytest.param(
            "3\r\nmain\r\na\tc\tn\te\tt\tmd\tsn\tl\tav\tov\tm\tu\tp\tpid\tdc\text\r\n"
            "A\tC\tN\tE\tT\tM\tS\tL\t7.4\tWin\t1\t2\t\t77\t\tx\r\n\r\nsrce\r\n0\t1\r\n",
            ImageMetadata(
                case_number="C",
                evidence_number="N",
                description="A",
                examiner="E",
                notes="T",
                model="M",
                serial="S",
                software="7.4",
                operating_system="Win",
                acquired="1970-01-01T00:00:01Z",
                system_time="1970-01-01T00:00:02Z",
                other={"l": "L", "pid": "77", "ext": "x"},
            ),
            id="EnCase 7",
        ),
        pytest.param("1\nmain\nc\tn\nonly\n", ImageMetadata(case_number="only"), id="fewer values than keys"),
        pytest.param("1\nmain\nc", ImageMetadata(), id="torn before the values"),
        pytest.param("", ImageMetadata(), id="empty"),
        pytest.param("1\nmain\nm\n2026 13 1 1 1 1\n", ImageMetadata(other={"m": "2026 13 1 1 1 1"}), id="no such date"),
        pytest.param("1\nmain\nm\n99999999999999\n", ImageMetadata(other={"m": "99999999999999"}), id="no such second"),
    ],
)
def test_variants(text: str, expected: ImageMetadata) -> None:
    assert header.parse_header(text.encode()) == expected
    assert header.parse_header2(b"\xff\xfe" + text.encode("utf-16-le")) == expected
    assert header.parse_header2(b"\xfe\xff" + text.encode("utf-16-be")) == expected


@given(st.binary(max_size=400))
def test_hostile_bytes_give_some_metadata(data: bytes) -> None:
    header.parse_header(data)
    header.parse_header2(b"\xff\xfe" + data)
    header.parse_header2("3\nmain\nm\tu\n".encode("utf-16-le") + data)


def test_a_header_that_inflates_beyond_reason_is_refused() -> None:
    bomb = zlib.compress(bytes(header.MAX_HEADER_TEXT + 1))
    for body in (bomb, b"no zlib", zlib.compress(b"text")[:-2]):
        with pytest.raises(ImageFormatError):
            header.inflate_text(body)
    assert header.inflate_text(zlib.compress(b"text") + b"padding") == b"text"


def test_long_fields_are_cut_and_said() -> None:
    metadata = ImageMetadata(software="forensiq 0.1.0", notes="n" * 3000, examiner="e" * 2999)
    read = header.parse_header2(header.build_header2(metadata))
    assert (read.software, len(read.notes), len(read.examiner)) == ("forensiq 0.", 2999, 2999)
    found = header.truncation_findings(metadata)
    assert {(finding.code, finding.where) for finding in found} == {
        ("ewf.header.truncated", "software"),
        ("ewf.header.truncated", "notes"),
    }


def test_a_time_without_a_zone_stays_a_wall_time() -> None:
    metadata = ImageMetadata(acquired="2002-03-04T10:19:59")
    assert header.parse_header2(header.build_header2(metadata)).acquired is None
    assert header.parse_header(header.build_header(metadata)).acquired == "2002-03-04T10:19:59"


def test_merge_prefers_the_first() -> None:
    merged = header.merge_metadata(
        ImageMetadata(notes="測", other={"p": "0"}), ImageMetadata(notes="?", examiner="e", other={"p": "1", "r": "f"})
    )
    assert merged == ImageMetadata(notes="測", examiner="e", other={"p": "0", "r": "f"})


def test_xhash_names_the_digests_libewf_knows() -> None:
    digests = DigestSet.of(
        {HashAlgorithm.MD5: "0" * 32, HashAlgorithm.SHA256: "1" * 64, HashAlgorithm.SHA512: "2" * 128}
    )
    text = header.build_xhash(digests).decode("utf-8-sig")
    assert f"<MD5>{'0' * 32}</MD5>" in text
    assert f"<SHA256>{'1' * 64}</SHA256>" in text
    assert "2" * 128 not in text
