"""Vaa3D raw: every type and order of bytes, short extents of old files, damage; packed files are told what to do."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, close_volumes, find_problem, open_image, spoil_file

__all__ = ["close_volumes"]

MAGIC = b"raw_image_stack_by_hpeng"


def write(path: Path, voxels: np.ndarray, order: str = "<", form: str = "4i") -> Path:
    """(c, z, y, x) voxels."""
    letter = {"<": b"L", ">": b"B"}[order]
    head = MAGIC + letter + struct.pack(f"{order}h{form}", voxels.dtype.itemsize, *voxels.shape[::-1])
    path.write_bytes(head + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes())
    return path


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["u1", "u2", "f4"]), st.sampled_from("<>"), st.sampled_from(["4i", "4h"]),
    st.tuples(*[st.integers(1, 6)] * 4), st.integers(0, 99),
)  # fmt: skip
def test_any_type_and_shape(
    tmp_path_factory: pytest.TempPathFactory, kind: str, order: str, form: str, shape: tuple[int, ...], seed: int
) -> None:
    voxels = np.random.default_rng(seed).integers(0, 256, shape).astype(kind)
    image = open_image(write(tmp_path_factory.getbasetemp() / "a.v3draw", voxels, order, form))
    check_blocks(image, voxels, seed, 3)
    assert (image.arrays["pixels"].axes, dict(image.spacing)) == (("c", "z", "y", "x"), {})


def test_distances_are_what_a_person_states(tmp_path: Path) -> None:
    path = write(tmp_path / "a.v3draw", np.zeros((2, 3, 4, 5), "u1"))
    assert dict(open_image(path, pixel_size="0.5", z_spacing="2").spacing) == {"x": 0.5, "y": 0.5, "z": 2}
    assert find_problem(path, axes="tzyx").id == "image.axes"
    assert find_problem(path, z_spacing="near").id == "reader.option"


def test_files_that_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.v3draw", np.zeros((2, 3, 4, 5), "u2"))
    whole = path.read_bytes()
    for data, id in (
        (whole[:-1], "voxels.truncated"),
        (whole[:30], "voxels.damaged"),
        (whole[:24] + b"X" + whole[25:], "voxels.damaged"),
        (whole[:25] + b"\3\0" + whole[27:], "voxels.unsupported"),
        (whole[:27] + b"\0" * 4 + whole[31:], "voxels.damaged"),
        (whole[:27] + b"\xff\xff\xff\x7f" * 4 + whole[43:], "voxels.truncated"),
    ):
        path.write_bytes(data)
        assert find_problem(path).id == id, data[:45]
    path.write_bytes(whole + b"more")
    assert open_image(path).warnings == ("4 bytes follow its voxels, and are not read",)
    path.write_bytes(b"v3d_volume_pkbitdf_encod" + whole[24:])
    found = find_problem(path)
    assert found.id == "format.unknown"
    assert "v3draw" in found.hint


def test_spoilt_files(tmp_path: Path) -> None:
    assert spoil_file(write(tmp_path / "a.v3draw", np.arange(24, dtype="u2").reshape(1, 2, 3, 4)), 4) > 0


@pytest.mark.corpus
def test_the_corpus(corpus: Path) -> None:
    (path,) = sorted((corpus / "vaa3d").rglob("*.v3draw"))
    voxels = np.fromfile(path, "u1", offset=43).reshape(2, 1, 61, 51)
    check_blocks(open_image(path), voxels)
