"""Behaviour tables through the whole line: series, events and trials, as pynwb reads them."""

import csv
import json
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pynwb
import pytest
from builder import DATE, Builder
from tracking_files import make_labels, write_sleap, write_table

from neuropress.cli.main import main
from neuropress.results.nwb import extension
from neuropress.results.nwb.file import read_provenance

WALK = "time_ms,x_cm,y_cm,speed (cm/s)\n" + "".join(f"{10 * i + i % 3},{i / 7},{i / 3},{i / 9}\n" for i in range(30))
TRACKED = "behaviour/DeepLabCut__DLC2NWB/m3v1mp4DLC_resnet50_openfieldAug20shuffle1_30000.h5"


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    made = Builder(tmp_path / "ds")
    session = {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Ada Example"}
    made.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    made.row("session", **session, session_date=DATE, start_time="10:00", end_time="11:00")
    return made


def add_table(
    ds: Builder, text: str | bytes, metric: str = "position", options: str = "", suffix: str = ".csv", **cells: str
) -> str:
    number = len(ds.rows.get("behavior", ())) + 1
    key = f"basu/{DATE}/behavior/raw/b{number}{suffix}"
    ds.put(key, text.encode() if isinstance(text, str) else text)
    row = {"behavior_id": f"JB_B_{number:04d}", "session_id": "JB_S_0001", "metric_type": metric, "file_path_raw": key}
    ds.row("behavior", **row, **cells)
    if options:
        with (ds.root / "neuropress.toml").open("a") as file:
            file.write(f'\n[options."{key}"]\n{options}\n')
    return key


def run_line(ds: Builder, capsys: pytest.CaptureFixture[str]) -> Path:
    """Every verb up to coverage; gives the session's file."""
    for verb in ("check", "plan", "convert", "verify", "validate", "status", "coverage"):
        assert main([verb, str(ds.root)]) == 0, (verb, capsys.readouterr().out)
    path = ds.output("JB_S_0001.nwb")
    assert path
    return path


def test_every_kind_of_table(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_table(ds, WALK, task="open field", notes="a note", options='clock_offset = "12.5"')
    add_table(ds, "frame,area (px)\n" + "".join(f"{i},{50 + i % 7}\n" for i in range(20)), "pupil", 'frame_rate = "25"')
    licks = 'time_ms,event,size\n5,lick,1\n17,"left, ü",2\n40,reward,3\n'
    add_table(ds, licks, "event", 'columns = "event = text; size = 1"', injection="saline; i.p.", notes="left spout")
    add_table(
        ds, "start_s,stop_s,outcome\n0.5,1.25,hit\n2,3.125,miss\n4,5,none\n", "choice", 'columns = "outcome = text"'
    )
    path = run_line(ds, capsys)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        module = file.processing["behavior"]
        place = module["Position"]["JB_B_0001_position"]
        assert isinstance(place, pynwb.behavior.SpatialSeries)
        assert place.unit == "centimeters"
        np.testing.assert_array_equal(place.data, [[i / 7, i / 3] for i in range(30)])
        assert place.timestamps[:3].tolist() == [12.5, 12.511, 12.522]
        assert place.comments == "a note"
        assert place.description == (
            "Behaviour: position; task: open field. Columns of the file: x_cm, y_cm. "
            "Clock declared: time 0 of the file is 12.5 s after the session's start"
        )
        speed = module["BehavioralTimeSeries"]["JB_B_0001_speed"]
        assert (speed.unit, speed.data[9]) == ("cm/s", 1.0)
        pupil = module["PupilTracking"]["JB_B_0002_area"]
        assert (pupil.rate, pupil.starting_time, pupil.unit, pupil.data.shape) == (25, 0, "pixels", (20,))
        events = file.events["JB_B_0003_events"]
        assert events.description == (
            "Behaviour: event; injected: saline; i.p.. left spout. Columns of the file: time_ms, event, size. "
            "Alignment unknown: time 0 of the file is taken for the session's start"
        )
        assert events["timestamp"][:].tolist() == [0.005, 0.017, 0.04]
        assert list(events["event"][:]) == ["lick", "left, ü", "reward"]
        trials = file.trials
        assert trials["stop_time"][:].tolist() == [1.25, 3.125, 5]
        assert list(trials["outcome"][:]) == [
            "hit",
            "miss",
            "none",
        ]
    with h5py.File(path, "r+") as stored:
        stored["/events/JB_B_0003_events/event"][2] = "rewarD"
    assert main(["verify", str(ds.root), "--json"]) != 0
    assert "verify.different" in capsys.readouterr().out


def test_an_assumed_start_is_a_warning_until_it_is_stated(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_table(ds, WALK)
    assert main(["check", str(ds.root)]) == 0
    assert "behavior.alignment" in capsys.readouterr().out
    settings = ds.root / "neuropress.toml"
    with settings.open("a", encoding="utf-8") as file:
        file.write('\n[options."basu/*/behavior/raw/*"]\nclock_offset = "0"\n')
    assert main(["check", str(ds.root)]) == 0
    assert "behavior.alignment" not in capsys.readouterr().out


def test_every_cell_that_is_promised_is_bound(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    cells = {"task": "maze", "injection": "saline", "notes": "a note"}
    add_table(ds, WALK, **cells)
    add_table(ds, "time_ms\n5\n17\n40\n", "licking", **cells)
    run_line(ds, capsys)
    assert main(["coverage", str(ds.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    found = {line["column"]: line["core NWB"] + line["free text"] for line in lines if "column" in line}
    assert {found[f"behavior.{name}"] for name in ("metric_type", *cells)} == {2}


def test_names_that_nwb_gives_another_meaning(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    header = "time_ms,duration (ms),duration,id,a/b\\c:d,name,timestamp,description"
    stated = "columns = 'duration = ms; id = 1; a/b\\c:d = 1; name = text; timestamp = ms; description = text'"
    rows = "".join(f"{i * i},{i},{i + 1},{9 - i},4,n{i},6,d{i % 4}\n" for i in range(5))
    add_table(ds, f"{header}\n{rows}".replace("duration (ms),", "length (ms),"), "event", stated)
    with pynwb.NWBHDF5IO(str(run_line(ds, capsys)), "r") as io:
        events = io.read().events["JB_B_0001_events"]
        names = {"length (ms)", "duration_column", "id_column", "a_b_c_d", "name_column", "timestamp_column"}
        assert names <= set(events.colnames)
        assert events["duration_column"][:].tolist() == [1, 2, 3, 4, 5]
        assert events.id[:].tolist() == [0, 1, 2, 3, 4]


def test_a_bad_cell_withholds_the_session_and_names_its_place(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    key = add_table(ds, WALK + "400,1,2,fast\n")
    assert main(["check", str(ds.root), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (found,) = (line for line in lines if line.get("id") == "behavior.damaged")
    assert f"{key} line 32, column 'speed (cm/s)': 'fast' is no number" in found["message"]
    assert found["location"]["key"] == "JB_B_0001"


def test_the_options_are_kept_for_the_proof(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_table(ds, "1;1,5\n2;2,5\n4;4,5\n", options='header = "t (s);x (px)"\ndecimal = "comma"'.replace(";", ","))
    path = run_line(ds, capsys)
    specs = [one.spec for one in read_provenance(path).receipt.arrays.values()]
    assert {json.dumps(dict(spec.options), sort_keys=True) for spec in specs} == {
        '{"decimal": "comma", "header": "t (s),x (px)"}'
    }
    with h5py.File(path) as file:
        assert file["processing/behavior/Position/JB_B_0001_position/data"][:].tolist() == [1.5, 2.5, 4.5]


@pytest.mark.corpus
def test_real_points_of_deeplabcut(ds: Builder, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What DeepLabCut tracked in a film, written as it writes CSV; the collection has its HDF5 file only."""
    with h5py.File(corpus / TRACKED) as file:
        table = file["df_with_missing/table"][:]
    parts = ("snout", "leftear", "rightear", "tailbase")
    columns = [(part, name) for part in parts for name in ("x", "y", "likelihood")]
    head = [["scorer"] + ["net"] * 12, ["bodyparts", *(c[0] for c in columns)], ["coords", *(c[1] for c in columns)]]
    lines = [",".join(row) for row in head]
    lines += [f"{index},{','.join(map(repr, values.tolist()))}" for index, values in table]
    add_table(ds, "\n".join(lines) + "\n", options='frame_rate = "30000/1001"')
    with h5py.File(run_line(ds, capsys)) as file:
        pose = file["processing/behavior/JB_B_0001"]
        for number, part in enumerate(parts):
            values = table["values_block_0"][:, 3 * number : 3 * number + 3]
            np.testing.assert_array_equal(pose[f"{part}/data"], values[:, :2])
            np.testing.assert_array_equal(pose[f"{part}/confidence"], values[:, 2])
            assert pose[f"{part}/starting_time"].attrs["rate"] == 30000 / 1001


def add_file(ds: Builder, path: Path, options: str = 'frame_rate = "25"', metric: str = "position") -> str:
    return add_table(ds, path.read_bytes(), metric, options, "".join(path.suffixes))


def test_tracked_points_of_deeplabcut_and_sleap(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.arange(240, dtype="f8").reshape(20, 12) / 7
    add_file(ds, write_table(tmp_path / "a.h5", values, make_labels(("nose", "tail/tip"), ("m1", "m2"))))
    points, scores = values.reshape(20, 3, 2, 2)[..., :1], values[:, :3, None] / 40
    made = write_sleap(tmp_path / "b.analysis.h5", points, ("a", "b", "c"), edges=[(0, 1), (1, 2)], scores=scores)
    add_file(ds, made, 'frame_rate = "25"\nclock_offset = "1.5"')
    path = run_line(ds, capsys)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        module = io.read().processing["behavior"]
        nose = module["JB_B_0001_m2"]["nose"]
        np.testing.assert_array_equal(nose.data, values[:, 6:8])
        np.testing.assert_array_equal(nose.confidence, values[:, 8])
        assert (nose.rate, nose.unit, nose.confidence__definition) == (
            25,
            "pixels",
            "likelihood, as DeepLabCut gives it",
        )
        assert list(module["JB_B_0001_m1"].skeleton.nodes[:]) == ["nose", "tail_tip"]
        assert (module["JB_B_0001_m1"].scorer, module["JB_B_0001_m1"].source_software) == ("net", "DeepLabCut")
        sleap = module["JB_B_0002"]
        assert "Alignment unknown" in module["JB_B_0001_m1"].description
        assert "Alignment unknown" not in sleap.description
        assert sleap["b"].starting_time == 1.5
        assert sleap.skeleton.edges[:].tolist() == [[0, 1], [1, 2]]
        np.testing.assert_array_equal(sleap["b"].data, points[:, 1, :, 0])
    with h5py.File(path, "r+") as stored:
        assert "ndx-pose" in stored["specifications"]
        stored["processing/behavior/JB_B_0002/c/confidence"][3] += 1
    assert main(["verify", str(ds.root), "--json"]) != 0
    assert "verify.different" in capsys.readouterr().out


def test_points_without_the_extension_that_holds_them(
    ds: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_file(ds, write_table(tmp_path / "a.h5", np.zeros((5, 3)), make_labels(("nose",))))
    monkeypatch.setattr(extension, "find_spec", lambda name: None)
    monkeypatch.setattr(extension, "get_type_map", cache(extension.get_type_map.__wrapped__))
    assert main(["convert", str(ds.root), "--json"]) == 1
    assert "pose.extra" in capsys.readouterr().out


def test_intervals_of_two_rows_are_not_the_trials(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    bouts = "start_s,stop_s,side\n0.5,1.25,1\n2,3.125,0\n4,5,1\n"
    for metric in ("choice", "choice", "freezing"):
        add_table(ds, bouts, metric, 'columns = "side = 1"')
    add_table(ds, "time_ms,pupil_x_px,pupil_y_px\n1,1,2\n3,4,5\n9,8,7\n", "pupil")
    with h5py.File(run_line(ds, capsys)) as file:
        assert sorted(file["intervals"]) == [f"JB_B_000{number}_intervals" for number in (1, 2, 3)]
        assert list(file["processing/behavior/EyeTracking"]) == ["JB_B_0004_pupil"]


@pytest.mark.corpus
def test_a_real_wheel_and_lick_table(ds: Builder, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (corpus / "behaviour/oist__optinist/sample_mouse2p_behavior.csv").read_text()
    add_table(ds, text, "locomotion", 'header = "speed (cm/s),lick (1),"\nframe_rate = "30"')
    with h5py.File(run_line(ds, capsys)) as file:
        module = file["processing/behavior/BehavioralTimeSeries"]
        rows = list(csv.reader(text.splitlines()))
        assert module["JB_B_0001_speed/data"][:].tolist() == [float(row[0]) for row in rows]
        assert module["JB_B_0001_lick/data"][:].tolist() == [float(row[1]) for row in rows]
