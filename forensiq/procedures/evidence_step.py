"""The step of a command that looks at evidence, in the ledger of a case: which evidence, what was asked, how it ended.

::

    with evidence_step(case_dir, "ls", "image", path, {"recursive": True}, key=key) as step:
        ...
        step.result(exit_code=0)

The path is written relative to the case where it lies inside, else absolute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from forensiq.custody.case_folder import CaseFolder
from forensiq.procedures.custody_step import CustodyStep, custody_step
from forensiq.procedures.keys import KeyChoice

__all__ = ["evidence_step"]


@contextmanager
def evidence_step(
    case_dir: Path, action: str, kind: str, evidence: Path, options: Mapping[str, object], *, key: KeyChoice
) -> Iterator[CustodyStep]:
    """Write start and end of ``action`` into the ledger of ``case_dir``, as :func:`custody_step` does.

    ``kind`` names what ``evidence`` is (``image``, ``source``); ``options`` are those that were given.
    """
    inside = CaseFolder.open(case_dir).relative(evidence)
    parameters = {kind: inside if inside is not None else os.path.abspath(evidence), "options": dict(options)}
    with custody_step(case_dir, action, parameters, key=key) as step:
        yield step
