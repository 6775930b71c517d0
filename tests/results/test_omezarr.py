"""OME-Zarr volumes: exact at every level, readable by others, resumable, the same bytes each time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorstore
import zarr
from campaigns import campaign
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v05 import Image

from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.content import Access
from neuropress.model.finding import Problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node, Plan, SourceRow, Target
from neuropress.model.receipt import InputDigest, block_digest, blocks, root_digest
from neuropress.results import Request, Seal
from neuropress.results.omezarr import ome_xml
from neuropress.results.omezarr import volume as omezarr
from neuropress.results.omezarr.layout import arrange_layout, list_tiles, make_whole_box
from neuropress.results.omezarr.pyramid import halve_block

LAYOUT = "neuropress.results.omezarr.layout"
SEAL = Seal("1.0", "rows", {"lichtman/stack.tif": InputDigest(3, "ab")})
DTYPES = ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4")


class Raw:
    """Stands for `RawArrays`: gives blocks of an array, and may break down."""

    def __init__(
        self, data: np.ndarray, fail_at: int = -1, error: Exception | None = None, rows: int = 0, block: Any = None
    ) -> None:
        self.data, self.reads, self.fail_at, self.error, self.rows, self.block = data, 0, fail_at, error, rows, block

    def get_access(self, spec: ArraySpec) -> Access:
        page = (*(1,) * (len(spec.shape) - 2), self.rows or spec.shape[-2], spec.shape[-1])
        return Access(self.block or page, is_shared=bool(self.block))

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        self.reads += 1
        if self.reads - 1 == self.fail_at and self.error:
            raise self.error
        return self.data[selection].copy()


def volume_plan(
    data: np.ndarray, axes: str, scale: list[float] | None = None, stated: list[float] | None = None
) -> Plan:
    name = "JL_SD_0001"
    place = "multiscales/0/datasets/0/coordinateTransformations/0"
    fields = {"multiscales/0/name": Field(name, "volume/image.name")}
    for i, axis in enumerate(axes):
        fields[f"multiscales/0/axes/{i}/name"] = Field(axis, "test")
        fields[f"multiscales/0/axes/{i}/type"] = Field({"t": "time", "c": "channel"}.get(axis, "space"), "test")
        if axis in "zyx":
            fields[f"multiscales/0/axes/{i}/unit"] = Field("nanometer", "test")
    fields["multiscales/0/datasets/0/path"] = Field("0", "test")
    fields[f"{place}/type"] = Field("scale", "test")
    for i in range(len(axes)):
        fields[f"{place}/scale/{i}"] = Field((scale or [1.0] * len(axes))[i], "test")
    for i in range(data.shape[axes.index("c")] if "c" in axes else 0):
        channel = {"label": f"channel {i}", "color": "00FF00", "active": True}
        fields |= {f"omero/channels/{i}/{k}": Field(v, "test") for k, v in channel.items()}
        for key, value in (("min", 0), ("max", 255), ("start", 0), ("end", 255)):
            fields[f"omero/channels/{i}/window/{key}"] = Field(value, "test")
    if stated:
        fields["neuropress/stated_spacing"] = Field(stated, "test")
    spec = ArraySpec("lichtman/stack.tif", "", "pixels", "tiff", data.shape, data.dtype.str, IndexMap.whole(data.shape))
    node = Node("/", "Multiscale", fields, {}, {"0": spec})
    rows = (SourceRow("sem_dataset", name, {"notes": "caf\u00e9 \u0000"}),)
    return Plan(Target("ome-zarr", name, f"{name}.ome.zarr"), (node,), (), rows, {"k": {"nan": float("nan")}}, {"m": 1})


def write(
    data: np.ndarray, axes: str, path: Path, *, raw: Any = None, previous: Path | None = None, **more: Any
) -> list[int]:
    reported: list[int] = []
    request = Request(volume_plan(data, axes, **more), path, SEAL, previous)
    write_result(request, raw or Raw(data), LocalExecutor(), reported.append)
    return reported


def make_values(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def next_level(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The written definition, slowly: sum of what a voxel covers, over how many they are, half to even."""
    total, count = data.astype("f8" if data.dtype.kind == "f" else "i8"), np.ones(data.shape, "i8")
    for axis in reversed(range(data.ndim)):
        if shape[axis] != data.shape[axis]:
            starts = np.arange(0, data.shape[axis], 2)
            total, count = np.add.reduceat(total, starts, axis), np.add.reduceat(count, starts, axis)
    mean = total / count  # exact: at most 35 bits over a power of two
    return (mean if data.dtype.kind == "f" else np.rint(mean)).astype(data.dtype)


def read_by_tensorstore(folder: Path) -> np.ndarray:
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder)}}
    return np.asarray(tensorstore.open(spec, read=True).result().read().result())


def assert_pyramid(path: Path, data: np.ndarray) -> int:
    """Level 0 is the source, the others the definition; zarr-python and tensorstore agree. Number of levels."""
    datasets = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]["datasets"]
    expected = data
    for number, dataset in enumerate(datasets):
        folder = path / dataset["path"]
        found = zarr.open_array(folder, mode="r")
        if number:
            expected = next_level(expected, found.shape)
        assert found.dtype == data.dtype
        np.testing.assert_array_equal(found[...], expected, f"level {number}")
        np.testing.assert_array_equal(read_by_tensorstore(folder), expected, f"level {number}")
    return len(datasets)


def read_tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextmanager
def shrink_layout(slab: int = 4096, shard: int = 2) -> Iterator[None]:
    """Tiny chunks, shards and slabs: a small array has many blocks and passes. No waiting for the disk."""
    sizes = {"CHUNKS": ((2, 8), (4, 8)), "PAGE_CHUNK": 8, "SLAB_BYTES": slab, "SHARD_CHUNKS": shard, "TILE_VOXELS": 256}
    with mock.patch.multiple(LAYOUT, **sizes), mock.patch("os.fsync"):
        yield


EXTENT = st.sampled_from([1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 37, 64, 65])
OUTER = st.integers(1, 3)
VOLUMES = st.one_of(
    st.tuples(st.just("yx"), st.tuples(EXTENT, EXTENT)),
    st.tuples(st.just("zyx"), st.tuples(EXTENT, EXTENT, EXTENT)),
    st.tuples(st.sampled_from(["cyx", "tyx"]), st.tuples(EXTENT, EXTENT, EXTENT)),
    st.tuples(st.sampled_from(["czyx", "tzyx"]), st.tuples(OUTER, EXTENT, EXTENT, EXTENT)),
    st.tuples(st.just("tczyx"), st.tuples(OUTER, OUTER, st.sampled_from([1, 5, 9]), EXTENT, EXTENT)),
)


@settings(max_examples=campaign(10, 200), deadline=None)
@given(
    VOLUMES,
    st.sampled_from(DTYPES),
    st.sampled_from([256, 1024, 4096]),
    st.sampled_from([1.0, 2.5, 10.0]),
    st.sampled_from([0, 1]),
)
def test_every_shape_and_dtype_is_exact_at_every_level(
    tmp_path_factory: pytest.TempPathFactory,
    volume: tuple[str, tuple[int, ...]],
    dtype: str,
    slab: int,
    step: float,
    rows: int,
) -> None:
    path = tmp_path_factory.mktemp("sweep") / "v.ome.zarr"
    axes, shape = volume
    data = make_values(shape, dtype)
    stated = [step, 1.0, 1.0][-3 if "z" in axes else -2 :]
    with shrink_layout(slab):
        reported = write(data, axes, path, stated=stated, raw=Raw(data, rows=rows))
    assert sum(reported) == data.nbytes
    levels = assert_pyramid(path, data)
    made = omezarr.read_provenance(path)
    assert made.receipt.derived == omezarr.digest_derived(path)
    assert set(made.receipt.derived) == {f"/{i}" for i in range(1, levels)} | {
        omezarr.name_metadata(""),
        "/0/preview.png",
        *([f"/{ome_xml.NAME}"] if ome_xml.has_type(data.dtype) else []),
    }
    with omezarr.open_arrays(path) as stored:
        known = made.receipt.arrays["/0"]
        digests = [block_digest(stored["/0"][box], known.hash) for box in blocks(shape, known.block)]
    assert root_digest(digests) == known.sha256
    assert not list(path.rglob("*.tmp"))
    assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"]


@pytest.mark.parametrize("shape", [(1, 512, 512), (65, 64, 64), (64, 513, 520), (129, 70, 300)])
def test_real_chunks_and_shards(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = make_values(shape, "u1")
    write(data, "zyx", tmp_path / "v.ome.zarr")
    assert_pyramid(tmp_path / "v.ome.zarr", data)


def test_ome_zarr_models_accepts(tmp_path: Path) -> None:
    data = make_values((2, 3, 20, 130, 140), "<u2")
    write(data, "tczyx", tmp_path / "v.ome.zarr", scale=[0.5, 1.0, 40.0, 4.0, 4.0])
    image = Image.from_zarr(zarr.open_group(tmp_path / "v.ome.zarr", mode="r"))
    assert image.ome_attributes.version == "0.5"
    assert [a.name for a in image.ome_attributes.multiscales[0].axes] == list("tczyx")
    assert image.ome_attributes.omero is not None
    assert len(image.ome_attributes.omero["channels"]) == 3


def test_scale_and_half_voxel_translation(tmp_path: Path) -> None:
    write(
        make_values((10, 200, 300), "u1"), "zyx", tmp_path / "v.ome.zarr", scale=[30.0, 0.1, 0.1], stated=[30, 0.1, 0.1]
    )
    attributes = json.loads((tmp_path / "v.ome.zarr/zarr.json").read_text())["attributes"]
    image = attributes["ome"]["multiscales"][0]
    found = [[list(t.values())[1] for t in d["coordinateTransformations"]] for d in image["datasets"]]
    assert found == [
        [[30.0, 0.1, 0.1], [0.0, 0.0, 0.0]],
        [[30.0, 0.2, 0.2], [0.0, 0.05, 0.05]],
        [[30.0, 0.4, 0.4], [0.0, 0.15, 0.15]],
    ]
    assert image["name"] == "JL_SD_0001"
    assert image["type"] == "mean"
    assert attributes["neuropress"]["headers"] == {"k": {"nan": "nan"}}
    assert attributes["neuropress"]["records"][0]["cells"] == {"notes": "caf\u00e9 \u0000"}
    level = json.loads((tmp_path / "v.ome.zarr/0/zarr.json").read_text())
    assert level["dimension_names"] == ["z", "y", "x"]
    assert "consolidated_metadata" not in json.loads((tmp_path / "v.ome.zarr/zarr.json").read_text())


def test_only_the_files_own_spacing_decides_what_is_halved(tmp_path: Path) -> None:
    data = make_values((100, 100, 100), "u1")
    for stated, shape in (([40.0, 4.0, 4.0], (100, 50, 50)), ([7.9, 4.0, 4.0], (50, 50, 50)), (None, (50, 50, 50))):
        shutil.rmtree(tmp_path / "v.ome.zarr", ignore_errors=True)
        write(data, "zyx", tmp_path / "v.ome.zarr", scale=[1.0, 40.0, 40.0], stated=stated)
        assert zarr.open_array(tmp_path / "v.ome.zarr/1", mode="r").shape == shape


@pytest.mark.parametrize("fail_at", [0, 1, 7, 20])
def test_an_interrupted_write_continues(tmp_path: Path, fail_at: int) -> None:
    data = make_values((60, 90, 70), "<u2")
    path = tmp_path / "v.ome.zarr"
    with shrink_layout():
        (tmp_path / "whole").mkdir()
        complete = Raw(data)
        write(data, "zyx", tmp_path / "whole/v.ome.zarr", raw=complete)
        broken = Raw(data, fail_at, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space left"):
            write(data, "zyx", path, raw=broken)
        assert not path.exists()
        done = 0
        for journal in (tmp_path / "v.ome.zarr.partial").rglob("*.jsonl"):
            done += journal.read_text().count('"unit"')
            with journal.open("ab") as file:
                file.write(b'{"unit":"0/1')  # torn by a crash
            journal.rename(journal.with_name("another process.jsonl"))
        again = Raw(data)
        reported = write(data, "zyx", path, raw=again)
    assert read_tree(path) == read_tree(tmp_path / "whole" / "v.ome.zarr")
    assert sum(reported) == data.nbytes
    assert again.reads == complete.reads - fail_at // 2 * 2  # a group of units is two slabs here
    assert done >= fail_at // 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.ome.zarr", "whole"]


def test_another_plan_does_not_continue_an_interrupted_write(tmp_path: Path) -> None:
    data, path = make_values((60, 90, 70), "<u2"), tmp_path / "v.ome.zarr"
    with shrink_layout():
        with pytest.raises(OSError, match="gone"):
            write(data, "zyx", path, raw=Raw(data, 20, OSError("gone")))
        other = make_values((50, 80, 70), "u1")
        write(other, "zyx", path)
    assert_pyramid(path, other)


def test_killed_between_the_last_block_and_the_rename(tmp_path: Path) -> None:
    data, path = make_values((30, 40, 50), "u1"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    before = read_tree(path)
    path.rename(tmp_path / "v.ome.zarr.partial")
    unread = Raw(data)
    write(data, "zyx", path, raw=unread)
    assert unread.reads == 0
    assert read_tree(path) == before


def test_an_older_result_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "v.ome.zarr"
    write(make_values((30, 40, 50), "u1"), "zyx", path)
    newer = make_values((30, 40, 51), "u1")
    write(newer, "zyx", path, previous=path)
    assert_pyramid(path, newer)
    assert [p.name for p in tmp_path.iterdir()] == ["v.ome.zarr"]


@pytest.mark.parametrize("new_arrived", [True, False])
def test_an_interrupted_replacement_is_mended(tmp_path: Path, new_arrived: bool) -> None:
    data, path = make_values((30, 40, 50), "u1"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    if new_arrived:
        shutil.copytree(path, tmp_path / "v.ome.zarr.old")
    else:
        path.rename(tmp_path / "v.ome.zarr.old")
    unread = Raw(data)
    write(data, "zyx", path, raw=unread, previous=path if new_arrived else None)
    assert unread.reads == 0
    assert [p.name for p in tmp_path.iterdir()] == ["v.ome.zarr"]


def test_changed_metadata_leaves_the_arrays_alone(tmp_path: Path) -> None:
    data, path = make_values((30, 140, 150), "<u2"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path, scale=[4.0, 4.0, 4.0])
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file()}
    unread = Raw(data)
    reported = write(data, "zyx", path, raw=unread, previous=path, scale=[9.0, 5.0, 5.0])
    after = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in path.rglob("*") if p.is_file()}
    for name in ("zarr.json", "OME/zarr.json", ome_xml.NAME):
        assert before.pop(path / name) != after.pop(path / name)
    assert before == after
    assert unread.reads == 0
    assert sum(reported) == data.nbytes
    (tmp_path / "new").mkdir()
    write(data, "zyx", tmp_path / "new/v.ome.zarr", scale=[9.0, 5.0, 5.0])
    assert read_tree(path) == read_tree(tmp_path / "new/v.ome.zarr")


def test_another_input_is_written_again(tmp_path: Path) -> None:
    data, path = make_values((30, 40, 50), "u1"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    seal = Seal("1.0", "rows", {"lichtman/stack.tif": InputDigest(3, "cd")})
    raw = Raw(data)
    write_result(Request(volume_plan(data, "zyx"), path, seal, path), raw, LocalExecutor(), lambda n: None)
    assert raw.reads == 1


def flip_bit(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("at", [50, -3], ids=["chunk", "index"])
@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_a_damaged_shard_is_told(tmp_path: Path, at: int, dtype: str) -> None:
    data, path = make_values((30, 140, 50), dtype), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    for level in "01":
        flip_bit(path / level / "c/0/0/0", at)
    with omezarr.open_arrays(path) as stored, pytest.raises(Problem) as caught:
        stored["/0"][make_whole_box(data.shape)]
    assert caught.value.finding.id == "result.unreadable"
    assert caught.value.finding.message.startswith("v.ome.zarr: array 0 cannot be read at [0, 0, 0]: ")
    with pytest.raises(Problem) as caught:
        omezarr.digest_derived(path)
    assert caught.value.finding.location.array == "/1"


def remove_metadata(path: Path) -> None:
    (path / "zarr.json").unlink()


def truncate_metadata(path: Path) -> None:
    (path / "zarr.json").write_text((path / "zarr.json").read_text()[:-30])


def make_foreign(path: Path) -> None:
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')


def make_newer(path: Path) -> None:
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"format": 4', '"format": 5'))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_metadata, "v.ome.zarr has no readable zarr.json"),
        (truncate_metadata, "v.ome.zarr has no readable zarr.json"),
        (make_foreign, "v.ome.zarr was not written by neuropress"),
        (make_newer, "provenance format 5"),
    ],
)
def test_a_result_without_provenance_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    data, path = make_values((4, 5, 6), "u1"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    damage(path)
    with pytest.raises(Problem, match=message) as caught:
        omezarr.read_provenance(path)
    assert caught.value.finding.id == ("result.foreign" if damage is make_foreign else "result.unreadable")
    write(data, "zyx", path, previous=path)  # and it is simply written again
    assert_pyramid(path, data)


def test_a_changed_value_shows_in_the_digest(tmp_path: Path) -> None:
    data, path = make_values((30, 140, 50), "u1"), tmp_path / "v.ome.zarr"
    write(data, "zyx", path)
    made = omezarr.read_provenance(path).receipt
    for level in "01":
        array = zarr.open_array(path / level, mode="r+")
        array[3, 3, 3] = int(np.asarray(array[3, 3, 3])) ^ 1
    with omezarr.open_arrays(path) as stored:
        known = made.arrays["/0"]
        digests = [block_digest(stored["/0"][box], known.hash) for box in blocks(data.shape, known.block)]
    assert root_digest(digests) != known.sha256
    assert omezarr.digest_derived(path)["/1"] != made.derived["/1"]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.booleans()] * 3), st.sampled_from(DTYPES), st.integers(0, 99)
)
def test_halving_is_the_definition(
    shape: tuple[int, ...], axes: tuple[bool, bool, bool], dtype: str, seed: int
) -> None:
    data = make_values(shape, dtype, seed)
    smaller = tuple(-(-n // 2) if on else n for n, on in zip(shape, axes, strict=True))
    np.testing.assert_array_equal(halve_block(data, axes), next_level(data, smaller))


def test_half_goes_to_even() -> None:
    pairs = np.array([[[0, 1, 1, 2, 2, 3, 3, 4, -1, 0, -2, -1, -3, -2]]], "i1")
    assert halve_block(pairs, (False, False, True)).tolist() == [[[0, 2, 2, 4, 0, -2, -2]]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 100_000), min_size=2, max_size=5),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([2, 3]),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
def test_blocks_own_whole_shards(shape: list[int], itemsize: int, space: int, spacing: list[float]) -> None:
    """At every level, for any shape: shards hold whole chunks, and no shard belongs to two blocks."""
    space = min(space, len(shape))
    shape = [*(min(n, 5) for n in shape[:-space]), *shape[-space:]]
    found = arrange_layout(tuple(shape), itemsize, space, spacing[:space])
    for index, stage in enumerate(found.passes):
        assert stage.first == (found.passes[index - 1].last if index else 0)
        assert index == 0 or stage.last > stage.first
        for level in found.levels[stage.first + bool(index) : stage.last + 1]:
            assert all(s % c == 0 for s, c in zip(level.shard, level.chunk, strict=True))
            start = found.levels[stage.first]
            for n, s, block, f, g, whole_axis in zip(
                level.shape, level.shard, stage.unit, level.shrink, start.shrink, start.shape, strict=True
            ):
                assert block >= whole_axis or (block * g // f) % s == 0 or s >= n
    if space == 3 and shape[-3] > 1:
        assert max(found.passes[0].unit) <= 512
    for stage in found.passes:
        for n, u, g in zip(found.levels[stage.first].shape, stage.unit, stage.group, strict=True):
            assert g == n or g % u == 0
    last = found.levels[-1]
    assert all(n <= c for n, c in list(zip(last.shape, last.chunk, strict=True))[-space:])
    page = found.passes[0].group
    depth = found.levels[0].chunk[-3] if space == 3 else 1
    assert depth * page[-2] * page[-1] * itemsize <= 256 << 20


def test_tiles_cover_a_box_once() -> None:
    covered = np.zeros((5, 7), int)
    for tile in list_tiles(make_whole_box((5, 7)), (2, 3)):
        covered[tile] += 1
    assert (covered == 1).all()
