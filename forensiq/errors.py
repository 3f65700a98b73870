"""Every error that forensiq raises, with its message, its facts and its exit code.

::

    ForensiqError                    1  a fault in forensiq itself
    ├── UsageError                   2  wrong usage
    │   ├── UnknownHashError         2
    │   ├── CaseFileError            2  case.toml or a template is not valid
    │   └── SigningKeyError          2  no key, not a key, or the wrong passphrase
    ├── VerificationFailed           4  an image differs or is damaged (raised only where data is asked for)
    │   └── ImageDamageError         4  a range of an image that cannot be given as it was acquired
    ├── CustodyError                 5  ledger, seal or signature does not verify
    │   └── NotCanonicalError        5  bytes that cannot have been signed as they are
    ├── SafetyRefusal                6  refused for safety
    │   ├── SourceInUseError         6
    │   ├── WriteBlockError          6
    │   ├── DestinationUnsafeError   6  on the source, or too small
    │   └── DestinationExistsError   6  holds data that nobody said may be replaced
    ├── DestinationError             7  the destination failed: resumable
    │   └── DestinationFullError     7
    ├── SourceError                  8  the source failed
    │   ├── SourceReadError          8  one range could not be read (a condition, not an end)
    │   └── SourceLostError          8  vanished, changed its size, does not answer: resumable
    ├── ImageFormatError             9  not an image that forensiq can read
    │   ├── MissingSegmentError      9
    │   ├── RecordFormatError        9  a record or report that forensiq cannot read
    │   └── UnsupportedContentError  9  nothing in the image that can be looked into
    ├── NoReferenceError            10  nothing to verify against
    └── Interrupted                130  stopped by the user: resumable

An exception carries facts, not only a sentence: ``facts`` go into the JSON error object as they are, so
they hold only strings, numbers, booleans, and lists of these.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "CaseFileError",
    "CustodyError",
    "DestinationError",
    "DestinationExistsError",
    "DestinationFullError",
    "DestinationUnsafeError",
    "ExitCode",
    "Fact",
    "ForensiqError",
    "ImageDamageError",
    "ImageFormatError",
    "Interrupted",
    "MissingSegmentError",
    "NoReferenceError",
    "NotCanonicalError",
    "RecordFormatError",
    "SafetyRefusal",
    "SigningKeyError",
    "SourceError",
    "SourceInUseError",
    "SourceLostError",
    "SourceReadError",
    "UnknownHashError",
    "UnsupportedContentError",
    "UsageError",
    "VerificationFailed",
    "WriteBlockError",
]

Fact = str | int | float | bool | None | list[str] | list[int]


class ExitCode(IntEnum):
    """Process exit codes; the contract of the command line."""

    OK = 0
    FAULT = 1
    USAGE = 2
    UNREADABLE_SECTORS = 3
    VERIFICATION = 4
    CUSTODY = 5
    REFUSED = 6
    DESTINATION = 7
    SOURCE = 8
    NOT_AN_IMAGE = 9
    NO_REFERENCE = 10
    INTERRUPTED = 130


class ForensiqError(Exception):
    """A fault in forensiq itself; root of every error that forensiq raises on purpose.

    ``message`` is one sentence for a tired person; ``hint`` says what to do next; ``facts`` are for scripts.
    """

    exit_code: ExitCode = ExitCode.FAULT

    def __init__(self, message: str, *, hint: str | None = None, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts: dict[str, Fact] = facts

    def __str__(self) -> str:
        return self.message


class UsageError(ForensiqError):
    """The command was used wrongly; nothing was read or written."""

    exit_code = ExitCode.USAGE


class UnknownHashError(UsageError):
    """A hash algorithm was named that forensiq does not know."""


class CaseFileError(UsageError):
    """A ``case.toml`` or a template is not valid (facts: path, field, line where it is known)."""


class SigningKeyError(UsageError):
    """There is no key to sign with, the file is no key, or the passphrase is wrong."""


class VerificationFailed(ForensiqError):
    """An image is not what was acquired."""

    exit_code = ExitCode.VERIFICATION


class ImageDamageError(VerificationFailed):
    """A range of the image cannot be given as it was acquired (facts: offset, length, reason)."""


class CustodyError(ForensiqError):
    """The ledger, a seal or a signature does not verify."""

    exit_code = ExitCode.CUSTODY


class NotCanonicalError(CustodyError):
    """Bytes that are not canonical JSON, or a value that has no canonical form: it cannot be signed."""


class SafetyRefusal(ForensiqError):
    """Refused, because going on could change evidence or destroy data."""

    exit_code = ExitCode.REFUSED


class SourceInUseError(SafetyRefusal):
    """The source, a partition or a holder of it is mounted or in use."""


class WriteBlockError(SafetyRefusal):
    """The kernel's read-only flag could not be set, or did not stay set."""


class DestinationUnsafeError(SafetyRefusal):
    """The destination lies on the source, is the source, or is too small."""


class DestinationExistsError(SafetyRefusal):
    """The destination holds data that nobody said may be replaced."""


class DestinationError(ForensiqError):
    """Writing to the destination failed; what is there stays and can be resumed."""

    exit_code = ExitCode.DESTINATION


class DestinationFullError(DestinationError):
    """The destination has no room left."""


class SourceError(ForensiqError):
    """The source failed."""

    exit_code = ExitCode.SOURCE


class SourceReadError(SourceError):
    """One range of the source could not be read (facts: offset, length, errno).

    A condition that the reader records and goes on from; it ends nothing by itself.
    """

    def __init__(self, offset: int, length: int, errno: int) -> None:
        super().__init__(
            f"{length} bytes at offset {offset} could not be read (errno {errno})",
            offset=offset,
            length=length,
            errno=errno,
        )
        self.offset = offset
        self.length = length
        self.errno = errno


class SourceLostError(SourceError):
    """The source vanished, changed its size or does not answer any more."""


class ImageFormatError(ForensiqError):
    """Not an image that forensiq can read."""

    exit_code = ExitCode.NOT_AN_IMAGE


class MissingSegmentError(ImageFormatError):
    """A segment of the image is missing (facts: expected names or numbers)."""


class RecordFormatError(ImageFormatError):
    """A record or report that forensiq cannot read (facts: where in it)."""


class UnsupportedContentError(ImageFormatError):
    """The image opens, but nothing in it can be looked into: encrypted, or of a kind that is not supported."""


class NoReferenceError(ForensiqError):
    """There is nothing to verify against: neither digests in the image nor a record."""

    exit_code = ExitCode.NO_REFERENCE


class Interrupted(ForensiqError):
    """Stopped by the user; what is on disk is valid and can be resumed."""

    exit_code = ExitCode.INTERRUPTED
