"""``forensiq report``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import exact_size, visible
from forensiq.errors import UsageError
from forensiq.procedures.report import FORMATS, REDACTABLE, RedactionRequest, ReportRequest, make_report

__all__ = ["command"]


@forensiq_command(
    "report",
    example="forensiq report cases/2026-014 --format pdf --output cases/2026-014/reports/report.pdf --key my.pem",
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="pdf", show_default=True, help="What to make.")
@click.option("--output", required=True, type=PATH, help="The file to write; FILE.sig and FILE.pub come beside it.")
@click.option("--certificate", type=PATH, help="PKCS#12 file to sign a PDF with (default: KEY.p12, if there is one).")
@click.option("--timestamp-url", metavar="URL", help="Time stamp authority (RFC 3161) for a PDF's signature.")
@click.option("--redact", multiple=True, type=click.Choice(REDACTABLE), help="Make a redacted copy; needs --full.")
@click.option("--full", type=PATH, help="The full report that a redacted copy is made from.")
@click.option("--reason", default="", help="Why the copy is redacted.")
@click.option("--actor", metavar="NAME", help="Who makes the report (default: the examiner).")
@signing_options
def command(
    run: Run,
    folder: Path,
    kind: str,
    output: Path,
    certificate: Path | None,
    timestamp_url: str | None,
    redact: tuple[str, ...],
    full: Path | None,
    reason: str,
    actor: str | None,
    key: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Make a signed report on the case in DIR."""
    if bool(redact) != (full is not None):
        raise UsageError("a redacted copy needs both --redact and --full", hint="--redact people --full report.pdf")
    redaction = RedactionRequest(full, redact, reason) if full is not None else None
    made = make_report(
        ReportRequest(
            folder, output, kind, key_choice(key, passphrase_fd), certificate, timestamp_url, actor, redaction
        )
    )
    if made.not_drawn:
        run.warn(
            f"no font here can draw {len(made.not_drawn)} characters; they stand as <U+…> in the pages. "
            "Fonts for most scripts: apt install fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji"
        )
    if run.json:
        run.result(made)
        return
    run.paragraph(made.headline, style="bold")
    run.paragraph(made.sentence)
    run.field("Report", f"{visible(made.path)}, {exact_size(made.size)}")
    run.print(f"  SHA-256      {made.sha256}")
    for each in made.signatures:
        run.field("Signed", each)
    run.print(f"  Next         forensiq report-verify {visible(made.path)}")
