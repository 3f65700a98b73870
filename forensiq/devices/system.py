"""Where the kernel speaks: the trees of ``/sys``, ``/proc``, ``/run/udev`` and ``/dev``, read in small bounded pieces.

The roots can be other folders, so that tests describe machines that nobody has at hand.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.errors import SourceError, UsageError

__all__ = ["System", "device_path"]

_LONGEST = 1 << 22


class System(Struct, frozen=True):
    """The roots of what the kernel tells; the machine itself by default."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev")
    dev: Path = Path("/dev")

    @property
    def live(self) -> bool:
        """Whether these are the trees of this machine: only then are device nodes looked at, opened and asked."""
        return self.sys == Path("/sys")

    def read(self, path: Path) -> str | None:
        """Return the text of a small file without its white space at both ends; ``None`` where it cannot be read.

        Bytes that are not UTF-8 become lone surrogates, so that paths stay exact.
        """
        try:
            with path.open("rb") as file:
                return file.read(_LONGEST).decode("utf-8", "surrogateescape").strip()
        except OSError:
            return None

    def number(self, path: Path) -> int | None:
        """Return the decimal number in a file; ``None`` where there is none."""
        text = self.read(path)
        return int(text) if text is not None and text.isascii() and text.isdecimal() else None

    def names(self, folder: Path) -> tuple[str, ...]:
        """Return the sorted names in a folder; none where it cannot be read."""
        try:
            return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 asked after every read error, and ten times faster
        except OSError:
            return ()

    def block(self, name: str) -> Path:
        """Return the folder of a block device or partition in sysfs, by its kernel name."""
        return self.sys / "class" / "block" / name

    def exists(self, name: str) -> bool:
        """Say whether the kernel knows a block device of that name."""
        return bool(name) and (self.block(name) / "dev").exists()

    def name_of_number(self, number: str) -> str | None:
        """Return the kernel name of the block device ``major:minor``."""
        try:
            target = (self.sys / "dev" / "block" / number).readlink()
            return self.kernel_name(target.name)
        except OSError:
            return None

    def kernel_name(self, name: str) -> str:
        """Return a name as sysfs writes it (``cciss/c0d0`` is ``cciss!c0d0``)."""
        return name.replace("/", "!")

    def name_of_path(self, path: str | Path) -> str | None:
        """Return the kernel name of the block device that ``path`` (a node or a link to one) is; ``None``: it is none.

        Raises :class:`~forensiq.errors.UsageError` where the path does not exist, and
        :class:`~forensiq.errors.SourceError` where it may not be looked at.
        """
        if not self.live:
            node = os.path.normpath(path)
            if node.startswith("/dev/"):
                node = os.path.realpath(self.dev / node.removeprefix("/dev/"))
            name = os.path.basename(node)
            return name if self.exists(name) else None
        try:
            facts = Path(path).stat()
        except OSError as error:
            kind = UsageError if isinstance(error, (FileNotFoundError, NotADirectoryError)) else SourceError
            raise kind(f"{path}: {error.strerror}", path=str(path), errno=error.errno) from error
        if not stat.S_ISBLK(facts.st_mode):
            return None
        return self.name_of_number(f"{os.major(facts.st_rdev)}:{os.minor(facts.st_rdev)}")

    def require_name(self, path: str | Path) -> str:
        """Return the kernel name of the block device ``path``; a :class:`~forensiq.errors.UsageError` if it is none."""
        name = self.name_of_path(path)
        if name is None:
            raise UsageError(f"{path} is not a block device that the kernel knows", path=str(path))
        return name

    def processes(self) -> Iterator[Path]:
        """Yield the folders of all processes."""
        for name in self.names(self.proc):
            if name.isdecimal():
                yield self.proc / name


def device_path(name: str) -> str:
    """Return the usual path of a device node, by kernel name."""
    return f"/dev/{name.replace('!', '/')}"
