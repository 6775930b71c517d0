"""Regions of interest of movies: from the rows through every verb into the NWB file, where pynwb reads them."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import roi_files as rf
import tifffile
from builder import DATE, Builder, movie
from pynwb import NWBHDF5IO

from neuropress.cli.main import main

KEY = f"yuste/{DATE}/image/roi/RoiSet.zip"
NWB = "RY_S_0001.nwb"
TABLE = "processing/ophys/ImageSegmentation/RY_IMG_0001_rois"
SHAPE = (12, 20, 16)
ROIS = {
    "soma.roi": rf.make_polygon([(2, 3), (6, 3), (6, 5), (2, 5)], position=4, name="soma"),
    "spine.roi": rf.make_roi(rf.OVAL, (10, 10, 12, 12), second={4: 1, 8: 2, 12: 3}),
    "axis.roi": rf.make_polygon([(0, 0), (3, 0)], rf.POLYLINE),
}
MASKS = [
    [(x, y) for y in (3, 4) for x in (2, 3, 4, 5)],
    [(10, 10), (11, 10), (10, 11), (11, 11)],
    [(0, 0), (1, 0), (2, 0), (3, 0)],
]


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    build.put(KEY, rf.make_set(ROIS))
    raw = movie(tmp_path / "m.tif", SHAPE)
    build.movie(raw, SHAPE, file_path_roi=KEY, roi_tool="ImageJ 1.54f", exposure_time="5", pixel_size="0.5")
    return build


def read_findings(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["id"]: line for line in lines if "id" in line}


def run(capsys: pytest.CaptureFixture[str], verb: str, ds: Builder) -> tuple[int, dict[str, dict[str, str]]]:
    capsys.readouterr()
    status = main([verb, str(ds.root), "--json"])
    return status, read_findings(capsys)


def test_the_whole_line(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = run(capsys, "check", ds)
    assert status == 0
    assert "1 of 3 regions are lines or points" in found["file.oddity"]["message"]
    for verb in ("plan", "run", "verify", "validate", "coverage"):
        assert main([verb, str(ds.root)]) == 0, (verb, capsys.readouterr().out)
    path = ds.output(NWB)
    assert path
    with NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        table = file.processing["ophys"]["ImageSegmentation"]["RY_IMG_0001_rois"]
        assert table.description == "Regions of interest of RY_IMG_0001, made with ImageJ 1.54f"
        assert table.imaging_plane is file.imaging_planes["RY_IMG_0001_plane"]
        assert [series.name for series in table.reference_images] == ["RY_IMG_0001"]
        masks = [[(int(x), int(y)) for x, y, weight in table["pixel_mask"][row]] for row in range(3)]
        assert masks == MASKS
        assert list(table["roi_name"][:]) == ["soma", "spine", "axis"]
        assert list(table["roi_kind"][:]) == ["polygon", "oval", "polyline"]
        names = ("stack_position", "channel", "slice", "frame", "group")
        assert [table[name][:].tolist() for name in names] == [[4, 0, 0], [0, 1, 0], [0, 2, 0], [0, 3, 0], [0, 0, 0]]
        # A mask picks its pixels out of the series as NWB has it: time, x, y.
        frames = file.acquisition["RY_IMG_0001"].data
        assert all(x < frames.shape[1] and y < frames.shape[2] for mask in masks for x, y in mask)
    capsys.readouterr()
    assert main(["explain", str(path), "RY_IMG_0001_rois/pixel_mask"]) == 0
    assert KEY in capsys.readouterr().out


@pytest.mark.parametrize("column", ["pixel_mask", "pixel_mask_index", "roi_name", "stack_position"])
def test_verify_finds_what_was_changed(ds: Builder, column: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB), "r+") as file:
        place = file[f"{TABLE}/{column}"]
        value = place[1]
        if column == "pixel_mask":
            value["x"] += 1
        place[1] = "other" if column == "roi_name" else value if column == "pixel_mask" else value + 1
    status, found = run(capsys, "verify", ds)
    assert status != 0
    assert "verify.different" in found


def test_a_changed_file_of_regions_makes_the_result_stale(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(ds.root)]) == 0
    ds.put(KEY, rf.make_set({"one.roi": ROIS["soma.roi"]}))
    assert run(capsys, "verify", ds)[0] != 0
    main(["status", str(ds.root)])
    assert f"raw data changed: {KEY} changed" in capsys.readouterr().out
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert file[f"{TABLE}/pixel_mask_index"][:].tolist() == [8]
    ds.change("image", file_path_roi="", roi_tool="")
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert not list(file["processing"])


def test_regions_beyond_the_movie_are_refused_until_its_size_is_stated(
    ds: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    ds.put(KEY, rf.make_set(ROIS | {"edge.roi": rf.make_roi(rf.RECT, (14, -1, 18, 2))}))
    for verb in ("check", "convert"):
        status, found = run(capsys, verb, ds)
        assert status != 0
        message = found["imagej_roi.outside"]["message"]
        assert "'edge'" in message
        assert "columns 14 to 17, rows -1 to 1" in message
    stated = f'\n[options."{KEY}"]\nimage_size = "SIZE"\n'
    assert stated.strip().replace("\n", " ").replace("SIZE", "16x20") in message
    settings = ds.root / "neuropress.toml"
    before = settings.read_text("utf-8")
    settings.write_text(before + stated.replace("SIZE", "16x21"), "utf-8")
    assert "its movie is 16x20" in run(capsys, "check", ds)[1]["imagej_roi.outside"]["message"]
    settings.write_text(before + stated.replace("SIZE", "16x20"), "utf-8")
    for verb in ("check", "convert", "verify"):
        assert main([verb, str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        edge = file[f"{TABLE}/pixel_mask"][16:]
        assert [(int(x), int(y)) for x, y, _ in edge] == [(14, 0), (15, 0), (14, 1), (15, 1)]
    ds.put(KEY, rf.make_set({"none.roi": rf.make_polygon([(1, 1), (4, 4)]), **ROIS}))
    for verb in ("check", "convert", "verify", "validate"):
        assert main([verb, str(ds.root)]) == 0, capsys.readouterr().out
    with NWBHDF5IO(str(ds.output(NWB)), "r") as io:
        table = io.read().processing["ophys"]["ImageSegmentation"]["RY_IMG_0001_rois"]
        assert [len(table["pixel_mask"][row]) for row in range(4)] == [0, 8, 4, 4]
    ds.put(KEY, rf.make_set(ROIS | {"gone.roi": rf.make_roi(rf.RECT, (30, 30, 32, 32))}))
    assert "'gone'" in run(capsys, "check", ds)[1]["imagej_roi.outside"]["message"]


def test_a_bad_file_of_regions_is_a_finding_on_its_cell(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    ds.raw(KEY).unlink()
    assert run(capsys, "check", ds)[1]["file.missing"]["severity"] == "error"
    for data, id in (
        (b"no zip at all", "imagej_roi.damaged"),
        (rf.make_set({"mask.tif": b"II"}), "imagej_roi.empty"),
        (rf.make_set(ROIS)[:-30], "imagej_roi.damaged"),
    ):
        ds.put(KEY, data)
        status, found = run(capsys, "check", ds)
        assert status != 0
        assert (found[id]["location"]["column"], found[id]["location"]["key"]) == ("file_path_roi", "RY_IMG_0001")
        assert main(["convert", str(ds.root)]) != 0
        assert ds.output(NWB) is None


@pytest.mark.parametrize("name", ["Rois.mat", "regions.csv"])
def test_other_formats_are_kept_and_said(ds: Builder, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"yuste/{DATE}/image/roi/{name}"
    ds.put(key, b"x")
    ds.change("image", file_path_roi=key)
    status, found = run(capsys, "check", ds)
    assert status == 0
    assert found["image.roi_kept"]["severity"] == "warning"
    assert "none of the regions that are read" in found["image.roi_kept"]["message"]
    assert main(["convert", str(ds.root)]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert not list(file["processing"])


def test_regions_of_an_image_without_frame_rate_are_kept_and_said(
    ds: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    ds.change("image", frame_rate="", exposure_time="", image_type="structural")
    found = run(capsys, "check", ds)[1]
    assert "without a frame_rate" in found["image.roi_kept"]["message"]
    main(["status", str(ds.root), "--files"])
    assert KEY in capsys.readouterr().out


def test_several_channels_and_a_split_session(ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(1).integers(0, 99, (6, 2, 20, 16)).astype("u2")
    raw = tmp_path / "two.tif"
    tifffile.imwrite(raw, pixels, imagej=True, metadata={"axes": "TCYX"})
    ds.put(f"yuste/{DATE}/image/raw/m1.tif", raw)
    ds.change("image", z="6")
    with (ds.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write('\n[split]\nimaging = "ophys"\n')
    for verb in ("check", "convert", "verify"):
        assert main([verb, str(ds.root)]) == 0, capsys.readouterr().out
    with h5py.File(ds.output("RY_S_0001_ophys.nwb")) as result:
        images = result[f"{TABLE}/reference_images"]
        assert sorted(images) == ["RY_IMG_0001_channel1", "RY_IMG_0001_channel2"]
        assert result[f"{TABLE}/pixel_mask_index"][:].tolist() == [8, 12, 16]
