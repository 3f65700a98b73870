"""``forensiq devices``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from forensiq.cli.options import forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import number, size, visible
from forensiq.model.device import DeviceEntry, PartitionEntry
from forensiq.procedures.devices import list_devices

__all__ = ["command"]


@forensiq_command("devices", example="forensiq devices")
@click.argument("device", required=False)
def command(run: Run, device: str | None) -> None:
    """Drives of this machine: who they are, whether they are protected, who uses them.

    Nothing is opened and no command is sent to a drive. With DEVICE only that drive.
    """
    entries = list_devices(device)
    if run.json:
        run.results(entries)
        return
    if not entries:
        run.print("No drives were found.")
    for index, entry in enumerate(entries):
        if index:
            run.print()
        run.print(_head(entry))
        for label, text in _facts(entry):
            run.field(label, text, room=12)


def _head(entry: DeviceEntry) -> str:
    who = entry.identity
    name = " ".join(visible(part) for part in (who.vendor, who.model) if part)
    serial = f"serial {visible(who.serial)}" if who.serial else "no serial number known"
    return " · ".join(part for part in (entry.path, size(who.size), who.bus or "", name, serial) if part)


def _facts(entry: DeviceEntry) -> Iterator[tuple[str, str]]:
    who = entry.identity
    sectors = who.size // who.sector_size if who.sector_size else 0
    physical = f", {who.physical_sector_size} physical" if who.physical_sector_size else ""
    yield "size", f"{number(sectors)} sectors of {who.sector_size} bytes{physical}"
    flag = {True: "set", False: "NOT set", None: "not known"}[entry.read_only]
    yield "protection", f"kernel read-only flag {flag}"
    if entry.backing_file:
        yield "over", visible(entry.backing_file)
    if entry.content:
        yield "content", visible(entry.content)
    for partition in entry.partitions:
        yield "partition", _partition(partition)
    for use in entry.usage.uses:
        yield "IN USE", visible(str(use))
    for device, what in entry.usage.members.items():
        yield "member", f"{device} of {what}"
    if not entry.usage.in_use:
        yield "in use", "nothing was seen"
    for each in entry.usage.not_checked:
        yield "not seen", each


def _partition(partition: PartitionEntry) -> str:
    parts = [partition.path, size(partition.size), f"from byte {number(partition.offset)}"]
    parts += [visible(partition.content)] if partition.content else []
    parts += [f'"{visible(partition.label)}"'] if partition.label else []
    return " · ".join(parts)
