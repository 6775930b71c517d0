"""Levels and cells of many annotations: each in one level, few in a cell, a sample of all in the first."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from annotation_reading import compute_morton, read_annotations

from neuropress.results.omezarr import spatial
from neuropress.results.omezarr.annotations import Annotations

EXTENT = (300, 200, 40)
MOST = 60


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "MOST", MOST)
    monkeypatch.setattr(sys.modules[Annotations.__module__], "RUN_BITS", 4)


def make_annotations(
    low: np.ndarray, high: np.ndarray | None = None, steps: tuple[str, ...] = ("1",) * 3
) -> Annotations:
    scale = [Decimal(step) for step in steps]
    ends = low if high is None else high
    return Annotations("xyz", scale, ["micrometer"] * 3, EXTENT, low, ends, high is not None)


def write(folder: Path, made: Annotations) -> Path:
    for name, data in made.make_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def scatter(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3)) * EXTENT - 0.5


def test_every_point_is_in_one_cell_and_none_is_too_full(tmp_path: Path) -> None:
    points = scatter(3000)
    points[:700] = points[:700] / 6 + 5  # a dense corner
    info, found, levels = read_annotations(write(tmp_path, make_annotations(points)))
    assert len(found) == 3000
    np.testing.assert_array_equal([found[n] for n in range(3000)], [[list(p)] for p in points.astype("f4").tolist()])
    assert len(levels) > 2
    assert max(len(ids) for cells in levels for ids in cells.values()) <= MOST
    assert [len(ids) for ids in levels[0].values()] == [MOST]
    assert info["spatial"][1]["grid_shape"] == [2, 2, 1], "short sides are not halved"


def test_the_first_level_is_an_even_sample(tmp_path: Path) -> None:
    points = scatter(6000)
    points[3000:, 0] = points[3000:, 0] / 2 + 150  # three quarters on the right
    _, _, levels = read_annotations(write(tmp_path, make_annotations(points)))
    first = levels[0][0, 0, 0]
    right = np.mean([points[n, 0] > 150 for n in first])
    assert 0.6 < right < 0.9
    assert min(first) < 600 < 5400 < max(first), "rows of all parts of the table"


def test_the_same_bytes_each_time_and_voxels_that_are_long_count_as_such(tmp_path: Path) -> None:
    made = make_annotations(scatter(500), steps=("1", "1", "20"))
    assert made.make_files() == made.make_files()
    info, _, _ = read_annotations(write(tmp_path, made))
    assert info["spatial"][1]["grid_shape"] == [1, 1, 2]


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1])
def test_few_points(tmp_path: Path, count: int) -> None:
    info, found, levels = read_annotations(write(tmp_path, make_annotations(scatter(count))))
    assert (len(found), len(levels)) == (count, 1 + (count > MOST))
    assert info["spatial"][0]["limit"] == min(max(count, 1), MOST)


def test_points_at_one_place_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "MOST_LEVELS", 4)
    info, found, levels = read_annotations(write(tmp_path, make_annotations(np.full((500, 3), 7.0))))
    assert [sum(map(len, cells.values())) for cells in levels] == [MOST, MOST, MOST, 500 - 3 * MOST]
    assert [one["limit"] for one in info["spatial"]] == [MOST, MOST, MOST, 320]
    assert len(found) == 500


def test_boxes_lie_in_each_cell_that_they_touch_and_large_ones_in_few(tmp_path: Path) -> None:
    low = scatter(900) * 0.9
    info, found, levels = read_annotations(write(tmp_path / "small", make_annotations(low, low + np.array([9, 9, 3]))))
    assert len(found) == 900
    assert max(len(ids) for cells in levels for ids in cells.values()) <= MOST
    copies = sum(len(ids) for cells in levels for ids in cells.values())
    assert 900 < copies < 900 * spatial.MOST_COPIES
    whole = np.tile([EXTENT], (900, 1)) - 0.5
    info, found, levels = read_annotations(write(tmp_path / "large", make_annotations(whole * 0, whole)))
    assert (len(found), sum(len(ids) for cells in levels for ids in cells.values())) < (900, 900 * 5)
    assert len(levels) < 4
    assert info["spatial"][-1]["limit"] >= 900 - MOST


def test_cells_are_numbered_as_the_format_says() -> None:
    grid = (5, 1, 3)
    for place in np.ndindex(grid):
        assert spatial.encode_morton(place, grid) == compute_morton(place, list(grid))
