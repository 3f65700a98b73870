"""Names as an adversary would choose them, and a report full of them."""

from __future__ import annotations

from msgspec.structs import replace

from forensiq.model.case import Authority, Case, EvidenceItem, Examiner
from forensiq.model.report import ReportPackage
from tests.unit.reports import samples

NAMES = (
    '#panic("x") #read("/etc/passwd") $x$ *b* `c` @ref <label> \\',
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    '"}],"verdict":"verified',
    "]]></x><!-- --> &amp; &#0;",
    "photo\u202egpj.exe\u2066\u200b",
    "two\nlines\r\n\x1b[31m\x00",
    "\udcff\udcfe",
    "日本語 עברית العربية ไทย 𓀀 👩\u200d💻",
    "x" * 10_000,
    "a" + "\u0301" * 500,
    "../../etc/passwd",
    "' OR 1=1; --",
)
SHORT = [name for name in NAMES if len(name) < 1000]


def package_with(name: str) -> ReportPackage:
    """A report in which ``name`` stands wherever a name can stand."""
    report = samples.case_report()
    record = samples.acquisition()
    record = replace(
        record,
        source=replace(record.source, path=name, model=name, serial=name, unavailable={"wwn": name}),
        metadata=replace(record.metadata, case_number=name, description=name, notes=name),
        notes=(name,),
        command=("forensiq", name),
        preflight={name: name},
        reading={name: name},
        tool=replace(record.tool, host=name, libraries={name: name}),
    )
    item = replace(
        report.items[0],
        item=EvidenceItem(name, name, name, name),
        acquisitions=(replace(report.items[0].acquisitions[0], record=record, path=name),),
        transfers=(samples.transfer(released_by=name, received_by=name, purpose=name),),
    )
    assert report.ledger is not None
    events = tuple(replace(each, actor=name, action=name, parameters={name: [name]}) for each in report.ledger.events)
    return ReportPackage(
        replace(
            report,
            case=Case(
                name, name, name, name, Examiner(name, name), authority=(Authority(name, name),), fields={name: name}
            ),
            items=(item,),
            ledger=replace(report.ledger, events=events),
            made_by=name,
            wording=dict.fromkeys(("title", "purpose", "statement", "limitations", "closing"), name),
            labels={f"fields.{name}": name},
        ),
        samples.package().attachments,
    )
