"""The log beside an image: the acquisition record for people.

What decides comes first (verdict, unreadable sectors, digests and what they cover, verification, write protection with
the limits of its evidence); everything else follows. A value that is missing is named with its reason. The text is
UTF-8 with at most 100 columns; nothing from evidence reaches it but through :func:`forensiq.reports.plain.visible`.
"""

from __future__ import annotations

from forensiq.model.digest import DigestSet
from forensiq.model.records import AcquisitionRecord, ImageFacts, ImpactFacts, VerificationRecord
from forensiq.model.source import SourceIdentity, SourceKind, WriteBlockState
from forensiq.reports.log_clone import clone_part
from forensiq.reports.log_parts import LISTED, damage, digest_rows, facts, findings, media_size, times, tool
from forensiq.reports.log_parts import verification as verification_part
from forensiq.reports.phrases import (
    NOT_RECORDED,
    algorithm,
    command_line,
    count,
    error_name,
    lba_range,
    share,
    size,
    unknown_or,
    value,
)
from forensiq.reports.plain import visible
from forensiq.reports.text_page import TextPage
from forensiq.reports.verdict import Tone, acquisition_verdict, unread_bytes, unreadable_sectors, verification_verdict

__all__ = ["render_log", "render_verification"]


def render_log(record: AcquisitionRecord) -> str:
    """Return the log of an acquisition as text."""
    page = TextPage()
    page.title("forensiq acquisition log")
    verdict = acquisition_verdict(record)
    page.paragraph(verdict.headline, 2)
    page.paragraph(verdict.sentence, 2)
    page.heading("What decides")
    _outcome(page, record)
    _unreadable(page, record)
    _digests(page, record)
    _verified(page, record.verification)
    _protection(page, record.write_block)
    page.heading("Case")
    _case(page, record)
    page.heading("Source")
    _source(page, record.source)
    if record.clone is not None:
        clone_part(page, record.clone)
    page.heading("Image" if record.clone is None else "What was written")
    _image(page, record.image)
    _more_files(page, record)
    page.heading("How it was done")
    _run(page, record)
    page.heading("Remarks")
    findings(page, "Findings", record.findings)
    page.field("Notes", *([visible(note, 2000) for note in record.notes] or ["none"]))
    page.blank()
    page.paragraph("This text repeats the acquisition record beside it; the record decides where the two differ.")
    return page.text()


def render_verification(record: VerificationRecord) -> str:
    """Return what a verification found as text for people."""
    page = TextPage()
    page.title("forensiq verification")
    verdict = verification_verdict(record)
    page.paragraph(verdict.headline, 2)
    page.paragraph(verdict.sentence, 2)
    page.heading("What decides")
    page.field("Image", value(record.image), f"{value(record.format)}, {media_size(record.size, record.sector_size)}")
    page.field("Compared with", value(record.reference))
    page.field("Scope", value(record.scope))
    verification_part(page, record)
    page.heading("Files")
    for each in record.segments[:LISTED]:
        page.field(str(each.number), f"{value(each.path)}, {count(each.size, 'byte')}, SHA-256:", value(each.sha256))
    if len(record.segments) > LISTED:
        page.field("", f"… and {len(record.segments) - LISTED:,} more; the record lists all")
    page.heading("How it was done")
    times(page, record.started, record.finished, record.elapsed_s, record.bytes_per_second)
    tool(page, record.tool)
    return page.text()


def _outcome(page: TextPage, record: AcquisitionRecord) -> None:
    page.field("Status", value(record.status))
    if record.failure:
        page.field("Failure", visible(record.failure, 2000))
    if record.summary:
        page.field("Summary", visible(record.summary, 2000))
    part = record.range
    if record.scope is not None:
        page.field("Scope", f"ONLY {visible(record.scope.request, 300)}: {size(record.scope.taken_bytes)} were taken")
    elif part.whole:
        page.field("Range", f"the whole source, {size(part.length)}")
    else:
        which = f"partition {part.partition}" if part.partition is not None else "a part of the source"
        page.field("Range", f"ONLY {which}: {count(part.length, 'byte')} from byte {part.offset:,} on")
        if part.statement:
            page.field("", visible(part.statement, 1000))


def _unreadable(page: TextPage, record: AcquisitionRecord) -> None:
    sectors = unreadable_sectors(record)
    if not record.unreadable:
        page.field("Unreadable", "no unreadable sector is recorded")
    else:
        length = sum(each.length for each in record.unreadable)
        page.field(
            "Unreadable",
            f"{count(sectors, 'sector')} in {count(len(record.unreadable), 'place')} "
            f"({length:,} bytes, {share(length, record.source.size)} of the source); "
            "the image holds fill there, no evidence",
        )
        page.table(
            (lba_range(each.first_lba, each.sectors), count(each.sectors, "sector"), error_name(each.errno))
            for each in record.unreadable[:LISTED]
        )
        if len(record.unreadable) > LISTED:
            page.field("", f"… and {len(record.unreadable) - LISTED:,} more places; record and map list all")
    if record.impact is not None:
        _affected(page, record.impact)
    if unread_bytes(record):
        page.field("Not tried", f"{size(unread_bytes(record))} were skipped or never tried")


def _affected(page: TextPage, impact: ImpactFacts) -> None:
    page.field("Errors", f"{count(impact.files_hit, 'file')} affected: {visible(impact.summary, 1000)}")
    page.table(
        (
            f"partition {each.partition}",
            f"{visible(each.path, 300)}, "
            + (f"{share(each.bytes, each.size)} of its content" if each.kind == "content" and each.size else each.kind),
        )
        for each in impact.files
    )
    if impact.files_not_listed:
        page.field("", f"… and {impact.files_not_listed:,} more; forensiq impact lists all")
    if impact.not_read:
        page.field("", f"{count(impact.not_read, 'place')} could not be looked into: there may be more")


def _digests(page: TextPage, record: AcquisitionRecord) -> None:
    if not record.digests:
        page.field("Digests", "none" if record.status.startswith("complete") else "none: the acquisition did not end")
        return
    page.field("Digests", visible(record.digest_coverage, 1000) if record.digest_coverage else _covers(record))
    page.table(digest_rows(record.digests))
    if record.padding_bytes:
        page.field("Padding", f"{count(record.padding_bytes, 'zero byte')} fill the last sector of the image")
    if record.source_digests is not None:
        page.field("", "of the source without padding:")
        page.table(digest_rows(record.source_digests or DigestSet()))


def _covers(record: AcquisitionRecord) -> str:
    fill = f", with {count(unreadable_sectors(record), 'unreadable sector')} filled" if record.unreadable else ""
    return f"of the media bytes as they are stored{fill}"


def _verified(page: TextPage, record: VerificationRecord | None) -> None:
    if record is None:
        page.field("Verified", "no: the image was not verified by reading it back")
        return
    verdict = verification_verdict(record)
    page.field("Verified", verdict.sentence if verdict.tone is Tone.GOOD else f"{verdict.headline}. {verdict.sentence}")
    damage(page, record)
    for each in record.structure[:LISTED]:
        page.field("", f"{each.severity.value}: {visible(each.message, 600)}")


def _protection(page: TextPage, state: WriteBlockState) -> None:
    flag = {True: "set", False: "NOT SET", None: "could not be read"}
    if state.method == "kernel_read_only_flag":
        page.field(
            "Protected",
            f"kernel read-only flag: before {flag[state.kernel_read_only_before]}, "
            f"during {flag[state.kernel_read_only_during]}, after {flag[state.kernel_read_only_after]}; "
            f"looked at {count(state.checks, 'time')}",
        )
    elif state.method == "open_read_only":
        page.field("Protected", "the file was opened for reading only")
    elif state.method == "none":
        page.field("Protected", "NO software write protection")
    else:
        page.field("Protected", value(state.method))
    for each in state.flips:
        page.field("", f"THE FLAG CHANGED: {visible(each, 300)}")
    if state.before is not None and state.after is not None:
        counted = "NO kernel writes or discards were counted" if not state.writes_counted else "WRITES WERE COUNTED"
        page.field("Counters", f"{counted.replace('NO ', 'no ')} from {state.before.at} to {state.after.at}")
        page.table(
            (name, f"before {value(old)}, after {value(new)}")
            for name, old, new in (
                ("writes", state.before.writes, state.after.writes),
                ("sectors written", state.before.sectors_written, state.after.sectors_written),
                ("discards", state.before.discards, state.after.discards),
                ("sectors discarded", state.before.sectors_discarded, state.after.sectors_discarded),
            )
        )
    elif state.method == "kernel_read_only_flag":
        page.field("Counters", "the kernel's write counters could not be observed")
    if state.file_before is not None:
        old, new = state.file_before, state.file_after
        page.field("File", f"before: mode {old.mode}, modified {old.modified}, read {old.accessed}")
        page.field(
            "",
            f"after: mode {new.mode}, modified {new.modified}, read {new.accessed}" if new else "after: not recorded",
        )
        writers = "could not be determined" if old.writers is None else ", ".join(map(visible, old.writers)) or "nobody"
        page.field("", f"open for writing elsewhere: {writers}")
    page.field("Blocker", value(state.external_blocker) if state.external_blocker else "no external one recorded")
    if state.devices:
        page.field("Devices", ", ".join(visible(each, 200) for each in state.devices))
    if state.restored:
        page.field("", "the flag was put back as it was, on request")
    if state.statement:
        page.field("Statement", visible(state.statement, 1000))
    page.field("Limits", *([visible(limit, 1000) for limit in state.limits] or [NOT_RECORDED]))


def _case(page: TextPage, record: AcquisitionRecord) -> None:
    data = record.metadata
    for label, text in (
        ("Case number", data.case_number),
        ("Evidence", data.evidence_number),
        ("Examiner", data.examiner),
        ("Description", data.description),
        ("Notes", data.notes),
    ):
        page.field(label, visible(text, 4000) if text else "not given")


def _source(page: TextPage, source: SourceIdentity) -> None:
    page.field("Path", value(source.path), source.kind.value.replace("_", " "))
    page.field("Size", media_size(source.size, source.sector_size))
    if source.kind is SourceKind.IMAGE:
        page.field("", "the source is an image, not a drive")
    for label, name in (
        ("Model", "model"),
        ("Serial", "serial"),
        ("Firmware", "firmware"),
        ("WWN", "wwn"),
        ("Vendor", "vendor"),
        ("Bus", "bus"),
        ("USB id", "usb_id"),
        ("Phys. sector", "physical_sector_size"),
        ("Removable", "removable"),
        ("Rotational", "rotational"),
        ("TRIM", "trim"),
        ("Device number", "device_number"),
        ("Timeout (s)", "kernel_timeout_s"),
    ):
        page.field(label, value(getattr(source, name), name, source.unavailable))
    if source.trim:
        page.field("", "the drive supports TRIM: a second read of it may differ without anybody having written to it")


def _image(page: TextPage, image: ImageFacts | None) -> None:
    if image is None:
        page.field("Image", "none: no finished image exists")
        return
    page.field("Format", value(image.format))
    page.field("Path", value(image.path))
    page.field("Compression", value(image.compression))
    page.field("Chunk", size(image.chunk_size) if image.chunk_size else "not applicable")
    page.field("Segment size", size(image.segment_size) if image.segment_size else "not split")
    page.field("Set id", value(image.set_identifier, "set", {"set": "not applicable"}))
    page.field("Files", count(len(image.segments), "file"))
    for each in image.segments[:LISTED]:
        page.field("", f"{value(each.path)}, {count(each.size, 'byte')}, SHA-256:", value(each.sha256))
    if len(image.segments) > LISTED:
        page.field("", f"… and {len(image.segments) - LISTED:,} more; the record lists all")


def _more_files(page: TextPage, record: AcquisitionRecord) -> None:
    page.field("Map", value(record.map.path), f"SHA-256 {value(record.map.sha256)}")
    page.table((name.replace("_", " "), size(number)) for name, number in record.map.bytes_by_status.items())
    blocks = record.block_digests
    if blocks is None:
        page.field("Block digests", "none")
    else:
        page.field(
            "Block digests",
            f"{value(blocks.path)}: {count(blocks.blocks, 'block')} of {size(blocks.block_size)}",
            f"{algorithm(blocks.algorithm)} of the list: {value(blocks.root)}",
        )
    for number, copy in enumerate(record.copies, 2):
        state = f"FAILED: {visible(copy.failure, 600)}" if copy.failure else "written"
        page.field(f"Copy {number}", state, value(copy.image.path) if copy.image else "no image")
        if copy.verification:
            page.field("", verification_verdict(copy.verification).sentence)


def _run(page: TextPage, record: AcquisitionRecord) -> None:
    times(page, record.started, record.finished, record.elapsed_s, record.bytes_per_second)
    page.field("Command", command_line(record.command) or NOT_RECORDED)
    clock = record.clock
    offset = NOT_RECORDED if clock.offset_s is None else f"{clock.offset_s:+.3f} s against the reference"
    page.field("Clock", f"offset: {offset}; synchronised: {unknown_or(clock.synchronized)}", value(clock.method))
    page.field("Local time", f"UTC{value(clock.local_utc_offset)}")
    target = record.destination
    page.field(
        "Destination",
        value(target.path),
        f"file system {value(target.filesystem)}, device {value(target.device)}",
        f"held nothing before: {unknown_or(target.blank)}",
        f"free before: {size(target.free_before) if target.free_before is not None else NOT_RECORDED}; "
        f"worst case: {size(target.worst_case) if target.worst_case is not None else NOT_RECORDED}",
    )
    page.field("Sittings", f"{record.sittings:,}")
    for each in record.interruptions[:LISTED]:
        page.field("Interrupted", f"{value(each.at)} at byte {each.offset:,}: {visible(each.reason, 600)}")
    for label, mapping in (
        ("Reading", record.reading),
        ("Statistics", record.statistics),
        ("Preflight", record.preflight),
        ("Derived from", dict(record.derived_from)),
    ):
        if mapping:
            page.field(label, "")
            facts(page, mapping)
    tool(page, record.tool)
