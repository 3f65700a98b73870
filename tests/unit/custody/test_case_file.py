from __future__ import annotations

import pytest

from forensiq.custody.case_file import changed_text, missing_fields, parse_case, valid_identifier
from forensiq.custody.templates import load_template, starting_text, template_names
from forensiq.errors import CaseFileError, UsageError
from forensiq.model.case import Attachment, EvidenceItem

GOOD = """
number = "7"
[examiner]
name = "A"
[[authority]]
kind = "warrant"
valid_from = 2026-01-02
[[items]]
identifier = "ITEM-1"
[[items.attachments]]
path = "attachments/a"
sha256 = "00"
size = 3
[fields]
offence = "x"
"""


def test_a_case_is_read() -> None:
    case = parse_case(GOOD.encode(), "case.toml")
    assert (case.number, case.examiner.name, case.fields["offence"]) == ("7", "A", "x")
    assert case.authority[0].valid_from == "2026-01-02"
    assert case.items[0].attachments == (Attachment("attachments/a", "00", 3),)


@pytest.mark.parametrize(
    ("before", "after", "line", "field"),
    [
        ('number = "7"', "number = 7", 2, "number"),
        ('number = "7"', 'number = ""', 2, "number"),
        ('number = "7"', 'number = "7"\nnumbr = "8"', 3, "numbr"),
        ('name = "A"', 'nmae = "A"', 4, "examiner.nmae"),
        ("valid_from = 2026-01-02", 'valid_from = "2.1.2026"', 7, "authority[1].valid_from"),
        (
            "valid_from = 2026-01-02",
            'valid_from = "2026-01-02"\nvalid_until = "2025-01-01"',
            8,
            "authority[1].valid_until",
        ),
        ('identifier = "ITEM-1"', 'identifier = "../x"', 9, "items[1].identifier"),
        ("[fields]", '[[items]]\nidentifier = "item-1"\n[fields]', 15, "items[2].identifier"),
        ("size = 3", "size = -3", 13, "attachments[1].size"),
        ('offence = "x"', "offence = 3", 15, "fields.offence"),
        ('[examiner]\nname = "A"', "examiner = 3", 3, "examiner"),
        ('number = "7"', 'number = "7"\nschema = "other"', 3, "schema"),
    ],
)
def test_errors_name_line_and_field(before: str, after: str, line: int, field: str) -> None:
    with pytest.raises(CaseFileError) as caught:
        parse_case(GOOD.replace(before, after).encode(), "case.toml")
    assert (caught.value.facts["line"], caught.value.facts["field"]) == (line, field)
    assert f"case.toml, line {line}: {field} " in caught.value.message


@pytest.mark.parametrize("data", [b"\xff", b"a = ", b"a = [" + b"[" * 100_000, b"x" * (5 << 20)])
def test_files_that_are_no_toml(data: bytes) -> None:
    with pytest.raises(CaseFileError):
        parse_case(data, "case.toml")


def test_changes_keep_comments_and_come_back() -> None:
    text = "# mine\n" + GOOD
    changed = changed_text(text, "case.toml", values={"agency": "Ü", "examiner.role": "r", "fields.new": "n"})
    changed = changed_text(changed, "case.toml", add={"items": EvidenceItem("B", 'quote " and \n line')})
    changed = changed_text(changed, "case.toml", attach={"B": Attachment("p", "1", 2, "caption")})
    changed = changed_text(changed, "case.toml", add={"attachments": Attachment("q", "2", 3)})
    assert changed.startswith("# mine\n")
    case = parse_case(changed.encode(), "case.toml")
    assert (case.agency, case.examiner.role, case.fields["new"]) == ("Ü", "r", "n")
    assert case.items[1] == EvidenceItem("B", 'quote " and \n line', attachments=(Attachment("p", "1", 2, "caption"),))
    assert case.attachments == (Attachment("q", "2", 3),)
    with pytest.raises(CaseFileError):
        changed_text(text, "case.toml", values={"unknown": "x"})


@pytest.mark.parametrize("name", ["ITEM-1", "A", "2026_014.1 (b)", "Ä1", "a" * 64])
def test_identifiers(name: str) -> None:
    assert valid_identifier(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\n", " a", "a ", "a.", "-a", "a" * 65, "a\0"])
def test_names_that_are_no_identifiers(name: str) -> None:
    assert not valid_identifier(name)


def test_every_template_starts_a_valid_case_and_asks_for_known_fields() -> None:
    assert {"default", "criminal", "corporate", "incident"} <= set(template_names())
    for name in template_names():
        template = load_template(name)
        case = parse_case(changed_text(starting_text(name), "t", values={"number": "1"}).encode(), "t")
        assert case.template == name
        assert {"title", "purpose", "statement", "limitations", "closing"} <= set(template.report)
        assert template.checklist.startswith("# Checklist")
        for field in template.required:
            assert field in template.labels, field
            if field.startswith("fields."):
                assert field.removeprefix("fields.") in case.fields, field
        missing = missing_fields(case, template)
        assert ("case.toml, examiner.name" in [each.where for each in missing]) == (
            "examiner.name" in template.required
        )
    with pytest.raises(UsageError, match="no template"):
        load_template("../default")
