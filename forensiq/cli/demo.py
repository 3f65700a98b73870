"""``forensiq demo``: the whole job on a practice drive, step by step, with the commands as one would type them."""

from __future__ import annotations

import io
import json
import shlex
from contextlib import redirect_stdout
from pathlib import Path

import click
from msgspec import Struct

from forensiq.cli.acquire_view import show_end, show_start
from forensiq.cli.options import PATH, CommandTable, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size
from forensiq.errors import ExitCode
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import exit_code_of
from forensiq.procedures.acquire_job import PlanFacts
from forensiq.procedures.demo import Demonstration, acquire_practice_drive, begin_demonstration
from forensiq.procedures.progress import Progress

__all__ = ["command"]


class _Step(Struct, frozen=True):
    """A command of the program: what it is for, its words, the exit code that it must end with."""

    title: str
    why: str
    words: tuple[str, ...]
    expected: ExitCode


@forensiq_command("demo", example="forensiq demo practice")
@click.argument("folder", metavar="[DIR]", type=PATH, required=False)
@click.pass_context
def command(context: click.Context, run: Run, folder: Path | None) -> ExitCode:
    """Build a small practice drive in DIR and do the whole job on it, explaining each step.

    The drive is a file of 32 MiB: two partitions, files, deleted files, and two areas that cannot be read. Needs no
    root. DIR must be new or empty; without it a new folder is made here.
    """
    demonstration = begin_demonstration(folder)
    program = context.find_root().command
    assert isinstance(program, CommandTable)
    steps = _steps(demonstration)
    _explain_drive(run, demonstration)
    record = _acquire(run, demonstration, steps[0])
    done = [{"title": steps[0].title, "command": _typed(steps[0]), "exit_code": int(exit_code_of(record))}]
    worst = ExitCode.OK if exit_code_of(record) is steps[0].expected else exit_code_of(record)
    for number, step in enumerate(steps[1:], 2):
        _announce(run, number, step)
        code, output = _call(run, program, step)
        done.append({"title": step.title, "command": _typed(step), "exit_code": int(code), "output": output})
        if code is not step.expected and worst is ExitCode.OK:
            worst = code or ExitCode.FAULT
    if run.json:
        drive = demonstration.drive
        run.result(
            {
                "schema": "forensiq/demo/1",
                "folder": str(demonstration.folder),
                "drive": str(drive.path),
                "size": drive.size,
                "unreadable": [{"offset": each.offset, "length": each.length} for each in drive.unreadable],
                "record": record,
                "steps": done,
            }
        )
    else:
        _farewell(run, demonstration, worst)
    return worst


def _steps(demonstration: Demonstration) -> list[_Step]:
    image, drive = str(demonstration.image), str(demonstration.drive.path)
    return [
        _Step(
            "Acquire",
            "Copies every sector into an E01 image, digests it, fills what cannot be read with zeros and lists it,\n"
            "then reads the image back from the disk and verifies it. Exit code 3: complete, but not all was readable.",
            ("acquire", drive, str(demonstration.stem), "--case-number", "PRACTICE", "--evidence-number", "ITEM-1"),
            ExitCode.UNREADABLE_SECTORS,
        ),
        _Step(
            "Verify",
            "Is the image still what was acquired? Checks its structure, the checksum of every chunk, and the digests\n"
            "against those in the image and in the record beside it. Anyone can repeat this years later.",
            ("verify", image),
            ExitCode.OK,
        ),
        _Step(
            "Partitions",
            "What is on the drive: the partition table, the volumes, and the gaps between them.",
            ("partitions", image),
            ExitCode.OK,
        ),
        _Step(
            "Files",
            "Every file of every volume, deleted ones included; nothing is mounted, nothing is written.",
            ("ls", "-r", image),
            ExitCode.OK,
        ),
        _Step(
            "Impact",
            "What the sectors that could not be read mean: which files they are in, and how much of each is missing.",
            ("impact", image),
            ExitCode.OK,
        ),
    ]


def _typed(step: _Step) -> str:
    return shlex.join(["forensiq", *step.words])


def _announce(run: Run, number: int, step: _Step) -> None:
    if run.json:
        return
    run.print()
    run.print(f"{number}. {step.title}", style="bold")
    run.print(step.why)
    run.print()
    run.print(f"$ {_typed(step)}", style="cyan")


def _explain_drive(run: Run, demonstration: Demonstration) -> None:
    if run.json:
        return
    drive = demonstration.drive
    sectors = sum(each.length for each in drive.unreadable) // drive.sector_size
    run.print(f"A practice drive was made: {drive.path}, {exact_size(drive.size)}.")
    run.print("It has a partition table, a FAT and an ext2 volume, and files of which some are deleted.")
    places = count(len(drive.unreadable), "place")
    run.print(f"{count(sectors, 'sector')} in {places} will fail to read, as on a failing drive.")


def _acquire(run: Run, demonstration: Demonstration, step: _Step) -> AcquisitionRecord:
    _announce(run, 1, step)
    progress = Progress(0)

    def started(plan: PlanFacts) -> None:
        if not run.json:
            show_start(run, plan)

    with run.stoppable() as stop, run.watch(progress, sector_size=demonstration.drive.sector_size):
        record = acquire_practice_drive(
            demonstration, command=("forensiq", *step.words), progress=progress, stop=stop, on_start=started
        )
    if not run.json:
        show_end(run, record)
    return record


def _call(run: Run, program: CommandTable, step: _Step) -> tuple[ExitCode, list[object]]:
    """Run a command of the program as it was typed; return its exit code and, in JSON mode, what it said."""
    if not run.json:
        with program.make_context("forensiq", [*step.words, "--quiet"]) as context:
            return ExitCode(program.invoke(context)), []
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with redirect_stdout(said), program.make_context("forensiq", [*step.words, "--json", "--quiet"]) as context:
        code = ExitCode(program.invoke(context))
    said.seek(0)
    return code, [json.loads(line) for line in said]


def _farewell(run: Run, demonstration: Demonstration, worst: ExitCode) -> None:
    run.print()
    if worst is not ExitCode.OK:
        run.print("The demonstration did not end as it should.", style="bold red")
        return
    run.print("That was the whole job.", style="bold")
    run.print(f"Everything is in {demonstration.folder}. Read ITEM-1.log.txt first.")
    run.print("With a real drive: sudo forensiq devices, then sudo forensiq acquire /dev/sdX evidence/ITEM-1")
