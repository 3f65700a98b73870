"""Which program's kind of EWF an image is. A statement for people: the reader does not depend on it."""

from __future__ import annotations

from forensiq.images.ewf.scan import ScannedImage

__all__ = ["describe_flavour"]


def describe_flavour(scan: ScannedImage) -> str:
    """Name the kind of EWF, as far as sections and header keys tell; the kinds overlap.

    Source: J. Metz, *Expert Witness Compression Format (EWF)*, the tables of header keys and of sections by program.
    """
    kinds, keys = scan.statements.kinds, scan.statements.metadata.other
    if scan.short_volume:
        return "SMART" if scan.volume.signature == b"SMART" else "EnCase 1"
    if kinds & {"xheader", "xhash"}:
        return "EWF-X"
    if "header2" not in kinds:
        return "EnCase 2 or 3, or FTK Imager" if "r" in keys else "linen"
    if "ext" in keys or "pid" in keys:
        return "EnCase 7"
    if any(group.base for group in scan.placement.groups[:1]):
        return "EnCase 6"
    return "EnCase 4 or 5"
