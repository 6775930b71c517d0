"""Volumes in folders of chunks through the verbs: rows of a dataset, labels, a release, and one folder without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from builder import DATE, Builder
from chunk_files import SHARDED, write_n5, write_precomputed

import neuropress
from neuropress.cli.main import main

VALUES = np.random.default_rng(1).integers(0, 250, (40, 30, 20), "u1")
IDS = np.random.default_rng(2).choice(np.array([0, 1, 2**63 + 5, 2**64 - 1], "u8"), VALUES.shape)
SEGMENTS = f"lichtman/{DATE}/cell_detection_dataset/raw/cells/"


def write_zarr2(folder: Path) -> Path:
    """A group of Zarr 2: all that says what it is lies in hidden files."""
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    array = group.create_array("s0", shape=VALUES.T.shape, chunks=(8, 16, 16), dtype="u1")
    array[:] = VALUES.T
    array.attrs["_ARRAY_DIMENSIONS"] = ["z", "y", "x"]
    zarr.consolidate_metadata(folder)
    return folder


def test_rows_labels_and_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    write_precomputed(tmp_path / "em", VALUES[..., None])
    write_precomputed(
        tmp_path / "seg", IDS[..., None], "segmentation", encoding="compressed_segmentation",
        compressed_segmentation_block_size=[8, 8, 8], sharding=SHARDED,
    )  # fmt: skip
    write_n5(tmp_path / "v.n5/em/s0", VALUES, pixelResolution={"dimensions": [4, 4, 40], "unit": "nm"})
    build.put(SEGMENTS, tmp_path / "seg")
    for number, folder in enumerate((tmp_path / "em", tmp_path / "v.n5", write_zarr2(tmp_path / "z")), 1):
        build.sem(folder, number)
    settings = build.root / "neuropress.toml"
    text = settings.read_text().replace("# [dataset]", "[dataset]").replace("# license =", "license =")
    settings.write_text(text + f'\n[labels.JL_SD_0001.cells]\npath = "{SEGMENTS}"\n')
    report = neuropress.open(build.root).run()
    assert report.ok, [found for found in report.findings if found.severity == "error"]
    for number in (1, 2, 3):
        group: Any = zarr.open_group(build.output(f"JL_SD_000{number}.ome.zarr"), mode="r")
        assert np.array_equal(group["0"][:], VALUES.T)
        scale = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        assert scale == [1.0 if number == 3 else 40.0, 4.0, 4.0]
    labels: Any = zarr.open_group(build.output("JL_SD_0001.ome.zarr"), mode="r")["labels/cells"]
    assert labels["0"].dtype == np.uint64
    assert np.array_equal(labels["0"][:], IDS.T)
    store = tmp_path / "release"
    assert main(["publish", str(build.root), "--to", str(store), "--release", "1.0.0"]) == 0
    assert {path.name for path in store.rglob(".z*")} == {".zgroup", ".zarray", ".zattrs", ".zmetadata"}
    capsys.readouterr()
    assert main(["releases", "rebuild", str(store), "1.0.0"]) == 0
    assert "3 of 3 results are equal to the published ones" in capsys.readouterr().out


def test_one_folder_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_n5(tmp_path / "v.n5/em/s0", VALUES)
    assert main(["convert", str(tmp_path / "v.n5"), "--to", str(tmp_path / "v.ome.zarr")]) == 0
    assert "verified" in capsys.readouterr().out
    group: Any = zarr.open_group(tmp_path / "v.ome.zarr", mode="r")
    assert np.array_equal(group["0"][:], VALUES.T)
