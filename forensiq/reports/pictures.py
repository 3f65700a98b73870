"""The pictures of a report: medium map, read rate, shares, custody time line. Each carries its statement in words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime

from forensiq.clock import parse_rfc3339
from forensiq.model.records import RateSample
from forensiq.model.report import CustodyEvent, MediumRange
from forensiq.reports.document import Picture
from forensiq.reports.phrases import count, rate, share, size
from forensiq.reports.svg import DARK, LIGHT, MIDDLE, Drawing

__all__ = ["custody_line", "medium_map", "read_rate", "shares"]

_WIDTH = 720.0
_COLUMNS, _ROWS, _CELL = 90, 10, 8.0
_STATES = ("unreadable", "not_tried", "skipped", "read_after_retry", "read")  # worst first: one byte marks its cell


def medium_map(medium: Sequence[MediumRange], medium_size: int, unreadable_sectors: int) -> Picture:
    """Draw the whole medium as a grid; a cell shows the worst that is in it, however small."""
    cells = min(_COLUMNS * _ROWS, max(1, medium_size // 512))
    worst = [len(_STATES)] * cells
    for each in medium:
        rank = _STATES.index(each.status) if each.status in _STATES else 1
        if not each.media:
            continue
        first = each.media.offset * cells // medium_size
        last = min(cells - 1, (each.media.end - 1) * cells // medium_size)
        for index in range(first, last + 1):
            worst[index] = min(worst[index], rank)
    rows = -(-cells // _COLUMNS)
    drawing = Drawing(_WIDTH, rows * (_CELL + 1.5) + 24, "map of the medium")
    for index, rank in enumerate(worst):
        x, y = index % _COLUMNS * _CELL, index // _COLUMNS * (_CELL + 1.5)
        if rank in (1, 2, len(_STATES)):
            drawing.crossed(x, y, _CELL - 1, _CELL)
        else:
            drawing.box(x, y, _CELL - 1, _CELL, {0: DARK, 3: MIDDLE, 4: LIGHT}[rank])
    y = rows * (_CELL + 1.5) + 8
    for place, (fill, words) in enumerate(
        ((LIGHT, "read"), (MIDDLE, "read after retries"), (DARK, "unreadable"), ("", "not read: skipped or not tried"))
    ):
        x = place * 160.0
        if fill:
            drawing.box(x, y, 9, 9, fill)
        else:
            drawing.crossed(x, y, 9, 9)
        drawing.text(x + 14, y + 8, words)
    dark = sum(rank == 0 for rank in worst)
    statement = (
        f"{count(cells, 'cell')}, each {size(-(-medium_size // cells))} of the medium; "
        f"{count(dark, 'cell')} with unreadable sectors"
    )
    return Picture(
        drawing.svg(),
        f"Map of the medium: {statement}.",
        f"The medium from its first to its last sector: {statement}. A cell is dark if a single sector in it could "
        f"not be read ({count(unreadable_sectors, 'sector')} in all).",
    )


def read_rate(samples: Sequence[RateSample], medium_size: int) -> Picture | None:
    """Draw how fast the medium was read over its length; ``None`` where that was not recorded."""
    if not samples or medium_size <= 0:
        return None
    top = max(sample.bytes_per_second for sample in samples)
    if top <= 0:
        return None
    left, right, height = 96.0, _WIDTH - 8, 120.0
    drawing = Drawing(_WIDTH, height + 34, "read rate over the medium")
    base = height + 8

    def spot(offset: int, speed: float) -> tuple[float, float]:
        return left + (right - left) * min(1.0, offset / medium_size), base - height * speed / top

    curves: list[list[tuple[float, float]]] = [[]]
    before = 0
    for sample in samples:
        if sample.start is not None and sample.start != before:
            curves.append([])
            before = sample.start
        curves[-1] += [spot(before, sample.bytes_per_second), spot(sample.offset, sample.bytes_per_second)]
        before = sample.offset
    for curve in filter(None, curves):
        drawing.area([(curve[0][0], base), *curve, (curve[-1][0], base)])
        drawing.line(curve, DARK, 1.25)
    drawing.line([(left, 8), (left, base), (right, base)], MIDDLE)
    drawing.text(left - 6, 16, rate(top), anchor="end")
    drawing.text(left - 6, base, "0", anchor="end")
    drawing.text(left, base + 16, "start of the medium")
    drawing.text(right, base + 16, f"end ({size(medium_size)})", anchor="end")
    low = min(sample.bytes_per_second for sample in samples)
    words = f"between {rate(low)} and {rate(top)} in {count(len(samples), 'sample')}"
    return Picture(drawing.svg(), f"Read rate over the medium: {words}.", f"Read rate over the medium: {words}.")


def shares(medium_size: int, zero_bytes: int | None, unreadable_bytes: int, unread_bytes: int) -> Picture | None:
    """Draw which share of the medium is data, zeros, unreadable; ``zero_bytes`` may include fill."""
    if medium_size <= 0:
        return None
    lost = unreadable_bytes + unread_bytes
    zeros = None if zero_bytes is None else max(0, zero_bytes - lost)
    data = max(0, medium_size - lost - (zeros or 0))
    drawing = Drawing(_WIDTH, 46, "shares of the medium")
    x = 0.0
    parts = [("data" if zeros is not None else "read, data or zeros", data, MIDDLE)]
    if zeros is not None:
        parts.append(("zeros", zeros, LIGHT))
    parts += [("unreadable", unreadable_bytes, DARK), ("not read", unread_bytes, "")]
    legend = 0.0
    for name, part, fill in parts:
        wide = _WIDTH * part / medium_size
        if part:
            wide = max(wide, 1.5)  # what is there is seen, however small
            if fill:
                drawing.box(min(x, _WIDTH - wide), 0, wide, 20, fill)
            else:
                drawing.crossed(min(x, _WIDTH - wide), 0, wide, 20)
            x += wide
        if fill:
            drawing.box(legend, 30, 9, 9, fill)
        else:
            drawing.crossed(legend, 30, 9, 9)
        drawing.text(legend + 14, 38, f"{name} {share(part, medium_size)}")
        legend += 185
    words = ", ".join(f"{name} {size(part)} ({share(part, medium_size)})" for name, part, _ in parts)
    remark = " Zeros are counted in whole units of 32 KiB." if zeros is not None else " Zeros were not counted."
    return Picture(drawing.svg(), f"Shares of the medium: {words}.", f"Shares of the medium: {words}.{remark}")


def custody_line(events: Sequence[CustodyEvent]) -> Picture | None:
    """Draw when the entries of the ledger were written; numbers are sequence numbers; ``None`` for fewer than two."""
    moments = [(_seconds(event.utc), event) for event in events]
    known = [(at, event) for at, event in moments if at is not None]
    if len(known) < 2:
        return None
    start, end = min(at for at, _ in known), max(at for at, _ in known)
    span = max(end - start, 1.0)
    drawing = Drawing(_WIDTH, 84, "custody time line")
    left, right, y = 20.0, _WIDTH - 20, 50.0
    drawing.line([(left, y), (right, y)], MIDDLE, 1.5)
    taken: list[list[float]] = [[], [], []]
    for at, event in known:
        x = left + (right - left) * (at - start) / span
        hand_over = "transfer" in event.action
        drawing.dot(x, y, 5.0 if hand_over else 3.0, DARK if hand_over else MIDDLE)
        for row, used in enumerate(taken):
            place = bisect_right(used, x)
            if not any(abs(x - other) < 26 for other in used[max(0, place - 1) : place + 1]):
                used.insert(place, x)
                drawing.text(x, y - 10 - 12 * row, f"{event.seq}", size=11, anchor="middle")
                break
    drawing.text(left, y + 24, _moment(start))
    drawing.text(right, y + 24, _moment(end), anchor="end")
    words = f"{count(len(known), 'entry', 'entries')} of the ledger between {_moment(start)} and {_moment(end)}"
    return Picture(
        drawing.svg(),
        f"Custody time line: {words}.",
        f"{words[0].upper()}{words[1:]}; the numbers are those of the table, large dots are hand-overs. "
        "Numbers that would overlap are left out.",
    )


def _seconds(text: str) -> float | None:
    try:
        return parse_rfc3339(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
