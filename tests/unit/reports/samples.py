"""Records as they come from real runs, built by hand for the tests of reports."""

from __future__ import annotations

from msgspec.structs import replace

from forensiq.model.case import Authority, Case, EvidenceItem, Examiner
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.ledger import FileDigest, LedgerHead, SignerFacts, TransferRecord
from forensiq.model.records import (
    AcquiredRange,
    AcquisitionRecord,
    BlockDigestFacts,
    ClockFacts,
    DamageFacts,
    DestinationFacts,
    DigestComparison,
    ImageFacts,
    MapFacts,
    RateSample,
    ToolFacts,
    UnreadableRange,
    VerificationRecord,
)
from forensiq.model.report import (
    AcquisitionReport,
    AttachedFile,
    CaseReport,
    CustodyEvent,
    Examination,
    ExaminedFile,
    ExaminedVolume,
    ItemReport,
    LedgerFacts,
    MediumRange,
    ReportFile,
    ReportPackage,
    VerificationReport,
)
from forensiq.model.source import CounterSample, SourceIdentity, SourceKind, WriteBlockState

SIZE = 976_773_168 * 512
MD5 = "9d8f1c7e2b3a4d5e6f708192a3b4c5d6"
SHA256 = "51c2" + "0f" * 30
SEGMENT = "aa" * 32

TOOL = ToolFacts(
    name="forensiq",
    version="0.1.0",
    code_sha256="c0de" * 16,
    python="3.11.9",
    operating_system="Debian GNU/Linux 12, kernel 6.1.0-28-amd64",
    host="lab-ws-3",
    user="examiner",
    libraries={"isal": "1.9.1", "libewf": "20240506", "pytsk3": "20260715"},
)


def verification(**changes: object) -> VerificationRecord:
    """A verification that found nothing wrong."""
    record = VerificationRecord(
        image="evidence/ITEM-1.E01",
        format="e01",
        size=SIZE,
        sector_size=512,
        verdict="verified",
        summary="every chunk and both digests agree",
        digests={
            "md5": DigestComparison(MD5, MD5, MD5, True),
            "sha256": DigestComparison(SHA256, None, SHA256, True),
        },
        damage=(),
        structure=(),
        segments=(Segment(1, "ITEM-1.E01", 2_000_000_000, SEGMENT), Segment(2, "ITEM-1.E02", 1_100_000_000, SEGMENT)),
        started="2026-11-22T11:06:00.000000Z",
        finished="2026-11-22T11:20:10.000000Z",
        elapsed_s=850.0,
        bytes_per_second=588_362_190.0,
        reference="digests in the image and the acquisition record",
        read_back=True,
        tool=TOOL,
    )
    return replace(record, **changes)


def acquisition(**changes: object) -> AcquisitionRecord:
    """A whole drive with 16 unreadable sectors in two places, verified."""
    unreadable = (
        UnreadableRange(12_582_912 * 512, 8 * 512, 12_582_912, 8, 5),
        UnreadableRange(12_600_000 * 512, 8 * 512, 12_600_000, 8, None),
    )
    record = AcquisitionRecord(
        status="complete_with_unreadable_sectors",
        summary="16 sectors could not be read",
        source=SourceIdentity(
            kind=SourceKind.BLOCK_DEVICE,
            path="/dev/sdb",
            size=SIZE,
            sector_size=512,
            physical_sector_size=4096,
            model="Samsung SSD 860 EVO",
            serial="S3Z9NB0K123456",
            firmware="RVT04B6Q",
            bus="usb",
            usb_id="174c:55aa",
            removable=False,
            rotational=False,
            trim=True,
            unavailable={"wwn": "not available: the bridge does not pass it on"},
        ),
        write_block=WriteBlockState(
            method="kernel_read_only_flag",
            kernel_read_only_before=False,
            kernel_read_only_during=True,
            kernel_read_only_after=True,
            devices=("/dev/sdb", "/dev/sdb1"),
            checks=207,
            before=CounterSample("2026-11-22T10:46:06.000000Z", 0, 0, 0, 0),
            after=CounterSample("2026-11-22T11:05:47.000000Z", 0, 0, 0, 0),
            statement="no kernel writes were counted",
            limits=(
                "the flag stops neither pass-through commands nor the drive's own firmware",
                "counters begin when the device was attached",
            ),
        ),
        metadata=ImageMetadata("2026-014", "ITEM-1", "A. Lee", "Laptop drive", "seal intact on receipt"),
        range=AcquiredRange(0, SIZE, whole=True),
        digests=DigestSet.of({HashAlgorithm.MD5: MD5, HashAlgorithm.SHA256: SHA256}),
        image=ImageFacts(
            format="e01",
            path="evidence/ITEM-1",
            segments=(
                Segment(1, "ITEM-1.E01", 2_000_000_000, SEGMENT),
                Segment(2, "ITEM-1.E02", 1_100_000_000, SEGMENT),
            ),
            media_size=SIZE,
            sector_size=512,
            chunk_size=32768,
            compression="fast",
            segment_size=2_000_000_000,
            set_identifier="0b7e5d6a-0000-4000-8000-000000000001",
        ),
        unreadable=unreadable,
        map=MapFacts("ITEM-1.map", "bb" * 32, {"read": SIZE - 8192, "unreadable": 8192}),
        started="2026-11-22T10:46:06.000000Z",
        finished="2026-11-22T11:05:47.000000Z",
        elapsed_s=1181.0,
        bytes_per_second=423_461_358.0,
        command=("forensiq", "acquire", "/dev/sdb", "evidence/ITEM-1", "--examiner", "A. Lee"),
        tool=TOOL,
        clock=ClockFacts("+01:00", True, -0.004, "adjtimex"),
        destination=DestinationFacts("/mnt/evidence", "ext4", "/dev/sdc1", 912_000_000_000, 501_000_000_000, True),
        digest_coverage="of the acquired data, with 16 sectors filled with zeros",
        block_digests=BlockDigestFacts("sha256", 16_777_216, 29_810, "dd" * 32, "ITEM-1.blocks.csv", "ee" * 32),
        verification=verification(),
        reading={"retries": 3, "passes": 1},
        statistics={"zero_bytes": 131_072_000_000, "bytes_seen": SIZE},
        preflight={"hpa_dco": "could not be determined: the USB bridge does not pass the command"},
        rates=tuple(RateSample(SIZE * n // 40, 6e8 - 8e6 * n * (1 if n != 17 else 2)) for n in range(1, 41)),
        findings=(Finding(Severity.WARNING, Cause.NOTE, "source.usb.bridge", "hidden areas could not be looked for"),),
        notes=("clicking noise from 11:00 on",),
    )
    return replace(record, **changes)


def damaged() -> VerificationRecord:
    """An image with one chunk that does not match its checksum."""
    return verification(
        verdict="damaged",
        digests={
            "md5": DigestComparison("00" * 16, MD5, MD5, False),
            "sha256": DigestComparison("00" * 32, None, SHA256, False),
        },
        damage=(DamageFacts(65536, 32768, 128, 64, "ITEM-1.E01", "chunk.checksum", "the chunk's checksum is wrong"),),
        structure=(
            Finding(
                Severity.ERROR,
                Cause.DATA,
                "ewf.chunk.checksum",
                "a chunk does not match its checksum",
                where="chunk 2",
                segment="ITEM-1.E01",
            ),
        ),
    )


def case_report(**changes: object) -> CaseReport:
    """A case with one item: acquired, verified, handed over once."""
    record = acquisition()
    medium = (
        MediumRange(Extent(0, record.unreadable[0].offset), "read"),
        MediumRange(Extent(record.unreadable[0].offset, 4096), "unreadable"),
        MediumRange(Extent.between(record.unreadable[0].offset + 4096, record.unreadable[1].offset), "read"),
        MediumRange(Extent(record.unreadable[1].offset, 4096), "unreadable"),
        MediumRange(Extent.between(record.unreadable[1].offset + 4096, SIZE), "read_after_retry"),
    )
    case = Case(
        number="2026-014",
        title="Rex v. Doe",
        agency="Lab of the county",
        requester="D. I. Marsh",
        examiner=Examiner("A. Lee", "Lab of the county", "examiner", "MSc, 9 years of practice"),
        people=(Examiner("王小明", "Lab", "witness"),),
        authority=(Authority("search warrant", "SW 26/1177", "Crown Court", "2026-11-20", "2026-12-20"),),
        items=(),
    )
    item = ItemReport(
        EvidenceItem("ITEM-1", "Drive of a laptop", "EXH-7", "SSD", "500 GB", "S-100", "S-101", "good", "Locker 4"),
        (AcquisitionReport(record, "evidence/ITEM-1.record.json", "ab" * 32, medium),),
        (VerificationReport(verification(started="2026-11-23T08:00:00.000000Z"), "ledger entry 4", "cd" * 32),),
        Examination(
            "evidence/ITEM-1.E01",
            (ExaminedVolume(1, 1048576, 499_000_000_000, "Linux", "ext4", "root", None, 120_000, 312),),
            affected=(ExaminedFile("/var/log/journal", "1201", 6_442_450_944, None, None, "2 of 800 sectors"),),
        ),
        (transfer(),),
    )
    events = tuple(
        CustodyEvent(
            n,
            f"2026-11-2{2 + n // 4}T1{n % 10}:46:06.000000Z",
            "A. Lee",
            action,
            {"item": "ITEM-1"},
            {"status": "complete"},
            "ab" * 32,
            f"{n:02x}" * 32,
        )
        for n, action in enumerate(
            ("case_new", "acquire_started", "acquire_finished", "verify", "transfer_released", "transfer_received"), 1
        )
    )
    ledger = LedgerFacts(
        "ledger.jsonl",
        LedgerHead(6, 6, "06" * 32),
        True,
        (),
        (SignerFacts("fe" * 32, "A. Lee", 1, 6, 6),),
        events,
    )
    report = CaseReport(
        identifier="7d3f0a52-1111-4222-8333-444455556666",
        made="2026-11-24T09:00:00.000000Z",
        made_by="A. Lee",
        case=case,
        items=(item,),
        ledger=ledger,
        ledger_missing="",
        files=(
            ReportFile("evidence/ITEM-1.record.json", 9000, "ab" * 32, "acquisition record", "ITEM-1.record.json"),
            ReportFile("ledger.jsonl", 12000, "ef" * 32, "ledger", "ledger.jsonl"),
        ),
        tool=TOOL,
        signer="A. Lee, certificate self-signed: shows integrity, not identity",
        seal_code=None,
    )
    return replace(report, **changes)


def transfer(**changes: object) -> TransferRecord:
    """A hand-over with equal digests before and after."""
    files = (FileDigest("evidence/ITEM-1.E01", 2_000_000_000, MD5, SEGMENT),)
    record = TransferRecord(
        identifier="T-1",
        case_number="2026-014",
        agency="Lab of the county",
        item="ITEM-1",
        description="Drive of a laptop",
        released_by="A. Lee",
        received_by="B. Ochieng",
        purpose="examination",
        authority="SW 26/1177",
        location="Room 4",
        seal_out="S-101",
        seal_in="S-102",
        condition="good",
        released="2026-11-23T09:00:00.000000Z",
        received="2026-11-23T09:20:00.000000Z",
        before=files,
        after=files,
        matches_ledger=True,
        match=True,
        released_fingerprint="fe" * 32,
        ledger_head=LedgerHead(6, 6, "06" * 32),
    )
    return replace(record, **changes)


def package(**changes: object) -> ReportPackage:
    """The case report with its ledger attached."""
    ledger = AttachedFile("ledger.jsonl", "application/x-ndjson", "the ledger", b'{"seq":1}\n')
    return ReportPackage(case_report(**changes), (ledger,))
