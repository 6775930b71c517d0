"""How a volume is read and packed: rows of pages at a time with the same bytes, and at the level that is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builder import Builder
from test_omezarr import SEAL, Raw, assert_pyramid, make_values, read_tree, shrink_layout, volume_plan, write

from neuropress.config import load_config
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.finding import Problem
from neuropress.model.plan import ArraySpec, Field
from neuropress.results import Request


def test_two_writes_give_the_same_bytes_however_the_file_is_read(tmp_path: Path) -> None:
    data = make_values((40, 90, 70), "<i2")
    for name, rows in (("pages", 0), ("rows", 1)):
        (tmp_path / name).mkdir()
        with shrink_layout():
            write(data, "zyx", tmp_path / name / "v.ome.zarr", raw=Raw(data, rows=rows))
    assert read_tree(tmp_path / "pages") == read_tree(tmp_path / "rows")


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
