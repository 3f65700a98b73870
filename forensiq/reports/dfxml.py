"""DFXML: acquisitions and their maps for other tools. Source: ``dfxml.xsd`` 1.1.0rc1 of the DFXML working group.

Each acquired image is a ``fileobject`` with its media size, digests, and one ``byte_run`` for each range of the map:
``type`` is the status, ``fill`` the byte that stands for what could not be read. The order of elements is the schema's.
XML has no place for control characters; text is written as everywhere for people (``<U+001B>``).
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from forensiq.model.records import AcquisitionRecord
from forensiq.model.report import AcquisitionReport, CaseReport
from forensiq.reports.phrases import command_line
from forensiq.reports.plain import visible

__all__ = ["render_dfxml"]

_NAMESPACE = "http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"
_HASHES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256"}  # any other is "other" in the schema's list
_FILLED = frozenset({"unreadable", "skipped", "not_tried"})


def render_dfxml(report: CaseReport) -> str:
    """Return the acquisitions of a case as DFXML."""
    return "".join(f"{line}\n" for line in _document(report))


def _document(report: CaseReport) -> Iterator[str]:
    acquired = [each for item in report.items for each in item.acquisitions]
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<dfxml xmlns="{_NAMESPACE}" xmlns:dc="http://purl.org/dc/elements/1.1/" version="1.1.0">'
    yield f"  <metadata><dc:type>{escape(_kind(report))}</dc:type></metadata>"
    yield from _creator(report)
    yield "  <source>"
    for each in acquired:
        yield f"    {_element('image_filename', each.record.source.path)}"
    yield "  </source>"
    for item in report.items:
        for volume in item.examination.volumes if item.examination else ():
            yield f'  <volume offset="{volume.offset}">'
            if volume.file_system:
                yield f"    {_element('ftype_str', volume.file_system)}"
            yield "  </volume>"
    for each in acquired:
        yield from _image(each)
    yield "</dfxml>"


def _kind(report: CaseReport) -> str:
    return "Disk Image (redacted copy of a report)" if report.redaction else "Disk Image"


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(visible(text))}</{name}>"


def _creator(report: CaseReport) -> Iterator[str]:
    tool = report.tool
    yield '  <creator version="1.0">'
    yield f"    {_element('program', tool.name)}"
    yield f"    {_element('version', tool.version)}"
    yield "    <build_environment>"
    for name, version in {"python": tool.python, **tool.libraries}.items():
        yield f"      <library name={quoteattr(visible(name))} version={quoteattr(visible(version))}/>"
    yield "    </build_environment>"
    yield "    <execution_environment>"
    yield f"      {_element('os_version', tool.operating_system)}"
    yield f"      {_element('host', tool.host)}"
    commands = [each.record.command for item in report.items for each in item.acquisitions]
    if commands:
        yield f"      <command_line>{escape(' ; '.join(command_line(words) for words in commands))}</command_line>"
    yield f"      {_element('username', tool.user)}"
    yield f"      {_element('start_time', report.made)}"
    yield "    </execution_environment>"
    yield "  </creator>"


def _image(acquired: AcquisitionReport) -> Iterator[str]:
    record = acquired.record
    if record.image is None:
        return
    yield "  <fileobject>"
    yield f"    {_element('filename', record.image.path)}"
    yield "    <name_type>r</name_type>"
    yield f"    <filesize>{record.image.media_size}</filesize>"
    yield "    <byte_runs>"
    yield from _runs(acquired, record)
    yield "    </byte_runs>"
    for algorithm, found in record.digests.items():
        yield f'    <hashdigest type="{_HASHES.get(algorithm.value, "other")}">{found}</hashdigest>'
    yield "  </fileobject>"


def _runs(acquired: AcquisitionReport, record: AcquisitionRecord) -> Iterator[str]:
    if acquired.medium is None:
        # Without the map, what is known are the ranges that could not be read.
        for lost in record.unreadable:
            start = lost.offset - record.range.offset
            yield f'      <byte_run img_offset="{start}" len="{lost.length}" type="unreadable" fill="0"/>'
        return
    for each in acquired.medium:
        fill = ' fill="0"' if each.status in _FILLED else ""
        kind = quoteattr(visible(each.status, 40))
        yield f'      <byte_run img_offset="{each.media.offset}" len="{each.media.length}" type={kind}{fill}/>'
