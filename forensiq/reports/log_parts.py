"""Passages that the acquisition log and the verification log share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forensiq.model.digest import DigestSet
from forensiq.model.finding import Finding
from forensiq.model.records import ToolFacts, VerificationRecord
from forensiq.reports.phrases import NOT_RECORDED, algorithm, count, duration, humanise, lba_range, rate, size, value
from forensiq.reports.plain import visible
from forensiq.reports.text_page import TextPage

__all__ = ["LISTED", "damage", "digest_rows", "facts", "findings", "media_size", "times", "tool", "verification"]

LISTED = 500
"""So many ranges or findings are listed; the record holds all of them."""


def digest_rows(digests: DigestSet) -> list[tuple[str, str]]:
    """Return (name, hexadecimal) of every digest."""
    return [(algorithm(name.value), text) for name, text in digests.items()]


def facts(page: TextPage, mapping: Mapping[str, str | int | float | bool | None]) -> None:
    """Write a mapping, one line for each key."""
    page.table((humanise(key), value(item)) for key, item in mapping.items())


def findings(page: TextPage, label: str, items: Sequence[Finding]) -> None:
    """Write findings, most severe wording as they came."""
    lines = []
    for each in items[:LISTED]:
        text = f"{each.severity.value}: {visible(each.message, 600)} [{visible(each.code, 80)}]"
        if each.where:
            text += f" at {visible(each.where, 200)}"
        if each.expected is not None or each.found is not None:
            text += f"; expected {value(each.expected)}, found {value(each.found)}"
        if each.segment:
            text += f"; file {visible(each.segment, 300)}"
        lines.append(text)
    page.field(label, *(lines or ["none"]))
    if len(items) > LISTED:
        page.field("", f"… and {len(items) - LISTED:,} more; the record lists all")


def damage(page: TextPage, record: VerificationRecord) -> None:
    """Write which ranges of the medium are damaged."""
    if not record.damage:
        return
    total = sum(each.sectors for each in record.damage)
    page.field("Damage", f"{count(total, 'sector')} in {count(len(record.damage), 'place')}")
    page.table(
        (
            lba_range(each.first_lba, each.sectors),
            count(each.sectors, "sector"),
            visible(each.segment, 200) if each.segment else "file not known",
            visible(each.reason, 300),
        )
        for each in record.damage[:LISTED]
    )
    if len(record.damage) > LISTED:
        page.field("", f"… and {len(record.damage) - LISTED:,} more; the record lists all")


def verification(page: TextPage, record: VerificationRecord) -> None:
    """Write digests compared, damage, files compared and the second opinion."""
    for name, each in record.digests.items():
        state = {True: "agrees", False: "DIFFERS", None: "nothing to compare with"}[each.match]
        page.field(algorithm(name), state)
        page.table(
            (label, visible(text, 200) if text else NOT_RECORDED)
            for label, text in (("computed", each.computed), ("in the image", each.stored), ("record", each.record))
        )
    damage(page, record)
    findings(page, "Structure", record.structure)
    if record.second_opinion is None:
        page.field("Second reader", "not asked")
    else:
        page.field("Second reader")
        page.table((humanise(key), value(item)) for key, item in record.second_opinion.items())
    if record.details:
        page.field("Details")
        facts(page, record.details)


def times(page: TextPage, started: str, finished: str, elapsed_s: float, bytes_per_second: float) -> None:
    """Write when and how fast."""
    page.field("Started", value(started))
    page.field("Finished", value(finished))
    page.field("Took", f"{duration(elapsed_s)}, {rate(bytes_per_second)} on average")


def tool(page: TextPage, used: ToolFacts | None) -> None:
    """Write which program did it."""
    if used is None:
        page.field("Program", NOT_RECORDED)
        return
    page.field("Program", f"{value(used.name)} {value(used.version)}", f"code SHA-256 {value(used.code_sha256)}")
    page.field("Machine", f"{value(used.host)}, user {value(used.user)}", value(used.operating_system))
    page.field("Python", value(used.python))
    page.field("Libraries", ", ".join(f"{value(k)} {value(v)}" for k, v in used.libraries.items()) or NOT_RECORDED)


def media_size(number: int, sector_size: int) -> str:
    """Return a size in bytes and in sectors."""
    return f"{size(number)}; {count(-(-number // sector_size) if sector_size else 0, 'sector')} of {sector_size} bytes"
