"""What stands in an image where nothing was taken: nothing may."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from forensiq.errors import Interrupted
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent
from forensiq.model.finding import Damage
from forensiq.streams.progress import Progress

__all__ = ["check_skipped"]

_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


def check_skipped(
    image: EvidenceImage, skipped: Sequence[Extent], progress: Progress, stop: threading.Event | None = None
) -> tuple[Damage, ...]:
    """Read ``skipped`` (bytes of the medium) and return where the image holds anything but zeros, or is damaged.

    The digests of an acquisition with a scope do not cover these ranges: what stands there was put there by somebody.
    """
    progress.begin("checking what was skipped", sum(each.length for each in skipped), ["check"])
    buffer = memoryview(bytearray(_PIECE))
    found: list[Damage] = []
    for extent in skipped:
        for piece in extent.pieces(_PIECE):
            if stop is not None and stop.is_set():
                raise Interrupted("the verification was stopped; the image is as it was")
            count, damage = image.read_checked(piece.offset, buffer[: piece.length])
            found += damage
            if not damage and not _ZEROS.startswith(buffer[:count]):
                reason = "bytes stand in the image where nothing was taken of the source"
                found.append(Damage(piece, None, "scope.not_empty", reason))
            progress.add("check", piece.length)
    return tuple(found)
