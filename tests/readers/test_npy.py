"""NPY and NPZ: every type, order and version as NumPy writes it; nothing is unpickled; hostile headers."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import (
    NOISE,
    TIMES,
    close_files,
    expect_finding,
    list_undeclared,
    make_npy,
    make_npz,
    open_arrays,
    open_recording,
    read_all,
    try_arrays,
)
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.content import Image
from neuropress.model.source import Source
from neuropress.readers.arrays import plain
from neuropress.readers.npy import read as reader
from neuropress.storage.roots import Folder

__all__ = ["close_files"]


@given(
    st.sampled_from(["<i2", ">f8", "u1", "<f4", ">u4", "?", "<i8"]),
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5), st.integers(1, 6)), max_size=4),
    st.sampled_from("CF"),
    st.sampled_from([(1, 0), (2, 0), (3, 0)]),
    st.integers(1, 100),
)
def test_parts_as_numpy_reads_them(
    tmp_path_factory: pytest.TempPathFactory, kind: str, axes: list[tuple[int, int, int]], order: Any,
    version: tuple[int, int], piece: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.getbasetemp()
    shape = tuple(extent for extent, _, _ in axes)
    data = np.arange(int(np.prod(shape)) % 2**16).astype(kind).reshape(shape, order=order)
    part = tuple(slice(min(at, extent - 1), min(at, extent - 1) + most) for extent, at, most in axes)
    part = tuple(slice(one.start, min(one.stop, extent)) for one, extent in zip(part, shape, strict=True))
    before, plain.PIECE_BYTES = plain.PIECE_BYTES, piece
    try:
        for name, raw in (("a.npy", make_npy(data, version)), ("a.npz", make_npz(q=data))):
            (folder / name).write_bytes(raw)
            source = Source(name, Folder(folder))
            tree = reader._read_single(source) if name == "a.npy" else reader._read_zip(source)
            (variable,) = tree.variables.values()
            assert (variable.shape, variable.dtype) == (data.shape, data.dtype.newbyteorder("="))
            assert variable.read(part).tolist() == data[part].tolist()
    finally:
        plain.PIECE_BYTES = before


def test_a_name_does_not_matter(tmp_path: Path) -> None:
    arrays, _ = list_undeclared(tmp_path / "movie.h5", make_npy(np.zeros((3, 4))))
    assert arrays == {"array": "float64 [3, 4]"}


class Trap:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/neuropress-was-unpickled"),)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    found = expect_finding(tmp_path / "a.npy", make_npy(np.array([Trap()], object)))
    assert found.id == "arrays.unsupported"
    assert "unpickling" in found.message
    arrays, others = list_undeclared(tmp_path / "a.npz", make_npz(bad=np.array([Trap()], object), good=np.zeros(3)))
    assert set(arrays) == {"good"}
    assert "objects" in others["bad"]
    assert not Path("/tmp/neuropress-was-unpickled").exists()


def make_header(text: str, data: bytes = b"") -> bytes:
    raw = text.encode()
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + data


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b"\x93NUMPY", "arrays.damaged"),
        (b"\x93NUMPY\x09\x00\x00\x00", "arrays.damaged"),
        (make_header("__import__('os').system('true')"), "arrays.damaged"),
        (make_header("(" * 5000), "arrays.damaged"),
        (make_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }", b"\0" * 80), "arrays.damaged"),
        (make_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "arrays.damaged"),
        (make_header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }", b"\0" * 8), "arrays.damaged"),
        (make_header("{'descr': '<f8', 'fortran_order': 1, 'shape': (1,), }", b"\0" * 8), "arrays.damaged"),
        (make_header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8), "arrays.unsupported"),
        (make_header("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }", b"\0" * 12), "arrays.unsupported"),
        (make_header("{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }", b"\0" * 16), "arrays.unsupported"),
        (make_npy(np.zeros(9))[:-1], "arrays.damaged"),
        (make_npy(np.zeros(9)) + b"\0", "arrays.damaged"),
    ],
)  # fmt: skip
def test_hostile_headers(tmp_path: Path, raw: bytes, id: str) -> None:
    assert expect_finding(tmp_path / "a.npy", raw).id == id


def test_hostile_zips(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    whole = make_npz(q=NOISE)
    assert expect_finding(path, whole[: len(whole) // 2]).id == "arrays.damaged"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("q.npy", make_npy(np.zeros(40_000_000, "u1")))
    assert expect_finding(path, file.getvalue()).id == "arrays.unsupported"
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0x55
    assert try_arrays(path, bytes(broken), channels="q = mV", rate="10") is None


def test_sweeps_and_channels_of_one_array(tmp_path: Path) -> None:
    data = NOISE[:240].reshape(4, 2, 30)
    options = {"channels": "array[s,0,t] = mV; array[s,1,t] = 0.5 pA", "rate": "30000/1001", "sweep_interval": 2.5}
    recording = open_recording(tmp_path / "a.npy", make_npy(data), **options)
    assert [float(sweep.start) for sweep in recording.sweeps] == [0, 2.5, 5, 7.5]
    assert [(one.name, one.unit, float(one.gain)) for one in recording.adc] == [
        ("array[s,0,t]", "mV", 1),
        ("array[s,1,t]", "pA", 0.5),
    ]
    assert read_all(recording, "sweep002/adc1").tolist() == data[2, 1].tolist()
    assert float(recording.rate) == 30000 / 1001
    assert recording.header["declared"]["rate"] == "30000/1001"


def test_times_must_be_even(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    options = {"channels": "V = mV", "time": "t ms"}
    assert str(open_recording(path, make_npz(V=NOISE[:200], t=TIMES), **options).rate) == "20000"
    assert str(open_recording(path, make_npz(V=NOISE[:200], t=TIMES.astype("f4")), **options).rate) == "20000"
    odd = TIMES.copy()
    odd[70] += 0.004
    found = expect_finding(path, make_npz(V=NOISE[:200], t=odd), **options)
    assert found.id == "arrays.times"
    assert "number 70" in found.message
    for bad in (odd * np.nan, odd * 0, -odd, odd[:1]):
        assert expect_finding(path, make_npz(V=NOISE[: len(bad)], t=bad), **options).id == "arrays.times"
    found = expect_finding(path, make_npz(V=NOISE[:200], t=TIMES[:99]), **options)
    assert found.id == "arrays.declaration"
    each = make_npz(
        V_1=NOISE[:20], V_2=NOISE[20:40], V_10=NOISE[40:60], t_1=TIMES[:20], t_2=TIMES[:20] + 7, t_10=TIMES[:20] + 9
    )
    recording = open_recording(path, each, channels="V_* = mV", time="t_* s")
    assert [float(sweep.start) for sweep in recording.sweeps] == [0, 7, 9]
    assert read_all(recording, "sweep002/adc0").tolist() == NOISE[40:60].tolist()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"channels": "W = mV", "rate": "1"}, "there is no array"),
        ({"channels": "V = mV"}, "rate ="),
        ({"channels": "V = mV", "rate": "1", "time": "t s"}, "not both"),
        ({"channels": "M = mV", "rate": "1"}, "M[t,s]"),
        ({"channels": "M[s,t] = mV", "rate": "1"}, "sweep_interval"),
        ({"channels": "M[s,t] = mV", "rate": "1", "sweep_interval": 1}, "cannot begin"),
        ({"channels": "M[t,10] = mV", "rate": "1"}, "does not fit"),
        ({"channels": "V = mV; t = ms", "rate": "1", "axes": "tyx"}, "does not go with"),
        ({"channels": "V = mV; n = mV", "rate": "1"}, "samples"),
        ({"channels": "V = mV", "rate": "V Hz"}, "not one number"),
        ({"channels": "V = mV", "pixels": "M", "rate": "1"}, "one of these"),
        ({"rate": "1"}, "state channels"),
        ({"pixels": "V"}, "no image"),
        ({"pixels": "M"}, "axes"),
        ({"pixels": "M", "axes": "tyx"}, "does not fit"),
        ({"columns": "V = cm"}, "frame_rate"),
        ({"columns": "V = cm; n = time s"}, "different lengths"),
    ],
)
def test_a_declaration_that_does_not_fit(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    raw = make_npz(V=NOISE[:200], t=TIMES, M=NOISE[:40].reshape(4, 10), n=np.arange(3))
    found = expect_finding(tmp_path / "a.npz", raw, **options)
    assert found.id == "arrays.declaration"
    assert what in found.message


@pytest.mark.corpus
def test_every_file_of_the_corpus_is_read(corpus: Path) -> None:
    files = {
        "CellProfiler__CellProfiler/neurite.npy": "yx", "CellProfiler__CellProfiler/volume.npy": "zyx",
        "brainglobe__brainrender/volume.npy": "tyx",
    }  # fmt: skip
    for name, axes in files.items():
        path = corpus / "npy" / name
        (image,) = open_arrays(path, axes=axes)  # an NPY has one array
        assert isinstance(image, Image)
        assert read_all(image, "pixels").tolist() == np.load(path).tolist()
    path = corpus / "npy/brainglobe__brainrender/probe_1_striatum.npy"
    recording = open_recording(path, channels="array[t,1] = um", rate="1")
    assert read_all(recording, "sweep000/adc0").tolist() == np.load(path)[:, 1].tolist()


def test_what_nobody_declared_shows_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(make_npy(np.zeros((4, 3))))
    (content,) = reader.read(Source("a.npy", Folder(tmp_path)), {})
    text = content.header["undeclared"]
    assert 'of a movie pixels = "NAME", axes = "tyx"' in text
    assert 'or of behaviour columns = "NAME = time s; NAME = cm"' in text
    assert "['" not in text
