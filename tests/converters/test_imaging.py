"""Movies: rows of ``image`` to the nodes of an NWB plan."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tifffile

from neuropress.checks.headers import compare_cells
from neuropress.converters import Built, Job, imaging
from neuropress.mapping.rules import Scope, apply_mapping, check_mapping, load_mapping
from neuropress.model.finding import Problem, Severity
from neuropress.model.plan import Node
from neuropress.model.profile import Profile, load_profile
from neuropress.model.record import Cell, Record
from neuropress.model.source import Source
from neuropress.readers.tiff import read as tiff
from neuropress.storage.roots import Folder

PROFILE = load_profile("dendritic-consortium")
STARTED = datetime(2025, 6, 20, 10, 0, tzinfo=ZoneInfo("America/New_York"))
MOVIE = np.random.default_rng(5).integers(0, 4095, (6, 12, 10), dtype=np.uint16)
NUMBERS = frozenset(
    ("frame_rate", "pixel_size", "numerical_aperture", "exposure_time", "laser_power", "laser_line", "wavelength")
)


def make_record(table: str, key: str, parents: Mapping[str, Record] | None = None, **cells: str) -> Record:
    spec = PROFILE.tables[table]
    texts = {column: cells.get(column, "") for column in spec.columns} | {spec.key: key}
    values = {c: (Decimal(t) if c in NUMBERS else t) if t else None for c, t in texts.items()}
    return Record(table, key, 2, {c: Cell(t) for c, t in texts.items()}, values, parents or {})


def make_plasmid(key: str, gene: str, kind: str = "voltage indicator") -> Record:
    return make_record("plasmid", key, gene=gene, indicator=kind, wavelength="509", tuning="negative")


def make_row(mouse: Mapping[str, Record] | None = None, **cells: str) -> Record:
    """An image row of a one-photon voltage movie, its session and mouse."""
    session = make_record("session", "RY_S_0001", {"mouse": make_record("mouse", "RY_M_0001", mouse or {})})
    usual = {
        "image_type": "voltage", "frame_rate": "500", "x": "10", "y": "12", "z": "6", "pixel_size": "0.813",
        "numerical_aperture": "0.8", "objective_magn": "16x", "exposure_time": "1.9", "laser_power": "30.5",
        "laser_line": "488", "notes": "cell 3", "file_path_raw": "m.tif",
    }  # fmt: skip
    return make_record("image", "RY_IMG_0001", {"session": session}, **(usual | cells))


JEDI = {"plasmid": make_plasmid("ML_P_0001", "JEDI-2P")}


def with_modality(profile: Profile, image_type: str, modality: str) -> Profile:
    return replace(profile, defaults={**profile.defaults, f"modality_{image_type}": modality})


def make_job(folder: Path, of: Record, data: np.ndarray = MOVIE, profile: Profile = PROFILE, **written: Any) -> Job:
    tifffile.imwrite(folder / "m.tif", data, **({"metadata": None, "photometric": "minisblack"} | written))
    contents = tiff.read(Source("m.tif", Folder(folder)), {})
    for content in contents:
        content.close()
    scope = Scope(of, profile, contents[0].facts, "m.tif", imaging.bindings(of))
    return Job(of, "file_path_raw", "m.tif", contents, apply_mapping(load_mapping("imaging"), scope), profile, STARTED)


def get_nodes(built: Built) -> dict[str, Node]:
    return {node.path: node for node in built.nodes}


def list_ids(built: Built) -> list[str]:
    return sorted(found.id for found in built.findings)


def test_mapping_names_exist() -> None:
    check_mapping(load_mapping("imaging"), imaging.SLOTS, imaging.BINDINGS, PROFILE)


def test_takes_movies_only() -> None:
    assert imaging.takes(make_row())
    assert not imaging.takes(make_row(frame_rate=""))
    assert not imaging.takes(make_record("session", "RY_S_0001"))


def test_one_photon_movie(tmp_path: Path) -> None:
    built = imaging.build([make_job(tmp_path, make_row(JEDI), profile=with_modality(PROFILE, "voltage", "one-photon"))])
    assert list_ids(built) == ["image.alignment", "image.unrecorded"]
    found = get_nodes(built)
    assert list(found) == [
        "/general/devices/models/RY_objective",
        "/general/devices/RY_objective",
        "/general/devices/RY_microscope",
        "/general/optophysiology/RY_IMG_0001_plane/optical_channel",
        "/general/optophysiology/RY_IMG_0001_plane",
        "/acquisition/RY_IMG_0001",
    ]
    assert (
        found["/general/devices/RY_microscope"].fields["description"].value
        == "Microscope; its objective is RY_objective"
    )
    objective = found["/general/devices/RY_objective"].links["model"]
    assert found[objective].fields["description"].value == "Objective: magnification 16x, numerical aperture 0.8"
    plane = found["/general/optophysiology/RY_IMG_0001_plane"]
    assert {k: f.value for k, f in plane.fields.items()} == {
        "description": "Imaging plane of RY_IMG_0001",
        "location": "unknown",
        "indicator": "JEDI-2P",
        "excitation_lambda": 488.0,
        "imaging_rate": 500.0,
        "grid_spacing": [8.13e-07, 8.13e-07],
        "grid_spacing_unit": "meters",
        "reference_frame": "image axes; anatomical orientation not recorded",
    }
    assert plane.links == {
        "device": "/general/devices/RY_microscope",
        "optical_channel": ("/general/optophysiology/RY_IMG_0001_plane/optical_channel",),
    }
    channel = found["/general/optophysiology/RY_IMG_0001_plane/optical_channel"]
    assert channel.fields["emission_lambda"].value == 509.0
    series = found["/acquisition/RY_IMG_0001"]
    assert series.type == "OnePhotonSeries"
    assert {k: f.value for k, f in series.fields.items()} == {
        "description": "Raw frames of voltage imaging; 6 images; tuning of the indicator: negative",
        "comments": "cell 3\nalignment unknown: starting_time 0 is no measurement",
        "rate": 500.0,
        "exposure_time": 0.0019,
        "power": 30.5,
        "unit": "a.u.",
        "format": "raw",
        "starting_time": 0.0,
        "dimension": [10, 12],
    }


def test_every_value_names_its_source(tmp_path: Path) -> None:
    for node in imaging.build([make_job(tmp_path, make_row(JEDI))]).nodes:
        for name, field in node.fields.items():
            assert field.rule, f"{node.path} {name}"
            assert field.sources, f"{node.path} {name}"
    spacing = get_nodes(imaging.build([make_job(tmp_path, make_row())]))["/general/optophysiology/RY_IMG_0001_plane"]
    (ref,) = spacing.fields["grid_spacing"].sources
    assert (ref.table, ref.key, ref.column, ref.text) == ("image", "RY_IMG_0001", "pixel_size", "0.813")


def test_frames_become_t_width_height(tmp_path: Path) -> None:
    work = make_job(tmp_path, make_row())
    spec = get_nodes(imaging.build([work]))["/acquisition/RY_IMG_0001"].arrays["data"]
    assert spec.shape == (6, 10, 12)
    assert spec.dtype == "<u2"
    assert (spec.source, spec.content, spec.array, spec.format) == ("m.tif", "", "pixels", "tiff")
    block = tuple(slice(0, n) for n in spec.shape)
    (content,) = tiff.read(Source("m.tif", Folder(tmp_path)), {})
    data = spec.index.to_result(content.arrays["pixels"].read(spec.index.source_selection(block)))
    content.close()
    np.testing.assert_array_equal(data, MOVIE.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("axes", "shape", "expected", "order"),
    [
        ("TZYX", (3, 4, 12, 10), {"": (3, 10, 12, 4)}, (0, 3, 2, 1)),
        ("TCYX", (3, 2, 12, 10), {"_channel1": (3, 10, 12), "_channel2": (3, 10, 12)}, (0, 2, 1)),
        ("TZCYX", (3, 4, 2, 12, 10), {"_channel1": (3, 10, 12, 4), "_channel2": (3, 10, 12, 4)}, (0, 3, 2, 1)),
    ],
)
def test_channels_and_volumes(
    tmp_path: Path, axes: str, shape: tuple[int, ...], expected: dict[str, tuple[int, ...]], order: tuple[int, ...]
) -> None:
    data = np.arange(math.prod(shape), dtype=np.uint16).reshape(shape)
    built = imaging.build([make_job(tmp_path, make_row(JEDI), data, imagej=True, metadata={"axes": axes})])
    series = {p.removeprefix("/acquisition/RY_IMG_0001"): n for p, n in get_nodes(built).items() if "/acquisition" in p}
    assert {name: node.arrays["data"].shape for name, node in series.items()} == expected
    (content,) = tiff.read(Source("m.tif", Folder(tmp_path)), {})
    for number, node in enumerate(series.values()):
        index = node.arrays["data"].index
        block = content.arrays["pixels"].read(index.source_selection([slice(0, n) for n in index.shape()]))
        kept = np.take(data, number, axes.index("C")) if "C" in axes else data
        np.testing.assert_array_equal(index.to_result(block), kept.transpose(order))
    content.close()
    if len(series) > 1:
        optical = [n for n in built.nodes if n.type == "OpticalChannel"]
        assert len(optical) == 2
        assert all(math.isnan(n.fields["emission_lambda"].value) for n in optical)
        assert [n.fields["description"].value[-8:] for n in series.values()] == ["channel1", "channel2"]


def test_named_channels(tmp_path: Path) -> None:
    data = np.zeros((3, 2, 12, 10), np.uint16)
    meta = {"axes": "TCYX", "Channel": {"Name": ["green / GFP", "red"]}}
    built = imaging.build([make_job(tmp_path, make_row(), data, ome=True, metadata=meta)])
    assert [p for p in get_nodes(built) if "/acquisition" in p] == [
        "/acquisition/RY_IMG_0001_green_GFP",
        "/acquisition/RY_IMG_0001_red",
    ]


def test_planes_that_the_file_calls_depth_are_frames(tmp_path: Path) -> None:
    built = imaging.build([make_job(tmp_path, make_row(JEDI), imagej=True, metadata={"axes": "ZYX"})])
    assert "image.depth_as_time" in list_ids(built)
    assert get_nodes(built)["/acquisition/RY_IMG_0001"].arrays["data"].shape == (6, 10, 12)


@pytest.mark.parametrize(
    ("data", "written", "identifier", "words"),
    [
        (np.zeros((2, 3, 12, 10), np.uint8), {"metadata": {}}, "image.axes", "which of the undeclared ones"),
        (np.zeros((12, 10), np.uint8), {}, "image.single", "one frame, but the row has a frame_rate"),
    ],
)
def test_axes_that_a_person_must_name(
    tmp_path: Path, data: np.ndarray, written: dict[str, Any], identifier: str, words: str
) -> None:
    with pytest.raises(Problem, match=words) as caught:
        imaging.build([make_job(tmp_path, make_row(), data, **written)])
    found = caught.value.finding
    assert (found.id, found.location.key, found.location.column) == (identifier, "RY_IMG_0001", "file_path_raw")


def test_several_images_in_one_file(tmp_path: Path) -> None:
    work = make_job(tmp_path, make_row())
    with pytest.raises(Problem, match="holds 2 images"):
        imaging.build([replace(work, contents=work.contents * 2)])


@pytest.mark.parametrize(
    ("cells", "kind", "words"),
    [
        ({"laser_line": "920"}, "TwoPhotonSeries", "laser_line 920 is above 680 nm"),
        ({"laser_line": "488"}, "OnePhotonSeries", "laser_line 488 is not above 680 nm"),
        ({"laser_line": "", "exposure_time": ""}, "ImageSeries", "exposure_time is blank"),
        ({"laser_line": ""}, "OnePhotonSeries", "exposure_time is set"),
    ],
)
def test_one_or_two_photons_without_a_word_in_the_profile(
    tmp_path: Path, cells: dict[str, str], kind: str, words: str
) -> None:
    built = imaging.build([make_job(tmp_path, make_row(JEDI, **cells))])
    assert get_nodes(built)["/acquisition/RY_IMG_0001"].type == kind
    (found,) = (f for f in built.findings if f.id == "image.kind")
    assert words in found.message


def test_two_photon_series_has_no_power(tmp_path: Path) -> None:
    profile = with_modality(PROFILE, "voltage", "two-photon")
    series = get_nodes(imaging.build([make_job(tmp_path, make_row(), profile=profile)]))["/acquisition/RY_IMG_0001"]
    assert series.type == "TwoPhotonSeries"
    assert not {"power", "exposure_time"} & set(series.fields)
    assert {ref.column for ref in series.fields["field_of_view"].sources} == {"x", "y", "pixel_size"}


def test_a_movie_of_unknown_light_is_a_plain_series_beside_its_plane(tmp_path: Path) -> None:
    found = get_nodes(imaging.build([make_job(tmp_path, make_row(JEDI, laser_line="", exposure_time=""))]))
    series = found["/acquisition/RY_IMG_0001"]
    assert (series.type, series.links) == ("ImageSeries", {"device": "/general/devices/RY_microscope"})
    assert series.fields["description"].value.endswith("; laser power 30.5 mW")
    assert found["/general/optophysiology/RY_IMG_0001_plane"].fields["indicator"].value == "JEDI-2P"


def test_absent_stays_absent_and_is_reported(tmp_path: Path) -> None:
    cells = dict.fromkeys(("laser_line", "pixel_size", "numerical_aperture", "objective_magn", "notes"), "")
    built = imaging.build([make_job(tmp_path, make_row(**cells))])
    plane = get_nodes(built)["/general/optophysiology/RY_IMG_0001_plane"].fields
    assert math.isnan(plane["excitation_lambda"].value)
    assert plane["excitation_lambda"].via == "absent"
    assert plane["indicator"].value == "not recorded"
    assert "grid_spacing" not in plane
    assert "grid_spacing_unit" not in plane
    assert list_ids(built) == ["image.alignment", "image.kind", *["image.unrecorded"] * 3]
    device = get_nodes(built)["/general/devices/RY_microscope"].fields["description"]
    assert device.value == "Microscope; its objective is not recorded"


def test_several_indicators_name_none(tmp_path: Path) -> None:
    virus = make_record("virus", "RY_V_0001", {"plasmid": make_plasmid("ML_P_0002", "GCaMP8s", "calcium indicator")})
    built = imaging.build([make_job(tmp_path, make_row({**JEDI, "virus": virus}))])
    plane = get_nodes(built)["/general/optophysiology/RY_IMG_0001_plane"].fields
    assert plane["indicator"].value == "see NWBFile.virus"
    (found,) = (f for f in built.findings if f.id == "image.indicator")
    assert "GCaMP8s (ML_P_0002), JEDI-2P (ML_P_0001)" in found.message


def test_an_actuator_is_no_indicator(tmp_path: Path) -> None:
    virus = make_record("virus", "RY_V_0001", {"plasmid": make_plasmid("ML_P_0002", "ChR2", "optogenetic actuator")})
    built = imaging.build([make_job(tmp_path, make_row({**JEDI, "virus": virus}))])
    assert get_nodes(built)["/general/optophysiology/RY_IMG_0001_plane"].fields["indicator"].value == "JEDI-2P"


@pytest.mark.parametrize(
    ("clock", "start"),
    [
        ("2025-06-20T10:05:00.250", 300.25),
        ("2025-06-20T14:00:30+00:00", 30.0),
        ("2025-06-20T09:55:00", -300.0),
        ("2019-01-01T00:00:00", None),
    ],
)
def test_starting_time_by_the_files_clock(tmp_path: Path, clock: str, start: float | None) -> None:
    work = make_job(tmp_path, make_row(JEDI))
    dated = tuple(replace(c, acquired=datetime.fromisoformat(clock)) for c in work.contents)
    built = imaging.build([replace(work, contents=dated)])
    fields = get_nodes(built)["/acquisition/RY_IMG_0001"].fields
    assert fields["starting_time"].value == (0.0 if start is None else start)
    assert ("image.alignment" in list_ids(built)) is (start is None)
    assert ("recording.before_session" in list_ids(built)) is (start == -300.0)
    if start is not None:
        assert fields["starting_time"].sources[0].origin == "header"
        assert fields["comments"].value == "cell 3"


def test_each_objective_is_a_device(tmp_path: Path) -> None:
    first = make_job(tmp_path, make_row())
    other = make_row(objective_magn="40x")
    second = make_job(tmp_path, replace(other, key="RY_IMG_0002"))
    third = make_job(tmp_path, replace(make_row(), key="RY_IMG_0003"))
    built = imaging.build([first, second, third])
    assert [n.path for n in built.nodes if n.type == "Device"] == [
        f"/general/devices/RY_{name}" for name in ("objective", "microscope", "objective_2", "microscope_2")
    ]
    planes = {n.path: n.links["device"] for n in built.nodes if n.type == "ImagingPlane"}
    assert planes["/general/optophysiology/RY_IMG_0003_plane"] == "/general/devices/RY_microscope"
    assert len({n.path for n in built.nodes}) == len(built.nodes)


@pytest.mark.parametrize(
    ("cells", "severity"),
    [
        ({}, None),
        ({"frame_rate": "501"}, None),
        ({"frame_rate": "505"}, Severity.WARNING),
        ({"frame_rate": "550"}, Severity.ERROR),
        ({"pixel_size": "0.9"}, Severity.WARNING),
        ({"x": "12"}, Severity.ERROR),
        ({"z": "7"}, Severity.ERROR),
    ],
)
def test_cells_against_the_file(tmp_path: Path, cells: dict[str, str], severity: Severity | None) -> None:
    of = make_row(**({"pixel_size": "0.5"} | cells))
    meta = {"axes": "TYX", "unit": "um", "finterval": 0.002}
    work = make_job(tmp_path, of, imagej=True, resolution=(2.0, 2.0), metadata=meta)
    found = compare_cells(of, load_mapping("imaging").compare, work.contents[0].facts, "m.tif")
    worst = {f.severity for f in found} - {Severity.INFO}
    assert worst == ({severity} if severity else set())


def test_pynwb_takes_every_field(tmp_path: Path) -> None:
    """Names and types of all fields are those of pynwb's constructors."""
    from hdmf.utils import get_docval
    from pynwb import get_type_map

    built = imaging.build([make_job(tmp_path, make_row(JEDI))])
    for node in built.nodes:
        known = {a["name"] for a in get_docval(get_type_map().get_dt_container_cls(node.type, "core").__init__)}
        assert {*node.fields, *node.links, *node.arrays} <= known


def test_a_boolean_movie_is_stored_as_0_and_1(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((6, 12, 10)) > 0.5
    built = imaging.build([make_job(tmp_path, make_row(), frames)])
    assert get_nodes(built)["/acquisition/RY_IMG_0001"].arrays["data"].dtype == "|u1"
