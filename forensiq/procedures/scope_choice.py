"""``--scope``: what of a source is wanted, as it was typed.

``allocated`` · ``partition:2`` (or ``partition:2,3``) · ``paths:FILE``, a file with one path in each line.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from forensiq.errors import UsageError

__all__ = ["ScopeChoice", "parse_scope"]

_FORMS = "allocated, partition:N[,N…] or paths:FILE"
_MOST_LIST = 16 << 20


class ScopeChoice(Struct, frozen=True):
    """What is wanted. ``text`` is what was typed; ``partitions`` and ``paths`` are empty where they do not apply."""

    text: str
    partitions: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``allocated``, ``partition`` or ``paths``."""
        return self.text.partition(":")[0]


def parse_scope(text: str) -> ScopeChoice:
    """Return what ``text`` asks for; :class:`~forensiq.errors.UsageError` where it is none of the forms."""
    kind, _, rest = text.partition(":")
    if text == "allocated":
        return ScopeChoice(text)
    if kind == "partition" and rest and all(each.isdecimal() and len(each) < 6 for each in rest.split(",")):
        return ScopeChoice(text, partitions=tuple(sorted({int(each) for each in rest.split(",")})))
    if kind == "paths" and rest:
        return ScopeChoice(text, paths=_paths(Path(rest)))
    raise UsageError(f"{text!r} is no scope", hint=f"known are {_FORMS}", scope=text)


def _paths(file: Path) -> tuple[str, ...]:
    try:
        if file.stat().st_size > _MOST_LIST:
            raise UsageError(f"{file} is too long for a list of paths", path=str(file))
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as a list of paths: {error}", path=str(file)) from error
    paths = tuple(dict.fromkeys("/" + each.strip().strip("/") for each in lines if each.strip()))
    if not paths:
        raise UsageError(f"{file} has no path in it", hint="one path in each line: /home/a/letter.txt", path=str(file))
    return paths
