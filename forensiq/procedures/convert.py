"""Convert: another container for the same media bytes. It is an acquisition whose source is an image."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from forensiq.images import format_of
from forensiq.images.containers import CONTAINERS
from forensiq.images.folder import image_in_folder
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_job import PlanFacts
from forensiq.procedures.acquire_request import FORMATS, AcquireRequest
from forensiq.streams.progress import Progress

__all__ = ["CONVERT_FORMATS", "convert", "default_compression"]

CONVERT_FORMATS = FORMATS
"""The names of the formats that can be converted to."""


def default_compression(image_format: str) -> str:
    """Return how an image of this format is compressed where nothing else is asked for."""
    kind = CONTAINERS.get(image_format)
    return "fast" if kind is None else kind.compressions[0]


def convert(
    request: AcquireRequest,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_start: Callable[[PlanFacts], None] | None = None,
) -> AcquisitionRecord:
    """Store the medium of the image ``request.source`` in another format; return the record.

    The digests that the image and its record hold are computed again on the way and compared: a difference is a finding
    in the record, and exit code 4. Raises :class:`~forensiq.errors.ImageFormatError` where the source is no image.
    """
    format_of(image_in_folder(Path(request.source)))
    return acquire(request, progress=progress, stop=stop, on_start=on_start)
