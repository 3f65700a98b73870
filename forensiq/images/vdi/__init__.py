"""VDI, the disks of VirtualBox: reader and writer."""
