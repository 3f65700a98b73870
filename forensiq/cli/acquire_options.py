"""The options that acquiring and converting share, and what becomes of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from forensiq.cli.options import HASH, PATH, SIZE
from forensiq.errors import UsageError
from forensiq.model.digest import DEFAULT_ALGORITHMS, HashAlgorithm
from forensiq.model.image import ImageMetadata

__all__ = ["DEFAULT_BLOCKS", "algorithms", "block_size", "case_fields", "command_line", "image_options", "metadata"]

DEFAULT_BLOCKS = "16MiB"

_IMAGE = (
    click.option(
        "--compression", type=click.Choice(["none", "fast", "best"]), default="fast", show_default=True,
        help="For E01: fast (deflate level 1), best (smaller, several times slower), none.",
    ),
    click.option("--segment-size", type=SIZE, help="Largest size of a file (E01: 1500MiB; raw: one file)."),
    click.option(
        "--hash", "hashes", type=HASH, multiple=True, metavar="ALG",
        help="md5, sha1, sha256, sha512 or blake3; may be repeated.  [default: md5 and sha256]",
    ),
    click.option("--copy-to", type=PATH, metavar="STEM", help="A second image, written and verified at the same time."),
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


image_options = _apply(_IMAGE)
"""How the image is written: compression, segments, digests, a second copy, verification."""
case_fields = _apply(_CASE_FIELDS)
"""What the image says of the case."""


def algorithms(hashes: tuple[HashAlgorithm, ...]) -> tuple[HashAlgorithm, ...]:
    """Return what was asked for, or the default, in one order and without repetitions."""
    return tuple(each for each in HashAlgorithm if each in (hashes or DEFAULT_ALGORITHMS))


def block_size(text: str) -> int | None:
    """Return the block size in bytes, ``None`` for ``none``."""
    if text == "none":
        return None
    size: int = SIZE.convert(text, None, None)
    if size == 0:
        raise UsageError("blocks of 0 bytes cannot be digested", hint="say 'none' for no block digests")
    return size


def metadata(fields: dict[str, str], acquired_at: str | None) -> ImageMetadata:
    """Return the case fields as they were typed."""
    return ImageMetadata(
        case_number=fields["case_number"],
        evidence_number=fields["evidence_number"],
        examiner=fields["examiner"],
        description=fields["description"],
        notes=fields["notes"],
        acquired=acquired_at,
    )


def command_line() -> tuple[str, ...]:
    """Return the command line of this process, for the record."""
    return tuple(sys.argv)
