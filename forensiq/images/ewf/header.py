"""Case fields of an EWF image: the texts of ``header2``, ``header`` and ``xhash``.

A header text is a few lines: a version, ``main``, one line of keys and one of values, both separated by tabs, and
(from EnCase 4 on, in ``header2``) further categories. Source: J. Metz, *Expert Witness Compression Format (EWF)*,
"Header section" and "Header2 section"; checked against files by EnCase, FTK Imager, linen and ewfacquire.

====== ========================= ====== =====================================================================
key    value                     key    value
====== ========================= ====== =====================================================================
a      description               av     software that acquired, at most 11 characters
c      case number               ov     operating system, at most 23 characters
n      evidence number           m      time of acquisition: POSIX seconds, or (header) local time
e      examiner                  u      system time of the acquiring machine, in the same form
t      notes                     p      hash of a password; ``0`` or empty: none
md sn  model, serial of drive    r      compression level (EnCase 1 to 3, FTK): n, f or b
l      label                     pid    process identifier · dc: unknown · ext: extents
====== ========================= ====== =====================================================================

``header`` is one byte per character; what it cannot hold becomes ``?``, and ``header2`` (UTF-16) holds it.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime

from forensiq.errors import ImageFormatError
from forensiq.model.digest import DigestSet
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ImageMetadata

__all__ = [
    "MAX_HEADER_TEXT",
    "build_header",
    "build_header2",
    "build_xhash",
    "inflate_text",
    "merge_metadata",
    "parse_header",
    "parse_header2",
    "truncation_findings",
]

MAX_HEADER_TEXT = 16 * 1024 * 1024
"""Bytes that a header may inflate to; longer ones are refused as hostile. EnCase allows 2999 characters a field."""

_FIELDS = {
    "a": "description",
    "c": "case_number",
    "n": "evidence_number",
    "e": "examiner",
    "t": "notes",
    "md": "model",
    "sn": "serial",
    "av": "software",
    "ov": "operating_system",
}
_TIMES = {"m": "acquired", "u": "system_time"}
_LIMITS = {"software": 11, "operating_system": 23}
_FREE_TEXT_LIMIT = 2999

_HEADER2_KEYS = ("a", "c", "n", "e", "t", "md", "sn", "av", "ov", "m", "u", "p", "dc")
_HEADER_KEYS = ("c", "n", "a", "e", "t", "av", "ov", "m", "u", "p")
_HEADER2_REST = (
    "srce\n0\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n0\t0\n\t\t\t\t\t-1\t-1\t\t\t\n\n"
    "sub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n"
)
_BREAKS = re.compile(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_DIGITS = re.compile(r"-?[0-9]{1,12}")


def build_header2(metadata: ImageMetadata) -> bytes:
    """Return the uncompressed ``header2`` text as EnCase 6 writes it: UTF-16LE with a byte order mark, LF line ends."""
    values = "\t".join(_value(metadata, key, local=False) for key in _HEADER2_KEYS)
    text = "3\nmain\n" + "\t".join(_HEADER2_KEYS) + f"\n{values}\n\n" + _HEADER2_REST
    return b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass")


def build_header(metadata: ImageMetadata) -> bytes:
    """Return the uncompressed ``header`` text: Windows-1252, CR LF; times as they stand on the clock at that place.

    That is the wall time of the offset in the RFC 3339 text; the field itself cannot tell an offset.
    """
    values = "\t".join(_value(metadata, key, local=True) for key in _HEADER_KEYS)
    text = "1\r\nmain\r\n" + "\t".join(_HEADER_KEYS) + f"\r\n{values}\r\n\r\n"
    return text.encode("cp1252", "replace")


def build_xhash(digests: DigestSet) -> bytes:
    """Return the uncompressed text of an ``xhash`` section (libewf only): XML with a byte order mark."""
    names = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256"}
    rows = (
        f"\t<{names[algorithm.value]}>{text}</{names[algorithm.value]}>\n"
        for algorithm, text in digests.items()
        if algorithm.value in names
    )
    body = '<?xml version="1.0" encoding="UTF-8"?>\n<xhash>\n' + "".join(rows) + "</xhash>\n\n"
    return b"\xef\xbb\xbf" + body.encode()


def truncation_findings(metadata: ImageMetadata) -> tuple[Finding, ...]:
    """Say which fields do not fit the limits of the format and are cut in the image (not in the record)."""
    return tuple(
        Finding(
            severity=Severity.INFO,
            cause=Cause.NOTE,
            code="ewf.header.truncated",
            message=f"the E01 header has room for {limit} characters of {name}; the record holds all of it",
            where=name,
            expected=str(limit),
            found=str(len(text)),
        )
        for name in _FIELDS.values()
        if len(text := _one_line(getattr(metadata, name))) > (limit := _LIMITS.get(name, _FREE_TEXT_LIMIT))
    )


def inflate_text(body: bytes | memoryview) -> bytes:
    """Inflate a header section; ``ImageFormatError`` where it is no zlib stream, torn, or inflates beyond reason."""
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(body, MAX_HEADER_TEXT)
    except zlib.error as error:
        raise ImageFormatError(f"the header does not inflate: {error}") from error
    if not inflater.eof:
        raise ImageFormatError("the header is torn, or inflates to more than any header holds")
    return text


def parse_header2(text: bytes) -> ImageMetadata:
    """Read an uncompressed ``header2`` (UTF-16 with or without byte order mark); invalid units become U+FFFD."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _parse(text.decode("utf-16", "replace"))
    return _parse(text.decode("utf-16-le", "replace"))


def parse_header(text: bytes, codepage: str = "cp1252") -> ImageMetadata:
    """Read an uncompressed ``header``; bytes outside ``codepage`` become U+FFFD."""
    return _parse(text.decode(codepage, "replace"))


def merge_metadata(first: ImageMetadata, second: ImageMetadata) -> ImageMetadata:
    """Return ``first`` with what it does not have taken from ``second``."""
    names = [*_FIELDS.values(), *_TIMES.values()]
    merged = {name: getattr(first, name) or getattr(second, name) for name in names}
    return ImageMetadata(**merged, other={**second.other, **first.other})


def _value(metadata: ImageMetadata, key: str, *, local: bool) -> str:
    if key in _TIMES:
        moment = getattr(metadata, _TIMES[key])
        return _time_text(moment, local=local) if moment else ""
    if key == "p":
        return "0"
    if key not in _FIELDS:
        return _one_line(metadata.other.get(key, ""))
    name = _FIELDS[key]
    return _one_line(getattr(metadata, name))[: _LIMITS.get(name, _FREE_TEXT_LIMIT)]


def _one_line(text: str) -> str:
    """Replace what would end a value or a line, and NUL, by one space."""
    return _BREAKS.sub(" ", text).replace("\0", " ")


def _time_text(moment: str, *, local: bool) -> str:
    when = datetime.fromisoformat(moment)
    if local:
        return f"{when.year} {when.month} {when.day} {when.hour} {when.minute} {when.second}"
    if when.tzinfo is None:
        return ""  # read from a header without a zone; no second can be named, and header keeps the wall time
    return str(int((when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1))


def _parse(text: str) -> ImageMetadata:
    """Read keys and values behind the line ``main``; what has no keys gives empty metadata."""
    lines = re.split(r"\r\n|\n|\r", text)
    try:
        start = next(index for index, line in enumerate(lines) if line.strip("\0 ") == "main")
        keys, values = lines[start + 1].split("\t"), lines[start + 2].split("\t")
    except (StopIteration, IndexError):
        return ImageMetadata()
    found: dict[str, str] = {}
    other: dict[str, str] = {}
    for key, raw in zip(keys, values, strict=False):
        value = raw.rstrip("\0")
        if key in _FIELDS:
            found[_FIELDS[key]] = value
        elif key in _TIMES and (moment := _parse_time(value)):
            found[_TIMES[key]] = moment
        elif value:
            other[key] = value
    return ImageMetadata(**found, other=other)


def _parse_time(value: str) -> str | None:
    """Return RFC 3339 for POSIX seconds, the same without an offset for a local time; ``None`` for anything else."""
    try:
        if _DIGITS.fullmatch(value):
            return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        year, month, day, hour, minute, second = (int(part) for part in value.split())
        return datetime(year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 the header has no zone
    except (ValueError, OverflowError, OSError):
        return None
