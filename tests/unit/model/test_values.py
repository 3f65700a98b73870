"""Digests, JSON of records, errors."""

from __future__ import annotations

import json

import pytest

from forensiq.errors import ExitCode, UnknownHashError
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.jsonable import to_json


@pytest.mark.parametrize("name", ["MD5", "sha-256", "SHA256", "blake3"])
def test_usual_spellings_of_algorithms_are_known(name: str) -> None:
    assert HashAlgorithm.parse(name).value == name.lower().replace("-", "")


def test_an_unknown_algorithm_is_an_error_and_never_left_out() -> None:
    with pytest.raises(UnknownHashError) as caught:
        HashAlgorithm.parse("sha265")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.facts["name"] == "sha265"


def test_digests_keep_one_order_and_refuse_nonsense() -> None:
    digests = DigestSet.of({HashAlgorithm.SHA256: "0" * 64, HashAlgorithm.MD5: "a" * 32})
    assert list(digests.to_json()) == ["md5", "sha256"]
    assert DigestSet.from_json(digests.to_json()) == digests
    assert digests.get(HashAlgorithm.SHA1) is None
    for wrong in ("a" * 31, "A" * 32, "g" * 32):
        with pytest.raises(ValueError, match="not a md5 digest"):
            DigestSet.of({HashAlgorithm.MD5: wrong})


def test_a_finding_becomes_plain_json() -> None:
    finding = Finding(Severity.ERROR, Cause.DATA, "chunk.checksum", "bad", media=Extent(0, 512))
    assert json.loads(json.dumps(to_json(finding)))["media"] == {"offset": 0, "length": 512}


def test_what_has_no_json_form_is_refused_rather_than_printed() -> None:
    with pytest.raises(TypeError):
        to_json(b"bytes")
