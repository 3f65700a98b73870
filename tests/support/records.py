"""Acquisition records as an acquisition writes them, for images that a test made itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_record(stem: Path, paths: list[Path], media: bytes, image_format: str = "e01", **changes: Any) -> Path:
    """Write a record as an acquisition does."""
    size = len(media)
    record: dict[str, Any] = {
        "schema": "forensiq/acquisition/1",
        "status": "complete",
        "summary": "",
        "source": {"kind": "file", "path": "/dev/sdx", "size": size, "sector_size": 512, "serial": "S1"},
        "write_block": {"method": "open_read_only"},
        "metadata": {"case_number": "2026-1", "examiner": "Ä. Lee", "notes": "notes"},
        "range": {"offset": 0, "length": size, "whole": True},
        "digests": {"sha256": hashlib.sha256(media).hexdigest()},
        "image": {
            "format": image_format,
            "path": str(stem),
            "media_size": size,
            "sector_size": 512,
            "segments": [
                {
                    "number": number,
                    "path": path.name,
                    "size": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for number, path in enumerate(paths, 1)
            ],
        },
        "unreadable": [],
        "map": {"path": None, "sha256": None, "bytes_by_status": {}},
        "started": "",
        "finished": "",
        "elapsed_s": 1.0,
        "bytes_per_second": 1.0,
        "command": [],
        "tool": {
            "name": "forensiq",
            "version": "0",
            "code_sha256": "",
            "python": "",
            "operating_system": "",
            "host": "",
            "user": "",
            "libraries": {},
        },
        "clock": {"local_utc_offset": "+00:00"},
        "destination": {"path": str(stem)},
        **changes,
    }
    path = stem.with_name(stem.name + ".record.json")
    path.write_text(json.dumps(record))
    return path
