"""A folder with one image in it stands for that image."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiq.errors import ImageFormatError
from forensiq.images import open_image
from forensiq.images.folder import image_in_folder
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.info import inspect_image
from forensiq.procedures.verify import verify_image


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence")
    source = folder / "source.bin"
    source.write_bytes(bytes(range(256)) * 12000)
    request = AcquireRequest(
        source=str(source), output=folder / "set" / "X", segment_size=1 << 20, compression="none", verify=False
    )
    assert acquire(request).status == "complete"
    return folder / "set"


def test_the_segments_are_found_whatever_comes_first(evidence: Path) -> None:
    assert len(list(evidence.glob("X.E*"))) > 2
    assert image_in_folder(evidence) == evidence / "X.E01"
    assert verify_image(evidence).verdict == "verified"
    assert len(inspect_image(evidence).segments) == len(list(evidence.glob("X.E*")))
    assert image_in_folder(evidence / "X.E02") == evidence / "X.E02"


def test_parts_of_a_raw_image(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        (tmp_path / f"disk.{number:03d}").write_bytes(bytes([number]) * 512)
    with open_image(image_in_folder(tmp_path)) as image:
        assert image.size == 3 * 512


def test_two_images_or_none_are_not_guessed_at(evidence: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="without an image"):
        image_in_folder(tmp_path)
    (tmp_path / "a.dd").write_bytes(bytes(512))
    (tmp_path / "b.E01").write_bytes((evidence / "X.E01").read_bytes())
    (tmp_path / "notes.txt").write_text("EVF")
    with pytest.raises(ImageFormatError, match="holds 2 images"):
        image_in_folder(tmp_path)
