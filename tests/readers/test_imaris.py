"""Imaris: level 0 without its padding, distances, channels, times; files of another layout. Files made by h5py alone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, close_volumes, find_problem, open_image, spoil_file

__all__ = ["close_volumes"]

LEVEL = "DataSet/ResolutionLevel 0"


def put_texts(group: h5py.Group, **texts: str) -> None:
    """Attributes as Imaris writes them: arrays of single characters."""
    for name, text in texts.items():
        group.attrs[name] = np.frombuffer(text.encode(), "S1")


def write_imaris(path: Path, voxels: np.ndarray, chunk: tuple[int, ...] = (2, 4, 4), **image: str) -> Path:
    """(t, c, z, y, x) voxels, padded to whole chunks; a second level that is nobody's business."""
    corners = {
        "ExtMin0": "10",
        "ExtMin1": "20",
        "ExtMin2": "0",
        "Unit": "um",
        "RecordingDate": "2025-06-20 09:00:00.000",
    }
    z, y, x = voxels.shape[2:]
    corners |= {"ExtMax0": str(10 + 0.5 * x), "ExtMax1": str(20 + 0.5 * y), "ExtMax2": str(2 * z)}
    with h5py.File(path, "w") as file:
        for t, c in np.ndindex(*voxels.shape[:2]):
            for level, data in enumerate((voxels[t, c], voxels[t, c, ::2, ::2, ::2])):
                group = file.create_group(f"DataSet/ResolutionLevel {level}/TimePoint {t}/Channel {c}")
                padding = [(0, -n % c) for n, c in zip(data.shape, chunk, strict=True)]
                padded = np.pad(data, padding, constant_values=7)
                group.create_dataset("Data", data=padded, chunks=chunk, compression="gzip")
                sizes = zip("ZYX", data.shape, strict=True)
                put_texts(group, **{f"ImageSize{axis}": str(n) for axis, n in sizes})
        put_texts(file.create_group("DataSetInfo/Image"), **{**corners, **image})
        for c in range(voxels.shape[1]):
            put_texts(file.create_group(f"DataSetInfo/Channel {c}"), Name=f"dye {c}", Color="1 0 0")
        times = {f"TimePoint{t + 1}": f"2025-06-20 09:00:{2 * t:02d}.500" for t in range(voxels.shape[0])}
        put_texts(file.create_group("DataSetInfo/TimeInfo"), DatasetTimePoints=str(voxels.shape[0]), **times)
    return path


def make_voxels(shape: tuple[int, ...], kind: str = "<u2", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(kind)


def test_voxels_and_what_is_said_of_them(tmp_path: Path) -> None:
    voxels = make_voxels((3, 2, 3, 5, 7))
    image = open_image(write_imaris(tmp_path / "a.ims", voxels))
    check_blocks(image, voxels)
    assert image.arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    assert dict(image.spacing) == {"x": Decimal("0.5"), "y": Decimal("0.5"), "z": Decimal(2)}
    assert image.facts == {"x": "7", "y": "5", "z": "9", "pixel_size": "0.5", "frame_rate": "0.5", "origin": "10 20 0"}
    assert image.channels == ("dye 0", "dye 1")
    assert image.acquired == datetime.fromisoformat("2025-06-20T09:00:00.5")
    assert image.header["padded"] == [4, 8, 8]
    assert image.header["info"]["Channel 1"]["Color"] == "1 0 0"


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(["u1", "<u2", "<u4", "<f4"]), st.tuples(*[st.integers(1, n) for n in (2, 2, 5, 9, 9)]))
def test_any_type_and_shape(tmp_path_factory: pytest.TempPathFactory, kind: str, shape: tuple[int, ...]) -> None:
    voxels = make_voxels(shape, kind)
    check_blocks(open_image(write_imaris(tmp_path_factory.getbasetemp() / "a.ims", voxels)), voxels, count=3)


def test_distances_that_nobody_knows(tmp_path: Path) -> None:
    voxels = make_voxels((1, 1, 2, 3, 4))
    for unit in ("", "furlong"):
        image = open_image(write_imaris(tmp_path / "a.ims", voxels, Unit=unit))
        assert not image.spacing
        assert "not known" in image.warnings[0]
    image = open_image(write_imaris(tmp_path / "a.ims", voxels, Unit="mm", ExtMax2="nonsense"))
    assert dict(image.spacing) == {"x": 500, "y": 500}
    assert "origin" not in image.facts


def break_file(path: Path, how: str) -> None:
    channel = f"{LEVEL}/TimePoint 0/Channel 0"
    with h5py.File(path, "r+") as file:
        if how == "external":
            file["out"] = h5py.ExternalLink("/etc/passwd", "/")
        elif how == "no level":
            del file["DataSet"]
        elif how == "no size":
            del file[channel].attrs["ImageSizeX"]
        elif how == "size":
            put_texts(file[channel], ImageSizeZ="99")
        elif how == "numbers":
            file.move(f"{LEVEL}/TimePoint 1", f"{LEVEL}/TimePoint 5")
        elif how == "channels":
            del file[f"{LEVEL}/TimePoint 1/Channel 1"]
        elif how == "types":
            del file[f"{channel}/Data"]
            file[f"{channel}/Data"] = np.zeros((4, 8, 8), "f4")
        else:
            del file[f"{channel}/Data"]
            file.create_group(f"{channel}/Data")


@pytest.mark.parametrize(
    ("how", "id"),
    [("external", "arrays.unsafe"), ("no level", "imaris.layout"), ("no size", "imaris.layout"), ("size", "imaris.layout"),
     ("numbers", "imaris.layout"), ("channels", "imaris.layout"), ("types", "imaris.layout"), ("group", "imaris.layout")],
)  # fmt: skip
def test_other_layouts(tmp_path: Path, how: str, id: str) -> None:
    path = write_imaris(tmp_path / "a.ims", make_voxels((2, 2, 3, 5, 7)))
    break_file(path, how)
    assert find_problem(path).id == id


def test_no_hdf5_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.ims").write_bytes(b"Imaris 2.7 was no HDF5")
    assert find_problem(tmp_path / "a.ims").id == "arrays.damaged"


def test_spoilt_files(tmp_path: Path) -> None:
    options: dict[str, Any] = {}
    assert spoil_file(write_imaris(tmp_path / "a.ims", make_voxels((1, 1, 2, 3, 4))), 3, options) > 0
