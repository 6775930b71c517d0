"""Files of named arrays as tests need them, and how they are opened."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from neuropress.model.content import Content, Recording
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers import check_reader_options
from neuropress.readers.raw import choose_reader, read
from neuropress.storage.roots import Folder

_OPENED: list[Content] = []


@pytest.fixture(autouse=True)
def close_files() -> Iterator[None]:
    """Close what a test has opened; a module that imports it has it."""
    yield
    while _OPENED:
        _OPENED.pop().close()


NOISE = np.random.default_rng(11).normal(-65, 5, 4000)
TIMES = np.arange(200) * 0.05


def make_mat(variables: Mapping[str, Any], *, packed: bool = True, version: str = "5") -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, dict(variables), do_compression=packed, format=version, oned_as="column")
    return file.getvalue()


def make_mat73(variables: Mapping[str, np.ndarray], cells: Mapping[str, tuple[np.ndarray, ...]] | None = None) -> bytes:
    """As MATLAB writes version 7.3: chunks behind a block of its own, axes turned, cells by reference."""
    file = io.BytesIO()
    kinds = {"f": b"double", "b": b"logical", "u": b"uint16", "i": b"int16"}
    with h5py.File(file, "w", userblock_size=512) as made:

        def add(path: str, data: np.ndarray) -> h5py.Dataset:
            stored = (data.astype("u1") if data.dtype.kind == "b" else data).T
            made.create_dataset(path, data=stored, chunks=True, compression="gzip")
            made[path].attrs["MATLAB_class"] = np.bytes_(kinds[data.dtype.kind])
            return made[path]

        for path, data in variables.items():
            add(path, data)
        for path, parts in (cells or {}).items():
            references = [add(f"#refs#/{path}{number}", part).ref for number, part in enumerate(parts)]
            made.create_dataset(path, data=np.array([references], h5py.ref_dtype))
            made[path].attrs["MATLAB_class"] = np.bytes_(b"cell")
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM"
    return head.ljust(512, b"\0") + file.getvalue()[512:]


def make_npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version, allow_pickle=True)
    return file.getvalue()


def make_npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def make_hdf5(datasets: Mapping[str, Any], head: bytes = b"", **options: Any) -> bytes:
    """Datasets by path; of a pair the second are attributes. `head` begins a user block of 512 bytes."""
    file = io.BytesIO()
    with h5py.File(file, "w", userblock_size=512 if head else 0) as made:
        for path, value in datasets.items():
            data, attributes = value if isinstance(value, tuple) else (value, {})
            settings = options if np.ndim(data) else {}
            made.create_dataset(path, data=data, **settings).attrs.update(attributes)
    raw = file.getvalue()
    return head.ljust(512, b"\0") + raw[512:] if head else raw


def make_wavesurfer(sweeps: int = 3, length: int = 50, **header: Any) -> bytes:
    """A file in WaveSurfer's layout; entries of the header may be replaced, or left out (None)."""
    scans = np.arange(sweeps * 2 * length, dtype="i2").reshape(sweeps, 2, length) - 100
    known = {
        "AcquisitionSampleRate": 20000.0, "AIChannelNames": [b"V", b"I", b"unused"], "AIChannelUnits": [b"mV", b"pA", b"V"],
        "AIChannelScales": np.array([[0.01], [0.0005], [1.0]]), "IsAIChannelActive": np.array([1, 1, 0], "u1"),
        "AIScalingCoefficients": np.array([[1e-4, 3.125e-4, 0, 0], [0, 3.125e-4, 0, 0], [0, 1, 0, 0]], "f8"),
        "DIChannelNames": [b"ttl", b"lick"], "IsDIChannelActive": np.array([1, 1], "u1"),
        "ClockAtRunStart": np.array([2025, 6, 20, 9, 1, 2.5]),
    }  # fmt: skip
    datasets: dict[str, Any] = {f"header/{k}": v for k, v in {**known, **header}.items() if v is not None}
    for number in range(sweeps):
        group = f"sweep_{number + 1:04d}"
        datasets[f"{group}/analogScans"] = scans[number]
        datasets[f"{group}/digitalScans"] = (np.arange(length) % 4).astype("u1")[None]
        datasets[f"{group}/timestamp"] = np.array([number * 1.5 + 0.25])
    return make_hdf5(datasets)


def open_arrays(path: Path, raw: bytes | None = None, **options: Any) -> tuple[Content, ...]:
    if raw is not None:
        path.write_bytes(raw)
    source = Source(path.name, Folder(path.parent))
    format = choose_reader(source, options).format
    assert not check_reader_options({"reader": format, **options})
    contents = read(source, options)
    _OPENED.extend(contents)
    for content in contents:
        json.dumps(dict(content.header), allow_nan=False)
    return contents


def open_recording(path: Path, raw: bytes | None = None, **options: Any) -> Recording:
    (recording,) = open_arrays(path, raw, **options)
    assert isinstance(recording, Recording), recording.header
    return recording


def read_all(content: Content, name: str) -> np.ndarray:
    array = content.arrays[name]
    found = array.read(tuple(slice(0, extent) for extent in array.shape))
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    return found


def list_undeclared(path: Path, raw: bytes | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """The arrays and the other things of a file that nobody declared."""
    (content,) = open_arrays(path, raw)
    assert type(content) is Content
    assert content.header["undeclared"]
    return dict(content.header["arrays"]), dict(content.header.get("others", {}))


def expect_finding(path: Path, raw: bytes | None = None, **options: Any) -> Finding:
    with pytest.raises(Problem) as caught:
        open_arrays(path, raw, **options)
    found = caught.value.finding
    assert path.name in found.message
    assert len(found.message) < 3000
    return found


def try_arrays(path: Path, raw: bytes, **options: Any) -> dict[str, bytes] | None:
    """Bytes of all arrays; None where a finding of ours ends it."""
    try:
        contents = open_arrays(path, raw, **options)
        found = {f"{c.name}/{name}": read_all(c, name).tobytes() for c in contents for name in c.arrays}
        for content in contents:
            content.close()
        return found
    except Problem as caught:
        topic = caught.finding.id.split(".")[0]
    assert topic in ("arrays", "format", "file", "image")
    return None
