"""Hand-overs as files: ``transfers/NNNN.release.json`` by who gives, ``NNNN.receipt.json`` by who takes.

Each is the canonical JSON of a :class:`~forensiq.model.ledger.TransferRecord`, with a detached Ed25519 signature
(``.sig``) and the public key (``.pem``) beside it, as a seal has.
"""

from __future__ import annotations

from pathlib import Path

from forensiq.custody.canonical import decode, encode
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.seal import read_small, sign_statement
from forensiq.custody.signing import Signer
from forensiq.errors import CustodyError, NotCanonicalError
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.jsonable import Json, to_json
from forensiq.model.ledger import FileDigest, LedgerHead, TransferRecord

__all__ = ["MAX_TRANSFER", "parse_transfer", "read_transfers", "transfer_files", "transfer_numbers"]

MAX_TRANSFER = 64 * 1024 * 1024


def transfer_files(folder: CaseFolder, record: TransferRecord, stage: str, signer: Signer) -> dict[Path, bytes]:
    """Return the files of one side of a hand-over; ``stage`` is ``release`` or ``receipt``."""
    stem = folder.transfers / f"{record.identifier}.{stage}"
    data = to_json(record)
    assert isinstance(data, dict)
    return sign_statement(stem, encode(data), signer, key_name=f"{stem.name}.pem")


def transfer_numbers(folder: CaseFolder) -> list[str]:
    """Return the numbers of the hand-overs, oldest first."""
    names = (each.name.removesuffix(".release.json") for each in folder.transfers.glob("*.release.json"))
    return sorted(name for name in names if name.isdecimal())


def read_transfers(folder: CaseFolder) -> tuple[TransferRecord, ...]:
    """Return every hand-over as it stands: the receipt where there is one, else the release. Nothing is verified.

    :class:`~forensiq.errors.CustodyError` if one cannot be read.
    """
    result: list[TransferRecord] = []
    for number in transfer_numbers(folder):
        receipt = folder.transfers / f"{number}.receipt.json"
        path = receipt if receipt.exists() else folder.transfers / f"{number}.release.json"
        result.append(parse_transfer(read_small(path, MAX_TRANSFER)))
    return tuple(result)


def parse_transfer(data: bytes) -> TransferRecord:
    """Return the hand-over in ``data``; :class:`~forensiq.errors.NotCanonicalError` if it is none."""
    value = decode(data)
    known = set(TransferRecord.__struct_fields__)
    if not isinstance(value, dict) or set(value) != known or value["schema"] != "forensiq/transfer/1":
        raise NotCanonicalError("not a hand-over of forensiq")
    try:
        plain = {name: item for name, item in value.items() if isinstance(item, (str, bool)) or item is None}
        return TransferRecord(
            **{
                **plain,
                "before": _files(value["before"]),
                "after": _files(value["after"]),
                "findings": _findings(value["findings"]),
                "ledger_head": _head(value["ledger_head"]),
                "details": value["details"],
            }  # type: ignore[arg-type]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotCanonicalError(f"not a hand-over of forensiq: {error}") from None


def _files(value: Json) -> tuple[FileDigest, ...]:
    if not isinstance(value, list):
        raise TypeError("files are no list")
    return tuple(FileDigest(**each) for each in value)  # type: ignore[arg-type]


def _findings(value: Json) -> tuple[Finding, ...]:
    if not isinstance(value, list):
        raise TypeError("findings are no list")
    result: list[Finding] = []
    for each in value:
        if not isinstance(each, dict):
            raise TypeError("a finding is no object")
        enums = {"severity": Severity(each["severity"]), "cause": Cause(each["cause"]), "media": None}
        result.append(Finding(**{**each, **enums}))  # type: ignore[arg-type]
    return tuple(result)


def _head(value: Json) -> LedgerHead | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CustodyError("the head in a hand-over is no object")
    return LedgerHead(**value)  # type: ignore[arg-type]
