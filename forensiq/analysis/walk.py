"""The walk over all names of a file system: what ``fls -r`` lists, one line or more for each.

The recursion is ours, not the library's: that one gives up the rest of a directory where a path is deeper than 128
folders or longer than 4096 bytes, and loses everything behind a crash. Names are taken from the directory's own
array, and the metadata of many is loaded at once (:mod:`~forensiq.analysis.slots`). The order of the lines is the same
in every run over the same bytes, so that a walk can be taken up again behind a crash.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator

from forensiq.analysis.entry_json import EntryJson
from forensiq.analysis.ext_folders import large_folder
from forensiq.analysis.folder_paths import FolderPaths
from forensiq.analysis.levels import Folder, Level, Piece, Progress
from forensiq.analysis.ntfs_streams import NtfsStreams
from forensiq.analysis.printer import Batch, Item, Sink
from forensiq.analysis.rendering import META_TYPES, NAME_TYPES, NtfsFile
from forensiq.analysis.slots import SLOTS, FileSlots, Meta
from forensiq.analysis.tsk import TskFileSystem
from forensiq.analysis.tsk_structs import META, NAME
from forensiq.streams.frames import IN_BATCH, OPENING

__all__ = ["Walk"]

_META_DIRECTORIES, _NAME_DIRECTORIES = (2, 11), (0, 3, 11)
_ALLOCATED, _UNALLOCATED = 1, 2
_LINK = 6
_DOTS = frozenset({b".", b".."})
_VIRTUAL_DIRECTORY = 11
_MOST_DEPTH = 20_000
_DEEP = 64
_LONGEST_PATH = 65_536
_WORD = NAME.size // 8
_META_WORDS, _STATE_AT, _TYPE_AT = META.size // 4, 1, 4
"""Where in a :data:`META` flags and type are (in words of 4)."""
_NAME_AT, _ADDRESS_AT, _KIND_AT, _FLAGS_AT = 1, 5, NAME.size // 4 - 2, NAME.size // 4 - 1
"""Where in a ``TSK_FS_NAME`` the name and the inode are (in words of 8), type and flags (of 4)."""


class Walk:
    """One walk over a file system. ``sink`` gets what is found; ``report`` gets (inode, path, why) of every directory
    that could not be read.

    ``skip`` names entries, as (directory inode, index), that killed an earlier worker: they are passed over (index −1:
    the directory is not opened). ``careful`` are directories in which one died that was loading a batch: their entries
    are loaded one by one. With ``deleted`` only entries that are not allocated are given. With ``singly`` each entry
    is given by itself, while the progress shows that entry: for whoever looks into its content.
    """

    def __init__(
        self,
        fs: TskFileSystem,
        partition: int,
        partition_offset: int,
        sink: Sink,
        report: Callable[[int, str, str], None],
        progress: Progress,
        skip: frozenset[tuple[int, int]] = frozenset(),
        careful: frozenset[int] = frozenset(),
        *,
        recovery: bool = True,
        recurse: bool = True,
        orphans: bool = True,
        deleted: bool = False,
        singly: bool = False,
    ) -> None:
        self._fs = fs
        self._lib = fs.lib
        self._sink = sink
        self._report = report
        self._cells = progress.cells
        self._skip = skip
        self._careful = careful | {inode for inode, _ in skip}
        self._recurse = recurse
        self._hunt = orphans
        self._paths = FolderPaths()
        self._deleted = deleted
        self._singly = singly
        self._slots = FileSlots(fs)
        self._json = EntryJson(fs, self._slots, partition, partition_offset, recovery=recovery)
        self._ntfs = NtfsStreams() if fs.is_ntfs else None
        self._orphans = fs.info.last_inum
        self._list = fs.pointer + type(fs.info).list_inum_named.offset
        self._named_recorded = bool(fs.info.list_inum_named)
        self._stack: list[Level] = []
        self._on_way: set[int] = set()

    def run(self, start: int | None = None, path: str = "/", exact: bytes | None = None) -> None:
        """Walk from the root (or a directory's inode, whose path with a slash at the end is given) to the end."""
        fs, lib, stack = self._fs, self._lib, self._stack
        root = fs.info.root_inum if start is None else start
        if start is None and not self._named_recorded:
            # The library hunts orphans by asking which inodes had a name: it would walk everything once more to know.
            # Inode 0 is never a file; with it the list exists from now on, and the walk below fills it.
            lib.list_add(self._list, 0)
        self._enter(root, path, exact, orphan=root == self._orphans)
        if not stack and start is None and self._recurse and self._hunt:
            # Without its root a file system still has inodes; the library finds those that no name leads to.
            found = self._json.without_metadata(
                "/$OrphanFiles", None, self._orphans, _VIRTUAL_DIRECTORY, 1, orphan=False
            )
            if not self._deleted:
                self._sink.give((found,))
            self._enter(self._orphans, "/$OrphanFiles/", None, orphan=True)
        while stack:
            level = stack[-1]
            if level.pieces:
                index, items, folder = level.pieces.pop()
                if items:
                    self._cells[0], self._cells[1] = level.inode, index
                    self._sink.give(items)
                if not level.pieces and level.batch is not None:
                    self._sink.done(level.batch)
                    level.batch = None
                if folder is not None:
                    self._go_into(level, folder)
            elif level.index < level.count:
                self._batch(level)
            else:
                if level.pointer:
                    lib.fs_dir_close(level.pointer)
                self._on_way.discard(level.inode)
                stack.pop()
        self._slots.close()

    def _go_into(self, level: Level, folder: Folder) -> None:
        if folder.address in self._on_way:
            self._report(folder.address, folder.path, "a folder that contains itself: not entered again")
            return
        orphan = level.orphan or folder.address == self._orphans
        below = None if folder.exact is None else folder.exact + b"/"
        self._enter(folder.address, folder.path + "/", below, orphan=orphan)

    def _enter(self, inode: int, path: str, exact: bytes | None, *, orphan: bool) -> None:
        cells = self._cells
        cells[0], cells[1] = inode, OPENING
        if (inode, OPENING) in self._skip:
            self._report(inode, path, "the library crashed or hung on this directory: it was passed over")
            return
        if len(self._stack) >= _MOST_DEPTH:
            self._report(inode, path, f"deeper than {_MOST_DEPTH} folders: not entered")
            return
        if len(path) > _LONGEST_PATH:
            self._report(inode, path[:200] + "…", f"a path of more than {_LONGEST_PATH} characters: not entered")
            return
        if why := self._paths.refusal(inode):
            self._report(inode, path, why)
            return
        listed = large_folder(self._fs, inode)
        pointer = 0 if listed is not None else self._lib.fs_dir_open_meta(self._fs.pointer, inode)
        if not pointer and listed is None:
            self._report(inode, path, self._lib.take_error())
            return
        self._stack.append(Level(pointer or 0, inode, path, exact, orphan=orphan, listed=listed))
        self._on_way.add(inode)

    def _batch(self, level: Level) -> None:
        """Load the next entries of a directory and make their lines."""
        start, size = level.index, NAME.size
        count = min(SLOTS if len(self._stack) < _DEEP else 1, level.count - start)
        level.index = start + count
        raw = level.raw[start * size : level.index * size]
        words, numbers = raw.cast("Q"), raw.cast("i")
        pointers = words[_NAME_AT::_WORD].tobytes()
        names = [name or b"" for name in (ctypes.c_char_p * count).from_buffer_copy(pointers)]
        addresses: list[int] = words[_ADDRESS_AT::_WORD].tolist()
        kinds: list[int] = numbers[_KIND_AT :: 2 * _WORD].tolist()
        flags: list[int] = numbers[_FLAGS_AT :: 2 * _WORD].tolist()
        self._cells[0] = level.inode
        loaded: bytes | None = None
        if level.inode not in self._careful and all(addresses):
            self._cells[1] = IN_BATCH
            loaded = self._slots.load(level.names + start * size, addresses)
        if loaded is None:
            self._singly_loaded(level, start, self._one_by_one(level, start, names, addresses, kinds, flags))
            return
        self._whole(level, start, names, addresses, kinds, flags, loaded)

    def _whole(
        self,
        level: Level,
        start: int,
        names: list[bytes],
        addresses: list[int],
        kinds: list[int],
        flags: list[int],
        loaded: bytes,
    ) -> None:
        """Put a batch whose metadata is loaded together: runs of plain entries, and one by one what is not plain.

        Plain is what is allocated, has a valid name and type, no link, and on NTFS a complete list of streams.
        """
        numbers = memoryview(loaded).cast("i")
        types: list[int] = numbers[_TYPE_AT::_META_WORDS].tolist()
        states: list[int] = numbers[_STATE_AT::_META_WORDS].tolist()
        texts = self._texts(names, kinds, flags, types) if level.exact is None and not level.orphan else None
        files: list[NtfsFile | None] | None = None
        odd: set[int]
        if texts is None:
            odd = set(range(len(names)))
        else:
            dots = "." in texts or ".." in texts
            odd = {at for at, name in enumerate(texts) if name in (".", "..")} if dots else set()
            if _LINK in types:
                odd |= {at for at, found in enumerate(types) if found == _LINK}
            if any(state & _UNALLOCATED for state in set(states)):
                odd |= {at for at, state in enumerate(states) if state & _UNALLOCATED}
            if self._ntfs is not None:
                files = [self._ntfs.of(more) for more in self._slots.more(len(names))]
                odd |= {at for at, file in enumerate(files) if file is None}
        batch = self._plain(level, texts, addresses, kinds, loaded, files, odd) if texts is not None else None
        level.batch = batch
        folders = {at for at, found in enumerate(types) if found in _META_DIRECTORIES} if self._recurse else set()
        stops = range(len(names)) if self._singly else sorted(odd | folders)
        pieces: list[Piece] = []
        items: list[Item] = []
        given = behind = 0
        for at in stops:
            low = given
            given += at - behind + (at not in odd)
            behind = at + 1
            if given > low and batch is not None:
                items.append((batch, low, given))
            if at in odd:
                name, address, kind, flag = names[at], addresses[at], kinds[at], flags[at]
                meta = META.unpack_from(loaded, at * META.size)
                items += self._single(level, at, name, address, kind, flag, meta)
            if at in folders and self._leads_on(names[at], addresses[at], kinds[at], flags[at], states[at]):
                pieces.append((start + at, items, Folder(addresses[at], *level.path_of(names[at]))))
                items = []
            elif self._singly:
                pieces.append((start + at, items, None))
                items = []
        if batch is not None and given < len(batch.names):
            items.append((batch, given, len(batch.names)))
        pieces.append((start + len(names) - 1, items, None))
        pieces.reverse()
        level.pieces = pieces

    def _texts(self, names: list[bytes], kinds: list[int], flags: list[int], types: list[int]) -> list[str] | None:
        """Return names as text where all entries of a batch are allocated and have valid names and types."""
        if self._deleted or flags.count(_ALLOCATED) != len(flags):
            return None
        if min(kinds) < 0 or max(kinds) >= len(NAME_TYPES) or min(types) < 0 or max(types) >= len(META_TYPES):
            return None
        try:
            return b"\0".join(names).decode().split("\0")
        except UnicodeDecodeError:
            return None

    def _plain(
        self,
        level: Level,
        texts: list[str],
        addresses: list[int],
        kinds: list[int],
        loaded: bytes,
        files: list[NtfsFile | None] | None,
        odd: set[int],
    ) -> Batch | None:
        """Give the plain entries of a batch away to be rendered."""
        size = META.size
        first = len(odd)
        if odd and max(odd) < first < len(texts):  # "." and ".."
            texts, addresses, kinds, loaded = texts[first:], addresses[first:], kinds[first:], loaded[first * size :]
            files = None if files is None else files[first:]
        elif odd:
            kept = [at for at in range(len(texts)) if at not in odd]
            if not kept:
                return None
            texts, addresses = [texts[at] for at in kept], [addresses[at] for at in kept]
            kinds = [kinds[at] for at in kept]
            loaded = b"".join([loaded[at * size : (at + 1) * size] for at in kept])
            files = None if files is None else [files[at] for at in kept]
        plain = None if files is None else [file for file in files if file is not None]
        batch = Batch(level.path, texts, addresses, kinds, loaded, plain)
        self._sink.batch(batch)
        return batch

    def _leads_on(self, name: bytes, address: int, kind: int, flags: int, state: int) -> bool:
        """Whether a folder (as its metadata says) is gone into."""
        return (
            kind in _NAME_DIRECTORIES
            and bool(flags & _ALLOCATED or state & _UNALLOCATED)
            and name not in _DOTS
            and (self._hunt or address != self._orphans)
        )

    def _one_by_one(
        self, level: Level, start: int, names: list[bytes], addresses: list[int], kinds: list[int], flags: list[int]
    ) -> Iterator[tuple[int, bytes, int, int, int, Meta | None]]:
        cells, at = self._cells, level.names
        for index, (name, address, kind, flag) in enumerate(zip(names, addresses, kinds, flags, strict=True), start):
            cells[1] = index
            if (level.inode, index) in self._skip:
                path = level.path + name.decode("utf-8", "replace")
                self._report(address, path, "the library crashed or hung on it")
                continue
            wanted = bool(address or flag & _ALLOCATED)
            yield index, name, address, kind, flag, self._slots.load_one(at + index * NAME.size, address, wanted=wanted)

    def _singly_loaded(
        self, level: Level, start: int, entries: Iterable[tuple[int, bytes, int, int, int, Meta | None]]
    ) -> None:
        """Put a batch together whose entries are loaded each when its turn comes, in the first slot."""
        pieces: list[Piece] = []
        items: list[Item] = []
        index = start
        for index, name, address, kind, flags, meta in entries:
            items += self._single(level, 0, name, address, kind, flags, meta)
            folder = meta is not None and self._recurse and meta[3] in _META_DIRECTORIES
            if folder and meta is not None and self._leads_on(name, address, kind, flags, meta[1]):
                pieces.append((index, items, Folder(address, *level.path_of(name))))
                items = []
            elif self._singly:
                pieces.append((index, items, None))
                items = []
        pieces.append((index, items, None))
        pieces.reverse()
        level.pieces = pieces

    def _single(
        self, level: Level, slot: int, name: bytes, address: int, kind: int, flags: int, meta: Meta | None
    ) -> list[str]:
        """Return the JSON of an entry that is not plain: an object for each of its lines."""
        if name in _DOTS and self._ntfs is None:
            return []
        if meta is not None and meta[1] & _UNALLOCATED:
            self._lib.list_add(self._list, address)
        if self._deleted and flags & _ALLOCATED:
            return []
        path, exact = level.path_of(name)
        if meta is None:
            return [self._json.without_metadata(path, exact, address, kind, flags, orphan=level.orphan)]
        return self._json.of(path, exact, name, address, kind, flags, meta, slot, orphan=level.orphan)
