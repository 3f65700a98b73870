from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source_tree import REPOSITORY, modules, parsed

LONGEST = 400
EVIDENCE_SIDE = ("forensiq/sources/", "forensiq/devices/", "forensiq/analysis/", "forensiq/verification/")
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"}
WRITING_CALLS = {"pwrite", "pwritev", "writev", "ftruncate", "truncate", "fallocate", "posix_fallocate", "copyfile"} | {
    "write_bytes",
    "write_text",
    "touch",
    "unlink",
    "rename",
    "symlink",
    "rmdir",
    "rmtree",
    "chmod",
    "chown",
}

each_module = pytest.mark.parametrize("module", modules(), ids=str)


@each_module
def test_a_module_is_short_enough_to_read(module: Path) -> None:
    lines = (REPOSITORY / module).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{module} has {lines} lines: split it"


@each_module
def test_a_module_says_what_it_is(module: Path) -> None:
    assert ast.get_docstring(parsed(module)), f"{module} has no docstring"


@each_module
def test_values_are_structures(module: Path) -> None:
    """The standard library's dataclasses are compiled at every start of the program (decision 0210)."""
    assert not [
        node for node in ast.walk(parsed(module)) if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
    ], f"{module}: use msgspec.Struct"


@each_module
def test_exports_are_complete_and_exist(module: Path) -> None:
    if module.name == "__main__.py":
        return
    tree = parsed(module)
    exported = _exports(tree)
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    if exported is None:
        assert module.name == "__init__.py", f"{module} has no __all__"
        assert not defined, f"{module} has no __all__"
        return
    assert len(exported) == len(set(exported))
    assert defined <= set(exported), f"public but not exported: {sorted(defined - set(exported))}"
    assert set(exported) <= _bound(tree), f"exported but not there: {sorted(set(exported) - _bound(tree))}"


@each_module
def test_no_except_swallows_what_nobody_expected(module: Path) -> None:
    for node in ast.walk(parsed(module)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
        broad = any(each is None or _name(each) in ("Exception", "BaseException") for each in caught)
        assert not broad or _reraises(node), f"{module}:{node.lineno}: a broad except that swallows"


@pytest.mark.parametrize("module", [each for each in modules() if str(each).startswith(EVIDENCE_SIDE)], ids=str)
def test_nothing_on_the_side_of_the_evidence_can_write(module: Path) -> None:
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Attribute | ast.Name):
            assert _name(node) not in WRITING_FLAGS, f"{module}:{node.lineno}: {_name(node)}"
        if isinstance(node, ast.Call):
            assert _name(node.func) not in WRITING_CALLS, f"{module}:{node.lineno}: {_name(node.func)}()"
            mode = _open_mode(node)
            assert mode is None or not set(mode) & set("wax+"), f"{module}:{node.lineno}: opened with {mode!r}"


@pytest.mark.parametrize("mode", ["w", "ab", "r+b", "xb"])
def test_the_check_for_writing_finds_one(mode: str) -> None:
    call = ast.parse(f"Path(name).open({mode!r})", mode="eval").body
    assert isinstance(call, ast.Call)
    assert _open_mode(call) == mode


def _exports(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(_name(target) == "__all__" for target in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def _bound(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {leaf.id for target in node.targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)}
        elif isinstance(node, ast.AnnAssign):
            names.add(_name(node.target))
    return names


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Whether the handler passes the error on: raises, or hands it by name to somebody who will."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and _name(node.func) == "report":
            return any(isinstance(each, ast.Name) and each.id == handler.name for each in node.args)
    return False


def _open_mode(call: ast.Call) -> str | None:
    """Return the mode of ``open(path, mode)`` or ``path.open(mode)``; ``None`` for other calls and for the default."""
    if _name(call.func) not in ("open", "fdopen"):
        return None
    if isinstance(call.func, ast.Attribute) and _name(call.func.value) == "os" and call.func.attr == "open":
        return None
    place = 0 if isinstance(call.func, ast.Attribute) and call.func.attr == "open" else 1
    candidates = [each.value for each in call.keywords if each.arg == "mode"] + call.args[place : place + 1]
    for each in candidates:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            return each.value
    return None
