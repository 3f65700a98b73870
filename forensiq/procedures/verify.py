"""Verify: is an image still what was acquired, and if not, what is damaged, and where?

1. Find the acquisition record beside the image; one that cannot be used is a finding.
2. Open the image as far as it can be read.
3. Check the container: every section, checksum, table and file.
4. Read every chunk, check it, and digest the medium; hash each segment file meanwhile, where the record knows it.
5. Compare with the digests in the image and in the record, with the record's files and case fields.
6. Where asked for: compare with the drive; ask another reader.
7. Judge, and say it in one sentence.

Nothing is written, and nothing is ever changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from forensiq.clock import monotonic, rfc3339, utc_now
from forensiq.errors import ForensiqError, ImageFormatError
from forensiq.images import FoundRecord, find_record, open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.folder import image_in_folder
from forensiq.images.mapped import MappedImage
from forensiq.images.scope_map import scope_of_reference
from forensiq.model.digest import DEFAULT_ALGORITHMS, DigestSet, HashAlgorithm
from forensiq.model.extent import Extent, subtract
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import Segment
from forensiq.model.ledger import LedgerHead
from forensiq.model.records import DamageFacts, SinceFacts, VerificationRecord
from forensiq.model.reference import AcquisitionReference
from forensiq.model.scope import ChosenScope
from forensiq.procedures.damage_impact import impact_of_damage
from forensiq.procedures.environment import tool_facts
from forensiq.procedures.verify_blocks import check_sample, load_blocks, locate_by_blocks
from forensiq.procedures.verify_chain import base_image, judge_link, record_changed
from forensiq.procedures.verify_more import against_drive, ask_libewf
from forensiq.streams.progress import Progress
from forensiq.verification.blocks import BlockList
from forensiq.verification.comparison import (
    DigestResult,
    compare_digests,
    compare_medium,
    compare_metadata,
    compare_segments,
)
from forensiq.verification.content import ContentResult, check_content, join_damage
from forensiq.verification.files import hash_segments, segment_file
from forensiq.verification.skipped import check_skipped
from forensiq.verification.verdict import Observations, Scope, Verdict, exit_code_of, judge

__all__ = ["exit_code_of", "recorded_facts", "verify_image"]

Hashed = tuple[tuple[Segment, ...], tuple[Finding, ...]]


def verify_image(
    path: Path,
    *,
    structure_only: bool = False,
    sample: float | None = None,
    against: Path | None = None,
    second_opinion: bool = False,
    segments_in: Sequence[Path] = (),
    image_format: str | None = None,
    algorithms: Sequence[HashAlgorithm] = (),
    reference: AcquisitionReference | None = None,
    beside: Path | None = None,
    medium_size: int | None = None,
    read_back: bool = False,
    ledger_head: LedgerHead | None = None,
    files: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> VerificationRecord:
    """Verify the image that ``path`` (any file of it) belongs to, and return everything that was found.

    ``sample`` checks only that many percent of the medium, chosen at random, and says what that is worth.
    ``algorithms`` are computed besides those that there is something to compare with. ``reference`` stands in for the
    record beside the image, ``beside`` is then the folder of its block digests; ``medium_size`` (bytes) is for a medium
    that ends before its device does. ``read_back`` drops the files from the page cache first, so that they are read
    from where they are stored. ``ledger_head`` is where the ledger of the case ended when this began.
    :func:`exit_code_of` gives the exit code of the result.

    Raises :class:`~forensiq.errors.ImageFormatError` where there is no image to verify, and
    :class:`~forensiq.errors.Interrupted` when ``stop`` was set.
    """
    path = image_in_folder(path)
    record = find_record(path) if reference is None else None  # 1
    if record is not None:
        reference = record.reference
    image = open_image(path, format=image_format, segments_in=segments_in, lenient=True, medium_size=medium_size)  # 2
    with image:
        run = _Run(image, reference, record, progress or Progress(image.size), stop)
        run.beside = beside
        if read_back:
            run.forget_pages()
        run.check_container()
        if sample is None:
            run.check_medium(structure_only, algorithms)
        else:
            run.check_sample(sample)
        run.compare()
        if reference is not None and reference.since is not None and not read_back and sample is None:
            run.check_chain(reference.since, segments_in, structure_only)
        if against is not None:
            run.differing, notes = against_drive(image, against, reference, run.progress, stop, run.skipped())
            run.findings += notes
        if second_opinion:
            run.opinion, notes = ask_libewf(image, run.paths(), run.content, run.progress)
            run.findings += notes
        made = replace(run.record(path, read_back), ledger_head=ledger_head)
    return _with_files(made, segments_in, image_format, stop) if files and made.damage else made


def _with_files(
    record: VerificationRecord, segments_in: Sequence[Path], image_format: str | None, stop: threading.Event | None
) -> VerificationRecord:
    found = impact_of_damage(
        Path(record.image),
        [Extent(each.offset, each.length) for each in record.damage],
        image_format=image_format,
        segments_in=segments_in,
        stop=stop,
    )
    if isinstance(found, Finding):
        return replace(record, structure=(*record.structure, found))
    return replace(record, impact=found)


def recorded_facts(record: VerificationRecord) -> dict[str, object]:
    """Return what the ledger of a case says of a verification: verdict, digests that were computed, damage."""
    return {
        "verdict": record.verdict,
        "scope": record.scope,
        "summary": record.summary,
        "media_digests": {name: each.computed for name, each in record.digests.items() if each.computed is not None},
        "damaged_sectors": sum(each.sectors for each in record.damage),
    }


class _Run:
    def __init__(
        self,
        image: EvidenceImage,
        reference: AcquisitionReference | None,
        found: FoundRecord | None,
        progress: Progress,
        stop: threading.Event | None,
    ) -> None:
        self.image = image
        self.reference = reference
        self.found = found
        self.progress = progress
        self.stop = stop
        self.started, self.clock = rfc3339(utc_now()), monotonic()
        self.folder = Path(self.image.identity.path).parent
        self.beside: Path | None = None
        self.segments: tuple[Segment, ...] = tuple(self.image.segments)
        if reference is not None and reference.since is not None:
            # The files of the images it rests on are their own records' business.
            self.segments = self.segments[: len(reference.segments)]
        self.findings: list[Finding] = []
        self.stored = image.stored_digests
        self.recorded = DigestSet() if reference is None else reference.digests
        self.missing = image.missing_media if isinstance(image, EwfImage | MappedImage) else ()
        self.blocks: BlockList | None = None
        self.sampled = ""
        self.content = ContentResult(DigestSet(), DigestSet(), (), 0, 0)
        self.damage: tuple[Damage, ...] = ()
        self.digests = DigestResult({}, (), False)
        self.scope = Scope.FULL
        self.tail = self.image.tail if isinstance(self.image, EwfImage) else b""
        self.differing: int | None = None
        self.opinion: dict[str, str] | None = None
        self.partial: ChosenScope | None = None
        self.scope_known = True

    def skipped(self) -> tuple[Extent, ...]:
        """Return what was not taken of the medium, on purpose."""
        return () if self.partial is None else self.partial.ranges.skipped(self.image.size)

    def find_scope(self) -> bool:
        """Find out what of the medium was taken; false where the record tells of a scope and that is not known."""
        if self.reference is None or self.reference.scope is None:
            return True
        try:
            self.partial = scope_of_reference(self.reference, self.beside or self.folder)
        except ImageFormatError as error:
            self.findings.append(Finding(Severity.ERROR, Cause.METADATA, "scope.map", str(error)))
            return False
        return True

    def paths(self) -> list[Path]:
        return [segment_file(self.folder, segment) for segment in self.segments]

    def forget_pages(self) -> None:
        for path in self.paths():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)

    def check_container(self) -> None:
        if self.found is not None and self.found.finding is not None:
            self.findings.append(self.found.finding)
        self.findings += self.image.check_structure()  # 3
        self.scope_known = self.find_scope()
        self.blocks, unusable = load_blocks(self.image, self.reference, self.beside or self.folder)
        self.findings += unusable

    def check_sample(self, percent: float) -> None:
        self.scope = Scope.SAMPLE
        self.content, self.sampled = check_sample(self.image, percent, self.blocks, self.progress, self.stop)
        self.damage = tuple(join_damage([*self.missing, *self.content.damage]))

    def check_medium(self, structure_only: bool, extra: Sequence[HashAlgorithm]) -> None:
        wanted = [each for each in HashAlgorithm if each in self.stored or each in self.recorded or each in extra]
        if structure_only:
            self.scope, wanted = Scope.STRUCTURE, []
        elif self.missing or not self.scope_known:
            wanted = []
        elif not wanted:
            wanted = list(DEFAULT_ALGORITHMS)
        whole = [Extent(0, self.image.size)] if self.partial is None else self.partial.ranges.extents
        present = subtract(whole, (each.media for each in self.missing))
        with ThreadPoolExecutor(1, "segment-hash") as pool:  # 4
            hashing = self._hash_files(pool, structure_only)
            self.content = check_content(
                self.image, wanted, extents=present, tail=self.tail, progress=self.progress, stop=self.stop
            )
            if hashing is not None:
                self.segments, unreadable = hashing.result()
                self.findings += unreadable
        skipped = subtract(self.skipped(), (each.media for each in self.missing))
        filled = check_skipped(self.image, skipped, self.progress, self.stop) if skipped else ()
        self.damage = tuple(join_damage([*self.missing, *self.content.damage, *filled]))

    def compare(self) -> None:
        reference = self.reference
        self.digests = compare_digests(  # 5
            self.content.digests, self.content.tail_digests, self.stored, self.recorded
        )
        self.findings += self.digests.findings
        if self.blocks is not None and any(each.match is False for each in self.digests.comparisons.values()):
            differing, intact = locate_by_blocks(self.image, self.blocks, self.progress, self.stop)
            self.findings.append(intact)
            known = [each.media for each in self.damage]
            self.damage = tuple(
                join_damage([*self.damage, *(each for each in differing if not any(map(each.media.overlaps, known)))])
            )
        if reference is not None:
            self.findings += compare_medium(self.image, reference)
            self.findings += compare_segments(self.segments, reference)
            self.findings += compare_metadata(self.image.metadata, reference.metadata, self.image.format)
        self._explain_tail()

    def check_chain(self, since: SinceFacts, segments_in: Sequence[Path], structure_only: bool) -> None:
        changed = record_changed(since, self.folder)
        if changed is not None:
            self.findings.append(changed)
        outcome: VerificationRecord | ForensiqError
        try:
            outcome = verified = verify_image(
                base_image(since, self.folder),
                structure_only=structure_only,
                segments_in=segments_in,
                progress=self.progress,
                stop=self.stop,
            )
            self.findings += [each for each in verified.structure if each.code.startswith("chain.")]
        except ForensiqError as error:
            outcome = error
        self.findings.append(judge_link(since, outcome, self.stop))

    def _hash_files(self, pool: ThreadPoolExecutor, structure_only: bool) -> Future[Hashed] | None:
        if structure_only or self.reference is None or not any(each.sha256 for each in self.reference.segments):
            return None
        return pool.submit(hash_segments, self.folder, self.segments, stop=self.stop)

    def _explain_tail(self) -> None:
        if not self.tail:
            return
        count = len(self.tail)
        covered = "the stored digest covers them" if self.digests.tail_used else "no stored digest covers them"
        self.findings.append(
            Finding(
                Severity.WARNING,
                Cause.NOTE,
                "ewf.odd_tail",
                f"the source was not a multiple of its sector: the image stores {count} bytes behind the last whole "
                f"sector, which its stated size does not count; {covered}",
                found=self.tail.hex(),
            )
        )

    def record(self, path: Path, read_back: bool) -> VerificationRecord:
        verdict = self._judge()  # 7
        elapsed = monotonic() - self.clock
        sector = self.image.sector_size
        return VerificationRecord(
            image=str(path),
            format=self.image.format,
            size=self.image.size,
            sector_size=sector,
            verdict=verdict.word,
            summary=self._summary(verdict),
            digests=self.digests.comparisons,
            damage=tuple(_damage_facts(each, sector) for each in self.damage),
            structure=tuple(self.findings),
            segments=self.segments,
            started=self.started,
            finished=rfc3339(utc_now()),
            elapsed_s=elapsed,
            bytes_per_second=self.content.checked_bytes / elapsed if elapsed > 0 else 0.0,
            reference=self._reference(),
            scope=self.scope.value,
            read_back=read_back,
            second_opinion=self.opinion,
            details=self._details(verdict),
            tool=tool_facts(),
            partial_by_scope=self._partial(),
        )

    def _judge(self) -> Verdict:
        return judge(
            Observations(
                self.findings,
                self.damage,
                self.digests.comparisons,
                scope=self.scope,
                sector_size=self.image.sector_size,
                chunk_checks=self._chunk_checks(),
                tail=len(self.tail) if self.digests.tail_used else 0,
                differing=self.differing,
                sample=self.sampled,
                container_proof=self.image.container_proof if isinstance(self.image, MappedImage) else "",
            )
        )

    def _chunk_checks(self) -> bool:
        if isinstance(self.image, MappedImage) and self.image.content_checks:
            return True
        return isinstance(self.image, EwfImage) or (self.scope is Scope.SAMPLE and bool(self.blocks))

    def _partial(self) -> str | None:
        return self.reference.scope.statement if self.reference is not None and self.reference.scope else None

    def _summary(self, verdict: Verdict) -> str:
        words = self._judged(verdict)
        return f"{words} {partial}" if (partial := self._partial()) else words

    def _judged(self, verdict: Verdict) -> str:
        if self.opinion is not None and self.opinion.get("agrees") != "yes" and not self.damage:
            return f"{verdict.summary} The second opinion (libewf) does not confirm it: {self.opinion.get('agrees')}."
        return verdict.summary

    def _reference(self) -> str:
        parts = ["digests in the image"] if self.image.stored_digests else []
        if self.reference is not None:
            parts.append(f"the record {self.found.path.name}" if self.found is not None else "the acquisition's record")
        return " and ".join(parts) or "none"

    def _details(self, verdict: Verdict) -> dict[str, str | int | float | bool | None]:
        details: dict[str, str | int | float | bool | None] = {
            "causes": ", ".join(cause.value for cause in verdict.causes),
            "checked_bytes": self.content.checked_bytes,
            "damaged_bytes": sum(each.media.length for each in self.damage),
            "damaged_ranges_not_listed": self.content.ranges_left_out,
        }
        if self.tail:
            details["odd_tail_bytes"] = len(self.tail)
            for algorithm, text in self.content.digests.items():
                details[f"{algorithm.value}_without_odd_tail"] = text
        if self.differing is not None:
            details["bytes_differing_from_drive"] = self.differing
        return details


def _damage_facts(damage: Damage, sector: int) -> DamageFacts:
    media = damage.media
    first = media.offset // sector
    return DamageFacts(
        offset=media.offset,
        length=media.length,
        first_lba=first,
        sectors=-(-media.end // sector) - first,
        segment=damage.segment,
        code=damage.code,
        reason=damage.reason,
    )
