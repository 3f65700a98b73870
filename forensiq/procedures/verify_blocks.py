"""What block digests add to a verification: which blocks are intact, and a random sample of a large image."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from forensiq.errors import ImageFormatError
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.files import open_read_only
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.reference import AcquisitionReference
from forensiq.streams.progress import Progress
from forensiq.verification.blocks import BlockList, check_blocks, parse_blocks
from forensiq.verification.content import ContentResult, check_content
from forensiq.verification.sampling import choose_sample, confidence_sentence

__all__ = ["check_sample", "load_blocks", "locate_by_blocks"]

_PIECE = 2 << 20
_MAX_FILE = 1 << 30


def load_blocks(
    image: EvidenceImage, reference: AcquisitionReference | None, folder: Path
) -> tuple[BlockList | None, list[Finding]]:
    """Read the block digests that the record in ``folder`` speaks of; a list that cannot be used is a finding."""
    facts = None if reference is None else reference.block_digests
    if facts is None or facts.path is None:
        return None, []
    try:
        return parse_blocks(_content(folder / Path(facts.path).name), facts, image.size), []
    except ImageFormatError as error:
        message = f"the block digests cannot be used: {error}"
        return None, [Finding(Severity.WARNING, Cause.METADATA, "record.blocks", message, where=facts.path)]


def _content(path: Path) -> bytes:
    descriptor, size = open_read_only(path)
    try:
        if size > _MAX_FILE:
            raise ImageFormatError(f"{path.name} is too large to be a list of block digests")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise ImageFormatError(f"{path.name} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def locate_by_blocks(
    image: EvidenceImage, blocks: BlockList, progress: Progress, stop: threading.Event | None
) -> tuple[tuple[Damage, ...], Finding]:
    """Hash every block: return those that differ, and how many are intact."""
    damage = check_blocks(image, blocks, range(len(blocks)), progress=progress, stop=stop)
    intact = len(blocks) - len(damage)
    message = f"{intact:,} of {len(blocks):,} blocks of {blocks.block_size:,} bytes are as they were acquired"
    return damage, Finding(Severity.INFO, Cause.NOTE, "blocks.intact", message)


def check_sample(
    image: EvidenceImage,
    percent: float,
    blocks: BlockList | None,
    progress: Progress,
    stop: threading.Event | None,
) -> tuple[ContentResult, str]:
    """Check a random part: every chunk in it, and the digest of each block where there are block digests.

    Returns the result (without digests) and a sentence on what the sample is worth.
    """
    size = _PIECE if blocks is None else blocks.block_size
    count = -(-image.size // size)
    chosen = choose_sample(count, percent)
    extents = [Extent(index * size, size).intersect(Extent(0, image.size)) for index in chosen]
    result = check_content(image, (), extents=extents, progress=progress, stop=stop)
    damage = list(result.damage)
    if blocks is not None:
        damage += check_blocks(image, blocks, chosen, progress=progress, stop=stop)
    unit = f"pieces of {size:,} bytes" if blocks is None else f"blocks of {size:,} bytes, with their digests,"
    total = sum(each.media.length for each in damage)
    found = ContentResult(DigestSet(), DigestSet(), tuple(damage), total, result.checked_bytes, result.ranges_left_out)
    return found, confidence_sentence(len(chosen), count, unit)
