"""The demonstration does the whole job, without root, and shows what it did."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.program import forensiq


def test_the_demonstration_does_the_whole_job(tmp_path: Path) -> None:
    done = forensiq("demo", "practice", folder=tmp_path).expect(0)
    assert "COMPLETE, 16 SECTORS COULD NOT BE READ" in done.out
    assert "VERIFIED" in done.out
    assert "holiday film.mov" in done.out.split("5. Impact")[1]
    assert "That was the whole job." in done.out
    assert "$ forensiq acquire practice/drive.dd practice/ITEM-1" in done.out
    made = {path.name for path in (tmp_path / "practice").iterdir()}
    assert made == {"drive.dd", *(f"ITEM-1.{end}" for end in ("E01", "record.json", "log.txt", "map", "blocks.csv"))}


def test_the_demonstration_is_one_json_object_for_scripts(tmp_path: Path) -> None:
    done = forensiq("demo", "practice", "--json", folder=tmp_path).expect(0)
    assert done.json["schema"] == "forensiq/demo/1"
    record = done.json["record"]
    assert record["status"] == "complete_with_unreadable_sectors"
    assert "simulated" in record["metadata"]["notes"]
    assert [(each["offset"], each["length"]) for each in record["unreadable"]] == [
        (each["offset"], each["length"]) for each in done.json["unreadable"]
    ]
    assert [step["exit_code"] for step in done.json["steps"]] == [3, 0, 0, 0, 0]
    verification = done.json["steps"][1]["output"][0]
    assert verification["verdict"] == "verified"
    listed = {entry.get("path"): entry for entry in done.json["steps"][3]["output"]}
    assert listed["/meeting point.txt"]["allocated"] is False
    assert listed["/home/lee/notes.txt"]["allocated"] is True


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = forensiq("demo", tmp_path, "--json").expect(6)
    assert done.json["error"] == "DestinationExistsError"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_a_name_every_demonstration_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "forensiq-demo").mkdir()
    forensiq("demo", "--quiet", folder=tmp_path).expect(0)
    assert (tmp_path / "forensiq-demo-2" / "ITEM-1.E01").exists()
