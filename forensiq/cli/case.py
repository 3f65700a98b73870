"""``forensiq case``: case folders."""

from __future__ import annotations

from forensiq.cli.options import Entry, forensiq_group

__all__ = ["command"]

_HERE = "forensiq.cli"
_WORK, _SEAL = "Case", "Seal"


@forensiq_group(
    "case",
    {
        "new": Entry(f"{_HERE}.case_new", _WORK, "Open a case folder."),
        "show": Entry(f"{_HERE}.case_show", _WORK, "What the case holds, and what is still missing."),
        "item": Entry(f"{_HERE}.case_item", _WORK, "Add an exhibit."),
        "attach": Entry(f"{_HERE}.case_attach", _WORK, "Add a photo or a document, bound by its digest."),
        "note": Entry(f"{_HERE}.case_note", _WORK, "Write a signed note."),
        "amend": Entry(f"{_HERE}.case_amend", _WORK, "Check and bind case.toml after editing it by hand."),
        "log": Entry(f"{_HERE}.case_log", _WORK, "The ledger, line by line."),
        "verify": Entry(f"{_HERE}.case_verify", _WORK, "Check everything: ledger, files, seals, signers."),
        "transfer": Entry(f"{_HERE}.case_transfer", _WORK, "Hand an item over, hashed before and after."),
        "receive": Entry(f"{_HERE}.case_receive", _WORK, "Countersign a hand-over as the receiver."),
        "seal": Entry(f"{_HERE}.case_seal", _SEAL, "Seal everything that is in the case now."),
        "timestamp": Entry(f"{_HERE}.case_timestamp", _SEAL, "Add a time stamp (RFC 3161) to a seal."),
        "countersign": Entry(f"{_HERE}.case_countersign", _SEAL, "Sign a seal as witness or receiver."),
        "check": Entry(f"{_HERE}.case_check", _SEAL, "Check a sealed case against its seal."),
    },
    example='forensiq case new cases/2026-014 --number 2026-014 --examiner "A. Lee"',
)
def command() -> None:
    """Case folders: who did what with which item, in a signed ledger that anyone can check."""
