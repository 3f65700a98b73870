"""What this machine lets a program do: capabilities, FUSE, confinement, write blocking on attachment."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from forensiq.devices.system import System

__all__ = ["automounters", "capabilities", "fuse_usable", "landlock_version", "seccomp_available", "udev_rule"]

_CAPABILITIES = {2: "CAP_DAC_READ_SEARCH", 17: "CAP_SYS_RAWIO", 21: "CAP_SYS_ADMIN"}
_LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture of Linux
_LANDLOCK_ASK_VERSION = 1
_RULE_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_ARMED = Path("/run/forensiq/write-block")
_AUTOMOUNTERS = frozenset({"udisksd", "usbmount", "autofs", "automount", "devmon", "udevil"})


def capabilities(system: System | None = None) -> frozenset[str]:
    """Return the rights of this process, of those that matter here, by their kernel names (``CapEff``)."""
    system = system or System()
    status = system.read(system.proc / "self" / "status") or ""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return frozenset(name for bit, name in _CAPABILITIES.items() if bits >> bit & 1)


def fuse_usable() -> bool:
    """Say whether this user may open ``/dev/fuse``."""
    return os.access("/dev/fuse", os.R_OK | os.W_OK)


def landlock_version() -> int | None:
    """Return the version of Landlock that the kernel offers; ``None`` where it offers none: landlock(7)."""
    version = ctypes.CDLL(None, use_errno=True).syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(_LANDLOCK_ASK_VERSION)
    )
    return int(version) if version > 0 else None


def seccomp_available(system: System | None = None) -> bool:
    """Say whether the kernel can filter system calls: seccomp(2)."""
    system = system or System()
    return "allow" in (system.read(system.proc / "sys/kernel/seccomp/actions_avail") or "")


def udev_rule(name: str, content: str, folders: tuple[str, ...] = _RULE_FOLDERS, armed: Path = _ARMED) -> str:
    """Return the state of the udev rule ``name``: ``missing``, ``different``, ``not armed`` or ``armed``."""
    for folder in folders:
        try:
            installed = Path(folder, name).read_text("utf-8", "replace")
        except OSError:
            continue
        if installed != content:
            return "different"
        return "armed" if armed.exists() else "not armed"
    return "missing"


def automounters(system: System | None = None) -> tuple[str, ...]:
    """Return the names of running programs that may mount a drive as soon as it is attached."""
    system = system or System()
    names = {system.read(process / "comm") or "" for process in system.processes()}
    return tuple(sorted(names & _AUTOMOUNTERS))
