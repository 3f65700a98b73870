"""Who a device is, on made-up machines: each bus once, and every missing value with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from forensiq.devices.identity import identity_of
from forensiq.devices.inventory import list_devices
from forensiq.errors import UsageError
from forensiq.model.source import SourceIdentity
from tests.unit.devices.trees import Tree

_SATA = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block"
_USB = "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def _every_gap_has_a_reason(identity: SourceIdentity) -> None:
    gaps = {field.name for field in structs.fields(identity) if getattr(identity, field.name) is None}
    assert gaps == set(identity.unavailable)
    assert all(
        reason.split(":")[0] in ("not applicable", "not available", "unreadable")
        for reason in identity.unavailable.values()
    )


def test_sata_takes_the_long_model_and_the_serial_of_the_drive(tree: Tree) -> None:
    files = {
        "device/model": "Samsung SSD 860 ",
        "device/vendor": "ATA     ",
        "device/rev": "4B6Q",
        "device/timeout": "30",
        "device/wwid": "naa.5002538e40a1b2c3",
        "queue/rotational": "0",
        "queue/discard_max_bytes": "2147450880",
    }
    udev = {
        "ID_BUS": "ata",
        "ID_ATA": "1",
        "ID_MODEL_ENC": "Samsung\\x20SSD\\x20860\\x20EVO\\x20500GB\\x20\\x20",
        "ID_SERIAL_SHORT": "S3Z9NB0K123456",
        "ID_REVISION": "RVT04B6Q",
        "ID_WWN_WITH_EXTENSION": "0x5002538e40a1b2c3",
    }
    tree.disk("sda", "8:0", _SATA, sectors=976773168, files=files, udev=udev)
    identity = identity_of("/dev/sda", tree.system)
    assert identity.size == 500107862016
    assert (identity.sector_size, identity.physical_sector_size) == (512, 4096)
    assert identity.model == "Samsung SSD 860 EVO 500GB"
    assert identity.serial == "S3Z9NB0K123456"
    assert identity.firmware == "RVT04B6Q"
    assert identity.wwn == "0x5002538e40a1b2c3"
    assert (identity.bus, identity.trim, identity.rotational, identity.kernel_timeout_s) == ("sata", True, False, 30)
    assert identity.device_number == "8:0"
    assert "vendor" in identity.unavailable
    _every_gap_has_a_reason(identity)


def test_a_usb_bridge_is_said_to_be_the_origin_of_its_serial(tree: Tree) -> None:
    disk = tree.disk("sdb", "8:16", _USB, files={"device/model": "Ext Disk", "device/vendor": "Seagate"})
    port = disk.parents[5]
    assert port.name == "2-1"
    for name, text in {"idVendor": "0bc2", "idProduct": "ab24", "serial": "NA7L1234", "product": "Backup+"}.items():
        (port / name).write_text(f"{text}\n")
    identity = identity_of("/dev/sdb", tree.system)
    assert (identity.bus, identity.usb_id, identity.serial) == ("usb", "0bc2:ab24", "NA7L1234")
    assert "may differ from the label" in identity.origins["serial"]
    assert identity.vendor == "Seagate"
    assert "udev has no entry" in identity.unavailable["wwn"]
    _every_gap_has_a_reason(identity)


def test_the_unit_serial_number_of_the_drive_goes_before_that_of_the_bridge(tree: Tree) -> None:
    disk = tree.disk("sdb", "8:16", _USB, files={"device/model": "Disk"})
    (disk / "device/vpd_pg80").write_bytes(b"\x00\x80\x00\x0c    WD-WX1234")
    for name in ("idVendor", "idProduct", "serial"):
        (disk.parents[5] / name).write_text("BRIDGE\n")
    identity = identity_of("/dev/sdb", tree.system)
    assert identity.serial == "WD-WX1234"
    assert "page 80h" in identity.origins["serial"]


def test_nvme(tree: Tree) -> None:
    files = {
        "device/model": "WD_BLACK SN770 1TB                      ",
        "device/serial": "22413U800001        ",
        "device/firmware_rev": "731100WD",
        "device/vendor": "0x15b7",
        "wwid": "eui.e8238fa6bf530001001b448b4a1c2d3e",
        "queue/logical_block_size": "4096",
    }
    tree.disk("nvme0n1", "259:0", "pci0000:00/0000:01:00.0/nvme/nvme0", sectors=8000, files=files)
    identity = identity_of("/dev/nvme0n1", tree.system)
    assert (identity.model, identity.serial, identity.firmware) == ("WD_BLACK SN770 1TB", "22413U800001", "731100WD")
    assert (identity.bus, identity.vendor, identity.sector_size) == ("nvme", None, 4096)
    assert identity.size == 8000 * 512, "sysfs counts in 512 bytes, whatever the sectors of the drive"
    assert identity.wwn == "eui.e8238fa6bf530001001b448b4a1c2d3e"


def test_a_partition_has_its_own_size_and_the_identity_of_its_drive(tree: Tree) -> None:
    disk = tree.disk("nvme0n1", "259:0", "pci0000:00/nvme/nvme0", sectors=8000, files={"device/serial": "X1"})
    tree.partition(disk, 1, "259:1", start=2048, sectors=100)
    identity = identity_of("/dev/nvme0n1p1", tree.system)
    assert (identity.size, identity.serial, identity.device_number) == (51200, "X1", "259:1")


def test_a_loop_device_says_what_it_stands_on(tree: Tree) -> None:
    tree.disk("loop0", "7:0", "virtual/block", files={"loop/backing_file": "/tmp/disk image.raw"})
    identity = identity_of("/dev/loop0", tree.system)
    assert identity.bus == "loop"
    assert identity.unavailable["serial"] == "not applicable: loop device over /tmp/disk image.raw"
    _every_gap_has_a_reason(identity)


@pytest.mark.parametrize(("name", "bus"), [("dm-0", "device-mapper"), ("md127", "md")])
def test_built_devices_have_no_serial_because_they_are_none(tree: Tree, name: str, bus: str) -> None:
    tree.disk(name, "253:0", "virtual/block")
    identity = identity_of(f"/dev/{name}", tree.system)
    assert (identity.bus, identity.unavailable["serial"]) == (bus, f"not applicable: {bus} device")


def test_hostile_text_is_bounded_and_one_line(tree: Tree) -> None:
    tree.disk("sda", "8:0", _SATA, files={"device/model": "A\tB\nC" + "x" * 5000})
    model = identity_of("/dev/sda", tree.system).model
    assert model is not None
    assert model.startswith("A B Cxx")
    assert len(model) == 256


def test_bytes_that_are_no_text_do_not_break_a_record(tree: Tree) -> None:
    disk = tree.disk("sda", "8:0", _SATA)
    (disk / "device").mkdir()
    (disk / "device/model").write_bytes(b"A\xff\xfeB\n")
    assert identity_of("/dev/sda", tree.system).model == "A\ufffd\ufffdB"


def test_what_is_no_block_device_is_refused(tree: Tree) -> None:
    with pytest.raises(UsageError):
        identity_of("/dev/sdz", tree.system)


def test_a_listing_has_media_only_drives_first_and_in_order(tree: Tree) -> None:
    tree.disk("loop1", "7:1", "virtual/block", files={"loop/backing_file": "/x"})
    tree.disk("loop0", "7:0", "virtual/block", sectors=0)
    tree.disk("zram0", "253:1", "virtual/block")
    tree.disk("sr0", "11:0", "pci/ata2/host1/block", sectors=0)
    disk = tree.disk("nvme10n1", "259:9", "pci0000:00/nvme/nvme10")
    tree.disk("nvme2n1", "259:2", "pci0000:00/nvme/nvme2")
    udev = {"ID_FS_TYPE": "ntfs", "ID_FS_LABEL_ENC": "My\\x20Data"}
    tree.partition(disk, 10, "259:20", start=64, sectors=8)
    tree.partition(disk, 2, "259:12", start=32, sectors=8, udev=udev)
    entries = list_devices(tree.system)
    assert [entry.path for entry in entries] == ["/dev/nvme2n1", "/dev/nvme10n1", "/dev/loop1"]
    second, tenth = entries[1].partitions
    assert (second.number, second.offset, second.size, second.content, second.label) == (
        2,
        32 * 512,
        8 * 512,
        "ntfs",
        "My Data",
    )
    assert (tenth.number, tenth.content) == (10, None)
    assert entries[2].backing_file == "/x"
