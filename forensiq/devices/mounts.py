r"""What is mounted and what swaps: ``mountinfo`` of this and of other mount namespaces, ``/proc/swaps``.

Source: proc_pid_mountinfo(5). Spaces and backslashes in paths are written there as ``\NNN`` (octal).
"""

from __future__ import annotations

import os
import re

from msgspec import Struct

from forensiq.devices.system import System

__all__ = ["Mount", "mount_over", "mounts_everywhere", "mounts_of_self", "swaps"]

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(Struct, frozen=True):
    """One line of ``mountinfo``; ``number`` is the file system's ``major:minor``, ``root`` what of it is mounted."""

    number: str
    root: str
    point: str
    filesystem: str
    source: str
    read_only: bool
    options: tuple[str, ...] = ()
    process: str = "self"

    def option(self, name: str) -> str | None:
        """Return the value of an option of the file system (``upperdir``)."""
        return next((each.split("=", 1)[1] for each in self.options if each.startswith(f"{name}=")), None)


def mounts_of_self(system: System) -> tuple[Mount, ...]:
    """Return the mounts that this process sees."""
    return _parse(system.read(system.proc / "self" / "mountinfo") or "", "self")


def mounts_everywhere(system: System) -> tuple[tuple[Mount, ...], int]:
    """Return the mounts of all mount namespaces that can be read, and how many processes' could not be."""
    found = list(mounts_of_self(system))
    seen = {_namespace(system, "self")}
    hidden = 0
    for process in system.processes():
        space = _namespace(system, process.name)
        if space is None:
            hidden += process.exists()
            continue
        if space in seen:
            continue
        text = system.read(process / "mountinfo")
        if text is None:
            hidden += process.exists()
            continue
        seen.add(space)
        found += _parse(text, process.name)
    return tuple(found), hidden


def _namespace(system: System, process: str) -> str | None:
    try:
        return os.fspath((system.proc / process / "ns" / "mnt").readlink())
    except OSError:
        return None


def mount_over(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that an absolute path lies in: the one with the longest mount point, the last such."""
    best: Mount | None = None
    for mount in mounts:
        inside = mount.point == "/" or path == mount.point or path.startswith(f"{mount.point}/")
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def swaps(system: System) -> tuple[tuple[str, str], ...]:
    """Return (path, ``partition`` or ``file``) of every active swap."""
    lines = (system.read(system.proc / "swaps") or "").splitlines()[1:]
    parts = (line.split() for line in lines)
    return tuple((_plain(words[0]), words[1]) for words in parts if len(words) >= 2)


def _parse(text: str, process: str) -> tuple[Mount, ...]:
    found: list[Mount] = []
    for line in text.splitlines():
        front, separator, back = line.partition(" - ")
        first, last = front.split(" "), back.split(" ")
        if not separator or len(first) < 6 or len(last) < 2:
            continue
        options = last[2].split(",") if len(last) > 2 else []
        found.append(
            Mount(
                number=first[2],
                root=_plain(first[3]),
                point=_plain(first[4]),
                filesystem=last[0],
                source=_plain(last[1]),
                read_only="ro" in first[5].split(","),
                options=tuple(_plain(each) for each in options),
                process=process,
            )
        )
    return tuple(found)


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
