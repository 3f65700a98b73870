"""The counters that a command hands to a procedure and watches meanwhile."""

from __future__ import annotations

from forensiq.streams.progress import Progress

__all__ = ["Progress"]
