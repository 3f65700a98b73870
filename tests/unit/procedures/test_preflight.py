"""Go or no-go on made-up machines and media."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from forensiq.devices.commands import Ended
from forensiq.devices.identity import identity_of
from forensiq.errors import SourceLostError, SourceReadError
from forensiq.model.preflight import CheckVerdict, PreflightResult
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.procedures.preflight import run_preflight
from forensiq.procedures.preflight_destination import DestinationNeeds, largest_file
from forensiq.procedures.preflight_headers import looks_random
from tests.unit.devices.trees import Tree

_AT = "2026-01-01T00:00:00.000000Z"
_SATA = "pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block"
_MIB = 1 << 20


class _Medium:
    """A medium in memory."""

    sector_size = 512

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.read = 0

    def read_into(self, offset: int, buffer: memoryview) -> int:
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self.read += len(piece)
        return len(piece)


def _nothing_installed(command: tuple[str, ...], timeout_s: float) -> Ended:
    return Ended(_AT, None, "", "", 0.0, missing=True)


def _verdicts(result: PreflightResult) -> dict[str, CheckVerdict]:
    order = list(CheckVerdict)
    found: dict[str, CheckVerdict] = {}
    for check in result.checks:
        found[check.code] = max(found.get(check.code, CheckVerdict.GO), check.verdict, key=order.index)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "machine")
    disk = tree.disk("sdb", "8:16", _SATA, sectors=8192, files={"ro": "1"})
    tree.partition(disk, 1, "8:17", start=2048, sectors=4096)
    tree.mounts("1 1 8:1 / / rw - ext4 /dev/sda1 rw")
    tree.disk("sda", "8:0", _SATA)
    tree.partition(tree.root / "sys/devices" / _SATA / "sda", 1, "8:1", start=8, sectors=8)
    return tree


def _drive(tree: Tree, medium: _Medium | None = None, **more: object) -> PreflightResult:
    identity = identity_of("/dev/sdb", tree.system)
    return run_preflight(identity, medium, runner=_nothing_installed, system=tree.system, **more)  # type: ignore[arg-type]


def _file(data: bytes) -> PreflightResult:
    identity = SourceIdentity(SourceKind.FILE, "/x.raw", len(data), 512)
    return run_preflight(identity, _Medium(data))


def test_a_drive_that_nobody_uses_is_go_and_what_is_unknown_is_said(tree: Tree) -> None:
    result = _drive(tree, _Medium(bytes(4 * _MIB)))
    assert result.go
    verdicts = _verdicts(result)
    assert verdicts["source.in_use"] is CheckVerdict.GO
    assert verdicts["source.write_block"] is CheckVerdict.GO
    assert verdicts["source.encryption"] is CheckVerdict.GO
    assert [verdicts[code] for code in ("source.hpa", "source.dco", "source.smart")] == [CheckVerdict.UNKNOWN] * 3
    assert result.summary == "go: nothing stands in the way; 3 could not be determined"


def test_every_use_is_a_reason_against(tree: Tree) -> None:
    tree.mounts("1 1 8:17 / /media/x rw - vfat /dev/sdb1 rw", "2 1 8:17 / /media/y rw - vfat /dev/sdb1 rw")
    result = _drive(tree)
    assert result.verdict == "no_go"
    assert result.reasons(CheckVerdict.NO_GO) == (
        "/dev/sdb1 is mounted on /media/x (vfat)",
        "/dev/sdb1 is mounted on /media/y (vfat)",
    )
    assert result.summary == "no-go: /dev/sdb1 is mounted on /media/x (vfat) (and 1 more)"
    assert result.facts()["source.in_use"].startswith("no_go: ")


def test_a_destination_on_the_source(tree: Tree, tmp_path: Path) -> None:
    tree.mounts("1 1 8:17 / / rw - ext4 /dev/sdb1 rw")
    assert _verdicts(_drive(tree, output=tmp_path / "out/ITEM"))["destination.place"] is CheckVerdict.NO_GO


def test_a_destination_that_cannot_be_followed_is_unknown(tree: Tree, tmp_path: Path) -> None:
    tree.mounts("1 1 0:99 / / rw - nfs4 server:/x rw")
    assert _verdicts(_drive(tree, output=tmp_path / "out/ITEM"))["destination.place"] is CheckVerdict.UNKNOWN


@pytest.mark.parametrize(
    ("total", "allowed", "expected"),
    [(1, False, CheckVerdict.GO), (1 << 60, False, CheckVerdict.NO_GO), (1 << 60, True, CheckVerdict.WARNING)],
)
def test_room_for_the_worst_case(tree: Tree, tmp_path: Path, total: int, allowed: bool, expected: CheckVerdict) -> None:
    needs = DestinationNeeds(total, 1, 1, allowed)
    result = _drive(tree, output=tmp_path / "out/ITEM", needs=needs)
    assert _verdicts(result)["destination.room"] is expected
    assert result.destination is not None
    assert result.destination.worst_case == total


def test_fat_has_no_file_of_4_gib() -> None:
    assert largest_file("vfat") == 4294967295
    assert largest_file("xfs") is None
    assert largest_file(None) is None


def test_a_folder_that_cannot_be_written_to(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert _verdicts(_drive(tree, output=tmp_path / "ITEM"))["destination.writable"] is CheckVerdict.NO_GO


def test_a_drive_without_medium(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.disk("sdb", "8:16", _SATA, sectors=0, files={"ro": "1"})
    assert _verdicts(_drive(tree))["source.size"] is CheckVerdict.NO_GO


def test_a_drive_that_says_it_is_larger_than_the_kernel_gives(tree: Tree) -> None:
    def smart(command: tuple[str, ...], timeout_s: float) -> Ended:
        text = '{"smart_status": {"passed": true}, "user_capacity": {"bytes": 8388608}}'
        return Ended(_AT, 0, text if command[0] == "smartctl" else "", "", 0.1)

    result = run_preflight(identity_of("/dev/sdb", tree.system), None, runner=smart, system=tree.system)
    assert _verdicts(result)["source.size"] is CheckVerdict.WARNING
    assert "4,194,304 bytes" in "".join(result.reasons(CheckVerdict.WARNING))


def test_without_the_right_to_set_the_flag(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree.root / "sys/class/block/sdb/ro").write_text("0\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert _verdicts(_drive(tree))["source.write_block"] is CheckVerdict.NO_GO
    assert _verdicts(_drive(tree, held=True))["source.write_block"] is CheckVerdict.WARNING


def _luks() -> bytes:
    raw = bytearray(_MIB)
    raw[0:8] = b"LUKS\xba\xbe\x00\x01"
    raw[168:204] = b"01234567-89ab-cdef-0123-456789abcdef"
    return bytes(raw)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_luks(), "LUKS1"),
        (b"\xeb\x58\x90-FVE-FS-" + bytes(_MIB), "BitLocker"),
        (random.Random(7).randbytes(_MIB), "looks random"),
    ],
)
def test_encryption_is_seen_before_the_power_is_cut(data: bytes, words: str) -> None:
    result = _file(data)
    assert result.go, "encryption is no reason against an acquisition"
    assert any(words in text for text in result.reasons(CheckVerdict.WARNING))
    hints = [check.hint for check in result.checks if check.code == "source.encryption"]
    assert hints == ["if the machine it comes from still runs, save the keys before its power is cut"]


class _Failing(_Medium):
    """Fails below ``until``; with ``lost`` everything after that fails, too."""

    def __init__(self, data: bytes, until: int, *, lost: bool) -> None:
        super().__init__(data)
        self.until = until
        self.lost = lost
        self.asked: list[int] = []

    def read_into(self, offset: int, buffer: memoryview) -> int:
        if offset < self.until:
            self.asked.append(offset)
            if self.lost:
                raise SourceLostError("the drive is not responding", offset=offset, timeout_s=1.0)
            raise SourceReadError(offset, len(buffer), 5)
        return super().read_into(offset, buffer)


@pytest.mark.parametrize("lost", [False, True])
def test_headers_that_cannot_be_read_are_not_called_free_of_encryption_and_asked_for_once(lost: bool) -> None:
    medium = _Failing(_luks(), 4096, lost=lost)
    result = run_preflight(SourceIdentity(SourceKind.FILE, "/x.raw", medium.size, 512), medium)
    assert result.go
    assert _verdicts(result)["source.encryption"] is CheckVerdict.UNKNOWN
    (said,) = [check.message for check in result.checks if check.code == "source.encryption"]
    assert "could not be ruled out" in said
    assert ("not responding" in said) is lost
    assert len(medium.asked) == len(set(medium.asked))
    assert len(medium.asked) == 1 if lost else len(medium.asked) < 8


def test_suspicion_needs_more_than_disorder() -> None:
    noise = random.Random(3)
    assert looks_random(noise.randbytes(128 << 10))
    assert not looks_random(bytes(128 << 10))
    assert not looks_random(noise.randbytes(1000)), "too little to tell"
    assert not looks_random(bytes(noise.choices(range(128), k=128 << 10)))
    assert not looks_random(bytes(range(256)) * 512), "evenly spread and no random"
    words = b" ".join(str(number).encode() for number in range(60_000))
    assert not looks_random((zlib.compress(words, 9) * 3)[: 128 << 10])


def test_only_headers_are_read() -> None:
    medium = _Medium(bytes(64 * _MIB))
    run_preflight(SourceIdentity(SourceKind.FILE, "/x.raw", medium.size, 512), medium)
    assert medium.read < 4 * _MIB
