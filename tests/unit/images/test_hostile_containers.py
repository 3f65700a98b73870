"""Containers that are cut off, changed or hostile: each is refused, or what it cannot give is told. Never a crash."""

from __future__ import annotations

import os
import random
import resource
import struct
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.clock import monotonic
from forensiq.errors import ForensiqError, ImageDamageError, ImageFormatError, MissingSegmentError
from forensiq.errors import UnsupportedContentError as Unsupported
from forensiq.images import open_image
from forensiq.images.aff4.reader import Aff4Image
from forensiq.images.detect import detect_format
from forensiq.images.folder import image_in_folder
from forensiq.model.extent import Extent
from tests.support.ewf_builder import mixed_media
from tests.support.packages import build_aff4, build_bin, build_dmg
from tests.support.qcow2 import build_qcow2
from tests.support.virtual_disks import build_vdi, build_vhd, build_vhdx, build_vmdk

MEDIA = mixed_media(100 * 2048)
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "qcow2": lambda folder: build_qcow2(MEDIA, folder / "x.qcow2", compressed=True),
    "vmdk": lambda folder: build_vmdk(MEDIA, folder / "x.vmdk"),
    "stream vmdk": lambda folder: build_vmdk(MEDIA, folder / "x.vmdk", compressed=True),
    "vhd": lambda folder: build_vhd(MEDIA, folder / "x.vhd"),
    "vhdx": lambda folder: build_vhdx(MEDIA, folder / "x.vhdx"),
    "vdi": lambda folder: build_vdi(MEDIA, folder / "x.vdi"),
    "dmg": lambda folder: build_dmg(MEDIA, folder / "x.dmg", "lzfse"),
    "aff4": lambda folder: build_aff4(MEDIA, folder / "x.aff4"),
    "bin": lambda folder: build_bin(MEDIA, folder / "x.bin"),
}
SAID = frozenset({"stream vmdk", "dmg", "aff4"})
"""Formats in which a changed byte of compressed data is seen, because the stream or a checksum tells."""


def _what_comes_of_it(path: Path) -> tuple[bool, bytes]:
    """Return whether anything was told, and the bytes of the medium that were given."""
    try:
        with open_image(path, lenient=True) as image:
            told = any(each.severity.value == "error" for each in image.check_structure())
            buffer = bytearray(min(image.size, 4 << 20))
            _, damage = image.read_checked(0, memoryview(buffer))
            return told or bool(damage), bytes(buffer)
    except ForensiqError:
        return True, b""


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_file_that_was_cut_off_is_never_the_whole_medium_in_silence(tmp_path: Path, kind: str) -> None:
    path = BUILDERS[kind](tmp_path)
    whole = path.read_bytes()
    chance = random.Random(kind)
    for size in sorted(
        {
            20,
            100,
            511,
            513,
            len(whole) - 1,
            *(chance.randrange(len(whole)) for _ in range(25 if len(whole) < 1 << 20 else 8)),
        }
    ):
        path.write_bytes(whole[:size])
        told, data = _what_comes_of_it(path)
        assert told or data == MEDIA, f"cut off at {size} of {len(whole)}"


@pytest.mark.parametrize("kind", BUILDERS)
def test_changed_bytes_give_an_answer_in_bounded_time_and_memory(tmp_path: Path, kind: str) -> None:
    path = BUILDERS[kind](tmp_path)
    whole = path.read_bytes()
    places = [at for at in range(len(whole)) if whole[at]]
    chance = random.Random(kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(30 if len(whole) < 1 << 20 else 8):
        data = bytearray(whole)
        at = chance.choice(places)
        data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", chance.randbytes(4)])
        path.write_bytes(data[: len(whole)])
        start = monotonic()
        told, given = _what_comes_of_it(path)
        assert monotonic() - start < 20
        if kind in SAID and not told and given[: len(MEDIA)] != MEDIA:
            assert len(given) != len(MEDIA), f"{kind}: changed at {at}, and nobody was told"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


def _vmdk_text(folder: Path, text: str) -> Path:
    (folder / "x.vmdk").write_text(f"# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n{text}")
    return folder / "x.vmdk"


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda f: _vmdk_text(f, 'RW 100 FLAT "../../etc/passwd" 0'), MissingSegmentError, "passwd"),
        (lambda f: _vmdk_text(f, f'RW 100 FLAT "{"n" * 300}" 0'), MissingSegmentError, "nnn"),
        (lambda f: build_qcow2(MEDIA, f / "x", only=range(1), backing='json:{"file": "\\ud800"}'),
         MissingSegmentError, "not there"),
        (lambda f: _vmdk_text(f, 'RW 100 FLAT "/etc/passwd" 0'), MissingSegmentError, "passwd"),
        (lambda f: _vmdk_text(f, 'RW 100 SESPARSE "a.vmdk"'), ImageFormatError, "SESPARSE"),
        (lambda f: _vmdk_text(f, "RW 999999999999999999 ZERO"), ImageFormatError, "not possible"),
        (lambda f: _vmdk_text(f, "createType=x"), ImageFormatError, "no extent"),
        (lambda f: _vmdk_text(f, 'encryption.keySafe = "v"\nRW 9 ZERO'), Unsupported, "encrypted VMDK"),
        (
            lambda f: build_vmdk(MEDIA, f / "x.vmdk", parent_cid="2", parent="x.vmdk"),
            ImageFormatError,
            "loop",
        ),
        (lambda f: build_vmdk(MEDIA, f / "x.vmdk", parent_cid="2", parent="y.vmdk"), MissingSegmentError, "y.vmdk"),
        (
            lambda f: build_vhd(MEDIA, f / "x.vhd", kind=4, only=range(1), parent_name="C:\\y.vhd"),
            MissingSegmentError,
            "y.vhd",
        ),
        (
            lambda f: build_vdi(MEDIA, f / "x.vdi", kind=4, only=range(1), parent=b"P" * 16),
            MissingSegmentError,
            str(uuid.UUID(bytes_le=b"P" * 16)),
        ),
        (
            lambda f: build_vhdx(MEDIA, f / "x.vhdx", own=range(9), locator={"relative_path": "..\\y.vhdx"}),
            MissingSegmentError,
            "y.vhdx",
        ),
        (
            lambda f: build_bin(MEDIA, f / "x.bin", cue='FILE "y.bin" BINARY\nTRACK 01 AUDIO\nINDEX 01 00:00:00\n'
                                ).with_suffix(".cue"),
            MissingSegmentError,
            "y.bin",
        ),
        (
            lambda f: build_bin(MEDIA, f / "x.bin", cue='FILE "x.bin" BINARY\nTRACK 01 AUDIO\nINDEX 01 00:00:00\n'
                                ).with_suffix(".cue"),
            ImageFormatError,
            "audio",
        ),
        (
            lambda f: build_aff4(MEDIA, f / "x.aff4", turtle="<a> <b> [ ] ."),
            ImageFormatError,
            "information.turtle",
        ),
        (
            lambda f: build_aff4(MEDIA, f / "x.aff4", more="<aff4://2> a aff4:ImageStream ; aff4:stored <aff4://b> ."),
            MissingSegmentError,
            "aff4://b",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_cannot_be_is_named(
    tmp_path: Path, make: Callable[[Path], Path], error: type[ImageFormatError], said: str
) -> None:
    with pytest.raises(error) as caught:
        open_image(make(tmp_path))
    assert said in caught.value.message
    assert caught.value.exit_code == 9


@pytest.mark.parametrize(
    ("head", "tail", "name"),
    [
        (b"encrcdsa" + bytes(600), b"", "encrypted Apple disk image"),
        (bytes(600), b"cdsaencr", "encrypted Apple disk image"),
        (b"AFF10\r\n\x00....affkey_aes256", b"", "encrypted AFF image"),
        (b"AFF10\r\n\x00" + bytes(600), b"", "an AFF image"),
        (b"QED\x00" + bytes(600), b"", "a QED disk image"),
        (b"WithoutFreeSpace" + bytes(600), b"", "a Parallels disk"),
        (b"\xbe\xba\xfe\xca\x00\x00\x00\x00" + bytes(600), b"", "seSparse"),
        (b"QFI\xfb\x00\x00\x00\x01" + bytes(600), b"", "a QCOW image of version 1"),
        (b"WithouFreSpacExt" + bytes(600), b"", "a Parallels disk"),
        (b"sprs" + bytes(600), b"", "an Apple sparse image"),
        (b"ADSEGMENTEDFILE" + bytes(600), b"", "AD1"),
        (b"LVF\x09\x0d\x0a\xff\x00" + bytes(600), b"", "logical evidence"),
        (b"LEF2\r\n\x81\x00" + bytes(600), b"", "logical evidence"),
    ],
)
@pytest.mark.parametrize("ending", ["img9", "dmg"])
def test_kinds_that_cannot_be_read_are_named(tmp_path: Path, head: bytes, tail: bytes, name: str, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(head + tail)
    with pytest.raises(ImageFormatError) as caught:
        open_image(path)
    assert name in caught.value.message


def test_one_segment_of_a_split_disk_image_is_named(tmp_path: Path) -> None:
    data = bytearray(build_dmg(MEDIA, tmp_path / "x.dmg").read_bytes())
    struct.pack_into(">II", data, len(data) - 512 + 56, 1, 3)
    (tmp_path / "x.dmg").write_bytes(data)
    with pytest.raises(ImageFormatError, match="segment 1 of 3 of a split disk image") as caught:
        open_image(tmp_path / "x.dmg")
    assert "join the segments" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("names", "said"), [(("Info.plist", "bands"), "sparse bundle"), (("DiskDescriptor.xml", "x.hds"), "Parallels")]
)
def test_a_folder_that_is_an_image_by_itself_is_named(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        if "." in name:
            (tmp_path / name).write_bytes(b"x" * 512)
        else:
            (tmp_path / name).mkdir()
    with pytest.raises(ImageFormatError, match=said):
        image_in_folder(tmp_path)


def test_the_first_bytes_of_a_medium_do_not_make_a_container_of_its_raw_image(tmp_path: Path) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.dd", backing="secret")
    assert detect_format(path) == "qcow2"
    assert detect_format(path, "raw") == "raw"


def test_a_zip_bomb_in_an_aff4_is_bounded(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4", turtle="#" * (70 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ImageFormatError):
        open_image(path)


def test_a_stream_that_expands_beyond_its_chunk_is_damage(tmp_path: Path) -> None:
    path = build_vmdk(MEDIA, tmp_path / "x.vmdk", compressed=True)
    data = bytearray(path.read_bytes())
    bomb = zlib.compress(bytes(1 << 20))
    number = next(each for each in range(512) if struct.unpack_from("<I", data, 22 * 512 + each * 4)[0])
    struct.pack_into("<I", data, 22 * 512 + number * 4, len(data) // 512)
    data += struct.pack("<QI", number * 8, len(bomb)) + bomb
    path.write_bytes(data)
    with open_image(path) as image:
        with pytest.raises(ImageDamageError) as caught:
            image.read_into(number * 4096, memoryview(bytearray(4096)))
        assert "more than the 4096 bytes" in caught.value.message


def test_unreadable_and_unknown_regions_of_an_aff4_are_kept_apart(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4", unreadable=range(8192, 12_288), unknown=range(40_960, 49_152))
    with open_image(path) as image:
        assert isinstance(image, Aff4Image)
        assert list(image.acquisition_errors) == [Extent(8192, 4096)]
        assert list(image.unknown_regions) == [Extent(40_960, 8192)]
        buffer = bytearray(len(MEDIA))
        image.read_into(0, memoryview(buffer))
        assert buffer[8192:12_288] == (b"UNREADABLEDATA" * 900)[8192 % 14 :][:4096]
        assert buffer[40_960:49_152] == (b"UNKNOWN" * 2000)[40_960 % 7 :][:8192]
        assert buffer[12_288:40_960] == MEDIA[12_288:40_960]
        assert image.metadata.serial == 'S1 "x"'


def test_a_digest_inside_an_aff4_that_does_not_agree_is_told(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4", "stored")
    with open_image(path) as image:
        assert isinstance(image, Aff4Image)
        assert [each.code for each in image.check_structure()] == []
        assert "MD5 of the stored data" in image.container_proof
    data = bytearray(path.read_bytes())
    data[data.index(b"line 1") + 1] ^= 1
    path.write_bytes(data)
    with open_image(path) as image:
        assert isinstance(image, Aff4Image)
        assert [each.code for each in image.check_structure()] == ["aff4.stream.digest"]
        assert not image.container_proof


def test_a_partition_checksum_of_a_dmg_that_does_not_agree_is_told(tmp_path: Path) -> None:
    path = build_dmg(MEDIA, tmp_path / "x.dmg", "raw", ignore=range(64, 96))
    with open_image(path) as image:
        assert [each.severity.value for each in image.check_structure()] == ["info"]
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with open_image(path) as image:
        codes = {each.code for each in image.check_structure()}
    assert codes >= {"dmg.data.checksum", "dmg.partition.checksum"}


@pytest.mark.parametrize("mode", [1, 2])
def test_a_damaged_raw_sector_is_told_and_named(tmp_path: Path, mode: int) -> None:
    path = build_bin(MEDIA, tmp_path / "x.bin", mode=mode, cue=None)
    with open_image(path) as image:
        assert (image.format, image.sector_size, image.size) == ("bincue", 2048, len(MEDIA))
        buffer = bytearray(image.size)
        image.read_into(0, memoryview(buffer))
        assert bytes(buffer) == MEDIA
        assert list(image.check_structure()) == []
    data = bytearray(path.read_bytes())
    data[7 * 2352 + 500] ^= 1
    data[9 * 2352 + 13] ^= 1
    path.write_bytes(data)
    with open_image(path) as image:
        found = list(image.check_structure())
    assert [each.media for each in found] == [Extent(7 * 2048, 2048), Extent(9 * 2048, 2048)]
    assert "error detection" in found[0].message
    assert "address" in found[1].message


def test_a_data_track_behind_audio_is_found(tmp_path: Path) -> None:
    plain = build_bin(MEDIA, tmp_path / "data.bin", cue=None).read_bytes()
    (tmp_path / "x.bin").write_bytes(bytes(300 * 2352) + plain)
    (tmp_path / "x.cue").write_text(
        'FILE "x.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n'
        " TRACK 02 MODE1/2352\n  INDEX 00 00:02:00\n  INDEX 01 00:04:00\n"
    )
    with open_image(tmp_path / "x.cue") as image:
        buffer = bytearray(image.size)
        image.read_into(0, memoryview(buffer))
        assert bytes(buffer) == MEDIA


def test_a_vhd_without_its_footer_opens_only_for_a_look(tmp_path: Path) -> None:
    path = build_vhd(MEDIA, tmp_path / "x.vhd")
    os.truncate(path, path.stat().st_size - 512)
    with open_image(path) as image:
        assert "vhd.footer" in [each.code for each in image.findings()]
        buffer = bytearray(image.size)
        image.read_into(0, memoryview(buffer))
        assert bytes(buffer) == MEDIA


def test_patterns_take_no_more_time_for_hostile_text(tmp_path: Path) -> None:
    start = monotonic()
    (tmp_path / "x.cue").write_text("REM " * 1000)
    with pytest.raises(ImageFormatError):
        open_image(tmp_path / "x.cue")
    with pytest.raises(ImageFormatError):
        open_image(_vmdk_text(tmp_path, f'a={" " * 500_000}"x"y'))
    assert monotonic() - start < 10
