"""How a volume is read and packed: rows of pages at a time with the same bytes, and at the level that is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import sleep
from unittest import mock

import numpy as np
import pytest
from builder import Builder
from test_omezarr import SEAL, Raw, assert_pyramid, make_values, read_tree, shrink_layout, volume_plan, write

from neuropress.config import load_config
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.content import Access
from neuropress.model.finding import Problem
from neuropress.model.plan import ArraySpec, Field, IndexMap
from neuropress.readers.bands import Spool, choose_step
from neuropress.results import Request
from neuropress.results.omezarr import units

FEEDING = "neuropress.results.omezarr.feeding"
BLOCKS = [(1, 1, 35), (1, 37, 35), (1, 5, 35), (7, 9, 11), (4, 8, 8), (9, 1, 1)]


@pytest.mark.parametrize("room", [1, 1 << 24])
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_two_writes_give_the_same_bytes_however_the_file_is_read(
    tmp_path: Path, block: tuple[int, ...], room: int
) -> None:
    data = make_values((9, 37, 35), "<i2")
    sizes = {"BAND_BYTES": room, "WIDE_BYTES": room}
    with shrink_layout():
        write(data, "zyx", tmp_path / "v.ome.zarr", raw=Raw(data, rows=1))
        with mock.patch.multiple(FEEDING, **sizes), mock.patch("neuropress.readers.bands.STEP_BYTES", room):
            write(data, "zyx", tmp_path / "w.ome.zarr", raw=Raw(data, block=block))
    assert read_tree(tmp_path / "v.ome.zarr") == read_tree(tmp_path / "w.ome.zarr")


def test_pages_that_are_read_as_a_whole_are_read_once(tmp_path: Path) -> None:
    data = make_values((9, 37, 35), "<i2")
    seen, largest = np.zeros(data.shape, int), 0

    class Counting(Raw):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            nonlocal largest
            seen[selection] += 1
            largest = max(largest, seen[selection].size)
            return super().read(spec, selection)

    # Groups are whole pages: all 37 rows of 35 voxels at a time, though a unit has 16.
    with shrink_layout(slab=1 << 20), mock.patch("neuropress.readers.bands.STEP_BYTES", 1):
        write(data, "zyx", tmp_path / "v.ome.zarr", raw=Counting(data))
    assert (seen == 1).all()
    assert largest == 37 * 35
    assert_pyramid(tmp_path / "v.ome.zarr", data)


@pytest.mark.parametrize("width", [5, 8, 16, 40])
def test_pages_are_kept_as_they_are_however_wide_the_steps(tmp_path: Path, width: int) -> None:
    data = make_values((3, 7, 60), "<u2")
    slabs = [(slice(0, 3), slice(0, 7), slice(x, min(x + 16, 55))) for x in (15, 31, 47)]
    (tmp_path / "pages").touch()
    spool, widest = Spool(tmp_path / "pages", slabs), 0

    def read(box: tuple[slice, ...]) -> np.ndarray:
        nonlocal widest
        widest = max(widest, box[2].stop - box[2].start)
        return data[box]

    spool.fill(read, (2, 3, width))
    for slab in slabs:
        np.testing.assert_array_equal(spool.read((slab[0], slice(2, 5), slab[2])), data[slab][:, 2:5])
    assert widest <= width


@pytest.mark.parametrize("width", [512, 1024])
def test_steps_of_large_blocks_are_as_wide_as_what_is_kept(width: int) -> None:
    assert choose_step((256, 256, 256), 64, (64, 8192, 2048), 1, width) == (64, 256, width)
    assert choose_step((256, 256, 384), 64, (64, 8192, 2048), 1, width) == (64, 256, 2048)  # else decoded twice
    assert choose_step((1, 2048, 2048), 64, (64, 2048, 2048), 1, width) == (1, 2048, 2048)


@pytest.mark.parametrize("most", [1, 1 << 30])
def test_steps_that_are_too_large_together_are_taken_one_by_one(tmp_path: Path, most: int) -> None:
    data = make_values((9, 37, 35), "<i2")
    lock, at_work, together = Lock(), 0, 0

    class Counting(Raw):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            nonlocal at_work, together
            with lock:
                at_work += 1
                together = max(together, at_work)
            sleep(0.002)
            with lock:
                at_work -= 1
            return super().read(spec, selection)

    with (
        shrink_layout(),
        mock.patch(f"{FEEDING}.SHARED_BYTES", most),
        mock.patch("neuropress.readers.bands.STEP_BYTES", 1),
        mock.patch("neuropress.results.omezarr.units.count_cores", return_value=4),
    ):
        write(data, "zyx", tmp_path / "v.ome.zarr", raw=Counting(data, block=(1, 37, 35)))
    assert (together > 1) is (most > 1)


@pytest.mark.parametrize(
    ("shape", "dtype", "block", "least", "most"),
    [
        ((4000, 2048, 2048), "u1", (1, 1, 2048), 110, 220),  # plain slices, however many
        ((40_000, 2048, 2048), "u1", (1, 1, 2048), 110, 220),
        ((500, 2048, 2048), "<u2", (1, 1, 2048), 110, 220),
        ((500, 2048, 2048), "u1", (1, 2048, 2048), 140, 220),  # PNG
        ((500, 2048, 2048), "u1", (64, 64, 64), 110, 220),  # chunks of HDF5, of Zarr
        ((500, 32_768, 32_768), "u1", (1, 1, 32_768), 110, 300),
        ((500, 32_768, 32_768), "u1", (1, 32_768, 32_768), 2 * 1073, 4000),  # as one PNG each
        ((500, 4096, 4096), "<u2", (500, 1024, 1024), 2 * 1048, 4000),  # chunks that are as deep as the volume
    ],
)
def test_the_memory_that_a_plan_states_follows_what_is_read_at_once(
    shape: tuple[int, ...], dtype: str, block: tuple[int, ...], least: int, most: int
) -> None:
    small = volume_plan(np.zeros((1, 1, 1), dtype), "zyx")
    (node,) = small.nodes
    spec = replace(node.arrays["0"], shape=shape, index=IndexMap.whole(shape))
    plan = replace(small, nodes=(replace(node, arrays={"0": spec}),))
    memory = units.estimate(plan, {"/0": Access(block)}).memory / 1e6
    assert least <= memory <= most
    assert memory < units.estimate(plan, {"/0": Access(block, kept=10**9)}).memory / 1e6 - 999


def test_rows_are_read_as_they_are_needed_and_each_once(tmp_path: Path) -> None:
    data = make_values((40, 90, 70), "<i2")
    seen, largest = np.zeros(data.shape, int), 0

    class Counting(Raw):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            nonlocal largest
            seen[selection] += 1
            largest = max(largest, seen[selection].size)
            return super().read(spec, selection)

    with shrink_layout():
        write(data, "zyx", tmp_path / "v.ome.zarr", raw=Counting(data, rows=1))
    assert (seen == 1).all()
    assert largest <= 4 * 16 * 70  # a chunk's depth, a tile's rows, the page's width


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_another_level_of_packing_is_stated_and_changes_no_pixel(tmp_path: Path, dtype: str) -> None:
    data = np.tile(np.arange(64, dtype=dtype), (4, 70, 2))
    plan = volume_plan(data, "zyx")
    (node,) = plan.nodes
    fields = {**node.fields, "neuropress/zstd_level": Field(9, "test")}
    asked = Request(replace(plan, nodes=(replace(node, fields=fields),)), tmp_path / "v.ome.zarr", SEAL)
    write_result(asked, Raw(data), LocalExecutor(), lambda n: None)
    assert_pyramid(tmp_path / "v.ome.zarr", data)
    level = json.loads((tmp_path / "v.ome.zarr/0/zarr.json").read_text())
    blosc = level["codecs"][0]["configuration"]["codecs"][1]["configuration"]
    assert (blosc["cname"], blosc["clevel"]) == ("zstd", 9)
    root = json.loads((tmp_path / "v.ome.zarr/zarr.json").read_text())
    assert root["attributes"]["neuropress"]["zstd_level"] == 9


@pytest.mark.parametrize("level", ["0", "10", "true", '"3"', "1.5"])
def test_a_level_that_zstd_lacks_is_refused(tmp_path: Path, level: str) -> None:
    settings = Builder(tmp_path / "ds").root / "neuropress.toml"
    settings.write_text(settings.read_text() + f"\n[output]\nzstd_level = {level}\n")
    with pytest.raises(Problem, match="zstd_level") as caught:
        load_config(settings.parent)
    assert caught.value.finding.id == "dataset.config"


def test_the_level_of_a_dataset_is_that_of_its_profile(tmp_path: Path) -> None:
    settings = Builder(tmp_path / "ds").root / "neuropress.toml"
    assert load_config(settings.parent).profile.packing.zstd_level == 1
    settings.write_text(settings.read_text() + "\n[output]\nzstd_level = 3\n")
    assert load_config(settings.parent).profile.packing.zstd_level == 3
