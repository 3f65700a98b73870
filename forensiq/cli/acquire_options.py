"""The options that acquiring and converting share, and what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from forensiq.cli.options import HASH, PATH, SIZE, STEM
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.errors import UsageError
from forensiq.model.digest import DEFAULT_ALGORITHMS, HashAlgorithm
from forensiq.model.image import ImageMetadata
from forensiq.procedures.acquire_request import CaseChoice

__all__ = [
    "DEFAULT_BLOCKS",
    "case_choice",
    "case_fields",
    "case_options",
    "from_image",
    "image_options",
    "place",
    "reading_options",
    "request_fields",
]

DEFAULT_BLOCKS = "16MiB"

_IMAGE = (
    click.option(
        "--compression", type=click.Choice(["none", "fast", "best"]), default="fast", show_default=True,
        help="For E01: fast, best (smaller, several times slower), none.",
    ),
    click.option("--segment-size", type=SIZE, help="Largest size of a file (E01: 1500MiB; raw: one file)."),
    click.option(
        "--hash", "hashes", type=HASH, multiple=True, metavar="ALG",
        help="md5, sha1, sha256, sha512 or blake3; may be repeated.  [default: md5 and sha256]",
    ),
    click.option("--copy-to", type=STEM, metavar="STEM", help="A second image, written and verified at the same time."),
    click.option("--spill", type=PATH, multiple=True, metavar="DIR",
                 help="Go on in this folder when the destination of OUTPUT is full; may be repeated."),
    click.option(
        "--block-hash-size", default=DEFAULT_BLOCKS, show_default=True, metavar="SIZE|none",
        help="SHA-256 of every block of this size, so that damage can be told from what is intact.",
    ),
    click.option("--no-segment-hash", is_flag=True, help="No SHA-256 of each image file in the record."),
    click.option("--no-verify", is_flag=True, help="Do not read the image back and verify it."),
    click.option("--retries", type=click.IntRange(0, 1000), default=1, show_default=True,
                 help="How often a sector that cannot be read is tried again."),
    click.option("--allow-low-space", is_flag=True, help="Start although the worst case does not fit."),
    click.option("--set-guid", metavar="UUID", help="Identifier of the E01 set.  [default: random]"),
    click.option("--acquired-at", metavar="TIME", help="Time in the case fields, RFC 3339.  [default: now]"),
)  # fmt: skip
_FROM_IMAGE = (
    click.option(
        "--segments-in", type=PATH, multiple=True, metavar="DIR",
        help="A further folder with segments, extents or parents of a source that is an image. Repeatable.",
    ),
)  # fmt: skip
_CASE_FIELDS = (
    click.option("--case-number", default="", help="Case number."),
    click.option("--evidence-number", default="", help="Evidence (exhibit) number."),
    click.option("--examiner", default="", help="Who does this."),
    click.option("--description", default="", help="What the evidence is."),
    click.option("--notes", default="", help="Notes."),
)


def _apply(options: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_CASE = (
    click.option("--case", "case_folder", type=PATH, metavar="DIR", help="Case folder: it gives the place."),
    click.option("--item", metavar="ID", help="The evidence item in the case."),
)


def case_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--case``, ``--item`` and the options of signing; pass them to :func:`case_choice`."""
    decorated: Callable[..., Any] = _apply(_CASE)(signing_options(function))
    return decorated


def case_choice(given: dict[str, Any]) -> CaseChoice | None:
    """Return the case and the item that were named; both or none."""
    folder, item = given["case_folder"], given["item"]
    if (folder is None) != (item is None):
        raise UsageError("--case DIR and --item ID belong together")
    return None if folder is None else CaseChoice(folder, item, key_choice(given["key"], given["passphrase_fd"]))


def place(output: Path | None, case: CaseChoice | None) -> Path:
    """Return the stem that was typed; in a case the case gives it."""
    if output is not None and case is not None:
        raise UsageError("the case folder gives the place: leave out OUTPUT", output=str(output))
    if output is None and case is None:
        raise UsageError("OUTPUT is missing", hint="name a path like evidence/ITEM-1, or use --case DIR --item ID")
    return output if output is not None else Path()


image_options = _apply(_IMAGE)
"""How the image is written: compression, segments, digests, a second copy, verification."""
from_image = _apply(_FROM_IMAGE)
"""Where the files of a source are that is an image."""
case_fields = _apply(_CASE_FIELDS)
"""What the image says of the case."""

_READING = (
    click.option("--read-timeout", type=float, metavar="SECONDS", help="Give up a read that takes longer."),
    click.option(
        "--priority", type=click.Choice(["none", "metadata"]), default="none", show_default=True,
        help="metadata: save what the file systems use first (tables, directories, files), then the rest.",
    ),
    click.option("--continue-ddrescue", type=(PATH, PATH), metavar="IMAGE MAP", help="Go on from ddrescue's."),
    click.option("--reread", is_flag=True, help="Read the source a second time and list what reads differently."),
)  # fmt: skip
reading_options = _apply(_READING)
"""How a source that may fail is read."""


def request_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an ``AcquireRequest`` that the options in ``given`` are; a command has those it offers."""
    fields = {name: given[name] for name in _AS_THEY_ARE if name in given}
    fields |= {field: given[option] for option, field in _UNDER_ANOTHER_NAME.items() if option in given}
    fields |= {field: not given[option] for option, field in _TURNED.items() if option in given}
    return fields | {
        "algorithms": _algorithms(given["hashes"]),
        "metadata": _metadata(given),
        "block_hash_size": _block_size(given["block_hash_size"]),
        "command": tuple(sys.argv),
    }


_AS_THEY_ARE = ("segments_in", "compression", "segment_size", "copy_to", "spill", "offset", "length", "partition",
                "retries", "read_timeout", "priority", "reread", "resume", "allow_low_space", "allow_writable",
                "restore_flag", "blocker", "since")  # fmt: skip
_UNDER_ANOTHER_NAME = {"continue_ddrescue": "ddrescue", "set_guid": "set_identifier"}
_TURNED = {"no_verify": "verify", "no_segment_hash": "segment_hash", "no_probe": "probe"}


def _algorithms(hashes: tuple[HashAlgorithm, ...]) -> tuple[HashAlgorithm, ...]:
    """Return what was asked for, or the default, in one order and without repetitions."""
    return tuple(each for each in HashAlgorithm if each in (hashes or DEFAULT_ALGORITHMS))


def _block_size(text: str) -> int | None:
    if text == "none":
        return None
    size: int = SIZE.convert(text, None, None)
    if size == 0:
        raise UsageError("blocks of 0 bytes cannot be digested", hint="say 'none' for no block digests")
    return size


def _metadata(given: Mapping[str, Any]) -> ImageMetadata:
    names = ("case_number", "evidence_number", "examiner", "description", "notes")
    return ImageMetadata(**{name: given[name] for name in names}, acquired=given.get("acquired_at"))
