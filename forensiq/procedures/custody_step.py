"""What every command that touches evidence does in a case: append "started" → work → append how it ended.

::

    with custody_step(case_dir, "acquire", {"source": path, "item": item}) as step:
        record = replace(acquire(...), ledger_head=step.head)   # pins the ledger in the record
        step.file(record_path, map_path)                        # hashed and bound by this step
        step.write({receipt_path: data})                        # written, bound by this step, and in its place then
        step.digests({"evidence/ITEM-1/ITEM-1.E01": sha256})    # bound, already hashed
        step.result("finished_with_unreadable_sectors", summary=record.summary, sectors=16)

Without a case (``case_dir`` is ``None``) nothing is written and ``step.head`` is ``None``. The key is opened before the
work starts, so a passphrase is asked for at once and not after ten hours. A step that ends by an exception is
``aborted``, with the error's class, message and exit code, and the exception goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from forensiq.custody.case_folder import CaseFolder, hash_file
from forensiq.custody.ledger import head_after
from forensiq.custody.signing import Signer
from forensiq.errors import ExitCode, ForensiqError
from forensiq.model.ledger import LedgerEntry, LedgerHead
from forensiq.procedures.case_commit import StagedFiles
from forensiq.procedures.case_items import evidence_stem
from forensiq.procedures.case_ledger import acting_user, append_event
from forensiq.procedures.held_signals import held_signals
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.streams.durable import write_durably

__all__ = ["CustodyStep", "custody_step", "evidence_stem"]

_READER_WENT_AWAY = 141
"""What the program ends with when nobody reads its standard output any more, as a shell shows SIGPIPE."""


class CustodyStep:
    """One step in the ledger. ``head`` is where the ledger ended when the step had started; ``None`` without a case."""

    def __init__(self, folder: CaseFolder | None, head: LedgerHead | None, signer: Signer | None = None) -> None:
        self._folder = folder
        self._signer = signer
        self._staged: StagedFiles | None = None
        self.head = head
        self.outcome = "finished"
        self.facts: dict[str, object] = {}
        self.bound: dict[str, str] = {}

    def result(self, outcome: str = "finished", **facts: object) -> None:
        """Say how the step ended; what is not said is ``finished``. Later calls add facts and replace the outcome."""
        self.outcome = outcome
        self.facts.update(facts)

    def file(self, *paths: Path) -> None:
        """Hash files of the case and bind them; a file outside the case is not bound."""
        for path in paths:
            relative = self._folder.relative(path) if self._folder else None
            if self._folder and relative is not None:
                self.bound[relative] = hash_file(self._folder.root, relative).sha256

    def write(self, files: Mapping[Path, bytes]) -> None:
        """Write files that must not be there yet. Those of the case are bound by the end of this step and get their
        place then, so a crash leaves neither files that nobody knows nor an entry that speaks of files that are gone.
        """
        ours = {path: data for path, data in files.items() if self._folder and self._folder.relative(path) is not None}
        for path, data in files.items():
            if path not in ours:
                write_durably(path, data)
        if self._folder is None or self._signer is None or not ours:
            return
        if self._staged is None:
            self._staged = StagedFiles(self._folder, self._signer, self._signer.public.name)
        self.bound.update(self._staged.write(ours))

    def settle(self) -> None:
        """Give what was written its place; called when the end of the step is in the ledger."""
        if self._staged is not None:
            self._staged.place()

    def close(self) -> None:
        """Let other processes put files into the case again."""
        if self._staged is not None:
            self._staged.close()

    def digests(self, files: Mapping[str, str]) -> None:
        """Bind files whose SHA-256 is known: path (relative to the case folder, or absolute inside it) → digest."""
        if self._folder is None:
            return
        for path, digest in files.items():
            relative = self._folder.relative(self._folder.root / path)
            if relative is not None:
                self.bound[relative] = digest


@contextmanager
def custody_step(
    case_dir: Path | None,
    action: str,
    parameters: Mapping[str, object] | None = None,
    *,
    key: KeyChoice | None = None,
    signer: Signer | None = None,
    actor: str | None = None,
) -> Iterator[CustodyStep]:
    """Write the start and the end of a step into the ledger of ``case_dir``; see the module's example.

    ``key`` says which key signs (default: :func:`~forensiq.procedures.keys.choose_key`), ``signer`` is one that is
    open already. ``actor`` is the person (default: the examiner of the case). ``parameters`` and facts may be anything
    that :func:`~forensiq.procedures.case_ledger.ledger_value` takes. Raises what the work raises, and
    :class:`~forensiq.errors.CustodyError` before the work if the end of the ledger does not verify.
    """
    if case_dir is None:
        yield CustodyStep(None, None)
        return
    folder = CaseFolder.open(case_dir)
    signer = signer or open_signer(key)
    who = actor or folder.read_case().examiner.name or acting_user()
    given = {**dict(parameters or {}), "by": acting_user()}
    with held_signals() as release, ExitStack() as ends:
        started = append_event(folder, signer, who, f"{action}.started", parameters=given)
        step = CustodyStep(folder, head_after(started), signer)

        def end(_kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
            outcome, facts = step.outcome, dict(step.facts)
            if error is not None:
                outcome = "aborted"
                facts |= {"error": type(error).__name__, "message": str(error)[:2000], "exit_code": _exit_code(error)}
            with held_signals():
                _end(folder, signer, who, action, started, step, outcome, facts)

        ends.push(end)
        # A Ctrl-C while the start was written arrives here: a step that began always gets its end.
        release()
        yield step


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ForensiqError):
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return int(ExitCode.INTERRUPTED)
    return _READER_WENT_AWAY if isinstance(error, BrokenPipeError) else int(ExitCode.FAULT)


def _end(
    folder: CaseFolder,
    signer: Signer,
    who: str,
    action: str,
    started: LedgerEntry,
    step: CustodyStep,
    outcome: str,
    facts: Mapping[str, object],
) -> None:
    try:
        append_event(
            folder, signer, who, f"{action}.{outcome}", parameters={"started": started.seq},
            result={"outcome": outcome, **facts}, digests=step.bound,
        )  # fmt: skip
        step.settle()
    finally:
        step.close()
