"""Names of partition types, by the codes that tables hold. Sources: util-linux (fdisk), UEFI, FreeBSD, illumos."""

from __future__ import annotations

__all__ = ["BSD_TYPES", "GPT_TYPES", "MBR_TYPES", "SUN_TAGS"]

MBR_TYPES = {
    0x01: "FAT12", 0x04: "FAT16 (< 32 MiB)", 0x05: "extended", 0x06: "FAT16", 0x07: "NTFS or exFAT",
    0x0B: "FAT32 (CHS)", 0x0C: "FAT32 (LBA)", 0x0E: "FAT16 (LBA)", 0x0F: "extended (LBA)", 0x11: "hidden FAT12",
    0x12: "Compaq diagnostics", 0x14: "hidden FAT16 (< 32 MiB)", 0x16: "hidden FAT16", 0x17: "hidden NTFS",
    0x1B: "hidden FAT32 (CHS)", 0x1C: "hidden FAT32 (LBA)", 0x1E: "hidden FAT16 (LBA)", 0x27: "Windows recovery",
    0x39: "Plan 9", 0x42: "Windows dynamic disk", 0x63: "UNIX System V", 0x80: "old Minix", 0x81: "Minix",
    0x82: "Linux swap or Solaris", 0x83: "Linux", 0x84: "hibernation", 0x85: "Linux extended",
    0x86: "NTFS volume set", 0x87: "NTFS volume set", 0x8E: "Linux LVM", 0xA0: "hibernation", 0xA5: "FreeBSD",
    0xA6: "OpenBSD", 0xA8: "Darwin UFS", 0xA9: "NetBSD", 0xAB: "Darwin boot", 0xAF: "Apple HFS or HFS+",
    0xB7: "BSDI", 0xBE: "Solaris boot", 0xBF: "Solaris", 0xDA: "non-file-system data", 0xDE: "Dell utility",
    0xE8: "LUKS", 0xEB: "BeOS", 0xEE: "GPT protective", 0xEF: "EFI system", 0xFB: "VMware VMFS",
    0xFC: "VMware swap", 0xFD: "Linux RAID", 0xFE: "LANstep",
}  # fmt: skip

GPT_TYPES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "024dee41-33e7-11d3-9d69-0008c781f39f": "MBR partition scheme",
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Microsoft LDM metadata",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "Microsoft LDM data",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Microsoft Storage Spaces",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux file system",
    "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
    "44479540-f297-41b2-9af7-d131d5f0458a": "Linux root (x86)",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
    "69dad710-2ce4-4e3c-b16c-21a1d49abed3": "Linux root (ARM)",
    "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (ARM-64)",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
    "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
    "8da63339-0007-60c0-c436-083ac8230908": "Linux reserved",
    "7ffec5c9-2d00-49b7-8941-3ea10a5586b7": "Linux dm-crypt",
    "ca7d7ccb-63ed-4c53-861c-1742536059cc": "Linux LUKS",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
    "83bd6b9d-7f41-11dc-be0b-001560b84f0f": "FreeBSD boot",
    "516e7cb4-6ecf-11d6-8ff8-00022d09712b": "FreeBSD",
    "516e7cb5-6ecf-11d6-8ff8-00022d09712b": "FreeBSD swap",
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b": "FreeBSD UFS",
    "516e7cba-6ecf-11d6-8ff8-00022d09712b": "FreeBSD ZFS",
    "48465300-0000-11aa-aa11-00306543ecac": "Apple HFS or HFS+",
    "7c3457ef-0000-11aa-aa11-00306543ecac": "Apple APFS",
    "53746f72-6167-11aa-aa11-00306543ecac": "Apple CoreStorage",
    "426f6f74-0000-11aa-aa11-00306543ecac": "Apple boot",
    "52414944-0000-11aa-aa11-00306543ecac": "Apple RAID",
    "55465300-0000-11aa-aa11-00306543ecac": "Apple UFS",
    "6a898cc3-1dd2-11b2-99a6-080020736631": "Solaris /usr or ZFS",
    "6a85cf4d-1dd2-11b2-99a6-080020736631": "Solaris root",
    "824cc7a0-36a8-11e3-890a-952519ad3f61": "OpenBSD",
    "fe3a2a5d-4f32-41a7-b725-accc3285a309": "ChromeOS kernel",
    "3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec": "ChromeOS root",
    "2e0a753d-9e48-43b0-8337-b15192cb1b5e": "ChromeOS reserved",
}

BSD_TYPES = {
    0: "unused", 1: "swap", 2: "UNIX version 6", 3: "UNIX version 7", 4: "UNIX System V", 5: "4.1BSD",
    6: "UNIX version 8", 7: "4.2BSD", 8: "FAT", 9: "4.4LFS", 10: "unknown", 11: "HPFS", 12: "ISO 9660", 13: "boot",
    14: "Vinum", 15: "RAID", 17: "ext2", 18: "NTFS", 20: "ccd", 21: "RAIDframe", 22: "ADOS", 23: "HFS", 27: "ZFS",
}  # fmt: skip

SUN_TAGS = {
    0: "unassigned", 1: "boot", 2: "root", 3: "swap", 4: "usr", 5: "backup (whole disk)", 6: "stand", 7: "var",
    8: "home", 9: "alternate sectors", 10: "cache", 11: "reserved", 0x82: "Linux swap", 0x83: "Linux",
    0x8E: "Linux LVM", 0xFD: "Linux RAID",
}  # fmt: skip
