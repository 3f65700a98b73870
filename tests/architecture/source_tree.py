"""The modules of the program, parsed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

__all__ = ["PACKAGE", "REPOSITORY", "modules", "parsed"]

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "forensiq"


@cache
def modules() -> tuple[Path, ...]:
    """Return every module of the program, relative to the repository."""
    return tuple(sorted(path.relative_to(REPOSITORY) for path in PACKAGE.rglob("*.py")))


@cache
def parsed(module: Path) -> ast.Module:
    """Return the syntax tree of a module of the repository."""
    return ast.parse((REPOSITORY / module).read_text(encoding="utf-8"), str(module))
