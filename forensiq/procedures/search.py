"""Search the files, slack and free space of an image; tell content types from endings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from forensiq.analysis.scan import compile_patterns
from forensiq.errors import UsageError
from forensiq.procedures.listing import Listing

__all__ = ["search_image", "types_of_image"]


def search_image(
    listing: Listing,
    *,
    texts: Sequence[str] = (),
    expressions: Sequence[str] = (),
    hexes: Sequence[str] = (),
    free: bool = True,
) -> Iterator[dict[str, Any]]:
    """Yield hits: the entry's place, ``area`` (``file``, ``slack``, ``unallocated``), ``offset`` in the stream (in the
    file system for free space), ``length``, ``pattern``, ``encoding``, ``context`` (hex).

    Literal texts are looked for in UTF-8 and UTF-16, ASCII without regard to case. A match may be 4096 bytes long. A
    pattern that cannot be understood is a :class:`~forensiq.errors.UsageError` before anything is read.
    """
    try:
        compile_patterns(texts, expressions, hexes)
    except (re.error, ValueError) as error:
        raise UsageError(f"a pattern cannot be understood: {error}") from error
    if not (texts or expressions or hexes):
        raise UsageError("nothing to look for")
    request = {"texts": list(texts), "expressions": list(expressions), "hexes": list(hexes), "free": free}
    for fs in listing.file_systems:
        for batch in listing.explorer.walk(fs, do="scan", recovery=True, **request):  # type: ignore[arg-type]
            for line in batch.splitlines():
                yield json.loads(line)


def types_of_image(listing: Listing, *, mismatches: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every stream with content: the keys of ``ls``, ``content_type`` (``None``: not known), ``ending``,
    ``mismatch``; only those that disagree with ``mismatches``."""
    for fs in listing.file_systems:
        for batch in listing.explorer.walk(fs, do="types"):
            for line in batch.splitlines():
                value: dict[str, Any] = json.loads(line)
                if value["mismatch"] or not mismatches:
                    yield value
