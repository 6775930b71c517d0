"""One lab session end to end: what a user does, and what must hold afterwards."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from builder import DATE, Builder, abf, movie, slices
from campaigns import campaign

import neuropress
from neuropress.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A session with a recording and a movie, and a volume; checked and converted."""
    folder = tmp_path_factory.mktemp("line")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.movie(movie(folder / "m.tif"), (12, 20, 16), pixel_size="0.8", exposure_time="2", laser_line="488")
    build.sem(slices(folder / "v"), file_path_local="D:/secret/place")
    assert main(["check", str(build.root)]) == 0
    assert main(["convert", str(build.root)]) == 0
    return build


@pytest.fixture
def copy(made: Builder, tmp_path: Path) -> Builder:
    """The same dataset in a place of its own, to spoil."""
    again = Builder.__new__(Builder)
    again.root = Path(shutil.copytree(made.root, tmp_path / "ds"))
    again.dataset = neuropress.open(again.root)
    again.rows = {table: [dict(row) for row in rows] for table, rows in made.rows.items()}
    return again


def nwb(build: Builder) -> Path:
    path = build.output("RY_S_0001.nwb")
    assert path
    return path


def volume(build: Builder) -> Path:
    path = build.output("JL_SD_0001.ome.zarr")
    assert path
    return path


def test_results_lie_where_the_contract_says(made: Builder) -> None:
    assert (made.root / f"output/yuste/{DATE}/session/nwb/RY_S_0001.nwb").is_file()
    assert (made.root / f"output/lichtman/{DATE}/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr").is_dir()
    assert not list(made.root.rglob("*.partial"))


def test_pixels_and_samples_are_the_raw_ones(made: Builder) -> None:
    frames = tifffile.imread(made.raw(f"yuste/{DATE}/image/raw/m1.tif"))
    with h5py.File(nwb(made)) as file:
        stored = file["acquisition/RY_IMG_0001/data"]
        assert stored.dtype == np.uint16
        np.testing.assert_array_equal(stored[()], frames.transpose(0, 2, 1))
    pages = np.stack([tifffile.imread(made.raw(f"lichtman/{DATE}/sem_dataset/raw/v1/s_{z}.tif")) for z in range(9)])
    group = zarr.open_group(volume(made), mode="r")
    np.testing.assert_array_equal(group["0"][:], pages)


def test_cells_reach_their_fields(made: Builder) -> None:
    with h5py.File(nwb(made)) as file:
        assert file["general/subject/weight"][()].decode() == "24.50 g"
        assert file["general/subject/subject_id"][()].decode() == "RY_M_0001"
        assert file["session_start_time"][()].decode() == "2025-06-20T09:00:00-04:00"
        plane = next(iter(file["general/optophysiology"].values()))
        assert plane["excitation_lambda"][()] == 488.0
        assert plane["indicator"][()].decode() == "JEDI-2P"
    ome = zarr.open_group(volume(made), mode="r").attrs["ome"]["multiscales"][0]
    assert [axis["name"] for axis in ome["axes"]] == ["z", "y", "x"]
    assert ome["axes"][2]["unit"] == "nanometer"
    assert ome["datasets"][0]["coordinateTransformations"][0]["scale"][1:] == [4.0, 4.0]


def test_plain_pynwb_opens_the_file_without_neuropress(made: Builder) -> None:
    code = """
import sys, warnings
sys.modules['neuropress'] = None
import pynwb
with pynwb.NWBHDF5IO(sys.argv[1], 'r') as io:
    file = io.read()
    assert file.acquisition['RY_IMG_0001'].data.shape == (12, 16, 20)
    assert 'RY_S_0001' == file.session_id
"""
    done = subprocess.run([sys.executable, "-c", code, str(nwb(made))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_verify_and_validate_pass(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(made.root)]) == 0
    assert main(["validate", str(made.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    unexplained = [x for x in lines if x.get("severity") in ("error", "warning")]
    assert not unexplained


def test_private_columns_never_leave(made: Builder) -> None:
    for path in (made.root / "output").rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes(), path


def test_a_second_convert_does_nothing_and_says_so(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in (copy.root / "output").rglob("*")}
    assert main(["convert", str(copy.root)]) == 0
    said = capsys.readouterr().out
    assert said.count("up to date") >= 2
    assert {p: p.stat().st_mtime_ns for p in (copy.root / "output").rglob("*")} == before


def test_the_same_input_gives_the_same_bytes(copy: Builder) -> None:
    before = nwb(copy).read_bytes()
    nwb(copy).unlink()
    assert main(["convert", str(copy.root)]) == 0
    assert nwb(copy).read_bytes() == before


def test_a_changed_cell_rewrites_metadata_only(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    shards = {p: p.stat().st_mtime_ns for p in volume(copy).rglob("c/**/*") if p.is_file()}
    copy.change("sem_dataset", section="layer 5")
    assert main(["plan", str(copy.root)]) == 0
    assert "sem_dataset.JL_SD_0001.section changed" in capsys.readouterr().out
    session = nwb(copy).read_bytes()
    assert main(["convert", str(copy.root)]) == 0
    assert "metadata rewritten" in capsys.readouterr().out
    assert nwb(copy).read_bytes() == session
    assert shards
    assert {p: p.stat().st_mtime_ns for p in shards} == shards
    copy.change("mouse", weight="25.1")
    assert main(["convert", str(copy.root)]) == 0
    with h5py.File(nwb(copy)) as file:
        assert file["general/subject/weight"][()].decode() == "25.1 g"
    assert main(["verify", str(copy.root)]) == 0


def test_a_changed_raw_file_rebuilds_what_depends_on_it(
    copy: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"yuste/{DATE}/image/raw/m1.tif"
    frames = tifffile.imread(copy.raw(key)) + 1
    tifffile.imwrite(copy.raw(key), frames, photometric="minisblack", metadata=None)
    assert main(["verify", str(copy.root)]) == 1
    assert "verify.input_changed" in capsys.readouterr().out
    assert main(["convert", str(copy.root)]) == 0
    said = capsys.readouterr().out
    assert f"{key} changed" in said
    assert "JL_SD_0001.ome.zarr" in next(line for line in said.splitlines() if line.startswith("up to date"))
    with h5py.File(nwb(copy)) as file:
        np.testing.assert_array_equal(file["acquisition/RY_IMG_0001/data"][()], frames.transpose(0, 2, 1))


def stored_arrays(path: Path) -> list[str]:
    found: list[str] = []
    with h5py.File(path) as file:
        for top in ("acquisition", "stimulus"):
            file[top].visititems(
                lambda name, item, top=top: (
                    found.append(f"{top}/{name}")
                    if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.size
                    else None
                )
            )
    return found


@pytest.mark.parametrize("seed", range(campaign(12)))
def test_one_changed_value_is_found(copy: Builder, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    choose = random.Random(seed)
    if seed % 3:
        name = choose.choice(stored_arrays(nwb(copy)))
        with h5py.File(nwb(copy), "r+") as file:
            data = file[name]
            index = tuple(choose.randrange(n) for n in data.shape)
            data[index] = data[index] + 1
        path = nwb(copy)
    else:
        data = zarr.open_group(volume(copy), mode="r+")["0"]
        index = tuple(choose.randrange(n) for n in data.shape)
        data[index] = np.uint8(int(data[index]) ^ 1)
        path, name = volume(copy), "0"
    assert main(["verify", str(path)]) == 1
    said = capsys.readouterr().out
    assert name.rsplit("/", 1)[-1] in said
    if name.endswith("data") or name == "0":
        assert "verify.different" in said
        assert str(list(index)) in said


def test_verify_outside_the_dataset_needs_the_source_only(made: Builder, tmp_path: Path) -> None:
    path = Path(shutil.copy(nwb(made), tmp_path / "elsewhere.nwb"))
    assert main(["verify", str(path)]) == 1
    assert main(["verify", str(path), "--source", str(made.root / "source")]) == 0


def test_explain_tells_the_cell_behind_a_value(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(nwb(made)), "/general/subject/weight"]) == 0
    said = capsys.readouterr().out
    for part in (
        "table mouse",
        "row RY_M_0001",
        "column weight",
        "'24.50'",
        "session/subject.weight",
        neuropress.__version__,
    ):
        assert part in said
    assert main(["explain", str(nwb(made)), "weight", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["sources"] == [
        {"table": "mouse", "key": "RY_M_0001", "column": "weight", "text": "24.50", "origin": "cell"}
    ]
    assert main(["explain", str(volume(made)), "--all"]) == 0
    assert "column resolution: '4'" in capsys.readouterr().out
    assert main(["explain", str(nwb(made)), "wieght"]) == 1
    assert "weight" in capsys.readouterr().out


def test_header_comparison_has_four_states(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(copy.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    states = {x["id"] for x in lines if x.get("id", "").startswith("header.")}
    assert {"header.agrees", "header.absent"} <= states
    copy.change("image", z="13")
    assert main(["check", str(copy.root)]) == 1
    assert "header.disagrees" in capsys.readouterr().out


def test_source_roots_of_the_configuration_are_used(copy: Builder, tmp_path: Path) -> None:
    share = tmp_path / "share"
    shutil.move(copy.root / "source", share)
    shutil.rmtree(copy.root / "output")
    config = copy.root / "neuropress.toml"
    config.write_text(
        config.read_text("utf-8").replace('roots = ["source"]', f"roots = [{json.dumps(str(share))}]"), "utf-8"
    )
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in share.rglob("*")}
    for path in share.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert main(["run", str(copy.root)]) == 0
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in share.rglob("*")} == before
    for path in (share, *share.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_status_and_the_library_say_the_same(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(copy.root)]) == 0
    assert main(["status", str(copy.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert all(line["converted"] and line["verified"] and line["checked"] for line in lines)
    report = neuropress.open(copy.root).status()
    assert [o.to_json() for o in report.outcomes] == lines


def test_workers_give_the_same_results(copy: Builder) -> None:
    before = nwb(copy).read_bytes()
    shutil.rmtree(copy.root / "output")
    assert main(["convert", str(copy.root), "--workers", "2"]) == 0
    assert nwb(copy).read_bytes() == before
    assert main(["verify", str(copy.root)]) == 0


def test_publish_to_a_folder_twice_sends_nothing_the_second_time(
    copy: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = str(tmp_path / "release")
    assert main(["publish", str(copy.root), "--to", to, "--release", "1.0.0"]) == 0
    assert main(["publish", str(copy.root), "--to", to, "--release", "1.0.1"]) == 0
    assert "sent 0 objects, 0 bytes" in capsys.readouterr().out
    published = Path(to) / f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"
    assert published.read_bytes() == nwb(copy).read_bytes()
    copy.change("mouse", weight="99.5")
    assert main(["publish", str(copy.root), "--to", to, "--release", "1.0.2"]) == 1
    assert "publish.stale" in capsys.readouterr().out


def test_a_second_writer_is_told_who_holds_the_lock(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    from neuropress.storage.state import lock_dataset

    with lock_dataset(copy.root / ".neuropress", "convert"):
        assert main(["convert", str(copy.root)]) == 1
    assert "in use by neuropress convert (process" in capsys.readouterr().out


def test_too_little_disk_is_said_before_writing(
    copy: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(copy.root / "output")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("neuropress.verbs.convert.shutil.disk_usage", lambda path: usage)
    assert main(["convert", str(copy.root)]) == 1
    assert "disk.full" in capsys.readouterr().out
    assert not list((copy.root / "output").rglob("*.nwb"))


def test_selection_takes_a_part(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(copy.root), "--lab", "JL"]) == 0
    said = capsys.readouterr().out
    assert "JL_SD_0001" in said
    assert "RY_S_0001" not in said
    assert main(["plan", str(copy.root), "--object", "RY_E_0001"]) == 0
    assert "RY_S_0001.nwb" in capsys.readouterr().out
    assert main(["plan", str(copy.root), "--session", "RY_S_0999"]) == 1


def test_help_is_quick_and_light() -> None:
    code = "import sys; from neuropress.cli.arguments import parser; parser(); print([m for m in ('numpy', 'pynwb', 'zarr', 'h5py', 'tifffile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_line_of_progress_comes_before_anything_large_is_imported() -> None:
    code = "import sys, neuropress.cli.main, neuropress.cli.render; print([m for m in ('numpy', 'jsonschema', 'regex', 'neuropress.api') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_tell_a_reader_what_the_file_does_not(copy: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"yuste/{DATE}/image/raw/m1.tif"
    config = copy.root / "neuropress.toml"
    config.write_text(config.read_text("utf-8") + f'\n[options."{key}"]\naxes = "tyx"\n', "utf-8")
    assert main(["convert", str(copy.root)]) == 0
    assert f"the options of {key} changed" in capsys.readouterr().out
    assert main(["verify", str(copy.root)]) == 0
    assert main(["convert", str(copy.root)]) == 0
    assert "up to date         yuste" in capsys.readouterr().out


def test_a_clock_with_a_zone_gives_the_session_s_local_start(tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1, start_time="", end_time="")
    frames = np.zeros((4, 20, 16), np.uint16)
    xml = {"axes": "TYX", "AcquisitionDate": "2025-06-20T18:00:00Z"}
    tifffile.imwrite(tmp_path / "m.ome.tif", frames, ome=True, metadata=xml)
    build.movie(tmp_path / "m.ome.tif", frames.shape)
    raw = bytearray(abf(tmp_path / "e.abf").read_bytes())
    struct.pack_into("<ii", raw, 20, int(DATE), 15 * 3600)  # date and second of the day, local time
    build.ephys(bytes(raw), "20000")
    assert main(["convert", str(build.root)]) == 0
    with h5py.File(nwb(build)) as file:
        assert file["session_start_time"][()].decode() == "2025-06-20T14:00:00-04:00"
        assert file["acquisition/RY_IMG_0001/starting_time"][()] == 0
        assert file["acquisition/RY_E_0001_sweep000_ch0/starting_time"][()] == 3600


def test_a_misspelt_mapping_is_told_before_any_file_is_opened(
    made: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from neuropress.mapping import rules
    from neuropress.planning import mappings as build

    good = rules.load_mapping("imaging")
    bad = rules.Rule("series.wieght", ("frame_rate",))
    monkeypatch.setattr(
        build,
        "load_profile_mapping",
        lambda name, _: replace(good, rules=(bad,)) if name == "imaging" else rules.load_mapping(name),
    )
    monkeypatch.setattr("neuropress.model.source.Source.open_bytes", lambda *_: pytest.fail("a raw file was opened"))
    assert main(["check", str(made.root)]) == 2
    said = capsys.readouterr().err
    assert "mappings/imaging.toml" in said
    assert "wieght" in said
