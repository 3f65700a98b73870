"""The bytes of a mounted medium, for many readers at once: small reads as they come, long ones with what follows.

Who reads on gets whole blocks that are decoded ahead, by threads, while the kernel copies the last ones: an inflater
needs no interpreter. Blocks are kept within a bound. A raw image needs none of that: the kernel does it.
"""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from forensiq.errors import ImageDamageError, SourceReadError
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent
from forensiq.model.scope import MediumScope

__all__ = ["MediumReader"]

_BLOCK = 1 << 20
_KEPT = 32
_AHEAD = 8
_LONG = 64 << 10
"""Bytes from which a read is a long one: the kernel asks for so many only where somebody reads on."""
_RECENT = 64


class MediumReader:
    """Reads an image from many threads. Sizes in bytes.

    What cannot be given as it was acquired is an ``OSError`` (EIO), never zeros: damage, and what a scope left out.
    """

    def __init__(self, image: EvidenceImage, taken: MediumScope | None = None) -> None:
        """``taken`` is what of the medium was acquired, where not all of it was. The image stays the caller's."""
        self._image = image
        self._taken = taken
        self._ahead = _AHEAD if image.parallel_reads > 1 else 0
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, Future[bytearray | None]] = OrderedDict()
        self._touched: OrderedDict[int, None] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def kept(self) -> int:
        """Bytes that are held at most, now."""
        return len(self._blocks) * _BLOCK

    def read_into(self, offset: int, target: memoryview) -> int:
        """Fill ``target``, and return how much there was: less only at the end of the medium."""
        size = max(0, min(len(target), self._image.size - offset))
        target = target[:size]
        if not size:
            return 0
        if self._taken is not None and self._taken.taken(Extent(offset, size)) < size:
            raise OSError(errno.EIO, "not acquired: zeros would pass for data")
        if size < _LONG or not self._ahead or not self._reads_on(offset, size):
            return self._direct(offset, target)
        done = 0
        while done < size:
            number, inside = divmod(offset + done, _BLOCK)
            block = self._block(number)
            if block is None:  # what of it can be given is found by reading no more than was asked for
                return done + self._direct(offset + done, target[done:])
            part = memoryview(block)[inside : inside + size - done]
            target[done : done + len(part)] = part
            done += len(part)
        return done

    def _direct(self, offset: int, target: memoryview) -> int:
        try:
            return self._image.read_into(offset, target)
        except (ImageDamageError, SourceReadError) as error:
            raise OSError(errno.EIO, "these bytes cannot be given as they were acquired") from error

    def _reads_on(self, offset: int, size: int) -> bool:
        """Whether somebody read the same block, or the one before, a moment ago."""
        number, last = offset // _BLOCK, (offset + size - 1) // _BLOCK
        with self._lock:
            touched = self._touched
            known = number in touched or number - 1 in touched
            touched[last] = None
            touched.move_to_end(last)
            if len(touched) > _RECENT:
                touched.popitem(last=False)
        return known

    def _block(self, number: int) -> bytearray | None:
        last = (self._image.size - 1) // _BLOCK
        with self._lock:
            for wanted in range(number, min(number + self._ahead, last) + 1):
                if wanted not in self._blocks:
                    if self._threads is None:
                        self._threads = ThreadPoolExecutor(2, "medium")
                    self._blocks[wanted] = self._threads.submit(self._decoded, wanted)
            self._blocks.move_to_end(number)
            block = self._blocks[number]
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return block.result()

    def _decoded(self, number: int) -> bytearray | None:
        data = bytearray(min(_BLOCK, self._image.size - number * _BLOCK))
        try:
            done = self._image.read_into(number * _BLOCK, memoryview(data))
        except (ImageDamageError, SourceReadError):
            return None
        return data if done == len(data) else None

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
