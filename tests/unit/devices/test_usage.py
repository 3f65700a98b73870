"""Who uses a drive, on made-up machines: every way in which it can be in use, however many layers up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forensiq.devices.system import System
from forensiq.devices.topology import device_holding, lies_on, whole_device_of
from forensiq.devices.usage import usage_of
from forensiq.devices.write_block import refuse_if_used
from forensiq.errors import ExitCode, SourceInUseError
from forensiq.model.device import UseKind
from tests.unit.devices.trees import Tree

_SATA = "pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A machine with two drives; nothing of them is in use."""
    tree = Tree(tmp_path)
    for name, number in (("sda", "8:0"), ("sdb", "8:16")):
        disk = tree.disk(name, number, _SATA)
        base = int(number.split(":")[1])
        for index in (1, 2):
            tree.partition(disk, index, f"8:{base + index}", start=64 * index, sectors=64)
    return tree


def _disk(tree: Tree, name: str) -> Path:
    return (tree.root / "sys/class/block" / name).resolve()


def _uses(path: str, system: System) -> list[tuple[str, UseKind]]:
    return [(use.device, use.kind) for use in usage_of(path, system).uses]


def test_nothing_uses_it(tree: Tree) -> None:
    usage = usage_of("/dev/sda", tree.system)
    assert not usage.in_use
    assert usage.not_checked == ()
    refuse_if_used("/dev/sda", tree.system)


@pytest.mark.parametrize("asked", ["/dev/sda", "/dev/sda1", "/dev/sda2"])
def test_a_mounted_partition_makes_the_whole_drive_used(tree: Tree, asked: str) -> None:
    tree.mounts("22 1 8:1 / /mnt/with\\040space rw,relatime shared:1 - ext4 /dev/sda1 rw")
    assert _uses(asked, tree.system) == [("/dev/sda1", UseKind.MOUNT)]
    assert usage_of(asked, tree.system).uses[0].detail == "is mounted on /mnt/with space (ext4)"
    assert _uses("/dev/sdb", tree.system) == []
    with pytest.raises(SourceInUseError) as caught:
        refuse_if_used(asked, tree.system)
    assert caught.value.exit_code == ExitCode.REFUSED
    assert "/mnt/with space" in caught.value.message


def test_a_read_only_mount_is_a_use_too(tree: Tree) -> None:
    tree.mounts("22 1 8:0 / /mnt ro,relatime - vfat /dev/sda ro")
    assert "read-only" in usage_of("/dev/sda", tree.system).uses[0].detail


def test_bind_mounts_are_all_named(tree: Tree) -> None:
    tree.mounts("22 1 8:1 / /a rw - ext4 /dev/sda1 rw", "23 1 8:1 /sub /b rw - ext4 /dev/sda1 rw")
    assert [use.detail for use in usage_of("/dev/sda", tree.system).uses] == [
        "is mounted on /a (ext4)",
        "is mounted on /b (ext4)",
    ]


def test_a_mount_in_another_namespace(tree: Tree) -> None:
    tree.process(77, namespace="mnt:[2]")
    tree.process(78, namespace="mnt:[2]")
    for number in (77, 78):
        tree.mounts("22 1 8:17 / /hidden rw - ext4 /dev/sdb1 rw", process=str(number))
    uses = usage_of("/dev/sdb", tree.system).uses
    assert len(uses) == 1
    assert "process 77" in uses[0].detail or "process 78" in uses[0].detail


def test_a_namespace_that_cannot_be_read_is_said(tree: Tree) -> None:
    tree.process(77, namespace="mnt:[2]")
    (tree.root / "proc/77/ns/mnt").unlink()
    assert usage_of("/dev/sdb", tree.system).not_checked == ("mounts as seen by 1 process that could not be looked at",)


def test_swap_through_a_link(tree: Tree) -> None:
    tree.link("disk/by-uuid/1", "sda2")
    tree.swaps("/dev/disk/by-uuid/1")
    assert _uses("/dev/sda", tree.system) == [("/dev/sda2", UseKind.SWAP)]


def test_dm_on_a_partition_mounted_higher_up(tree: Tree) -> None:
    luks = tree.disk("dm-0", "253:0", "virtual/block", files={"dm/name": "luks-home"})
    volume = tree.disk("dm-1", "253:1", "virtual/block", files={"dm/name": "vg-root"})
    tree.hold(_disk(tree, "sda2"), luks)
    tree.hold(luks, volume)
    tree.mounts("22 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw")
    assert _uses("/dev/sda", tree.system) == [
        ("/dev/sda2", UseKind.HOLDER),
        ("/dev/dm-0", UseKind.HOLDER),
        ("/dev/dm-1", UseKind.MOUNT),
    ]
    assert "device-mapper luks-home" in usage_of("/dev/sda", tree.system).uses[0].detail


def test_an_array_uses_all_its_members(tree: Tree) -> None:
    array = tree.disk("md0", "9:0", "virtual/block", files={"md/level": "raid1"})
    tree.hold(_disk(tree, "sda1"), array)
    tree.hold(_disk(tree, "sdb"), array)
    assert _uses("/dev/sda", tree.system) == [("/dev/sda1", UseKind.HOLDER)]
    assert _uses("/dev/sdb2", tree.system) == [("/dev/sdb", UseKind.HOLDER)]


def test_a_loop_device_over_the_node_and_a_mount_of_its_partition(tree: Tree) -> None:
    loop = tree.disk("loop3", "7:3", "virtual/block", files={"loop/backing_file": "/dev/sda"})
    tree.partition(loop, 1, "259:1", start=8, sectors=8)
    tree.mounts("22 1 259:1 / /mnt rw - vfat /dev/loop3p1 rw")
    assert _uses("/dev/sda", tree.system) == [("/dev/sda", UseKind.LOOP), ("/dev/loop3p1", UseKind.MOUNT)]


def test_every_member_of_a_mounted_btrfs_is_used(tree: Tree) -> None:
    pool = tree.root / "sys/fs/btrfs/4c1d-uuid/devices"
    pool.mkdir(parents=True)
    for member in ("sda", "sdb"):
        (pool / member).symlink_to(_disk(tree, member))
    tree.mounts("22 1 0:44 / /pool rw - btrfs /dev/sda rw")
    assert _uses("/dev/sdb", tree.system) == [("/dev/sdb", UseKind.MOUNT)]


def test_a_program_that_writes_is_a_use_and_one_that_reads_is_none(tree: Tree) -> None:
    tree.process(50, opened={"/dev/sda": os.O_RDONLY | os.O_CLOEXEC})
    assert _uses("/dev/sda", tree.system) == []
    tree.process(51, opened={"/dev/sda2": os.O_RDWR | os.O_CLOEXEC})
    usage = usage_of("/dev/sda", tree.system)
    assert [(use.device, use.kind) for use in usage.uses] == [("/dev/sda2", UseKind.OPEN_FOR_WRITING)]
    assert "prog51 (51)" in usage.uses[0].detail


def test_membership_without_use_is_told_and_does_not_forbid(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    disk = tree.disk("sda", "8:0", _SATA)
    tree.partition(disk, 1, "8:1", start=8, sectors=8, udev={"ID_FS_TYPE": "linux_raid_member"})
    tree.partition(disk, 2, "8:2", start=16, sectors=8, udev={"ID_FS_TYPE": "LVM2_member"})
    usage = usage_of("/dev/sda", tree.system)
    assert not usage.in_use
    assert usage.members == {"/dev/sda1": "Linux RAID (md)", "/dev/sda2": "LVM"}


def test_lines_that_make_no_sense_are_passed_over(tree: Tree) -> None:
    tree.mounts("", "rubbish", "22 1 8:1 / /mnt rw", " - ", "1 2 8:1 / /ok rw - ext4 /dev/sda1")
    assert [use.detail for use in usage_of("/dev/sda", tree.system).uses] == ["is mounted on /ok (ext4)"]


class TestWhereADestinationLies:
    def test_on_a_partition(self, tree: Tree) -> None:
        tree.mounts("1 1 8:17 / / rw - ext4 /dev/sdb1 rw", "2 1 8:1 / /mnt rw - ext4 /dev/sda1 rw")
        assert lies_on("/mnt/case/deep/er", "/dev/sda", tree.system) is True
        assert lies_on("/mnt/case", "/dev/sda2", tree.system) is True
        assert lies_on("/mntx/case", "/dev/sda", tree.system) is False
        assert device_holding("/mnt/x", tree.system).devices == ("sda1", "sda")

    def test_through_dm_over_md(self, tree: Tree) -> None:
        array = tree.disk("md0", "9:0", "virtual/block")
        volume = tree.disk("dm-0", "253:0", "virtual/block")
        tree.hold(_disk(tree, "sda1"), array)
        tree.hold(_disk(tree, "sdb"), array)
        tree.hold(array, volume)
        tree.mounts("1 1 253:0 / / rw - xfs /dev/mapper/v rw")
        assert lies_on("/anything", "/dev/sda", tree.system) is True
        assert lies_on("/anything", "/dev/sdb", tree.system) is True

    def test_through_a_loop_device_over_a_file(self, tree: Tree) -> None:
        tree.disk("loop0", "7:0", "virtual/block", files={"loop/backing_file": "/images/fs.raw"})
        tree.mounts(
            "1 1 8:17 / / rw - ext4 /dev/sdb1 rw",
            "2 1 8:1 / /images rw - ext4 /dev/sda1 rw",
            "3 1 7:0 / /store rw - ext4 /dev/loop0 rw",
        )
        assert lies_on("/store/out", "/dev/sda", tree.system) is True
        assert lies_on("/store/out", "/dev/sdb", tree.system) is False

    def test_a_source_that_is_a_loop_over_the_destinations_disk_is_fine(self, tree: Tree) -> None:
        tree.disk("loop0", "7:0", "virtual/block", files={"loop/backing_file": "/images/evidence.raw"})
        tree.mounts("1 1 8:1 / / rw - ext4 /dev/sda1 rw")
        assert lies_on("/out", "/dev/loop0", tree.system) is False

    def test_through_an_overlay(self, tree: Tree) -> None:
        tree.mounts(
            "1 1 8:1 / / rw - ext4 /dev/sda1 rw",
            "2 1 0:50 / /box rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w",
        )
        assert lies_on("/box/out", "/dev/sda", tree.system) is True

    def test_on_btrfs_with_two_devices(self, tree: Tree) -> None:
        pool = tree.root / "sys/fs/btrfs/uuid/devices"
        pool.mkdir(parents=True)
        for member in ("sda1", "sdb1"):
            (pool / member).symlink_to(_disk(tree, member))
        tree.mounts("1 1 0:44 / / rw - btrfs /dev/sda1 rw")
        assert lies_on("/out", "/dev/sdb", tree.system) is True

    def test_memory_is_on_no_drive(self, tree: Tree) -> None:
        tree.mounts("1 1 0:20 / / rw - tmpfs tmpfs rw")
        assert lies_on("/out", "/dev/sda", tree.system) is False

    def test_what_cannot_be_followed_is_not_called_safe(self, tree: Tree) -> None:
        tree.mounts("1 1 0:20 / / rw - fuse.sshfs user@host: rw")
        assert lies_on("/out", "/dev/sda", tree.system) is None
        assert device_holding("/out", tree.system).undetermined == "fuse.sshfs file system from user@host:"

    def test_the_source_itself_or_a_part_of_it(self, tree: Tree) -> None:
        tree.mounts("1 1 8:17 / / rw - ext4 /dev/sdb1 rw")
        tree.link("disk/by-id/x", "sda1")
        assert lies_on("/dev/sda2", "/dev/sda1", tree.system) is True
        assert lies_on("/dev/disk/by-id/x", "/dev/sda", tree.system) is True
        assert whole_device_of("/dev/disk/by-id/x", tree.system) == "/dev/sda"
