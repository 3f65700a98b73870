"""The verdict, case by case."""

from __future__ import annotations

import pytest

from forensiq.errors import ExitCode
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.records import DigestComparison, VerificationRecord
from forensiq.verification.verdict import Observations, Scope, exit_code_of, judge

AGREES = {"md5": DigestComparison("aa", "aa", None, True)}
DIFFERS = {"md5": DigestComparison("bb", "aa", None, False)}
UNKNOWN = {"md5": DigestComparison("bb", None, None, None)}
NOT_COMPUTED = {"md5": DigestComparison(None, "aa", None, None)}
SECTORS = (Damage(Extent(512, 1024), "x.E01", "chunk.checksum", "wrong"),)
LOST = (Damage(Extent(512, 1024), None, "segment.missing", "segment 2 is missing"),)


def finding(cause: Cause, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(severity, cause, "code", "message")


CASES = [
    ("all agrees", Observations((), (), AGREES), "verified", ExitCode.OK, "MD5"),
    ("nothing to compare", Observations((), (), UNKNOWN), "no_reference", ExitCode.NO_REFERENCE, "Nothing to verify"),
    (
        "raw without a record",
        Observations((), (), UNKNOWN, chunk_checks=False),
        "no_reference",
        ExitCode.NO_REFERENCE,
        "no record",
    ),
    ("digest differs", Observations((), (), DIFFERS), "mismatch", ExitCode.VERIFICATION, "not what was recorded"),
    ("bad chunk", Observations((), SECTORS, DIFFERS), "damaged", ExitCode.VERIFICATION, "2 sectors in 1 place"),
    (
        "header damaged, media intact",
        Observations((finding(Cause.METADATA),), (), AGREES),
        "damaged",
        ExitCode.VERIFICATION,
        "media bytes are intact",
    ),
    (
        "header damaged and digest differs",
        Observations((finding(Cause.METADATA),), (), DIFFERS),
        "damaged",
        ExitCode.VERIFICATION,
        "not what was recorded",
    ),
    (
        "trailing bytes",
        Observations((finding(Cause.TRAILING_BYTES),), (), AGREES),
        "damaged",
        ExitCode.VERIFICATION,
        "bytes behind its end",
    ),
    (
        "missing segment",
        Observations((finding(Cause.MISSING_SEGMENT),), LOST, NOT_COMPUTED),
        "damaged",
        ExitCode.NOT_AN_IMAGE,
        "missing",
    ),
    (
        "cut off, nothing can be placed",
        Observations((finding(Cause.DATA),), (), UNKNOWN),
        "damaged",
        ExitCode.VERIFICATION,
        "cut off or damaged",
    ),
    (
        "a warning is no damage",
        Observations((finding(Cause.METADATA, Severity.WARNING),), (), AGREES),
        "verified",
        ExitCode.OK,
        "agree",
    ),
    (
        "drive differs",
        Observations((), (), AGREES, differing=512),
        "mismatch",
        ExitCode.VERIFICATION,
        "Sectors of 512 bytes in all differ",
    ),
    ("drive agrees", Observations((), (), UNKNOWN, differing=0), "verified", ExitCode.OK, "holds the same bytes"),
    (
        "structure only",
        Observations((), (), NOT_COMPUTED, scope=Scope.STRUCTURE),
        "verified",
        ExitCode.OK,
        "digests of the medium were not computed",
    ),
    (
        "structure only of a raw image",
        Observations((), (), {}, scope=Scope.STRUCTURE, chunk_checks=False),
        "no_reference",
        ExitCode.NO_REFERENCE,
        "Nothing was verified",
    ),
    ("odd tail", Observations((), (), AGREES, tail=1), "verified", ExitCode.OK, "1 odd byte"),
    (
        "image and record contradict each other",
        Observations((finding(Cause.DIGEST),), (), DIFFERS),
        "mismatch",
        ExitCode.VERIFICATION,
        "MD5",
    ),
]


@pytest.mark.parametrize(
    ("seen", "word", "code", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(seen: Observations, word: str, code: ExitCode, says: str) -> None:
    verdict = judge(seen)
    assert verdict.word == word
    assert says in verdict.summary
    assert verdict.summary.endswith(".")
    record = VerificationRecord(
        image="x.E01",
        format="e01",
        size=4096,
        sector_size=512,
        verdict=verdict.word,
        summary=verdict.summary,
        digests=seen.comparisons,
        damage=(),
        structure=tuple(seen.findings),
        segments=(),
        started="",
        finished="",
        elapsed_s=0.0,
        bytes_per_second=0.0,
    )
    assert exit_code_of(record) == code


@pytest.mark.parametrize("damage", [(), SECTORS])
@pytest.mark.parametrize("cause", [None, *Cause])
@pytest.mark.parametrize("digests", [AGREES, DIFFERS, UNKNOWN, {}])
@pytest.mark.parametrize("scope", list(Scope))
def test_nothing_wrong_is_ever_called_verified(
    damage: tuple[Damage, ...], cause: Cause | None, digests: dict[str, DigestComparison], scope: Scope
) -> None:
    findings = () if cause is None else (finding(cause),)
    verdict = judge(Observations(findings, damage, digests, scope=scope))
    wrong = bool(damage) or (cause not in (None, Cause.NOTE)) or digests is DIFFERS
    assert (verdict.word in ("damaged", "mismatch")) == wrong
    if verdict.word == "verified" and scope is Scope.FULL:
        assert digests is AGREES
