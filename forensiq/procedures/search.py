"""Search the files, slack and free space of an image; tell content types from endings."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensiq.analysis.scan import compile_patterns
from forensiq.errors import UsageError
from forensiq.procedures.listing import Listing

if TYPE_CHECKING:
    from forensiq.analysis.yara_rules import CompiledRules

__all__ = ["read_rules", "search_image", "types_of_image"]


def read_rules(paths: Sequence[Path]) -> CompiledRules | None:
    """Compile YARA rules (``None`` for no file); :class:`~forensiq.errors.UsageError` where that cannot be done."""
    if not paths:
        return None
    # Loaded only here: the compiler is large, and most searches do without.
    from forensiq.analysis.yara_rules import RuleError, compile_rules

    try:
        return compile_rules(paths)
    except RuleError as error:
        raise UsageError(f"the YARA rules cannot be understood: {error}") from error


def search_image(
    listing: Listing,
    *,
    texts: Sequence[str] = (),
    expressions: Sequence[str] = (),
    hexes: Sequence[str] = (),
    yara: CompiledRules | None = None,
    free: bool = True,
) -> Iterator[dict[str, Any]]:
    """Yield hits: the entry's place, ``area`` (``file``, ``slack``, ``unallocated``), ``offset`` in the stream (in the
    file system for free space), ``length``, ``pattern``, ``encoding``, ``context`` (hex).

    Literal texts are looked for in UTF-8 and UTF-16, ASCII without regard to case. A match may be 4096 bytes long. A
    pattern that cannot be understood is a :class:`~forensiq.errors.UsageError` before anything is read. A hit of a
    YARA rule (``encoding`` ``yara``) has its name as ``pattern``, ``namespace``, ``tags`` and ``strings``; its
    ``offset`` is that of its first string.
    """
    try:
        compile_patterns(texts, expressions, hexes)
    except (re.error, ValueError) as error:
        raise UsageError(f"a pattern cannot be understood: {error}") from error
    if not (texts or expressions or hexes or yara):
        raise UsageError("nothing to look for", hint="give --text, --regex, --hex or --yara")
    request: dict[str, Any] = {"texts": list(texts), "expressions": list(expressions), "hexes": list(hexes)}
    request |= {"free": free, "yara": base64.b64encode(yara.compiled).decode("ascii") if yara else None}
    for fs in listing.file_systems:
        for batch in listing.explorer.walk(fs, do="scan", recovery=True, **request):
            for line in batch.splitlines():
                yield json.loads(line)


def types_of_image(listing: Listing, *, mismatches: bool = False) -> Iterator[dict[str, Any]]:
    """Yield every stream with content: the keys of ``ls``, ``content_type`` (``None``: not known), ``ending``,
    ``mismatch``; only those that disagree with ``mismatches``."""
    before = len(listing.losses)

    def find() -> Iterator[bytes]:
        for fs in listing.file_systems:
            yield from listing.explorer.walk(fs, do="types")

    for batch in listing.kept("types", find, lambda: listing.losses[before:]):
        for line in batch.splitlines():
            value: dict[str, Any] = json.loads(line)
            if value["mismatch"] or not mismatches:
                yield value
