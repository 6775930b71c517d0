"""MAT-files of every version: values as SciPy reads them, what is no array, and hostile input."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from array_files import (
    NOISE,
    TIMES,
    close_files,
    expect_finding,
    list_undeclared,
    make_hdf5,
    make_mat,
    make_mat73,
    open_recording,
    read_all,
)
from hypothesis import given
from hypothesis import strategies as st

from neuropress.independent.pyfive_file import open_hdf5
from neuropress.independent.pyfive_mat import list_arrays
from neuropress.model.source import Source
from neuropress.readers.arrays.hdf5 import OpenArrays
from neuropress.readers.mat import read as reader
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

LEVEL_73 = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  6 10:00:00 2025 HDF5 schema 1.00 ."
KINDS = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]

__all__ = ["close_files"]


def read_variables(path: Path) -> dict[str, np.ndarray]:
    tree = reader._read_tree(Source(path.name, Folder(path.parent)), path.read_bytes()[:4096])
    return {name: variable.read_whole() for name, variable in tree.variables.items()}


@given(st.sampled_from(KINDS), st.lists(st.integers(0, 5), min_size=2, max_size=4), st.booleans(), st.randoms())
def test_what_scipy_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, shape: list[int], packed: bool, random: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.mat"
    bits = random.randbytes(int(np.prod(shape)) * np.dtype(kind).itemsize)
    data = np.frombuffer(bits, kind).reshape(shape, order="F") if kind != "?" else np.resize([True, False], shape)
    path.write_bytes(make_mat({"data": data, "inner": {"a": data, "c": np.array([data, 2.5], object)}}, packed=packed))
    assert choose_format(Source(path.name, Folder(tmp_path_factory.getbasetemp()))).strength == 2
    known = scipy.io.loadmat(path, mat_dtype=True)["data"]
    found = read_variables(path)
    for name in ("data", "inner/a", "inner/c/0"):
        assert found[name].tobytes() == data.tobytes()
        assert (found[name].dtype, found[name].shape) == (np.dtype(kind), data.shape)
    assert known.shape == data.shape
    assert found["inner/c/1"].tolist() == [[2.5]]


def test_narrow_storage_either_byte_order_and_level_4(tmp_path: Path) -> None:
    """MATLAB stores doubles in the narrowest type; a Mac wrote the other byte order; version 4 has no header."""
    path = tmp_path / "a.mat"

    def element(order: str, kind: int, data: bytes) -> bytes:
        if 0 < len(data) <= 4:
            return struct.pack(order + "I", len(data) << 16 | kind) + data.ljust(4, b"\0")
        return struct.pack(order + "2I", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    for order, end in (("<", b"IM"), (">", b"MI")):
        version = struct.pack(order + "H", 0x100)
        body = element(order, 6, struct.pack(order + "2I", 6, 0)) + element(order, 5, struct.pack(order + "2i", 2, 3))
        body += element(order, 1, b"narrow") + element(order, 3, struct.pack(order + "6h", *range(-3, 3)))
        head = b"MATLAB 5.0 MAT-file".ljust(124) + version + end
        path.write_bytes(head + struct.pack(order + "2I", 14, len(body)) + body)
        (found,) = read_variables(path).values()
        assert found.dtype == "f8"
        assert found.tolist() == scipy.io.loadmat(path)["narrow"].tolist() == [[-3, -1, 1], [-2, 0, 2]]
    path.write_bytes(make_mat({"x": np.arange(6.0).reshape(2, 3), "note": "abc"}, version="4"))
    assert choose_format(Source("a.mat", Folder(tmp_path))).format == "mat"
    assert read_variables(path)["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    big = struct.pack(">5i", 1030, 1, 3, 0, 2) + b"y\0" + struct.pack(">3h", 1, -2, 3)
    path.write_bytes(big)
    assert read_variables(path)["y"].tolist() == scipy.io.loadmat(path)["y"].tolist() == [[1, -2, 3]]


def test_parts_are_read_alone(tmp_path: Path) -> None:
    data = np.arange(600.0).reshape(20, 30)
    for packed in (True, False):
        path = tmp_path / "a.mat"
        path.write_bytes(make_mat({"x": data}, packed=packed))
        tree = reader._read_tree(Source(path.name, Folder(tmp_path)), path.read_bytes()[:4096])
        part = slice(3, 9), slice(11, 12)
        assert tree.variables["x"].read(part).tolist() == data[part].tolist()


def test_what_is_no_array_is_listed(tmp_path: Path) -> None:
    things = {
        "t": TIMES, "z": np.array([1 + 2j]), "text": "hello", "sparse": scipy.sparse.csc_matrix(np.eye(3)),
        "cells": np.array(["a", np.zeros((2, 2))], object), "many": np.array([(1.0, "x"), (2.0, "y")], [("v", "O"), ("n", "O")]),
        "empty": {},
    }  # fmt: skip
    arrays, others = list_undeclared(tmp_path / "a.mat", make_mat(things))
    assert set(arrays) == {"t", "cells/1", "many/0/v", "many/1/v"}
    assert others["text"] == "the text 'hello'"
    assert others["sparse"].startswith("a sparse matrix")
    assert others["z"].startswith("complex")
    assert set(others) >= {"cells/0", "many/0/n", "many/1/n", "empty"}


def test_version_73_has_matlabs_order_and_references(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    data = np.arange(6.0).reshape(2, 3)
    double = {"MATLAB_class": np.bytes_(b"double")}
    path.write_bytes(make_hdf5({
        "x": (data.T, double), "s/inner": (data.T, double), "flag": (np.array([[1]], "u1"), {"MATLAB_class": np.bytes_(b"logical")}),
        "text": (np.array([[104], [105]], "u2"), {"MATLAB_class": np.bytes_(b"char")}), "#refs#/a": (data.T + 1, double),
        "object": (np.array([[1]], "u4"), {"MATLAB_class": np.bytes_(b"string"), "MATLAB_object_decode": 3}),
        "nothing": (np.array([0, 0], "u8"), {"MATLAB_class": np.bytes_(b"double"), "MATLAB_empty": np.uint8(1)}),
    }, LEVEL_73))  # fmt: skip
    with h5py.File(path, "r+") as file:
        cells = file.create_dataset("cells", (2, 1), h5py.ref_dtype)
        cells[0, 0] = cells[1, 0] = file["#refs#/a"].ref
        cells.attrs["MATLAB_class"] = np.bytes_(b"cell")
    path.write_bytes(LEVEL_73.ljust(124) + b"\x00\x02IM" + path.read_bytes()[128:])
    arrays, others = list_undeclared(path)
    assert arrays == {"x": "float64 [2, 3]", "s/inner": "float64 [2, 3]", "flag": "bool [1, 1]",
                      "cells/0": "float64 [2, 3]", "cells/1": "float64 [2, 3]"}  # fmt: skip
    assert others["text"] == "the text 'hi'"
    assert others["nothing"] == "empty (double)"
    assert "MATLAB" in others["object"]
    recording = open_recording(path, channels="x[s,t] = mV", rate="10", sweep_interval=1)
    assert [read_all(recording, f"sweep{i:03d}/adc0").tolist() for i in range(2)] == data.tolist()


def test_pyfive_finds_the_arrays_that_we_find(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    data = np.arange(1200.0).reshape(40, 30)
    flags, counts = np.array([[True], [False]]), np.arange(6, dtype="u2").reshape(2, 3)
    path.write_bytes(make_mat73({"V": data, "s/flags": flags, "s/counts": counts}, {"c": (data[:3], counts)}))
    opened = OpenArrays(Source(path.name, Folder(tmp_path)))
    ours = reader.hdf5.read_tree(opened, "mat", {}).variables
    with open_hdf5(path) as file:
        theirs = {name: load(name) for name, load in list_arrays(file).items()}
    assert sorted(theirs) == sorted(ours) == ["V", "c/0", "c/1", "s/counts", "s/flags"]
    for name, array in theirs.items():
        assert (array.dtype, array.tolist()) == (ours[name].dtype, ours[name].read_whole().tolist())
    opened.close()


def test_cells_that_go_round_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(make_hdf5({"x": np.zeros(3)}, LEVEL_73))
    with h5py.File(path, "r+") as file:
        cells = file.create_dataset("cells", (2, 1), h5py.ref_dtype)
        cells[0, 0] = cells[1, 0] = cells.ref
    path.write_bytes(LEVEL_73.ljust(124) + b"\x00\x02IM" + path.read_bytes()[128:])
    assert expect_finding(path).id == "arrays.damaged"


def test_damage_and_bombs(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    whole = make_mat({"V": NOISE, "t": TIMES})
    assert expect_finding(path, whole[:-9]).id == "arrays.damaged"
    (at, *_) = struct.unpack_from("<I", whole, 132)
    broken = bytearray(whole)
    broken[136 + at // 2] ^= 0x55
    assert expect_finding(path, bytes(broken)).id == "arrays.damaged"
    head = whole[:128]
    huge = struct.pack("<2I", 14, 2**31 - 8)
    packed = zlib.compress(huge + b"\0" * 64)
    assert expect_finding(path, head + struct.pack("<2I", 15, len(packed)) + packed).id == "arrays.unsupported"
    deep: Any = np.zeros(1)
    for _ in range(40):
        deep = np.array([deep, 0], object)
    assert expect_finding(path, make_mat({"deep": deep})).id == "arrays.unsupported"
    assert expect_finding(path, b"no MAT-file at all").id == "arrays.damaged"
    flags = (
        struct.pack("<2I", 6, 8)
        + struct.pack("<2I", 1, 0)
        + struct.pack("<2I", 5, 8)
        + struct.pack("<2i", 2**15, 2**15)
    )
    body = flags + struct.pack("<2I", 1, 0)
    assert expect_finding(path, head + struct.pack("<2I", 14, len(body)) + body).id == "arrays.damaged"


CORPUS = {
    "BlueBrain__eFEL/neo_test_file_epoch_times.mat": {"channels": "block/segments/0/analogsignals/0/signal = mV", "rate": "block/segments/0/analogsignals/0/sampling_rate Hz"},
    "BlueBrain__eFEL/neo_test_file_events_time.mat": {"channels": "block/segments/0/analogsignals/0/signal = mV", "rate": "block/segments/0/analogsignals/0/sampling_rate Hz"},
    "rochefort-lab__fissa/cNMFdata.mat": {"channels": "dat/F_df/0[s,t] = a.u.", "rate": "10", "sweep_interval": 60},
    "drieslab__spatial-datasets/20180123_BS10_light.mat": {"channels": "goodLocs[t,0] = px; expr[t,3] = a.u.", "rate": "1"},
    "skjerns__mat7.3/testfile1.mat": {"channels": "data/arr_double = mV", "rate": "1000"},
    "skjerns__mat7.3/testfile3.mat": {"channels": "raw1/h/*[t,1] = mV", "rate": "1000", "sweep_interval": 1},
}  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("name", CORPUS)
def test_every_file_of_the_corpus_is_read(corpus: Path, name: str) -> None:
    path = corpus / "mat" / name
    list_undeclared(path)
    recording = open_recording(path, **CORPUS[name])
    first = read_all(recording, "sweep000/adc0")
    assert len(first)
    if "mat7.3" not in name:
        whole = scipy.io.loadmat(path, mat_dtype=True, struct_as_record=True)
        if "cNMF" in name:
            known = whole["dat"]["F_df"][0, 0].reshape(-1)[0][0]
        elif "BS10" in name:
            known = whole["goodLocs"][:, 0]
        else:
            known = whole["block"]["segments"][0, 0][0, 0]["analogsignals"][0, 0][0, 0]["signal"][0, 0]
        assert first.tolist() == np.asarray(known).reshape(-1).tolist()


@pytest.mark.corpus
def test_a_file_of_texts_has_no_arrays(corpus: Path) -> None:
    arrays, others = list_undeclared(corpus / "mat/skjerns__mat7.3/testfile8.mat")
    assert (arrays, others["char_string"]) == ({}, "the text 'hello world'")
