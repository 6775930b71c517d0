"""Traces of regions as text or as an array: values, names, and what is no table of numbers."""

import random
from pathlib import Path

import numpy as np
import pytest
import suite2p_files as s2p
from campaigns import campaign

from neuropress.model.content import Series
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

CSV = b"soma,spine\n1,2.5\n-3e2,\nnan,0.1\n"


def open_file(path: Path, data: bytes) -> Series:
    path.write_bytes(data)
    (series,) = read(Source(path.name, Folder(path.parent)), purposes=("traces", "regions"))
    assert isinstance(series, Series)
    return series


@pytest.mark.parametrize(
    "data", [CSV, b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), CSV.replace(b",", b"\t"), CSV + b"\n"]
)
def test_cells_are_their_nearest_numbers(tmp_path: Path, data: bytes) -> None:
    series = open_file(tmp_path / "F.csv", data)
    lazy = series.arrays["traces"]
    values = lazy.read(tuple(slice(0, extent) for extent in lazy.shape))
    assert np.array_equal(values, [[1, 2.5], [-300, np.nan], [np.nan, 0.1]], equal_nan=True)
    assert (lazy.axes, series.header["names"]) == (("time", "roi"), ["soma", "spine"])


def test_an_array_does_not_say_which_axis_is_time(tmp_path: Path) -> None:
    series = open_file(tmp_path / "F.npy", s2p.make_npy(np.zeros((3, 12), ">f4")))
    assert series.arrays["traces"].axes == ("q", "q")
    assert choose_format(Source("F.npy", Folder(tmp_path)), ("traces",)).format == "traces"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("F.csv", b"a,b\n1,x\n", "line 2, column 'b': 'x'"),
        ("F.csv", b"a,b\n1\n", "line 2 has 1 cells"),
        ("F.csv", b"a,a\n1,2\n", "name of its own"),
        ("F.csv", b"a,b\n", "no line of numbers"),
        ("F.csv", b"a,b\n1,1e999\n", "no number"),
        ("F.csv", b'a,b\n"1,2\n', "cannot be split"),
        ("F.npy", s2p.make_objects([1]), "objects"),
        ("F.npy", s2p.make_npy(np.zeros(3)), "two axes"),
        ("F.npy", s2p.make_npy(np.zeros((3, 2)))[:-1], "it has 47"),
    ],
)
def test_what_is_no_table_of_numbers_is_said(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(Problem) as caught:
        open_file(tmp_path / name, data)
    assert caught.value.finding.id == "traces.damaged"
    assert words in caught.value.finding.message


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit in (("TRACE_BYTES", 5), ("TRACE_CELLS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(f"neuropress.readers.traces.read.{name}", limit)
            with pytest.raises(Problem, match="more than"):
                open_file(tmp_path / "F.csv", CSV)


def test_cut_and_spoilt_files(tmp_path: Path) -> None:
    met: set[str] = set()
    rng = random.Random(13)
    for number in range(campaign(23, 220)):
        data = bytearray(CSV)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            open_file(tmp_path / "F.csv", bytes(data if number % 11 else data[: rng.randrange(1, len(data))]))
        except Problem as bad:
            met.add(bad.finding.id.split(".")[0])
    assert met <= {"traces"}
