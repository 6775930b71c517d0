"""Validation of OME-Zarr results: a clean image, and every defect that the models leave open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from neuropress.model.finding import Problem
from neuropress.results import load_kind

SHAPES = {"0": (5, 8, 12), "1": (3, 4, 6)}


def image(path: Path, names: str = "zyx", shapes: dict[str, tuple[int, ...]] = SHAPES) -> zarr.Group:
    """A group with two levels that is right in every respect."""
    root = zarr.open_group(path, mode="w", zarr_format=3)
    for name, shape in shapes.items():
        array = root.create_array(name, shape=shape, dtype="u1", chunks=shape, dimension_names=tuple(names))
        array[...] = np.zeros(shape, "u1")
    root.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale(names)]}
    return root


def multiscale(names: str) -> dict[str, Any]:
    return {
        "name": "JL_SD_0001",
        "axes": [{"name": n, "type": "space", "unit": "nanometer"} for n in names],
        "datasets": [
            transforms("0", [4.0, 4.0, 4.0], [0.0, 0.0, 0.0]),
            transforms("1", [8.0, 8.0, 8.0], [2.0, 2.0, 2.0]),
        ],
    }


def transforms(path: str, scale: list[float], translation: list[float]) -> dict[str, Any]:
    both = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]
    return {"path": path, "coordinateTransformations": both}


def findings(path: Path) -> list[tuple[str, str]]:
    return [(f.id, f.message) for f in load_kind("ome-zarr").validate(path)]


def test_a_right_image_has_no_finding(tmp_path: Path) -> None:
    image(tmp_path / "a.ome.zarr")
    assert findings(tmp_path / "a.ome.zarr") == []


def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[zarr.Group], None]:
    def apply(root: zarr.Group) -> None:
        ome: dict[str, Any] = root.attrs.asdict()["ome"]  # type: ignore[assignment]
        change(ome["multiscales"][0])
        root.attrs["ome"] = ome

    return apply


def other_dtype(root: zarr.Group) -> None:
    del root["1"]
    root.create_array("1", shape=SHAPES["1"], dtype="u2", chunks=SHAPES["1"], dimension_names=tuple("zyx"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edit(lambda m: m["axes"][1].update(unit="um")),
         [("ngff.unit", "axis y has the unit 'um'; viewers understand angstrom, centimeter, meter, micrometer, "
           "millimeter, nanometer")]),
        (edit(lambda m: m["axes"][0].pop("unit")),
         [("ngff.unit", "axis z has the unit None; viewers understand angstrom, centimeter, meter, micrometer, "
           "millimeter, nanometer")]),
        (edit(lambda m: m["datasets"].__setitem__(1, transforms("1", [8.0, 8.0, 8.0], [0.0, 2.0, 2.0]))),
         [("ngff.translation", "1: starts at 0 along z; the mean over voxels lies at 2")]),
        (edit(lambda m: m["datasets"].__setitem__(1, transforms("1", [4.0, 8.0, 8.0], [0.0, 2.0, 2.0]))),
         [("ngff.levels", "1: 3 along z, where its scale makes it 5")]),
        (other_dtype, [("ngff.levels", "1: uint16, level 0 is uint8")]),
    ],
)  # fmt: skip
def test_defects(tmp_path: Path, change: Callable[[zarr.Group], None], expected: list[tuple[str, str]]) -> None:
    change(image(tmp_path / "a.ome.zarr"))
    assert findings(tmp_path / "a.ome.zarr") == expected


def test_spacing_marked_as_unknown_is_only_told(tmp_path: Path) -> None:
    root = image(tmp_path / "a.ome.zarr")
    edit(lambda m: m["axes"][0].pop("unit"))(root)
    root.attrs["neuropress"] = {"unknown": ["z"]}
    (found,) = load_kind("ome-zarr").validate(tmp_path / "a.ome.zarr")
    assert (found.id, found.severity) == ("ngff.unknown_spacing", "info")
    assert found.message == "the spacing along z is not known; its scale is 1 without a unit"


def test_the_model_s_complaint_is_told(tmp_path: Path) -> None:
    root = image(tmp_path / "a.ome.zarr")
    edit(lambda m: m.pop("axes"))(root)
    ((id, message),) = findings(tmp_path / "a.ome.zarr")
    assert id == "ome-zarr-models:invalid"
    assert "axes" in message
    assert len(message) < 500


@pytest.mark.parametrize("names", [("x", "y", "z"), None])
def test_the_models_check_the_names_of_dimensions(tmp_path: Path, names: tuple[str, ...] | None) -> None:
    root = image(tmp_path / "a.ome.zarr")
    del root["1"]
    root.create_array("1", shape=SHAPES["1"], dtype="u1", chunks=SHAPES["1"], dimension_names=names)
    ((id, message),) = findings(tmp_path / "a.ome.zarr")
    assert id == "ome-zarr-models:invalid"
    assert "dimension" in message


def with_labels(path: Path, *listed: str) -> None:
    root = image(path)
    labels = root.create_group("labels")
    labels.attrs["ome"] = {"version": "0.5", "labels": list(listed)}
    cells = image(path / "labels" / "cells")
    ome: dict[str, Any] = cells.attrs.asdict()["ome"]  # type: ignore[assignment]
    ome["multiscales"][0]["axes"][2]["unit"] = "px"
    cells.attrs["ome"] = {**ome, "image-label": {}}


def test_labels_are_looked_at_too(tmp_path: Path) -> None:
    with_labels(tmp_path / "a.ome.zarr", "cells")
    found = load_kind("ome-zarr").validate(tmp_path / "a.ome.zarr")
    assert [(f.id, f.location.array) for f in found] == [("ngff.unit", "labels/cells/multiscales/axes/x")]


def test_a_listed_label_that_is_not_there(tmp_path: Path) -> None:
    with_labels(tmp_path / "a.ome.zarr", "cells", "gone")
    assert "ome-zarr-models:invalid" in {id for id, _ in findings(tmp_path / "a.ome.zarr")}


@pytest.mark.parametrize("content", [None, b"{"])
def test_no_zarr_group(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.ome.zarr"
    if content is not None:
        path.mkdir()
        (path / "zarr.json").write_bytes(content)
    with pytest.raises(Problem) as caught:
        load_kind("ome-zarr").validate(path)
    assert caught.value.finding.id == "result.unreadable"
