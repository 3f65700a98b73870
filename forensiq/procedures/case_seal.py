"""Seals a case, and adds to a seal what others say of it: a time stamp, a countersignature."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import threading
from pathlib import Path

from msgspec import Struct

import forensiq
from forensiq import clock
from forensiq.custody import standalone_verifier
from forensiq.custody.case_folder import CaseFolder, hash_file
from forensiq.custody.countersign import Countersignature, encode_countersignature
from forensiq.custody.seal import (
    MANIFEST,
    Manifest,
    code_picture,
    encode_manifest,
    parse_manifest,
    read_small,
    seal_code,
    sign_statement,
)
from forensiq.custody.seal_check import seal_numbers
from forensiq.custody.timestamp import check_response, fetch_response, load_roots, make_request
from forensiq.errors import CustodyError, NoReferenceError, UsageError
from forensiq.model.finding import Severity
from forensiq.model.jsonable import Json, to_json
from forensiq.model.ledger import FileDigest, LedgerHead, SealFacts, TimestampFacts
from forensiq.procedures.case_commit import Commit, commit, finish_interrupted
from forensiq.procedures.case_verify import CaseVerification, check_case, read_seals, verify_case
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.procedures.readme_text import readme_text
from forensiq.streams.durable import write_durably
from forensiq.streams.progress import Progress

__all__ = ["TimestampStep", "countersign_seal", "newest_seal", "seal_case", "timestamp_seal"]

_LIBRARIES = ("cryptography", "rfc3161-client", "tomlkit", "segno")


class TimestampStep(Struct, frozen=True):
    """What ``case timestamp`` did: wrote a request, or added a time stamp."""

    seal: str
    request: str | None
    timestamp: TimestampFacts | None
    schema: str = "forensiq/timestamp/1"


def seal_case(
    root: Path,
    *,
    key: KeyChoice | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> SealFacts:
    """Check the case, then seal everything in it as a new seal ``seals/NNNN``.

    Steps: (1) open the signer's key, finish what a crash has left; (2) check everything:
    :class:`~forensiq.errors.CustodyError` if something does not verify; (3) put README and the stand-alone verifier
    into the case; (4) make and sign the manifest; (5) say so in the ledger, which binds the files of the seal, and put
    them in their place.
    """
    # 1. A person's key.
    signer = open_signer(key, personal=True)
    folder = CaseFolder.open(root)
    case = folder.read_case()
    finish_interrupted(root, key)
    # 2. Everything as it was written down.
    checked = check_case(root, images=False, progress=progress, stop=stop)
    _refuse_broken(checked.verification)
    with commit(folder, signer, signer.public.name) as step:
        # 3. What a stranger needs.
        digests = {**checked.digests, **_put_helpers(folder, step)}
        # 4. The manifest.
        number = f"{max((int(each) for each in seal_numbers(folder) if each.isdecimal()), default=0) + 1:04d}"
        files = tuple(digests[path] for path in sorted(digests))
        head, now = folder.ledger.head(), clock.rfc3339(clock.utc_now())
        size, digest = _ledger_now(folder, head)
        manifest = Manifest(number, case.number, now, signer.public, head, size, digest, files, _tool())
        data = encode_manifest(manifest)
        code = seal_code(data)
        place = folder.seals / number
        parts = sign_statement(place / "manifest", data, signer, key_name="signer.pem")
        parts[place / "seal-code.txt"] = code.encode() + b"\n"
        parts[place / "seal-code.svg"] = code_picture(code, data)
        # 5. The ledger.
        facts = {"seal": number, "code": code, "manifest_sha256": hashlib.sha256(data).hexdigest(), "files": len(files)}
        step.write(parts, "sealed", parameters=facts)
    return _read_back(folder, number)


def timestamp_seal(
    root: Path,
    *,
    number: str | None = None,
    url: str | None = None,
    request_out: Path | None = None,
    response: Path | None = None,
    roots: Path | None = None,
    key: KeyChoice | None = None,
) -> TimestampStep:
    """Add a time stamp over a seal's signature: from an authority at ``url``, or in two steps without network.

    Without network: ``request_out`` writes the request; later ``response`` takes the answer. A stamp is added only if
    it verifies; with ``roots`` also its authority.
    """
    if [url is not None, request_out is not None, response is not None].count(True) != 1:
        raise UsageError("one of --url, --request-out and --response is needed")
    folder = CaseFolder.open(root)
    finish_interrupted(root, key)
    seal = newest_seal(folder, number)
    place = folder.seals / seal
    signature = read_small(place / "manifest.sig")
    if request_out is not None:
        write_durably(request_out, make_request(signature))
        return TimestampStep(seal, str(request_out), None)
    signer = open_signer(key)
    if url is not None:
        answer = fetch_response(url, signature)
    else:
        assert response is not None
        answer = read_small(response.resolve(), 1024 * 1024)
    facts = check_response(signature, answer, load_roots(roots) if roots is not None else None)
    parameters = {"seal": seal, "timestamp": to_json(facts), "url": url or "", "time_stamp_of": "manifest.sig"}
    with commit(folder, signer, signer.public.name) as step:
        step.write({place / "manifest.sig.tsr": answer}, "timestamped", parameters=parameters)
    return TimestampStep(seal, None, facts)


def countersign_seal(
    root: Path,
    *,
    number: str | None = None,
    role: str = "witness",
    statement: str = "",
    key: KeyChoice | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> SealFacts:
    """Check the case, then sign one of its seals as witness, receiver or whatever ``role`` says.

    :class:`~forensiq.errors.CustodyError` if something does not verify: nobody countersigns what is broken.
    :class:`~forensiq.errors.UsageError` with the key that made the seal: it says nothing new.
    """
    signer = open_signer(key, personal=True)
    folder = CaseFolder.open(root)
    finish_interrupted(root, key)
    seal = newest_seal(folder, number)
    checked = verify_case(root, images=False, progress=progress, stop=stop)
    _refuse_broken(checked)
    place = folder.seals / seal
    manifest, signature = read_small(place / MANIFEST), read_small(place / "manifest.sig")
    if parse_manifest(manifest).signer.raw == signer.public.raw:
        raise UsageError(
            f"seal {seal} was made with this very key", hint="--key of somebody else: a witness, the receiver"
        )
    text = statement or "I checked the sealed case with this program, and it was intact."
    now = clock.rfc3339(clock.utc_now())
    data = encode_countersignature(Countersignature(seal, manifest, signature, role, text, now, signer.public))
    facts = {"seal": seal, "role": role, "statement": text, "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
    with commit(folder, signer, signer.public.name) as step:
        stem = place / f"countersign-{sum(1 for _ in place.glob('countersign-*.json')) + 1:02d}"
        step.write(sign_statement(stem, data, signer, key_name=f"{stem.name}.pem"), "countersigned", parameters=facts)
    return _read_back(folder, seal)


def newest_seal(folder: CaseFolder, number: str | None = None) -> str:
    """Return the number of a seal that is there; :class:`~forensiq.errors.NoReferenceError` if there is none."""
    numbers = seal_numbers(folder)
    if not numbers:
        raise NoReferenceError("the case has no seal", hint="forensiq case seal DIR --key KEY", path=str(folder.root))
    if number is None:
        return numbers[-1]
    wanted = number.zfill(4) if number.isdecimal() else number
    if wanted not in numbers:
        raise UsageError(f"the case has no seal {number!r}", hint=f"it has {', '.join(numbers)}", known=numbers)
    return wanted


def _refuse_broken(checked: CaseVerification) -> None:
    if checked.exit_code:
        worst = next(each for each in checked.findings if each.severity is Severity.ERROR)
        raise CustodyError(
            f"nothing was signed: {checked.summary}; first: {worst.code} {worst.where or ''}: {worst.message}",
            hint="forensiq case verify DIR tells everything",
            findings=[each.code for each in checked.findings],
        )


def _read_back(folder: CaseFolder, number: str) -> SealFacts:
    for facts in read_seals(folder):
        if facts.number == number and facts.valid:
            return facts
    raise CustodyError("the seal that was just written does not verify", seal=number)


def _put_helpers(folder: CaseFolder, step: Commit) -> dict[str, FileDigest]:
    """Write README and verifier where they are missing or of another version, and bind them."""
    verifier = Path(standalone_verifier.__file__).read_bytes()
    helpers = {folder.root / "verify_seal.py": verifier, folder.root / "README.txt": readme_text().encode()}
    stale = {path: text for path, text in helpers.items() if not path.exists() or path.read_bytes() != text}
    if stale:
        step.write(stale, "verifier_added", replace=True)
    return {path.name: hash_file(folder.root, path.name) for path in helpers}


def _ledger_now(folder: CaseFolder, head: LedgerHead) -> tuple[int, str]:
    """Return size and digest of the ledger up to the line that is its head."""
    digest, size = hashlib.sha256(), 0
    for number, (_, line) in enumerate(folder.ledger.lines(), start=1):
        digest.update(line)
        size += len(line)
        if number == head.count:
            break
    return size, digest.hexdigest()


def _tool() -> dict[str, Json]:
    return {
        "name": "forensiq",
        "version": forensiq.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
