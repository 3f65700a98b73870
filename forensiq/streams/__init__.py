"""Threads, buffers, digests and durable files: what several stages need, and nothing of evidence."""
