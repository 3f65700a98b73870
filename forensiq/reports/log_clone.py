"""The part of an acquisition log that is about the target of a clone."""

from __future__ import annotations

from forensiq.model.records import CloneFacts
from forensiq.reports.phrases import count, value
from forensiq.reports.plain import visible
from forensiq.reports.text_page import TextPage

__all__ = ["clone_part"]


def clone_part(page: TextPage, clone: CloneFacts) -> None:
    """Say what was overwritten, what had no room on it, and what became of the excess."""
    page.heading("Target")
    page.field("Target", f"{value(clone.target)} ({clone.kind}), {count(clone.size, 'byte')} before")
    page.field("Model", value(clone.model))
    page.field("Serial", value(clone.serial))
    if clone.held_data is not None:
        page.field("Before", f"it held {visible(clone.held_data, 200)}; named again as {value(clone.confirmed)}")
    else:
        page.field("Before", "everything that was looked at was zero, or there was nothing")
    if clone.truncated:
        page.field("TRUNCATED", f"the last {count(clone.truncated, 'byte')} of the source are not on it")
    excess = clone.excess
    if excess is None:
        page.field("Excess", "none: the medium ends where the target does")
        return
    done = "left as it was" if excess.mode == "keep" else "filled with zeros"
    page.field("Excess", f"{count(excess.length, 'byte')} from byte {excess.offset:,} on: to be {done}")
    page.field("", f"read back: {excess.verdict}")
    page.field("", f"SHA-256 before: {value(excess.sha256_before)}", f"SHA-256 after: {value(excess.sha256_after)}")
