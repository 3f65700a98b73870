"""How ``acquire``, ``clone`` and ``convert`` run: what is about to be done, a view of the work, what happened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from forensiq.cli.acquire_view import show_end, show_start
from forensiq.cli.run import Run
from forensiq.errors import ExitCode
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import exit_code_of
from forensiq.procedures.acquire_job import PlanFacts
from forensiq.procedures.progress import Progress

__all__ = ["run_acquisition"]


class _Work(Protocol):
    """A procedure that makes a record; ``on_start`` is called once, before the first byte is read."""

    def __call__(
        self, *, progress: Progress, stop: threading.Event, on_start: Callable[[PlanFacts], None]
    ) -> AcquisitionRecord: ...


def run_acquisition(run: Run, work: _Work) -> ExitCode:
    """Do ``work`` so that it is seen and can be stopped; tell how it ended and return the exit code of its record."""
    progress = Progress(0)

    with run.stoppable() as stop, ExitStack() as view:

        def started(plan: PlanFacts) -> None:
            if not run.json:
                show_start(run, plan)
            # Only now: a live view and what is printed meanwhile would garble each other.
            view.enter_context(run.watch(progress, sector_size=plan.source.sector_size))

        record = work(progress=progress, stop=stop, on_start=started)
    if run.json:
        run.result(record)
    else:
        show_end(run, record)
    return exit_code_of(record)
