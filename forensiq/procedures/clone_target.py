"""The target of a clone: what it is, whether it may be written to, and the hold on it while that is done.

Steps of :func:`hold_target`, all before anything is opened for writing:

1. What it is: a drive, a file, or a file that is to be made.
2. Refuse the source itself, what holds the source, and what lies on it.
3. Refuse a drive that is in use or that the kernel protects from writing; then claim it exclusively.
4. Refuse another sector size and a smaller target, unless truncating is allowed.
5. Refuse a target that holds data, unless it was named a second time.

A target is blank only where everything that was looked at is zero: its first and last MiB and 256 places in between.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.devices.identity import identity_of
from forensiq.devices.ioctls import open_device, opened, read_only_flag
from forensiq.devices.system import System
from forensiq.devices.topology import backing_file, lies_on, whole_device_of
from forensiq.devices.usage import usage_of
from forensiq.errors import DestinationError, DestinationExistsError, DestinationUnsafeError, UsageError
from forensiq.images.clone import CloneTarget
from forensiq.model.extent import Extent
from forensiq.model.records import CloneFacts, ExcessFacts
from forensiq.procedures.acquire_request import AcquireRequest, CloneRequest
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.sitting import SittingState, sample_path, state_of

__all__ = ["HeldTarget", "clone_facts", "hold_target"]

_DEVICES, _SHARED_MEMORY = Path("/dev"), Path("/dev/shm")  # noqa: S108
_EDGE = 1 << 20
_PLACES = 256
_PLACE = 64 << 10


class HeldTarget(Struct, frozen=True):
    """A target that may be written to, for as long as it is held. ``size`` is 0 for a file that is to be made."""

    path: Path
    exists: bool
    facts: CloneFacts

    @property
    def size(self) -> int:
        """Bytes that it has now."""
        return self.facts.size


@contextmanager
def hold_target(request: AcquireRequest, evidence: Evidence) -> Iterator[HeldTarget | None]:
    """Check the target of a clone and hold it; ``None`` for everything that is no clone."""
    clone = request.clone
    if clone is None:
        yield None
        return
    state = state_of(request)
    with ExitStack() as stack:
        facts, exists = _look(clone.target)  # 1
        _refuse_source(facts, evidence)  # 2
        if facts.kind == "device":
            stack.enter_context(_claimed(facts.target))  # 3
        length = state.length if state is not None else _wanted(request, evidence)
        _refuse_unfit(facts, clone, length, evidence.source.sector_size, exists)  # 4
        confirmed = held = None
        known_again = state is not None and _known_again(state, facts)
        if exists and not known_again:
            held = _data_on(facts)  # 5
            confirmed = _confirmed(facts, clone, held)
        truncated = max(0, length - facts.size) if exists else 0
        yield HeldTarget(
            Path(facts.target),
            exists,
            CloneFacts(
                target=facts.target,
                kind=facts.kind,
                size=facts.size,
                sector_size=facts.sector_size,
                model=facts.model,
                serial=facts.serial,
                held_data=held,
                confirmed=confirmed,
                truncated=truncated,
            ),
        )


def clone_facts(
    target: HeldTarget, excess: str, media_size: int, state: SittingState | None
) -> tuple[CloneFacts, CloneTarget]:
    """Return what the record says of the target, and what the writer is to do with it.

    What was seen before the first byte was written is that of the first sitting.
    """
    behind = max(0, target.size - media_size) if target.exists else 0
    if state is not None and state.clone is not None:
        facts = state.clone
    else:
        facts = replace(target.facts, excess=ExcessFacts(excess, media_size, behind) if behind else None)
    fill = behind if excess == "fill" else 0
    return facts, CloneTarget(target.path, target.exists, fill)


def _wanted(request: AcquireRequest, evidence: Evidence) -> int:
    sector = evidence.source.sector_size
    offset = request.offset.in_bytes(sector) if request.offset is not None else 0
    return request.length.in_bytes(sector) if request.length is not None else evidence.source.size - offset


def _look(target: str) -> tuple[CloneFacts, bool]:
    path = Path(os.path.realpath(target))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_relative_to(_DEVICES) and not path.is_relative_to(_SHARED_MEMORY):
            # A file there would lie in memory, and look like the drive that was meant.
            raise UsageError(
                f"{path}: there is no such drive", hint="'forensiq devices' shows those there are", path=str(path)
            ) from None
        return CloneFacts(str(path), "new file", 0), False
    except OSError as error:
        raise DestinationError(f"{path} cannot be looked at: {error.strerror}", path=str(path)) from error
    if stat.S_ISBLK(mode):
        identity = identity_of(str(path))
        return (
            CloneFacts(
                str(path), "device", identity.size, identity.sector_size, model=identity.model, serial=identity.serial
            ),
            True,
        )
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is neither a drive nor a file", path=str(path))
    return CloneFacts(str(path), "file", path.stat().st_size), True


def _refuse_source(facts: CloneFacts, evidence: Evidence) -> None:
    target, system = facts.target, System()
    places = [Path(evidence.source.identity.path)]
    if evidence.image is not None:
        places += [places[0].parent / segment.path for segment in evidence.image.segments]
    for place in places:
        source = os.path.realpath(place)
        if source == target or (Path(target).exists() and Path(source).samefile(target)):
            raise DestinationUnsafeError(f"{target} is the source itself", path=target)
        if facts.kind == "device" and lies_on(source, target, system) is not False:
            raise DestinationUnsafeError(f"the source lies on {target}, or that could not be ruled out", path=target)
        if stat.S_ISBLK(Path(source).stat().st_mode) and lies_on(target, source, system) is not False:
            raise DestinationUnsafeError(f"{target} lies on the source, or that could not be ruled out", path=target)
    if facts.kind == "device":
        file = backing_file(os.path.basename(whole_device_of(target, system)), system)
        if file and any(os.path.realpath(place) == os.path.realpath(file) for place in places):
            raise DestinationUnsafeError(f"{target} is a loop device over the source", path=target)
    elif facts.kind == "file" and (loop := _loop_over(target, system)):
        raise DestinationUnsafeError(f"{target} is in use: {loop} is a loop device over it", path=target)


def _loop_over(target: str, system: System) -> str | None:
    for name in system.names(system.sys / "block"):
        file = backing_file(name, system)
        if file and os.path.realpath(file) == target:
            return f"/dev/{name}"
    return None


@contextmanager
def _claimed(target: str) -> Iterator[None]:
    usage = usage_of(target)
    if usage.in_use:
        raise DestinationUnsafeError(
            f"{target} is in use: {usage.uses[0]}",
            hint="unmount it, switch its swap off, or stop what is built on it",
            path=target,
            uses=[str(each) for each in usage.uses],
        )
    with opened(target) as descriptor:
        if read_only_flag(descriptor):
            raise DestinationUnsafeError(
                f"{target} is protected from writing by the kernel",
                hint=f"if it is the right drive: blockdev --setrw {target}",
                path=target,
            )
    try:
        claim = open_device(target, exclusive=True)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise DestinationUnsafeError(
                f"{target} has just been taken into use by something else", path=target
            ) from error
        raise DestinationError(f"{target} cannot be opened: {error.strerror}", path=target) from error
    try:
        yield
    finally:
        os.close(claim)


def _refuse_unfit(facts: CloneFacts, clone: CloneRequest, length: int, sector: int, exists: bool) -> None:
    if facts.sector_size is not None and facts.sector_size != sector and not clone.allow_truncated:
        raise DestinationUnsafeError(
            f"the source has sectors of {sector} bytes, {facts.target} has sectors of {facts.sector_size} bytes",
            hint="file systems and partition tables will not be found on it; --allow-truncated goes on all the same",
            path=facts.target,
            sector_size=facts.sector_size,
        )
    if exists and facts.size < length and not clone.allow_truncated:
        raise DestinationUnsafeError(
            f"{facts.target} is too small: {facts.size:,} bytes, and the source has {length:,}",
            hint="choose a larger target, or leave out the end with --allow-truncated",
            path=facts.target,
            size=facts.size,
            needed=length,
        )
    if exists and facts.size < sector:
        raise DestinationUnsafeError(f"{facts.target} has no room for one sector", path=facts.target, size=facts.size)
    if not exists:
        _refuse_no_room(Path(facts.target), length)


def _refuse_no_room(path: Path, length: int) -> None:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    part = path.with_name(path.name + ".part")
    have = part.stat().st_blocks * 512 if part.exists() else 0
    free = shutil.disk_usage(folder).free + have
    if free < length:
        raise DestinationUnsafeError(
            f"{folder} is too small: {free:,} bytes are free, the clone needs {length:,}",
            path=str(path),
            free=free,
            worst_case=length,
        )


def _data_on(facts: CloneFacts) -> str | None:
    """Say where data was seen on the target; ``None``: everything that was looked at is zero."""
    whole = Extent(0, facts.size)
    step = max(_PLACE, facts.size // _PLACES // _PLACE * _PLACE)
    places = [Extent(0, _EDGE), *(Extent(at, _PLACE) for at in range(0, facts.size, step))]
    places.append(Extent(max(0, facts.size - _EDGE), _EDGE))
    try:
        descriptor = os.open(facts.target, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DestinationError(f"{facts.target} cannot be opened: {error.strerror}", path=facts.target) from error
    try:
        for place in places:
            part = place.intersect(whole)
            try:
                data = os.pread(descriptor, part.length, part.offset)
            except OSError as error:
                return f"byte {part.offset:,} cannot be read ({error.strerror}): what is there is not known"
            if data.strip(b"\0"):
                return f"data at byte {part.offset + len(data) - len(data.lstrip(bytes(1))):,}"
    finally:
        os.close(descriptor)
    return None


def _confirmed(facts: CloneFacts, clone: CloneRequest, held: str | None) -> str | None:
    name = facts.serial or facts.target
    given = clone.confirm
    if given is None and held is not None and clone.ask is not None:
        given = clone.ask(
            f"{facts.target} ({facts.model or facts.kind}, {facts.size:,} bytes) holds data: {held}. It will be "
            f"overwritten. To go on, type {name}"
        )
    if given is None and held is None:
        return None
    accepted = {name} if facts.serial else {name, clone.target}
    if given is None or given.strip() not in accepted:
        what = f"holds data ({held})" if given is None else f"is not {given.strip()!r}"
        raise DestinationExistsError(
            f"{facts.target} {what}; nothing was written",
            hint=f"if it is the right one and may be overwritten: --confirm-target {name}",
            path=facts.target,
            confirm=name,
            serial=facts.serial,
        )
    return given.strip()


def _known_again(state: SittingState, facts: CloneFacts) -> bool:
    """Say whether the target is known to be that of the first sitting; refuse one that is known to be another.

    Without a serial number it is known by what was written to it; before anything was, it has to be named again.
    """
    before = state.clone
    part = Path(facts.target + ".part")
    place = part if not Path(facts.target).exists() and part.exists() else Path(facts.target)
    differing = (
        "it is not a clone"
        if before is None
        else "its path, size or serial number is another"
        if (before.target, before.serial) != (facts.target, facts.serial)
        or (before.kind != "new file" and before.size != facts.size)
        else None
    )
    # A new file gets its name when it is complete, so all of it can be compared then.
    complete = before is not None and before.kind == "new file" and place != part
    inside = Extent(state.offset, state.length if complete else state.durable[0])
    compared = 0
    if differing is None and place.exists():
        for sample in state.samples:
            known = Extent(sample.offset, sample.length)
            if sample.sha256 is None or known.intersect(inside) != known:
                continue
            compared += 1
            if sample_path(place, sample.offset - state.offset, sample.length) != sample.sha256:
                differing = f"it does not hold what was written at byte {sample.offset - state.offset:,}"
                break
    if differing is not None:
        raise UsageError(
            f"{facts.target} is not the target that the clone was begun on: {differing}",
            hint="attach the first one, or clone anew under another record name",
            path=facts.target,
        )
    return bool(compared) or facts.serial is not None
