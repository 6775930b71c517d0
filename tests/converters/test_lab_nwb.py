"""NWB files that a lab already has: an asset with a record of proof, beside the session's own file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import pytest
from builder import DATE, Builder, abf
from lab_nwb_files import write_nwb

from neuropress.cli.main import main

KEY = f"yuste/{DATE}/ephys/raw/lab.nwb"
RECORD = "output/yuste/ephys/asset/RY_E_0002.json"
SESSION = f"output/yuste/{DATE}/session/nwb/RY_S_0001.nwb"


def list_findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:  # type: ignore[type-arg]
    capsys.readouterr()
    main([*arguments, "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def add_nwb(build: Builder, path: Path, **cells: str) -> None:
    build.put(KEY, path)
    row = {"ephys_id": "RY_E_0002", "session_id": "RY_S_0001", "recording_type": "somatic patch; ex vivo"}
    build.row("ephys", **row, **{"sampling_rate": "20000", "file_path_raw": KEY, **cells})


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A session with a recording and an NWB file, which say the same."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    subject = {"weight": "24.5 g", "strain": "C57BL/6J"}
    add_nwb(build, write_nwb(tmp_path / "lab.nwb", **subject))
    return build


def test_the_whole_line(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, release = str(lab.root), str(tmp_path / "release")
    for verb in ("check", "plan", "convert", "verify", "validate", "coverage"):
        assert main([verb, root]) == 0, (verb, capsys.readouterr().out)
    data = lab.raw(KEY).read_bytes()
    whole = hashlib.sha256(data).hexdigest()
    asset = json.loads((lab.root / RECORD).read_text())["asset"]
    assert asset["files"] == [{"path": KEY, "size": len(data), "sha256": whole}]
    assert asset["stated"]["identifier"] == "lab-17"
    assert asset["facts"]["sampling_rate"] == 20000
    agreed = {name: one.get("agrees") for name, one in asset["compared"].items()}
    assert agreed.pop("date_of_birth") is None  # the file states an age
    assert set(agreed) == {"session_start_time", "session_id", "subject_id", "species", "sex", "strain", "weight"}
    assert all(agreed.values())
    # The session's own file is made of the other row, and names this one.
    with h5py.File(lab.root / SESSION) as file:
        assert {name.split("_sweep")[0] for name in file["acquisition"]} == {"RY_E_0001"}
        notes = file["general/data_collection"].asstr()[()]
    assert f"NWB file of RY_E_0002: {KEY} (kept as it is; {len(data)} bytes, SHA-256 {whole})" in notes
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0, capsys.readouterr().out
    assert main(["releases", "verify", release, "--deep"]) == 0
    assert main(["releases", "rebuild", release]) == 0
    assert lab.raw(KEY).read_bytes() == data


def test_what_differs_from_the_rows_is_a_finding_on_the_cell(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"subject_id": "m17", "sex": "M", "species": "Rattus norvegicus", "weight": "0.3 kg"}
    lab.put(KEY, write_nwb(tmp_path / "other.nwb", "2025-06-20T09:02:00-04:00", **other))
    found = list_findings(capsys, "check", str(lab.root))
    differs = [one for one in found if one.get("id") == "nwb.differs"]
    assert {one["severity"] for one in differs} == {"warning"}
    assert {(one["location"]["table"], one["location"].get("column")) for one in differs} == {
        ("session", "start_time"),
        ("mouse", "mouse_id"),
        ("mouse", "sex"),
        ("mouse", "weight"),
    }
    assert main(["convert", str(lab.root)]) == 0
    compared = json.loads((lab.root / RECORD).read_text())["asset"]["compared"]
    assert compared["subject_id"] == {"row": "RY_M_0001", "file": "m17", "agrees": False}


def test_a_rate_that_differs_withholds_the_record(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("ephys", 1, sampling_rate="10000")
    (found,) = [one for one in list_findings(capsys, "check", str(lab.root)) if one.get("id") == "header.disagrees"]
    assert (found["location"]["key"], found["location"]["column"]) == ("RY_E_0002", "sampling_rate")


@pytest.mark.parametrize(
    ("started", "cells", "agrees"),
    [
        ("2025-06-20T13:00:59+00:00", {}, True),
        ("2025-06-20T09:00:00+02:00", {}, False),
        ("2025-06-20T23:00:00-04:00", {"start_time": "", "end_time": ""}, True),
        ("2025-06-21T00:30:00-04:00", {"start_time": "", "end_time": ""}, False),
    ],
)
def test_the_start_is_compared_as_exactly_as_it_is_stated(
    started: str, cells: dict[str, str], agrees: bool, lab: Builder, tmp_path: Path
) -> None:
    lab.change("session", **cells)
    lab.put(KEY, write_nwb(tmp_path / "x.nwb", started))
    main(["convert", str(lab.root)])
    asset = json.loads((lab.root / RECORD).read_text())["asset"]
    assert asset["compared"]["session_start_time"]["agrees"] is agrees


def test_a_script_of_such_a_row_is_in_its_record(lab: Builder) -> None:
    script = f"yuste/{DATE}/ephys/script/made.py"
    lab.put(script, b"print()")
    lab.change("ephys", 1, file_path_script=script)
    assert main(["convert", str(lab.root)]) == 0
    files = json.loads((lab.root / RECORD).read_text())["asset"]["files"]
    assert [one["path"] for one in files] == [KEY, script]


def test_an_image_row_and_a_session_of_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    key = build.movie(write_nwb(tmp_path / "x.nwb"), (1, 2, 3)).replace(".tif", ".nwb")
    build.put(key, tmp_path / "x.nwb")
    build.change("image", file_path_raw=key)
    assert main(["check", str(build.root)]) == 0, capsys.readouterr().out
    main(["convert", str(build.root)])
    assert (build.root / "output/yuste/image/asset/RY_IMG_0001.json").is_file()
    assert not (build.root / SESSION).exists()


def test_validators_look_at_it_and_only_warn(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(lab.raw(KEY), "r+") as file:
        del file["general/subject/species"]
        file["acquisition/sweep0"].attrs["neurodata_type"] = "NoSuchSeries"
    assert main(["convert", str(lab.root)]) == 0
    found = [one for one in list_findings(capsys, "validate", str(lab.root)) if "severity" in one]
    theirs = [one for one in found if KEY in one["message"]]
    assert {"pynwb", "nwbinspector"} & {one["id"].partition(":")[0] for one in theirs}
    assert "error" not in {one["severity"] for one in theirs}


def test_add_drafts_its_row(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_nwb(tmp_path / "second.nwb", rate=10000.0)
    assert main(["add", str(other), "--dataset", str(lab.root), "--lab", "RY", "--session", "RY_S_0001"]) == 0
    line = (lab.root / "tables/ephys.csv").read_text().splitlines()[-1]
    assert line.startswith("RY_E_0003,RY_S_0001,")
    assert f"yuste/{DATE}/ephys/raw/second.nwb" in line
    assert ",10000," in line
