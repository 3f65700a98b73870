"""One way to put files into a case: they and the event that binds them are both there after a crash, or neither.

::

    with commit(folder, signer, actor) as step:       # finishes, or sets aside, what a crash has left
        step.write({folder.seals / "0001/manifest.json": data}, "sealed", parameters=facts)

How that is done is in :mod:`forensiq.custody.staging`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from forensiq import clock
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.signing import Signer
from forensiq.custody.staging import STAGED, Stage
from forensiq.errors import CustodyError
from forensiq.model.ledger import LedgerEntry
from forensiq.procedures.case_ledger import append_event
from forensiq.procedures.held_signals import held_signals
from forensiq.procedures.keys import KeyChoice, open_signer

__all__ = ["Commit", "Recovered", "StagedFiles", "commit", "finish_interrupted"]


class Recovered(Struct, frozen=True):
    """What a crash had left: files that got their place now, and files of a step that never happened, set aside."""

    placed: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.placed or self.set_aside)


class Commit:
    """A case that nobody else puts files into meanwhile; see the module."""

    def __init__(self, folder: CaseFolder, signer: Signer, actor: str, stage: Stage) -> None:
        self._folder = folder
        self._signer = signer
        self._actor = actor
        self._stage = stage

    def write(
        self,
        files: Mapping[Path, bytes],
        action: str,
        *,
        parameters: Mapping[str, object] | None = None,
        replace: bool = False,
    ) -> LedgerEntry:
        """Write files of the case and the event that binds them.

        :class:`~forensiq.errors.DestinationExistsError` if one is there already and ``replace`` is false.
        """
        content = {_key(self._folder, path): data for path, data in files.items()}
        if not replace:
            for path in files:
                self._stage.check_free(path)
        return self.bind(self._stage.write(content), action, parameters=parameters)

    def room_for(self, path: Path) -> Path:
        """Return where the caller may write a file for ``path`` (durably), to :meth:`bind` it then."""
        self._stage.check_free(path)
        return self._stage.room_for(_key(self._folder, path))

    def bind(
        self, digests: Mapping[str, str], action: str, *, parameters: Mapping[str, object] | None = None
    ) -> LedgerEntry:
        """Write the event that binds files which wait (path in the case → SHA-256), and give them their place."""
        with held_signals():
            entry = append_event(
                self._folder, self._signer, self._actor, action, parameters=parameters, digests=digests
            )
            self._stage.place(digests)
        return entry


class StagedFiles:
    """Files that wait for the end of a longer step, which binds them; held until :meth:`close`."""

    def __init__(self, folder: CaseFolder, signer: Signer, actor: str) -> None:
        self._folder = folder
        self._waiting: list[str] = []
        with ExitStack() as stack:
            self._stage = stack.enter_context(Stage(folder))
            _recover(folder, signer, actor, self._stage)
            self._stack = stack.pop_all()

    def write(self, files: Mapping[Path, bytes]) -> dict[str, str]:
        """Write files that must not be there yet; return what the end of the step is to bind."""
        for path in files:
            self._stage.check_free(path)
        bound = self._stage.write({_key(self._folder, path): data for path, data in files.items()})
        self._waiting += bound
        return bound

    def place(self) -> None:
        """Give them their place, once the event is written."""
        self._stage.place(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Let others go on."""
        self._stack.close()


@contextmanager
def commit(folder: CaseFolder, signer: Signer, actor: str) -> Iterator[Commit]:
    """Put files into a case, alone; first finish, or set aside, what an interrupted step has left."""
    with Stage(folder) as stage:
        _recover(folder, signer, actor, stage)
        yield Commit(folder, signer, actor, stage)


def finish_interrupted(root: Path, key: KeyChoice | None = None) -> Recovered:
    """Finish, or set aside, what an interrupted step has left in the case; say what.

    The files of a step that its event binds get their place. Those of a step that has no event are bound by the event
    ``unfinished_set_aside`` at a place of their own: they were never part of the case, and nothing is lost.
    """
    folder = CaseFolder.open(root)
    if not (folder.root / STAGED).is_dir():
        return Recovered()
    signer = open_signer(key)
    with Stage(folder) as stage:
        return _recover(folder, signer, signer.public.name, stage)


def _recover(folder: CaseFolder, signer: Signer, actor: str, stage: Stage) -> Recovered:
    left = tuple(stage.waiting())
    placed = tuple(each.path for each in left if each.happened)
    orphans = tuple(each.path for each in left if not each.happened)
    with held_signals():
        stage.place(placed)
        if orphans:
            bound = stage.set_aside(orphans, clock.rfc3339(clock.utc_now()).replace(":", "").replace(".", "-"))
            reason = "a step was interrupted before it was written here: it did not happen; its files were kept"
            parameters = {"reason": reason, "were_to_be": list(orphans)}
            append_event(folder, signer, actor, "unfinished_set_aside", parameters=parameters, digests=bound)
            stage.place(bound)
    return Recovered(placed, orphans)


def _key(folder: CaseFolder, path: Path) -> str:
    key = folder.relative(path)
    if key is None:
        raise CustodyError(f"{path} is not inside the case folder", path=str(path))
    return key
