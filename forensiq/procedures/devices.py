"""The drives of this machine, their state and who uses them. Nothing is opened and nothing is sent."""

from __future__ import annotations

from forensiq.devices.inventory import device_entry
from forensiq.devices.inventory import list_devices as _list
from forensiq.devices.system import System
from forensiq.devices.topology import whole_name
from forensiq.model.device import DeviceEntry

__all__ = ["list_devices"]


def list_devices(path: str | None = None, *, system: System | None = None) -> tuple[DeviceEntry, ...]:
    """Return all drives, or the one that ``path`` is or is a part of."""
    system = system or System()
    if path is None:
        return _list(system)
    return (device_entry(whole_name(system.require_name(path), system), system),)
