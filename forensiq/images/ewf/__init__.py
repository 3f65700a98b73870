"""The Expert Witness Compression Format, version 1 (E01)."""
