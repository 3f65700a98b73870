"""How an item was acquired: the act, its pictures, the write protection, what could not be read."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.records import AcquisitionRecord
from forensiq.model.report import AcquisitionReport
from forensiq.reports.document import Block, Cell, Kind, Paragraph
from forensiq.reports.phrases import (
    NOT_RECORDED,
    command_line,
    count,
    duration,
    error_name,
    lba_range,
    rate,
    share,
    size,
    unknown_or,
    value,
)
from forensiq.reports.pictures import medium_map, read_rate, shares
from forensiq.reports.pieces import (
    code,
    field,
    fields,
    finding_blocks,
    given,
    mapping_fields,
    missing,
    moment,
    table,
    text,
)
from forensiq.reports.plain import visible
from forensiq.reports.verdict import acquisition_verdict, unread_bytes, unreadable_sectors

__all__ = ["acquisition_blocks", "picture_blocks", "protection_blocks", "unreadable_blocks"]

_FLAG = {True: "set", False: "not set", None: "could not be read"}


def acquisition_blocks(record: AcquisitionRecord) -> Iterator[Block]:
    """Yield how it was done, with which program, and what was remarked."""
    verdict = acquisition_verdict(record)
    yield Paragraph(f"{verdict.headline}. {verdict.sentence}", strong=True)
    part = record.range
    what = "the whole source" if part.whole else f"ONLY {part.length:,} bytes from byte {part.offset:,} on"
    if record.scope is not None:
        asked = visible(record.scope.request, 200)
        what = f"ONLY what the scope asked for ({asked}): {share(record.scope.taken_bytes, part.length)} of the medium"
    image, target, clock = record.image, record.destination, record.clock
    rows = [
        field("Acquired", text(what), *([text(part.statement)] if part.statement else [])),
        field("Started", moment(record.started)),
        field("Finished", moment(record.finished), text(f"after {duration(record.elapsed_s)}")),
        field("Average rate", text(rate(record.bytes_per_second))),
        field("Local time", text(f"UTC{value(clock.local_utc_offset)}")),
        field(
            "Clock of the machine",
            text(f"{clock.offset_s:+.3f} s against the reference") if clock.offset_s is not None else missing(),
            text(f"synchronised: {unknown_or(clock.synchronized)}"),
            *([text(clock.method)] if clock.method else []),
        ),
        field("Command", Cell(command_line(record.command), Kind.CODE) if record.command else missing()),
        field("Sittings", text(record.sittings)),
        *(
            field("Interrupted", text(f"{value(each.at)} at byte {each.offset:,}: {visible(each.reason, 600)}"))
            for each in record.interruptions
        ),
        *([field("Failure", text(record.failure))] if record.failure else []),
    ]
    if image is not None:
        rows += [
            field("Format", text(image.format), given(image.compression, "compression not recorded")),
            field("Chunk", text(size(image.chunk_size)) if image.chunk_size else missing("not applicable")),
            field("Segment size", text(size(image.segment_size)) if image.segment_size else missing("not split")),
            field("Image", code(image.path), text(count(len(image.segments), "file"))),
        ]
    else:
        rows.append(field("Image", missing("no finished image exists")))
    rows += [
        field("Destination", code(target.path), given(target.filesystem, "file system not recorded")),
        field("Destination folder held nothing before", text(unknown_or(target.blank))),
        *(
            field(
                "Second copy", code(each.image.path) if each.image else missing("no image"), _copy_state(each.failure)
            )
            for each in record.copies
        ),
        *(
            [field("Made from", text("; ".join(f"{k}: {v}" for k, v in record.derived_from.items())))]
            if record.derived_from
            else []
        ),
        *(field("Operator's note", text(note, 4000)) for note in record.notes),
    ]
    yield fields(rows)
    tool = record.tool
    yield fields(
        (
            field("Program", text(f"{tool.name} {tool.version}"), code(tool.code_sha256), text("digest of its code")),
            field("Machine", text(tool.host), text(tool.operating_system)),
            field("User", text(tool.user)),
            field("Python", text(tool.python)),
            field(
                "Libraries",
                text(", ".join(f"{k} {v}" for k, v in tool.libraries.items())) if tool.libraries else missing(),
            ),
        )
    )
    if record.reading:
        yield mapping_fields({f"Reading: {key}": item for key, item in record.reading.items()})
    yield from finding_blocks(record.findings, "The acquisition left no findings.")


def _copy_state(failure: str | None) -> Cell:
    return text(f"FAILED: {failure}") if failure else text("written")


def picture_blocks(each: AcquisitionReport) -> Iterator[Block]:
    """Yield the pictures of one acquisition, or why there are none."""
    record = each.record
    length = record.range.length
    unreadable = sum(one.length for one in record.unreadable)
    zeros = record.statistics.get("zero_bytes")
    drawn = [
        medium_map(each.medium, length, unreadable_sectors(record)) if each.medium and length else None,
        # Shares of a medium of which a part was left out would call that part data.
        shares(length, zeros if type(zeros) is int else None, unreadable, unread_bytes(record))
        if record.scope is None
        else None,
        read_rate(record.rates, length),
    ]
    yield from (picture for picture in drawn if picture is not None)
    if drawn[0] is None:
        yield Paragraph(f"Map of the medium: not drawn ({visible(each.medium_missing or NOT_RECORDED, 300)}).")
    if drawn[2] is None:
        yield Paragraph("Read rate over the medium: not recorded.")


def protection_blocks(record: AcquisitionRecord) -> Iterator[Block]:
    """Yield the evidence of write protection, with its limits."""
    state = record.write_block
    rows = [
        field("Method", text(state.method.replace("_", " "))),
        field("External write blocker", given(state.external_blocker, "none recorded")),
    ]
    if state.method != "open_read_only":
        rows += [
            field("Kernel flag before", text(_FLAG[state.kernel_read_only_before])),
            field("Kernel flag during", text(_FLAG[state.kernel_read_only_during])),
            field("Kernel flag after", text(_FLAG[state.kernel_read_only_after])),
            field("Looked at", text(count(state.checks, "time"))),
            *(field("THE FLAG CHANGED", text(flip)) for flip in state.flips),
        ]
    if state.before is not None and state.after is not None:
        counted = (
            "WRITES OR DISCARDS WERE COUNTED" if state.writes_counted else "no kernel writes or discards were counted"
        )
        rows.append(field("Kernel counters", text(f"{counted} from {state.before.at} to {state.after.at}")))
    elif state.method != "open_read_only":
        rows.append(field("Kernel counters", missing("could not be observed")))
    if state.file_before is not None:
        for label, times in (("File before", state.file_before), ("File after", state.file_after)):
            rows.append(
                field(label, text(f"mode {times.mode}; modified {times.modified}; read {times.accessed}"))
                if times
                else field(label, missing())
            )
    rows += [
        field("Statement", given(state.statement, NOT_RECORDED)),
        field("Limits of this evidence", *(text(limit) for limit in state.limits)),
    ]
    yield fields(rows)


def unreadable_blocks(record: AcquisitionRecord) -> Iterator[Block]:
    """Yield what could not be read, and what that means."""
    sectors = unreadable_sectors(record)
    if not record.unreadable and not unread_bytes(record):
        yield Paragraph("No unreadable sector is recorded.")
        return
    length = sum(each.length for each in record.unreadable)
    yield Paragraph(
        f"{count(sectors, 'sector')} in {count(len(record.unreadable), 'place')} could not be read: {size(length)}, "
        f"{share(length, record.source.size)} of the source. The image holds fill in their place. Whatever stood "
        "there is not known; no conclusion may rest on these places being empty.",
        strong=True,
    )
    if unread_bytes(record):
        yield Paragraph(f"{size(unread_bytes(record))} were skipped or never tried.", strong=True)
    rows = [
        (
            text(lba_range(each.first_lba, each.sectors)),
            text(count(each.sectors, "sector")),
            text(f"{each.offset:,}"),
            text(f"{each.length:,}"),
            text(error_name(each.errno)),
        )
        for each in record.unreadable
    ]
    if rows:
        yield table(("Place", "Sectors", "Offset (bytes)", "Length (bytes)", "Error"), (7, 3, 4, 3, 3), rows)
