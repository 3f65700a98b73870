"""CASE/UCO 1.4 as JSON-LD: who did what to which evidence, when, with which tool and what result.

Source: CASE 1.4.0 and UCO 1.4.0 ontologies (investigation, action, observable, core). Identifiers are UUIDs of version
5, made from the report's own identifier, so that the same report gives the same graph. Text is written as it is; only
a lone surrogate, which has no form in UTF-8, is shown as ``<U+DCFF>``.
"""

from __future__ import annotations

import json
import uuid

from forensiq.clock import parse_rfc3339, rfc3339
from forensiq.model.case import Authority
from forensiq.model.digest import DigestSet
from forensiq.model.jsonable import Json
from forensiq.model.records import AcquisitionRecord, ImageFacts, ToolFacts, VerificationRecord
from forensiq.model.report import CaseReport, CustodyEvent, ItemReport
from forensiq.reports.case_verdict import case_verdict

__all__ = ["render_case_uco"]

_PREFIXES = {
    "action": "https://ontology.unifiedcyberontology.org/uco/action/",
    "core": "https://ontology.unifiedcyberontology.org/uco/core/",
    "identity": "https://ontology.unifiedcyberontology.org/uco/identity/",
    "investigation": "https://ontology.caseontology.org/case/investigation/",
    "kb": "urn:example:forensiq:",
    "observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
    "tool": "https://ontology.unifiedcyberontology.org/uco/tool/",
    "types": "https://ontology.unifiedcyberontology.org/uco/types/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_METHODS = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512"}
_Node = dict[str, Json]


def render_case_uco(report: CaseReport) -> str:
    """Return the report as a CASE/UCO graph in JSON-LD."""
    return json.dumps(_Graph(report).document(), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _typed(kind: str, value: str) -> Json:
    return {"@type": f"xsd:{kind}", "@value": value}


def _number(value: int) -> Json:
    return _typed("integer", str(value))


def _text(words: str) -> str:
    return "".join(f"<U+{ord(letter):04X}>" if 0xD800 <= ord(letter) <= 0xDFFF else letter for letter in words)


class _Graph:
    def __init__(self, report: CaseReport) -> None:
        self._report = report
        self._space = uuid.uuid5(uuid.NAMESPACE_URL, f"forensiq:{report.identifier}:{report.made}")
        self._nodes: dict[str, _Node] = {}
        self._last_action: str | None = None

    def document(self) -> Json:
        report = self._report
        verdict = case_verdict(report)
        for item in report.items:
            self._item(item)
        for event in report.ledger.events if report.ledger else ():
            if "transfer" in event.action:
                self._custody(event)
        grants: list[Json] = [self._authority(index, each) for index, each in enumerate(report.case.authority)]
        members: list[Json] = [{"@id": name} for name in self._nodes]
        self._add(
            "investigation",
            "0",
            "investigation:Investigation",
            {
                "core:name": _text(report.case.title or report.case.number or "not given"),
                "core:description": f"{verdict.headline}. {verdict.sentence}",
                "investigation:focus": _text(report.case.number or "not given"),
                **({"investigation:relevantAuthorization": grants} if grants else {}),
                "core:object": members or [self._person(report.case.examiner.name)],
            },
        )
        return {"@context": dict(_PREFIXES), "@graph": list(self._nodes.values())}

    def _add(self, kind: str, key: str, type_: Json, content: _Node) -> Json:
        name = f"kb:{kind}-{uuid.uuid5(self._space, f'{kind}:{_text(key)}')}"
        if name not in self._nodes:
            self._nodes[name] = {"@id": name, "@type": type_, **content}
        return {"@id": name}

    def _part(self, kind: str, key: str, type_: str, content: _Node) -> Json:
        name = f"kb:{kind}-{uuid.uuid5(self._space, f'{kind}:{_text(key)}')}"
        return {"@id": name, "@type": type_, **content}

    def _person(self, name: str) -> Json:
        return self._add("person", name, "identity:Person", {"core:name": _text(name or "not given")})

    def _tool(self, tool: ToolFacts) -> Json:
        content: _Node = {"core:name": _text(tool.name), "tool:version": _text(tool.version), "tool:toolType": "imager"}
        return self._add("tool", f"{tool.name} {tool.version} {tool.code_sha256}", "tool:Tool", content)

    def _authority(self, index: int, given: Authority) -> Json:
        content: _Node = {"investigation:authorizationType": _text(given.kind)}
        if given.identifier:
            content["investigation:authorizationIdentifier"] = _text(given.identifier)
        for key, day in (("core:startTime", given.valid_from), ("core:endTime", given.valid_until)):
            try:
                content[key] = _typed("dateTime", rfc3339(parse_rfc3339(f"{day}T00:00:00Z")))
            except ValueError:
                continue
        return self._add("authorization", str(index), "investigation:Authorization", content)

    def _item(self, item: ItemReport) -> None:
        name = item.item.identifier
        found: list[Json] = []
        for number, each in enumerate(item.acquisitions):
            key = f"{name}:{number}"
            device = self._device(key, each.record)
            found.append(device)
            if each.record.image is not None:
                image = self._image(key, each.record, each.record.image)
                found.append(image)
                self._derived(key, image, device)
                self._acquired(key, each.record, device, image)
                checks = [each.record.verification] if each.record.verification else []
                checks += [one.record for one in item.verifications] if number == len(item.acquisitions) - 1 else []
                for place, check in enumerate(checks):
                    self._verified(f"{key}:{place}", check, image)
        if found:
            content: _Node = {"investigation:exhibitNumber": _text(name), "core:object": found}
            if item.item.root_exhibit:
                content["investigation:rootExhibitNumber"] = _text(item.item.root_exhibit)
            if item.item.description:
                content["core:description"] = _text(item.item.description)
            self._add("provenance", name, "investigation:ProvenanceRecord", content)

    def _device(self, key: str, record: AcquisitionRecord) -> Json:
        source = record.source
        facet: _Node = {"observable:deviceType": source.kind.value}
        if source.model:
            facet["observable:model"] = _text(source.model)
        if source.serial:
            facet["observable:serialNumber"] = _text(source.serial)
        facets: list[Json] = [self._part("device-facet", key, "observable:DeviceFacet", facet)]
        facets.append(
            self._part("disk-facet", key, "observable:DiskFacet", {"observable:diskSize": _number(source.size)})
        )
        # UCO 2.0.0 will make every disk a storage medium; until then both are said.
        kind: Json = "observable:ObservableObject"
        if source.kind.value == "block_device":
            kind = ["observable:Disk", "observable:StorageMedium"]
        return self._add("device", key, kind, {"core:name": _text(source.path or "not given"), "core:hasFacet": facets})

    def _image(self, key: str, record: AcquisitionRecord, image: ImageFacts) -> Json:
        facets: list[Json] = [
            self._part("image-facet", key, "observable:ImageFacet", {"observable:imageType": _text(image.format)}),
            self._part(
                "content-facet",
                key,
                "observable:ContentDataFacet",
                {
                    "observable:sizeInBytes": _number(image.media_size),
                    **({"observable:hash": self._hashes(key, record.digests)} if record.digests else {}),
                },
            ),
        ]
        content: _Node = {"core:name": _text(image.path or "not given"), "core:hasFacet": facets}
        if record.digest_coverage:
            content["core:description"] = _text(record.digest_coverage)
        return self._add("image", key, "observable:Image", content)

    def _hashes(self, key: str, digests: DigestSet) -> Json:
        return [
            self._part(
                "hash",
                f"{key}:{algorithm.value}",
                "types:Hash",
                {
                    "types:hashMethod": _METHODS.get(algorithm.value, algorithm.value.upper()),
                    "types:hashValue": _typed("hexBinary", found),
                },
            )
            for algorithm, found in digests.items()
        ]

    def _derived(self, key: str, image: Json, device: Json) -> None:
        self._add(
            "relationship",
            key,
            "observable:ObservableRelationship",
            {
                "core:source": image,
                "core:target": device,
                "core:kindOfRelationship": "Derived_From",
                "core:isDirectional": True,
            },
        )

    def _acquired(self, key: str, record: AcquisitionRecord, device: Json, image: Json) -> None:
        instruments: list[Json] = [self._tool(record.tool)]
        blocker = record.write_block.external_blocker
        if blocker:
            instruments.append(
                self._add("write-blocker", blocker, "observable:WriteBlocker", {"core:name": _text(blocker)})
            )
        words = f"{record.status}; {sum(each.sectors for each in record.unreadable)} sectors could not be read"
        self._action(
            "acquired", key, "imaged", record.started, record.finished, instruments, [device], [image], words,
            record.metadata.examiner or self._report.case.examiner.name,
        )  # fmt: skip

    def _verified(self, key: str, record: VerificationRecord, image: Json) -> None:
        instruments: list[Json] = [self._tool(record.tool)] if record.tool else []
        self._action(
            "verified", key, "verified", record.started, record.finished, instruments, [image], [],
            f"{record.verdict}: {record.summary}", self._report.case.examiner.name,
        )  # fmt: skip

    def _custody(self, event: CustodyEvent) -> None:
        found = [f"{each.item.identifier}" for each in self._report.items]
        item = str(event.parameters.get("item", ""))
        objects: list[Json] = []
        if item in found and any(each.acquisitions for each in self._report.items if each.item.identifier == item):
            objects.append({"@id": f"kb:device-{uuid.uuid5(self._space, f'device:{_text(item)}:0')}"})
        self._action(
            "custody", str(event.seq), event.action, event.utc, event.utc, [], objects, [],
            f"ledger entry {event.seq}", event.actor,
        )  # fmt: skip

    def _action(
        self,
        kind: str,
        key: str,
        name: str,
        started: str,
        finished: str,
        instruments: list[Json],
        objects: list[Json],
        results: list[Json],
        words: str,
        who: str,
    ) -> None:
        content: _Node = {"core:name": _text(name), "core:description": _text(words)}
        for field, moment in (("action:startTime", started), ("action:endTime", finished)):
            try:
                content[field] = _typed("dateTime", rfc3339(parse_rfc3339(moment)))
            except ValueError:
                continue
        content["action:performer"] = self._person(who)
        for field, nodes in (
            ("action:instrument", instruments),
            ("action:object", objects),
            ("action:result", results),
        ):
            if nodes:
                content[field] = nodes
        if self._last_action is not None:
            content["investigation:wasInformedBy"] = {"@id": self._last_action}
        made = self._add(kind, key, "investigation:InvestigativeAction", content)
        if isinstance(made, dict):
            self._last_action = str(made["@id"])
