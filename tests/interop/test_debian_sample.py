"""A real image that every user of Debian can install: four file systems, made by others; through our E01 and back."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.program import forensiq

SAMPLE = Path("/usr/share/forensics-samples/fs.multiple.xz")
VOLUMES = [(2048, 225280, "Btrfs"), (227328, 81920, "ext4"), (309248, 81920, "exFAT"), (391168, 120832, "NTFS")]
"""First sector, sectors, file system: what mmls and the package's description say."""

pytestmark = pytest.mark.skipif(not SAMPLE.exists(), reason="forensics-samples-multiple is not installed")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, acquired."""
    folder = tmp_path_factory.mktemp("sample")
    with lzma.open(SAMPLE) as packed, (folder / "sample.dd").open("wb") as file:
        shutil.copyfileobj(packed, file)
    forensiq("acquire", folder / "sample.dd", folder / "X", "--quiet").expect(0)
    return folder / "X.E01"


def test_the_volumes_are_those_that_others_see(image: Path) -> None:
    rows = forensiq("partitions", image, "--json").expect(0).lines
    found = [(row["first_lba"], row["sectors"], row["filesystem"]) for row in rows if row["kind"] == "partition"]
    assert found == VOLUMES


def test_what_cannot_be_listed_is_named_and_not_called_empty(image: Path) -> None:
    (row,) = [row for row in forensiq("partitions", image, "--json").expect(0).lines if row["filesystem"] == "Btrfs"]
    assert row["listable"] is False
    assert "not supported" in row["reason"]


@pytest.mark.skipif(shutil.which("fls") is None, reason="The Sleuth Kit is not installed")
@pytest.mark.parametrize("number", [2, 4])
def test_the_files_are_those_that_the_sleuth_kit_lists(number: int, image: Path) -> None:
    start = str(VOLUMES[number - 1][0])
    said = subprocess.run(
        ["fls", "-r", "-p", "-u", "-o", start, str(image)], capture_output=True, text=True, check=True, timeout=60
    )
    theirs = {"/" + line.split("\t", 1)[1] for line in said.stdout.splitlines()}
    entries = forensiq("ls", "-r", image, "--partition", str(number), "--json").expect(0).lines
    ours = {f"{each['path']}:{each['stream']}" if each.get("stream") else each["path"] for each in entries}
    assert theirs
    assert theirs - ours == set()


@pytest.mark.skipif(shutil.which("ewfverify") is None, reason="ewf-tools is not installed")
def test_libewf_verifies_our_image(image: Path) -> None:
    subprocess.run(["ewfverify", "-q", str(image)], capture_output=True, check=True, timeout=120)
