from __future__ import annotations

import json
from functools import cache
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forensiq.errors import RecordFormatError
from forensiq.model.ledger import CountersignatureFacts, LedgerHead, SealFacts, TimestampFacts
from forensiq.model.report import ExaminedFile
from forensiq.reports.embed import package_from_json, package_text
from forensiq.reports.html import embedded_json, render_html
from tests.unit.reports import hostile, samples


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _parsed(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    return tags


def test_what_decides_comes_first_and_everything_of_the_table_is_there() -> None:
    page = render_html(samples.package())
    words = "".join(_parsed(page).words)
    order = ["Report: case 2026-014", "COMPLETE, 16 SECTORS COULD NOT BE READ", samples.SHA256, "Contents"]
    places = [words.index(each) for each in order]
    assert places == sorted(places)
    for each in (
        "SW 26/1177", "王小明", "EXH-7", "S3Z9NB0K123456", "174c:55aa", "Physical sector size",
        "could not be determined",
        "External write blocker", "LBA 12,582,912 to 12,582,919", "errno not known", "/var/log/journal", "B. Ochieng",
        "not on the trust list", "Limitations and deviations", "openssl pkeyutl -verify", "Words",
        "not available: the bridge does not pass it on", "0.1.0", "-0.004 s", "of the acquired data, with 16 sectors",
    ):  # fmt: skip
        assert each in words, each


def test_seals_with_stamp_and_countersignatures_are_shown() -> None:
    at = "2026-03-02T10:00:00.000000Z"
    signed = CountersignatureFacts("B. Okafor", "receiver", "I checked it.", at, "12" * 32, False, None)
    seal = SealFacts(
        "0001", "2026-014", at, "王小明", "ab" * 32, "5N2S-3D3J", "cd" * 32, 18, 9, LedgerHead(17, 17, "ef" * 32), True,
        "Wang", TimestampFacts(at, "CN=Trusted stamps", "1.2", "7", True), (signed,),
    )  # fmt: skip
    words = " ".join(_parsed(render_html(samples.package(seals=(seal,)))).words)
    for each in (
        "5N2S-3D3J", "18 files, ledger up to entry 17", "trusted as Wang", "CN=Trusted stamps",
        "Countersigned (receiver)", "THE SIGNATURE DOES NOT HOLD: I checked it.", "12" * 32,
    ):  # fmt: skip
        assert each in words, each


def test_the_files_that_are_not_listed_are_counted() -> None:
    package = samples.package()
    item = package.report.items[0]
    assert item.examination is not None
    file = ExaminedFile("/film.mov", "12", None, None, None, "4,096 bytes could not be read")
    examination = replace(item.examination, affected=(file,), affected_not_listed=312, files=())
    page = render_html(samples.package(items=(replace(item, examination=examination),)))
    words = " ".join(_parsed(page).words)
    assert "Unreadable or damaged sectors fall in 313 files; the 1 that lost most" in words
    assert "Confidence" not in words, "a column in which nothing stands"


def test_the_data_inside_is_the_report() -> None:
    package = samples.package()
    page = render_html(package)
    assert package_from_json(embedded_json(page)) == package
    assert render_html(package_from_json(embedded_json(page))) == page


def test_no_script_runs_and_nothing_is_loaded() -> None:
    page = render_html(samples.package())
    tags = [tag for tag, _ in _parsed(page).seen]
    assert tags.count("script") == 1
    assert '<script type="application/json"' in page
    assert not {"img", "link", "iframe", "object", "form"} & set(tags)
    assert "http" not in page.split("<body>")[1].replace("http://www.w3.org/2000/svg", "").split("<script")[0]


@cache
def _plain_tags() -> list[tuple[str, tuple[str, ...]]]:
    page = render_html(hostile.package_with("plain"))
    return [each for each in _parsed(page).seen if each[0] != "bdi"]


@pytest.mark.parametrize("name", hostile.NAMES)
def test_hostile_names_add_no_markup(name: str) -> None:
    page = render_html(hostile.package_with(name))
    assert [each for each in _parsed(page).seen if each[0] != "bdi"] == _plain_tags()
    page.encode("utf-8")
    assert package_from_json(embedded_json(page)) == hostile.package_with(name)
    shown = page.split("<body>")[1].split("<script")[0]
    assert not set(shown) & set("\u202e\u2066\u200b\x1b\x00\r")


@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=60))
def test_any_name_stays_text(name: str) -> None:
    package = hostile.package_with(name)
    page = render_html(package)
    assert [each for each in _parsed(page).seen if each[0] != "bdi"] == _plain_tags()
    assert package_from_json(embedded_json(page)) == package


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(schema="other"),
        lambda data: data.update(more=1),
        lambda data: data["ledger_head"].update(count=5),
        lambda data: data["report"].pop("case"),
        lambda data: data["report"].update(items=5),
        lambda data: data["attachments"][0].update(text="other"),
        lambda data: data["attachments"][0].update(text=5),
        lambda data: data["attachments"].append(5),
    ],
)
def test_other_data_is_refused(change: object) -> None:
    data = json.loads(package_text(samples.package()))
    change(data)  # type: ignore[operator]
    with pytest.raises(RecordFormatError):
        package_from_json(json.dumps(data))


def test_a_page_of_another_kind_is_refused() -> None:
    with pytest.raises(RecordFormatError):
        embedded_json("<html></html>")
