"""CaImAn's results, in its layout but written here: components down the columns of the image, traces, damage."""

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from caiman_files import COLUMNS, MASKS, ROWS, write_results
from campaigns import campaign

from neuropress.model.content import Content
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.raw import read
from neuropress.storage.roots import Folder


def open_file(path: Path) -> dict[str, Content]:
    contents = read(Source(path.name, Folder(path.parent)), purposes=("masks", "regions"))
    return {content.name: content for content in contents}


def read_array(content: Content, name: str) -> np.ndarray:
    lazy = content.arrays[name]
    return lazy.read(tuple(slice(0, extent) for extent in lazy.shape))


def test_components_and_traces(tmp_path: Path) -> None:
    contents = open_file(write_results(tmp_path / "r.hdf5"))
    table = contents[""]
    masks = np.split(read_array(table, "pixels"), read_array(table, "ends")[:-1])
    assert [[tuple(pixel) for pixel in mask.tolist()] for mask in masks] == MASKS
    assert table.header["image_size"] == [COLUMNS, ROWS]
    assert read_array(table, "accepted").tolist() == [True, False, True]
    assert read_array(table, "SNR_comp").tolist() == [3.5, 0.5, 9.0]
    assert {one.header["trace"] for name, one in contents.items() if name} == {
        "denoised",
        "residual",
        "dff",
        "deconvolved",
    }
    with h5py.File(tmp_path / "r.hdf5") as file:
        assert np.array_equal(read_array(contents["C"], "C"), file["estimates/C"][()])
    table.close()


def test_masks_are_those_of_scipy(tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    path = write_results(tmp_path / "r.hdf5")
    with h5py.File(path) as file:
        parts = [file[f"estimates/A/{name}"][()] for name in ("data", "indices", "indptr", "shape")]
    whole = sparse.csc_matrix(tuple(parts[:3]), shape=parts[3]).toarray()
    image = whole.reshape((ROWS, COLUMNS, len(MASKS)), order="F")
    again = np.zeros_like(image)
    table = open_file(path)[""]
    for number, part in enumerate(np.split(read_array(table, "pixels"), read_array(table, "ends")[:-1])):
        again[part["y"], part["x"], number] = part["weight"]
    assert np.array_equal(again, image)
    table.close()


@pytest.mark.parametrize(
    ("changes", "id", "words"),
    [
        ({"estimates__A__data": None}, "regions.damaged", "estimates/A/data"),
        ({"estimates__A__indptr": np.array([0, 3, 2, 5])}, "regions.damaged", "follow"),
        ({"estimates__A__indices": np.array([0, 1, 2, 3, 9999])}, "regions.damaged", "beyond"),
        ({"estimates__A__shape": np.array([300, 3])}, "regions.damaged", "no image"),
        ({"estimates__dims": np.array([20, 16, 3])}, "regions.damaged", "two axes"),
        ({"estimates__C": np.zeros((2, 12))}, "regions.mismatch", "3 components"),
        ({"estimates__S": np.zeros((3, 11))}, "regions.mismatch", "S 11"),
        ({"estimates__idx_components": np.array([3])}, "regions.damaged", "idx_components"),
        ({"estimates__C": h5py.ExternalLink("other.h5", "/C")}, "regions.unsafe", "another file"),
        ({"estimates__C": h5py.SoftLink("/estimates/S")}, "", ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(tmp_path: Path, changes: dict[str, Any], id: str, words: str) -> None:
    path = write_results(tmp_path / "r.hdf5", **changes)
    if not id:
        contents = open_file(path)
        assert "C" not in contents
        contents[""].close()
        return
    with pytest.raises(Problem) as caught:
        open_file(path)
    assert (caught.value.finding.id, words in caught.value.finding.message) == (id, True), caught.value


def test_cut_and_spoilt_files(tmp_path: Path) -> None:
    whole = write_results(tmp_path / "r.hdf5").read_bytes()
    met: set[str] = set()
    rng = random.Random(11)
    for number in range(campaign(23, 220)):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        data = data if number % 11 else data[: rng.randrange(8, len(data))]
        (tmp_path / "r.hdf5").write_bytes(bytes(data))
        contents: dict[str, Content] = {}
        try:
            contents = open_file(tmp_path / "r.hdf5")
            for content in contents.values():
                for array in content.arrays:
                    read_array(content, array)
        except Problem as bad:
            met.add(bad.finding.id.split(".")[0])
        for content in contents.values():
            content.close()
    assert met <= {"regions", "format", "file"}
