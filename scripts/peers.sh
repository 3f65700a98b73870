#!/bin/sh
# The programs and samples that forensiq is tested against. Installs what is missing where that is allowed, else says
# exactly what is missing and which tests that leaves out. Never fails: the tests skip, and say so.
set -eu

# package: what is left out without it
peers='
ewf-tools: E01 images read and written by libewf (ewfverify, ewfinfo, ewfexport, ewfacquire)
sleuthkit: images and file systems read by The Sleuth Kit (img_stat, mmls, fls)
gddrescue: mapfiles read and written by GNU ddrescue
dcfldd: speed compared with dcfldd
dc3dd: speed compared with dc3dd
nbdkit: block devices and sources with faults
nbdkit-plugin-python: block devices and sources with faults
libnbd-bin: block devices and sources with faults
fuse3: mounted images
e2fsprogs: ext2, ext3 and ext4 file systems
dosfstools: FAT file systems
mtools: FAT file systems
ntfs-3g: NTFS file systems
exfatprogs: exFAT file systems
xfsprogs: XFS file systems
btrfs-progs: Btrfs file systems
fdisk: partition tables (sfdisk)
gdisk: partition tables (sgdisk)
parted: partition tables
dmsetup: device-mapper devices with faults
cryptsetup-bin: encrypted volumes
mdadm: RAID membership
lvm2: LVM membership
qemu-utils: virtual disks read, written and compared by qemu-img
qemu-system-x86: an image that is booted (software emulation)
libvirt-clients: domain files checked by virt-xml-validate
partclone: speed of --scope compared with partclone
softhsm2: keys on PKCS#11 tokens
xmount: images mounted by xmount
smartmontools: health of drives
hdparm: hidden areas of drives
udev: the rule that makes new devices read-only
openssl: signatures and time stamps checked by OpenSSL
poppler-utils: PDF reports read by Poppler (pdftotext, pdfsig)
libxml2-utils: DFXML checked against its schema (xmllint)
forensics-samples-multiple: a real image of Debian with four file systems
'

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing() {
    printf '%s\n' "$peers" | while IFS=: read -r name rest; do
        if [ -n "$name" ] && ! installed "$name"; then printf '%s ' "$name"; fi
    done
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq "$@" </dev/null >/dev/null; }

if ! command -v dpkg-query >/dev/null; then
    echo "peers: not a Debian or Ubuntu system; tests use what they find"
    exit 0
fi

absent=$(missing)
if [ -n "$absent" ] && as_root true; then
    echo "peers: installing $absent"
    apt update || echo "peers: apt-get update failed"
    # One name that this release does not have must not keep the others out.
    apt install -y --no-install-recommends $absent 2>/dev/null ||
        for name in $absent; do apt install -y --no-install-recommends "$name" || true; done
    absent=$(missing)
fi

if [ -n "$absent" ]; then
    echo "peers: not installed, so these tests are left out:"
    for name in $absent; do
        printf '%s\n' "$peers" | sed -n "s/^\($name\): \(.*\)/  \1: \2/p"
    done
    as_root true || echo "peers: to have them all, as root: apt-get install $absent"
else
    echo "peers: all there"
fi
