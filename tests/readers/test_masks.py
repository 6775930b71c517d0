"""Regions as images: labels and planes, each pixel counted, and what is no image of regions."""

import random
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import suite2p_files as s2p
import tifffile
from campaigns import campaign
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuropress.model.content import DataTable
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.masks.read import _split_labels
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

LABELS = np.array([[0, 7, 7, 0], [0, 7, 0, 300], [2, 0, 0, 300]], "u2")
REGIONS = {2: [(0, 2)], 7: [(1, 0), (2, 0), (1, 1)], 300: [(3, 1), (3, 2)]}
PLANES = np.array([[[0, 1, 0], [0, 1, 1]], [[0, 0, 1], [0, 0, 1]]], "?")


def open_file(path: Path) -> DataTable:
    (table,) = read(Source(path.name, Folder(path.parent)), purposes=("masks", "regions"))
    assert isinstance(table, DataTable)
    return table


def read_whole(table: DataTable, name: str) -> np.ndarray:
    lazy = table.arrays[name]
    return lazy.read(tuple(slice(0, extent) for extent in lazy.shape))


def list_masks(table: DataTable) -> list[list[tuple[int, int]]]:
    parts = np.split(read_whole(table, "pixels"), read_whole(table, "ends")[:-1])
    assert all((part["weight"] == 1).all() for part in parts)
    return [list(zip(part["x"].tolist(), part["y"].tolist(), strict=True)) for part in parts]


def write(path: Path, image: Any) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, image, metadata=None, photometric="minisblack")
    elif path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(image))
    else:
        path.write_bytes(s2p.make_npy(image) if isinstance(image, np.ndarray) else image)
    return path


@pytest.mark.parametrize("name", ["labels.tif", "labels.png", "labels.npy", "fortran.npy", "float.npy", "cell_seg.npy"])
def test_labels_keep_their_ids_and_pixels(tmp_path: Path, name: str) -> None:
    image: Any = LABELS
    if name == "fortran.npy":
        image = np.asfortranarray(LABELS)
    elif name == "float.npy":
        image = LABELS.astype("f8")
    elif name == "cell_seg.npy":
        image = s2p.make_objects({"masks": LABELS, "flows": [np.zeros(3)], "filename": "/home/ada/x.tif"})
    table = open_file(write(tmp_path / name, image))
    assert list_masks(table) == list(REGIONS.values())
    assert read_whole(table, "label").tolist() == list(REGIONS)
    assert table.header == {"regions": 3, "bounds": [0, 0, 4, 3], "image_size": [4, 3]}


@pytest.mark.parametrize(("name", "scale"), [("planes.tif", 255), ("planes.npy", 1)])
def test_planes_may_overlap(tmp_path: Path, name: str, scale: int) -> None:
    image = PLANES if scale == 1 else PLANES.astype("u1") * np.uint8(scale)
    table = open_file(write(tmp_path / name, image))
    assert list_masks(table) == [[(1, 0), (1, 1), (2, 1)], [(2, 0), (2, 1)]]
    assert read_whole(table, "mask_plane").tolist() == [0, 1]


def test_the_column_decides_what_an_image_is_opened_for(tmp_path: Path) -> None:
    source = Source(write(tmp_path / "labels.tif", LABELS).name, Folder(tmp_path))
    assert choose_format(source).format == "tiff"
    assert choose_format(source, ("masks",)).format == "masks"
    lone = Source(write(tmp_path / "labels.npy", LABELS).name, Folder(tmp_path))
    assert choose_format(lone).format == "npy"
    assert choose_format(lone, ("masks",)).format == "masks"


def test_one_value_is_one_region_and_said(tmp_path: Path) -> None:
    (warning,) = open_file(write(tmp_path / "m.tif", (LABELS > 0).astype("u1") * 255)).warnings
    assert "one region" in warning


@pytest.mark.parametrize(
    ("name", "image", "id", "words"),
    [
        ("zeros.tif", LABELS * 0, "regions.empty", "all its 12 pixels"),
        ("rgb.png", np.ones((4, 5, 3), "u1"), "regions.damaged", "colours"),
        ("fractions.npy", np.full((3, 4), 0.5), "regions.damaged", "fractions"),
        ("nan.npy", np.full((3, 4), np.nan), "regions.damaged", "fractions"),
        ("negative.npy", np.full((3, 4), -1), "regions.damaged", "label -1"),
        ("line.npy", np.zeros(3, "u1"), "regions.damaged", "1 axes"),
        ("stack.tif", np.stack([LABELS, LABELS]), "regions.damaged", "plane 0 has the values 2 and 300"),
        ("other_seg.npy", s2p.make_objects({"a": 1}), "regions.damaged", "no array masks"),
    ],
)
def test_what_is_no_image_of_regions_is_said(tmp_path: Path, name: str, image: Any, id: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        open_file(write(tmp_path / name, image))
    assert (caught.value.finding.id, words in caught.value.finding.message) == (id, True), caught.value


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "l.tif", LABELS)
    write(tmp_path / "p.npy", PLANES)
    for name, limit in (("MASK_BYTES", 5), ("REGION_COUNT", 1), ("ROI_PIXELS", 4)):
        with monkeypatch.context() as patch:
            patch.setattr(f"neuropress.readers.masks.read.{name}", limit)
            for file in ("l.tif", "p.npy"):
                with pytest.raises(Problem) as caught:
                    open_file(tmp_path / file)
                assert caught.value.finding.id == "regions.limit"


@given(hnp.arrays("u1", st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 3)))
def test_every_pixel_is_in_the_region_of_its_label(image: np.ndarray) -> None:
    pixels, ends, column = _split_labels(image)
    again = np.zeros_like(image)
    for label, part in zip(column.data, np.split(pixels, ends[:-1]), strict=False):
        again[part["y"], part["x"]] = label
    assert np.array_equal(again, image)


def test_cut_and_spoilt_files(tmp_path: Path) -> None:
    met: set[str] = set()
    rng = random.Random(3)
    for name in ("l.tif", "l.png", "l.npy"):
        whole = write(tmp_path / name, LABELS).read_bytes()
        for number in range(campaign(23, 220)):
            data = bytearray(whole)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            data = data if number % 11 else data[: rng.randrange(1, len(data))]
            (tmp_path / name).write_bytes(bytes(data))
            try:
                table = open_file(tmp_path / name)
                for array in table.arrays:
                    read_whole(table, array)
            except Problem as bad:
                met.add(bad.finding.id.split(".")[0])
    assert met <= {"regions", "arrays", "tiff", "png", "image", "format", "file", "pickle"}
