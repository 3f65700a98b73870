"""``forensiq case verify``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_findings
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, visible
from forensiq.errors import ExitCode
from forensiq.model.ledger import TransferFacts
from forensiq.procedures.case_pins import parse_head
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("verify", example="forensiq case verify cases/2026-014")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "--head", metavar="COUNT:SHA256", help="A head of the ledger that you have on paper: it must be in there."
)
@click.option("--ca", type=PATH, metavar="FILE.pem", help="Root certificates of the time stamp authority.")
@click.option("--no-images", is_flag=True, help="Hash the files of images and do not look into them: quicker.")
def command(run: Run, folder: Path, head: str | None, ca: Path | None, no_images: bool) -> ExitCode:
    """Check everything: ledger, files, images, seals, and who signed.

    Exit code 5 if ledger, seal, signature or a bound file does not verify, 4 if only an image is damaged.
    """
    pinned = parse_head(head) if head is not None else None
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        checked = verify_case(folder, head=pinned, ca=ca, images=not no_images, progress=progress, stop=stop)
    if run.json:
        run.result(checked)
    else:
        run.paragraph(checked.summary.upper() if checked.exit_code else checked.summary.capitalize())
        ledger = checked.ledger.head
        run.field("Ledger", f"{count(ledger.count, 'entry', 'entries')}, head {ledger.last_hash}")
        run.field("Files", f"{count(checked.files, 'file')}, {exact_size(checked.bytes)}")
        run.field("Signers", checked.trust)
        for image in checked.images:
            run.field("Image", f"{visible(image.image)}: {image.verdict}")
        for each in checked.transfers:
            run.field("Hand-over", f"{visible(each.number)} of {visible(each.item)}: {_hand_over(each)}")
        run.field("Seals", ", ".join(each.number for each in checked.seals) or "none")
        show_findings(run, checked.findings)
    return ExitCode(checked.exit_code)


def _hand_over(facts: TransferFacts) -> str:
    receipt = {None: "not countersigned yet", True: "countersigned", False: "RECEIPT DOES NOT HOLD"}[
        facts.receipt_valid
    ]
    release = "" if facts.release_valid else "RELEASE DOES NOT HOLD, "
    differs = ", FILES DIFFERED AFTERWARDS" if facts.match is False else ""
    return f"{visible(facts.released_by)} to {visible(facts.received_by)}, {release}{receipt}{differs}"
