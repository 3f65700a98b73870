"""The files inside a PDF report, read back from bytes that may be hostile.

Only what our own reports hold is understood: the document's name tree of embedded files, streams without a filter or
with Flate, unpacked to at most :data:`LARGEST` bytes together. Source: ISO 32000-1, 7.9.6 (name trees), 7.11.4.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from forensiq.errors import RecordFormatError

__all__ = ["LARGEST", "attachments_of"]

LARGEST = 512 << 20
_DEPTH = 8
_NAMES = 10_000


def attachments_of(data: bytes) -> dict[str, bytes]:
    """Return the embedded files of a PDF by name; ``RecordFormatError`` where it is no PDF or they cannot be read."""
    try:
        root = PdfFileReader(io.BytesIO(data)).root
        tree = _inside(root, "/Names", "/EmbeddedFiles")
        found: dict[str, bytes] = {}
        left = LARGEST
        for name, specification in _walk(tree, _DEPTH):
            if name in found or len(found) >= _NAMES:
                raise RecordFormatError("two attachments have one name, or there are too many", name=name[:200])
            found[name] = _content(specification, left)
            left -= len(found[name])
    except (PdfError, ValueError, KeyError, IndexError, TypeError, RecursionError, zlib.error) as error:
        raise RecordFormatError(f"the attachments of the PDF cannot be read: {error}") from error
    return found


def _inside(value: object, *keys: str) -> object:
    for key in keys:
        value = _resolved(value)
        if not isinstance(value, DictionaryObject) or key not in value:
            return None
        value = value.raw_get(key)
    return _resolved(value)


def _resolved(value: object) -> object:
    return value.get_object() if isinstance(value, IndirectObject) else value  # type: ignore[no-untyped-call]


def _walk(node: object, depth: int) -> Iterator[tuple[str, object]]:
    if not isinstance(node, DictionaryObject):
        return
    if depth == 0:
        raise RecordFormatError("the name tree of the PDF is too deep")
    names = _inside(node, "/Names")
    if isinstance(names, ArrayObject):
        flat = [_resolved(names.raw_get(index)) for index in range(len(names))]
        for name, specification in zip(flat[::2], flat[1::2], strict=True):
            yield str(name), specification
    kids = _inside(node, "/Kids")
    if isinstance(kids, ArrayObject):
        for index in range(len(kids)):
            yield from _walk(_resolved(kids.raw_get(index)), depth - 1)


def _content(specification: object, limit: int) -> bytes:
    stream = _inside(specification, "/EF", "/F")
    if not isinstance(stream, StreamObject):
        raise RecordFormatError("an attachment of the PDF has no content")
    kind = _inside(stream, "/Filter")
    if isinstance(kind, ArrayObject) and len(kind) == 1:
        kind = _resolved(kind.raw_get(0))
    raw: bytes = stream.encoded_data
    if kind is None:
        content = raw
    elif kind == "/FlateDecode":
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(raw, limit + 1)
        if not unpacker.eof and len(content) <= limit:
            raise RecordFormatError("an attachment of the PDF is cut short")
    else:
        raise RecordFormatError("an attachment of the PDF is packed in a way that our reports do not use")
    if len(content) > limit:
        raise RecordFormatError("the attachments of the PDF are too large", limit=LARGEST)
    return content
