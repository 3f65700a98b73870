"""Reads raw sectors of CDs (BIN with or without CUE): the data track, as sectors of 2048 bytes.

A raw sector has 2352 bytes: 12 of synchronisation, 3 of address, the mode, then for mode 1 2048 of data, an EDC of 4,
8 zeros and the ECC; for mode 2 a subheader of 8, 2048 of data (form 1), EDC and ECC. Address and EDC are checked.
Source: ECMA-130; for mode 2 *CD-ROM XA*.

The medium is the first data track. Other tracks are listed and not part of it: audio has no 2048-byte sectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.errors import Fact, ImageFormatError, MissingSegmentError
from forensiq.images.crc import edc
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, problem, remark, stated
from forensiq.images.optical.cue import MODES, Track, parse_cue
from forensiq.images.optical.iso import SECTOR, volume_facts
from forensiq.images.parents import find_named
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Plain, Span
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding

__all__ = ["BinCueImage", "open_bincue"]

RAW = 2352
_SYNC = b"\x00" + b"\xff" * 10 + b"\x00"
_MOST_CUE = 1 << 20
_BATCH = 256
_MOST_FINDINGS = 100


class _Place(Struct, frozen=True):
    """Where the sectors of the track are: file number, its first byte, bytes of a sector, where user data begin."""

    file: int
    at: int
    stored: int
    skip: int
    sectors: int
    kind: str


class BinCueImage(MappedImage):
    """The data track of a disc; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "bincue"
    sector_size = SECTOR
    parallel_reads = 2

    def __init__(self, files: SegmentFiles, place: _Place) -> None:
        super().__init__(files, check_size(files.paths[0], place.sectors * SECTOR))
        self.place = place

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        place = self.place
        end = offset + length
        while offset < end:
            number, inside = divmod(offset, SECTOR)
            count = min(end - offset, SECTOR - inside)
            yield Plain(count, place.file, place.at + number * place.stored + place.skip + inside)
            offset += count

    def raw(self, number: int, count: int) -> bytes:
        """Return ``count`` sectors as they are stored; fewer only at the end of the file."""
        place = self.place
        return self.files.read(place.file, place.at + number * place.stored, count * place.stored)

    def check_container(self) -> Iterator[Finding]:
        """Check synchronisation, mode, address and EDC of every raw sector."""
        if self.place.stored != RAW:
            return
        told, shift = 0, None
        for first in range(0, self.place.sectors, _BATCH):
            raw = self.raw(first, min(_BATCH, self.place.sectors - first))
            for index in range(len(raw) // RAW):
                sector = raw[index * RAW : (index + 1) * RAW]
                address = _address(sector)
                if shift is None and address is not None:
                    shift = address - first - index
                wrong = _wrong(sector, address, first + index + (shift or 0))
                if not wrong:
                    continue
                yield problem(
                    "bincue.sector",
                    f"sector {first + index}: {wrong}",
                    cause=Cause.DATA,
                    media=Extent((first + index) * SECTOR, SECTOR),
                )
                told += 1
                if told == _MOST_FINDINGS:
                    yield problem("bincue.sector", "more sectors are damaged; they are not listed", cause=Cause.DATA)
                    return


def _address(sector: bytes) -> int | None:
    try:
        minutes, seconds, frames = (int(f"{value:02x}") for value in sector[12:15])
    except ValueError:
        return None
    return (minutes * 60 + seconds) * 75 + frames - 150


def _wrong(sector: bytes, address: int | None, expected: int) -> str:
    if not sector.startswith(_SYNC):
        return "it does not begin with the synchronisation"
    if address != expected:
        return "its address is not that of its place"
    mode = sector[15]
    if mode == 1:
        stored, computed = sector[2064:2068], edc(memoryview(sector)[:2064])
    elif mode == 2 and not sector[18] & 0x20:
        stored, computed = sector[2072:2076], edc(memoryview(sector)[16:2072])
    elif mode == 2:
        return "it is of form 2, which has no sectors of 2048 bytes"
    else:
        return f"it is of mode {mode}"
    if int.from_bytes(stored, "little") != computed:
        return "its error detection code is wrong"
    return ""


def open_bincue(request: OpenRequest) -> BinCueImage:
    """Open a disc by its cue sheet, or by its only file of raw sectors."""
    path = request.path
    sheet = path if path.suffix.lower() == ".cue" else _sheet_beside(path)
    if sheet is None:
        paths, tracks = [path], [Track(1, _raw_kind(path), path.name, 1, 0, 0)]
    else:
        tracks = parse_cue(sheet, _sheet_text(sheet))
        paths = _files(sheet, tracks, request)
    chosen = next((each for each in tracks if MODES[each.kind][1] >= 0), None)
    if chosen is None:
        raise ImageFormatError(f"{path}: an audio disc: it has no data track", path=str(path))
    files = SegmentFiles(paths if sheet is None else [sheet, *paths])
    try:
        place = _place(files, tracks, chosen, 0 if sheet is None else 1)
        image = BinCueImage(files, place)
    except ImageFormatError:
        files.close()
        raise
    _describe(image, tracks, chosen)
    return image


def _sheet_beside(path: Path) -> Path | None:
    sheet = path.with_suffix(".cue")
    if not sheet.is_file() or sheet.stat().st_size > _MOST_CUE:
        return None
    tracks = parse_cue(sheet, _sheet_text(sheet))
    return sheet if any(find_named(each.file, sheet) == path for each in tracks) else None


def _sheet_text(sheet: Path) -> bytes:
    files = SegmentFiles([sheet])
    try:
        return files.read(0, 0, _MOST_CUE)
    finally:
        files.close()


def _raw_kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if len(head) < 16 or head[15] not in (1, 2):
        raise ImageFormatError(f"{path}: its first raw sector is of no mode that forensiq knows", path=str(path))
    return f"MODE{head[15]}/2352"


def _files(sheet: Path, tracks: list[Track], request: OpenRequest) -> list[Path]:
    found: dict[str, Path] = {}
    missing = []
    for name in dict.fromkeys(each.file for each in tracks):
        path = find_named(name, sheet, request.folders)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        raise MissingSegmentError(
            f"{sheet.name}: {len(missing)} of the files of the disc are not there: {', '.join(missing[:5])}",
            hint="put them beside the cue sheet, or name their folder with --segments-in DIR",
            path=str(sheet),
            missing=missing,
        )
    return list(found.values())


def _place(files: SegmentFiles, tracks: list[Track], chosen: Track, first_file: int) -> _Place:
    """Find the bytes of a track: sectors before it in the same file may be of another size."""
    names = list(dict.fromkeys(each.file for each in tracks))
    file = first_file + names.index(chosen.file)
    same = [each for each in tracks if each.file == chosen.file]
    at = sector = 0
    size = MODES[same[0].kind][0]
    for each in same[: same.index(chosen) + 1]:
        at += (each.first - sector) * size
        sector, size = each.first, MODES[each.kind][0]
    at += (chosen.start - sector) * size
    following = same[same.index(chosen) + 1 :]
    sectors = max(0, files.size(file) - at) // size
    if following:
        sectors = min(sectors, following[0].first - chosen.start)
    if sectors <= 0 or at < 0:
        raise ImageFormatError(f"{files.paths[file]}: the data track does not lie in it", path=str(files.paths[file]))
    return _Place(file, at, size, MODES[chosen.kind][1], sectors, chosen.kind)


def _describe(image: BinCueImage, tracks: list[Track], chosen: Track) -> None:
    place = image.place
    others = [each for each in tracks if each is not chosen]
    facts, found = volume_facts(lambda sector: image.raw(sector, 1)[place.skip : place.skip + SECTOR], image.size)
    values: dict[str, Fact] = {
        "track": chosen.number,
        "mode": place.kind,
        "tracks": [f"{each.number:02d} {each.kind}, session {each.session}, sector {each.start}" for each in tracks],
    }
    image.container.update({**stated(**values), **facts})
    image.noted += found
    rest = image.files.size(place.file) - place.at
    if len(tracks) == 1 and rest % place.stored:
        image.noted.append(problem("bincue.size", "the file does not end with a whole sector: cut off"))
    data = [each for each in others if MODES[each.kind][1] >= 0]
    if data:
        numbers = ", ".join(str(each.number) for each in data)
        image.noted.append(
            remark("bincue.tracks", f"the disc has more data tracks, which are not read: {numbers}", warning=True)
        )
