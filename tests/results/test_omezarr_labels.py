"""Labels of volumes: exact ids, levels of the most frequent one, the same machinery as their image."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v05 import Image, Labels
from test_omezarr import SEAL, make_values, read_by_tensorstore, read_tree, shrink_layout, volume_plan

from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.content import Access
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node, Plan
from neuropress.results import Request
from neuropress.results.omezarr import volume as omezarr
from neuropress.results.omezarr.layout import add_labels, arrange_layout
from neuropress.results.omezarr.pyramid import halve_block

DTYPES = ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8")
TRANSFORM = "multiscales/0/datasets/0/coordinateTransformations/0"
IMAGE = make_values((9, 21, 17), "u1")


class Raw:
    """Gives blocks of the image and of its masks by their keys; may break down."""

    def __init__(self, masks: dict[str, np.ndarray], fail_at: int = -1) -> None:
        self.data = {"lichtman/stack.tif": IMAGE, **masks}
        self.reads, self.fail_at = 0, fail_at

    def get_access(self, spec: ArraySpec) -> Access:
        rows = spec.shape[-2] if spec.source == "lichtman/stack.tif" else 1
        return Access((*(1,) * (len(spec.shape) - 2), rows, spec.shape[-1]))

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        self.reads += 1
        if self.reads - 1 == self.fail_at:
            raise OSError("the machine failed")
        return self.data[spec.source][selection].copy()


def make_ids(dtype: str, shape: tuple[int, ...] = IMAGE.shape) -> np.ndarray:
    """A few ids, the largest and smallest of the type among them, in patches."""
    limits = np.iinfo(dtype)
    ids = np.array([0, 0, 1, 5, limits.max, limits.max - 1, limits.min], dtype)
    rng = np.random.default_rng(3)
    patches = ids[rng.integers(0, len(ids), [-(-n // 3) for n in shape])]
    for axis in range(len(shape)):
        patches = patches.repeat(3, axis)
    return patches[tuple(slice(0, n) for n in shape)]


def make_plan(masks: dict[str, np.ndarray], scale: list[float] | None = None, **more: Any) -> Plan:
    plan = volume_plan(IMAGE, "zyx", scale, **more)
    nodes = [plan.nodes[0]]
    for name, data in masks.items():
        fields = {"multiscales/0/name": Field(name, "t"), "multiscales/0/datasets/0/path": Field("0", "t")}
        for i, axis in enumerate("zyx"):
            place = f"multiscales/0/axes/{i}"
            fields |= {f"{place}/name": Field(axis, "t"), f"{place}/type": Field("space", "t")}
            fields[f"{place}/unit"] = Field("nanometer", "t")
            fields[f"{TRANSFORM}/scale/{i}"] = Field((scale or [1.0] * 3)[i], "t")
        fields = {f"{TRANSFORM}/type": Field("scale", "t"), **fields}
        fields["image-label/version"] = Field("0.5", "t")
        fields["image-label/properties"] = Field([{"label-value": 5, "name": "soma"}], "t")
        spec = ArraySpec(name, "", "pixels", "tiff", data.shape, data.dtype.str, IndexMap.whole(data.shape))
        nodes.append(Node(f"/labels/{name}", "Label", fields, {}, {"0": spec}))
    return replace(plan, nodes=tuple(nodes))


def write(path: Path, masks: dict[str, np.ndarray], raw: Raw | None = None, **more: Any) -> int:
    reported: list[int] = []
    request = Request(make_plan(masks, **more), path, SEAL)
    write_result(request, raw or Raw(masks), LocalExecutor(), reported.append)
    return sum(reported)


def find_modes(block: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The written definition, slowly."""
    steps = [1 if n == m else 2 for n, m in zip(block.shape, shape, strict=True)]
    found = np.empty(shape, block.dtype)
    for place in np.ndindex(shape):
        cell = tuple(slice(at * step, at * step + step) for at, step in zip(place, steps, strict=True))
        counts = Counter(block[cell].ravel().tolist())
        best = [value for value, count in counts.items() if count == max(counts.values())]
        found[place] = min([value for value in best if value != 0], default=0)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.integers(0, 2**32),
)
def test_modes_are_the_definition(dtype: str, shape: tuple[int, ...], axes: tuple[bool, bool, bool], seed: int) -> None:
    limits = np.iinfo(dtype)
    ids = np.array([0, 1, 2, limits.max, limits.min], dtype)
    block = ids[np.random.default_rng(seed).integers(0, len(ids), shape)]
    before = block.copy()
    smaller = tuple(-(-n // 2) if on else n for n, on in zip(shape, axes, strict=True))
    np.testing.assert_array_equal(halve_block(block, axes, "mode"), find_modes(block, smaller))
    np.testing.assert_array_equal(block, before)  # it is compressed afterwards


def test_ties_go_to_the_smallest_id_that_is_not_background() -> None:
    pairs = np.array([[[7, 3, 0, 9, -4, 0, 2, 2]]], "i2")
    assert halve_block(pairs, (False, False, True), "mode").tolist() == [[[3, 9, -4, 2]]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_level_is_exact_and_has_no_id_that_is_not_in_the_mask(tmp_path: Path, dtype: str) -> None:
    ids, path = make_ids(dtype), tmp_path / "v.ome.zarr"
    with shrink_layout():
        assert write(path, {"cells": ids}) == IMAGE.nbytes + ids.nbytes
    root = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    label = json.loads((path / "labels/cells/zarr.json").read_text())["attributes"]["ome"]
    levels = [dataset["path"] for dataset in label["multiscales"][0]["datasets"]]
    assert levels == [dataset["path"] for dataset in root["multiscales"][0]["datasets"]]
    assert len(levels) > 2
    expected = ids
    for level in levels:
        folder = path / "labels/cells" / level
        found = zarr.open_array(folder, mode="r")
        expected = find_modes(expected, found.shape) if level != "0" else expected
        assert found.dtype == ids.dtype
        np.testing.assert_array_equal(found[...], expected, f"level {level}")
        np.testing.assert_array_equal(read_by_tensorstore(folder), expected, f"level {level}")
        assert set(np.unique(expected)) <= set(np.unique(ids))
    made = omezarr.read_provenance(path)
    assert made.receipt.derived == omezarr.digest_derived(path)
    assert set(made.receipt.arrays) == {"/0", "/labels/cells/0"}
    assert not list(omezarr.check_files(path))
    assert not [one for one in omezarr.validate(path) if one.severity != "info"]
    assert Image.from_zarr(zarr.open_group(path, mode="r")).ome_attributes.multiscales
    assert Labels.from_zarr(zarr.open_group(path / "labels", mode="r")).ome_attributes.labels == ["cells"]


def test_labels_have_as_many_levels_as_their_image_whatever_their_type_and_extent() -> None:
    image = arrange_layout((200, 2048, 2048), 1, 3)
    for shape, itemsize in (((200, 2048, 2048), 8), ((20, 205, 205), 4), ((200, 2048, 2048), 1)):
        both = add_labels(image, {"labels/a": arrange_layout(shape, itemsize, 3, (), image)})
        of_image, of_labels = both.list_pyramids()
        assert len(of_image) == len(of_labels)
        assert {both.levels[n].chunk for n in of_labels} == {both.levels[0].chunk}
        assert [both.levels[n].shrink for n in of_image] == [both.levels[n].shrink for n in of_labels]
        assert {both.levels[n].reduction for n in of_labels} == {"mode"}


@pytest.mark.parametrize("fail_at", [3, 9])
def test_an_interrupted_run_continues_to_the_same_bytes(tmp_path: Path, fail_at: int) -> None:
    masks = {"cells": make_ids("<u8"), "layers": make_ids("u1")}
    with shrink_layout():
        write(tmp_path / "whole.ome.zarr", masks)
        path = tmp_path / "whole" / "v.ome.zarr"
        path.parent.mkdir()
        first = Raw(masks, fail_at)
        with pytest.raises(OSError, match="machine failed"):
            write(path, masks, first)
        assert not path.exists()
        second = Raw(masks)
        write(path, masks, second)
        reads = Raw(masks)
        write(tmp_path / "again.ome.zarr", masks, reads)
    assert second.reads < reads.reads
    assert read_tree(path) == read_tree(tmp_path / "again.ome.zarr") == read_tree(tmp_path / "whole.ome.zarr")


def test_changed_metadata_rewrite_no_shard(tmp_path: Path) -> None:
    masks, path = {"cells": make_ids("<u4")}, tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(path, masks)
        metadata = ("zarr.json", "METADATA.ome.xml")
        before = {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file() and p.name not in metadata}
        request = Request(make_plan(masks, [2.0, 3.0, 3.0]), path, SEAL, path)
        write_result(request, Raw(masks, fail_at=0), LocalExecutor(), lambda nbytes: None)
        write(tmp_path / "w.ome.zarr", masks, scale=[2.0, 3.0, 3.0])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert read_tree(path)["labels/cells/zarr.json"] == read_tree(tmp_path / "w.ome.zarr")["labels/cells/zarr.json"]
    assert omezarr.read_provenance(path).receipt.derived == omezarr.digest_derived(path)


def test_what_was_changed_in_labels_is_found(tmp_path: Path) -> None:
    masks, path = {"cells": make_ids("<u4")}, tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(path, masks)
    derived = omezarr.read_provenance(path).receipt.derived
    place = path / "labels/cells/zarr.json"
    place.write_text(place.read_text().replace("soma", "glia"))
    now = omezarr.digest_derived(path)
    assert {name for name in derived if derived[name] != now[name]} == {"/labels/cells/zarr.json ome"}
    (path / "labels/more").mkdir()
    (path / "labels/more/zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    assert [one.location.value for one in omezarr.check_files(path)] == ["labels/more/zarr.json"]
    next(place for place in (path / "labels/cells/0/c").rglob("*") if place.is_file()).unlink()
    assert "verify.missing_file" in [one.id for one in omezarr.check_files(path)]
