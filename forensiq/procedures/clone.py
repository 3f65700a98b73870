"""Clone: a drive, a file or an image, every byte at its own address on another drive or in a file.

The steps, their order and the record are those of an acquisition (:mod:`forensiq.procedures.acquire`); only the place
where the medium is stored is another one. What is asked of the target: :mod:`forensiq.procedures.clone_target`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from forensiq.clock import utc_now
from forensiq.errors import UsageError
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_job import PlanFacts
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.streams.progress import Progress

__all__ = ["clone", "record_stem"]

_STATE = ".state.json"


def record_stem(target: str, *, resume: bool, folder: Path | None = None) -> Path:
    """Return the path stem of the record of a clone to ``target``: ``clone-NAME-UTC`` in ``folder``, here by default.

    With ``resume`` it is that of the clone to a target of this name which did not come to its end, if there is one.
    """
    folder = folder or Path()
    name = Path(target).name or "target"
    prefix = f"clone-{name}-"
    if resume:
        left = sorted(each for each in folder.iterdir() if each.name.startswith(prefix) and each.name.endswith(_STATE))
        if len(left) > 1:
            raise UsageError(
                f"several clones to {name} did not come to their end",
                hint="say which one with --record STEM",
                found=[each.name.removesuffix(_STATE) for each in left],
            )
        if left:
            return left[0].with_name(left[0].name.removesuffix(_STATE))
    return folder / f"{prefix}{utc_now():%Y%m%dT%H%M%SZ}"


def clone(
    request: AcquireRequest,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_start: Callable[[PlanFacts], None] | None = None,
) -> AcquisitionRecord:
    """Clone ``request.source`` to ``request.clone``; ``request.output`` is the stem of the record and its companions.

    Returns the record, also of a run that did not come to its end; refusals are raised, before anything is written.
    """
    if request.clone is None:
        raise UsageError("a clone needs a target")
    if request.clone.excess not in ("keep", "fill"):
        raise UsageError(f"unknown treatment of the excess: {request.clone.excess!r}")
    return acquire(replace(request, format="clone"), progress=progress, stop=stop, on_start=on_start)
