"""``acquire -``: what comes on standard input, whose length nobody knows before it ends."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from forensiq.clock import monotonic
from forensiq.errors import DestinationExistsError, DestinationFullError, Interrupted
from forensiq.images.output import FileCalls
from forensiq.procedures.stream_source import open_stream, spool_path
from forensiq.streams.progress import Progress
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

DATA = random.Random(11).randbytes(2_000_001) + bytes(3 << 20) + b"the end"


def acquire(folder: Path, data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensiq", "acquire", "-", *words]
    return subprocess.run(command, input=data, cwd=folder, capture_output=True, check=False, timeout=200)


@pytest.mark.parametrize("form", ["e01", "raw"])
def test_a_pipe_becomes_a_verified_image(tmp_path: Path, form: str) -> None:
    done = acquire(tmp_path, DATA, "X", "--format", form, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["source"]["kind"] == "stream"
    assert record["source"]["path"] == "-"
    assert record["source"]["size"] == len(DATA)
    assert record["source"]["serial"] is None
    assert record["write_block"]["method"] == "none"
    assert any("Nothing is known of what sent the stream" in each for each in record["write_block"]["limits"])
    digest = hashlib.sha256(DATA).hexdigest()
    assert record["derived_from"]["stream_sha256"] == digest
    assert (record["source_digests"] or record["digests"])["sha256"] == digest
    assert record["verification"]["verdict"] == "verified"
    # Nothing is left of what was only on the way.
    assert not list(tmp_path.glob("*.stream*"))
    if form == "raw":
        assert (tmp_path / "X.dd").read_bytes() == DATA


def test_nothing_is_received_into_what_is_there(tmp_path: Path) -> None:
    assert acquire(tmp_path, b"", "X").returncode == 2
    assert not list(tmp_path.iterdir())
    assert acquire(tmp_path, DATA[:4096], "X", "--quiet").returncode == 0
    again = acquire(tmp_path, DATA, "X")
    assert again.returncode == 6
    assert not list(tmp_path.glob("*.stream*"))
    assert acquire(tmp_path, DATA, "Y", "--scope", "allocated").returncode == 2
    assert forensiq("acquire", "-", "Y", "--dry-run", folder=tmp_path).code == 2


def test_what_was_received_is_not_asked_for_again(tmp_path: Path) -> None:
    # The image could not be written: the stream is there, whole, and cannot come a second time.
    blocked = tmp_path / "X.E01"
    blocked.write_bytes(b"in the way")
    assert acquire(tmp_path, DATA, "X").returncode == 6
    assert spool_path(tmp_path / "X").read_bytes() == DATA
    blocked.unlink()
    done = forensiq("acquire", "-", "X", "--resume", "--json", folder=tmp_path).expect(0).json
    assert done["source"]["kind"] == "stream"
    assert done["source_digests"]["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_a_stop_does_not_wait_for_the_sender_and_keeps_what_had_come(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    try:
        os.write(writing, b"half of it")
        threading.Timer(0.3, stop.set).start()
        started = monotonic()
        with pytest.raises(Interrupted) as caught:
            open_stream(tmp_path / "X", Progress(0), stop, descriptor=reading)
        assert monotonic() - started < 30
        kept = tmp_path / "X.stream.part"
        assert list(tmp_path.iterdir()) == [kept]
        assert kept.read_bytes() == b"half of it"
        assert caught.value.facts["received"] == 10
        assert caught.value.facts["sha256"] == hashlib.sha256(b"half of it").hexdigest()
        assert str(kept) in (caught.value.hint or "")
        # It is never taken for a whole stream, not replaced, and can be made an image of.
        for resume in (False, True):
            with pytest.raises(DestinationExistsError, match="did not come to its end"):
                open_stream(tmp_path / "X", Progress(0), threading.Event(), resume=resume, descriptor=reading)
        record = forensiq("acquire", kept, "Y", "--format", "raw", "--json", folder=tmp_path).expect(0).json
        assert record["digests"]["sha256"] == caught.value.facts["sha256"]
    finally:
        os.close(reading)
        os.close(writing)


def test_a_stop_before_the_first_byte_leaves_nothing(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stop = threading.Event()
    stop.set()
    try:
        with pytest.raises(Interrupted):
            open_stream(tmp_path / "X", Progress(0), stop, descriptor=reading)
        assert not list(tmp_path.iterdir())
    finally:
        os.close(reading)
        os.close(writing)


def test_a_full_destination_keeps_what_had_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FileCalls.pwritev

    def full(self: FileCalls, descriptor: int, parts: Sequence[Any], offset: int) -> int:
        if offset + sum(map(len, parts)) > 3 << 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, descriptor, parts, offset)

    monkeypatch.setattr(FileCalls, "pwritev", full)
    data = random.Random(3).randbytes(5 << 20)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as file, pytest.raises(DestinationFullError) as caught:
        open_stream(tmp_path / "X", Progress(0), threading.Event(), descriptor=file.fileno())
    received = 3 << 20
    assert caught.value.facts["received"] == received
    assert caught.value.facts["sha256"] == hashlib.sha256(data[:received]).hexdigest()
    assert (tmp_path / "X.stream.part").read_bytes() == data[:received]
