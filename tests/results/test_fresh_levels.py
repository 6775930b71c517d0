"""What a run reads of its own shards: the voxels, no zarr-python, and a finding where they were damaged."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from test_omezarr import make_values, shrink_layout, volume_plan, write

from neuropress.model.finding import Problem
from neuropress.results.omezarr import stored
from neuropress.results.omezarr.fresh import FreshLevel
from neuropress.results.omezarr.units import Volume
from neuropress.storage.files import confine_path
from neuropress.storage.roots import Folder


@pytest.mark.parametrize("dtype", ["|u1", "<i2", "<f8"])
def test_every_level_is_read_as_it_was_written(tmp_path: Path, dtype: str) -> None:
    import zarr

    data, path = make_values((9, 33, 40), dtype), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(data, "zyx", path)
        levels = Volume.of_plan(volume_plan(data, "zyx")).layout.levels
    assert len(levels) > 2
    for level in levels:
        with closing(FreshLevel(path, level, data.dtype)) as fresh:
            expected = np.asarray(zarr.open_array(path / level.name, mode="r"))
            assert np.array_equal(fresh[tuple(slice(0, n) for n in level.shape)], expected)
            assert np.array_equal(fresh[1:2, 3:5, 2:3], expected[1:2, 3:5, 2:3])


def test_a_damaged_or_missing_shard_is_a_finding(tmp_path: Path) -> None:
    data, path = make_values((9, 33, 40), "<u2"), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(data, "zyx", path)
        level = Volume.of_plan(volume_plan(data, "zyx")).layout.levels[1]
    shard = path / level.name_shard((0, 0, 0))
    whole = shard.read_bytes()
    box = tuple(slice(0, 1) for _ in level.shape)
    for damaged in (bytes([whole[20] ^ 1]).join((whole[:20], whole[21:])), whole[: len(whole) // 2], whole[:3], None):
        shard.unlink()
        if damaged is not None:
            shard.write_bytes(damaged)
        with closing(FreshLevel(path, level, data.dtype)) as fresh, pytest.raises(Problem) as caught:
            fresh[box]
        assert caught.value.finding.id == "result.unreadable"
        assert "/1" in str(caught.value.finding.location.array)
        shard.write_bytes(whole)


def test_a_run_reads_nothing_by_zarr_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import takes a fifth of a second, which many small volumes would pay each."""

    def refuse(*_: object) -> None:
        raise AssertionError("zarr-python was asked")

    monkeypatch.setattr(stored.StoredLevel, "__init__", refuse)
    with shrink_layout():
        passes = Volume.of_plan(volume_plan(np.zeros((9, 33, 40), "u1"), "zyx")).layout.passes
        write(np.zeros((9, 33, 40), "u1"), "zyx", tmp_path / "v.ome.zarr")
    assert len(passes) > 1


def test_paths_lead_where_the_long_way_says(tmp_path: Path) -> None:
    """Through links, to folders, and to what is not there."""
    (root := tmp_path / "root").mkdir()
    (root / "in").mkdir()
    (root / "in/file (deleted)").write_bytes(b"1")
    (root / "link").symlink_to("in")
    (root / "out").symlink_to("..")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    for key in ("in/file (deleted)", "link/file (deleted)", "link", "link/", "missing/file", "pipe"):
        assert confine_path(root, key) == (root / key).resolve()
    outcomes = {"out": "path.outside", "out/elsewhere": "path.outside", "circle": "path.unsafe"}
    for key, finding in outcomes.items():
        with pytest.raises(Problem) as caught:
            confine_path(root, key)
        assert caught.value.finding.id == finding


def test_files_are_listed_at_any_depth_and_links_to_folders_left_out(tmp_path: Path) -> None:
    for name in ("v/b/2.tif", "v/.hidden", "v/b/c/1.tif", "w/3.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "v/linked").symlink_to("../w")
    (tmp_path / "v/file").symlink_to("../w/3.tif")
    (tmp_path / "v/gone").symlink_to("nowhere")
    assert Folder(tmp_path).files("v/") == ("v/.hidden", "v/b/2.tif", "v/b/c/1.tif", "v/file")
