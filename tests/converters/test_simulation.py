"""SONATA output of model, analysis and file_asset rows through the whole line, and one file by itself."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import sonata_files as sf
from builder import Builder
from pynwb import NWBHDF5IO

from neuropress.cli.main import main

FOLDER = "segev/20250501/model/raw/run"
SPIKES, REPORT = f"{FOLDER}/output/spikes.h5", f"{FOLDER}/output/soma.h5"
ANALYSIS = "segev/20250501/analysis/raw/ecp.h5"
OUT = "segev/model/nwb/IS_MOD_0001.nwb"
OPTIONS = '\n[options."segev/*.h5"]\nstarted = "2025-05-01T10:00+03:00"\n'
SETTINGS = {"run": {"dt": 0.025}, "conditions": {"celsius": 34.0}, "reports": {"soma": {"variable_name": "v"}}}
SPIKE_TIMES = {"b": ([5, 2, 5, 2, 9], [1, 2, 3, 0.5, 7.3]), "a": ([1, 1], [0.1, 4])}


def write_ecp(path: Path, shape: tuple[int, int] = (3, 8)) -> Path:
    with h5py.File(path, "w") as file:
        file["ecp/data"], file["ecp/channel_id"] = np.arange(24.0).reshape(shape), np.arange(shape[1])
        file["ecp/time"] = np.array([0.0, 0.1 * shape[0], 0.1])
        file["ecp/data"].attrs["units"] = "uV"
    return path


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.put(SPIKES, sf.write_spikes(tmp_path / "s.h5", SPIKE_TIMES))
    build.put(REPORT, sf.write_report(tmp_path / "r.h5"))
    build.put(ANALYSIS, write_ecp(tmp_path / "e.h5"))
    build.put(f"{FOLDER}/simulation_config.json", json.dumps(SETTINGS).encode())
    common = {"model_type": "network", "description": "SONATA output", "notes": "a note"}
    build.row("model", model_id="IS_MOD_0001", model_version="1.0", file_path_model=SPIKES, **common)
    build.row("model", model_id="IS_MOD_0002", model_version="1.1", file_path_model=REPORT, **common)
    cells = {"source_type": "model", "source_id": "IS_MOD_0001", "description": "LFP, as SONATA"}
    build.row("analysis", analysis_id="IS_A_0001", file_path=ANALYSIS, **cells)
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(OPTIONS)
    return build


def convert(build: Builder) -> dict[str, Path]:
    assert main(["convert", str(build.root)]) == 0
    return {path.stem: path for path in (build.root / "output").rglob("*.nwb")}


def test_units_hold_every_spike_in_seconds(made: Builder) -> None:
    path = convert(made)["IS_MOD_0001"]
    assert path == made.root / "output" / OUT
    with NWBHDF5IO(path, "r") as io:
        file = io.read()
        units = file.units.to_dataframe()
        rows = [(u.population, u.node_id, list(u.spike_times)) for u in units.itertuples()]
        assert file.units.resolution == 2.5e-5
        assert file.subject is None
        assert file.session_start_time.isoformat() == "2025-05-01T10:00:00+03:00"
        assert file.session_id == "IS_MOD_0001"
        assert "conditions.celsius = 34.0" in file.data_collection
        assert list(file.keywords) == ["simulation"]
    assert rows == [
        ("a", 1, [0.0001, 0.004]),
        ("b", 2, [0.0005, 0.002]),
        ("b", 5, [0.001, 0.003]),
        ("b", 9, [0.0073]),
    ]


def test_reports_are_series_with_their_elements(made: Builder) -> None:
    paths = convert(made)
    with NWBHDF5IO(paths["IS_MOD_0002"], "r") as io:
        module = io.read().processing["simulation"]
        series, elements = module["v_cortex"], module["v_cortex_elements"].to_dataframe()
        assert (series.rate, series.starting_time, series.unit, series.conversion) == (40000.0, 0.1, "volts", 0.001)
        with h5py.File(made.raw(REPORT)) as raw:
            np.testing.assert_array_equal(series.data[:], raw["report/cortex/data"][()])
        assert elements.node_id.tolist() == [10, 10, 11, 11, 12, 12, 12]
    with NWBHDF5IO(paths["IS_A_0001"], "r") as io:
        module = io.read().processing["simulation"]
        assert (module["ecp"].rate, module["ecp"].conversion) == (10000.0, 1e-6)
        assert module["ecp_elements"].to_dataframe().channel_id.tolist() == list(range(8))


def test_the_whole_line(made: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, release = str(made.root), str(tmp_path / "release")
    for verb in ("check", "plan", "convert", "verify"):
        assert main([verb, root]) == 0, verb
    capsys.readouterr()
    assert main(["validate", root]) == 0
    assert capsys.readouterr().out.count("(no unexplained finding)") == 3
    assert main(["status", root, "--json"]) == 0
    states = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [(s["done"], s["verified"], s["validated"]) for s in states] == [("up to date", True, True)] * 3
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0
    assert (Path(release) / FOLDER / "simulation_config.json").read_text() == json.dumps(SETTINGS)
    assert main(["releases", "verify", release, "--deep"]) == 0
    assert main(["releases", "rebuild", release]) == 0
    assert "3 of 3 results are equal" in capsys.readouterr().out
    assert main(["explain", root, "--cell", "model.IS_MOD_0001.description"]) == 0
    assert OUT in capsys.readouterr().out
    assert main(["coverage", root, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    columns = {line["column"]: line["core NWB"] for line in found if "column" in line}
    assert (columns["model.model_id"], columns["model.notes"], columns["analysis.description"]) == (2, 2, 1)
    made.put(f"{FOLDER}/simulation_config.json", b"{}")
    assert main(["verify", root]) == 1
    assert main(["convert", root]) == 0
    assert main(["verify", root]) == 0


def test_when_it_was_run_must_be_stated(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    config = made.root / "neuropress.toml"
    config.write_text(config.read_text("utf-8").replace(OPTIONS, ""), "utf-8")
    for verb in ("check", "convert"):
        assert main([verb, str(made.root)]) == 1
        out = capsys.readouterr().out
        assert "simulation.no_start" in out
        assert f'[options."{SPIKES}"]' in out
    config.write_text(config.read_text("utf-8") + OPTIONS.replace("+03:00", ""), "utf-8")
    assert main(["check", str(made.root)]) != 0
    assert "started" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "is_taken"),
    [
        ({"description": "A network's weights, trained on simulated data"}, False),
        ({"description": "", "notes": "", "model_type": "deep neural network"}, False),
        ({"description": "", "notes": "sonata"}, True),
        ({"description": "", "notes": "", "model_type": ""}, True),
    ],
)
def test_which_hdf5_files_are_opened(cells: dict[str, str], is_taken: bool) -> None:
    from neuropress.converters.simulation import takes
    from neuropress.model.record import Cell, Record

    row = {"file_path_model": "x/y.h5", "description": "SONATA", "notes": "", "model_type": "network"} | cells
    record = Record("model", "IS_MOD_0001", 1, {name: Cell(text) for name, text in row.items()}, {})
    assert takes(record) is is_taken


def test_a_row_of_another_file_is_told(made: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file["nodes/a/node_type_id"] = [1]
    made.put(SPIKES, tmp_path / "n.h5")
    assert main(["check", str(made.root)]) == 1
    assert "sonata.empty" in capsys.readouterr().out  # what is stated of it is stated of SONATA alone


def test_names_that_nwb_would_make_alike_stay_apart(made: Builder, tmp_path: Path) -> None:
    with h5py.File(sf.write_report(tmp_path / "r.h5"), "a") as file:
        for name in ("a:b", "a_b", "a_b_elements"):
            file.copy("report/cortex", f"report/{name}")
    made.put(REPORT, tmp_path / "r.h5")
    with h5py.File(convert(made)["IS_MOD_0002"]) as file:
        series = [n for n, o in file["processing/simulation"].items() if o.attrs["neurodata_type"] == "TimeSeries"]
    assert series == ["v_a_b", "v_a_b_2", "v_a_b_elements_2", "v_cortex"]
    assert main(["verify", str(made.root)]) == 0


STATED = ["--session-start", "2025-05-01T10:00", "--timezone", "Asia/Jerusalem"]


def test_a_file_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = {**SPIKE_TIMES, "a": ([1, 1, 1], [4, 0.1, 4])}  # equal spikes are kept, and explained
    raw, to = sf.write_spikes(tmp_path / "spikes.h5", twice), tmp_path / "out/spikes.nwb"
    to.parent.mkdir()
    line = ["convert", str(raw), "--to", str(to)]
    assert main(line) == 2
    assert "--session-start" in capsys.readouterr().err
    assert main([*line, *STATED, "--subject", "M1"]) == 2
    assert "subject" in capsys.readouterr().err
    assert main([*line, *STATED, "--session-id", "IS_run1", "--institution", "X", "--experiment-description", "d"]) == 0
    assert "no unexplained finding" in capsys.readouterr().out
    with h5py.File(to) as file:
        assert file["session_start_time"].asstr()[()] == "2025-05-01T10:00:00+03:00"
        assert file["session_description"].asstr()[()] == "Simulation output IS_run1"
        assert np.sort(file["units/spike_times"][()]).tolist() == [
            0.0001,
            0.0005,
            0.001,
            0.002,
            0.003,
            0.004,
            0.004,
            0.0073,
        ]
    assert main(["verify", str(to), "--source", str(tmp_path)]) == 0


@pytest.mark.corpus
def test_real_files_convert_and_verify(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    paths = sorted((corpus / "sonata").rglob("*.h5"))
    paths = [path for path in paths if path.parent.name in ("output", "inputs", "reporting")]
    assert len(paths) == 8
    for number, path in enumerate(paths, 1):
        key = f"segev/20250501/model/raw/{path.relative_to(corpus).as_posix()}"
        build.put(key, path)
        cells = {"model_version": str(number), "description": "SONATA", "file_path_model": key}
        build.row("model", model_id=f"IS_MOD_{number:04d}", model_type="network", **cells)
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'{OPTIONS}\n[options."*/compartment_named.h5"]\ntime_unit = "ms"\n')
    results = convert(build)
    assert len(results) == 8
    assert main(["verify", str(build.root)]) == 0
    assert "8 verified" in capsys.readouterr().out
    for number, path in enumerate(paths, 1):
        with h5py.File(results[f"IS_MOD_{number:04d}"]) as file:
            if "units" not in file:
                continue
            ends = file["units/spike_times_index"][()].astype("i8")
            node, times = np.repeat(file["units/node_id"][()], np.diff(ends, prepend=0)), file["units/spike_times"][()]
            found = sorted(zip(node.tolist(), times.tolist(), strict=True))
        pairs = [pair for population in sf.list_pairs(path).values() for pair in population]
        assert found == sorted((node, time / 1000) for node, time in pairs), path


def test_a_declared_clock_is_none_of_a_simulation(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    settings = made.root / "neuropress.toml"
    settings.write_text(settings.read_text().replace(OPTIONS, OPTIONS + 'clock_offset = "12.5"\n'))
    assert main(["check", str(made.root), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [one for one in found if one.get("id") == "simulation.clock"]
    assert {one["location"]["key"] for one in told} == {"IS_MOD_0001", "IS_MOD_0002", "IS_A_0001"}
