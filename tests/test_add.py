"""A day's work: files go to their place, rows are drafted, nothing is invented or overwritten."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from builder import DATE, Builder, abf, movie, slices

from neuropress.cli.main import main


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(12)
    return build


def rows(build: Builder, table: str) -> list[dict[str, str]]:
    with (build.root / f"tables/{table}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def add(build: Builder, *arguments: object) -> int:
    return main(["add", *map(str, arguments), "--dataset", str(build.root)])


def test_a_recording_and_a_movie_become_rows(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = abf(tmp_path / "cell 1 µ.abf")
    images = movie(
        tmp_path / "m.tif", imagej=True, metadata={"axes": "TYX", "finterval": 0.02}, resolution=(1.25, 1.25)
    )
    before = raw.read_bytes()
    assert add(lab, raw, images, "--lab", "RY", "--session", "RY_S_0012") == 0
    said = capsys.readouterr().out
    (ephys,), (image,) = rows(lab, "ephys"), rows(lab, "image")
    assert ephys == dict.fromkeys(ephys, "") | {
        "ephys_id": "RY_E_0001",
        "session_id": "RY_S_0012",
        "sampling_rate": "20000",
        "file_path_raw": f"yuste/{DATE}/ephys/raw/cell 1 µ.abf",
    }
    assert (image["x"], image["y"], image["z"], image["frame_rate"]) == ("16", "20", "12", "50")
    assert image["image_type"] == ""
    assert "recording_type" in said
    assert "image_type" in said
    assert lab.raw(ephys["file_path_raw"]).read_bytes() == before == raw.read_bytes()


def test_the_next_free_number_and_an_untouched_table(lab: Builder, tmp_path: Path) -> None:
    lab.row("ephys", ephys_id="RY_E_0041", session_id="RY_S_0012", sampling_rate="damaged")
    path = lab.root / "tables/ephys.csv"
    text = "\ufeff" + path.read_text("utf-8").replace(",", ";").replace("\n", "\r\n").rstrip()
    path.write_text(text, "utf-8", newline="")
    for name in ("a.abf", "b.abf"):
        assert add(lab, abf(tmp_path / name), "--lab", "RY", "--session", "RY_S_0012") == 0
    now = path.read_bytes().decode("utf-8")
    assert now.startswith(text + "\r\n")
    added = now.removeprefix(text + "\r\n").split("\r\n")
    assert [line.split(";")[0] for line in added] == ["RY_E_0042", "RY_E_0043", ""]


def test_a_folder_of_slices_needs_table_mouse_and_date(lab: Builder, tmp_path: Path) -> None:
    folder = slices(tmp_path / "stack")
    assert add(lab, folder, "--lab", "JL") == 1
    assert add(lab, folder, "--lab", "JL", "--table", "sem_dataset", "--mouse", "RY_M_0001", "--date", DATE) == 0
    (row,) = rows(lab, "sem_dataset")
    assert (row["file_path_raw"], row["start_date"], row["mouse_id"]) == (
        f"lichtman/{DATE}/sem_dataset/raw/stack/",
        DATE,
        "RY_M_0001",
    )
    assert row["resolution"] == ""
    assert len(list(lab.raw(row["file_path_raw"]).iterdir())) == 9


def test_the_drafted_rows_convert_once_a_person_filled_them(lab: Builder, tmp_path: Path) -> None:
    assert add(lab, abf(tmp_path / "a.abf"), "--lab", "RY", "--session", "RY_S_0012") == 0
    path = lab.root / "tables/ephys.csv"
    path.write_text(path.read_text("utf-8").replace("RY_S_0012,,", "RY_S_0012,somatic patch,"), "utf-8", newline="\n")
    assert main(["run", str(lab.root)]) == 0
    assert lab.output("RY_S_0012.nwb")


def test_nothing_is_overwritten(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = abf(tmp_path / "a.abf"), tmp_path / "other"
    second.mkdir()
    assert add(lab, first, "--lab", "RY", "--session", "RY_S_0012") == 0
    place = lab.raw(f"yuste/{DATE}/ephys/raw/a.abf")
    before, table = place.read_bytes(), (lab.root / "tables/ephys.csv").read_bytes()
    assert add(lab, abf(second / "a.abf", sweeps=5), "--lab", "RY", "--session", "RY_S_0012") == 1
    assert "add.exists" in capsys.readouterr().out
    assert place.read_bytes() == before
    assert (lab.root / "tables/ephys.csv").read_bytes() == table
    assert not list(lab.root.rglob("*.partial"))


def test_folders_of_one_name_are_not_mixed(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = slices(tmp_path / "a/em", (9, 33, 40))
    second = slices(tmp_path / "b/em", (9, 33, 40))
    for slice in list(second.iterdir()):  # no file of one has the name of another
        slice.rename(slice.with_name(f"other{slice.name}"))
    stated = ("--lab", "JL", "--table", "sem_dataset", "--mouse", "RY_M_0001", "--date", DATE)
    assert add(lab, first, *stated) == 0
    table = (lab.root / "tables/sem_dataset.csv").read_bytes()
    assert add(lab, second, *stated) == 1
    assert "with a file that em does not have" in capsys.readouterr().out
    next(first.iterdir()).unlink()  # a folder that lacks a file is no longer the one that was added
    assert add(lab, first, *stated) == 1
    assert (lab.root / "tables/sem_dataset.csv").read_bytes() == table
    assert len(list(lab.raw(f"lichtman/{DATE}/sem_dataset/raw/em").iterdir())) == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lab", "RY", "--session", "RY_S_0099"], "no session RY_S_0099"),
        (["--lab", "JB", "--session", "RY_S_0012"], "belongs to lab RY"),
        (["--lab", "XX", "--session", "RY_S_0012"], "no lab XX"),
        (["--lab", "RY", "--session", "RY_S_0012", "--table", "mouse"], "no file can be added"),
        (["--lab", "ML", "--session", "RY_S_0012"], "keeps no table ephys"),
    ],
)
def test_what_does_not_fit_is_told(
    lab: Builder, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(lab, abf(tmp_path / "a.abf"), *arguments) == 1
    assert said in capsys.readouterr().out
    assert rows(lab, "ephys") == []
    assert not list((lab.root / "source").rglob("*.abf"))


def test_a_bad_file_is_left_where_it_is(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, np.zeros((9, 20, 16), np.uint16), metadata=None)
    path.write_bytes(path.read_bytes()[:3000])
    assert add(lab, path, "--lab", "RY", "--session", "RY_S_0012") == 1
    assert "tiff." in capsys.readouterr().out
    assert not list((lab.root / "source").rglob("*.tif"))


def test_the_numbers_end_at_9999(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.row("ephys", ephys_id="RY_E_9999", session_id="RY_S_0012")
    assert add(lab, abf(tmp_path / "a.abf"), "--lab", "RY", "--session", "RY_S_0012") == 1
    assert "add.full" in capsys.readouterr().out


def dated(path: Path, when: str) -> Path:
    """A movie that tells when it began."""
    start = f"{when[:4]}-{when[4:6]}-{when[6:]}T10:00:00"
    return movie(path, ome=True, metadata={"axes": "TYX", "AcquisitionDate": start})


def test_a_day_that_one_file_tells_holds_for_the_others_of_the_call(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent, telling = movie(tmp_path / "a.tif"), dated(tmp_path / "b.tif", "20240131")
    assert add(lab, silent, telling, "--lab", "RY", "--subject", "RY_M_0001", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first, second = (line for line in lines if line.get("done") == "added")
    assert first["key"] == "yuste/20240131/image/raw/a.tif"
    assert first["date_from"] == str(telling)
    assert str(telling) in first["why"]
    assert "date_from" not in second
    assert {row["session_id"] for row in rows(lab, "image")} == {rows(lab, "session")[-1]["session_id"]}


def test_no_day_is_taken_where_files_tell_different_ones(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = movie(tmp_path / "a.tif")
    telling = [dated(tmp_path / f"{day}.tif", day) for day in ("20240131", "20240201")]
    assert add(lab, silent, *telling, "--lab", "RY", "--subject", "RY_M_0001") == 1
    said = capsys.readouterr().out
    assert "not added          " + str(silent) in said
    assert all(f"{path.stem} ({path})" in said for path in telling)
    assert [row["session_date"] for row in rows(lab, "session")][1:] == ["20240131", "20240201"]
    assert add(lab, silent, *telling, "--lab", "RY", "--date", "20240131") == 0
    assert "date_from" not in capsys.readouterr().out


def test_the_day_of_a_named_session_is_its_own(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = movie(tmp_path / "a.tif"), dated(tmp_path / "b.tif", "20240131")
    assert add(lab, *files, "--lab", "RY", "--session", "RY_S_0012") == 0
    assert "its day is that of" not in capsys.readouterr().out
    assert [row["file_path_raw"].split("/")[1] for row in rows(lab, "image")] == [DATE, DATE]
