"""``forensiq search``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, visible
from forensiq.errors import ExitCode
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.search import read_rules, search_image

__all__ = ["command"]


@forensiq_command("search", example="forensiq search evidence/ITEM-1.E01 --text passport --regex [0-9]{16}")
@click.argument("image", type=PATH)
@click.option("--text", "texts", multiple=True, help="A text, in UTF-8 and UTF-16. Repeatable.")
@click.option("--regex", "expressions", multiple=True, help="A regular expression over bytes (Python's). Repeatable.")
@click.option("--hex", "hexes", multiple=True, metavar="HEX", help="Bytes in hexadecimal. Repeatable.")
@click.option("--yara", "rules", type=PATH, multiple=True, metavar="FILE", help="A file of YARA rules. Repeatable.")
@click.option("--files-only", is_flag=True, help="Not in free space.")
@click.option("--partition", type=int, metavar="N", help="Only this partition.")
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    texts: tuple[str, ...],
    expressions: tuple[str, ...],
    hexes: tuple[str, ...],
    rules: tuple[Path, ...],
    files_only: bool,
    partition: int | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Look for texts, bytes and YARA rules in files (deleted ones too), in the slack behind them, and in free space."""
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    compiled = read_rules(rules)
    if compiled is not None:
        run.record(yara_rules_sha256=compiled.sha256)
    found = 0
    with Listing(reference, partition=partition) as listing:
        hits = search_image(
            listing, texts=texts, expressions=expressions, hexes=hexes, yara=compiled, free=not files_only
        )
        for hit in hits:
            found += 1
            if run.json:
                sys.stdout.write(json.dumps(hit) + "\n")
                continue
            where = visible(hit["path"] or "free space") + (f":{visible(hit['stream'])}" if hit["stream"] else "")
            place = f"{hit['partition']}:{where} byte {hit['offset']:,}"
            slack = " (slack)" if hit["area"] == "slack" else ""
            rule = f" [{visible(hit['pattern'])}]" if hit["encoding"] == "yara" else ""
            sys.stdout.write(f"{place}{slack}{rule}: {_shown(bytes.fromhex(hit['context']))}\n")
        sys.stdout.flush()
        run.note(count(found, "hit"))
        return tell_rest(run, listing)


def _shown(context: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in context if byte)
