"""What this machine can do: bindings, programs, rights, write blocking, mounting, confinement. Changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata, resources

from forensiq.analysis.sandbox import sandbox_support
from forensiq.devices.commands import Runner, run_command, which
from forensiq.devices.machine import (
    automounters,
    capabilities,
    fuse_usable,
    landlock_version,
    seccomp_available,
    udev_rule,
)
from forensiq.devices.system import System
from forensiq.model.machine import Ability, MachineCheck, MachineReport
from forensiq.procedures.environment import clock_facts, tool_facts

__all__ = ["UDEV_RULE", "examine_machine", "shipped"]

UDEV_RULE = "10-forensiq-read-only.rules"
_OK, _LIMITED, _MISSING = Ability.OK, Ability.LIMITED, Ability.MISSING

_BINDINGS = (
    ("libewf-python", "pyewf", False, "no second opinion on E01, no Ex01 or other EWF flavours"),
    ("pytsk3", "pytsk3", False, "no looking into file systems"),
    ("isal", "isal.isal_zlib", True, "no E01 can be written or read"),
    ("blake3", "blake3", True, "digests cannot be computed"),
    ("cryptography", "cryptography", False, "no keys, no signed ledger, no signed reports"),
)
_PROGRAMS = (
    ("hdparm", "hdparm", "HPA and DCO cannot be determined"),
    ("smartctl", "smartmontools", "a drive cannot be asked how it is"),
    ("fusermount3", "fuse3", "images cannot be mounted"),
    ("ewfverify", "ewf-tools", "no third opinion on E01 by the tools of libewf"),
    ("fls", "sleuthkit", "no comparison with the tools of The Sleuth Kit"),
    ("ddrescue", "gddrescue", "rescues begun here cannot be finished by ddrescue on this machine"),
    ("openssl", "openssl", "no independent check of signatures"),
)
_IMPORT_TIMEOUT_S = 30.0
_SET_FLAG = "set the read-only flag"


def examine_machine(*, runner: Runner = run_command, system: System | None = None) -> MachineReport:
    """Return what works here and what does not, with consequences and what to do about it."""
    system = system or System()
    checks = (
        *_bindings(runner),
        *_programs(),
        *_rights(system),
        *_write_blocking(system),
        *_kernel(system),
    )
    ready = not any(check.ability is _MISSING for check in checks)
    drives = ready and any(check.name == _SET_FLAG and check.ability is _OK for check in checks)
    return MachineReport(ready, drives, _summary(checks, ready, drives), tool_facts(), clock_facts(), checks)


def _summary(checks: tuple[MachineCheck, ...], ready: bool, drives: bool) -> str:
    if not ready:
        missing = "; ".join(check.consequence or check.name for check in checks if check.ability is _MISSING)
        return f"not ready: {missing}"
    limited = sum(check.ability is _LIMITED for check in checks)
    rest = f" ({limited} limits above)" if limited else ""
    what = "ready to acquire and verify drives" if drives else "ready for files and images; drives need root"
    return f"{what}{rest}"


def shipped(name: str) -> tuple[str, str]:
    """Return the path and the text of a file that is shipped beside the program."""
    resource = resources.files("forensiq") / "data" / name
    return str(resource), resource.read_text("utf-8")


def _bindings(runner: Runner) -> Iterator[MachineCheck]:
    for package, module, needed, consequence in _BINDINGS:
        # In another process: a library that is broken may take its process with it.
        ended = runner((sys.executable, "-c", f"import {module}"), _IMPORT_TIMEOUT_S)
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            version = None
        if ended.exit_status == 0 and version:
            yield MachineCheck("bindings", package, _OK, version)
            continue
        found = f"{version}, and does not load" if version else "not installed"
        ability = _MISSING if needed else _LIMITED
        yield MachineCheck("bindings", package, ability, found, consequence, f"pip install {package}")


def _programs() -> Iterator[MachineCheck]:
    for name, package, consequence in _PROGRAMS:
        path = which(name)
        if path is not None:
            yield MachineCheck("programs", name, _OK, path)
        else:
            hint = f"apt install {package}"
            yield MachineCheck("programs", name, _LIMITED, "not installed", consequence, hint)


def _rights(system: System) -> Iterator[MachineCheck]:
    held = capabilities(system)
    root = os.geteuid() == 0
    who = "root" if root else f"user {os.geteuid()}"
    if root or "CAP_DAC_READ_SEARCH" in held:
        yield MachineCheck("rights", "read drives", _OK, who)
    else:
        consequence = "drives can be read only where their nodes are readable for this user"
        yield MachineCheck("rights", "read drives", _LIMITED, who, consequence, "run with sudo")
    for name, right, consequence in (
        (_SET_FLAG, "CAP_SYS_ADMIN", "drives are refused unless their read-only flag is already set"),
        ("ask drives (HPA, SMART)", "CAP_SYS_RAWIO", "hidden areas and SMART cannot be determined"),
    ):
        if right in held:
            yield MachineCheck("rights", name, _OK, right)
        else:
            yield MachineCheck("rights", name, _LIMITED, f"{who}, not {right}", consequence, "run with sudo")


def _write_blocking(system: System) -> Iterator[MachineCheck]:
    section = "write blocking"
    path, content = shipped(UDEV_RULE)
    state = udev_rule(UDEV_RULE, content)
    if state == "armed":
        yield MachineCheck(section, "udev rule", _OK, "installed and armed: drives attached from now on are read-only")
    else:
        hints = {
            "missing": f"see {shipped('README.md')[0]}",
            "different": f"install it again from {path}",
            "not armed": "sudo systemctl enable --now forensiq-write-block.service",
        }
        found = {"missing": "not installed", "different": "another one than this version's"}.get(state, state)
        consequence = "a drive is writable from its attachment until acquire sets the flag"
        yield MachineCheck(section, "udev rule", _LIMITED, found, consequence, hints[state])
    running = automounters(system)
    if running and state != "armed":
        consequence = "may mount a drive, and so write to it, as soon as it is attached"
        found = f"running: {', '.join(running)}"
        yield MachineCheck(section, "automount", _LIMITED, found, consequence, "stop it, or install the udev rule")
    else:
        yield MachineCheck(section, "automount", _OK, "no program that mounts by itself was seen")
    udev = "running" if (system.udev / "data").is_dir() else None
    if udev:
        yield MachineCheck(section, "udev", _OK, udev)
    else:
        consequence = "less is known of drives (long model names, WWN)"
        yield MachineCheck(section, "udev", _LIMITED, "no database in /run/udev", consequence)


def _kernel(system: System) -> Iterator[MachineCheck]:
    section = "kernel"
    if fuse_usable():
        yield MachineCheck(section, "FUSE", _OK, "/dev/fuse")
    else:
        yield MachineCheck(section, "FUSE", _LIMITED, "/dev/fuse cannot be opened", "images cannot be mounted")
    landlock = landlock_version()
    if landlock:
        yield MachineCheck(section, "Landlock", _OK, f"version {landlock}")
    else:
        consequence = "parsers of evidence cannot be kept away from the rest of the file system"
        yield MachineCheck(section, "Landlock", _LIMITED, "not offered by this kernel", consequence)
    yield _call_filter(system)
    yield MachineCheck(section, "processors", _OK, f"{len(os.sched_getaffinity(0))} usable")


def _call_filter(system: System) -> MachineCheck:
    """What the processes that parse evidence really get: the kernel must offer seccomp, and libseccomp load it."""
    consequence = "parsers cannot be kept from calls that they do not need (network, programs)"
    if not seccomp_available(system):
        return MachineCheck("kernel", "seccomp", _LIMITED, "not offered by this kernel", consequence)
    _, library = sandbox_support()
    if not library:
        hint = "apt install libseccomp2"
        return MachineCheck("kernel", "seccomp", _LIMITED, "libseccomp is not installed", consequence, hint)
    return MachineCheck("kernel", "seccomp", _OK, "offered by this kernel, loaded through libseccomp")
