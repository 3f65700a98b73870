"""The files that stand beside an image: their names, and how they are written.

``acquire SOURCE X`` makes ``X.E01 …`` (or ``X.dd``, or ``X.001 …``), ``X.record.json``, ``X.log.txt``, ``X.map`` and
``X.blocks.csv``. While it is being written there is ``X.state.json`` too: what ``--resume`` needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.errors import DestinationExistsError, ImageFormatError, UsageError
from forensiq.images.containers import CONTAINERS
from forensiq.model.jsonable import to_json
from forensiq.streams.durable import write_durably

__all__ = ["EvidenceFiles", "parse_json_object", "stem_of"]

_IMAGE_ENDINGS = {
    "e01": (".e01",),
    "raw": (".dd", ".raw", ".img", ".001"),
    "delta": (".qcow2",),
    **{name: (kind.ending,) for name, kind in CONTAINERS.items()},
}
_MAX_JSON = 64 << 20


def stem_of(output: Path, image_format: str) -> Path:
    """Return the stem that ``output`` names: the path itself, without the ending of an image where it was typed."""
    if output.name in ("", ".", ".."):
        raise UsageError(
            f"{output} names a folder", hint="give a path with a name, as evidence/ITEM-1", path=str(output)
        )
    ending = output.suffix.lower()
    if ending in _IMAGE_ENDINGS.get(image_format, ()) and output.stem:
        return output.with_suffix("")
    if image_format in CONTAINERS and any(ending in each for each in _IMAGE_ENDINGS.values()):
        raise UsageError(
            f"{output.name} is not the name of a {image_format} image: that ends in {CONTAINERS[image_format].ending}",
            path=str(output),
            format=image_format,
        )
    return output


class EvidenceFiles(Struct, frozen=True):
    """The paths that belong to one stem."""

    stem: Path

    def _beside(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending)

    @property
    def record(self) -> Path:
        """The acquisition record (JSON)."""
        return self._beside(".record.json")

    @property
    def log(self) -> Path:
        """The record for people."""
        return self._beside(".log.txt")

    @property
    def map(self) -> Path:
        """The GNU ddrescue mapfile."""
        return self._beside(".map")

    @property
    def blocks(self) -> Path:
        """The block digests."""
        return self._beside(".blocks.csv")

    @property
    def state(self) -> Path:
        """What a resumed acquisition needs; gone when the image is complete."""
        return self._beside(".state.json")

    @property
    def rescue_store(self) -> Path:
        """Bytes of a failing drive that wait for their turn; gone when the image is complete."""
        return self._beside(".rescue.part")

    @property
    def rescue_map(self) -> Path:
        """The mapfile of the rescue store (or of a raw image that is its own store); gone with it."""
        return self._beside(".rescue.map")

    def all_sidecars(self) -> Iterator[Path]:
        """Yield every path beside the image itself."""
        yield from (self.record, self.log, self.map, self.blocks, self.state)

    def refuse_existing(self) -> None:
        """Raise :class:`~forensiq.errors.DestinationExistsError` where one of them exists."""
        for path in (*self.all_sidecars(), self.rescue_store, self.rescue_map):
            if path.exists() or path.is_symlink():
                raise DestinationExistsError(
                    f"{path} exists: an acquisition was written there before",
                    hint="choose another name, or go on with --resume",
                    path=str(path),
                )

    def write_json(self, path: Path, value: object) -> str:
        """Write ``value`` as JSON to ``path`` (replacing our own earlier version); return the file's SHA-256."""
        return self.write_text(path, self.json_text(value))

    @staticmethod
    def json_text(value: object) -> str:
        """Return ``value`` as the text of a JSON file."""
        return json.dumps(to_json(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write_text(self, path: Path, text: str) -> str:
        """Write ``text`` as UTF-8 to ``path`` (replacing our own earlier version); return the file's SHA-256."""
        # Names that are no valid UTF-8 carry surrogates; they stay recognisable instead of ending the run.
        data = text.encode("utf-8", "backslashreplace")
        write_durably(path, data, replace=True)
        return hashlib.sha256(data).hexdigest()


def parse_json_object(path: Path) -> dict[str, object]:
    """Return the JSON object in ``path``; :class:`~forensiq.errors.ImageFormatError` where there is none."""
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ImageFormatError(f"{path} is too large to be one of forensiq's files", path=str(path))
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ImageFormatError(f"{path} cannot be read: {error}", path=str(path)) from error
    if not isinstance(value, dict):
        raise ImageFormatError(f"{path} does not hold a JSON object", path=str(path))
    return value
