"""Optical media: ISO images, and the raw sectors of CDs with their sheet."""
