"""A copy of a report with some kinds of values taken out, marked as such and bound to the full report by its digest.

Values go out by where they stand (a person's name, a serial number), and wherever else the same words stand in the
report (the examiner's name in a command). Attached files would hold them still, so a redacted copy carries none; its
list of files keeps their digests. The full report's random identifier goes out too: without it, whoever has the copy
cannot try out names until the digest of the full report fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import get_args, get_type_hints

from msgspec import Struct
from msgspec.structs import replace

from forensiq.errors import UsageError
from forensiq.model.from_json import from_json
from forensiq.model.jsonable import Json, to_json
from forensiq.model.report import CaseReport, Redaction

__all__ = ["KINDS", "MARK", "redact"]

MARK = "[redacted]"

KINDS: Mapping[str, frozenset[str]] = {
    "people": frozenset(
        {
            *("name", "examiner", "requester", "made_by", "actor", "by", "user", "host"),
            *("released_by", "received_by", "trusted_as", "issued_by", "signer"),
        }
    ),
    "serials": frozenset({"serial", "wwn", "usb_id", "external_blocker"}),
    "paths": frozenset({"path", "destination", "device", "devices", "filesystem", "command", "original_path", "image"}),
    "notes": frozenset({"notes", "note", "description", "title", "text", "caption", "label", "purpose", "condition"}),
}
"""Kinds of values, and the keys under which they stand."""

_KEPT = frozenset(
    {
        *("schema", "status", "verdict", "severity", "cause", "kind", "code", "format", "method", "scope", "algorithm"),
        *("action", "sha256", "md5", "hash", "last_hash", "key", "fingerprint", "code_sha256", "previous", "version"),
        *("compression", "template", "role", "attached_as"),
    }
)
_NAMED_FOR_OTHER_THINGS = frozenset({"tool", "wording", "labels"})
_NOT_COLLECTED = frozenset({"command"})  # its words are options and names of programs, too
_SHORTEST = 3


def redact(report: CaseReport, kinds: Iterable[str], *, full_name: str, full_sha256: str, reason: str) -> CaseReport:
    """Return the copy; :class:`~forensiq.errors.UsageError` for an unknown kind or a report that is a copy itself."""
    chosen = tuple(dict.fromkeys(kinds))
    unknown = [kind for kind in chosen if kind not in KINDS]
    if unknown or not chosen:
        raise UsageError(
            f"nothing that can be redacted: {', '.join(unknown) or 'no kind was named'}", known=sorted(KINDS)
        )
    if report.redaction is not None:
        raise UsageError("the report is a redacted copy itself", hint="make the copy from the full report")
    keys = frozenset().union(*(KINDS[kind] for kind in chosen))
    tree = to_json(replace(report, identifier=MARK))
    words = sorted({word for word in _collect(tree, keys, hit=False) if word.strip()}, key=len, reverse=True)
    pattern = re.compile("|".join(_bounded(word) for word in words if len(word) >= _SHORTEST) or r"(?!)")
    counter = _Counter(keys, pattern)
    changed = counter.walk(tree, hit=False)
    copy = from_json(CaseReport, changed)
    files = tuple(replace(file, attached_as=None) for file in copy.files)
    return replace(
        copy, files=files, signer="", redaction=Redaction(full_sha256, full_name, chosen, counter.replaced, reason)
    )


@cache
def _field_names() -> frozenset[str]:
    """Return the names of all fields of a report: keys that are no words of anybody's."""
    names: set[str] = set()
    seen: set[object] = set()
    waiting: list[object] = [CaseReport]
    while waiting:
        hint = waiting.pop()
        if hint in seen:
            continue
        seen.add(hint)
        waiting.extend(get_args(hint))
        if isinstance(hint, type) and issubclass(hint, Struct):
            names |= set(hint.__struct_fields__)
            waiting.extend(get_type_hints(hint).values())
    return frozenset(names)


def _bounded(word: str) -> str:
    before = r"(?<!\w)" if word[0].isalnum() else ""
    behind = r"(?!\w)" if word[-1].isalnum() else ""
    return f"{before}{re.escape(word)}{behind}"


def _collect(node: Json, keys: frozenset[str], *, hit: bool) -> Iterator[str]:
    if isinstance(node, str):
        if hit:
            yield node
    elif isinstance(node, list):
        for each in node:
            yield from _collect(each, keys, hit=hit)
    elif isinstance(node, dict):
        for key, each in node.items():
            if key not in _NAMED_FOR_OTHER_THINGS and key not in _KEPT:
                yield from _collect(each, keys, hit=key in keys - _NOT_COLLECTED and not isinstance(each, dict))
        tool = node.get("tool")
        if isinstance(tool, dict):
            yield from (str(tool[key]) for key in ("host", "user") if key in keys and tool.get(key))


class _Counter:
    def __init__(self, keys: frozenset[str], pattern: re.Pattern[str]) -> None:
        self._keys = keys
        self._pattern = pattern
        self.replaced = 0

    def walk(self, node: Json, *, hit: bool) -> Json:
        if isinstance(node, str):
            return self._text(node, hit=hit)
        if isinstance(node, list):
            return [self.walk(each, hit=hit) for each in node]
        if isinstance(node, dict):
            return {
                key if key in _field_names() else self._text(key, hit=False): self._under(key, each)
                for key, each in node.items()
            }
        return node

    def _under(self, key: str, node: Json) -> Json:
        if key in _KEPT and isinstance(node, str):
            return node
        hit = key in self._keys and not isinstance(node, dict)
        if key == "tool" and isinstance(node, dict):
            # The program's own name is no person's; host and user are.
            return {
                name: self.walk(each, hit=name in self._keys and name in ("host", "user"))
                if not isinstance(each, dict)
                else each
                for name, each in node.items()
            }
        return self.walk(node, hit=hit)

    def _text(self, words: str, *, hit: bool) -> str:
        changed = MARK if hit and words else self._pattern.sub(MARK, words)
        self.replaced += changed != words
        return changed
