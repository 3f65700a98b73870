"""``case.toml``: read and checked, with errors that name line and field; changed without losing its comments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar

import tomlkit
from tomlkit.exceptions import TOMLKitError

from forensiq.errors import CaseFileError
from forensiq.model.case import Attachment, Authority, Case, CaseTemplate, EvidenceItem, Examiner
from forensiq.model.finding import Cause, Finding, Severity

__all__ = ["MAX_CASE_FILE", "changed_text", "missing_fields", "parse_case", "valid_identifier"]

MAX_CASE_FILE = 4 * 1024 * 1024
_SCHEMA = "forensiq/case/1"
_Table = TypeVar("_Table", Examiner, Authority, Attachment, EvidenceItem)
_IDENTIFIER = re.compile(r"\w(?:[\w.()+ -]{0,62}[\w)+-])?")


def valid_identifier(text: str) -> bool:
    """Say whether ``text`` can name an item: 1 to 64 letters, digits, ``. _ - + ( )`` and blanks inside."""
    return _IDENTIFIER.fullmatch(text) is not None


def parse_case(data: bytes, path: str) -> Case:
    """Return the case in ``data``; :class:`~forensiq.errors.CaseFileError` names ``path``, line and field."""
    if len(data) > MAX_CASE_FILE:
        raise CaseFileError(f"{path} is larger than {MAX_CASE_FILE} bytes", path=path)
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise CaseFileError(f"{path} is not UTF-8 text (byte {error.start})", path=path) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CaseFileError(f"{path} is not valid TOML: {error}", path=path) from error
    return _Reader(text, path).case(table)


def missing_fields(case: Case, template: CaseTemplate) -> tuple[Finding, ...]:
    """Return a warning for each field that the template requires and the case does not give."""
    result: list[Finding] = []
    for name in template.required:
        for where, value in _values(case, name):
            if not value:
                label = template.labels.get(name, name)
                text = f"{label} is not given; template {template.name} asks for it"
                finding = Finding(Severity.WARNING, Cause.METADATA, "case.field_missing", text, f"case.toml, {where}")
                result.append(finding)
    return tuple(result)


def changed_text(
    text: str,
    path: str,
    *,
    values: Mapping[str, str] | None = None,
    add: Mapping[str, EvidenceItem | Attachment] | None = None,
    attach: Mapping[str, Attachment] | None = None,
) -> str:
    """Return ``text`` with changes, comments kept, checked.

    ``values``: ``examiner.name`` → text. ``add``: ``items`` or ``attachments`` → one more of them. ``attach``: item
    identifier → one more attachment of it.
    """
    try:
        document = tomlkit.parse(text)
        for name, value in (values or {}).items():
            *tables, key = name.split(".")
            place: Any = document
            for table in tables:
                place = place.setdefault(table, tomlkit.table())
            place[key] = value
        for name, thing in (add or {}).items():
            _append(document, name, thing)
        for identifier, attachment in (attach or {}).items():
            for item in document.get("items", ()):
                if item.get("identifier") == identifier:
                    _append(item, "attachments", attachment)
        result = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise CaseFileError(f"{path} cannot be changed: {error}", path=path) from error
    case = parse_case(result.encode(), path)
    spaced = re.sub(r"(?<!\n)\n(?=\[)", "\n\n", result)
    # Inside text of several lines a bracket begins no table: then the lines stay as they are.
    return spaced if parse_case(spaced.encode(), path) == case else result


def _append(place: Any, name: str, thing: EvidenceItem | Attachment) -> None:  # noqa: ANN401  (tomlkit has no better)
    table = tomlkit.table()
    for each in thing.__struct_fields__:
        value = getattr(thing, each)
        if isinstance(value, (str, int)) and value != "":
            table[each] = value
    if name not in place:
        place[name] = tomlkit.aot()
    place[name].append(table)


def _values(case: Case, name: str) -> list[tuple[str, object]]:
    head, _, rest = name.partition(".")
    if head == "fields":
        return [(name, case.fields.get(rest, "").strip())]
    value = getattr(case, head, "")
    if not rest:
        return [(name, value)]
    if isinstance(value, tuple):
        return [(f"{head}[{number}].{rest}", getattr(each, rest, "")) for number, each in enumerate(value, start=1)]
    return [(name, getattr(value, rest, ""))]


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self._lines = text.splitlines()
        self._path = path

    def case(self, table: dict[str, Any]) -> Case:
        self._known(table, (*Case.__struct_fields__, "schema"), "")
        if table.get("schema", _SCHEMA) != _SCHEMA:
            self._fail("", "schema", f"is not {_SCHEMA!r}: another version of forensiq wrote this case")
        words = {
            name: self._text(table, name, "", "default" if name == "template" else "")
            for name in ("number", "title", "agency", "requester", "template")
        }
        if not words["number"].strip():
            self._fail("", "number", "is empty: a case needs a number")
        case = Case(
            **words,
            examiner=self._record(Examiner, table.get("examiner", {}), "examiner"),
            people=self._records(Examiner, table, "people"),
            authority=self._records(Authority, table, "authority"),
            items=self._records(EvidenceItem, table, "items"),
            attachments=self._records(Attachment, table, "attachments"),
            fields=self._fields(table.get("fields", {})),
        )
        self._check(case)
        return case

    def _check(self, case: Case) -> None:
        seen: set[str] = set()
        for number, item in enumerate(case.items, start=1):
            where = f"items[{number}]"
            if not valid_identifier(item.identifier):
                self._fail(where, "identifier", f"cannot be {item.identifier!r}: letters, digits, '.', '_' and '-'")
            if item.identifier.casefold() in seen:
                self._fail(where, "identifier", f"{item.identifier!r} stands twice")
            seen.add(item.identifier.casefold())
        for number, each in enumerate(case.authority, start=1):
            for name in ("valid_from", "valid_until"):
                self._date(getattr(each, name), f"authority[{number}]", name)
            if each.valid_from and each.valid_until and each.valid_until < each.valid_from:
                self._fail(f"authority[{number}]", "valid_until", "is before valid_from")

    def _date(self, text: str, where: str, name: str) -> None:
        if text:
            try:
                date.fromisoformat(text)
            except ValueError:
                self._fail(where, name, f"{text!r} is not a date; write it as 2026-11-22")

    def _records(self, kind: type[_Table], table: dict[str, Any], name: str) -> tuple[_Table, ...]:
        value = table.get(name, [])
        if not isinstance(value, list):
            self._fail("", name, f"must be a list of tables: [[{name.rpartition('.')[2]}]]")
        return tuple(self._record(kind, each, f"{name}[{number}]") for number, each in enumerate(value, start=1))

    def _record(self, kind: type[_Table], table: object, where: str) -> _Table:
        if not isinstance(table, dict):
            self._fail("", where, f"must be a table: [{where}]")
        self._known(table, kind.__struct_fields__, where)
        values: dict[str, Any] = {}
        for each in kind.__struct_fields__:
            if each == "attachments":
                values["attachments"] = self._records(Attachment, table, "attachments")
            elif each == "size":
                values["size"] = table.get("size")
                if not isinstance(values["size"], int) or isinstance(values["size"], bool) or values["size"] < 0:
                    self._fail(where, "size", "must be a number of bytes")
            else:
                values[each] = self._text(table, each, where, "")
        return kind(**values)

    def _fields(self, table: object) -> dict[str, str]:
        if not isinstance(table, dict):
            self._fail("", "fields", "must be a table: [fields]")
        return {name: self._text(table, name, "fields", "") for name in table}

    def _text(self, table: dict[str, Any], name: str, where: str, default: str) -> str:
        value = table.get(name, default)
        if type(value) is date:
            return value.isoformat()
        if not isinstance(value, str):
            self._fail(where, name, f'must be text in quotes: {name} = "…"')
        return value

    def _known(self, table: dict[str, Any], names: tuple[str, ...], where: str) -> None:
        for name in table:
            if name not in names:
                close = get_close_matches(name, names, n=1)
                meant = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
                self._fail(where, name, f"is no field here; {meant}")

    def _fail(self, where: str, name: str, what: str) -> NoReturn:
        full = f"{where}.{name}" if where else name
        line = self._line_of(where, name)
        place = f"{self._path}, line {line}" if line else self._path
        raise CaseFileError(f"{place}: {full} {what}", path=self._path, field=full, line=line)

    def _line_of(self, where: str, name: str) -> int | None:
        """Find the line of a field, by its table header and key; ``None`` where it is not written out."""
        table, _, number = where.rstrip("]").partition("[")
        start = 0
        if table:
            header = re.compile(rf"\s*\[+\s*(\w+\.)?{re.escape(table)}\s*\]+")
            found = [index for index, line in enumerate(self._lines) if header.match(line)]
            wanted = int(number or 1) - 1
            if wanted >= len(found):
                return None
            start = found[wanted] + 1
        key = re.compile(rf"""\s*(?:\[+\s*)?["']?{re.escape(name.partition("[")[0])}["']?\s*(?:=|\])""")
        for index in range(start, len(self._lines)):
            if key.match(self._lines[index]):
                return index + 1
            if table and re.match(r"\s*\[", self._lines[index]):
                break
        return start or None
