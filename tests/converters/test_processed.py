"""Segmentations of programs, traces and corrected movies, from the rows through every verb into the NWB file."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import suite2p_files as s2p
import tifffile
from builder import DATE, Builder, movie
from caiman_files import write_results
from pynwb import NWBHDF5IO

from neuropress.cli.main import main

ROI = f"yuste/{DATE}/image/roi"
PROCESSED = f"yuste/{DATE}/image/processed"
NWB = "RY_S_0001.nwb"
SHAPE = (12, 20, 16)
OPHYS = "processing/ophys"


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    raw = movie(tmp_path / "m.tif", SHAPE)
    cells = {"exposure_time": "5", "pixel_size": "0.5", "roi_tool": "suite2p 0.14", "processing_methods": "NoRMCorre"}
    build.movie(raw, SHAPE, **cells)
    return build


def put_suite2p(ds: Builder, key: str, **more: Any) -> str:
    s2p.write_files(ds.raw(key) / "plane0", s2p.make_plane(**{"ops": {"Ly": 20, "Lx": 16}} | more))
    return key


def find(capsys: pytest.CaptureFixture[str], verb: str, ds: Builder) -> tuple[int, dict[str, dict[str, Any]]]:
    capsys.readouterr()
    status = main([verb, str(ds.root), "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return status, {line["id"]: line for line in lines if "id" in line}


def run_all(ds: Builder, capsys: pytest.CaptureFixture[str]) -> Path:
    for verb in ("check", "convert", "verify", "validate"):
        assert main([verb, str(ds.root)]) == 0, (verb, capsys.readouterr().out)
    path = ds.output(NWB)
    assert path
    return path


def test_suite2p_from_the_row_to_pynwb(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    ds.change("image", file_path_roi=put_suite2p(ds, f"{ROI}/suite2p/"))
    path = run_all(ds, capsys)
    with h5py.File(path) as raw_file:  # readers other than pynwb have the names of columns from here alone
        names = raw_file[f"{OPHYS}/ImageSegmentation/RY_IMG_0001_rois"].attrs["colnames"].tolist()
    assert names[:3] == ["pixel_mask", "med", "npix"]
    with NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        module = file.processing["ophys"]
        table = module["ImageSegmentation"]["RY_IMG_0001_rois"]
        assert [[tuple(p) for p in table["pixel_mask"][row]] for row in range(3)] == s2p.MASKS
        assert table["iscell"][:].tolist() == [True, False, True]
        assert table["overlap"][2].tolist() == [False, True, False]
        assert table.description == "Regions of interest of RY_IMG_0001, made with suite2p 0.14"
        raw = file.acquisition["RY_IMG_0001"]
        held = {
            "F": module["Fluorescence"]["RY_IMG_0001_fluorescence"],
            "Fneu": module["Fluorescence"]["RY_IMG_0001_neuropil"],
        }
        for name, series in (held | {"spks": module["RY_IMG_0001_deconvolved"]}).items():
            saved = np.load(ds.raw(f"{ROI}/suite2p/plane0/{name}.npy"), allow_pickle=False)
            assert np.array_equal(series.data[:], saved.T)
            assert (series.rate, series.starting_time) == (raw.rate, raw.starting_time)
            assert "alignment unknown" in series.comments
            assert series.rois.table is table
            assert series.rois.data[:].tolist() == [0, 1, 2]
    with h5py.File(path, "r+") as file:
        file[f"{OPHYS}/Fluorescence/RY_IMG_0001_neuropil/data"][3, 1] += 1
    assert find(capsys, "verify", ds)[1]["verify.different"]
    # A plane that is added to the folder makes the result stale.
    assert main(["convert", str(ds.root)]) == 0
    s2p.write_files(ds.raw(f"{ROI}/suite2p/plane1"), s2p.make_plane())
    capsys.readouterr()
    main(["status", str(ds.root)])
    assert "plane1" in capsys.readouterr().out
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert sorted(file[f"{OPHYS}/ImageSegmentation"]) == ["RY_IMG_0001_rois_plane0", "RY_IMG_0001_rois_plane1"]


def test_what_does_not_belong_to_the_movie_is_an_error(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"{ROI}/suite2p/"
    ds.change("image", file_path_roi=key)
    for more, id, words in (
        ({"frames": 11}, "regions.frames", ("11 frames", "12")),
        ({"ops": {"Ly": 16, "Lx": 20}}, "regions.outside", ("20x16", "16x20")),
        ({"ops": None}, "", ()),
    ):
        put_suite2p(ds, key, **more)
        if more.get("ops", 1) is None:
            ds.raw(f"{key}plane0/ops.npy").unlink()
            big = s2p.make_objects([s2p.make_region([(16, 0, 1.0)]) for _ in range(3)])
            ds.raw(f"{key}plane0/stat.npy").write_bytes(big)
            id, words = "regions.outside", ("columns 16 to 16", "16x20")
        status, found = find(capsys, "check", ds)
        assert status != 0
        assert all(word in found[id]["message"] for word in words), found[id]
        assert found[id]["location"]["column"] == "file_path_roi"
        assert main(["convert", str(ds.root)]) != 0


def test_a_pickle_that_would_run_something_is_a_finding(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = put_suite2p(ds, f"{ROI}/suite2p/")
    ds.change("image", file_path_roi=key)
    hostile = s2p.list_hostile(tmp_path / "marker")["an evaluation, arrays deep"]
    ds.raw(f"{key}plane0/ops.npy").write_bytes(s2p.wrap_pickle(hostile))
    for verb in ("check", "convert"):
        status, found = find(capsys, verb, ds)
        assert status != 0
        assert "builtins.eval" in found["pickle.refused"]["message"]
    assert not (tmp_path / "marker").exists()


def test_labels_and_traces_beside_them(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros((20, 16), "u2")
    labels[2:4, 5:9], labels[10, 3] = 40, 7
    ds.put(f"{ROI}/labels.tif", b"")
    tifffile.imwrite(ds.raw(f"{ROI}/labels.tif"), labels, metadata=None)
    values = np.arange(24).reshape(12, 2) / 4
    lines = ["7,40", *(f"{a},{b}" for a, b in values)]
    ds.put(f"{PROCESSED}/F.csv", "\n".join(lines).encode())
    ds.change("image", file_path_roi=f"{ROI}/labels.tif", file_path_processed=f"{PROCESSED}/F.csv")
    with NWBHDF5IO(str(run_all(ds, capsys)), "r") as io:
        module = io.read().processing["ophys"]
        table = module["ImageSegmentation"]["RY_IMG_0001_rois"]
        assert table["label"][:].tolist() == [7, 40]
        assert [len(table["pixel_mask"][row]) for row in range(2)] == [1, 8]
        assert np.array_equal(module["Fluorescence"]["RY_IMG_0001_traces"].data[:], values)
    # Columns that are not the regions in their order are refused; so are arrays whose axes nothing decides.
    for name, data, id in (
        ("F.csv", b"40,7\n1,2\n", "traces.names"),
        ("F.csv", b"7,40\n1,x\n", "traces.damaged"),
        ("F.csv", b"7,40\n1,2\n", "regions.frames"),
        ("F.npy", s2p.make_npy(np.zeros((3, 12))), "traces.names"),
    ):
        ds.put(f"{PROCESSED}/{name}", data)
        ds.change("image", file_path_processed=f"{PROCESSED}/{name}")
        assert id in find(capsys, "check", ds)[1], name
    ds.put(f"{PROCESSED}/F.npy", s2p.make_npy(values.T.copy()))
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert np.array_equal(file[f"{OPHYS}/Fluorescence/RY_IMG_0001_traces/data"], values)


def test_a_corrected_movie_lies_beside_its_raw_one(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corrected = np.random.default_rng(9).normal(size=(12, 18, 14)).astype("f4")
    key = f"{PROCESSED}/corrected.tif"
    ds.put(key, b"")
    tifffile.imwrite(ds.raw(key), corrected, photometric="minisblack", metadata=None)
    ds.change("image", file_path_processed=key)
    with NWBHDF5IO(str(run_all(ds, capsys)), "r") as io:
        file = io.read()
        series, raw = file.processing["ophys"]["RY_IMG_0001_processed"], file.acquisition["RY_IMG_0001"]
        assert np.array_equal(series.data[:], corrected.transpose(0, 2, 1))
        assert (type(series), series.rate, series.imaging_plane) == (type(raw), raw.rate, raw.imaging_plane)
        assert "NoRMCorre" in series.description
        assert "/acquisition/RY_IMG_0001" in series.description
    for frames in (11, 1):
        tifffile.imwrite(ds.raw(key), corrected[:frames], photometric="minisblack", metadata=None)
        status, found = find(capsys, "check", ds)
        assert status == 0
        assert found["image.processed_kept"]["severity"] == "warning"
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert not list(file[OPHYS])


def test_caiman_and_suite2p_of_one_row(ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds.put(f"{PROCESSED}/results.hdf5", write_results(tmp_path / "r.hdf5"))
    suite2p = put_suite2p(ds, f"{ROI}/suite2p/")
    ds.change("image", file_path_roi=suite2p, file_path_processed=f"{PROCESSED}/results.hdf5")
    with NWBHDF5IO(str(run_all(ds, capsys)), "r") as io:
        module = io.read().processing["ophys"]
        table = module["ImageSegmentation"]["RY_IMG_0001_processed_rois"]
        assert [tuple(p) for p in table["pixel_mask"][0]] == [(2, 3, 0.5), (2, 4, 1.25)]
        assert module["DfOverF"]["RY_IMG_0001_processed_dff"].unit == "n.a."
        assert module["Fluorescence"]["RY_IMG_0001_fluorescence"].rois.table is not table


def test_a_processed_file_that_is_missing_withholds_nothing(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    ds.change("image", file_path_processed=f"{PROCESSED}/none.tif")
    status, found = find(capsys, "check", ds)
    assert status == 0
    assert found["file.missing"]["severity"] == "warning"
    assert main(["convert", str(ds.root)]) == 0
    capsys.readouterr()
    main(["status", str(ds.root)])
    assert "up to date" in capsys.readouterr().out
    ds.put(f"{PROCESSED}/none.tif", ds.raw(f"yuste/{DATE}/image/raw/m1.tif"))
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert list(file[OPHYS]) == ["RY_IMG_0001_processed"]


def test_a_lone_region_is_no_unexplained_finding(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros((20, 16), "u1")
    labels[3:6, 2:5] = 255
    ds.put(f"{ROI}/mask.tif", b"")
    tifffile.imwrite(ds.raw(f"{ROI}/mask.tif"), labels, metadata=None)
    ds.change("image", file_path_roi=f"{ROI}/mask.tif")
    assert "one region" in find(capsys, "check", ds)[1]["file.oddity"]["message"]
    assert main(["convert", str(ds.root)]) == 0
    found = find(capsys, "validate", ds)[1]
    assert found["nwbinspector:check_single_row"]["severity"] == "info"
