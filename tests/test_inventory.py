"""Raw files and rows, both ways; and times that cannot be: recordings after their session, births in the future."""

from __future__ import annotations

import json
import struct
from datetime import date, timedelta
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, movie

from neuropress.cli.main import main


def dated_abf(path: Path, day: str, seconds: int) -> Path:
    """A recording whose header says when it began: a day, and seconds since its midnight."""
    data = bytearray(abf(path).read_bytes())
    struct.pack_into("<ii", data, 20, int(day), seconds)
    path.write_bytes(data)
    return path


def list_findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:  # type: ignore[type-arg]
    capsys.readouterr()
    main([*arguments, "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    script = f"yuste/{DATE}/image/script/run.py"
    build.put(script, b"print()")
    gone = f"yuste/{DATE}/image/processed/none.tif"
    more = {"file_path_script": script, "file_path_processed": gone, "processing_methods": "x"}
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), **more)
    return build


def test_files_and_rows_both_ways(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lone = f"yuste/{DATE}/ephys/raw/lone.abf"
    lab.put(lone, tmp_path / "e.abf")
    lab.put(f"yuste/{DATE}/ephys/raw/.DS_Store", b"x")
    for number in range(30):
        lab.put(f"yuste/{DATE}/image/raw/kept/{number}.txt", b"x")
    lab.session(2, session_date="not known")
    lab.ephys(tmp_path / "e.abf", "20000", 2, 2)
    found = list_findings(capsys, "status", str(lab.root), "--files")
    states = {entry["target"]: entry["done"] for entry in found}
    assert states == {
        lone: "named by no row",
        f"yuste/{DATE}/image/raw/kept/": "named by no row",
        f"yuste/{DATE}/image/processed/none.tif": "missing",
        f"yuste/{DATE}/ephys/raw/e2.abf": "withheld",
        f"yuste/{DATE}/image/script/run.py": "kept as it is",
        f"yuste/{DATE}/ephys/raw/e1.abf": "read",
        f"yuste/{DATE}/image/raw/m1.tif": "read",
    }
    kept = next(entry for entry in found if entry["target"].endswith("kept/"))
    assert len(kept["files"]) == 30
    read = next(entry for entry in found if entry["done"] == "read" and entry["target"].endswith("m1.tif"))
    assert read["cells"] == [{"table": "image", "line": 2, "column": "file_path_raw"}]
    assert main(["status", str(lab.root), "--files"]) == 0
    out = capsys.readouterr().out
    assert lone in out
    assert "m1.tif" not in out
    # check tells what a person must act on: data without a row. What is no data there, it leaves to the list.
    (unnamed,) = [f for f in list_findings(capsys, "check", str(lab.root)) if f.get("id") == "file.unnamed"]
    assert (unnamed["severity"], unnamed["location"]["file"]) == ("warning", lone)


@pytest.mark.parametrize(
    ("times", "day", "clock", "late"),
    [
        (("09:00", "09:50"), DATE, "14:04:46", 15286),
        (("09:00", "09:50"), DATE, "09:50:40", None),
        (("09:00", "09:50"), DATE, "09:49:00", None),
        (("22:00", "01:30"), "20250621", "01:20:00", None),
        (("22:00", "01:30"), "20250621", "02:30:00", 3600),
        (("09:00", ""), DATE, "14:04:46", None),
    ],
)
def test_a_recording_after_its_session_is_told(
    tmp_path: Path, times: tuple[str, str], day: str, clock: str, late: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Builder(tmp_path / "ds")
    lab.session(start_time=times[0], end_time=times[1])
    hours, minutes, seconds = map(int, clock.split(":"))
    lab.ephys(dated_abf(tmp_path / "e.abf", day, hours * 3600 + minutes * 60 + seconds), "20000")
    found = [f for f in list_findings(capsys, "check", str(lab.root)) if f.get("id") == "recording.after_session"]
    assert [f["location"]["key"] for f in found] == (["RY_E_0001"] if late else [])
    assert all(f"{late} s after RY_S_0001 ended" in f["message"] for f in found)
    assert main(["convert", str(lab.root)]) == 0


def test_a_birth_in_the_future_is_an_error(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    coming = f"{date.today() + timedelta(days=30):%Y%m%d}"  # noqa: DTZ011
    lab.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", genotype="+/+", sex="F", birth_date=coming)
    errors = [f for f in list_findings(capsys, "check", str(lab.root)) if f.get("severity") == "error"]
    assert [(f["id"], f["location"]["key"]) for f in errors] == [("dates.future", "RY_M_0002")]


def test_one_kind_of_finding_stands_together_and_is_told_once(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2, 20):
        lab.row("mouse", mouse_id=f"RY_M_{number:04d}", strain="C57BL/6J", genotype="+/+", sex="F", weight="90")
    lab.row("mouse", mouse_id="RY_M_0020", strain="C57BL/6J", sex="X")
    assert main(["check", str(lab.root)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error   cell.choice: table mouse line 21")
    assert "warning mouse.weight: 18 findings" in lines
    assert sum("column weight" in line for line in lines) == 10
    assert "        and 8 more; --json lists all" in lines
    assert main(["status", str(lab.root)]) == 0
    assert "1 error and 20 warnings in the tables: neuropress check shows them" in capsys.readouterr().out
    main(["convert", str(lab.root)])
    out = capsys.readouterr().out
    assert "warnings of" in out
    assert "on rows: neuropress check shows them" in out
    assert "image.unrecorded" not in out
    main(["run", str(lab.root)])
    out = capsys.readouterr().out
    assert out.count("image.unrecorded") == 1
    assert "neuropress check shows them" not in out
