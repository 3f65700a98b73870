"""Which form the lines of a walk have: what a request names it by, and the kind of frame it travels in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forensiq.analysis.events import EventForm, EventLines
from forensiq.analysis.rendering import BodyLines, JsonLines, Rendering, Rows
from forensiq.streams.frames import FrameKind

__all__ = ["kind_of", "rendering_of"]


def rendering_of(request: Mapping[str, Any], partition: int, offset: int) -> Rendering:
    """Return the form that a request asks for: ``body`` (the prefix of a body file), ``rows``, ``events`` or JSON."""
    if request.get("body") is not None:
        return BodyLines(str(request["body"]))
    if request.get("rows"):
        return Rows()
    if request.get("events"):
        return EventLines(EventForm(request["events"]), partition, offset)
    return JsonLines(partition, offset)


def kind_of(request: Mapping[str, Any]) -> FrameKind:
    """Return how the lines travel."""
    if request.get("body") is not None:
        return FrameKind.TEXT
    if request.get("rows") or request.get("events") in (EventForm.TEXT, EventForm.CSV):
        return FrameKind.ROWS
    return FrameKind.LINES
