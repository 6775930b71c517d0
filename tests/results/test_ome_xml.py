"""``OME/METADATA.ome.xml``: valid by OME's own schema, what rows and headers say, and part of the proof."""

from __future__ import annotations

import functools
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import ome_types
import pytest
import tifffile
import xmlschema
from builder import Builder
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.cli.main import main
from neuropress.results.omezarr.ome_xml import MOST_PLANES, NAME, has_type, make_ome_xml, parse_acquisition

UNITS = {"t": ["second", "minute", None], "c": [None]} | {name: ["micrometer", "nanometer", None] for name in "zyx"}
TYPES = ["u1", "<u2", "<u4", "i1", "<i2", "<i4", "<f4", "<f8"]


@functools.cache
def load_schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(ome_types.__file__).parent / "ome-2016-06.xsd")


def make_attributes(axes: str, units: dict[str, str | None], step: float, channels: list[dict[str, Any]]) -> Any:
    named = [{"name": name} | ({"unit": units[name]} if units.get(name) else {}) for name in axes]
    transforms = [{"type": "scale", "scale": [step] * len(axes)}]
    image = {"name": "a & b", "axes": named, "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
    return {"multiscales": [image]} | ({"omero": {"channels": channels}} if channels else {})


@st.composite
def images(draw: st.DrawFn) -> tuple[Any, Any, tuple[int, ...], np.dtype[Any]]:
    axes = draw(st.sampled_from(["yx", "zyx", "czyx", "tczyx", "tyx", "cyx"]))
    shape = tuple(draw(st.integers(1, 3)) for _ in axes)
    count = shape[axes.index("c")] if "c" in axes else 1
    colours = st.from_regex(r"[0-9A-F]{6}", fullmatch=True)
    channels = [{"label": draw(st.text(max_size=8)), "color": draw(colours)} for _ in range(count)]
    units = {name: draw(st.sampled_from(UNITS[name])) for name in axes}
    number, zones = st.floats(1e-6, 1e6), st.none() | st.just(UTC)
    stated = {
        "exposure_time": number,
        "laser_line": st.integers(200, 2000).map(float),
        "laser_power": number,
        "numerical_aperture": st.floats(0.01, 1.7),
        "objective_magn": st.sampled_from(["40x", "40 X", "63×", "unknown", "-1x", "1e3"]),
        "started": st.datetimes(timezones=zones).map(datetime.isoformat),
    }
    known = {name: draw(values) for name, values in stated.items() if draw(st.booleans())}
    ome = make_attributes(axes, units, draw(number), channels if draw(st.booleans()) else [])
    return ome, {"acquisition": known}, shape, np.dtype(draw(st.sampled_from(TYPES)))


@settings(max_examples=60, deadline=None)
@given(images())
def test_every_document_is_valid_by_the_schema(image: Any) -> None:
    ome, own, shape, dtype = image
    text = make_ome_xml(ome, own, shape, dtype)
    load_schema().validate(text)
    read = ome_types.from_xml(text).images[0].pixels
    axes = [axis["name"] for axis in ome["multiscales"][0]["axes"]]
    sizes = (read.size_t, read.size_c, read.size_z, read.size_y, read.size_x)
    assert sizes == tuple(dict(zip(axes, shape, strict=True)).get(name, 1) for name in "tczyx")


def test_pixels_without_a_type_of_ome_have_no_document() -> None:
    assert [has_type(np.dtype(name)) for name in ("u1", "<u8", "<i8", "<f2", "?")] == [True, False, False, False, False]


def test_many_planes_are_not_listed_one_by_one() -> None:
    ome = make_attributes("zyx", {}, 1.0, [])
    own = {"acquisition": {"exposure_time": 5.0}}
    assert make_ome_xml(ome, own, (3, 1, 1), np.dtype("u1")).count("<Plane ") == 3
    assert make_ome_xml(ome, own, (MOST_PLANES + 1, 1, 1), np.dtype("u1")).count("<Plane ") == 0


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.ome.tif"
    data = np.arange(2 * 3 * 12 * 16, dtype=np.uint16).reshape(2, 3, 12, 16)
    metadata = {"axes": "CZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0,
                "Channel": {"Name": ["GFP", "RFP"]}, "Plane": {"ExposureTime": [0.02] * 6}}  # fmt: skip
    tifffile.imwrite(path, data, metadata=metadata)
    return path


def read_document(path: Path) -> ome_types.model.OME:
    text = (path / NAME).read_text("ascii")
    load_schema().validate(text)
    return ome_types.from_xml(text)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_what_the_header_says_stands_in_the_document(stack: Path, tmp_path: Path, version: str) -> None:
    out = tmp_path / "out.ome.zarr"
    assert main(["convert", str(stack), "--to", str(out), "--ome-zarr", version]) == 0
    (image,) = read_document(out).images
    pixels = image.pixels
    assert [channel.name for channel in pixels.channels] == ["GFP", "RFP"]
    assert (pixels.physical_size_x, pixels.physical_size_z) == (0.5, 2.0)
    assert pixels.physical_size_z_unit.value == "µm"
    assert (pixels.size_c, pixels.size_z, pixels.type.value) == (2, 3, "uint16")
    assert {(plane.exposure_time, plane.exposure_time_unit.value) for plane in pixels.planes} == {(20.0, "ms")}
    assert len(pixels.planes) == 6


def test_a_changed_document_is_noticed(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ome.zarr"
    assert main(["convert", str(stack), "--to", str(out)]) == 0
    document = out / NAME
    whole = document.read_text()
    document.write_text(whole.replace('PhysicalSizeZ="2.0"', 'PhysicalSizeZ="3.0"'))
    assert main(["verify", str(out), "--source", str(stack.parent)]) == 1
    assert NAME in capsys.readouterr().out
    document.unlink()
    assert main(["verify", str(out), "--source", str(stack.parent)]) == 1
    told = capsys.readouterr().out
    assert NAME in told
    assert "no part of the volume: OME/zarr.json" in told
    document.write_text(whole)
    (document.parent / "more.xml").write_text("x")
    assert main(["verify", str(out), "--source", str(stack.parent)]) == 1
    assert "more.xml" in capsys.readouterr().out


def test_attributes_say_the_same(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ome.zarr"
    assert main(["convert", str(stack), "--to", str(out)]) == 0
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]
    assert attributes["neuropress"]["acquisition"] == {"exposure_time": 20.0}


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_restructured_volume_says_it_too(stack: Path, tmp_path: Path, version: str) -> None:
    old, new = tmp_path / "old.ome.zarr", tmp_path / "new.ome.zarr"
    assert main(["convert", str(stack), "--to", str(old)]) == 0
    assert main(["restructure", str(old), "--to", str(new), "--version", version]) == 0
    assert read_document(new).images[0].pixels.planes == read_document(old).images[0].pixels.planes


def test_attributes_of_another_kind_are_no_acquisition() -> None:
    odd = {"exposure_time": "long", "laser_line": float("nan"), "laser_power": True, "started": "then", "other": 1.0,
           "numerical_aperture": -1, "objective_magn": 40}  # fmt: skip
    for own in (None, [], {"acquisition": 3}, {"acquisition": odd}):
        assert parse_acquisition(own) == {}
    assert parse_acquisition({"acquisition": {"laser_line": 488}}) == {"laser_line": 488}


def test_a_row_comes_before_the_header_and_can_change(stack: Path, tmp_path: Path) -> None:
    ds = Builder(tmp_path / "ds")
    ds.session()
    cells = {"exposure_time": "25", "laser_line": "488", "laser_power": "1.5", "numerical_aperture": "0.8"}
    ds.movie(stack.read_bytes(), (3, 12, 16), frame_rate="", image_type="structural", objective_magn="40x", **cells)
    assert main(["convert", str(ds.root)]) == 0
    out = ds.output("RY_IMG_0001.ome.zarr")
    assert out is not None
    document = read_document(out)
    (instrument,) = document.instruments
    assert (instrument.objectives[0].lens_na, instrument.objectives[0].nominal_magnification) == (0.8, 40.0)
    assert (instrument.lasers[0].wavelength, instrument.lasers[0].power) == (488.0, 1.5)
    assert document.images[0].pixels.planes[0].exposure_time == 25.0
    level = out / "0/zarr.json"
    before = level.stat().st_ino
    ds.change("image", numerical_aperture="0.95")
    assert main(["convert", str(ds.root)]) == 0
    assert read_document(out).instruments[0].objectives[0].lens_na == 0.95
    assert level.stat().st_ino == before
    assert main(["verify", str(ds.root)]) == 0


def test_a_volume_of_an_earlier_build_only_gains_the_document(stack: Path, tmp_path: Path) -> None:
    ds = Builder(tmp_path / "ds")
    ds.session()
    ds.movie(stack.read_bytes(), (3, 12, 16), frame_rate="", image_type="structural")
    assert main(["convert", str(ds.root)]) == 0
    out = ds.output("RY_IMG_0001.ome.zarr")
    assert out is not None
    shutil.rmtree(out / "OME")
    before = (out / "0/zarr.json").stat().st_ino
    ds.change("image", numerical_aperture="0.95")
    assert main(["convert", str(ds.root)]) == 0
    assert read_document(out).instruments[0].objectives[0].lens_na == 0.95
    assert (out / "0/zarr.json").stat().st_ino == before
