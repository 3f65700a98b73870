"""What is known of the program and the machine that do a step: versions, code digest, clock, destination."""

from __future__ import annotations

import ctypes
import getpass
import hashlib
import os
import platform
import ssl
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path

import forensiq
from forensiq.clock import local_offset, monotonic, utc_now
from forensiq.devices.mounts import mount_over, mounts_of_self
from forensiq.devices.system import System
from forensiq.devices.time_reference import TimeReference, ask_time_reference
from forensiq.model.records import ClockFacts, DestinationFacts, ToolFacts

__all__ = ["clock_facts", "code_digest", "destination_facts", "nearest_folder", "tool_facts"]

_LIBRARIES = (
    "libewf-python", "pytsk3", "click", "rich", "cryptography", "PyNaCl", "isal", "cramjam", "lzfse", "blake3",
    "mfusepy", "msgspec", "tomlkit", "rfc3161-client", "segno", "typst", "pyHanko", "yara-x", "libfsapfs-python",
)  # fmt: skip
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_REFERENCE_LASTS_S = 60


@cache
def code_digest() -> str:
    """Return SHA-256 over all files of this program: path, a zero byte, size, a zero byte, content; by path.

    What Python makes of them (``__pycache__``) is not part of it.
    """
    root = Path(forensiq.__file__).parent
    digest = hashlib.sha256()
    files = (each for each in root.rglob("*") if each.is_file() and each.parent.name != "__pycache__")
    for path in sorted(files, key=lambda each: each.relative_to(root).as_posix()):
        content = path.read_bytes()
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@cache
def tool_facts() -> ToolFacts:
    """Return what this program is, and the versions of all libraries that it asks for."""
    libraries = {name: _version(name) for name in _LIBRARIES}
    libraries["openssl"] = ssl.OPENSSL_VERSION
    system = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return ToolFacts(
        name="forensiq",
        version=forensiq.__version__,
        code_sha256=code_digest(),
        python=platform.python_version(),
        operating_system=f"{system.get('PRETTY_NAME', platform.system())}, Linux {platform.release()}",
        host=platform.node(),
        user=_user(),
        libraries=libraries,
    )


class _Timex(ctypes.Structure):
    # struct timex of adjtimex(2); the kernel writes 208 bytes on 64-bit Linux.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def clock_facts() -> ClockFacts:
    """Return what is known of the clock: adjtimex(2) with no mode set, which changes nothing, and the time service.

    Whether the clock is kept in step with a reference the kernel knows; by how much it differs, only the service does.
    Where none says it, ``method`` has the bound that the kernel keeps.
    """
    zone = local_offset(utc_now())
    reference = _time_reference(int(monotonic() // _REFERENCE_LASTS_S))
    timex = _Timex(modes=0)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    synchronized: bool | None
    if state < 0:
        synchronized, method = None, "not available: the kernel does not answer adjtimex"
    elif state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        synchronized, method = False, "adjtimex: the kernel's clock is not synchronised to a reference"
    else:
        synchronized, method = True, f"adjtimex: synchronised, error at most {timex.maxerror / 1e6:.3f} s"
    if reference is None:
        return ClockFacts(zone, synchronized, method=method)
    return ClockFacts(zone, synchronized, reference.offset_s, f"{method}; {reference.method}")


@lru_cache(maxsize=1)
def _time_reference(_period: int) -> TimeReference | None:
    return ask_time_reference()


def nearest_folder(path: Path) -> Path:
    """Return the folder that exists and that ``path`` lies in, or will lie in."""
    folder = path.absolute().parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def destination_facts(stem: Path, worst_case: int | None) -> DestinationFacts:
    """Return what is known of the place where an image is going to be written. Sizes in bytes."""
    folder = nearest_folder(stem)
    mount = mount_over(str(folder.resolve()), mounts_of_self(System()))
    room = os.statvfs(folder)
    parent = stem.absolute().parent
    return DestinationFacts(
        path=str(stem),
        filesystem=mount.filesystem if mount else None,
        device=mount.source if mount else None,
        free_before=room.f_bavail * room.f_frsize,
        worst_case=worst_case,
        blank=not parent.exists() or not any(parent.iterdir()),
    )
