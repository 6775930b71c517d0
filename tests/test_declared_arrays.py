"""Files of named arrays through the whole line: one declaration for a lab's files, and what a user reads and gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from array_files import NOISE, TIMES, make_hdf5, make_mat, make_mat73, make_npy, make_npz, make_wavesurfer
from builder import DATE, Builder
from pynwb import NWBHDF5IO

from neuropress.cli.main import main


def run_line(build: Builder) -> None:
    for verb in ("check", "convert", "verify", "validate"):
        assert main([verb, str(build.root)]) == 0, verb


VOLTAGES = NOISE[:600].reshape(200, 3)
CURRENTS = np.repeat(np.arange(3.0)[None] * 50, 200, axis=0)
MOVIE = np.random.default_rng(3).integers(0, 4000, (8, 12, 10), "u2")
PLACES = np.random.default_rng(4).random((50, 2))
SETTINGS = """
[options."yuste/*/ephys/raw/*.mat"]
channels = "V[t,s] = mV; I[t,s] = pA command"
time = "t ms"
sweep_interval = 2

[options."yuste/*/ephys/raw/*.csv"]
channels = "V = mV"
rate = "20000"
clamp = "current clamp"

[options."yuste/*/image/raw/*.npy"]
pixels = "array"
axes = "tyx"

[options."yuste/*/image/raw/*.h5"]
pixels = "imaging"
axes = "yxt"

[options."basu/*/behavior/raw/*.mat"]
columns = "t = time ms; pos = cm"
clock_offset = "3.5"
"""


def add_ephys(builder: Builder, number: int, name: str, raw: bytes) -> str:
    key = f"yuste/{DATE}/ephys/raw/{name}"
    builder.put(key, raw)
    builder.row("ephys", ephys_id=f"RY_E_{number:04d}", session_id="RY_S_0001", sampling_rate="20000",
                recording_type="somatic patch; ex vivo", file_path_raw=key)  # fmt: skip
    return key


def add_movie(builder: Builder, number: int, name: str, raw: bytes, shape: tuple[int, ...]) -> None:
    key = f"yuste/{DATE}/image/raw/{name}"
    builder.put(key, raw)
    builder.row("image", image_id=f"RY_IMG_{number:04d}", session_id="RY_S_0001", image_type="voltage", frame_rate="100",
                x=str(shape[2]), y=str(shape[1]), z=str(shape[0]), file_path_raw=key)  # fmt: skip


def add_behavior(builder: Builder, number: int, name: str, raw: bytes) -> None:
    key = f"basu/{DATE}/behavior/raw/{name}"
    builder.put(key, raw)
    builder.row("behavior", behavior_id=f"JB_B_{number:04d}", session_id="JB_S_0001", metric_type="position",
                task="wheel", file_path_raw=key)  # fmt: skip


def declare(builder: Builder, text: str = SETTINGS) -> None:
    path = builder.root / "neuropress.toml"
    path.write_text(path.read_text("utf-8") + text, "utf-8")


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    made = Builder(tmp_path / "ds")
    made.session()
    return made


def test_every_sort_of_row_takes_declared_arrays(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    builder.session(2, session_id="JB_S_0001")
    add_ephys(builder, 1, "a.mat", make_mat({"V": VOLTAGES, "I": CURRENTS, "t": TIMES}))
    add_ephys(builder, 2, "b.csv", b"t,V\n" + b"".join(b"%d,%.3f\n" % pair for pair in enumerate(NOISE[:99])))
    add_ephys(builder, 3, "c.mat", make_mat73({"V": VOLTAGES, "I": CURRENTS, "t": TIMES[:, None]}))
    add_movie(builder, 1, "m.npy", make_npy(MOVIE), MOVIE.shape)
    add_movie(builder, 2, "m.h5", make_hdf5({"imaging": MOVIE.transpose(1, 2, 0)}), MOVIE.shape)
    add_behavior(builder, 1, "b.mat", make_mat({"t": np.arange(50) * 20.0, "pos": PLACES}))
    add_behavior(builder, 2, "c.npz", make_npz(x=NOISE))
    declare(builder)
    assert main(["run", str(builder.root)]) == 0
    said = capsys.readouterr().out
    assert said.count("behavior.undeclared") == 1
    assert "verify: 2 verified" in said
    with NWBHDF5IO(builder.output("RY_S_0001.nwb"), "r") as file:
        made = file.read()
        for sweep in range(3):
            series = made.acquisition[f"RY_E_0001_sweep{sweep:03d}_ch0"]
            assert (series.rate, series.starting_time, series.conversion) == (20000, sweep * 2, 1e-3)
            assert type(series).__name__ == "CurrentClampSeries"
            assert series.data[:].tolist() == VOLTAGES[:, sweep].tolist()
            command = made.stimulus[f"RY_E_0001_sweep{sweep:03d}_dac0"]
            assert command.data[:].tolist() == CURRENTS[:, sweep].tolist()
        assert len(made.icephys_simultaneous_recordings) == 7
        for number in (1, 2):
            assert made.acquisition[f"RY_IMG_{number:04d}"].data[:].tolist() == MOVIE.transpose(0, 2, 1).tolist()
    with NWBHDF5IO(builder.output("JB_S_0001.nwb"), "r") as file:
        series = file.read().processing["behavior"]["Position"]["JB_B_0001_pos"]
        assert (series.rate, series.starting_time, series.unit) == (50, 3.5, "centimeters")
        assert series.data[:].tolist() == PLACES.tolist()
    assert main(["verify", str(builder.root), "--independent", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    readings = [one for line in lines for one in line.get("independent", ())]
    assert {(one["source"].rpartition("/")[2], one["library"], one["verdict"]) for one in readings} == {
        ("a.mat", "SciPy", "agrees"), ("b.mat", "SciPy", "agrees"), ("b.csv", "pandas", "agrees"),
        ("c.mat", "pyfive", "agrees"), ("m.npy", "NumPy", "agrees"), ("m.h5", "pyfive", "agrees"),
    }  # fmt: skip
    assert next(one["agreed"] for one in readings if one["source"].endswith("b.mat")) == ["samples", "shape", "times"]


def test_what_nobody_declared_is_one_finding_with_the_way_out(
    builder: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    key = add_ephys(builder, 1, "a.mat", make_mat({"V": VOLTAGES, "t": TIMES, "note": "x"}))
    assert main(["check", str(builder.root), "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "arrays.undeclared" in line]
    assert len(found) == 1
    message = found[0]["message"]
    for part in ("V (200 x 3, float64)", f'[options."{key}"]', "V[t,s] = UNIT", "--write-mapping"):
        assert part in message
    assert main(["inspect", str(builder.raw(key)), "--write-mapping"]) == 0
    draft = capsys.readouterr().out
    declare(builder, "\n" + draft.replace('"a.mat"', f'"{key}"').replace("UNIT", "mV", 99).replace('"t mV"', '"t ms"'))
    assert main(["check", str(builder.root)]) == 1  # sweeps, of which nobody says when they began
    assert "sweep_interval" in capsys.readouterr().out
    declare(builder, "sweep_interval = 5\n")
    assert main(["check", str(builder.root)]) == 0


def test_a_declaration_is_part_of_what_a_result_was_made_from(
    builder: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    add_ephys(builder, 1, "a.mat", make_mat({"V": VOLTAGES, "I": CURRENTS, "t": TIMES}))
    declare(builder)
    assert main(["convert", str(builder.root)]) == 0
    settings = builder.root / "neuropress.toml"
    settings.write_text(settings.read_text("utf-8").replace("V[t,s] = mV", "V[t,s] = 0.5 mV"), "utf-8")
    capsys.readouterr()
    main(["status", str(builder.root)])
    assert "up to date" not in capsys.readouterr().out
    run_line(builder)
    with NWBHDF5IO(builder.output("RY_S_0001.nwb"), "r") as file:
        assert file.read().acquisition["RY_E_0001_sweep000_ch0"].conversion == 0.5e-3


def test_an_impossible_range_is_no_clamped_cell(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    """Volts that are declared as amperes, in floats and in whole numbers of 32 bits."""
    add_ephys(builder, 1, "a.mat", make_mat({"V": VOLTAGES, "I": CURRENTS, "t": TIMES}))
    add_ephys(builder, 2, "b.mat", make_mat({"V": VOLTAGES.astype("i4"), "I": CURRENTS, "t": TIMES}))
    declare(builder, SETTINGS.replace("V[t,s] = mV; I[t,s] = pA command", "V[t,s] = A"))
    assert main(["check", str(builder.root)]) == 0
    assert capsys.readouterr().out.count("gives an impossible range") == 2


def test_wavesurfer_through_the_line(builder: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_ephys(builder, 1, "w.h5", make_wavesurfer())
    run_line(builder)
    with NWBHDF5IO(builder.output("RY_S_0001.nwb"), "r") as file:
        series = file.read().acquisition["RY_E_0001_sweep001_ch0"]
        assert series.data.dtype == "i2"
        assert series.starting_time == 62.5 + 1.75
        assert series.conversion == pytest.approx(3.125e-4 / 0.01 * 1e-3, rel=1e-15)
