"""What a person sees of an acquisition: before the first byte, and at the end; what decides comes first."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from forensiq.cli.run import Run
from forensiq.cli.text import count, duration, number, printable, rate, size, visible
from forensiq.errors import ExitCode
from forensiq.model.digest import algorithm_name
from forensiq.model.finding import Severity
from forensiq.model.preflight import CheckVerdict
from forensiq.model.records import AcquisitionRecord, CloneFacts, CopyFacts, ImageFacts
from forensiq.model.source import SourceIdentity, SourceKind, WriteBlockState
from forensiq.procedures.acquire_job import PlanFacts

__all__ = ["show_end", "show_plan", "show_start"]

_SHOWN_RANGES = 5


def _facts(run: Run, rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(f"  {name}", Text(printable(text)))
    run.print(table)


def _source(identity: SourceIdentity) -> str:
    parts = [visible(identity.path)]
    parts += [visible(each) for each in (identity.model, identity.serial) if each]
    sectors = -(-identity.size // identity.sector_size)
    parts.append(f"{size(identity.size)} ({number(sectors)} sectors of {identity.sector_size} bytes)")
    if identity.bus:
        parts.append(identity.bus)
    return " · ".join(parts)


def _protected(state: WriteBlockState) -> str:
    if state.method == "kernel_read_only_flag":
        words = "kernel read-only flag set and read back · not mounted · no holders"
        if state.writes_before is not None:
            words += f" · {count(state.writes_before, 'write')} counted by the kernel before"
        return words
    if state.method == "open_read_only":
        return "file opened read-only; its mode and times are compared at the end"
    return "NOT PROTECTED: the kernel's read-only flag could not be set (--allow-writable)"


_FORMAT_NAMES = {"delta": "QCOW2 over the earlier image", "e01": "EnCase 6 (E01)", "raw": "raw"}


def _plan_rows(plan: PlanFacts) -> list[tuple[str, str]]:
    rows = [("Source", _source(plan.source))]
    if plan.scope is not None:
        rows.append(("Scope", plan.scope.statement))
    elif not plan.range.whole:
        rows.append(("Part", plan.range.statement))
    stream = plan.source.kind is SourceKind.STREAM
    rows.append(("Protected", "nothing is known: a stream" if stream else _protected(plan.write_block)))
    health = plan.preflight.health
    if health is not None:
        rows.append(("Hidden", f"HPA: {health.hpa.detail} · DCO: {health.dco.detail}"))
    rows += [("Note", check.message) for check in plan.preflight.checks if check.verdict is CheckVerdict.WARNING]
    if plan.clone is not None:
        return rows + _clone_rows(plan, plan.clone)
    known = plan.destination.free_before
    room = f"worst case {size(plan.worst_case)}" + (f" of {size(known)} free" if known is not None else "")
    kind = _FORMAT_NAMES.get(plan.format, plan.format) + (f", {plan.compression}" if plan.format == "e01" else "")
    files = "1 file" if plan.segments == 1 else f"up to {count(plan.segments, 'file')}"
    rows.append(("To", f"{visible(plan.stems[0])} · {kind} · {files} · {room}"))
    rows += [("Also to", visible(stem)) for stem in plan.stems[1:]]
    rows.append(("Digests", _digest_names(plan)))
    return rows


def _digest_names(plan: PlanFacts) -> str:
    return ", ".join(algorithm_name(name) for name in plan.algorithms)


def _clone_rows(plan: PlanFacts, clone: CloneFacts) -> list[tuple[str, str]]:
    words = [clone.target, *(each for each in (clone.model, clone.serial) if each)]
    words.append(size(clone.size) if clone.kind != "new file" else "a new file")
    rows = [("To", " · ".join(visible(each) for each in words))]
    rows.append(("Before", f"holds data, to be overwritten: {clone.held_data}" if clone.held_data else "no data seen"))
    if clone.truncated:
        rows.append(("TRUNCATED", f"the last {size(clone.truncated)} of the source have no room"))
    if clone.excess is not None:
        done = "stay as they are" if clone.excess.mode == "keep" else "are filled with zeros"
        rows.append(("Behind it", f"{size(clone.excess.length)} of the target {done}"))
    rows += [("Record", f"{visible(plan.stems[0])}.record.json"), ("Digests", _digest_names(plan))]
    return rows


def show_start(run: Run, plan: PlanFacts) -> None:
    """Say what is about to be done, before the first byte is read."""
    run.print()
    _facts(run, _plan_rows(plan))
    run.print()


def show_plan(run: Run, plan: PlanFacts) -> None:
    """Show what a dry run found out."""
    run.print("Dry run: nothing was written. This is what would be done:")
    show_start(run, plan)


def _headline(record: AcquisitionRecord) -> tuple[str, str]:
    sectors = sum(each.sectors for each in record.unreadable)
    unverified = "" if record.verification is not None or record.failure is None else ", NOT VERIFIED"
    partial = f", PARTIAL BY SCOPE ({100 * record.scope.share:.1f} %)" if record.scope is not None else ""
    if record.status == "complete":
        return f"COMPLETE{partial}{unverified}", "bold yellow" if unverified or partial else "bold green"
    if record.status == "complete_with_unreadable_sectors":
        lost = f"{count(sectors, 'SECTOR', 'SECTORS')} COULD NOT BE READ"
        return f"COMPLETE{partial}, {lost}{unverified}", "bold yellow"
    return f"{record.status.upper()}: {record.failure or 'the image is not complete'}", "bold red"


def _unreadable(record: AcquisitionRecord) -> str:
    shown = [
        f"LBA {number(each.first_lba)}" + (f"–{number(each.first_lba + each.sectors - 1)}" if each.sectors > 1 else "")
        for each in record.unreadable[:_SHOWN_RANGES]
    ]
    rest = len(record.unreadable) - len(shown)
    return ", ".join(shown) + (f" and {number(rest)} more places (all in the map)" if rest > 0 else "")


def _verified(record: AcquisitionRecord) -> str:
    if record.verification is None:
        return f"no: {visible(record.failure or 'the image was not read back (--no-verify)')}"
    checked = record.verification
    return checked.summary.removesuffix(f" {checked.partial_by_scope}")


def _written(image: ImageFacts | None) -> str:
    if image is None:
        return "no image: the destination failed"
    first, last = image.segments[0].path, image.segments[-1].path
    names = first if first == last else f"{first} … {last}"
    total = sum(each.size for each in image.segments)
    return f"{visible(names)} ({size(total)}) · record · log · map" + " · block digests"


def _cloned(record: AcquisitionRecord) -> str:
    assert record.clone is not None
    behind = record.clone.excess
    more = f" · {number(behind.length)} bytes behind the medium: {behind.verdict}" if behind is not None else ""
    stem = record.image.path if record.image is not None else ""
    return f"{visible(record.clone.target)}{more} · record, log and map: {visible(stem)}"


def _copy(copy: CopyFacts) -> str:
    if copy.image is None:
        return f"FAILED: {copy.failure}"
    checked = copy.verification.summary if copy.verification else "not read back"
    return f"{visible(copy.image.path)}: {checked}"


def show_end(run: Run, record: AcquisitionRecord) -> None:
    """Say what happened; the same facts are in the log."""
    title, style = _headline(record)
    # What a rescue has read before it was interrupted is no rate over the medium.
    speed = f", {rate(record.bytes_per_second)}" if record.status.startswith("complete") else ""
    run.print(f"  {title}    {duration(record.elapsed_s)}{speed}", style=style)
    rows: list[tuple[str, str]] = []
    for name, text in record.digests.to_json().items():
        rows.append((algorithm_name(name), text))
    if record.digests:
        rows.append(("of", record.digest_coverage))
    if record.scope is not None:
        rows.append(("Scope", record.scope.statement))
    if record.unreadable:
        rows.append(("Unreadable", _unreadable(record)))
    if record.impact is not None:
        rows.append(("Affected", record.impact.summary))
    if record.status.startswith("complete"):
        rows.append(("Verified", _verified(record)))
    rows.append(("Source", record.write_block.statement))
    if record.status.startswith("complete"):
        rows.append(("Written", _written(record.image) if record.clone is None else _cloned(record)))
        rows += [("Copy", _copy(copy)) for copy in record.copies]
    if record.sittings > 1 and record.status.startswith("complete"):
        rows.append(("Sittings", f"{record.sittings}; that the source was the same each time was checked, not proved"))
    for finding in record.findings:
        if finding.severity is not Severity.INFO and finding.code != "scope.partial":
            rows.append((finding.severity.value.capitalize(), finding.message))
    for line in _next(record):
        rows.append(("Next", line))
    _facts(run, rows)


def _next(record: AcquisitionRecord) -> list[str]:
    if not record.status.startswith("complete"):
        again = "run the same command again with --resume"
        if record.exit_code == ExitCode.DESTINATION and record.clone is None:
            return [f"what was read is kept: make room (E01 and images in parts: or add --spill DIR), then {again}"]
        if record.exit_code == ExitCode.SOURCE:
            return [f"what was read is kept: check cable and power of the drive, then {again}"]
        return [f"what was read is kept: {again}"]
    if record.image is None or record.clone is not None:
        return []
    first = visible(str(record.image.path).rsplit("/", 1)[0] + "/" if "/" in record.image.path else "")
    image = f"{first}{visible(record.image.segments[0].path)}"
    if record.verification is None:
        return [f"forensiq verify {image}      read it back and compare"]
    against = []
    if record.sittings > 1 and record.source.kind is not SourceKind.STREAM:
        against = [f"forensiq verify {image} --against {visible(record.source.path)}      compare every sector"]
    return [*against, f"forensiq ls {image} -r      what is on it"]
