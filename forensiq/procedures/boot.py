"""Boot: a virtual machine over an untouched image.

Steps, labelled in the code:

1. Open the image read-only, and note what its files are: identity, size, times, digest.
2. Decide the machine: firmware, bus, size.
3. Write it down in a folder of its own: an empty overlay, QEMU's command, a libvirt domain.
4. Serve the medium, read-only, on a socket in that folder; run QEMU where that was asked for.
5. Throw the overlay away.
6. Look at the files of the image again, and compare.
7. Write the record.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import replace

from forensiq.clock import monotonic, rfc3339, sleep, utc_now
from forensiq.devices.commands import which
from forensiq.errors import DestinationError, DestinationExistsError, ExitCode, UsageError, VerificationFailed
from forensiq.images import open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.qcow2.writer import write_overlay
from forensiq.model.boot import BootFiles, BootPlan, BootRecord, EvidenceFileFacts, MachineRun
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.from_json import from_json
from forensiq.model.ledger import LedgerHead
from forensiq.procedures.boot_files import VARIABLES, boot_files, command_script, domain_xml, qemu_command
from forensiq.procedures.boot_plan import BootWishes, plan_machine
from forensiq.procedures.boot_proof import compare_facts, evidence_paths, file_facts
from forensiq.procedures.environment import tool_facts
from forensiq.procedures.evidence_files import EvidenceFiles, parse_json_object
from forensiq.procedures.partitions import image_reference
from forensiq.streams.durable import destination_error, write_durably
from forensiq.streams.nbd_server import EXPORT_NAME, LONGEST_SOCKET, NbdServer
from forensiq.streams.progress import Progress

__all__ = ["BootRequest", "boot", "default_folder", "exit_code_of"]

_POLL_S = 0.1
_GRACE_S = 10.0
_QEMU = "qemu-system-x86_64"
_RECORD = "boot.record.json"


class BootRequest(Struct, frozen=True, kw_only=True):
    """What is asked for. ``folder`` must be new or empty; ``timeout`` in seconds ends the machine.
    A folder that was prepared for the same image, and not used, is taken up by ``start`` and ``serve``.
    ``start`` runs QEMU; ``serve`` keeps the export until it is stopped, for a machine that is started elsewhere; with
    neither the files are written, and that is all.
    """

    image: Path
    folder: Path
    wishes: BootWishes = field(default_factory=BootWishes)
    image_format: str | None = None
    segments_in: tuple[Path, ...] = ()
    sector_size: int | None = None
    start: bool = False
    serve: bool = False
    timeout: float | None = None
    display: str = "auto"
    accelerator: str = "auto"
    digest: bool = True
    keep_overlay: bool = False
    ledger_head: LedgerHead | None = None

    def check(self) -> None:
        """Refuse what contradicts itself (:class:`~forensiq.errors.UsageError`)."""
        if self.start and self.serve:
            raise UsageError("--start runs the machine, --serve waits for one that is started elsewhere: choose one")
        if self.start and which(_QEMU) is None:
            raise UsageError(
                f"{_QEMU} is not installed: the machine cannot be started here",
                hint="install it (Debian: qemu-system-x86), or leave --start out and run the machine elsewhere",
            )
        socket = Path(boot_files(self.folder).socket)
        if len(os.fsencode(socket)) > LONGEST_SOCKET:
            raise UsageError(
                f"{socket} is too long for a socket ({LONGEST_SOCKET} bytes)", hint="name a folder with a shorter path"
            )


def default_folder(image: Path) -> Path:
    """Return where the files go if nobody says: ``boot-NAME-UTC`` here."""
    return Path(f"boot-{image.stem[:40]}-{utc_now():%Y%m%dT%H%M%SZ}")


def exit_code_of(record: BootRecord) -> ExitCode:
    """Return the exit code that a record deserves."""
    if record.unchanged is False:
        return ExitCode.VERIFICATION
    if any(each.severity is Severity.ERROR for each in record.findings):
        return ExitCode.USAGE  # QEMU did not take the machine as it was asked for (decision 0201)
    if record.run is not None and record.run.failed_reads:
        return ExitCode.UNREADABLE_SECTORS
    return ExitCode.OK


def boot(
    request: BootRequest,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_ready: Callable[[BootRecord], None] | None = None,
) -> BootRecord:
    """Prepare, and serve or run where that is asked for; return the record, which is in the folder as well.

    ``on_ready`` is told when the files are there, and the export too. ``stop`` ends a machine in good order.
    """
    progress, stop = progress or Progress(0), stop or threading.Event()
    request.check()
    reference = image_reference(
        request.image,
        image_format=request.image_format,
        segments_in=request.segments_in,
        sector_size=request.sector_size,
    )
    with open_image(
        request.image,
        format=request.image_format,
        segments_in=request.segments_in,
        sector_size=request.sector_size,
    ) as image:
        paths = evidence_paths(image)
        prepared = _prepared(request)
        before = file_facts(  # 1
            paths, digest=request.digest, progress=progress, stop=stop, phase="hashing the evidence before"
        )
        if prepared is not None:
            _refuse_changed(prepared, before)
        plan = plan_machine(image, reference, request.wishes)  # 2
        if request.start and plan.firmware == "uefi" and plan.firmware_code is None:
            raise UsageError(
                "the medium boots by UEFI, and no UEFI firmware for QEMU was found on this machine",
                hint="install it (Debian: ovmf), or say --firmware bios",
            )
        files = boot_files(request.folder)
        record = BootRecord(
            status="prepared",
            summary="The machine is written down; nothing was started.",
            image=str(request.image),
            format=image.format,
            plan=plan,
            files=files,
            command=_write_down(request, plan, files, anew=prepared is None),  # 3
            evidence_before=before,
            tool=tool_facts(),
            ledger_head=request.ledger_head,
        )
        if request.start or request.serve:
            record = _run(request, record, image, stop, on_ready)  # 4
        elif on_ready is not None:
            on_ready(record)
    # After Ctrl-C the proof is still made: it is what the run was for.
    after = file_facts(  # 6
        paths, digest=request.digest, progress=progress, stop=threading.Event(), phase="hashing the evidence after"
    )
    changed = compare_facts(before, after)
    what = "identity, size, times and SHA-256" if request.digest else "identity, size and times (but no digest)"
    same = f"The evidence is unchanged: {what} of each file are what they were."
    words = "THE EVIDENCE CHANGED." if changed else same
    record = replace(
        record,
        evidence_after=after,
        unchanged=not changed,
        findings=(*record.findings, *changed),
        summary=f"{record.summary} {words}",
    )
    EvidenceFiles(request.folder / "boot").write_json(request.folder / _RECORD, record)  # 7
    return record


def _prepared(request: BootRequest) -> BootRecord | None:
    """Return the record of a folder that was prepared for this image and not used yet; ``None`` for another folder."""
    path = request.folder / _RECORD
    if not (request.start or request.serve) or not path.exists():
        return None
    record = from_json(BootRecord, parse_json_object(path), ignore_unknown=True, where=path.name)
    same = Path(record.image).absolute() == request.image.absolute()
    if record.status != "prepared" or not same or not Path(boot_files(request.folder).overlay).exists():
        raise DestinationExistsError(
            f"{request.folder} was used before, or for another image",
            hint="name a new folder",
            path=str(request.folder),
        )
    return record


def _refuse_changed(prepared: BootRecord, now: tuple[EvidenceFileFacts, ...]) -> None:
    before = prepared.evidence_before
    digests = [(one.sha256, other.sha256) for one, other in zip(before, now, strict=False)]
    plain = [[replace(each, sha256=None) for each in facts] for facts in (before, now)]
    if len(before) != len(now) or compare_facts(*plain) or any(a and b and a != b for a, b in digests):
        raise VerificationFailed(
            "the image is not what it was when the machine was prepared",
            hint="forensiq verify says what it is; prepare another folder",
            path=str(prepared.image),
        )


def _write_down(request: BootRequest, plan: BootPlan, files: BootFiles, *, anew: bool) -> tuple[str, ...]:
    """Write the files of the machine and return QEMU's command line; an overlay that is there already stays."""
    folder = request.folder
    accelerator = _accelerator(request)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if anew and any(folder.iterdir()):
            raise DestinationExistsError(
                f"{folder} is not empty", hint="name a new folder: nothing is replaced", path=str(folder)
            )
        if anew:
            backing = f"nbd+unix:///{EXPORT_NAME}?socket={quote(files.socket, safe='/')}"
            write_overlay(Path(files.overlay), plan.disk_size, backing)
        if plan.firmware_variables is not None:
            shutil.copyfile(plan.firmware_variables, folder / VARIABLES)
        words = qemu_command(plan, files, accelerator=accelerator, display=_display(request))
        serve = ["forensiq", "boot", str(request.image.absolute()), files.folder, "--serve"]
        write_durably(Path(files.command), command_script(words, files, serve).encode(), replace=not anew)
        Path(files.command).chmod(0o755)
        domain = domain_xml(plan, files, f"forensiq-{folder.absolute().name}", accelerator=accelerator)
        write_durably(Path(files.domain), domain.encode(), replace=not anew)
    except OSError as error:
        raise destination_error(error, folder, f"preparing {folder}") from error
    return tuple(words)


def _accelerator(request: BootRequest) -> str:
    if request.accelerator != "auto":
        return request.accelerator
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def _display(request: BootRequest) -> str:
    if request.display != "auto":
        return request.display
    return "gtk" if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else "none"


def _run(
    request: BootRequest,
    record: BootRecord,
    image: EvidenceImage,
    stop: threading.Event,
    on_ready: Callable[[BootRecord], None] | None,
) -> BootRecord:
    started, files, plan = rfc3339(utc_now()), record.files, record.plan
    findings: tuple[Finding, ...] = ()
    version = None
    with ExitStack() as stack:
        server = stack.enter_context(NbdServer(Path(files.socket), image.read_into, plan.media_size, plan.disk_size))
        if on_ready is not None:
            on_ready(record)
        if request.start:
            version, status, ended_by, findings = _machine(record, request, stop)
        else:
            status, ended_by = None, _wait(stop, request.timeout)
    if not request.keep_overlay:
        _throw_away(files)  # 5
    counts = server.counts
    run = MachineRun(
        started=started,
        finished=rfc3339(utc_now()),
        qemu=version,
        exit_status=status,
        ended_by=ended_by,
        reads=counts.reads,
        bytes_read=counts.bytes_read,
        failed_reads=counts.failed_reads,
        writes_refused=counts.writes_refused,
        overlay_kept=request.keep_overlay,
    )
    what = "The machine ran" if request.start else "The medium was served"
    rest = "what the guest wrote is in the overlay." if request.keep_overlay else "what the guest wrote is thrown away."
    return replace(record, status="ended", summary=f"{what}; {rest}", run=run, findings=(*record.findings, *findings))


def _wait(stop: threading.Event, timeout: float | None) -> str:
    return "the user" if stop.wait(timeout) else "the time limit"


def _machine(
    record: BootRecord, request: BootRequest, stop: threading.Event
) -> tuple[str | None, int | None, str, tuple[Finding, ...]]:
    program = which(_QEMU) or _QEMU
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = told.stdout.splitlines()[0] if told.stdout else None
    log = Path(record.files.folder) / "qemu.log"
    ended_by = "itself"
    with log.open("xb") as output:
        process = subprocess.Popen(
            [program, *record.command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until = None if request.timeout is None else monotonic() + request.timeout
        try:
            while process.poll() is None:
                if stop.is_set() or (until is not None and monotonic() >= until):
                    ended_by = "the user" if stop.is_set() else "the time limit"
                    break
                sleep(_POLL_S)
        finally:
            _end(process)
    if ended_by == "itself" and process.returncode:
        said = log.read_text("utf-8", "replace").strip()[-500:]
        words = f"QEMU ended with status {process.returncode}"
        return version, process.returncode, ended_by, (
            Finding(Severity.ERROR, Cause.NOTE, "boot.qemu", words, where=log.name, found=said),
        )  # fmt: skip
    return version, process.returncode, ended_by, ()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _throw_away(files: BootFiles) -> None:
    try:
        for path in (Path(files.overlay), Path(files.folder) / VARIABLES):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise DestinationError(f"{files.overlay} cannot be removed: {error.strerror}") from error
