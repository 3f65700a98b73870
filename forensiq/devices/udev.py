r"""What udev has stored about a block device: ``/run/udev/data/bMAJOR:MINOR``.

Source: systemd's ``sd-device`` database: lines ``E:KEY=VALUE`` are properties. Values ending in ``_ENC`` escape bytes
as ``\xNN``. Every value comes from the device and is hostile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from forensiq.devices.system import System

__all__ = ["decoded", "properties_of"]

_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


def properties_of(name: str, system: System) -> Mapping[str, str] | None:
    """Return udev's properties of a block device; ``None`` where udev has no entry for it."""
    number = system.read(system.block(name) / "dev")
    text = system.read(system.udev / "data" / f"b{number}") if number else None
    if text is None:
        return None
    pairs = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {key: value for key, separator, value in pairs if separator}


def decoded(value: str) -> str:
    """Return an ``_ENC`` value as text, without white space at both ends."""
    raw = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), value.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "replace").strip(" \0")
