"""The report as one web page: no script, nothing loaded from elsewhere, prints well, grey is enough.

The machine-readable report and the attached files are inside, in a block that a browser does not run
(``<script type="application/json">``) with ``<``, ``>`` and ``&`` as JSON escapes. A content security policy forbids
scripts and every connection, should a browser ever find something to run in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from forensiq.errors import RecordFormatError
from forensiq.model.report import ReportPackage
from forensiq.reports.content import case_document
from forensiq.reports.document import Block, Cell, Document, Fields, Kind, Paragraph, Picture, Section, Table
from forensiq.reports.embed import package_text

__all__ = ["embedded_json", "page_of", "render_html"]

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:11pt/1.45 "Libertinus Serif",Georgia,"Noto Serif",serif;color:#15191d;background:#fff;margin:0 auto;
max-width:62rem;padding:1.5rem}
h1{font-size:1.9rem;margin:.2rem 0}h2{font-size:1.35rem;margin:2.2rem 0 .6rem;border-bottom:2px solid #15191d}
h3{font-size:1.1rem;margin:1.6rem 0 .5rem}
.subtitle{font-size:1.1rem;color:#444}.running{color:#555;font-size:.85rem}
.verdict{border:2px solid #15191d;border-left-width:14px;padding:.7rem 1rem;margin:1rem 0}
.verdict b{display:block;font-size:1.25rem}.good{border-left-color:#bbb}.attention{border-left-color:#777}
.bad{border-left-color:#000;border-width:3px 3px 3px 18px}
.notice{border:3px double #000;padding:.5rem 1rem;font-weight:bold}
dl{display:grid;grid-template-columns:minmax(9rem,16rem) 1fr;gap:.15rem 1rem;margin:.6rem 0}
dt{color:#444}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.7rem 0;font-size:.88rem;table-layout:fixed}
th,td{border-bottom:1px solid #b5bcc2;padding:.25rem .4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{border-bottom:2px solid #15191d}
code{font-family:"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.82em;overflow-wrap:anywhere}
.missing{font-style:italic;color:#555}.strong{font-weight:bold}
figure{margin:1rem 0;break-inside:avoid}figure svg{max-width:100%;height:auto}figcaption{font-size:.88rem;color:#333}
nav ol{columns:2;font-size:.9rem}a{color:inherit}
@page{size:A4;margin:18mm 16mm}
@media print{body{max-width:none;padding:0;font-size:9.5pt}h2{break-after:avoid}h3{break-after:avoid}
tr{break-inside:avoid}thead{display:table-header-group}.first{break-after:page}}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_DATA = re.compile(r'<script type="application/json" id="forensiq-report">\n(.*?)</script>', re.DOTALL)


def render_html(package: ReportPackage) -> str:
    """Return the report as a web page, the same text for the same package."""
    document = case_document(package.report)
    return page_of(document, package_text(package))


def page_of(document: Document, data: str | None = None) -> str:
    """Return a document as a web page; ``data`` (JSON in ASCII) is put inside."""
    return "".join(_page(document, data))


def embedded_json(page: str) -> str:
    """Return the JSON inside a page that :func:`render_html` made; ``RecordFormatError`` where there is none."""
    found = _DATA.findall(page)
    if len(found) != 1:
        raise RecordFormatError("not a report of forensiq: no machine-readable report in this page")
    return str(found[0])


def _page(document: Document, data: str | None) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{escape(document.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f'<div class="first">\n<p class="running">{_isolated(document.running)} · made {escape(document.made)}</p>\n'
    if document.notice:
        yield f'<p class="notice">{escape(document.notice)}</p>\n'
    yield f"<h1>{_isolated(document.title)}</h1>\n"
    if document.subtitle:
        yield f'<p class="subtitle">{_isolated(document.subtitle)}</p>\n'
    tone = document.tone.value
    yield f'<div class="verdict {tone}"><b>{escape(document.headline)}</b>{escape(document.sentence)}</div>\n'
    yield from _blocks(document.summary)
    yield "</div>\n<nav><h2>Contents</h2>\n<ol>\n"
    for index, section in enumerate(document.sections):
        if section.level == 1:
            yield f'<li><a href="#part-{index}">{_isolated(section.title)}</a></li>\n'
    yield "</ol></nav>\n"
    for index, section in enumerate(document.sections):
        yield from _section(index, section)
    if data is not None:
        safe = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
        yield f'<script type="application/json" id="forensiq-report">\n{safe}</script>\n'
    yield "</body>\n</html>\n"


def _section(index: int, section: Section) -> Iterator[str]:
    tag = "h2" if section.level == 1 else "h3"
    yield f'<{tag} id="part-{index}">{_isolated(section.title)}</{tag}>\n'
    yield from _blocks(section.blocks)


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Paragraph():
                strong = ' class="strong"' if block.strong else ""
                yield f"<p{strong}>{escape(block.text)}</p>\n"
            case Fields():
                rows = "".join(
                    f"<dt>{escape(row.label)}</dt><dd>{'<br>'.join(_cell(cell) for cell in row.values)}</dd>\n"
                    for row in block.rows
                )
                yield f"<dl>\n{rows}</dl>\n"
            case Table():
                yield from _table(block)
            case Picture():
                yield f'<figure role="img" aria-label="{escape(block.alternative)}">{block.svg}'
                yield f"<figcaption>{escape(block.caption)}</figcaption></figure>\n"


def _table(block: Table) -> Iterator[str]:
    total = sum(block.widths)
    columns = "".join(f'<col style="width:{100 * width / total:.2f}%">' for width in block.widths)
    heads = "".join(f"<th>{escape(column)}</th>" for column in block.columns)
    yield f"<table><colgroup>{columns}</colgroup><thead><tr>{heads}</tr></thead><tbody>\n"
    for row in block.rows:
        yield f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>\n"
    yield "</tbody></table>\n"
    if block.remark:
        yield f"<p>{escape(block.remark)}</p>\n"


def _cell(cell: Cell) -> str:
    match cell.kind:
        case Kind.CODE:
            return f"<code>{_isolated(cell.text)}</code>"
        case Kind.MISSING:
            return f'<span class="missing">{_isolated(cell.text)}</span>'
        case Kind.TEXT:
            return _isolated(cell.text)


def _isolated(words: str) -> str:
    # Right-to-left names must not reorder what stands beside them.
    return escape(words) if words.isascii() else f'<bdi dir="auto">{escape(words)}</bdi>'
