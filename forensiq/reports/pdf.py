"""The report as PDF/A-3u, set by Typst, with the machine-readable report and its files attached.

Nothing of the report becomes Typst markup: the layout (``report.typ``) reads all words as JSON strings. A character
that none of the fonts at hand can draw would make the file no PDF/A (Typst refuses to write it), so it is shown as
``<U+0E44>`` and the report says so; the attached JSON has the exact text. Long words get places to break (zero-width
spaces) that belong to the layout only; digests break at line ends instead, so that they can be copied.

Fonts of the machine are used only where those inside Typst (Latin, Greek, Cyrillic, and what DejaVu Sans Mono has) do
not suffice. Without them the result is the same to the byte for the same report and version of Typst.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import typst
from msgspec import Struct

from forensiq.clock import parse_rfc3339
from forensiq.errors import ForensiqError
from forensiq.model.ledger import TransferRecord
from forensiq.model.report import AttachedFile, ReportPackage
from forensiq.reports.content import case_document, receipt_document
from forensiq.reports.document import Block, Cell, Document, Fields, Paragraph, Picture, Table
from forensiq.reports.embed import report_text
from forensiq.reports.verdict import Tone

__all__ = ["REPORT_NAME", "PdfResult", "render_pdf", "render_receipt", "typesetter"]

REPORT_NAME = "report.json"
"""Name of the attachment that holds the report itself."""

_ROUNDS = 6
_LONG, _LONG_IN_TABLE = re.compile(r"\S{33,}"), re.compile(r"\S{15,}")
_BREAKS, _BREAKS_IN_TABLE = (re.compile(rf"(?<=[/._\-@:,=])|(?<=\S{{{length}}})(?=\S)") for length in (24, 13))
_REFUSED = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_HEX = re.compile(r"[0-9a-f]+")
_BARS = {Tone.GOOD: 4, Tone.ATTENTION: 9, Tone.BAD: 16}


class PdfResult(Struct, frozen=True):
    """A PDF, the characters that no font at hand could draw, and whether fonts of this machine were needed.

    Without them the result depends on the report and the version of Typst alone.
    """

    data: bytes
    not_drawn: tuple[str, ...]
    machine_fonts: bool


def typesetter() -> str:
    """Return what sets the PDF: version of Typst, and which layout (the first digits of its SHA-256)."""
    return f"{version('typst')}, layout {hashlib.sha256(_layout()).hexdigest()[:16]}"


def _layout() -> bytes:
    return resources.files("forensiq.reports").joinpath("report.typ").read_bytes()


def render_pdf(package: ReportPackage) -> PdfResult:
    """Return the report as PDF/A-3u, not signed."""
    report = AttachedFile(
        REPORT_NAME, "application/json", "the report as data", report_text(package.report).encode("ascii")
    )
    return _compile(case_document(package.report), (report, *package.attachments), package.report.made)


def render_receipt(record: TransferRecord, attachments: tuple[AttachedFile, ...] = ()) -> PdfResult:
    """Return the receipt of a hand-over as PDF/A-3u, not signed."""
    return _compile(receipt_document(record), attachments, record.received or record.released)


def _compile(document: Document, attachments: tuple[AttachedFile, ...], made: str) -> PdfResult:
    try:
        moment = int(parse_rfc3339(made).timestamp())
    except ValueError:
        moment = 0
    missing: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="forensiq-") as folder:
        root = Path(folder)
        (root / "report.typ").write_bytes(_layout())
        listed = []
        for number, each in enumerate(attachments):
            (root / f"attachment-{number}").write_bytes(each.data)
            listed.append(
                {
                    "name": each.name,
                    "file": f"attachment-{number}",
                    "media_type": each.media_type,
                    "description": each.description,
                    "relationship": "data" if each.name == REPORT_NAME else "source",
                }
            )
        machine_fonts = False
        for _ in range(_ROUNDS):
            data = _data(document, missing, attached=bool(attachments)) | {"attachments": listed}
            (root / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
            try:
                result = typst.compile(
                    str(root / "report.typ"),
                    root=str(root),
                    ignore_system_fonts=not machine_fonts,
                    pdf_standards=["a-3u"],
                    timestamp=moment,
                )
            except typst.TypstError as error:
                found = _not_drawn(error.diagnostic) - missing
                if not found:
                    raise ForensiqError(f"the PDF could not be set: {error.message}") from error
                if machine_fonts:
                    missing |= found
                machine_fonts = True
                continue
            return PdfResult(result, tuple(sorted(missing)), machine_fonts)
    raise ForensiqError("the PDF could not be set: no font for too many characters", not_drawn=sorted(missing)[:50])


def _not_drawn(diagnostic: str) -> set[str]:
    found: set[str] = set()
    for quoted in _REFUSED.findall(diagnostic):
        words = re.sub(r"\\u\{([0-9a-f]{1,6})\}", lambda match: chr(int(match[1], 16)), quoted)
        words = words.replace('\\"', '"').replace("\\'", "'").replace("\\\\", "\\")
        # A cluster fails as a whole; plain letters in it can be drawn alone.
        found |= {character for character in words if not character.isascii()}
    return found


def _data(document: Document, missing: set[str], *, attached: bool) -> dict[str, object]:
    shown = {ord(character): f"<U+{ord(character):04X}>" for character in missing}
    remark = ""
    if missing:
        listed = ", ".join(f"U+{ord(character):04X}" for character in sorted(missing)[:40])
        exact = (
            f"the attached {REPORT_NAME} has them" if attached else "the signed statement (.json) beside it has them"
        )
        remark = (
            f"No font on the machine that made this report can draw these characters: {listed}"
            f"{' …' if len(missing) > 40 else ''}. They stand as <U+…> here; {exact}."
        )

    def plain(words: str) -> str:
        return _breakable(words.translate(shown))

    return {
        "title": plain(document.title),
        "subtitle": plain(document.subtitle),
        "notice": plain(document.notice),
        "headline": plain(document.headline),
        "sentence": plain(document.sentence),
        "bar": _BARS[document.tone],
        "running": plain(document.running),
        "made": plain(document.made),
        "fonts": [],
        "fonts_missing": remark,
        "summary": [_block(block, shown) for block in document.summary],
        "sections": [
            {"title": plain(each.title), "level": each.level, "blocks": [_block(block, shown) for block in each.blocks]}
            for each in document.sections
        ],
    }


def _block(block: Block, shown: Mapping[int, str]) -> dict[str, object]:
    narrow = isinstance(block, Table)

    def plain(words: str) -> str:
        return _breakable(words.translate(shown), narrow=narrow)

    def cell(each: Cell) -> dict[str, str]:
        return {"text": plain(each.text), "kind": each.kind.value}

    match block:
        case Paragraph():
            return {"type": "paragraph", "text": plain(block.text), "strong": block.strong}
        case Fields():
            rows = [{"label": plain(row.label), "values": [cell(each) for each in row.values]} for row in block.rows]
            return {"type": "fields", "rows": rows}
        case Table():
            return {
                "type": "table",
                "columns": [plain(each) for each in block.columns],
                "widths": list(block.widths),
                "rows": [[cell(each) for each in row] for row in block.rows],
                "remark": plain(block.remark),
            }
        case Picture():
            return {
                "type": "picture",
                "svg": block.svg,
                "alternative": plain(block.alternative),
                "caption": plain(block.caption),
            }


def _breakable(words: str, *, narrow: bool = False) -> str:
    digits, breaks = (32, _BREAKS_IN_TABLE) if narrow else (64, _BREAKS)

    def broken(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) >= digits and _HEX.fullmatch(word):
            # A digest keeps its digits alone, so that it can be copied from the page; it breaks into lines.
            return "\n".join(word[start : start + digits] for start in range(0, len(word), digits))
        return breaks.sub("\u200b", word)

    return (_LONG_IN_TABLE if narrow else _LONG).sub(broken, words)
