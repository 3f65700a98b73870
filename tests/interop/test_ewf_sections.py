"""Single EWF sections made by others: read without anything but our own errors, and with right values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.errors import ForensiqError
from forensiq.images import open_image
from forensiq.images.ewf.header import inflate_text
from forensiq.images.ewf.layout import (
    DigestBody,
    ErrorTable,
    FileHeader,
    HashBody,
    SectionDescriptor,
    SessionTable,
    TableHeader,
    Volume,
)
from tests.support.real_images import real_images

PARSERS: dict[str, Callable[[bytes], object]] = {
    "digest": DigestBody.unpack,
    "error2": ErrorTable.unpack,
    "file header": FileHeader.unpack,
    "hash": HashBody.unpack,
    "descriptor": SectionDescriptor.unpack,
    "session": SessionTable.unpack,
    "table": TableHeader.unpack,
    "volume": Volume.unpack,
    "header": inflate_text,
}


def sections() -> list[Path]:
    return sorted((real_images() / "libewf-sections").iterdir())


@pytest.mark.parametrize("parser", PARSERS)
def test_every_parser_survives_every_section(parser: str) -> None:
    for path in sections():
        try:
            PARSERS[parser](path.read_bytes())
        except ForensiqError:
            continue


def test_the_sections_that_are_ours_are_in_order() -> None:
    folder = real_images() / "libewf-sections"
    assert Volume.unpack((folder / "volume_section_e01.1").read_bytes())[1].ok
    assert DigestBody.unpack((folder / "digest_section.1").read_bytes())[1].ok
    assert HashBody.unpack((folder / "hash_section.1").read_bytes())[1].ok
    assert SectionDescriptor.unpack((folder / "section_descriptor.1").read_bytes())[1].ok
    assert all(each.ok for each in ErrorTable.unpack((folder / "error2_section.1").read_bytes())[1:])


def test_a_single_section_is_no_image(tmp_path: Path) -> None:
    for path in sections():
        with pytest.raises(ForensiqError):
            open_image(path, format="e01", lenient=True)
