"""Volumes of every format through the verbs: rows of a dataset, and one file without one."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr
from array_files import make_hdf5
from builder import DATE, Builder

import neuropress
from neuropress.cli.main import main
from neuropress.results import load_kind

FOLDER = f"lichtman/{DATE}/micro_ct_dataset/raw"
SECTIONS = np.random.default_rng(1).integers(0, 2**32, (5, 6, 7)).astype(">u4")
TOMOGRAM = np.random.default_rng(2).integers(-300, 300, (7, 6, 5)).astype("<i2")
STACK = np.random.default_rng(3).integers(0, 255, (2, 3, 6, 7)).astype("u1")
HEADER = """NRRD0004
type: unsigned int
dimension: 3
space: left-posterior-superior
sizes: 7 6 5
space directions: (0,0,0.004) (0,-0.004,0) (0.04,0,0)
space units: "um" "um" "um"
encoding: gzip
endian: big
data file: v1.raw.gz
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NRRD in two files, a NIfTI, a Vaa3D stack, each of a row of its own."""
    folder = tmp_path_factory.mktemp("volumes")
    build = Builder(folder / "ds")
    (folder / "v1.nhdr").write_text(HEADER)
    build.put(build.sem(folder / "v1.nhdr").replace("v1.nhdr", "v1.raw.gz"), gzip.compress(SECTIONS.tobytes()))
    image = nibabel.Nifti1Image(TOMOGRAM, np.diag([0.5, 0.5, 0.5, 1]))
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(2, 1)
    build.put(f"{FOLDER}/b1.nii.gz", image.to_bytes() and gzip.compress(image.to_bytes()))
    dates = {"mouse_id": "RY_M_0001", "start_date": DATE}
    build.row("micro_ct_dataset", micro_ct_id="JL_MD_0001", voxel_size="0.5", file_path=f"{FOLDER}/b1.nii.gz", **dates)
    build.session()
    key = f"yuste/{DATE}/image/raw/m1.v3draw"
    head = b"raw_image_stack_by_hpengL\1\0" + np.array(STACK.shape[::-1], "<i4").tobytes()
    build.put(key, head + STACK.tobytes())
    build.row("image", image_id="RY_IMG_0001", session_id="RY_S_0001", image_type="structural", x="7", y="6", z="3",
              pixel_size="0.2", file_path_raw=key)  # fmt: skip
    settings = build.root / "neuropress.toml"
    settings.write_text(settings.read_text() + f'\n[options."{key}"]\nz_spacing = "1.5"\n')
    opened = neuropress.open(build.root)
    for report in (opened.convert(), opened.verify(), opened.validate()):
        assert report.ok, [found for found in report.findings if found.severity == "error"]
    return build.root


def open_result(root: Path, name: str) -> tuple[np.ndarray, list[float], dict[str, Any]]:
    """Level 0, its scale, and the header of the raw file that the result keeps, with its inputs."""
    (path,) = (root / "output").rglob(f"{name}.ome.zarr")
    group = zarr.open_group(path, mode="r")
    level: Any = group["0"]
    provenance = load_kind("ome-zarr").read_provenance(path)
    ((_, header),) = provenance.headers.items()
    inputs = sorted(key.rpartition("/")[2] for key in provenance.receipt.inputs)
    ome: Any = group.attrs["ome"]
    return (
        level[:],
        ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"],
        {"inputs": inputs, "header": header},
    )


def test_a_detached_nrrd_of_an_em_row(dataset: Path) -> None:
    voxels, scale, kept = open_result(dataset, "JL_SD_0001")
    assert kept["inputs"] == ["v1.nhdr", "v1.raw.gz"]
    assert "left-posterior-superior" in str(kept["header"])
    assert voxels.tolist() == SECTIONS.tolist()
    assert scale == [40, 4, 4]  # nm: z by the file, y and x by the table


def test_a_nifti_of_a_micro_ct_row(dataset: Path) -> None:
    voxels, scale, kept = open_result(dataset, "JL_MD_0001")
    assert "'scl_slope': 2" in str(kept["header"])
    assert voxels.tolist() == TOMOGRAM.T.tolist()  # and neither doubled nor shifted
    assert scale == [0.5, 0.5, 0.5]


def test_a_vaa3d_stack_of_an_image_row(dataset: Path) -> None:
    voxels, scale, _ = open_result(dataset, "RY_IMG_0001")
    assert voxels.tolist() == STACK.tolist()
    assert scale == [1, 1.5, 0.2, 0.2]


def test_one_file_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volume = np.arange(60, dtype="f4").reshape(3, 4, 5)
    raw = make_hdf5({"raw": (volume, {"element_size_um": np.array([2, 0.5, 0.5])}), "n": 3})
    (tmp_path / "a.h5").write_bytes(raw)
    assert main(["convert", str(tmp_path / "a.h5"), "--to", str(tmp_path / "a.ome.zarr")]) == 0
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    level: Any = group["0"]
    assert level[:].tolist() == volume.tolist()
    assert "verified" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "a.h5")]) == 0
    assert "spacing: z 2.0 um, y 0.5 um, x 0.5 um" in capsys.readouterr().out
