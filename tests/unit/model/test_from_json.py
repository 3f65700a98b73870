from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from forensiq.errors import RecordFormatError
from forensiq.model.from_json import from_json
from forensiq.model.jsonable import to_json
from forensiq.model.ledger import LedgerEntry
from forensiq.model.records import AcquisitionRecord, VerificationRecord
from tests.unit.reports import samples


def test_records_come_back_as_they_were() -> None:
    record = samples.acquisition()
    assert from_json(AcquisitionRecord, json.loads(json.dumps(to_json(record)))) == record
    damaged = samples.damaged()
    assert from_json(VerificationRecord, json.loads(json.dumps(to_json(damaged)))) == damaged


def test_a_ledger_entry_keeps_its_free_values() -> None:
    entry = LedgerEntry(1, "t", 2, "b", None, "A", "note", {"x": [1, {"y": None}]}, {}, {}, "0" * 64, "k", "s", "h")
    assert from_json(LedgerEntry, json.loads(json.dumps(to_json(entry)))) == entry


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), 5),
        (("elapsed_s",), True),
        (("source", "size"), "12"),
        (("source", "size"), True),
        (("source", "kind"), "floppy"),
        (("unreadable",), {}),
        (("unreadable", 0, "errno"), "5"),
        (("digests", "md5"), "zz"),
        (("digests", "sha3"), "00"),
        (("image", "segments", 0, "media"), {"offset": -1, "length": 1}),
        (("findings", 0, "severity"), "fatal"),
        (("surprise",), 1),
        (("metadata",), None),
    ],
)
def test_wrong_values_are_refused_by_name(path: tuple[str | int, ...], value: object) -> None:
    data: Any = copy.deepcopy(to_json(samples.acquisition()))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(RecordFormatError) as caught:
        from_json(AcquisitionRecord, data)
    assert str(path[0]) in caught.value.message


def test_a_missing_key_is_named() -> None:
    data: Any = to_json(samples.acquisition())
    del data["tool"]
    with pytest.raises(RecordFormatError, match="has no tool"):
        from_json(AcquisitionRecord, data)


def test_keys_of_a_later_version_are_let_through_only_on_request() -> None:
    data: Any = to_json(samples.verification())
    data["later"] = 1
    assert from_json(VerificationRecord, data, ignore_unknown=True) == samples.verification()
