"""Case, evidence items and people, as they stand in ``case.toml``."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

__all__ = ["Attachment", "Authority", "Case", "CaseTemplate", "EvidenceItem", "Examiner"]


class Examiner(Struct, frozen=True):
    """A person who acts in a case."""

    name: str
    organisation: str = ""
    role: str = ""
    qualification: str = ""


class Authority(Struct, frozen=True):
    """Why the examination is allowed: a warrant, an order, consent. Dates as ``YYYY-MM-DD``, empty: not given."""

    kind: str
    identifier: str = ""
    issued_by: str = ""
    valid_from: str = ""
    valid_until: str = ""


class Attachment(Struct, frozen=True):
    """A photo or a document that belongs to a case or an item, bound by its digest; ``path`` in the case folder."""

    path: str
    sha256: str
    size: int
    caption: str = ""


class EvidenceItem(Struct, frozen=True):
    """One exhibit."""

    identifier: str
    description: str = ""
    root_exhibit: str = ""
    kind: str = ""
    label_capacity: str = ""
    seal_in: str = ""
    seal_out: str = ""
    condition: str = ""
    location: str = ""
    attachments: tuple[Attachment, ...] = ()


class Case(Struct, frozen=True):
    """A case: who, why, and which items."""

    number: str
    title: str = ""
    agency: str = ""
    requester: str = ""
    examiner: Examiner = Examiner("")
    people: tuple[Examiner, ...] = ()
    authority: tuple[Authority, ...] = ()
    items: tuple[EvidenceItem, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    template: str = "default"
    fields: Mapping[str, str] = field(default_factory=dict)


class CaseTemplate(Struct, frozen=True):
    """A kind of case: what it starts from and what it asks for.

    ``required`` names fields as in ``case.toml`` (``agency``, ``examiner.role``, ``items.seal_in`` for each item,
    ``fields.offence``, ``authority`` for at least one). ``labels`` gives them names for people, ``report`` the wording
    of the report by paragraph, ``checklist`` is Markdown.
    """

    name: str
    title: str
    description: str
    required: tuple[str, ...]
    labels: Mapping[str, str]
    report: Mapping[str, str]
    checklist: str
