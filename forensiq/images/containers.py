"""The disk images in one file that can be written: their names, sizes, limits and writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from forensiq.errors import UsageError
from forensiq.images.aff4.writer import Aff4Writer, worst_aff4
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.dmg.writer import DmgWriter, largest_dmg, worst_dmg
from forensiq.images.flat_writer import IsoWriter
from forensiq.images.qcow2.writer import Qcow2Writer, largest_qcow2, worst_qcow2
from forensiq.images.vdi.writer import VdiWriter, largest_vdi, worst_vdi
from forensiq.images.vhd.writer import VhdFixedWriter, VhdWriter, largest_vhd, worst_vhd
from forensiq.images.vhdx.writer import VhdxWriter, largest_vhdx, worst_vhdx
from forensiq.images.vmdk.writer import (
    VmdkStreamWriter,
    VmdkWriter,
    largest_vmdk,
    largest_vmdk_stream,
    worst_vmdk,
    worst_vmdk_stream,
)
from forensiq.model.finding import Cause, Finding, Severity

__all__ = ["CONTAINERS", "Container", "container_path"]

_KIB, _MIB = 1 << 10, 1 << 20
_ANY = 1 << 62


class Container(Struct, frozen=True):
    """One kind of disk image. Sizes in bytes.

    ``ending`` is that of its file; a batch is a multiple of ``chunk_size``. ``largest`` is the largest medium and
    ``worst`` the largest file for a medium. ``compressions`` are the words that it takes, the first one by default.
    ``sector_sizes`` are those that the image can state, ``only`` the one that it is for. ``reader`` is what QEMU calls
    the format, where it reads it; it takes a stated sector size only if that is in ``reader_sectors``.
    """

    ending: str
    chunk_size: int
    writer: Callable[[ContainerConfig], ContainerWriter]
    largest: int
    worst: Callable[[int], int]
    compressions: tuple[str, ...] = ("none",)
    sector_sizes: tuple[int, ...] = (512,)
    only: int | None = None
    reader: str | None = None
    reader_sectors: tuple[int, ...] = (512, 2048, 4096)

    def check(self, name: str, media_size: int, sector_size: int, compression: str) -> None:
        """Refuse what the format cannot hold (:class:`~forensiq.errors.UsageError`)."""
        if self.only is not None and sector_size != self.only:
            raise UsageError(
                f"{name} is for media with sectors of {self.only} bytes, and this one has {sector_size}",
                hint="choose another format: raw, for example",
                format=name,
                sector_size=sector_size,
            )
        if media_size > self.largest:
            raise UsageError(
                f"{name} holds media of at most {self.largest:,} bytes, and this one has {media_size:,}",
                hint="vhdx, qcow2, e01 and raw hold larger ones",
                format=name,
                size=media_size,
                largest=self.largest,
            )
        if compression not in self.compressions:
            raise UsageError(
                f"{name} cannot be written with compression {compression!r}",
                hint=f"it takes {', '.join(self.compressions)}",
                format=name,
                compression=compression,
            )

    def read_by_qemu(self, sector_size: int) -> str | None:
        """Return what QEMU calls the format, if it reads an image with this sector size."""
        return self.reader if sector_size in self.reader_sectors else None

    def notes(self, name: str, sector_size: int) -> tuple[Finding, ...]:
        """Return what the image cannot say, or says for others' sake."""
        found: list[Finding] = []
        if sector_size not in self.sector_sizes:
            found.append(
                Finding(
                    Severity.INFO,
                    Cause.NOTE,
                    "container.sector_size",
                    f"{name} cannot state sectors of {sector_size} bytes: every byte is at its place, and the sector "
                    "size is in this record",
                    expected=str(sector_size),
                    found=str(self.sector_sizes[0]),
                )
            )
        if name.startswith("vhd") and name != "vhdx":
            found.append(
                Finding(
                    Severity.INFO,
                    Cause.NOTE,
                    "container.vhd.creator",
                    "the footer names qem2 as its program: by that mark readers take the exact size of the medium and "
                    "not cylinders × heads × sectors",
                )
            )
        return tuple(found)


CONTAINERS: Mapping[str, Container] = {
    "vmdk": Container(".vmdk", 64 * _KIB, VmdkWriter, largest_vmdk(), worst_vmdk, reader="vmdk"),
    "vmdk-stream": Container(
        ".vmdk", 64 * _KIB, VmdkStreamWriter, largest_vmdk_stream(), worst_vmdk_stream, ("fast", "best"), reader="vmdk"
    ),
    "vhd": Container(".vhd", 2 * _MIB, VhdWriter, largest_vhd(), worst_vhd, reader="vpc"),
    "vhd-fixed": Container(".vhd", 64 * _KIB, VhdFixedWriter, largest_vhd(), lambda size: size + 512, reader="vpc"),
    "vhdx": Container(
        ".vhdx",
        4 * _MIB,
        VhdxWriter,
        largest_vhdx(),
        worst_vhdx,
        sector_sizes=(512, 4096),
        reader="vhdx",
        reader_sectors=(512, 2048),
    ),
    "qcow2": Container(
        ".qcow2", 64 * _KIB, Qcow2Writer, largest_qcow2(), worst_qcow2, ("none", "fast", "best"), reader="qcow2"
    ),
    "vdi": Container(".vdi", 1 * _MIB, VdiWriter, largest_vdi(), worst_vdi, reader="vdi"),
    "dmg": Container(".dmg", 64 * _KIB, DmgWriter, largest_dmg(), worst_dmg, reader="dmg"),
    "aff4": Container(
        ".aff4", 32 * _KIB, Aff4Writer, _ANY, worst_aff4, ("fast", "best"), sector_sizes=(512, 2048, 4096)
    ),
    "iso": Container(
        ".iso", 64 * _KIB, IsoWriter, _ANY, lambda size: size, sector_sizes=(2048,), only=2048, reader="raw"
    ),
}
"""Format name → what writes it. A name with a dash is a variant of the format before the dash."""


def container_path(name: str, stem: Path) -> Path:
    """Return the file of an image."""
    return stem.with_name(stem.name + CONTAINERS[name].ending)
