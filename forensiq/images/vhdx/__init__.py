"""VHDX, the disks of Hyper-V: reader, with the log replayed in memory, and writer."""
