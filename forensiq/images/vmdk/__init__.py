"""VMDK, the disks of VMware: reader and writers."""
