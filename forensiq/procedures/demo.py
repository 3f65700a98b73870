"""The demonstration: a practice drive in a folder of its own, acquired with its two bad areas."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from forensiq.errors import DestinationError, DestinationExistsError
from forensiq.model.image import ImageMetadata
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_job import PlanFacts
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.practice.drive import PracticeDrive, build_practice_drive
from forensiq.streams.progress import Progress

__all__ = ["Demonstration", "acquire_practice_drive", "begin_demonstration"]

_DEFAULT = "forensiq-demo"


class Demonstration(Struct, frozen=True):
    """Where it takes place. ``image`` is the first file of the image that will be made."""

    folder: Path
    drive: PracticeDrive

    @property
    def stem(self) -> Path:
        """The output as it is given to ``acquire``."""
        return self.folder / "ITEM-1"

    @property
    def image(self) -> Path:
        """The first file of the image."""
        return self.folder / "ITEM-1.E01"


def begin_demonstration(folder: Path | None) -> Demonstration:
    """Make the folder and the practice drive in it.

    Without ``folder`` a new one is made here: ``forensiq-demo``, or ``forensiq-demo-2`` and so on. A folder that is
    given must be new or empty (:class:`~forensiq.errors.DestinationExistsError`).
    """
    place = _new_folder() if folder is None else folder
    try:
        place.mkdir(parents=True, exist_ok=folder is not None)
        if any(place.iterdir()):
            raise DestinationExistsError(
                f"{place} is not empty", hint="name a folder that is new or empty", path=str(place)
            )
        return Demonstration(place, build_practice_drive(place / "drive.dd"))
    except OSError as error:
        raise DestinationError(f"{place}: {error.strerror}", path=str(place), errno=error.errno) from error


def acquire_practice_drive(
    demonstration: Demonstration,
    *,
    command: tuple[str, ...],
    progress: Progress,
    stop: threading.Event,
    on_start: Callable[[PlanFacts], None] | None = None,
) -> AcquisitionRecord:
    """Acquire the drive as ``acquire`` does; its bad areas fail, and the case fields say that this is practice."""
    request = AcquireRequest(
        source=str(demonstration.drive.path),
        output=demonstration.stem,
        metadata=ImageMetadata(
            case_number="PRACTICE",
            evidence_number="ITEM-1",
            examiner="forensiq demo",
            description="Practice drive made by forensiq demo",
            notes="Practice: the drive is a file, and its unreadable sectors are simulated.",
        ),
        command=command,
        practice_faults=demonstration.drive.faults(),
    )
    return acquire(request, progress=progress, stop=stop, on_start=on_start)


def _new_folder() -> Path:
    number = 1
    while True:
        place = Path(_DEFAULT if number == 1 else f"{_DEFAULT}-{number}")
        if not place.exists():
            return place
        number += 1
