"""``forensiq verify``: is an image still what was acquired, and if not, what is damaged, and where?"""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, duration, exact_size, number, rate, visible
from forensiq.errors import ExitCode
from forensiq.model.digest import algorithm_name
from forensiq.model.finding import Finding, Severity
from forensiq.model.records import DamageFacts, ImpactFacts, VerificationRecord
from forensiq.procedures.progress import Progress
from forensiq.procedures.verify import exit_code_of, recorded_facts, verify_image

__all__ = ["command"]

_STYLES = {"verified": "bold green", "no_reference": "bold yellow"}
_HEADLINES = {
    "verified": "VERIFIED",
    "damaged": "DAMAGED",
    "mismatch": "MISMATCH",
    "no_reference": "NOTHING TO VERIFY AGAINST",
}
_PARTLY = {"structure": ": CONTAINER AND CHUNKS", "sample": ": A SAMPLE"}
_SHOWN = 20


@forensiq_command("verify", example="forensiq verify evidence/ITEM-1.E01")
@click.argument("image", type=PATH)
@click.option("--against", type=PATH, metavar="SOURCE", help="Compare with the drive (or file) it was made from.")
@click.option("--second-opinion", is_flag=True, help="Read an E01 through libewf, too, and compare.")
@click.option("--structure-only", is_flag=True, help="Check container and chunks, without digests of the medium.")
@click.option("--files", is_flag=True, help="Say which files the damage falls in.")
@click.option(
    "--sample",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="Check only so much of it, chosen at random, and say what that is worth.",
)
@click.option(
    "--segments-in", type=PATH, multiple=True, metavar="DIR", help="Look for segments in this folder, too (repeatable)."
)
@click.option(
    "--format", "image_format", metavar="FORMAT", help="The format, where the content does not tell: e01, raw, vmdk …"
)
@recorded("image")
def command(
    run: Run,
    image: Path,
    against: Path | None,
    second_opinion: bool,
    structure_only: bool,
    files: bool,
    sample: float | None,
    segments_in: tuple[Path, ...],
    image_format: str | None,
) -> ExitCode:
    """Check an image: container, every chunk, and the digests of the medium.

    The digests are compared with those in the image and in the record beside it. Whatever is damaged is named with its
    sectors and its segment file.
    """
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        record = verify_image(
            image,
            structure_only=structure_only,
            sample=sample,
            against=against,
            second_opinion=second_opinion,
            segments_in=segments_in,
            files=files,
            image_format=image_format,
            progress=progress,
            stop=stop,
            ledger_head=run.step.head if run.step is not None else None,
        )
    run.record(**recorded_facts(record))
    if run.json:
        run.result(record)
    else:
        _show(run, record)
    return exit_code_of(record)


def _show(run: Run, record: VerificationRecord) -> None:
    partly = _PARTLY.get(record.scope, "") if record.verdict == "verified" else ""
    run.print(
        f"{_HEADLINES.get(record.verdict, record.verdict)}{partly}", style=_STYLES.get(record.verdict, "bold red")
    )
    run.field("", visible(record.summary), indent=0, room=0)
    run.print()
    _line(run, "Image", f"{visible(record.image)} · {record.format} · {count(len(record.segments), 'segment')}")
    sectors = record.size // record.sector_size
    _line(run, "Medium", f"{exact_size(record.size)} · {number(sectors)} sectors of {record.sector_size} bytes")
    _digests(run, record)
    for index, damage in enumerate(record.damage[:_SHOWN]):
        _line(run, "Damaged" if not index else "", _damage(damage))
    if len(record.damage) > _SHOWN:
        _line(run, "", f"and {count(len(record.damage) - _SHOWN, 'more range')} (--json lists them all)")
    shown = [each for each in record.structure if each.severity is not Severity.INFO]
    for index, finding in enumerate(shown[:_SHOWN]):
        _line(run, "Found" if not index else "", _finding(finding))
    if len(shown) > _SHOWN:
        _line(run, "", f"and {count(len(shown) - _SHOWN, 'more finding')} (--json lists them all)")
    if record.second_opinion is not None:
        facts = record.second_opinion
        _line(run, "Second", f"{facts.get('reader', 'libewf')}: agrees: {visible(facts.get('agrees', ''))}")
    speed = rate(record.bytes_per_second) if record.elapsed_s > 0.5 else ""
    _line(run, "Took", " · ".join(part for part in (duration(record.elapsed_s), speed) if part))
    if record.impact is not None:
        _files(run, record.impact)
    elif record.damage:
        _line(run, "Next", f"forensiq impact {visible(record.image)}      which files the damaged sectors are in")


def _files(run: Run, impact: ImpactFacts) -> None:
    _line(run, "Files", visible(impact.summary))
    for each in impact.files[:_SHOWN]:
        name = visible(each.path) + (f":{visible(each.stream)}" if each.stream else "")
        part = each.kind if each.share is None or each.kind != "content" else f"{100 * each.share:.1f} % of its content"
        _line(run, "", f"partition {each.partition}: {name} ({part})")
    left = impact.files_not_listed + len(impact.files[_SHOWN:])
    if left:
        _line(run, "", f"and {count(left, 'more file')} (forensiq impact lists them all)")


def _digests(run: Run, record: VerificationRecord) -> None:
    for name, each in record.digests.items():
        if each.computed is None:
            _line(run, algorithm_name(name), f"not computed; recorded is {each.stored or each.record}")
        elif each.match is None:
            _line(run, algorithm_name(name), f"{each.computed}   nothing to compare with")
        elif each.match:
            places = [place for place, text in (("image", each.stored), ("record", each.record)) if text]
            _line(run, algorithm_name(name), f"{each.computed}   agrees with the {' and the '.join(places)}")
        else:
            _line(run, algorithm_name(name), f"{each.computed}   DIFFERS")
            for where, text in (("image", each.stored), ("record", each.record)):
                if text is not None:
                    _line(run, "", f"{text}   stated in the {where}")


def _damage(damage: DamageFacts) -> str:
    last = damage.first_lba + damage.sectors - 1
    where = f"LBA {number(damage.first_lba)} to {number(last)} ({count(damage.sectors, 'sector')})"
    segment = f" in {visible(damage.segment)}" if damage.segment else ""
    return f"{where}{segment}: {visible(damage.reason)}"


def _finding(finding: Finding) -> str:
    text = visible(finding.message)
    where = finding.where or finding.segment
    parts = [f"{visible(where)}: {text}" if where else text]
    if finding.expected is not None and finding.found is not None:
        parts.append(f"expected {visible(finding.expected[:200])}, found {visible(finding.found[:200])}")
    return "; ".join(parts)


def _line(run: Run, label: str, text: str) -> None:
    run.field(label, text, room=11)
