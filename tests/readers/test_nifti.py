"""NIfTI: voxels as nibabel reads them before it scales them; units, axes, pairs of files, damage."""

from __future__ import annotations

import gzip
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, close_volumes, find_problem, open_image, spoil_file

__all__ = ["close_volumes"]

VOXELS = np.arange(2 * 3 * 4, dtype="<i2").reshape(2, 3, 4, order="F")
KINDS = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}


def write(
    path: Path, voxels: np.ndarray = VOXELS, version: int = 1, units: tuple[str, str] = ("mm", "sec"),
    zooms: tuple[float, ...] = (0.025, 0.025, 0.05), **fields: Any,
) -> Path:  # fmt: skip
    image = KINDS[version](voxels, np.diag([*zooms[:3], 1]), dtype=voxels.dtype)
    image.header.set_zooms((*zooms, 0.5, 1, 1, 1)[: voxels.ndim])
    image.header.set_xyzt_units(*units)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def patch(path: Path, at: int, form: str, *values: float) -> Path:
    """Overwrite a field, which nibabel would not write like that."""
    packed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    struct.pack_into(form, data, at, *values)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["u1", "i1", "i2", "u2", "u4", "i4", "u8", "i8", "f4", "f8"]),
    st.lists(st.integers(1, 6), min_size=2, max_size=5),
    st.sampled_from(["a.nii", "a.nii.gz", "a.hdr"]),
    st.sampled_from("<>"),
    st.integers(0, 99),
)
def test_any_type_as_nibabel_writes_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, sizes: list[int], name: str, order: str, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    data = np.random.default_rng(seed).integers(0, 256, (int(np.prod(sizes)), np.dtype(kind).itemsize), "u1")
    voxels = np.frombuffer(data.tobytes(), order + kind).reshape(sizes, order="F")
    if name == "a.hdr":
        image: Any = nibabel.Nifti1Pair(
            voxels, np.eye(4), nibabel.nifti1.Nifti1PairHeader(endianness=order), dtype=voxels.dtype
        )
    else:
        version = 1 + seed % 2
        header = type(KINDS[version](voxels, None, dtype=voxels.dtype).header)(endianness=order)
        image = KINDS[version](voxels, np.eye(4), header, dtype=voxels.dtype)
    image.header.set_slope_inter(1, 0)
    nibabel.save(image, path)
    expected = voxels.T
    while expected.ndim > 3 and expected.shape[0] == 1:
        expected = expected[0]
    opened = open_image(path)
    assert opened.header["byte_order"] == ("little" if order == "<" else "big")
    check_blocks(opened, expected, seed, 3)


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_header_says(tmp_path: Path, version: int) -> None:
    image = open_image(write(tmp_path / "a.nii.gz", version=version, descrip=b"a brain", qform_code=1))
    assert dict(image.spacing) == {"x": Decimal(25), "y": Decimal(25), "z": Decimal(50)}
    facts = dict(image.facts)
    assert facts.pop("qform").startswith("0 0 0 ")
    assert facts.pop("sform") == "0.025 0 0 0; 0 0.025 0 0; 0 0 0.05 0"
    assert facts == {"x": "2", "y": "3", "z": "4", "pixel_size": "25"}
    assert (image.header["descrip"], image.header["nifti"]) == ("a brain", version)
    assert image.header["pixdim"][1:4] == [0.025, 0.025, 0.05]
    assert image.warnings == ()


def test_a_slope_is_a_fact_and_not_applied(tmp_path: Path) -> None:
    path = patch(write(tmp_path / "a.nii"), 112, "<2f", 0.1, -3)
    assert nibabel.load(path).get_fdata().max() < 0
    image = open_image(path)
    check_blocks(image, VOXELS.T)
    assert (image.facts["scl_slope"], image.facts["scl_inter"]) == ("0.1", "-3")
    assert "kept as stored" in image.warnings[0]
    assert "scl_slope" not in open_image(patch(path, 112, "<2f", 0, 5)).facts


@pytest.mark.parametrize(
    ("shape", "units", "axes", "spacing", "rate"),
    [
        ((2, 3), ("mm", "sec"), "yx", {"x": "25", "y": "25"}, None),
        ((2, 3, 4, 5), ("micron", "msec"), "tzyx", {"x": "0.025", "y": "0.025", "z": "0.05"}, "2000"),
        ((2, 3, 4, 5), ("meter", "unknown"), "qzyx", {"x": "25000", "y": "25000", "z": "50000"}, None),
        ((2, 3, 4, 1, 3), ("mm", "sec"), "ctzyx", {"x": "25", "y": "25", "z": "50"}, "2"),
        ((2, 3, 4, 1, 1), ("unknown", "sec"), "zyx", {}, None),
    ],
)
def test_axes_and_units(
    tmp_path: Path, shape: tuple[int, ...], units: tuple[str, str], axes: str, spacing: dict[str, str], rate: str | None
) -> None:
    voxels = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    image = open_image(write(tmp_path / "a.nii", voxels, units=units))
    assert "".join(image.arrays["pixels"].axes) == axes
    assert dict(image.spacing) == {axis: Decimal(text) for axis, text in spacing.items()}
    assert image.facts.get("frame_rate") == rate
    if units[0] == "unknown":
        assert "state unit" in image.warnings[0]
        assert open_image(tmp_path / "a.nii", unit="um").spacing["z"] == Decimal("0.05")
    if "q" in axes:
        assert open_image(tmp_path / "a.nii", axes="czyx").arrays["pixels"].axes[0] == "c"


def test_colours(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 255, (2, 3, 4, 3), "u1")
    colours = samples.view(np.dtype([(name, "u1") for name in "RGB"]))[..., 0]
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "a.nii")
    image = open_image(tmp_path / "a.nii")
    assert image.arrays["pixels"].axes == ("z", "y", "x", "s")
    check_blocks(image, samples.transpose(2, 1, 0, 3))


def test_an_sform_that_says_something_else(tmp_path: Path) -> None:
    image = open_image(patch(write(tmp_path / "a.nii"), 80, "<f", 9))
    assert image.spacing["x"] == 9000
    assert "a step of its sform 0.025" in image.warnings[-1]


def test_a_header_without_its_voxels(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(VOXELS, np.eye(4)), tmp_path / "a.hdr")
    assert open_image(tmp_path / "a.hdr").header["data_file"] == "a.img"
    (tmp_path / "a.img").rename(tmp_path / "b.img")
    assert find_problem(tmp_path / "a.hdr").id == "voxels.detached"


@pytest.mark.parametrize(
    ("at", "form", "values", "id"),
    [
        (40, "<h", (0,), "voxels.damaged"),
        (40, "<h", (9,), "voxels.damaged"),
        (40, "<h", (1,), "voxels.unsupported"),
        (44, "<h", (-3,), "voxels.damaged"),
        (46, "<h", (400,), "voxels.truncated"),
        (42, "<3h", (32767,) * 3, "voxels.truncated"),
        (70, "<h", (32,), "voxels.unsupported"),
        (72, "<h", (8,), "voxels.damaged"),
        (108, "<f", (3.5e8,), "voxels.truncated"),
        (108, "<f", (12,), "voxels.damaged"),
        (108, "<f", (float("nan"),), "voxels.damaged"),
        (344, "<4s", (b"n+3\0",), "voxels.damaged"),
    ],
)
def test_headers_that_cannot_be(tmp_path: Path, at: int, form: str, values: Any, id: str) -> None:
    assert find_problem(patch(write(tmp_path / "a.nii"), at, form, *values)).id == id
    found = find_problem(patch(write(tmp_path / "a.nii.gz"), at, form, *values))
    assert found.id in (id, "voxels.hostile"), found


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_spoilt_files(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    assert spoil_file(path, 6) > 0
    path.write_bytes(path.read_bytes()[:-9])
    found = find_problem(path)
    assert found.id in ("voxels.truncated", "voxels.damaged")
    if name == "a.nii":
        assert (found.location.expected, found.location.value) == ("48", "39")
