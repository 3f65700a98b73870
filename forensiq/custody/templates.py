"""Templates of cases: folders with ``case.toml``, ``template.toml``, ``report.toml`` and ``checklist.md``.

They are in the installed package (``forensiq/case_templates``) or, in a working copy, beside it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import forensiq
from forensiq.errors import CaseFileError, UsageError
from forensiq.model.case import CaseTemplate

__all__ = ["load_template", "starting_text", "template_folder", "template_names"]


def template_folder() -> Path:
    """Return the folder of the templates: in the package, else in the repository around it."""
    package = Path(forensiq.__file__).parent
    for place in (package / "case_templates", package.parent / "case_templates"):
        if place.is_dir():
            return place
    raise CaseFileError("the case templates are missing from this installation", path=str(package))


def template_names() -> list[str]:
    """Return the names of the templates there are."""
    return sorted(each.parent.name for each in template_folder().glob("*/template.toml"))


def load_template(name: str) -> CaseTemplate:
    """Return a template; :class:`~forensiq.errors.UsageError` names those there are."""
    folder = _folder(name)
    facts = _table(folder / "template.toml")
    required = facts.get("required", [])
    if not isinstance(required, list):
        raise CaseFileError(f"template {name}: required must be a list", path=str(folder))
    return CaseTemplate(
        name,
        str(facts.get("title", name)),
        str(facts.get("description", "")),
        tuple(str(each) for each in required),
        _texts(facts.get("labels", {}), folder / "template.toml"),
        _texts(_table(folder / "report.toml"), folder / "report.toml"),
        (folder / "checklist.md").read_text("utf-8"),
    )


def starting_text(name: str) -> str:
    """Return the ``case.toml`` that a new case of this template starts with."""
    return (_folder(name) / "case.toml").read_text("utf-8")


def _folder(name: str) -> Path:
    names = template_names()
    if name not in names:
        raise UsageError(f"there is no template {name!r}", hint=f"there are {', '.join(names)}", known=names)
    return template_folder() / name


def _table(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CaseFileError(f"{path}: {error}", path=str(path)) from error


def _texts(value: object, path: Path) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise CaseFileError(f"{path}: only text is allowed here", path=str(path))
    return dict(value)
