"""QCOW2, the disk images of QEMU: reader, writer, and images of what changed since an earlier one."""
