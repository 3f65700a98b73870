"""A virtual machine over an untouched image: what was decided, and what was observed."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from forensiq.model.finding import Finding
from forensiq.model.ledger import LedgerHead
from forensiq.model.records import ToolFacts

__all__ = ["BootFiles", "BootPlan", "BootRecord", "EvidenceFileFacts", "MachineRun"]


class EvidenceFileFacts(Struct, frozen=True):
    """A file of the image as it was found. Times in nanoseconds since 1970; ``sha256`` where it was computed."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    mode: int
    sha256: str | None = None


class BootPlan(Struct, frozen=True):
    """The machine. Sizes in bytes; ``reasons`` say why it is as it is.

    ``firmware`` is ``bios`` or ``uefi``; ``bus`` one of ``ide``, ``sata``, ``scsi``, ``virtio``, ``nvme``, ``cd``.
    ``media_size`` is that of the image, ``disk_size`` that of the disk that the guest sees.
    """

    firmware: str
    bus: str
    machine: str
    media_size: int
    disk_size: int
    sector_size: int
    memory: int
    processors: int
    network: bool
    firmware_code: str | None
    firmware_variables: str | None
    reasons: tuple[str, ...]


class BootFiles(Struct, frozen=True):
    """What was written, as paths. ``socket`` is where the read-only export listens while it is there."""

    folder: str
    overlay: str
    command: str
    domain: str
    serial: str
    socket: str


class MachineRun(Struct, frozen=True):
    """One run of the export, and of QEMU where that was started. Times are RFC 3339.

    ``reads`` and ``bytes_read`` count what the guest's side asked of the export; ``writes_refused`` what it tried to
    write to it, ``failed_reads`` what could not be given.
    """

    started: str
    finished: str
    qemu: str | None
    exit_status: int | None
    ended_by: str
    reads: int
    bytes_read: int
    failed_reads: int
    writes_refused: int
    overlay_kept: bool


class BootRecord(Struct, frozen=True):
    """Everything about a machine over an image. ``unchanged`` is ``None`` until the evidence was looked at again."""

    status: str
    summary: str
    image: str
    format: str
    plan: BootPlan
    files: BootFiles
    command: tuple[str, ...]
    evidence_before: tuple[EvidenceFileFacts, ...]
    evidence_after: tuple[EvidenceFileFacts, ...] = ()
    unchanged: bool | None = None
    run: MachineRun | None = None
    findings: tuple[Finding, ...] = ()
    tool: ToolFacts | None = None
    details: Mapping[str, str] | None = None
    ledger_head: LedgerHead | None = None
    schema: str = "forensiq/boot/1"
