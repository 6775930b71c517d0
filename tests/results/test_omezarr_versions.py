"""OME-Zarr 0.4, and chunks and shards that a person states: exact, read by others, resumed, refused where damaged."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import tifffile
import zarr
from builder import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models import v04
from test_omezarr import SEAL, Raw, make_values, next_level, read_tree, shrink_layout, volume_plan
from test_omezarr_labels import IMAGE, make_ids, make_plan
from test_omezarr_labels import Raw as LabelledRaw

from neuropress.cli.main import main
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.finding import Problem
from neuropress.model.packing import Packing
from neuropress.model.plan import Field, Plan
from neuropress.results import Request, detect_kind
from neuropress.results.omezarr import guard, units
from neuropress.results.omezarr import volume as omezarr
from neuropress.results.omezarr.validate import validate_zarr


def pack(plan: Plan, **stated: Any) -> Plan:
    """The plan of a dataset that states how its volumes are stored."""
    node = plan.nodes[0]
    fields = {**node.fields, **{f"neuropress/{name}": Field(value, "test") for name, value in stated.items()}}
    return replace(plan, nodes=(replace(node, fields=fields), *plan.nodes[1:]))


def write(plan: Plan, path: Path, raw: Any) -> None:
    write_result(Request(plan, path, SEAL), raw, LocalExecutor(), lambda _: None)


def assert_levels(path: Path, data: np.ndarray, levels: list[str], driver: str) -> None:
    """Level 0 is the source, the others the definition; zarr-python and tensorstore agree."""
    expected = data
    for number, name in enumerate(levels):
        found = zarr.open_array(path / name, mode="r")
        if number:
            expected = next_level(expected, found.shape)
        np.testing.assert_array_equal(found[...], expected, f"level {number}")
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": str(path / name)}}
        read = np.asarray(tensorstore.open(spec, read=True).result().read().result())
        np.testing.assert_array_equal(read, expected, f"level {number}")
        assert found.dtype == data.dtype


def assert_proven(path: Path) -> None:
    """No file too many or too few, and every digest as the receipt has it."""
    assert list(omezarr.check_files(path)) == []
    assert omezarr.read_provenance(path).receipt.derived == omezarr.digest_derived(path)


def prove(path: Path) -> None:
    omezarr.digest_derived(path)
    omezarr.read_provenance(path)


def list_levels(path: Path) -> list[str]:
    return [one["path"] for one in json.loads((path / ".zattrs").read_text())["multiscales"][0]["datasets"]]


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from([("zyx", (9, 21, 17)), ("yx", (33, 7)), ("czyx", (2, 5, 16, 9)), ("zyx", (1, 8, 40))]),
    st.sampled_from(["u1", "<i2", "<f4", "<u8"]),
)
def test_version_04_is_exact_at_every_level(
    tmp_path_factory: pytest.TempPathFactory, volume: tuple[str, tuple[int, ...]], dtype: str
) -> None:
    path, (axes, shape) = tmp_path_factory.mktemp("old") / "v.ome.zarr", volume
    data = make_values(shape, dtype) if dtype != "<u8" else make_values(shape, "<u2").astype("<u8")
    with shrink_layout():
        write(pack(volume_plan(data, axes), ome_zarr="0.4"), path, Raw(data))
    assert_levels(path, data, list_levels(path), "zarr")
    assert_proven(path)
    assert not list(path.rglob("zarr.json"))
    assert not list(path.rglob("*.tmp"))
    assert detect_kind(path).name == "ome-zarr"
    assert validate_zarr(path) == []


def test_version_04_says_what_its_readers_look_for(tmp_path: Path) -> None:
    path, ids = tmp_path / "v.ome.zarr", make_ids("<u4")
    plan = pack(make_plan({"cells": ids}, [40.0, 4.0, 4.0]), ome_zarr="0.4")
    with shrink_layout():
        assert units.estimate(plan, {}).files == len(list(units_files(path, plan, {"cells": ids})))
    image = v04.Image.from_zarr(zarr.open_group(path, mode="r"))
    multiscale = image.ome_attributes.multiscales[0]
    assert [axis.unit for axis in multiscale.axes] == ["nanometer"] * 3
    assert multiscale.version == "0.4"
    assert v04.Labels.from_zarr(zarr.open_group(path / "labels", mode="r")).ome_attributes.labels == ["cells"]
    node = json.loads((path / "0/.zarray").read_text())
    assert (node["dimension_separator"], node["order"], node["filters"]) == ("/", "C", None)
    assert node["compressor"] | {"blocksize": 0} == {
        "id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 0, "blocksize": 0,
    }  # fmt: skip
    assert node["chunks"] == [4, 8, 8]
    shift = multiscale.datasets[1].coordinateTransformations[1].translation
    assert shift == [0.0, 2.0, 2.0] or shift == [20.0, 2.0, 2.0]
    assert_levels(path, IMAGE, list_levels(path), "zarr")
    np.testing.assert_array_equal(zarr.open_array(path / "labels/cells/0", mode="r")[...], ids)
    assert "neuropress" in json.loads((path / ".zattrs").read_text())
    assert validate_zarr(path) == []


def units_files(path: Path, plan: Plan, masks: dict[str, np.ndarray]) -> list[Path]:
    write(plan, path, LabelledRaw(masks))
    return [file for file in path.rglob("*") if file.is_file()]


def test_version_04_is_resumed_and_the_same_bytes(tmp_path: Path) -> None:
    data = make_values((20, 40, 40), "u1")
    plan = pack(volume_plan(data, "zyx"), ome_zarr="0.4")
    with shrink_layout():
        write(plan, tmp_path / "whole.ome.zarr", Raw(data))
        for fail_at in (0, 1, 8):
            with pytest.raises(OSError, match="machine"):
                write(plan, tmp_path / "v.ome.zarr", Raw(data, fail_at, OSError("the machine failed")))
        again = Raw(data)
        write(plan, tmp_path / "v.ome.zarr", again)
        whole = Raw(data)
        write(plan, tmp_path / "other.ome.zarr", whole)
    assert again.reads < whole.reads
    assert read_tree(tmp_path / "v.ome.zarr") == read_tree(tmp_path / "whole.ome.zarr")


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("0/.zarray", lambda text: text.replace('"blosc"', '"pickle"'), "result.unsafe"),
        ("0/.zarray", lambda text: text.replace("null", '[{"id": "pickle"}]'), "result.unsafe"),
        ("0/.zarray", lambda text: text.replace('"shape": [', '"shape": [1099511627776000, '), "result.unreadable"),
        ("0/.zarray", lambda text: text[:-20], "result.unreadable"),
        (".zattrs", lambda text: text.replace('"path": "0"', '"path": "../0"'), "result.unsafe"),
        ("zarr.json", lambda text: '{"zarr_format": 3}', "result.un"),
        ("0/zarr.json", lambda text: "{}", "result.unsafe"),
        (".zmetadata", lambda text: "{}", "result.unsafe"),
    ],
)
def test_metadata_that_would_do_harm_are_refused(tmp_path: Path, name: str, change: Any, word: str) -> None:
    data, path = make_values((4, 8, 8), "u1"), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(pack(volume_plan(data, "zyx"), ome_zarr="0.4"), path, Raw(data))
    file = path / name
    file.write_text(change(file.read_text() if file.exists() else ""))
    with pytest.raises(Problem) as caught:
        prove(path)
    assert caught.value.finding.id.startswith(word)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4), st.sampled_from(["blosc", "F"]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("id"), inner))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from(["shape", "chunks", "dtype", "compressor", "filters", "order", "x"]), VALUES))
def test_any_metadata_of_an_array_are_accepted_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("any") / "v.zarr"
    (path / "0").mkdir(parents=True)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    node = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "|u1", "compressor": None, "filters": None}
    (path / "0/.zarray").write_text(json.dumps({**node, **changes}))
    with suppress(Problem):
        guard.check_store(path)


def test_damaged_missing_and_stray_chunks_are_told(tmp_path: Path) -> None:
    data, path = make_values((8, 16, 16), "u1"), tmp_path / "v.ome.zarr"
    with shrink_layout():
        write(pack(volume_plan(data, "zyx"), ome_zarr="0.4"), path, Raw(data))
    chunk = path / "0/1/0/1"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:4] + b"\xff\xff\xff\x7f" + whole[8:])
    with omezarr.open_arrays(path) as arrays, pytest.raises(Problem, match="2147483647 bytes"):
        arrays["/0"][slice(0, 8), slice(0, 16), slice(0, 16)]
    chunk.unlink()
    with omezarr.open_arrays(path) as arrays, pytest.raises(Problem, match="cannot be read"):
        arrays["/0"][slice(0, 8), slice(0, 16), slice(0, 16)]
    (path / "0/9").mkdir()
    (path / "0/9/0").write_bytes(b"")
    found = [(one.id, one.location.value or one.location.array) for one in omezarr.check_files(path)]
    assert found == [("verify.missing_file", "/0"), ("verify.stray_file", "0/9/0")]


@pytest.mark.parametrize(
    ("stated", "files"),
    [
        ({"chunks": [4, 8, 16]}, {"0/c/0/0/0", "0/c/1/1/0"}),
        ({"chunks": [4, 8, 8], "shards": [4, 8, 8]}, {"0/c/4/4/4"}),
        ({"chunks": [4, 8, 8], "shards": [16, 16, 8]}, {"0/c/1/2/4"}),
        ({"chunks": [2, 4, 4], "shards": [32, 64, 64], "zstd_level": 3}, {"0/c/0/0/0"}),
        ({"chunks": [6, 10, 14], "ome_zarr": "0.4"}, {"0/3/3/2"}),
    ],
)
def test_stated_chunks_and_shards_hold_the_same_pixels(tmp_path: Path, stated: dict[str, Any], files: set[str]) -> None:
    data, path = make_values((19, 39, 37), "<u2"), tmp_path / "v.ome.zarr"
    with shrink_layout(shard=4):
        write(pack(volume_plan(data, "zyx"), **stated), path, Raw(data))
        assert_proven(path)
    assert files <= read_tree(path).keys()
    assert list(zarr.open_array(path / "0", mode="r").chunks) == stated["chunks"]
    is_old = (path / ".zattrs").exists()
    levels = [one.parent.name for one in sorted(path.glob("?/.zarray" if is_old else "?/zarr.json"))]
    assert_levels(path, data, levels, "zarr" if is_old else "zarr3")
    assert validate_zarr(path) == []


@pytest.mark.parametrize(
    ("stated", "word"),
    [
        ({"ome_zarr": "0.3"}, "ome_zarr"),
        ({"ome_zarr": 0.4}, "ome_zarr"),
        ({"chunks": [64, 64]}, "three whole numbers"),
        ({"chunks": [64, 64, 65]}, "even"),
        ({"chunks": "64"}, "three whole numbers"),
        ({"shards": [64, 64, 64]}, "state chunks"),
        ({"chunks": [64, 64, 64], "shards": [64, 64, 192]}, "times the chunks"),
        ({"chunks": [64, 64, 64], "shards": [64, 64, 64], "ome_zarr": "0.4"}, "has none"),
        ({"zstd_level": True}, "zstd_level"),
    ],
)
def test_what_no_volume_can_be_is_refused(stated: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Packing.parse(stated)


def test_a_dataset_states_how_its_volumes_are_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written so, proven, published; stated otherwise, it is written anew."""
    builder = Builder(tmp_path / "ds")
    data = make_values((6, 20, 24), "u1")
    tifffile.imwrite(tmp_path / "stack.tif", data, photometric="minisblack")
    builder.sem(tmp_path / "stack.tif")
    settings = builder.root / "neuropress.toml"
    usual = settings.read_text()
    settings.write_text(f'{usual}\n[output]\nome_zarr = "0.4"\nchunks = [4, 8, 8]\n')

    def run(*arguments: object) -> str:
        status = main([*map(str, arguments)])
        said = " ".join(capsys.readouterr().out.split())
        assert status == 0, said
        return said

    assert "32 files" in run("plan", builder.root, "--object", "JL_SD_0001"), (
        "18 + 4 + 1 chunks, 3 + 2 + 2 of metadata, a preview, the OME-XML"
    )
    run("run", builder.root, "--object", "JL_SD_0001")
    (path,) = builder.root.glob("output/**/*.ome.zarr")
    assert read_tree(path).keys() >= {".zgroup", ".zattrs", "0/.zarray", "0/1/2/2"}
    np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[...], data)
    assert "up to date" in run("convert", builder.root, "--object", "JL_SD_0001")
    run("publish", builder.root, "--release", "1.0.0", "--to", tmp_path / "release")
    rebuilt = run("releases", "rebuild", tmp_path / "release")
    assert "byte by byte" in rebuilt
    run("export-tables", tmp_path / "release", "--to", tmp_path / "tables")
    settings.write_text(usual)
    assert "ome_zarr, chunks below [output] changed" in run("convert", builder.root, "--object", "JL_SD_0001")
    assert not list(path.rglob(".z*"))
