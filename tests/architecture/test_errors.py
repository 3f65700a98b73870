from __future__ import annotations

import re

import forensiq.errors
from forensiq.errors import ExitCode, ForensiqError

LINE = re.compile(r"(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+) +(?P<code>\d+)(?: |$)")


def _drawn() -> list[tuple[str, str, int]]:
    """Return (class, parent, exit code) of every line of the tree in the docstring, in order."""
    found: list[tuple[str, str, int]] = []
    parents: dict[int, str] = {}
    for line in (forensiq.errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        depth = (len(match["indent"]) - 4) // 4
        parents[depth] = match["name"]
        found.append((match["name"], parents.get(depth - 1, "Exception"), int(match["code"])))
    return found


def _real(root: type[ForensiqError]) -> list[tuple[str, str, int]]:
    bases = [base.__name__ for base in root.__bases__]
    found = [(root.__name__, bases[0], int(root.exit_code))]
    for child in root.__subclasses__():
        if child.__module__ == "forensiq.errors":
            found += _real(child)
    return found


def test_the_tree_that_is_drawn_is_the_real_one() -> None:
    assert sorted(_drawn()) == sorted(_real(ForensiqError))


def test_every_error_of_the_program_is_in_the_one_tree() -> None:
    def foreign(root: type[ForensiqError]) -> list[str]:
        return [
            name
            for child in root.__subclasses__()
            for name in ([child.__qualname__] if child.__module__.startswith("forensiq.") else []) + foreign(child)
            if child.__module__ != "forensiq.errors"
        ]

    assert foreign(ForensiqError) == []


def test_every_error_class_is_exported_and_says_what_it_means() -> None:
    names = [name for name, _, _ in _real(ForensiqError)]
    assert set(names) <= set(forensiq.errors.__all__)
    assert all(getattr(forensiq.errors, name).__doc__ for name in names)


def test_the_exit_codes_are_those_of_the_contract() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]
