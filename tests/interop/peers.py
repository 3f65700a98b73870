"""Other people's readers, called the way an examiner would; a missing one skips the test and says so."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: str | Path) -> str:
    """Return the standard output; a failing peer fails the test with all it said."""
    done = subprocess.run([str(item) for item in command], capture_output=True, timeout=120, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{command}: {output}{done.stderr.decode('utf-8', 'replace')}"
    return output


def ewfverify(first: Path, digests: str = "sha1,sha256") -> str:
    need("ewfverify")
    output = run("ewfverify", "-q", "-d", digests, first)
    assert "ewfverify: SUCCESS" in output
    return output


def ewfinfo(first: Path) -> dict[str, str]:
    """Return the fields of ``ewfinfo`` by their label."""
    need("ewfinfo")
    output = run("ewfinfo", first)
    return {key.strip(): value.strip() for key, value in re.findall(r"^\s+([^:\n]+):([^\n]*)$", output, re.MULTILINE)}


def ewfexport_md5(first: Path, work: Path) -> str:
    need("ewfexport")
    target = work / "exported"
    run("ewfexport", "-q", "-u", "-f", "raw", "-t", target, first)
    return hashlib.md5((work / "exported.raw").read_bytes()).hexdigest()


def pyewf_md5(paths: Sequence[Path]) -> str:
    pyewf = pytest.importorskip("pyewf")
    handle = pyewf.handle()
    handle.open([str(path) for path in paths])
    try:
        digest = hashlib.md5()
        while data := handle.read(1 << 20):
            digest.update(data)
        return digest.hexdigest()
    finally:
        handle.close()


def img_stat_size(first: Path) -> int:
    need("img_stat")
    found = re.search(r"Size of data in bytes:\s*(\d+)", run("img_stat", first))
    assert found
    return int(found[1])
