"""Which libfuse is used: version 3 where it is installed. Import this before mfusepy, which reads the name once.

mfusepy would look for version 2 first, and for either by starting a compiler (``ctypes.util.find_library``).
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["LIBRARY"]


def _library() -> str | None:
    for name in ("libfuse3.so.3", "libfuse3.so.4", "libfuse.so.2"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return os.environ.setdefault("FUSE_LIBRARY_PATH", name)
    return None


LIBRARY = _library()
"""Its name; ``None`` where there is none of those that are known."""
