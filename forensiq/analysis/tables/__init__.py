"""Partition tables, one file for each kind: bytes in, slots and findings out."""
