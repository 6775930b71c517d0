"""The picture of a volume's middle slices: the right voxels in it, the same bytes, proven, read piece by piece."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import zarr
from PIL import Image
from test_omezarr import Raw, shrink_layout, write
from test_omezarr_labels import IMAGE, make_ids
from test_omezarr_labels import write as write_labelled

from neuropress.results.omezarr import preview, windows
from neuropress.results.omezarr import volume as omezarr
from neuropress.results.omezarr.fresh import FreshLevel


def read_picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path / preview.NAME).convert("RGB"))


def stretch(values: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.rint(((values.astype("f8") - low) / (high - low) * 255).clip(0, 255)).astype("u1")


def make_corners(shape: tuple[int, ...]) -> np.ndarray:
    """A ramp in which every voxel has another value."""
    return np.arange(np.prod(shape), dtype="u2").reshape(shape)


@pytest.fixture
def all_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    """White and black are the extremes, and two chunks are read at a time."""
    monkeypatch.setattr(windows, "TAIL", 10**9)
    monkeypatch.setattr(preview, "CHUNKS", 2)


@pytest.mark.usefixtures("all_voxels")
def test_the_middle_slices_lie_beside_one_another(tmp_path: Path) -> None:
    data, path = make_corners((6, 41, 30)), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(data, "zyx", path, stated=[2.0, 1.0, 1.0])
    picture = read_picture(path)
    gap, cuts = preview.GAP, [data[3], data[:, 20], data[:, :, 15].T]
    assert picture.shape == (41 + gap + 12, 30 + gap + 12, 3), "z counts twice: its voxels are twice as long"
    shown = [
        picture[:41, :30, 0],
        picture[-12:, :30, 0].reshape(6, 2, 30)[:, 1],
        picture[:41, -12:, 0].reshape(41, 6, 2)[:, :, 0],
    ]
    for cut, part in zip(cuts, shown, strict=True):
        np.testing.assert_array_equal(part, stretch(cut, 0, data.size - 1))


@pytest.mark.usefixtures("all_voxels")
@pytest.mark.parametrize(("axes", "shape"), [("yx", (9, 17)), ("tyx", (3, 9, 17)), ("zyx", (1, 9, 17))])
def test_one_plane_is_one_panel(tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
    data, path = make_corners(shape), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(data, axes, path)
    plane = data.reshape(-1, 9, 17)[data.reshape(-1, 9, 17).shape[0] // 2]
    np.testing.assert_array_equal(read_picture(path)[..., 0], stretch(plane, 0, data.size - 1))


@pytest.mark.usefixtures("all_voxels")
def test_channels_are_added_in_their_colours(tmp_path: Path) -> None:
    data, path = make_corners((2, 9, 17)), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(data, "cyx", path)
    picture = read_picture(path)  # both are green
    assert not picture[..., (0, 2)].any()
    added = stretch(data[0], 0, 255).astype(int) + stretch(data[1], 0, 255)  # as their plan states it
    np.testing.assert_array_equal(picture[..., 1], np.minimum(added, 255))


def test_labels_tint_their_voxels_alone(tmp_path: Path) -> None:
    ids, plain, labelled = make_ids("<i8"), tmp_path / "plain.ome.zarr", tmp_path / "labelled.ome.zarr"
    with shrink_layout():
        write_labelled(plain, {})
        write_labelled(labelled, {"cells": ids})
    y, x = IMAGE.shape[1:]
    changed = (read_picture(plain)[:y, :x] != read_picture(labelled)[:y, :x]).any(axis=-1)
    middle = ids[IMAGE.shape[0] // 2]
    assert not changed[middle == 0].any()
    assert changed[middle != 0].mean() > 0.95


def test_a_small_level_is_drawn_some_chunks_at_a_time(tmp_path: Path) -> None:
    """What is read of a volume does not grow with it."""
    data, path = make_corners((4, 160, 90)), tmp_path / "v.ome.zarr"
    read: list[int] = []
    get = FreshLevel.__getitem__

    def watch(level: Any, selection: tuple[slice, ...]) -> np.ndarray:
        block = get(level, selection)
        read.append(block.size)
        return block

    limits = mock.patch.multiple(preview, LEAST=40, MOST=64, CHUNKS=2)
    with shrink_layout(), limits, mock.patch.object(FreshLevel, "__getitem__", watch):
        write(data, "zyx", path)
    picture = read_picture(path)
    level = zarr.open_array(path / "2", mode="r")
    assert level.shape == (4, 40, 23)
    assert picture.shape[:2] == (40, 23), "the whole depth is one pixel"
    assert max(read[-6:]) <= 16 * 16, "three rows of chunks, two columns"


def test_the_same_bytes_and_a_changed_byte_is_found(tmp_path: Path) -> None:
    data = make_corners((5, 20, 20)).astype("<f4")
    data[2, 3, 4:7] = np.nan, np.inf, -np.inf
    with shrink_layout():
        for name in ("a.ome.zarr", "b.ome.zarr"):
            write(data, "zyx", tmp_path / name)
    path = tmp_path / "a.ome.zarr"
    png = (path / preview.NAME).read_bytes()
    assert png == (tmp_path / "b.ome.zarr" / preview.NAME).read_bytes()
    made = omezarr.read_provenance(path).receipt.derived
    changes: tuple[Callable[[], object], ...] = (
        lambda: (path / preview.NAME).write_bytes(png[:-1] + b"x"),
        (path / preview.NAME).unlink,
    )
    for change in changes:
        change()
        now = omezarr.digest_derived(path)
        assert {name for name in made if made[name] != now.get(name)} == {f"/{preview.NAME}"}


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3)])
def test_a_png_is_read_as_it_was_drawn(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, shape, "u1")
    for one in (picture, np.repeat(picture[..., :1], 3, axis=-1)):
        found = np.asarray(Image.open(io.BytesIO(preview.encode_png(one))).convert("RGB"))
        np.testing.assert_array_equal(found, one)


def test_readers_of_groups_are_not_warned(tmp_path: Path) -> None:
    """zarr-python warns of files that it finds in a group's folder, and here warnings are errors.

    Only who lists the members of ``OME`` itself hears of its document: bioformats2raw's volumes have it there, too.
    """
    data = make_corners((4, 9, 9))
    with shrink_layout():
        write(data, "zyx", tmp_path / "v.ome.zarr", raw=Raw(data))
    group = zarr.open_group(tmp_path / "v.ome.zarr", mode="r")
    members = dict(group.members())
    assert set(members) >= {"0", "OME"}
    for name in set(members) - {"OME"}:
        assert not isinstance(members[name], zarr.Group) or dict(members[name].members(max_depth=None))
