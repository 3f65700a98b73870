"""The facts of an AFF4 volume: its ``information.turtle``, read as far as AFF4 uses the Turtle language.

Prefixes, names, literals with types, lists of properties and of values: what the grammar has beyond that (blank nodes,
collections) no writer of AFF4 uses, and it is refused. Linear in the size of the text, which is bounded by the caller.
Source: W3C, *RDF 1.1 Turtle*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["AFF4", "Facts", "Literal", "TurtleError", "parse_turtle"]

AFF4 = "http://aff4.org/Schema#"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_TOKEN = re.compile(
    r"\s+|\#[^\n]*"
    r'|(?P<iri><[^<>"{}|^`\\\x00-\x20]*>)'
    r'|(?P<long>"""(?:[^"\\]|\\.|"(?!""))*""")'
    r'|(?P<text>"(?:[^"\\\n\r]|\\.)*")'
    r"|(?P<word>@[A-Za-z][\w-]*)"
    r"|(?P<type>\^\^)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[\w-]*:(?:[\w:%/-]|\.(?=[\w:%/-]))*|a\b|true\b|false\b)"
    r"|(?P<mark>[.;,])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_ESCAPES = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


class TurtleError(Exception):
    """Text that is no Turtle of AFF4's kind. Never leaves the images package."""


class Literal(NamedTuple):
    """A value that is text; ``type`` is the full name of its type, or empty."""

    text: str
    type: str


class Facts:
    """Everything that is said, by subject and property; names in full. Values are names (``str``) or literals."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, list[str | Literal]]] = {}

    def add(self, subject: str, predicate: str, value: str | Literal) -> None:
        """Take in one statement."""
        self._said.setdefault(subject, {}).setdefault(predicate, []).append(value)

    def values(self, subject: str, name: str) -> list[str | Literal]:
        """Return the values of AFF4's property ``name``."""
        return self._said.get(subject, {}).get(AFF4 + name, [])

    def names(self, subject: str, name: str) -> list[str]:
        """Return those values that are names of other things."""
        return [each for each in self.values(subject, name) if not isinstance(each, Literal)]

    def text(self, subject: str, name: str) -> str:
        """Return the first value as text; empty where there is none."""
        for each in self.values(subject, name):
            return each.text if isinstance(each, Literal) else each
        return ""

    def number(self, subject: str, name: str) -> int | None:
        """Return the first value as a whole number that is not negative; ``None`` where there is none."""
        text = self.text(subject, name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def of_type(self, name: str) -> list[str]:
        """Return the subjects of AFF4's type ``name``, in the order of the text."""
        return [subject for subject in self._said if AFF4 + name in self._said[subject].get(_TYPE, [])]

    def has_type(self, subject: str, name: str) -> bool:
        """Say whether ``subject`` is of AFF4's type ``name``."""
        return AFF4 + name in self._said.get(subject, {}).get(_TYPE, [])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise TurtleError(f"what stands at character {at} is nothing that AFF4 uses")
        at = found.end()
        if found.lastgroup is not None:
            yield found.lastgroup, found.group()
    yield "end", ""


def _unescape(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "uU" and len(code) > 1:
            value = int(code[1:], 16)
            return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "�"
        return _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._kind, self._text = next(self._tokens)
        self._prefixes: dict[str, str] = {}
        self.facts = Facts()

    def _next(self) -> tuple[str, str]:
        taken = self._kind, self._text
        self._kind, self._text = next(self._tokens, ("end", ""))
        return taken

    def _mark(self, mark: str) -> bool:
        if (self._kind, self._text) == ("mark", mark):
            self._next()
            return True
        return False

    def run(self) -> Facts:
        while self._kind != "end":
            if self._kind == "word":
                self._directive()
            else:
                self._statements()
        return self.facts

    def _directive(self) -> None:
        _, word = self._next()
        prefix = self._next()[1].removesuffix(":") if word == "@prefix" else ""
        kind, iri = self._next()
        if word not in ("@prefix", "@base") or kind != "iri" or not self._mark("."):
            raise TurtleError("a directive is not complete")
        if word == "@prefix":
            self._prefixes[prefix] = iri[1:-1]

    def _statements(self) -> None:
        subject = self._name()
        while True:
            predicate = _TYPE if (self._kind, self._text) == ("name", "a") and self._next() else self._name()
            self.facts.add(subject, predicate, self._value())
            while self._mark(","):
                self.facts.add(subject, predicate, self._value())
            while self._mark(";"):
                if (self._kind, self._text) == ("mark", "."):
                    break
            else:
                if self._mark("."):
                    return
                if self._kind not in ("iri", "name"):
                    raise TurtleError("a statement is not complete")
                continue
            if self._mark("."):
                return

    def _name(self) -> str:
        kind, text = self._next()
        if kind == "iri":
            return text[1:-1]
        if kind != "name" or ":" not in text:
            raise TurtleError(f"a name is expected where {text[:40]!r} stands")
        prefix, _, local = text.partition(":")
        if prefix not in self._prefixes:
            raise TurtleError(f"the prefix {prefix!r} is not declared")
        return self._prefixes[prefix] + local

    def _value(self) -> str | Literal:
        if self._kind in ("text", "long"):
            kind, text = self._next()
            body = _unescape(text[3:-3] if kind == "long" else text[1:-1])
            if self._kind == "type":
                self._next()
                return Literal(body, self._name())
            if self._kind == "word":
                self._next()
            return Literal(body, "")
        if self._kind == "number" or (self._kind == "name" and ":" not in self._text):
            return Literal(self._next()[1], "")
        return self._name()


def parse_turtle(text: str) -> Facts:
    """Return what ``text`` says; :class:`TurtleError` where it is not Turtle as AFF4 uses it."""
    return _Parser(text).run()
