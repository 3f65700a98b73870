"""VHD, the disks of Virtual PC: reader and writers."""
