"""Sessions in several files: one a row, and raw and processed data apart; each stands alone and names the others."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import roi_files as rf
import tifffile
from builder import DATE, Builder, abf, movie
from pynwb import NWBHDF5IO

from neuropress.cli.main import main

KEY = f"yuste/{DATE}/image/roi/RoiSet.zip"
CORRECTED = f"yuste/{DATE}/image/processed/m1.tif"
SHAPE = (12, 20, 16)
FOLDER = f"yuste/{DATE}/session/nwb"
REGIONS = "processing/ophys/ImageSegmentation/RY_IMG_0001_rois"


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    """A recording, and two movies, the first with regions and a corrected form."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.put(KEY, rf.make_set({"soma.roi": rf.make_polygon([(2, 3), (6, 3), (6, 5), (2, 5)])}))
    build.put(CORRECTED, movie(tmp_path / "c.tif", SHAPE))
    raw = movie(tmp_path / "m.tif", SHAPE)
    build.movie(raw, SHAPE, file_path_roi=KEY, file_path_processed=CORRECTED, exposure_time="5", pixel_size="0.5")
    build.movie(raw, SHAPE, 2, exposure_time="5")
    return build


def state(ds: Builder, text: str) -> None:
    with (ds.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def run(ds: Builder, capsys: pytest.CaptureFixture[str], *verbs: str) -> dict[str, Path]:
    for verb in verbs:
        assert main([verb, str(ds.root)]) == 0, (verb, capsys.readouterr().out)
    output = ds.root / "output"
    return {path.relative_to(output).as_posix(): path for path in output.rglob("*.nwb")}


def test_raw_and_processed_apart(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(ds, '[split]\nprocessed = "derived"\nrois = "derived"')
    made = run(ds, capsys, "convert", "verify")
    assert sorted(made) == [f"{FOLDER}/RY_S_0001.nwb", f"{FOLDER}/RY_S_0001_derived.nwb"]
    with (
        h5py.File(made[f"{FOLDER}/RY_S_0001.nwb"]) as main_file,
        h5py.File(made[f"{FOLDER}/RY_S_0001_derived.nwb"]) as own,
    ):
        identifier = main_file["identifier"].asstr()[()]
        assert own["identifier"].asstr()[()] == f"{identifier}:derived"
        assert own.attrs["object_id"] != main_file.attrs["object_id"]
        assert "ophys" not in main_file["processing"]
        assert list(own["acquisition"]) == []
        words = own[REGIONS].attrs["description"]
        file = f"{FOLDER}/RY_S_0001.nwb (identifier {identifier})"
        assert f"reference_images (not linked): /acquisition/RY_IMG_0001 of {file}" in words
        series = own["processing/ophys/RY_IMG_0001_processed"]
        assert f"its raw movie is /acquisition/RY_IMG_0001 of {file}" in series.attrs["description"]
        links = [own.get(name, getlink=True) for name in own]
        assert not any(isinstance(link, h5py.ExternalLink) for link in links)
    with NWBHDF5IO(str(made[f"{FOLDER}/RY_S_0001_derived.nwb"]), "r") as io:
        file = io.read()
        plane = file.processing["ophys"]["RY_IMG_0001_processed"].imaging_plane
        assert plane is file.imaging_planes["RY_IMG_0001_plane"]
        assert plane.device.name == "RY_microscope"
    before = {name: path.read_bytes() for name, path in made.items()}
    run(ds, capsys, "convert")
    assert {name: path.read_bytes() for name, path in made.items()} == before
    # The processed file stands on the raw movie, too: another one makes both again.
    ds.put(f"yuste/{DATE}/image/raw/m1.tif", write_movie(ds.root / "other.tif"))
    run(ds, capsys, "convert")
    changed = {name for name, path in made.items() if path.read_bytes() != before[name]}
    assert changed == set(made)


def write_movie(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros(SHAPE, np.uint16), photometric="minisblack", metadata=None)
    return path


def test_one_file_per_row(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(ds, '[split]\n"*" = "{id}"')
    made = run(ds, capsys, "convert", "verify")
    rows = ("RY_E_0001", "RY_IMG_0001", "RY_IMG_0002")
    assert sorted(made) == [f"{FOLDER}/RY_S_0001_{row}.nwb" for row in rows]
    ids = set()
    for name, path in made.items():
        with h5py.File(path) as file:
            ids |= {file["identifier"].asstr()[()], file.attrs["object_id"]}
            assert file["general/session_id"].asstr()[()] == "RY_S_0001"
            assert ("processing/ophys" in file) == ("IMG_0001" in name)
    assert len(ids) == 6
    with h5py.File(made[f"{FOLDER}/RY_S_0001_RY_IMG_0001.nwb"]) as file:
        assert list(file[f"{REGIONS}/reference_images"]) == ["RY_IMG_0001"]
    # A row that goes leaves its file, which is named; the others stay as they are.
    assert main(["check", str(ds.root)]) == 0
    assert "result.stray" not in capsys.readouterr().out
    ds.rows["image"].pop()
    ds.write("image")
    main(["check", str(ds.root)])
    out = capsys.readouterr().out
    assert re.search(r"RY_S_0001_RY_IMG_0002\.nwb is asked for by no row", out)


def test_rows_of_one_converter_have_files_that_dandi_takes(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(ds, '[split]\nimaging = "{id}"\n\n[output]\nnames = "dandi"')
    made = run(ds, capsys, "convert")
    start = "sub-RY-M-0001/sub-RY-M-0001_ses-RY-S-0001"
    assert sorted(made) == [
        f"{start}_desc-RY-IMG-0001_ophys.nwb", f"{start}_desc-RY-IMG-0002_ophys.nwb", f"{start}_icephys.nwb",
    ]  # fmt: skip
    assert main(["check", str(ds.root)]) == 0
    assert "result." not in capsys.readouterr().out
