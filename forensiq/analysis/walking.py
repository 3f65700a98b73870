"""Walks as requests ask for them, over either kind of file system."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forensiq.analysis.apfs_sizes import SizedLines
from forensiq.analysis.forms import rendering_of
from forensiq.analysis.levels import Progress
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.walk import NativeWalk
from forensiq.analysis.printer import Printer, Sink
from forensiq.analysis.rendering import JsonLines
from forensiq.analysis.session import Request, Session
from forensiq.analysis.tsk import TskFileSystem
from forensiq.analysis.walk import Walk

__all__ = ["run_walk", "walker", "walker_in_batches"]


def walker(session: Session, request: Request, emit: Callable[[str], None]) -> Walk | NativeWalk:
    """Return the walk that a request asks for; ``emit`` gets every line that is not filtered or dropped."""

    def each(lines: Sequence[str]) -> None:
        for text in lines:
            for line in text.split("\n"):
                emit(line)

    return walker_in_batches(session, request, each, singly=True)


def walker_in_batches(
    session: Session,
    request: Request,
    emit: Callable[[Sequence[str]], None],
    *,
    singly: bool = False,
    beside: bool = False,
) -> Walk | NativeWalk:
    """As :func:`walker`, but for many lines at once; those of one entry may come as one text.

    ``beside``: ``emit`` is the way to the parent, so the process beside this one, where there is one, may make them.
    """
    session.cells[0] = session.cells[1] = session.cells[2] = 0
    channel = session.channel
    drop = int(request.get("drop", 0))

    def behind(lines: Sequence[str]) -> None:
        nonlocal drop
        single = "\n".join(lines).split("\n")
        left, drop = single[drop:], max(0, drop - len(single))
        if left:
            emit(left)

    def report(inode: int, path: str, why: str) -> None:
        channel.report(inode=inode, path=path, message=why)

    fs = session.file_system(request)
    given = behind if drop else emit
    place = int(request["partition"]), int(request["offset"])
    skip = frozenset((int(inode), int(index)) for inode, index in request.get("skip", ()))
    rendering = rendering_of(request, *place)
    if isinstance(fs, TskFileSystem) and fs.apfs is not None:
        rendering = SizedLines(fs.apfs, rendering)
        beside = False  # the sizes are in the image
    recurse, deleted = bool(request.get("recurse", True)), bool(request.get("deleted"))
    if isinstance(fs, NativeFileSystem):

        def one(text: str) -> None:
            if not deleted or '"allocated":false' in text:
                given(rendering.converted(text))

        return NativeWalk(fs, *place, one, report, session.cells, skip, recurse=recurse)
    sink: Sink = Printer(rendering, JsonLines(*place), given)
    if beside and session.formatter is not None:
        session.formatter.begin(request)
        channel.through(session.formatter)
        sink = session.formatter
    return Walk(
        fs,
        *place,
        sink,
        report,
        Progress(session.cells),
        skip,
        frozenset(map(int, request.get("careful", ()))),
        recovery=bool(request.get("recovery", True)),
        recurse=recurse,
        orphans=bool(request.get("orphans", True)),
        deleted=deleted,
        singly=singly,
    )


def run_walk(session: Session, request: Request, walk: Walk | NativeWalk) -> None:
    """Walk from where the request says, and report what of the image was needed and cannot be read."""
    exact = request.get("path_hex")
    start = request.get("start")
    walk.run(
        None if start is None else int(start),
        str(request.get("path", "/")),
        None if exact is None else bytes.fromhex(exact),
    )
    unreadable = session.tsk.unreadable
    if unreadable:
        extents = [list(each) for each in unreadable[:1000]]
        session.channel.report(unreadable=extents, message="bytes of the image that were needed cannot be read")
        unreadable.clear()
