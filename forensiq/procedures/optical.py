"""What a record says of an optical disc: its tracks and sessions, and what of them an image of sectors cannot hold."""

from __future__ import annotations

from collections.abc import Callable

from forensiq.devices.optical import OpticalDisc, disc_of, is_optical
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.source import SourceIdentity, SourceKind

__all__ = ["optical_findings"]


def optical_findings(
    identity: SourceIdentity, ask: Callable[[str], OpticalDisc | str] = disc_of
) -> tuple[Finding, ...]:
    """Return findings on the disc in an optical drive; none for any other source."""
    if identity.kind is not SourceKind.BLOCK_DEVICE or not is_optical(identity.device_number):
        return ()
    disc = ask(identity.path)
    if isinstance(disc, str):
        return (_finding(Severity.INFO, "optical.contents.unknown", f"tracks and sessions are not known: {disc}"),)
    kinds = [
        f"track {each.number} {'data' if each.data else 'sound'} (sectors {each.first:,} to {each.end - 1:,})"
        for each in disc.tracks
    ]
    found = [_finding(Severity.INFO, "optical.contents", f"the disc says: {', '.join(kinds)}")]
    if disc.last_session is not None:
        message = (
            f"the disc has several sessions, the last one from sector {disc.last_session:,} on: the image holds all "
            "sectors from the first one on; file systems of earlier sessions are found by their own descriptors only"
        )
        found.append(_finding(Severity.WARNING, "optical.sessions", message))
    sound = [str(each.number) for each in disc.tracks if not each.data]
    if sound:
        message = (
            f"tracks with sound ({', '.join(sound)}) have sectors of 2352 bytes, which cannot be read as data: they "
            "are unreadable sectors in this image. A program for audio discs (cdrdao, readom) takes them"
        )
        found.append(_finding(Severity.WARNING, "optical.sound", message))
    if disc.tracks and disc.tracks[-1].end * 2048 < identity.size:
        message = "the drive states more sectors than the table of contents: the last ones may be unreadable run-out"
        found.append(_finding(Severity.INFO, "optical.run_out", message))
    return tuple(found)


def _finding(severity: Severity, code: str, message: str) -> Finding:
    return Finding(severity, Cause.NOTE, code, message)
