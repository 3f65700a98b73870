"""The parts of a report for its reader: how to check it without forensiq, what the words mean, who signs."""

from __future__ import annotations

from forensiq.model.report import CaseReport
from forensiq.reports.document import Block, Paragraph, Section
from forensiq.reports.phrases import count
from forensiq.reports.pieces import code, digest, field, fields, given, missing, moment, table, text
from forensiq.reports.plain import visible

__all__ = ["files_section", "glossary_section", "signature_section", "verify_section"]

_GLOSSARY = (
    ("acquisition", "reading all sectors of a medium and storing them in an image, without changing the medium"),
    ("chunk", "a numbered unit of media data inside an image, with a checksum of its own"),
    ("digest", "a number worked out from data; other data with the same SHA-256 cannot be found in practice"),
    ("DCO, HPA", "areas of a drive that it hides from the computer"),
    ("fill", "zeros stored where a sector could not be read"),
    ("image", "a stored copy of a medium, in one or several files"),
    ("LBA", "number of a sector, counted from 0"),
    ("ledger", "list of all steps; each entry is signed and holds the digest of the one before it"),
    ("map", "list of which parts of the medium were read, and which were not"),
    ("sector", "smallest part of a medium that can be read, mostly 512 or 4,096 bytes"),
    ("segment", "one file of an image that was split"),
    ("TRIM", "a command by which a solid-state drive is told that it may erase data by itself"),
    ("write blocker", "a device or setting that keeps a computer from writing to a drive"),
)


def files_section(report: CaseReport) -> Section:
    """Return the list of the files that the report is made from."""
    rows = [
        (
            text(each.role),
            code(each.path),
            text(f"{each.size:,}"),
            digest(each.sha256),
            code(each.attached_as) if each.attached_as else missing("not attached"),
        )
        for each in report.files
    ]
    blocks: tuple[Block, ...] = (Paragraph("No files are on record."),)
    if rows:
        blocks = (table(("Role", "File", "Bytes", "SHA-256", "Attached as"), (3, 5, 3, 10, 4), rows),)
    return Section("Files that this report is made from", blocks)


def verify_section(report: CaseReport) -> Section:
    """Return how a stranger checks the report with tools that he already has."""
    code_words = report.seal_code
    return Section(
        "How to check this report yourself",
        (
            Paragraph(
                "The signature of a PDF report can be checked with any PDF reader that knows signatures, or with: "
                "pdfsig report.pdf. It covers every byte of the file. A web page or JSON report has a signature beside "
                "it (.sig, with the public key in .pub), checked with: openssl pkeyutl -verify -pubin -inkey "
                "report.html.pub -rawin -in report.html -sigfile report.html.sig."
            ),
            Paragraph(
                "A signature by a key that nobody vouches for shows that the file was not changed since it was signed "
                "(integrity). It does not show who signed (identity): compare the key's fingerprint with one that you "
                "got from the signer in another way."
            ),
            Paragraph(
                "The attached files are the records themselves. Their digests stand in the list of files; "
                "sha256sum prints the digest of a file. Each image file's digest stands in the part on integrity."
            ),
            Paragraph(
                "forensiq report-verify FILE does all of this, works out every verdict again from the records, "
                "and compares the images where they are at hand."
            ),
            fields(
                (
                    field("Report", code(report.identifier)),
                    field(
                        "Seal code",
                        code(code_words)
                        if code_words
                        else missing("the case was not sealed when this report was made"),
                    ),
                )
            ),
        ),
    )


def glossary_section() -> Section:
    """Return what the words mean."""
    return Section("Words", (fields(field(word, text(meaning)) for word, meaning in _GLOSSARY),))


def signature_section(report: CaseReport) -> Section:
    """Return who made and who signs the report."""
    people = [report.case.examiner, *report.case.people]
    blocks: list[Block] = [
        fields(
            (
                field("Made by", given(report.made_by), moment(report.made)),
                field("Signature of this file", given(report.signer, "not signed")),
            )
        )
    ]
    rows = [
        (
            text(each.name or "not given"),
            given(each.role),
            given(each.organisation),
            given(each.qualification),
            text(" "),
        )
        for each in people
    ]
    blocks.append(table(("Name", "Role", "Organisation", "Qualification", "Signature on paper"), (4, 3, 4, 4, 5), rows))
    if report.redaction is not None:
        redaction = report.redaction
        blocks.append(
            fields(
                (
                    field("Redacted copy of", code(redaction.full_name), digest(redaction.full_sha256)),
                    field("Replaced", text(f"{count(redaction.replaced, 'value')}: {', '.join(redaction.kinds)}")),
                    field("Reason", given(redaction.reason)),
                )
            )
        )
    if report.wording.get("closing"):
        blocks.append(Paragraph(visible(report.wording["closing"], 8000)))
    return Section("Signatures", tuple(blocks))
