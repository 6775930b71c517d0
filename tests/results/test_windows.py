"""Black and white of channels: measured in the stored pyramid, the same for everyone, and shown by viewer and preview."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from test_omezarr import Raw, make_values, read_tree, shrink_layout, volume_plan

from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.plan import Field, Plan
from neuropress.model.receipt import InputDigest
from neuropress.results import Request, Seal
from neuropress.results.omezarr import preview, windows
from neuropress.results.omezarr import volume as omezarr
from neuropress.viewing.neuroglancer import make_state

SEAL = Seal("1.0", "rows", {"lichtman/stack.tif": InputDigest(3, "ab")})


def make_plan(data: np.ndarray, axes: str, **more: Any) -> Plan:
    """A plan with channels whose window nobody states."""
    plan = volume_plan(data, axes, **more)
    root = plan.nodes[0]
    fields = {path: field for path, field in root.fields.items() if "/window/" not in path}
    fields.setdefault("omero/channels/0/color", Field("FFFFFF", "test"))
    return replace(plan, nodes=(replace(root, fields=fields),))


def write(plan: Plan, data: np.ndarray, path: Path, raw: Raw | None = None) -> None:
    write_result(
        Request(plan, path, SEAL, path if path.exists() else None), raw or Raw(data), LocalExecutor(), lambda n: None
    )


def read_ome(path: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    return found


def read_windows(path: Path) -> list[dict[str, float]]:
    return [channel["window"] for channel in read_ome(path)["omero"]["channels"]]


@pytest.mark.parametrize(
    ("values", "window"),
    [
        (np.arange(10_001, dtype="u2"), (0, 65535, 10, 9990)),
        (np.arange(-500, 500, dtype="i2"), (-32768, 32767, -500, 499)),
        (np.array([7] * 5000 + [9], "u2"), (0, 65535, 7, 9)),
        (np.zeros(5, "u1"), (0, 255, 0, 255)),
        (np.full(9, 2**64 - 1, "u8"), (0, 2**64 - 1, 0, 2**64 - 1)),
        (np.array([np.nan, 1.5, np.inf, -2.5, -np.inf], "f4"), (-2.5, 1.5, -2.5, 1.5)),
        (np.full(4, -3.0, "f2"), (-3.0, 0.0, -3.0, 0.0)),
        (np.zeros(4, "f8"), (0.0, 1.0, 0.0, 1.0)),
        (np.full(4, np.nan, "f4"), (0.0, 1.0, 0.0, 1.0)),
    ],
)
def test_a_thousandth_is_darker_and_a_thousandth_brighter(values: np.ndarray, window: tuple[float, ...]) -> None:
    found = windows.find_window(values)
    assert (found.min, found.max, found.start, found.end) == window
    assert {type(n) for n in (found.start, found.end)} == {float if values.dtype.kind == "f" else int}


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_windows_are_those_of_the_smallest_level_that_is_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(windows, "ENOUGH", 1000)
    data, path = make_values((3, 2, 16, 40, 48), "<u2"), tmp_path / "v.ome.zarr"
    data[:, 1] //= 7
    data[1, 0], data[1, 1, 3, 4, 5] = 900, 65535
    plan = make_plan(data, "tczyx")
    if version == "0.4":
        fields = {**plan.nodes[0].fields, "neuropress/ome_zarr": Field(version, "test")}
        plan = replace(plan, nodes=(replace(plan.nodes[0], fields=fields),))
    with shrink_layout():
        write(plan, data, path)
    levels = sorted((int(p.name), p) for p in path.iterdir() if p.name.isdecimal())
    level = next(a for _, p in reversed(levels) if np.prod((a := zarr.open_array(p, mode="r")).shape[2:]) >= 1000)
    assert level.shape != data.shape
    attributes = path / (".zattrs" if version == "0.4" else "zarr.json")
    ome = json.loads(attributes.read_text())
    channels = (ome if version == "0.4" else ome["attributes"]["ome"])["omero"]["channels"]
    for number, channel in enumerate(channels):
        values = np.sort(np.asarray(level[:, number]).ravel())
        tail = (values.size - 1) // 1000
        expected = {"min": 0, "max": 65535, "start": int(values[tail]), "end": int(values[-1 - tail])}
        assert channel["window"] == expected
    field = omezarr.read_provenance(path).fields["/omero/channels/1/window/end"]
    assert (field.value, field.rule, field.via) == (channels[1]["window"]["end"], "volume:window", "percentiles")


def test_a_cut_off_run_and_changed_metadata_give_the_windows_of_a_whole_one(tmp_path: Path) -> None:
    data = make_values((20, 30, 24), "<f4")
    data[3:9, 4:28] = np.nan
    whole, path = tmp_path / "whole" / "v.ome.zarr", tmp_path / "v.ome.zarr"
    whole.parent.mkdir()
    plan = make_plan(data, "zyx", scale=[2.0, 2.0, 2.0])
    with shrink_layout():
        write(plan, data, whole)
        with pytest.raises(OSError, match="gone"):
            write(plan, data, path, Raw(data, 3, OSError("gone")))
        write(make_plan(data, "zyx"), data, path)
        unread = Raw(data)
        write(plan, data, path, unread)
    assert unread.reads == 0
    assert read_tree(path) == read_tree(whole)
    (window,) = read_windows(path)
    assert window["min"] < window["start"] < 0 < window["end"] < window["max"]


@pytest.mark.parametrize("lacking", [True, False])
def test_a_preview_is_drawn_by_itself(tmp_path: Path, lacking: bool) -> None:
    """Where an earlier version drew none, and where it drew it by other windows, or was killed before it was listed."""
    data, path = make_values((30, 40, 50), "<u2") // 9 + 300, tmp_path / "v.ome.zarr"
    plan = make_plan(data, "zyx")
    write(plan, data, path)
    expected = read_tree(path)
    wide = {f"omero/channels/0/window/{name}": Field(n, "t") for name, n in (("start", 0), ("end", 65535))}
    stated = replace(plan, nodes=(replace(plan.nodes[0], fields={**plan.nodes[0].fields, **wide}),))
    unread = Raw(data)
    write(stated, data, path, unread)
    assert read_tree(path)[preview.NAME] != expected[preview.NAME]
    shards = {p: p.stat().st_mtime_ns for p in path.glob("*/c/**/*") if p.is_file()}
    if lacking:
        (path / preview.NAME).unlink()
    write(plan, data, path, unread)
    assert (unread.reads, read_tree(path)) == (0, expected)
    assert shards == {p: p.stat().st_mtime_ns for p in path.glob("*/c/**/*") if p.is_file()}


def test_a_level_that_cannot_be_measured_is_written_again(tmp_path: Path) -> None:
    data, path = make_values((30, 40, 50), "<u2"), tmp_path / "v.ome.zarr"
    write(make_plan(data, "zyx"), data, path)
    expected = read_tree(path)
    shard = path / "0/c/0/0/0"
    shard.write_bytes(bytes(shard.stat().st_size))
    again = Raw(data)
    write(make_plan(data, "zyx"), data, path, again)
    assert again.reads
    assert read_tree(path) == expected


def test_the_viewer_shows_the_window(tmp_path: Path) -> None:
    data, path = make_values((20, 30, 40), "<u2") // 50 + 100, tmp_path / "v.ome.zarr"
    write(make_plan(data, "zyx"), data, path)
    (layer,) = make_state({"http://here/v.ome.zarr/": read_ome(path)})["layers"]
    shown = layer["shaderControls"]["contrast"]["range"]
    assert shown == [read_windows(path)[0][name] for name in ("start", "end")]
    assert 100 <= shown[0] < shown[1] <= 100 + 65535 // 50
