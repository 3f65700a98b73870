"""YARA rules: compiled once, applied to bytes inside the worker (the only module that knows YARA-X).

A rule looks at a whole block of bytes: a file, the slack behind one, a stretch of free space.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yara_x
from msgspec import Struct

from forensiq.analysis.file_system_error import FileSystemError

__all__ = ["CompiledRules", "RuleError", "RuleScanner", "compile_rules"]

_MOST_STRINGS = 100
"""Places told for each rule and block."""
_TIMEOUT = 40
"""Seconds for one block: less than what a worker may stand still."""
_CONTEXT = 32


class RuleError(Exception):
    """Rules that cannot be understood; the message says where. Becomes a usage error."""


class CompiledRules(Struct, frozen=True):
    """Rules as a worker takes them, and the SHA-256 of their sources in the order in which they were given."""

    compiled: bytes
    sha256: str


def compile_rules(paths: Sequence[Path]) -> CompiledRules:
    """Compile the rules in some files, each in a namespace of its own name; ``include`` is beside its file.

    :class:`RuleError` for a file that cannot be read, and for rules that cannot be understood.
    """
    digest = hashlib.sha256()
    compiler = yara_x.Compiler()
    for path in paths:
        try:
            raw = path.read_bytes()
            text = raw.decode("utf-8")
        except OSError as error:
            raise RuleError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RuleError(f"{path}: is no text in UTF-8") from error
        digest.update(raw)
        compiler.new_namespace(path.stem)
        compiler.add_include_dir(str(path.absolute().parent))
        try:
            compiler.add_source(text, origin=str(path))
        except yara_x.CompileError as error:
            raise RuleError(str(error)) from error
    out = io.BytesIO()
    compiler.build().serialize_into(out)
    return CompiledRules(out.getvalue(), digest.hexdigest())


class RuleScanner:
    """Compiled rules that are applied to blocks."""

    def __init__(self, compiled: bytes) -> None:
        self._scanner = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(compiled)))
        self._scanner.set_timeout(_TIMEOUT)
        self._scanner.max_matches_per_pattern(_MOST_STRINGS)

    def matches(self, block: bytes | memoryview) -> list[dict[str, Any]]:
        """Return a hit for each rule that matches: ``pattern`` (its name), ``namespace``, ``tags``, ``strings``, and
        ``offset``, ``length`` and ``context`` of its first string in the block (0 where it has none).

        ``FileSystemError`` where a rule takes too long.
        """
        data = bytes(block)
        try:
            results = self._scanner.scan(data)
        except (yara_x.ScanError, yara_x.TimeoutError) as error:
            raise FileSystemError(f"YARA: {error}") from error
        return [_hit(rule, data) for rule in results.matching_rules]


def _hit(rule: Any, data: bytes) -> dict[str, Any]:  # noqa: ANN401 - YARA-X has no types
    strings = [
        {"name": pattern.identifier, "offset": match.offset, "length": match.length}
        for pattern in rule.patterns
        for match in pattern.matches
    ]
    strings.sort(key=lambda each: (each["offset"], each["name"]))
    first = strings[0] if strings else {"offset": 0, "length": 0}
    at, length = first["offset"], first["length"]
    return {
        "offset": at,
        "length": length,
        "pattern": rule.identifier,
        "encoding": "yara",
        "namespace": rule.namespace,
        "tags": list(rule.tags),
        "strings": strings[:_MOST_STRINGS],
        "context": data[max(0, at - _CONTEXT) : at + min(length, 256) + _CONTEXT].hex() if strings else "",
    }
