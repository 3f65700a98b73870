"""UDIF, the disk images of Apple: reader and writer."""
