"""Sets the kernel's read-only flag on a drive and watches over it, for as long as evidence is read.

What is done, in this order (:meth:`WriteGuard.__init__`):

1. Refuse where the drive, a partition of it or anything built on it is in use.
2. Claim the whole device with an exclusive, read-only open: until the end of the run the kernel lets nobody mount it,
   swap on it, or build on it.
3. Take the write and discard counters.
4. Set the flag on every partition, then on the whole device, where it is not set yet; read each back.

During the run :meth:`WriteGuard.check` reads the flags again: every few seconds, after every read error (the kernel may
revalidate a drive after one and lose the flag) and at the end. Nothing is put back unless asked.

Nothing here writes to a medium, and no command is sent to a drive: the flag lives in the kernel. That is its limit,
too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from types import TracebackType
from typing import Self

from forensiq.clock import monotonic, rfc3339, utc_now
from forensiq.devices.counters import counting, sample
from forensiq.devices.ioctls import open_device, opened, read_only_flag, set_read_only_flag
from forensiq.devices.system import System, device_path
from forensiq.devices.topology import partitions_of, whole_name
from forensiq.devices.usage import usage_of
from forensiq.errors import SourceError, SourceInUseError, WriteBlockError
from forensiq.model.source import CounterSample, WriteBlockState

__all__ = ["LIMITS", "WriteGuard", "refuse_if_used"]

LIMITS = (
    "The kernel's read-only flag stops neither pass-through commands (SCSI, ATA, NVMe) nor a drive's own firmware.",
    "Programs that opened the device for writing before the flag was set may still write.",
    "The kernel's counters begin when the device was attached; they count its requests, not what a drive did.",
)


def refuse_if_used(path: str, system: System | None = None) -> None:
    """Raise :class:`~forensiq.errors.SourceInUseError` where the drive of the device at ``path`` is in use."""
    usage = usage_of(path, system)
    if usage.in_use:
        shown = [str(use) for use in usage.uses]
        more = f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""
        raise SourceInUseError(
            f"{path} is in use: {shown[0]}{more}",
            hint="unmount it, switch its swap off, or stop what is built on it; evidence must not change meanwhile",
            path=path,
            uses=shown,
        )


class WriteGuard:
    """Holds a drive read-only; gives its :class:`~forensiq.model.source.WriteBlockState` at any time.

    ``allow_writable`` goes on where a flag cannot be set, and the state says so. ``external_blocker`` is what the
    examiner says of a hardware write blocker. Safe to use from several threads.

    Raises :class:`~forensiq.errors.SourceInUseError` where the drive is in use,
    :class:`~forensiq.errors.WriteBlockError` where a flag cannot be set, :class:`~forensiq.errors.SourceError` where
    the device cannot be opened.
    """

    def __init__(
        self,
        path: str,
        *,
        allow_writable: bool = False,
        external_blocker: str | None = None,
        restore: bool = False,
        interval_s: float = 5.0,
        system: System | None = None,
    ) -> None:
        self._system = system or System()
        self._path = path
        self._whole = whole_name(self._system.require_name(path), self._system)
        self._allow_writable = allow_writable
        self._external_blocker = external_blocker
        self._restore = restore
        self._interval = interval_s
        self._lock = threading.Lock()
        self._set_by_us: list[str] = []
        self._flips: list[str] = []
        self._failures: dict[str, str] = {}
        self._checks = 0
        self._ended: WriteBlockState | None = None
        refuse_if_used(path, self._system)  # 1
        self._claim = self._claim_whole()  # 2
        try:
            self._before = sample(self._whole, self._system)  # 3
            self._flag_before = self._flag(self._whole)
            for name in self._names():  # 4
                self._protect(name)
            self._flag_during = self._flag(self._whole)
            self._refuse_writable()
        except (SourceError, WriteBlockError):
            self._put_back()
            os.close(self._claim)
            raise
        self._due = monotonic() + interval_s

    def check_if_due(self) -> None:
        """Check where the last check is more than the interval ago; cheap else."""
        if monotonic() >= self._due:
            self.check("periodic check")

    def check(self, occasion: str) -> None:
        """Read all flags again; set and record one that was lost, with the time and the ``occasion``.

        Raises :class:`~forensiq.errors.WriteBlockError` where it cannot be set again, unless ``allow_writable``.
        """
        with self._lock:
            self._due = monotonic() + self._interval
            if self._ended is not None:
                return
            self._checks += 1
            for name in self._names():
                if self._flag(name) is False and name not in self._failures:
                    self._flips.append(
                        f"{rfc3339(utc_now())}: {device_path(name)} was writable ({occasion}); set again"
                    )
                    self._flag_during = False
                    self._protect(name)
            self._refuse_writable()

    def state(self) -> WriteBlockState:
        """Return what was observed until now."""
        with self._lock:
            return self._ended or self._state(sample(self._whole, self._system), self._flag(self._whole))

    def end(self) -> WriteBlockState:
        """Check a last time, put the flags back if that was asked for, let go; return what was observed.

        May be called twice; never raises for a flag that was lost at the end, the state says it.
        """
        with contextlib.suppress(WriteBlockError):
            self.check("at the end")
        with self._lock:
            if self._ended is None:
                after, flag_after = sample(self._whole, self._system), self._flag(self._whole)
                restored = self._put_back() if self._restore else False
                self._ended = self._state(after, flag_after, restored=restored)
                os.close(self._claim)
            return self._ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _claim_whole(self) -> int:
        path = device_path(self._whole)
        try:
            return open_device(path, exclusive=True)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise SourceInUseError(f"{path} has just been taken into use by something else", path=path) from error
            hint = "reading a drive needs root" if isinstance(error, PermissionError) and os.geteuid() else None
            raise SourceError(
                f"{path} cannot be opened: {error.strerror}", hint=hint, path=path, errno=error.errno
            ) from error

    def _names(self) -> tuple[str, ...]:
        """Return the partitions, which may come and go, and then the whole device."""
        return (*partitions_of(self._whole, self._system), self._whole)

    def _flag(self, name: str) -> bool | None:
        try:
            with opened(device_path(name)) as descriptor:
                return read_only_flag(descriptor)
        except (OSError, SourceError):
            return None

    def _protect(self, name: str) -> None:
        path = device_path(name)
        try:
            with opened(path) as descriptor:
                if read_only_flag(descriptor):
                    return
                set_read_only_flag(descriptor, True)
                if not read_only_flag(descriptor):
                    self._failures[name] = "the kernel took the flag and did not keep it"
                elif name not in self._set_by_us:
                    self._set_by_us.append(name)
        except OSError as error:
            self._failures[name] = error.strerror or "unknown error"
        except SourceError as error:
            self._failures[name] = error.message

    def _refuse_writable(self) -> None:
        if self._failures and not self._allow_writable:
            name, reason = next(iter(self._failures.items()))
            raise WriteBlockError(
                f"{device_path(name)} cannot be set read-only: {reason}",
                hint="run as root, use a hardware write blocker, or accept the risk with --allow-writable",
                path=device_path(name),
                reason=reason,
            )

    def _put_back(self) -> bool:
        """Clear the flags that we set; say whether all of them were."""
        done = True
        for name in reversed(self._set_by_us):
            try:
                with opened(device_path(name)) as descriptor:
                    set_read_only_flag(descriptor, False)
            except (OSError, SourceError):
                done = False
        return done

    def _state(self, after: CounterSample | None, flag: bool | None, *, restored: bool = False) -> WriteBlockState:
        before = self._before
        return WriteBlockState(
            method="none" if self._failures else "kernel_read_only_flag",
            kernel_read_only_before=self._flag_before,
            kernel_read_only_during=self._flag_during,
            kernel_read_only_after=flag,
            devices=tuple(device_path(name) for name in reversed(self._names()) if name not in self._failures),
            checks=self._checks,
            flips=tuple(self._flips),
            writes_before=before.writes if before else None,
            writes_after=after.writes if after else None,
            discards_before=before.discards if before else None,
            discards_after=after.discards if after else None,
            before=before,
            after=after,
            external_blocker=self._external_blocker,
            restored=restored,
            statement=self._statement(before, after),
            limits=(
                *LIMITS,
                *(f"{device_path(name)} could not be set read-only: {why}" for name, why in self._failures.items()),
            ),
        )

    def _statement(self, before: CounterSample | None, after: CounterSample | None) -> str:
        if before is None or after is None:
            if counting(self._whole, self._system) is False:
                return (
                    "writes were not observed: the kernel does not count requests to this device (queue/iostats is 0)"
                )
            return "writes were not observed: the kernel gives no counters for this device"
        writes = after.writes - before.writes
        sectors = after.sectors_written - before.sectors_written
        span = f"between {before.at} and {after.at}"
        if before.discards is None or after.discards is None:
            if not writes and not sectors:
                return f"no kernel writes were counted {span}; discards are not counted by this kernel"
            return f"the kernel counted {writes} writes ({sectors} sectors) {span}"
        discards = after.discards - before.discards
        if not (writes or sectors or discards or after.sectors_discarded != before.sectors_discarded):
            return f"no kernel writes or discards were counted {span}"
        return f"the kernel counted {writes} writes ({sectors} sectors) and {discards} discards {span}"
