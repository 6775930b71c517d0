"""EM, micro-CT and static stacks: axes, scales, units and channels, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from ome_zarr_models.v05 import Image as NgffImage

from neuropress.converters import Built, Job, volume
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.mapping.rules import Scope, apply_mapping, check_mapping, load_mapping
from neuropress.model.content import Content, Image, LazyArray, Recording
from neuropress.model.finding import Problem, Severity
from neuropress.model.plan import ArraySpec, Field, Plan, Target
from neuropress.model.profile import Profile, load_profile
from neuropress.model.receipt import InputDigest
from neuropress.model.record import Cell, CellRef, Record
from neuropress.model.source import Source, SourceRoots
from neuropress.readers import raw as readers
from neuropress.readers.raw import RawArrays
from neuropress.results import Request, Seal
from neuropress.results.omezarr import volume as omezarr
from neuropress.storage.roots import Folder

SCALE = "multiscales/0/datasets/0/coordinateTransformations/0/scale"
KEYS = {"sem_dataset": "JL_SD_0001", "micro_ct_dataset": "JL_MD_0001", "image": "ML_IMG_0001"}
NUMBERS = ("resolution", "voxel_size", "pixel_size", "frame_rate")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("dendritic-consortium")


def make_row(profile: Profile, table: str, **cells: str) -> Record:
    spec = profile.tables[table]
    texts = {column: cells.get(column, "") for column in spec.columns} | {spec.key: KEYS[table]}
    values: dict[str, Any] = {}
    for column, text in texts.items():
        numeric = Decimal(text) if text and column in NUMBERS else text or None
        values[column] = int(text) if text and column in "xyz" else numeric
    return Record(table, KEYS[table], 2, {c: Cell(t) for c, t in texts.items()}, values)


def make_image(shape: tuple[int, ...], axes: str, dtype: str = "u1", **more: Any) -> Image:
    data = (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
    array = LazyArray("pixels", shape, np.dtype(dtype), tuple(axes), lambda s: data[s], shape)
    return Image(name="", format="tiff", facts=more.pop("facts", {}), header={}, arrays={"pixels": array}, **more)


def make_job(profile: Profile, record: Record, *contents: Content, source: str = "lichtman/20250620/a.tif") -> Job:
    facts = contents[0].facts if contents else {}
    fields = apply_mapping(load_mapping("volume"), Scope(record, profile, facts, source))
    return Job(record, volume.COLUMN[record.table], source, contents, fields, profile)


def get_values(fields: Mapping[str, Field], prefix: str) -> list[Any]:
    return [f.value for name, f in fields.items() if name.startswith(prefix)]


def get_axes(built: Built) -> tuple[str, list[Any], list[Any]]:
    """Names, scales and units of the axes."""
    fields = built.nodes[0].fields
    count = sum(name.startswith(f"{SCALE}/") for name in fields)
    at = [fields.get(f"multiscales/0/axes/{i}/unit") for i in range(count)]
    names = "".join(fields[f"multiscales/0/axes/{i}/name"].value for i in range(count))
    return names, get_values(fields, SCALE), [unit and unit.value for unit in at]


def test_every_name_of_the_mapping_exists(profile: Profile) -> None:
    check_mapping(load_mapping("volume"), volume.SLOTS, volume.BINDINGS, profile)


def test_rows_that_it_takes(profile: Profile) -> None:
    assert volume.takes(make_row(profile, "sem_dataset"))
    assert volume.takes(make_row(profile, "micro_ct_dataset"))
    assert volume.takes(make_row(profile, "image"))
    assert not volume.takes(make_row(profile, "image", frame_rate="30"))


def test_em_slices_without_a_section_thickness(profile: Profile) -> None:
    built = volume.build(
        [make_job(profile, make_row(profile, "sem_dataset", resolution="4"), make_image((5, 6, 7), "qyx"))]
    )
    assert get_axes(built) == ("zyx", [1.0, 4.0, 4.0], [None, "nanometer", "nanometer"])
    fields = built.nodes[0].fields
    assert fields["multiscales/0/name"].value == "JL_SD_0001"
    assert fields["neuropress/unknown"].value == ["z"]
    cell = CellRef("sem_dataset", "JL_SD_0001", "resolution", "4")
    assert fields[f"{SCALE}/2"] == Field(4.0, "volume/image.x", "number", (cell,))
    (warning,) = built.findings
    assert (warning.id, warning.severity) == ("volume.spacing_unknown", Severity.WARNING)
    assert warning.message.startswith("lichtman/20250620/a.tif: ")
    assert "along z" in warning.message
    assert (warning.location.table, warning.location.line, warning.location.column) == (
        "sem_dataset",
        2,
        "file_path_raw",
    )


def test_em_takes_the_section_thickness_from_the_file_in_the_tables_unit(profile: Profile) -> None:
    content = make_image(
        (5, 6, 7), "zyx", spacing={"z": Decimal("0.035"), "y": Decimal("0.004"), "x": Decimal("0.004")}
    )
    built = volume.build([make_job(profile, make_row(profile, "sem_dataset", resolution="4.0"), content)])
    assert get_axes(built) == ("zyx", [35.0, 4.0, 4.0], ["nanometer"] * 3)
    source = CellRef("file", "lichtman/20250620/a.tif", "spacing.z", "0.035 micrometer", "header")
    assert built.nodes[0].fields[f"{SCALE}/0"].sources == (source,)
    assert built.nodes[0].fields["neuropress/stated_spacing"].value == [0.035, 0.004, 0.004]
    assert built.findings == ()


def test_micro_ct_voxels_are_cubes(profile: Profile) -> None:
    built = volume.build(
        [make_job(profile, make_row(profile, "micro_ct_dataset", voxel_size="0.7"), make_image((5, 6, 7), "qyx"))]
    )
    assert get_axes(built) == ("zyx", [0.7, 0.7, 0.7], ["micrometer"] * 3)
    assert built.findings == ()


def test_a_blank_pixel_size_is_taken_from_the_file(profile: Profile) -> None:
    content = make_image((6, 7), "yx", spacing={"y": Decimal("0.1"), "x": Decimal("0.2")})
    built = volume.build([make_job(profile, make_row(profile, "image"), content)])
    assert get_axes(built) == ("yx", [0.1, 0.2], ["micrometer"] * 2)


def test_a_blank_pixel_size_that_the_file_does_not_know_either(profile: Profile) -> None:
    built = volume.build([make_job(profile, make_row(profile, "image"), make_image((6, 7), "yx"))])
    assert get_axes(built) == ("yx", [1.0, 1.0], [None, None])
    assert built.nodes[0].fields["neuropress/unknown"].value == ["y", "x"]


def test_an_undeclared_axis_is_z_when_the_row_says_so(profile: Profile) -> None:
    record = make_row(profile, "image", pixel_size="0.5", z="5")
    built = volume.build([make_job(profile, record, make_image((5, 6, 7), "qyx"))])
    names, scales, _ = get_axes(built)
    assert (names, scales) == ("zyx", [1.0, 0.5, 0.5])
    declared = CellRef("file", "lichtman/20250620/a.tif", "axes", "qyx", "header")
    assert built.nodes[0].fields["multiscales/0/axes/0/name"].sources == (declared, record.ref("z"))


@pytest.mark.parametrize(
    ("cells", "content", "words"),
    [
        ({"z": "9"}, make_image((5, 6, 7), "qyx"), "has 5 planes along an axis without a name, the cell z says 9"),
        ({}, make_image((5, 6, 7), "qyx"), "the cell z says nothing"),
        (
            {"z": "5"},
            make_image((5, 5, 6, 7), "qqyx"),
            r"axes q q y x \(5 x 5 x 6 x 7\); what q is, the file does not say",
        ),
        ({"z": "5"}, make_image((5, 2, 6, 7), "qzyx"), "what q is, the file does not say"),
        ({}, make_image((2, 6, 7, 3), "cyxs"), "has the axes c y x s .*, which are not t, c, z, y, x"),
        ({}, make_image((9,), "x"), "which are not t, c, z, y, x"),
    ],
)
def test_axes_that_a_person_must_state(profile: Profile, cells: dict[str, str], content: Image, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        volume.build([make_job(profile, make_row(profile, "image", **cells), content)])
    assert caught.value.finding.id == "volume.axes"
    assert caught.value.finding.location.key == "ML_IMG_0001"


def test_what_is_no_single_image(profile: Profile) -> None:
    record, one = make_row(profile, "sem_dataset", resolution="4"), make_image((6, 7), "yx")
    for contents, id, words in (
        ((one, one), "volume.scenes", "holds 2 images"),
        ((Recording("", "abf", {}, {}, {}),), "volume.content", r"\(abf\) holds no image"),
        ((make_image((6, 7), "yx", "c8"),), "volume.dtype", "pixels of type complex64"),
    ):
        with pytest.raises(Problem, match=words) as caught:
            volume.build([make_job(profile, record, *contents)])
        assert caught.value.finding.id == id


def test_axes_are_brought_into_order_and_single_ones_left_out(profile: Profile) -> None:
    content = make_image((1, 5, 2, 6, 7), "tzcyx", "<u2", channels=("DAPI", ""))
    built = volume.build([make_job(profile, make_row(profile, "image", pixel_size="0.5"), content)])
    (node,) = built.nodes
    spec = node.arrays["0"]
    pixels = content.arrays["pixels"]
    selection = tuple(slice(0, n) for n in spec.shape)
    read = spec.index.to_result(pixels.read(spec.index.source_selection(selection)))
    np.testing.assert_array_equal(read, pixels.read((slice(None),) * 5)[0].transpose(1, 0, 2, 3))
    assert (spec.shape, spec.dtype) == ((2, 5, 6, 7), "<u2")
    assert get_axes(built)[0] == "czyx"
    assert get_values(node.fields, "omero/channels/0") == ["DAPI", "00FF00", True], "what is white is measured later"
    assert get_values(node.fields, "omero/channels/1") == ["channel 1", "FF00FF", True]
    assert node.fields["omero/channels/0/label"].sources[0].text == "DAPI"


def test_colour_samples_become_channels(profile: Profile) -> None:
    built = volume.build([make_job(profile, make_row(profile, "image", pixel_size="1"), make_image((6, 7, 3), "yxs"))])
    fields = built.nodes[0].fields
    assert get_axes(built) == ("cyx", [1.0, 1.0, 1.0], [None, "micrometer", "micrometer"])
    assert [fields[f"omero/channels/{i}/label"].value for i in range(3)] == ["red", "green", "blue"]
    assert [fields[f"omero/channels/{i}/color"].value for i in range(3)] == ["FF0000", "00FF00", "0000FF"]
    assert built.findings == ()


@pytest.mark.parametrize(("axes", "dtype"), [("yx", "<u2"), ("yx", "f4"), ("cyx", "f4")])
def test_what_is_white_is_stated_of_colours_of_8_bits_alone(profile: Profile, axes: str, dtype: str) -> None:
    row = make_row(profile, "image", pixel_size="1")
    fields = volume.build([make_job(profile, row, make_image((2, 6, 7)[-len(axes) :], axes, dtype))]).nodes[0].fields
    one = ["ML_IMG_0001", "FFFFFF", True]
    assert get_values(fields, "omero/channels/0") == (["channel 0", "00FF00", True] if "c" in axes else one)
    colours = volume.build([make_job(profile, row, make_image((6, 7, 4), "yxs"))]).nodes[0].fields
    assert get_values(colours, "omero/channels/3") == ["alpha", "FFFFFF", True, 0, 255, 0, 255]


@pytest.mark.parametrize(("facts", "step"), [({"frame_rate": "4"}, (0.25, "second")), ({}, (1.0, None))])
def test_declared_time(profile: Profile, facts: dict[str, str], step: tuple[float, str | None]) -> None:
    content = make_image((3, 6, 7), "tyx", facts=facts)
    names, scales, units = get_axes(
        volume.build([make_job(profile, make_row(profile, "image", pixel_size="1"), content)])
    )
    assert (names, scales[0], units[0]) == ("tyx", *step)


NEUBIAS = "tiff_imagej/NEUBIAS__training-resources/"
EM = "em/NEUBIAS__training-resources/"
REAL = [
    ("sem_dataset", EM + "image_data/xyz_8bit__em_volume_tiff_series/", {"resolution": "16"}, "zyx"),
    ("sem_dataset", EM + "xy_8bit__em_mitochondria_er.tif", {"resolution": "5"}, "yx"),
    ("sem_dataset", "em/zhixuhao__unet/data/membrane/train/image/", {"resolution": "4"}, "zyx"),
    ("micro_ct_dataset", NEUBIAS + "xyz_8bit_calibrated_anisotropic__mri_head.tif", {"voxel_size": "1000"}, "zyx"),
    ("micro_ct_dataset", "tiff_compressed/stardist__stardist/img3d.tif", {"voxel_size": "1"}, "zyx"),
    ("sem_dataset", "tiff_zseries/brainglobe__brainreg/tests/data/input/brain/", {"resolution": "10000"}, "zyx"),
    ("image", NEUBIAS + "image_3D_calibrated.tif", {}, "zyx"),
    ("image", NEUBIAS + "xyzc_16bit__dna_conf_wf.tif", {"pixel_size": "0.1"}, "czyx"),
    ("image", NEUBIAS + "xyc_16bit__nup_nuclei.tif", {}, "cyx"),
    ("image", NEUBIAS + "xyt_calibrated_16bit__golgi_bfa_sum_projection.tif", {}, "tyx"),
    ("image", "tiff_ome/libvips__libvips/multi-channel-z-series.ome.tif", {}, "czyx"),
    ("image", "tiff_compressed/CellProfiler__CellProfiler/NikonTIF.tif", {}, "cyx"),
    ("image", "tiff_compressed/thunder-project__thunder/dotdotdot_lzw.tif", {"z": "3"}, "zyx"),
]


def read_with_library(path: Path) -> np.ndarray:
    """The pixels as tifffile or imagecodecs gives them, in the order of the axes in the file."""
    if not path.is_dir():
        return np.asarray(tifffile.imread(path))
    from imagecodecs import imread

    from neuropress.model.source import natural_key

    members = sorted((p for p in path.iterdir() if p.suffix in (".tif", ".png")), key=lambda p: natural_key(p.name))
    return np.stack([np.asarray(tifffile.imread(p) if p.suffix == ".tif" else imread(p)) for p in members])


@pytest.mark.corpus
@pytest.mark.parametrize(("table", "key", "cells", "axes"), REAL, ids=[r[1].rstrip("/").split("/")[-1] for r in REAL])
def test_real_files(
    corpus: Path, profile: Profile, tmp_path: Path, table: str, key: str, cells: dict[str, str], axes: str
) -> None:
    source = Source(key, Folder(corpus))
    contents = readers.read(source)
    built = volume.build([make_job(profile, make_row(profile, table, **cells), *contents, source=key)])
    headers = {key: {c.name: c.header for c in contents}}
    plan = Plan(Target("ome-zarr", KEYS[table], "v.ome.zarr"), built.nodes, source.inputs, (), headers)
    seal = Seal("1", "rows", {i.key: InputDigest(i.size, "00") for i in source.inputs})
    path = tmp_path / "v.ome.zarr"
    with RawArrays(SourceRoots((Folder(corpus),))) as raw:
        write_result(Request(plan, path, seal), raw, LocalExecutor(), lambda n: None)
    for content in contents:
        content.close()
    assert get_axes(built)[0] == axes
    expected = read_with_library(corpus / key)
    if axes == "czyx" and "xyzc" in key:
        expected = expected.swapaxes(0, 1)
    if contents[0].arrays["pixels"].axes[-1] == "s":
        expected = np.moveaxis(expected, -1, 0)
    spec: ArraySpec = built.nodes[0].arrays["0"]
    found = zarr.open_array(path / "0", mode="r")
    assert found.dtype == np.dtype(spec.dtype)
    np.testing.assert_array_equal(found[...], expected.reshape(spec.shape))
    NgffImage.from_zarr(zarr.open_group(path, mode="r"))
    made = omezarr.read_provenance(path)
    assert made.headers == json.loads(json.dumps(headers))
    assert made.receipt.derived == omezarr.digest_derived(path)
