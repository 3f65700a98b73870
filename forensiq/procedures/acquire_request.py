"""What an acquisition is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import UsageError
from forensiq.images.containers import CONTAINERS
from forensiq.model.digest import DEFAULT_ALGORITHMS, HashAlgorithm
from forensiq.model.image import ImageMetadata
from forensiq.model.media_map import MediaMap
from forensiq.model.quantity import MediaQuantity
from forensiq.procedures.keys import KeyChoice
from forensiq.procedures.scope_choice import ScopeChoice

__all__ = ["COMPRESSIONS", "DEFAULT_BLOCK_HASH_SIZE", "FORMATS", "AcquireRequest", "CaseChoice", "CloneRequest"]

FORMATS = ("e01", "raw", *CONTAINERS)
COMPRESSIONS = ("none", "fast", "best")
DEFAULT_BLOCK_HASH_SIZE = 16 << 20


class CaseChoice(Struct, frozen=True):
    """The case folder and the item that a step belongs to, and the key that signs it.

    The case gives the place of the image, unless ``keeps_output`` says that the place that was named stays.
    """

    folder: Path
    item: str
    key: KeyChoice | None = None
    keeps_output: bool = False


class CloneRequest(Struct, frozen=True):
    """A drive or a file that is to become the clone.

    ``excess`` is ``keep`` or ``fill``: what lies behind the medium on a larger target. ``confirm`` is the target named
    a second time; without it ``ask`` puts the question to a person and returns what was typed.
    """

    target: str
    excess: str = "keep"
    allow_truncated: bool = False
    confirm: str | None = None
    ask: Callable[[str], str | None] | None = None


class AcquireRequest(Struct, frozen=True, kw_only=True):
    """Everything that the command line can ask of an acquisition. Sizes in bytes.

    ``output`` is a path stem; ``segments_in`` are further folders with files of a source that is an image.
    ``segment_size`` of ``None`` is the format's own default. ``set_identifier`` (a UUID) and
    ``metadata.acquired`` are random and now by default; given, the same source gives the same bytes. ``read_timeout``
    (seconds) gives up a read that does not return; ``ddrescue`` is image and map of a rescue by GNU ddrescue to go on
    from; ``priority`` is ``none`` or ``metadata`` (what the file systems use comes first); ``reread`` looks at the
    source a second time. ``spill`` are folders where the image at ``output`` goes on, one after the other, when its
    destination is full. ``command`` is the command line as it was typed.
    ``practice_faults`` are areas that are made to fail, for practice.
    """

    source: str
    output: Path
    segments_in: tuple[Path, ...] = ()
    format: str = "e01"
    compression: str = "fast"
    segment_size: int | None = None
    algorithms: tuple[HashAlgorithm, ...] = DEFAULT_ALGORITHMS
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    copy_to: Path | None = None
    spill: tuple[Path, ...] = ()
    offset: MediaQuantity | None = None
    length: MediaQuantity | None = None
    partition: int | None = None
    retries: int = 1
    read_timeout: float | None = None
    ddrescue: tuple[Path, Path] | None = None
    priority: str = "none"
    reread: bool = False
    verify: bool = True
    resume: bool = False
    allow_low_space: bool = False
    allow_writable: bool = False
    restore_flag: bool = False
    block_hash_size: int | None = DEFAULT_BLOCK_HASH_SIZE
    segment_hash: bool = True
    blocker: str | None = None
    probe: bool = True
    set_identifier: str | None = None
    command: tuple[str, ...] = ()
    practice_faults: MediaMap | None = None
    case: CaseChoice | None = None
    clone: CloneRequest | None = None
    scope: ScopeChoice | None = None
    since: Path | None = None

    @property
    def in_case(self) -> tuple[Path | None, str | None, KeyChoice | None]:
        """Case folder, item and key; three times ``None`` without a case."""
        return (None, None, None) if self.case is None else (self.case.folder, self.case.item, self.case.key)

    def _is_special(self) -> bool:
        return (self.clone is not None and self.format == "clone") or (
            self.since is not None and self.format == "delta"
        )

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is opened (:class:`~forensiq.errors.UsageError`)."""
        if self.format not in FORMATS and not self._is_special():
            raise UsageError(
                f"unknown format {self.format!r}", hint=f"known are {', '.join(FORMATS)}", format=self.format
            )
        if self.compression not in COMPRESSIONS:
            raise UsageError(f"unknown compression {self.compression!r}", compression=self.compression)
        if self.partition is not None and (self.offset is not None or self.length is not None):
            raise UsageError("--partition and --offset/--length exclude each other")
        if self.source == "-" and (self.partition is not None or self.scope is not None or self.reread):
            raise UsageError("a stream is taken as it comes: no partition, no scope, no second look")
        if (self.since is not None) != (self.format == "delta"):
            raise UsageError("--since gives the format: a QCOW2 file over the earlier image")
        if self.since is not None:
            part = self.partition is not None or self.offset is not None or self.length is not None
            if part or self.scope is not None or self.copy_to is not None or self.spill or self.segment_size:
                raise UsageError("--since takes a whole drive into one file: no part, scope, copy, spill or segments")
        if self.scope is not None and not (self.partition is None and self.offset is None and self.length is None):
            raise UsageError("--scope and --partition, --offset or --length exclude each other")
        if self.scope is not None and (self.reread or self.ddrescue is not None or self.clone is not None):
            raise UsageError("--scope does not go with --reread, with a rescue by ddrescue, or with a clone")
        if len(set(self.algorithms)) != len(self.algorithms):
            raise UsageError("a hash algorithm is named twice")
        if self.spill and self.format == "raw" and self.segment_size is None:
            raise UsageError(
                "a raw image in one file cannot go on in another folder",
                hint="split it with --segment-size, or choose the format e01",
            )
        if self.copy_to is not None and self.copy_to.absolute() == self.output.absolute():
            raise UsageError("the second destination is the first one", path=str(self.copy_to))
