"""Writes down a virtual machine: QEMU's command line, a script that runs it, and a libvirt domain."""

from __future__ import annotations

import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

from forensiq.model.boot import BootFiles, BootPlan
from forensiq.streams.nbd_server import EXPORT_NAME

__all__ = ["boot_files", "command_script", "domain_xml", "qemu_command"]

VARIABLES = "uefi-variables.fd"


def boot_files(folder: Path) -> BootFiles:
    """Return the paths in ``folder``."""
    here = folder.absolute()
    return BootFiles(
        folder=str(here),
        overlay=str(here / "overlay.qcow2"),
        command=str(here / "qemu.sh"),
        domain=str(here / "domain.xml"),
        serial=str(here / "serial.log"),
        socket=str(here / "export.sock"),
    )


def _value(text: str) -> str:
    """Return ``text`` as the value of one of QEMU's options: a comma in it is doubled."""
    return text.replace(",", ",,")


def _disk(plan: BootPlan) -> list[str]:
    sizes = f",logical_block_size={plan.sector_size},physical_block_size={plan.sector_size}"
    sizes = sizes if plan.sector_size == 4096 else ""
    kinds = {
        "ide": [f"ide-hd,drive=disk,bus=ide.0,bootindex=1{sizes}"],
        "sata": [f"ide-hd,drive=disk,bus=ide.0,bootindex=1{sizes}"],
        "virtio": [f"virtio-blk-pci,drive=disk,bootindex=1{sizes}"],
        "scsi": ["virtio-scsi-pci,id=scsi0", f"scsi-hd,drive=disk,bus=scsi0.0,bootindex=1{sizes}"],
        "nvme": [f"nvme,drive=disk,serial=evidence,bootindex=1{sizes}"],
        "cd": ["ide-cd,drive=disk,bus=ide.0,bootindex=1"],
    }
    return [word for device in kinds[plan.bus] for word in ("-device", device)]


def qemu_command(plan: BootPlan, files: BootFiles, *, accelerator: str, display: str) -> list[str]:
    """Return the command line. The medium is a read-only node under the overlay: what the guest writes stays there."""
    words = ["qemu-system-x86_64", "-name", "forensiq", "-no-user-config", "-nodefaults"]
    words += ["-machine", plan.machine, "-accel", accelerator]
    words += ["-m", f"{plan.memory >> 20}M", "-smp", str(plan.processors), "-vga", "std", "-display", display]
    if plan.firmware == "uefi" and plan.firmware_code is not None:
        code, variables = _value(plan.firmware_code), _value(str(Path(files.folder) / VARIABLES))
        words += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    path = _value(files.socket)
    words += [
        "-blockdev",
        f"driver=nbd,node-name=evidence,read-only=on,server.type=unix,export={EXPORT_NAME},server.path={path}",
        "-blockdev",
        f"driver=file,node-name=overlay,filename={_value(files.overlay)}",
        "-blockdev",
        f"driver=qcow2,node-name=disk{',read-only=on' if plan.bus == 'cd' else ''},file=overlay,backing=evidence",
    ]
    words += _disk(plan)
    words += ["-nic", "user,model=e1000" if plan.network else "none"]
    words += ["-chardev", f"file,id=console,path={_value(files.serial)}", "-serial", "chardev:console"]
    return [*words, "-monitor", "none"]


def command_script(words: list[str], files: BootFiles, serve: list[str]) -> str:
    """Return a shell script that runs ``words`` where the export is there, and else says how to get it."""
    lines = [
        "#!/bin/sh",
        "# A virtual machine over an untouched image. The export must be there: in another terminal, run",
        f"#   {shlex.join(serve)}",
        f"if ! test -S {shlex.quote(files.socket)}; then",
        '    echo "the export is not there; run first:" >&2',
        f"    printf '  %s\\n' {shlex.quote(shlex.join(serve))} >&2",
        "    exit 1",
        "fi",
        f"exec {shlex.join(words)}",
        "",
    ]
    return "\n".join(lines)


def domain_xml(plan: BootPlan, files: BootFiles, name: str, *, accelerator: str) -> str:
    """Return the same machine as a libvirt domain."""
    domain = ET.Element("domain", type="kvm" if accelerator == "kvm" else "qemu")

    def add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
        element = ET.SubElement(parent, tag, attributes)
        element.text = text
        return element

    add(domain, "name", name)
    add(domain, "description", "A machine over an untouched image: the export must be there before it starts.")
    add(domain, "memory", str(plan.memory >> 10), unit="KiB")
    add(domain, "vcpu", str(plan.processors))
    system = add(domain, "os")
    add(system, "type", "hvm", arch="x86_64", machine=plan.machine)
    if plan.firmware == "uefi" and plan.firmware_code is not None:
        add(system, "loader", plan.firmware_code, readonly="yes", type="pflash")
        add(system, "nvram", str(Path(files.folder) / VARIABLES))
    features = add(domain, "features")
    add(features, "acpi")
    add(features, "apic")
    devices = add(domain, "devices")
    disk = add(devices, "disk", type="file", device="cdrom" if plan.bus == "cd" else "disk")
    add(disk, "driver", name="qemu", type="qcow2")
    add(disk, "source", file=files.overlay)
    backing = add(disk, "backingStore", type="network")
    add(backing, "format", type="raw")
    place = add(backing, "source", protocol="nbd", name=EXPORT_NAME)
    add(place, "host", transport="unix", socket=files.socket)
    add(backing, "backingStore")
    if plan.sector_size == 4096:
        add(disk, "blockio", logical_block_size="4096", physical_block_size="4096")
    buses = {"ide": ("hda", "ide"), "sata": ("sda", "sata"), "scsi": ("sda", "scsi"), "virtio": ("vda", "virtio")}
    buses |= {"cd": ("sda", "sata") if plan.machine == "q35" else ("hda", "ide"), "nvme": ("vda", "virtio")}
    device, bus = buses[plan.bus]  # libvirt of 2023 has no NVMe disk of a file: virtio takes its place
    add(disk, "target", dev=device, bus=bus)
    if plan.bus == "cd":
        add(disk, "readonly")
    if plan.network:
        add(add(devices, "interface", type="user"), "model", type="e1000")
    serial = add(devices, "serial", type="file")
    add(serial, "source", path=files.serial)
    add(serial, "target", port="0")
    add(devices, "graphics", type="vnc", autoport="yes", listen="127.0.0.1")
    add(add(devices, "video"), "model", type="vga")
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"
