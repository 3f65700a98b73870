"""APFS volumes made by macOS: entries and content, by The Sleuth Kit and libfsapfs together."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from forensiq.analysis.apfs_compare import Comparison
from forensiq.model.finding import Severity
from forensiq.procedures.hashing import HashRun, hash_files
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.second_opinion import second_opinion
from tests.interop.test_listings_against_tsk import unpacked
from tests.support.real_images import real_images

IMAGES = {
    "dfvfs/apfs.raw.xz": 10,
    "dissect/apfs/case_insensitive.bin.gz": 44,
    "dissect/apfs/case_insensitive_beta.bin.gz": 22,
    "dissect/apfs/case_sensitive.bin.gz": 44,
    "dissect/apfs/jhfs_converted.bin.gz": 29,
}
SMALL, LARGE = "3018c068deefbdebd576fb3d6c0a3541", "a89ab1a7fa3cd69e546744a75da3c059"


def image(name: str, folder: Path) -> Path:
    stored = real_images() / name
    if not stored.exists():
        pytest.skip(f"{name} is not among the real images")
    found = unpacked(stored, folder)
    assert found is not None
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_two_readers_agree_on_every_entry(name: str, tmp_path: Path) -> None:
    with Listing(image_reference(image(name, tmp_path))) as listing:
        opinion = second_opinion(listing)
        assert not listing.losses
    assert opinion.file_systems == 1
    assert opinion.entries == IMAGES[name]
    assert [each for each in opinion.differences if each.severity is not Severity.INFO] == []


def test_compressed_files_have_their_size_and_content(tmp_path: Path) -> None:
    """The Sleuth Kit says 0 bytes of each of them, and gives no content of most."""
    reference = image_reference(image("dissect/apfs/case_insensitive.bin.gz", tmp_path))
    run = HashRun()
    with Listing(reference) as listing:
        sizes = {entry.path: entry.size for entry in listing.entries() if "compressed" in entry.path}
        body = b"".join(listing.body()).decode()
        found = {
            entry["path"]: entry["digests"] and entry["digests"]["md5"]
            for entry in hash_files(listing, reference, run, workers=1)
            if "compressed" in entry["path"]
        }
    kinds = ("zlib", "lzvn", "lzfse")
    assert sizes == {f"/dir/compressed-{kind}-xattr": 116 for kind in kinds} | {
        f"/dir/compressed-{kind}-fork": 7873 for kind in kinds
    }
    assert {found[f"/dir/compressed-{kind}-xattr"] for kind in kinds} == {SMALL}
    assert {found[f"/dir/compressed-{kind}-fork"] for kind in ("zlib", "lzvn")} == {LARGE}
    # libfsapfs cannot unpack this one: it is lost by name, and never shown as empty.
    assert found["/dir/compressed-lzfse-fork"] is None
    assert any(loss.where.path == "/dir/compressed-lzfse-fork" for loss in run.losses)
    assert "|/dir/compressed-zlib-fork|37|r/rrw-r--r--|99|99|7873|" in body


def test_compressed_content_can_be_read_from_the_middle(tmp_path: Path) -> None:
    with Listing(image_reference(image("dissect/apfs/case_insensitive.bin.gz", tmp_path))) as listing:
        fs = next(iter(listing.file_systems))
        (entry,) = listing.explorer.find(fs, "/dir/compressed-zlib-fork")
        whole = b"".join(listing.explorer.read(fs, entry.inode))
        assert hashlib.md5(whole).hexdigest() == LARGE
        assert b"".join(listing.explorer.read(fs, entry.inode, at=5000, length=100)) == whole[5000:5100]


def test_a_difference_is_told(tmp_path: Path) -> None:
    with Listing(image_reference(image("dfvfs/apfs.raw.xz", tmp_path))) as listing:
        lines = [json.loads(line) for batch in listing.batches(recurse=True) for line in batch.splitlines()]

    class Other:
        """A reader that has one file, and that one larger."""

        file_mode, owner_identifier, group_identifier, size, identifier, name = 0o100644, 0, 0, 7, 16, "more"

        def __getattr__(self, name: str) -> object:
            return lambda: 0

    class Volume:
        def entry(self, inode: int) -> Other:
            return Other()

        def entries(self) -> list[tuple[str, Other]]:
            return [("/more", Other())]

    told: list[dict[str, object]] = []
    comparison = Comparison(Volume(), told.append)  # type: ignore[arg-type]
    comparison.ours(next(line for line in lines if line["path"] == "/passwords.txt"))
    comparison.rest()
    assert {(each["path"], each["what"]) for each in told} >= {("/passwords.txt", "size"), ("/more", "entry")}
