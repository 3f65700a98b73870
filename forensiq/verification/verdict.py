"""From observations to a verdict: one pure function, and the sentence that a tired person reads first.

=============== ======= =====================================================================================
verdict         exit    when
=============== ======= =====================================================================================
``damaged``     4 or 9  media data is damaged, or the container is; 9 where a whole segment is missing
``mismatch``    4       nothing is damaged, yet a digest or the compared drive differs
``verified``    0       nothing is damaged, and every digest that was compared agrees (at least one was, unless
                        digests were left out on request)
``no_reference`` 10     nothing is damaged, and there is nothing to compare with
=============== ======= =====================================================================================

The first that applies is the verdict. Damage to metadata alone is damage, and the sentence says that the media bytes
are intact, as far as that was checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from msgspec import Struct

from forensiq.errors import ExitCode
from forensiq.model.digest import algorithm_name
from forensiq.model.extent import merge
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.records import DigestComparison, VerificationRecord

__all__ = ["Observations", "Scope", "Verdict", "exit_code_of", "judge"]


class Scope(Enum):
    """How much was checked."""

    FULL = "full"
    STRUCTURE = "structure"
    SAMPLE = "sample"


class Observations(Struct, frozen=True):
    """Everything that a verdict depends on.

    ``chunk_checks`` says whether the format protects each chunk by a checksum; ``tail`` is the number of odd bytes
    behind the medium that the digests cover; ``differing`` is the bytes of the sectors that differ from
    the drive compared with, and ``None`` where none was; ``sample`` says in words how much a sample covered;
    ``container_proof`` that digests inside the container, which are not of the medium as such, prove all of it.
    """

    findings: Sequence[Finding]
    damage: Sequence[Damage]
    comparisons: Mapping[str, DigestComparison]
    scope: Scope = Scope.FULL
    sector_size: int = 512
    chunk_checks: bool = True
    tail: int = 0
    differing: int | None = None
    sample: str = ""
    container_proof: str = ""


class Verdict(Struct, frozen=True):
    """``verified``, ``damaged``, ``mismatch`` or ``no_reference``; why; and one sentence."""

    word: str
    causes: tuple[Cause, ...]
    summary: str


def judge(seen: Observations) -> Verdict:
    """Return the verdict on what was seen."""
    causes = _causes(seen)
    container = [cause for cause in causes if cause not in (Cause.DATA, Cause.DIGEST)]
    differ = [name for name, each in seen.comparisons.items() if each.match is False]
    agree = [name for name, each in seen.comparisons.items() if each.match]
    if Cause.DATA in causes or Cause.MISSING_SEGMENT in causes:
        return Verdict("damaged", causes, _data_sentence(seen, causes, differ, agree))
    if Cause.DIGEST in causes:
        return Verdict("damaged" if container else "mismatch", causes, _mismatch_sentence(seen, differ, container))
    if container:
        return Verdict("damaged", causes, _container_sentence(seen, container, agree))
    if agree or (seen.differing == 0 and seen.scope is Scope.FULL):
        return Verdict("verified", (), _verified_sentence(seen, agree))
    if seen.container_proof and seen.scope is Scope.FULL:
        return Verdict("verified", (), f"Nothing is damaged: {seen.container_proof}.")
    if seen.scope is Scope.STRUCTURE and seen.chunk_checks:
        return Verdict(
            "verified",
            (),
            "Every checksum of the container and of every chunk agrees. The digests of the medium were not computed.",
        )
    if seen.scope is Scope.SAMPLE and seen.chunk_checks:
        return Verdict("verified", (), f"No damage in the sample. {seen.sample}".strip())
    return Verdict("no_reference", (), _no_reference_sentence(seen))


def exit_code_of(record: VerificationRecord) -> ExitCode:
    """Return the exit code for a verification record."""
    if any(each.cause is Cause.MISSING_SEGMENT and each.severity is Severity.ERROR for each in record.structure):
        return ExitCode.NOT_AN_IMAGE
    codes = {"verified": ExitCode.OK, "no_reference": ExitCode.NO_REFERENCE}
    return codes.get(record.verdict, ExitCode.VERIFICATION)


def _causes(seen: Observations) -> tuple[Cause, ...]:
    found = {each.cause for each in seen.findings if each.severity is Severity.ERROR}
    if seen.damage:
        found.add(Cause.DATA)
    if any(each.match is False for each in seen.comparisons.values()) or seen.differing:
        found.add(Cause.DIGEST)
    return tuple(cause for cause in Cause if cause in found and cause is not Cause.NOTE)


def _data_sentence(seen: Observations, causes: Sequence[Cause], differ: Sequence[str], agree: Sequence[str]) -> str:
    lost = merge(each.media for each in seen.damage)
    size = sum(extent.length for extent in lost)
    sectors = sum(-(-extent.end // seen.sector_size) - extent.offset // seen.sector_size for extent in lost)
    where = f"{sectors:,} {_plural(sectors, 'sector')} in {len(lost):,} {_plural(len(lost), 'place')}"
    if Cause.MISSING_SEGMENT in causes:
        first = "A part of the image is missing"
        return f"{first}: {where} cannot be read." if lost else f"{first}."
    if not lost:
        if agree and not differ:
            return f"The container is damaged where data is stored, yet the medium is intact: {_names(agree)} agree."
        return "The image is cut off or damaged where data is stored; which sectors are lost cannot be told."
    tail = " The rest of the medium passed every check." if seen.chunk_checks else ""
    if agree and not differ:
        tail = f" Yet {_names(agree)} of what was read {_plural(len(agree), 'agrees', 'agree')} with the reference."
    return f"Media data is damaged: {where} ({size:,} bytes).{tail}"


def _mismatch_sentence(seen: Observations, differ: Sequence[str], container: Sequence[Cause]) -> str:
    parts = []
    if differ:
        parts.append(
            f"{_names(differ)} of the medium {_plural(len(differ), 'is', 'are')} not what was recorded"
            + (", though every chunk checksum agrees" if seen.chunk_checks and seen.scope is Scope.FULL else "")
        )
    if seen.differing:
        parts.append(f"sectors of {seen.differing:,} bytes in all differ from the drive that was compared")
    if not parts:
        parts += [each.message for each in seen.findings if each.cause is Cause.DIGEST][:1]
    if container:
        parts.append(f"the container has {_described(container)}")
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _container_sentence(seen: Observations, container: Sequence[Cause], agree: Sequence[str]) -> str:
    if agree:
        proof = f"the media bytes are intact ({_names(agree)} {_plural(len(agree), 'agrees', 'agree')})"
    elif seen.chunk_checks and seen.scope is Scope.STRUCTURE:
        proof = "every chunk of the medium passed its checksum"
    elif seen.chunk_checks and seen.scope is Scope.FULL:
        proof = "every chunk of the medium passed its checksum, but there is no digest to compare with"
    else:
        proof = "whether the media bytes are intact was not shown"
    return f"The image has {_described(container)}; {proof}."


def _described(container: Sequence[Cause]) -> str:
    names = {
        Cause.METADATA: "damage outside the media data",
        Cause.TRAILING_BYTES: "bytes behind its end",
        Cause.MISSING_SEGMENT: "missing segments",
    }
    return " and ".join(names[cause] for cause in container)


def _verified_sentence(seen: Observations, agree: Sequence[str]) -> str:
    parts = []
    if seen.scope is Scope.SAMPLE:
        parts.append(f"No damage in the sample. {seen.sample}".strip())
    elif agree:
        checks = "Every chunk checksum and " if seen.chunk_checks else ""
        parts.append(f"{checks}{_names(agree)} of the medium {_plural(len(agree) + bool(checks), 'agrees', 'agree')}.")
    if seen.tail:
        odd = f"{seen.tail} odd {_plural(seen.tail, 'byte')} behind the last whole sector"
        parts.append(f"The digest covers {odd} too, which the image stores but other programs do not show.")
    if seen.differing == 0:
        parts.append("The drive that was compared holds the same bytes.")
    return " ".join(parts)


def _no_reference_sentence(seen: Observations) -> str:
    if seen.scope is Scope.STRUCTURE:
        return "Nothing was verified: this format has no checksums, and digests were left out on request."
    if seen.chunk_checks and seen.scope is Scope.FULL:
        return (
            "Nothing to verify against: every chunk checksum agrees, but the image holds no digest of the medium and "
            "there is no record beside it."
        )
    return "Nothing to verify against: no digest in the image, no record beside it."


def _names(algorithms: Sequence[str]) -> str:
    shown = [algorithm_name(name) for name in algorithms]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _plural(count: int, one: str, several: str | None = None) -> str:
    return one if count == 1 else several or one + "s"
