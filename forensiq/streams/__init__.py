"""Threads, buffers and digests for data that passes through once; knows nothing of evidence."""
