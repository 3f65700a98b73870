"""The map format of GNU ddrescue: text to and from :class:`MediaMap` (no I/O).

Format: GNU ddrescue manual, chapter "Mapfile structure". Positions and sizes are bytes, hexadecimal here, decimal,
octal or hexadecimal when read. ddrescue knows no errno and no retries; forensiq keeps both in comment lines
(``#: 0xPOS 0xSIZE errno=5``), which ddrescue ignores, so that a map of ours comes back as it was.
"""

from __future__ import annotations

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.model.extent import Extent
from forensiq.model.media_map import NOT_TRIED, READ, MediaMap, RangeStatus, ReadStatus

__all__ = ["MapfileState", "format_mapfile", "parse_mapfile"]

_LETTERS = {"?": NOT_TRIED, "+": READ, "-": RangeStatus(ReadStatus.UNREADABLE)} | {
    "*": RangeStatus(ReadStatus.SKIPPED, detail="untrimmed"),
    "/": RangeStatus(ReadStatus.SKIPPED, detail="unscraped"),
}
_PHASES = frozenset("?*/-FG+")


class MapfileState(Struct, frozen=True):
    """The status line: where the rescue stands (byte), in which phase (ddrescue's letter) and which pass (from 1)."""

    position: int = 0
    phase: str = "+"
    current_pass: int = 1


def _letter(state: RangeStatus) -> str:
    match state.status:
        case ReadStatus.READ | ReadStatus.READ_AFTER_RETRY:
            return "+"
        case ReadStatus.UNREADABLE:
            return "-"
        case ReadStatus.SKIPPED if state.detail in ("untrimmed", "unscraped"):
            return "*" if state.detail == "untrimmed" else "/"
        case _:
            return "?"


def format_mapfile(media_map: MediaMap, state: MapfileState, comments: tuple[str, ...] = ()) -> str:
    """Return ``media_map`` as the text of a mapfile; ``comments`` stand at its top, a line each."""
    lines = ["# Mapfile. GNU ddrescue format, written by forensiq"]
    lines += [f"# {_plain(comment)}" for comment in comments]
    lines += [
        "# current_pos  current_status  current_pass",
        f"0x{state.position:08X}     {state.phase}               {state.current_pass}",
        "#      pos        size  status",
    ]
    pending: tuple[Extent, str] | None = None
    notes: list[str] = []
    for extent, each in media_map:
        letter = _letter(each)
        if each not in _LETTERS.values():
            notes.append(f"#: 0x{extent.offset:08X}  0x{extent.length:08X}  {_note(each)}")
        if pending and pending[1] == letter:
            pending = (Extent.between(pending[0].offset, extent.end), letter)
            continue
        if pending:
            lines.append(_row(*pending))
        pending = (extent, letter)
    if pending:
        lines.append(_row(*pending))
    return "\n".join(lines + notes) + "\n"


def _plain(comment: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in comment)


def _row(extent: Extent, letter: str) -> str:
    return f"0x{extent.offset:08X}  0x{extent.length:08X}  {letter}"


def _note(state: RangeStatus) -> str:
    words = [state.status.value]
    if state.errno is not None:
        words.append(f"errno={state.errno}")
    if state.detail is not None:
        words.append(f"detail={state.detail}")
    return " ".join(words)


def parse_mapfile(text: str, size: int | None = None) -> tuple[MediaMap, MapfileState]:
    """Return the map and the state that ``text`` holds.

    ``size`` is the size of the medium in bytes; without it, the end of the last row. What no row covers was not tried.
    Rows that overlap, run backwards or leave the medium are an :class:`ImageFormatError` that names the line.
    """
    state: MapfileState | None = None
    rows: list[tuple[Extent, RangeStatus]] = []
    notes: list[tuple[Extent, RangeStatus]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith("#:"):
                notes.append(_parse_note(line[2:].split()))
            elif line.strip() and not line.startswith("#"):
                words = line.split("#", 1)[0].split()
                if state is None:
                    state = _parse_state(words)
                else:
                    rows.append(_parse_row(words))
                    if len(rows) > 1 and rows[-1][0].offset < rows[-2][0].end:
                        raise ValueError("rows overlap or run backwards")
        except (ValueError, IndexError, KeyError) as error:
            raise ImageFormatError(f"line {number} of the map is not valid: {error}", line=number) from error
    if state is None:
        raise ImageFormatError("the map has no status line")
    end = max((extent.end for extent, _ in rows), default=0)
    if size is not None and end > size:
        raise ImageFormatError(f"the map covers {end} bytes, the medium has {size}", map_size=end, size=size)
    result = MediaMap(end if size is None else size)
    for extent, each in rows:
        result.mark(extent, each)
    for extent, each in notes:
        if extent.end <= result.size and _agrees(result, extent, each):
            result.mark(extent, each)
    return result, state


def _agrees(media_map: MediaMap, extent: Extent, state: RangeStatus) -> bool:
    # A note only explains: where another program has changed the rows since, the rows win.
    return all(_letter(row) == _letter(state) for _, row in media_map.ranges(within=extent))


def _parse_state(words: list[str]) -> MapfileState:
    phase = words[1]
    if phase not in _PHASES:
        raise ValueError(f"unknown phase {phase!r}")
    return MapfileState(int(words[0], 0), phase, int(words[2], 0) if len(words) > 2 else 1)


def _parse_row(words: list[str]) -> tuple[Extent, RangeStatus]:
    if len(words) != 3:
        raise ValueError("a row has a position, a size and a status")
    return Extent(int(words[0], 0), int(words[1], 0)), _LETTERS[words[2]]


def _parse_note(words: list[str]) -> tuple[Extent, RangeStatus]:
    errno: int | None = None
    detail: str | None = None
    for word in words[3:]:
        key, _, value = word.partition("=")
        if key == "errno":
            errno = int(value)
        elif key == "detail":
            detail = value
    return Extent(int(words[0], 0), int(words[1], 0)), RangeStatus(ReadStatus(words[2]), errno, detail)
