"""``restructure``: other chunks, shards, packing and version; metadata, labels and provenance come along, with proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from neuropress.cli.main import main
from neuropress.results.omezarr import volume as omezarr

SHAPE = (6, 20, 24)
IDS = np.kron(np.array([[0, 1], [2, 70000]], "u4"), np.ones((10, 12), "u4"))[None].repeat(6, 0)
SCALE = "coordinateTransformations"
COLUMNS = "columns=x = x; y = y; z = z; kind = class"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, " ".join((said.out + said.err).split())


def read_ome(path: Path) -> Any:
    if (path / ".zattrs").exists():
        return json.loads((path / ".zattrs").read_text())
    return json.loads((path / "zarr.json").read_text())["attributes"]["ome"]


@pytest.fixture
def old(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    image = np.random.default_rng(1).integers(0, 60000, (6, 2, 20, 24)).astype("u2")
    metadata = {"axes": "ZCYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "stack.tif", image, imagej=True, metadata=metadata, resolution=(2, 2))
    tifffile.imwrite(tmp_path / "ids.tif", IDS, photometric="minisblack")
    (tmp_path / "classes.csv").write_text("id,name,colour\n0,nothing,#00000000\n1,soma,#ff0000\n2,axon,#00ff00\n")
    labels = ("--labels", f"cells={tmp_path / 'ids.tif'}", "--classes", f"cells={tmp_path / 'classes.csv'}")
    status, said = run(capsys, "convert", tmp_path / "stack.tif", *labels, "--to", tmp_path / "old.ome.zarr")
    assert status == 0, said
    return tmp_path / "old.ome.zarr"


def test_to_04_and_back_keeps_everything(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    older, newer = old.with_name("older.ome.zarr"), old.with_name("newer.ome.zarr")
    chunks = ("--chunks", "4,8,8", "--zstd-level", "3")
    status, said = run(capsys, "restructure", old, "--to", older, "--version", "0.4", *chunks)
    assert (status, "2 arrays" in said, "labels are not read" in said) == (0, True, False), said
    assert zarr.open_array(older / "0", mode="r").chunks == (1, 4, 8, 8)
    status, said = run(capsys, "restructure", older, "--to", newer)
    assert status == 0, said
    assert before == {path: path.stat().st_mtime_ns for path in old.rglob("*")}, "the old volume was written to"
    for group in ("", "labels/cells"):
        expected, found = read_ome(old / group), read_ome(newer / group)
        assert found == expected
        older_ome = read_ome(older / group)
        assert older_ome["multiscales"][0]["version"] == "0.4"
        assert older_ome["multiscales"][0]["axes"] == expected["multiscales"][0]["axes"]
        assert older_ome.get("image-label", {}).get("colors") == expected.get("image-label", {}).get("colors")
        for path in (older, newer):
            data = zarr.open_array(path / group / "0", mode="r")[...]
            np.testing.assert_array_equal(data, zarr.open_array(old / group / "0", mode="r")[...])


def test_provenance_names_the_old_volume_and_carries_what_it_says(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(capsys, "restructure", old, "--chunks", "4,8,8", "--shards", "8,16,16")
    made = old.with_name("old.restructured.ome.zarr")
    assert status == 0, said
    provenance = omezarr.read_provenance(made)
    assert set(provenance.receipt.sources) == {"old.ome.zarr/", "old.ome.zarr/labels/cells/"}
    assert "old.ome.zarr/0/c/0/0/0/0" in provenance.receipt.inputs
    header = provenance.headers["old.ome.zarr/"][""]
    assert set(header["attributes"]["neuropress"]["receipt"])
    assert "Restructured from old.ome.zarr/, OME-Zarr 0.5" in provenance.notes[-1]
    sources = provenance.fields["/omero/channels/0/color"].sources
    assert (sources[0].key, sources[0].column) == ("old.ome.zarr/", "omero/channels/0/color")
    assert run(capsys, "verify", made, "--source", old.parent)[0] == 0
    assert "up to date" in run(capsys, "restructure", old, "--chunks", "4,8,8", "--shards", "8,16,16")[1]
    assert "below [output] changed" in run(capsys, "restructure", old)[1]
    (old / "0/c/0/0/0/0").write_bytes((old / "0/c/0/0/0/0").read_bytes()[:-1])
    assert run(capsys, "verify", made, "--source", old.parent)[0] == 1


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_volume_of_another_program_keeps_its_axes_shift_units_and_windows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zarr_format: Any
) -> None:
    """Axes of length 1, which `convert` drops, and unsharded chunks with other codecs."""
    data = np.random.default_rng(2).integers(0, 99, (1, 1, *SHAPE)).astype(">i2" if zarr_format == 2 else "i2")
    path = tmp_path / "other.zarr"
    names = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
    axes = [{"name": n, "type": t, **({"unit": "nanometer"} if t == "space" else {})} for n, t in names.items()]
    shift = {"type": "translation", "translation": [0, 0, 7.5, 100, 200]}
    transforms = [{"type": "scale", "scale": [1, 1, 40, 4, 4]}, shift]
    image = {"name": "tile", "axes": axes, "datasets": [{"path": "s0", SCALE: transforms}]}
    window = {"start": 5, "end": 60, "min": 0, "max": 99}
    omero = {"channels": [{"label": "GFP", "color": "12FF34", "window": window, "active": True}], "rdefs": {"t": 0}}
    ome = {"multiscales": [image], "omero": omero}
    if zarr_format == 2:
        group = zarr.open_group(path, mode="w", zarr_format=2, attributes={**ome, "made": "elsewhere"})
    else:
        attributes = {"ome": {"version": "0.5", **ome}, "made": "elsewhere"}
        group = zarr.open_group(path, mode="w", zarr_format=3, attributes=attributes)
    group.create_array("s0", data=data, chunks=(1, 1, 3, 7, 9))
    status, said = run(capsys, "restructure", path, "--version", "0.5", "--to", tmp_path / "new.ome.zarr")
    assert status == 0, said
    found = read_ome(tmp_path / "new.ome.zarr")
    assert found["multiscales"][0]["axes"] == axes
    assert found["multiscales"][0]["datasets"][0] == {"path": "0", SCALE: transforms}
    assert found["omero"] == omero
    stored = zarr.open_array(tmp_path / "new.ome.zarr/0", mode="r")
    np.testing.assert_array_equal(stored[...], data)
    header = omezarr.read_provenance(tmp_path / "new.ome.zarr").headers["other.zarr/"]
    assert next(iter(header.values()))["attributes"]["made"] == "elsewhere"


def test_what_cannot_be_restructured_is_said(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status, word in (
        (("none.ome.zarr",), 1, "no folder with an OME-Zarr"),
        ((old, "--to", old.with_name("x.nwb")), 2, "not that of an OME-Zarr"),
        ((old, "--to", old / "x.ome.zarr"), 2, "raw files are never written to"),
        ((old, "--to", old), 2, "raw"),
        ((old, "--chunks", "63,64,64"), 2, "even numbers"),
        ((old, "--version", "0.4", "--chunks", "4,8,8", "--shards", "8,8,8"), 2, "has none"),
    ):
        found, said = run(capsys, "restructure", *arguments)
        assert (found, word in said) == (status, True), said
    image = json.loads((old / "zarr.json").read_text())
    image["attributes"]["ome"]["multiscales"][0]["datasets"][0][SCALE] = [{"type": "affine"}]
    (old / "zarr.json").write_text(json.dumps(image))
    status, said = run(capsys, "restructure", old)
    assert (status, "affine" in said) == (1, True), said


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("x,y,z,kind,note\n1,2,3,soma,'a'\n23,19,5,glia,\n", ("unit=pixel", "first=z 1, y 0, x 0", COLUMNS)),
        ("x_min,x_max,y_min,y_max,z\n1,2,3,4,5\n0,9,0,9,0\n", ("unit=pixel", "first=0", "box_ends=excluded")),
    ],
)
def test_points_come_along_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, options: tuple[str, ...]
) -> None:
    """To Zarr 2 and back: the same places, attributes and annotations, proven by the old volume's table."""
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "stack.tif", IDS.astype("u1"), imagej=True, metadata=metadata, resolution=(2, 2))
    (tmp_path / "cells.csv").write_text(table)
    stated = [part for option in options for part in ("--points-option", option)]
    to = [tmp_path / f"{name}.ome.zarr" for name in ("old", "older", "newer")]
    points = ("--points", tmp_path / "cells.csv", *stated)
    status, said = run(capsys, "convert", tmp_path / "stack.tif", *points, "--to", to[0])
    assert status == 0, said
    for source, target, version in ((to[0], to[1], "0.4"), (to[1], to[2], "0.5")):
        status, said = run(capsys, "restructure", source, "--to", target, "--version", version)
        assert (status, "left behind" in said, "verified" in said) == (0, False, True), said
        assert f"{source.name}/tables/cells/table.csv" in omezarr.read_provenance(target).receipt.inputs
    files = {p.relative_to(to[0]) for p in (to[0] / "tables").rglob("*") if p.is_file()}
    assert {p.relative_to(to[2]) for p in (to[2] / "tables").rglob("*") if p.is_file()} == files
    for file in files:
        assert (to[2] / file).read_bytes() == (to[0] / file).read_bytes(), file
    assert "up to date" in run(capsys, "restructure", to[1], "--to", to[2])[1]
    changed = to[1] / "tables/cells/table.csv"
    changed.write_bytes(changed.read_bytes().replace(b"1", b"0"))
    assert run(capsys, "verify", to[2], "--source", tmp_path)[0] == 1


def test_tables_of_other_programs_are_named_when_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", IDS.astype("u1"), photometric="minisblack")
    (tmp_path / "cells.csv").write_text("x,y,z\n1,2,3\n")
    points = ("--points", tmp_path / "cells.csv", "--points-option", "unit=pixel", "--points-option", "first=0")
    old = tmp_path / "old.ome.zarr"
    status, said = run(capsys, "convert", tmp_path / "stack.tif", *points, "--ome-zarr", "0.4", "--to", old)
    assert status == 0, said
    assert not list(old.rglob("zarr.json"))
    assert list(zarr.open_group(old, mode="r")["tables/cells"].attrs["points"]["columns"]) == ["x", "y", "z"]
    (old / "tables/cells/.zattrs").write_text('{"type": "feature_table"}')
    status, said = run(capsys, "restructure", old, "--to", tmp_path / "new.ome.zarr")
    assert (status, "restructure.tables" in said, "tables/cells is left behind" in said) == (0, True, True), said
    assert not (tmp_path / "new.ome.zarr/tables").exists()
