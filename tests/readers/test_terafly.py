"""TeraFly trees (synthetic only): tiles of the finest resolution fused; what is missing or odd is named."""

from __future__ import annotations

import shutil
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import volume_reading
from campaigns import spoil
from volume_reading import check_blocks, find_problem, open_image, read_pixels, try_pixels

SIZE = {"z": 2.0, "y": 0.5, "x": 0.325}
CUTS = {"z": (0, 4, 7), "y": (0, 8, 16, 24, 26), "x": (0, 12, 21)}
STACK = np.random.default_rng(4).integers(0, 60000, (7, 26, 21), np.uint16)
FIRST = "000000/000000_000000/000000_000000_000000.tif"
BEHIND = "000040/000040_000039/000040_000039_000080.tif"


@pytest.fixture(autouse=True)
def close(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(volume_reading, "FINDINGS", (*volume_reading.FINDINGS, "terafly.", "tiff.", "image."))
    yield from volume_reading.close_volumes.__wrapped__()  # type: ignore[attr-defined]


def write_tree(folder: Path, stack: np.ndarray = STACK, size: dict[str, float] = SIZE, **options: Any) -> Path:
    """A resolution as TeraConverter lays it out; the folder of the resolution."""
    z, y, x = stack.shape[:3]
    top = folder / f"RES({y}x{x}x{z})"
    for parts in product(*(pairwise(CUTS[axis]) for axis in "zyx")):
        at = {axis: f"{round(part[0] * size[axis] * 10):06}" for axis, part in zip("zyx", parts, strict=True)}
        path = top / at["y"] / f"{at['y']}_{at['x']}" / f"{at['y']}_{at['x']}_{at['z']}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tile = stack[tuple(slice(*part) for part in parts)]
        tifffile.imwrite(path, tile, photometric="rgb" if stack.ndim > 3 else "minisblack", metadata=None, **options)
    (top / "mdata.bin").write_bytes(b"\1\0")
    return top


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_tiles_become_one_volume(tmp_path: Path, compression: Any) -> None:
    write_tree(tmp_path / "t", compression=compression)
    (tmp_path / "t/RES(13x11x4)/000000/000000_000000").mkdir(parents=True)
    shutil.copy(tmp_path / "t/RES(26x21x7)" / FIRST, tmp_path / "t/RES(13x11x4)" / FIRST)
    image = open_image(tmp_path / "t")
    assert image.spacing == {"z": Decimal(2), "y": Decimal("0.5"), "x": Decimal("0.325")}
    assert image.facts == {"z": "7", "y": "26", "x": "21"}
    assert image.warnings == (
        "pixels are not square: 0.325 um wide, 0.5 um high",
        "its other resolutions are not read: RES(13x11x4)",
        "files that hold no tile are left out (1): RES(26x21x7)/mdata.bin",
    )
    check_blocks(image, STACK)


def test_the_folder_of_one_resolution_may_be_named(tmp_path: Path) -> None:
    assert np.array_equal(read_pixels(open_image(write_tree(tmp_path / "t"))), STACK)
    bare = shutil.copytree(tmp_path / "t/RES(26x21x7)", tmp_path / "tiles")
    assert find_problem(bare).id == "terafly.unsupported"


def test_colours_and_8_bits(tmp_path: Path) -> None:
    colours = np.random.default_rng(5).integers(0, 250, (*STACK.shape, 3), np.uint8)
    write_tree(tmp_path / "t", colours)
    image = open_image(tmp_path / "t")
    assert image.arrays["pixels"].axes == ("z", "y", "x", "s")
    check_blocks(image, colours)


def test_tiles_of_one_micrometer_say_nothing(tmp_path: Path) -> None:
    """TeraConverter takes 1 um where nobody states a size."""
    write_tree(tmp_path / "t", size=dict.fromkeys("zyx", 1.0))
    image = open_image(tmp_path / "t")
    assert image.spacing == {}
    assert (
        image.warnings[0] == "its tiles lie 1 um a voxel apart, as they do where nobody stated a size: it is not taken"
    )


def lose(top: Path) -> str:
    (top / BEHIND).unlink()
    return BEHIND


def lose_row(top: Path) -> str:
    shutil.rmtree(top / "000120")
    return "000080/000080_000000/000080_000000_000000.tif"


def lose_middle(top: Path) -> str:
    """A row in the middle, and the name is put right."""
    shutil.rmtree(top / "000040")
    top.rename(top.with_name("RES(18x21x7)"))
    return "RES(18x21x7)/000080/000080_000000/000080_000000_000000.tif"


def move(top: Path) -> str:
    (top / BEHIND).rename(top / FIRST.replace("000000_000000_000000", "000040_000039_000080"))
    return "000000/000000_000000/000040_000039_000080.tif"


def shrink(top: Path) -> str:
    tifffile.imwrite(top / BEHIND, STACK[4:, 8:16, 12:20], photometric="minisblack")
    return BEHIND


def mix(top: Path) -> str:
    tifffile.imwrite(top / BEHIND, STACK[4:, 8:16, 12:21].astype("u1"), photometric="minisblack")
    return BEHIND


def cut(top: Path) -> str:
    (top / BEHIND).write_bytes((top / BEHIND).read_bytes()[:300])
    return BEHIND


def empty(top: Path) -> str:
    (top / BEHIND).write_bytes(b"")
    return BEHIND


@pytest.mark.parametrize("change", [lose, lose_row, lose_middle, move, shrink, mix, cut, empty])
def test_a_tile_that_is_missing_or_odd_is_named(tmp_path: Path, change: Any) -> None:
    named = change(write_tree(tmp_path / "t"))
    found = find_problem(tmp_path / "t")
    assert found.id in ("terafly.tile", "tiff.truncated", "tiff.damaged", "file.empty")
    assert found.location.file is not None
    assert found.location.file.endswith(named)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    top = write_tree(tmp_path / "in/t")
    (top / FIRST).replace(tmp_path / "secret.tif")
    (top / FIRST).symlink_to(tmp_path / "secret.tif")
    assert find_problem(tmp_path / "in/t").id == "path.outside"


def test_spoilt_tiles_end_in_a_finding_or_in_pixels(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "t") / BEHIND
    for data in spoil(path.read_bytes(), 6):
        path.write_bytes(data)
        try_pixels(tmp_path / "t")
