"""What interfaces of neuroconv export, taken over into sessions and proven, through every verb."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import pynwb
import pytest
from builder import DATE, Builder, movie
from neuroconv_stub import install_stub, make_exports

from neuropress.cli.main import main

RAW = f"basu/{DATE}/behavior/raw"


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "tools"))
    return install_stub(tmp_path / "tools")


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301")
    times = {"session_date": DATE, "start_time": "10:00", "end_time": "11:00"}
    build.row("session", session_id="JB_S_0001", mouse_id="JB_M_0001", experimenter="Bo Beispiel", **times)
    return build


def add(build: Builder, number: int, data: bytes, interface: str, *entries: str, name: str = "") -> str:
    key = f"{RAW}/{name or f'r{number}.stub'}"
    build.put(key, data)
    cells = {"behavior_id": f"JB_B_{number:04}", "session_id": "JB_S_0001", "metric_type": "position"}
    build.row("behavior", **cells, task="running", file_path_raw=key)
    options = [
        'reader = "neuroconv"',
        f'interface = "{interface}"',
        "arguments = { sampling_frequency = 30 }",
        *entries,
    ]
    settings = build.root / "neuropress.toml"
    settings.write_text(settings.read_text("utf-8") + f'\n[options."{key}"]\n' + "\n".join(options) + "\n", "utf-8")
    return key


def states(build: Builder, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[str], list[dict[str, Any]]]:
    capsys.readouterr()
    main([words[0], str(build.root), *words[1:], "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [one["done"] for one in lines if "done" in one], [one for one in lines if "id" in one]


def test_an_interface_is_a_source(
    lab: Builder,
    stub: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("DANDI_API_KEY", "hunter2")
    key = add(lab, 1, make_exports()["whole"], "StubInterface", 'clock_offset = "2.5"')
    lab.put(f"{RAW}/r1_meta.pickle", b"x")
    assert states(lab, capsys, "convert")[0] == ["converted"]
    seen = json.loads((stub / "site/seen.json").read_text())
    assert not [name for name in seen["environment"] if name.startswith(("AWS", "DANDI"))]
    assert [Path(path).name for path in seen["files"]] == ["r1.stub"]
    assert not [word for word in seen["argv"] if "sampling" in word]
    shutil.rmtree(stub)  # a converted dataset stands without the environment
    assert states(lab, capsys, "convert")[0] == ["up to date"]
    assert states(lab, capsys, "verify")[0] == ["verified"]
    shutil.move(lab.root / ".neuropress/fragments", lab.root.parent / "kept")
    outcomes, found = states(lab, capsys, "verify")
    assert outcomes == ["not verified"]
    assert [one["hint"] for one in found if one["severity"] == "error"] == ["neuropress tools install neuroconv"]

    path = lab.output("JB_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        assert file["acquisition/JB_B_0001_raw_voltage/starting_time"][()] == 3.0
        assert file["intervals/JB_B_0001_trials_of_video/start_time"][:].tolist() == [2.5, 3.0, 3.5]
        header = json.loads(file["general/neuropress/headers_json"][()])[key][""]
    assert header["interface"] == "StubInterface"
    assert header["arguments"] == {"sampling_frequency": 30}
    assert header["versions"]["neuroconv"] == "0.10.2"
    assert header["states"] == {"NWBFile": {"notes": "of r1.stub"}, "Subject": {"subject_id": "M1"}}
    with pynwb.NWBHDF5IO(path, "r") as io:
        nwb = io.read()
        series = nwb.acquisition["JB_B_0001_raw_voltage"]
        assert series.electrodes.table is nwb.electrodes
        assert series.electrodes.data[:].tolist() == [0, 1, 3]
        recordings = nwb.intracellular_recordings
        assert recordings["responses"]["response"][1].timeseries is nwb.acquisition["JB_B_0001_answer1"]
        assert nwb.subject.subject_id != "M1"


def test_two_rows_share_what_is_the_same(lab: Builder, stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, offset in ((1, "0"), (2, "60")):
        add(lab, number, make_exports()["some"], "StubInterface", f'clock_offset = "{offset}"')
    assert states(lab, capsys, "convert")[0] == ["converted"]
    path = lab.output("JB_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        starts = [file[f"acquisition/JB_B_000{n}_raw_voltage/starting_time"][()] for n in (1, 2)]
        assert sorted(file["general/devices"]) == ["probe", "scope"]
        tables = {file[f"acquisition/JB_B_000{n}_raw_voltage/electrodes"].attrs["table"] for n in (1, 2)}
        assert {file[one].name for one in tables} == {"/general/extracellular_ephys/electrodes"}
    assert starts == [0.5, 60.5]
    first = path.read_bytes()
    outcomes, found = states(lab, capsys, "verify", "--independent")
    assert outcomes == ["verified"]
    assert [one["id"] for one in found].count("neuroconv.reproduced") == 2
    shutil.rmtree(lab.root / ".neuropress")
    path.unlink()
    assert states(lab, capsys, "convert")[0] == ["converted"]
    assert path.read_bytes() == first

    add(lab, 3, make_exports()["whole"], "StubInterface", 'clock_offset = "0"')
    add(lab, 4, make_exports()["whole"], "StubInterface", 'clock_offset = "0"')
    outcomes, found = states(lab, capsys, "convert")
    assert outcomes == ["withheld"]
    conflict = next(one for one in found if one["id"] == "neuroconv.conflict")
    assert "intracellular_recordings" in conflict["message"]


def test_another_run_that_differs_is_told(lab: Builder, stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(lab, 1, make_exports()["some"], "SecondInterface")
    assert states(lab, capsys, "convert")[0] == ["converted"]
    assert "neuroconv.unequal" in [one["id"] for one in states(lab, capsys, "verify", "--independent")[1]]


def test_a_movie_that_stays_in_its_file_is_verified(
    lab: Builder, stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = pynwb.NWBFile(session_description="-", identifier="-", session_start_time=datetime(1970, 1, 1, tzinfo=UTC))
    for name in ("camera", "second"):
        series = pynwb.image.ImageSeries(
            name=name, external_file=["./a.avi"], format="external", starting_frame=[0], timestamps=[0.0], unit="n.a."
        )
        if name == "camera":
            export.add_acquisition(series)
            continue
        holder = pynwb.behavior.BehavioralTimeSeries(name="movies", time_series=[series])
        export.create_processing_module("behavior", "Of the cameras.").add(holder)
    with pynwb.NWBHDF5IO(tmp_path / "movie.nwb", "w") as io:
        io.write(export)
    add(lab, 1, (tmp_path / "movie.nwb").read_bytes(), "StubInterface")
    outcomes, found = states(lab, capsys, "convert")
    assert outcomes == ["converted"]
    named = [one["message"].partition(" ")[0] for one in found if one["id"] == "neuroconv.external"]
    assert named == ["/acquisition/JB_B_0001_camera", "/processing/behavior/JB_B_0001_movies/second"]
    assert states(lab, capsys, "verify")[0] == ["verified"]


def test_metadata_that_rows_state_are_refused(lab: Builder, stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(lab, 1, make_exports()["some"], "StubInterface", 'metadata = { Subject = { subject_id = "M2" } }')
    assert main(["check", str(lab.root)]) == 2
    assert "neuroconv has Subject, which the session's rows state" in capsys.readouterr().err
    assert not (stub / "site/seen.json").exists()


def test_a_device_named_as_one_of_ours_is_refused_with_the_way_out(
    stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    build.movie(movie(tmp_path / "m.tif", (4, 8, 6)), (4, 8, 6))
    export = pynwb.NWBFile(session_description="-", identifier="-", session_start_time=datetime(1970, 1, 1, tzinfo=UTC))
    export.create_device("RY_microscope", description="Another one.")
    with pynwb.NWBHDF5IO(tmp_path / "device.nwb", "w") as io:
        io.write(export)
    key = f"yuste/{DATE}/image/raw/r9.stub"
    build.put(key, tmp_path / "device.nwb")
    cells = {"image_type": "voltage", "frame_rate": "1", "x": "2", "y": "2", "z": "1"}
    build.row("image", image_id="RY_IMG_0009", session_id="RY_S_0001", file_path_raw=key, **cells)
    options = 'reader = "neuroconv"\ninterface = "StubInterface"\narguments = { sampling_frequency = 30 }'
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[options."{key}"]\n{options}\nclock_offset = "0"\n')
    (collision,) = [one for one in states(build, capsys, "check")[1] if one["id"] == "plan.collision"]
    assert "at /general/devices/RY_microscope" in collision["message"]
    assert '[split] exported = "{id}"' in collision["hint"]
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[split]\nexported = "{id}"\n')
    assert states(build, capsys, "convert")[0] == ["converted", "converted"]


def test_a_start_of_its_own_wants_an_offset(lab: Builder, stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = add(lab, 1, make_exports()["some"], "StubInterface")
    settings = lab.root / "neuropress.toml"
    stated = 'arguments = { sampling_frequency = 30, start = "2025-06-20T10:01:30" }'
    settings.write_text(settings.read_text("utf-8").replace("arguments = { sampling_frequency = 30 }", stated), "utf-8")
    _, found = states(lab, capsys, "check")
    clock = next(one for one in found if one["id"] == "neuroconv.clock")
    assert 'clock_offset = "90"' in clock["hint"]
    assert clock["location"]["file"] == key


def test_without_the_environment_one_line_says_what_to_type(
    lab: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "none"))
    add(lab, 1, b"x", "StubInterface")
    outcomes, found = states(lab, capsys, "check")
    assert outcomes == ["has errors"]
    missing = next(one for one in found if one["id"] == "tool.missing")
    assert missing["hint"] == "neuropress tools install neuroconv"
