"""Verify the images that an image rests on, link by link: each against its own record."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from forensiq.errors import ForensiqError, Interrupted
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import SinceFacts, VerificationRecord

__all__ = ["base_image", "judge_link", "record_changed"]


def base_image(since: SinceFacts, folder: Path) -> Path:
    """Return the path of the earlier image: it lies beside the later one."""
    return folder / Path(since.image).name


def record_changed(since: SinceFacts, folder: Path) -> Finding | None:
    """Return the finding where the record of the earlier acquisition is not the one that was gone on from."""
    path = folder / Path(since.record).name
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"the record {path.name} that this image goes on from cannot be read: {error.strerror}"
        return Finding(Severity.ERROR, Cause.METADATA, "chain.record.missing", message, where=path.name)
    if found == since.record_sha256:
        return None
    return Finding(
        Severity.ERROR,
        Cause.METADATA,
        "chain.record",
        f"the record {path.name} is not the one that this image goes on from",
        where=path.name,
        expected=since.record_sha256,
        found=found,
    )


def judge_link(since: SinceFacts, outcome: VerificationRecord | ForensiqError, stop: threading.Event | None) -> Finding:
    """Return what the verification of the earlier image says of the chain."""
    name = since.image
    if isinstance(outcome, Interrupted) or (stop is not None and stop.is_set()):
        raise Interrupted("the verification was stopped; the images are as they were")
    if isinstance(outcome, ForensiqError):
        return Finding(Severity.ERROR, Cause.MISSING_SEGMENT, "chain.link", f"{name}: {outcome}", where=name)
    stated = since.image_digests
    same = all(
        outcome.digests[each.value].computed == text for each, text in stated.items() if each.value in outcome.digests
    )
    if outcome.verdict == "verified" and same:
        message = f"{name}, which this image rests on, is verified: {outcome.summary}"
        return Finding(Severity.INFO, Cause.NOTE, "chain.link", message, where=name)
    message = f"{name}, which this image rests on, is not what was acquired: {outcome.summary}"
    return Finding(Severity.ERROR, Cause.DIGEST, "chain.link", message, where=name)
