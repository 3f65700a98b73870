"""``forensiq info``: what is known about an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, number, visible
from forensiq.errors import ExitCode, Fact
from forensiq.procedures.info import ImageInformation, inspect_image

__all__ = ["command"]

_SHOWN = 10
_LABELS = {
    "case_number": "Case",
    "evidence_number": "Evidence",
    "examiner": "Examiner",
    "description": "Description",
    "notes": "Notes",
    "model": "Model",
    "serial": "Serial",
    "acquired": "Acquired",
}


@forensiq_command("info", example="forensiq info evidence/ITEM-1.E01")
@click.argument("image", type=PATH)
@click.option(
    "--segments-in", type=PATH, multiple=True, metavar="DIR", help="Look for segments in this folder, too (repeatable)."
)
@click.option(
    "--format", "image_format", metavar="FORMAT", help="The format, where the content does not tell: e01, raw, vmdk …"
)
@recorded("image")
def command(run: Run, image: Path, segments_in: tuple[Path, ...], image_format: str | None) -> ExitCode | None:
    """Tell what an image says of itself, without reading its data: nothing is verified."""
    information = inspect_image(image, segments_in=segments_in, image_format=image_format)
    if run.json:
        run.result(information)
    else:
        _show(run, information)
    missing = any(each.code == "container.file.missing" for each in information.findings)
    return ExitCode.NOT_AN_IMAGE if missing else None


def _show(run: Run, about: ImageInformation) -> None:
    kind = f"{about.format} ({about.flavour})" if about.flavour else about.format
    _line(run, "Image", f"{visible(about.image)} · {kind} · {count(len(about.segments), 'segment')}")
    _line(run, "Medium", f"{exact_size(about.size)} · {number(about.sectors)} sectors of {about.sector_size} bytes")
    if about.chunk_size:
        _line(run, "Chunks", f"{number(about.chunk_size)} bytes · compression: {about.compression or 'not stated'}")
    if about.created_by:
        _line(run, "Made by", visible(about.created_by))
    for name, label in _LABELS.items():
        value = getattr(about.metadata, name)
        if value:
            _line(run, label, visible(value))
    said = [(name, each) for name, value in about.container.items() for each in _each(value)]
    for index, (name, value) in enumerate(said):
        _line(run, "" if index else "Container", f"{name.replace('_', ' ')}: {_value(value)}")
    for algorithm, text in about.stored_digests.items():
        _line(run, algorithm.spelled, f"{text}   stated in the image")
    for algorithm, text in about.recorded_digests.items():
        if about.stored_digests.get(algorithm) != text:
            _line(run, algorithm.spelled, f"{text}   stated in the record {visible(about.record or '')}")
    for index, each in enumerate(about.acquisition_errors[:_SHOWN]):
        last = each.first_lba + each.sectors - 1
        text = f"LBA {number(each.first_lba)} to {number(last)} ({count(each.sectors, 'sector')})"
        _line(run, "" if index else "Unreadable", text)
    if len(about.acquisition_errors) > _SHOWN:
        _line(run, "", f"and {count(len(about.acquisition_errors) - _SHOWN, 'more range')} (--json lists them all)")
    for index, each in enumerate(about.unknown_regions[:_SHOWN]):
        text = f"LBA {number(each.first_lba)}, {count(each.sectors, 'sector')}"
        _line(run, "" if index else "Not known", text)
    if about.scope is not None:
        run.warn(visible(about.scope.statement))
    if not about.complete:
        run.warn("this image is not complete")
    for finding in about.findings[:_SHOWN]:
        where = f"{visible(finding.where)}: " if finding.where else ""
        run.warn(f"{where}{visible(finding.message)}")
    run.paragraph("Nothing was verified; `forensiq verify` does that.")


def _each(value: Fact) -> Sequence[Fact]:
    return value if isinstance(value, list) else [value]


def _value(value: Fact) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int) else visible(str(value))


def _line(run: Run, label: str, text: str) -> None:
    run.field(label, text)
