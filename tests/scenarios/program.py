"""Runs the program as a user does, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from msgspec import Struct

__all__ = ["Done", "forensiq"]


class Done(Struct, frozen=True):
    """A finished run."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, dict), self
        return value

    @property
    def lines(self) -> list[dict[str, Any]]:
        """JSON Lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    def expect(self, code: int) -> Done:
        """Return the run itself; an ``AssertionError`` with everything it said where it ended with another code."""
        assert self.code == code, f"exit code {self.code}, not {code}: {self.arguments}\n{self.out}\n{self.err}"
        return self


def forensiq(
    *arguments: str | Path,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    user: int | None = None,
    timeout: float = 240,
) -> Done:
    """Run the program with ``arguments`` in ``folder``, without a terminal; ``user`` is a user id to run as."""
    words = tuple(str(each) for each in arguments)
    done = subprocess.run(
        [sys.executable, "-m", "forensiq", *words],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        user=user,
    )
    return Done(words, done.returncode, done.stdout, done.stderr)
