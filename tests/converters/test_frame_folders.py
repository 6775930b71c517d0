"""Folders of frames as rows of `image`: movies in the session's NWB file."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
from builder import DATE, Builder
from folder_files import STACK, write_micromanager, write_mmstack, write_prairieview

from neuropress.cli.main import main

RGB = np.random.default_rng(4).integers(0, 255, (11, 6, 8, 3), dtype=np.uint8)
TWO_NUMBERS = f"yuste/{DATE}/image/raw/two/"


def write_pngs(folder: Path) -> tuple[Path, Path, Path]:
    """A movie whose names count without zeros, one in colours, one whose names have two numbers."""
    gray, colours, two = (folder / name for name in ("gray", "colours", "two"))
    for path in (gray, colours, two):
        path.mkdir(parents=True)
    for number, frame in enumerate(RGB, 1):
        (gray / f"frame_{number}.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(frame[..., 0])))
        (colours / f"frame_{number}.png").write_bytes(imagecodecs.png_encode(frame))
    for time in range(3):
        for depth in range(2):
            frame = np.ascontiguousarray(RGB[time, :, :, depth])
            (two / f"t{time}_z{depth}.png").write_bytes(imagecodecs.png_encode(frame))
    return gray, colours, two


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    build = Builder(tmp_path_factory.mktemp("frames") / "ds")
    build.session()
    raw = build.root.parent / "raw"
    gray, colours, two = write_pngs(raw)
    folders = [
        (gray, "10", "11"),
        (colours, "10", "11"),
        (two, "10", "6"),
        (write_micromanager(raw / "mm", STACK[:, :1, :1]), "8.79", "3"),
        (write_micromanager(raw / "even", elapsed=(0, 100, 200), version=1), "10", "6"),
        (write_mmstack(raw / "stack"), "8.79", "6"),
        (write_prairieview(raw / "TSeries-1"), "1.6", "6"),
        (write_prairieview(raw / "TSeries-2", STACK[:, :, :1], "TSeries Timed Element", (0, 0.25, 0.5)), "4", "3"),
    ]
    for number, (folder, rate, depth) in enumerate(folders, 1):
        key = f"yuste/{DATE}/image/raw/{folder.name}/"
        build.put(key, folder)
        cells = {"image_type": "calcium", "laser_line": "920", "frame_rate": rate, "x": "8", "y": "6", "z": depth}
        build.row("image", image_id=f"RY_IMG_{number:04d}", session_id="RY_S_0001", file_path_raw=key, **cells)
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[options."{TWO_NUMBERS}"]\naxes = "tzyx"\n')
    return build


@pytest.fixture(scope="module")
def result(dataset: Builder) -> Iterator[h5py.File]:
    assert main(["convert", str(dataset.root), "-q"]) == 0
    assert main(["verify", str(dataset.root), "-q"]) == 0
    path = dataset.output("RY_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        yield file


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RY_IMG_0001", RGB[..., 0]),
        ("RY_IMG_0002_red", RGB[..., 0]),
        ("RY_IMG_0002_blue", RGB[..., 2]),
        ("RY_IMG_0003", np.stack([RGB[:3, :, :, 0], RGB[:3, :, :, 1]], 1)),
        ("RY_IMG_0004", STACK[:, 0, 0]),
        ("RY_IMG_0005_RFP", STACK[:, 1]),
        ("RY_IMG_0006_GFP", STACK[:, 0]),
        ("RY_IMG_0007_Red", STACK[:, 1]),
        ("RY_IMG_0008_Green", STACK[:, 0, 0]),
    ],
)
def test_frames_have_their_place(result: h5py.File, name: str, expected: np.ndarray) -> None:
    data = result[f"acquisition/{name}/data"][()]  # t, x, y, and z last
    moved = data.transpose(0, 3, 2, 1) if data.ndim == 4 else data.transpose(0, 2, 1)
    np.testing.assert_array_equal(moved, expected)


def test_uneven_times_are_timestamps_and_even_ones_a_rate(result: h5py.File) -> None:
    series = result["acquisition"]
    np.testing.assert_array_equal(np.diff(series["RY_IMG_0004/timestamps"][()]), np.diff([0.0125, 0.11275, 0.24]))
    assert series["RY_IMG_0005_RFP/starting_time"].attrs["rate"] == 10
    # The scan began 10 minutes and 11.25 s after the session.
    np.testing.assert_array_equal(series["RY_IMG_0007_Red/timestamps"][()], [611.25, 611.75, 612.5])
    start = series["RY_IMG_0008_Green/starting_time"]
    assert (start.attrs["rate"], start[()]) == (4, 611.25)
    spacing = result["general/optophysiology/RY_IMG_0007_plane"]
    assert spacing["imaging_rate"][()] == 1.6
