"""``forensiq boot``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from forensiq.cli.image_options import image_options
from forensiq.cli.options import PATH, SIZE, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.errors import ExitCode
from forensiq.model.boot import BootRecord
from forensiq.procedures.boot import BootRequest, boot, default_folder, exit_code_of
from forensiq.procedures.boot_plan import BUSES, FIRMWARES, BootWishes
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("boot", example="forensiq boot evidence/ITEM-1.E01 work/vm --start")
@click.argument("image", type=PATH)
@click.argument("folder", type=PATH, metavar="[DIR]", required=False)
@click.option("--start", is_flag=True, help="Run QEMU, and end when it ends.")
@click.option("--serve", is_flag=True, help="Keep the export until Ctrl-C, for a machine that is started elsewhere.")
@click.option("--firmware", type=click.Choice(FIRMWARES), default="auto", show_default=True, help="How it boots.")
@click.option("--bus", type=click.Choice(BUSES), default="auto", show_default=True, help="How the disk is attached.")
@click.option("--memory", type=SIZE, default="2GiB", show_default=True, help="Memory of the machine.")
@click.option("--cpus", type=click.IntRange(1, 64), default=2, show_default=True, help="Processors of the machine.")
@click.option("--network", is_flag=True, help="Give the machine a network (user mode); without, it reaches nothing.")
@click.option(
    "--display", type=click.Choice(["auto", "none", "gtk", "sdl"]), default="auto", show_default=True,
    help="The screen of the machine.",
)  # fmt: skip
@click.option(
    "--accelerator", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", show_default=True,
    help="kvm, or tcg: emulation in software.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End it after this time.")
@click.option("--keep-overlay", is_flag=True, help="Keep what the guest wrote.")
@click.option("--no-digest", is_flag=True, help="Do not hash the evidence before and after; times and sizes only.")
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    folder: Path | None,
    start: bool,
    serve: bool,
    firmware: str,
    bus: str,
    memory: int,
    cpus: int,
    network: bool,
    display: str,
    accelerator: str,
    timeout: float | None,
    keep_overlay: bool,
    no_digest: bool,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Prepare a virtual machine over the untouched IMAGE; run it with --start.

    DIR gets QEMU's command, a libvirt domain and an overlay that takes every write and is thrown away. The medium is
    served read-only; that the evidence did not change is checked and recorded (DIR/boot.record.json).
    """
    request = BootRequest(
        image=image,
        folder=folder or default_folder(image),
        wishes=BootWishes(firmware=firmware, bus=bus, memory=memory, processors=cpus, network=network),
        image_format=image_format,
        segments_in=segments_in,
        sector_size=sector_size,
        start=start,
        serve=serve,
        timeout=timeout,
        display=display,
        accelerator=accelerator,
        digest=not no_digest,
        keep_overlay=keep_overlay,
        ledger_head=run.step.head if run.step is not None else None,
    )
    progress = Progress(0)
    with run.stoppable() as stop, ExitStack() as view:
        view.enter_context(run.watch(progress))

        def ready(record: BootRecord) -> None:
            view.close()
            if not run.json:
                _show(run, record, running=start or serve)

        record = boot(request, progress=progress, stop=stop, on_ready=ready)
    if run.json:
        run.result(record)
    else:
        run.paragraph(record.summary)
        for each in record.findings:
            run.warn(f"{each.message} ({visible(each.where or '')}): {visible(each.found or '')}")
    changed = "unchanged" if record.unchanged else "CHANGED"
    run.record(request.folder / "boot.record.json", summary=record.summary, evidence=changed)
    return exit_code_of(record)


def _show(run: Run, record: BootRecord, *, running: bool) -> None:
    plan, files = record.plan, record.files
    network = "network on" if plan.network else "no network"
    machine = f"{plan.firmware.upper()} · {plan.machine} · {plan.bus} · {plan.memory >> 20} MiB · {network}"
    run.field("Machine", machine, room=11)
    for reason in plan.reasons:
        run.field("", visible(reason), room=11)
    run.field("Written", f"{visible(files.folder)}: qemu.sh · domain.xml · overlay.qcow2", room=11)
    if running:
        run.field("Export", f"{visible(files.socket)}, read-only, until this ends", room=11)
    else:
        run.print(f"  Next       forensiq boot {visible(record.image)} {visible(files.folder)} --start      runs it")
