"""suite2p folders: values of our own out of allow-listed pickles, pickles that would run something, and damage."""

import io
import pickle
import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import suite2p_files as s2p
from campaigns import campaign
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuropress.model import budget
from neuropress.model.content import Content
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.numpy_files.errors import DamagedFile, RefusedPickle
from neuropress.readers.numpy_files.header import parse_npy_header, read_block
from neuropress.readers.numpy_files.objects import Inert, parse_objects
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

OPS = {
    "Ly": 20,
    "Lx": 16,
    "fs": 30.0,
    "nplanes": 1,
    "save_path0": "/home/ada",
    "date_proc": datetime(2025, 6, 20, tzinfo=UTC),
}


def open_folder(folder: Path, key: str = "") -> dict[str, Content]:
    source = Source(key or f"{folder.name}/", Folder(folder.parent))
    return {content.name: content for content in read(source)}


def read_array(content: Content, name: str) -> np.ndarray:
    lazy = content.arrays[name]
    return lazy.read(tuple(slice(0, extent) for extent in lazy.shape))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_values_are_those_that_were_saved(tmp_path: Path, protocol: int) -> None:
    files = s2p.make_plane(protocol=protocol, ops=OPS)
    s2p.write_files(tmp_path / "plane0", files)
    contents = open_folder(tmp_path / "plane0")
    table = contents[""]
    masks = np.split(read_array(table, "pixels"), read_array(table, "ends")[:-1])
    assert [[tuple(pixel) for pixel in mask.tolist()] for mask in masks] == s2p.MASKS
    assert read_array(table, "iscell").tolist() == [True, False, True]
    assert read_array(table, "iscell_probability").tolist() == [0.9, 0.2, 0.7]
    assert read_array(table, "npix").dtype == np.dtype("i8")
    assert read_array(table, "npix_norm").dtype == np.dtype("f4")
    assert read_array(table, "overlap").tolist() == [False, True, False, False, True, False]
    assert read_array(table, "med").tolist() == [[3.0, 2.0], [1.0, 7.0], [1.0, 0.0]]
    assert table.header["image_size"] == [16, 20]
    assert "ada" not in str(table.header)
    for name in ("F", "Fneu", "spks"):
        saved = np.load(tmp_path / f"plane0/{name}.npy", allow_pickle=False)
        lazy = contents[name].arrays[name]
        assert np.array_equal(lazy.read((slice(1, 3), slice(4, 9))), saved[1:3, 4:9])
        assert (lazy.axes, lazy.dtype) == (("roi", "time"), np.dtype("f4"))


def test_planes_of_a_folder_and_a_file_that_stands_for_its_folder(tmp_path: Path) -> None:
    for name in ("plane0", "plane10", "plane2", "combined"):
        s2p.write_files(tmp_path / "run" / name, s2p.make_plane())
    source = Source("run/", Folder(tmp_path))
    assert choose_format(source).format == "suite2p"
    tables = [content.name for content in read(source) if "pixels" in content.arrays]
    assert tables == ["plane0", "plane2", "plane10"]
    assert {one.key for one in source.inputs} == set(source.list_keys())
    single = open_folder(tmp_path / "run", "run/plane2/stat.npy")
    assert set(single) == {"", "F", "Fneu", "spks"}
    (tmp_path / "empty/sub").mkdir(parents=True)
    assert choose_format(Source("empty/", Folder(tmp_path))).format == "slices"


def test_nothing_of_a_hostile_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "marker"
    # The bound itself takes 4 s for each file that reaches it.
    monkeypatch.setattr("neuropress.readers.numpy_files.objects.PICKLE_STEPS", 300_000)
    monkeypatch.setattr("neuropress.readers.numpy_files.objects.PICKLE_STACK", 100_000)
    files = s2p.make_plane()
    for what, data in s2p.list_hostile(marker).items():
        before = time.perf_counter()
        for name in ("stat.npy", "ops.npy"):
            s2p.write_files(tmp_path / "plane0", {"ops.npy": s2p.make_objects(np.array({}, object))} | files)
            (tmp_path / "plane0" / name).write_bytes(s2p.wrap_pickle(data))
            with pytest.raises(Problem) as caught:
                open_folder(tmp_path / "plane0")
            assert caught.value.finding.id in ("pickle.refused", "regions.damaged"), what
        assert time.perf_counter() - before < 60, what
    assert not marker.exists()
    # The examples are what they say: what is called in one of them runs where pickle loads it.
    pickle.loads(s2p.list_hostile(marker)["a call of the shell"])  # noqa: S301
    assert marker.exists()


def test_a_refusal_names_what_was_asked_for(tmp_path: Path) -> None:
    hostile = s2p.list_hostile(tmp_path / "marker")
    for what, name in (
        ("a call of the shell", "system"),
        ("an evaluation, arrays deep", "builtins.eval"),
        ("a global by two texts", "posix.system"),
        ("a type of its own", "numpy.matrix"),
        ("a dotted name", "numpy.core.os.system"),
    ):
        with pytest.raises(RefusedPickle, match=name):
            parse_objects(hostile[what])


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s2p.write_files(tmp_path / "plane0", s2p.make_plane())
    stat = "neuropress.readers.suite2p.stat"
    for name, limit, id in (
        (f"{stat}.ROI_PIXELS", 5, "regions.limit"),
        (f"{stat}.REGION_COUNT", 2, "regions.limit"),
        ("neuropress.readers.suite2p.read.PICKLE_BYTES", 100, "pickle.refused"),
        ("neuropress.readers.numpy_files.objects.PICKLE_STEPS", 100, "pickle.refused"),
        ("neuropress.readers.numpy_files.objects.PICKLE_TEXT", 10, "pickle.refused"),
        ("neuropress.readers.numpy_files.objects.PICKLE_STACK", 10, "pickle.refused"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, limit)
            with pytest.raises(Problem) as caught:
                open_folder(tmp_path / "plane0")
            assert caught.value.finding.id == id, name
    assert len(open_folder(tmp_path / "plane0")) == 4
    assert budget.PICKLE_DEPTH < 200  # what walks over what was parsed may recurse


@pytest.mark.parametrize(
    ("name", "data", "id", "words"),
    [
        ("F.npy", s2p.make_npy(np.zeros((4, 12), "f4")), "regions.mismatch", "(4, 12)"),
        ("Fneu.npy", s2p.make_npy(np.zeros((3, 11), "f4")), "regions.mismatch", "Fneu 11"),
        ("iscell.npy", s2p.make_npy(np.zeros((2, 2))), "regions.mismatch", "(2, 2)"),
        ("iscell.npy", s2p.make_npy(np.full((3, 2), 0.5)), "regions.damaged", "0 and 1"),
        ("F.npy", s2p.make_npy(np.zeros((3, 12), "f4"))[:-1], "regions.damaged", "take 144 bytes"),
        ("F.npy", s2p.make_objects([1, 2]), "regions.damaged", "objects"),
        ("F.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': [('a'}", "regions.damaged", "header"),
        ("stat.npy", s2p.make_objects([{"a": 1}]), "regions.damaged", "region 0 has no ypix"),
        ("stat.npy", s2p.make_objects(np.empty(0, object)), "regions.empty", "no region"),
        ("stat.npy", s2p.make_objects([1, 2, 3]), "regions.damaged", "no dicts"),
        ("stat.npy", s2p.make_npy(np.zeros(3)), "regions.damaged", "not the objects"),
        ("stat.npy", s2p.make_objects([s2p.make_region([(-1, 0, 1.0)])]), "regions.damaged", "negative"),
        ("ops.npy", s2p.make_objects([1]), "regions.damaged", "no dict"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(tmp_path: Path, name: str, data: bytes, id: str, words: str) -> None:
    s2p.write_files(tmp_path / "plane0", s2p.make_plane() | {name: data})
    with pytest.raises(Problem) as caught:
        open_folder(tmp_path / "plane0")
    assert caught.value.finding.id == id
    assert words in caught.value.finding.message
    assert name.removesuffix(".npy") in caught.value.finding.message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=5), below, max_size=4)
    | st.tuples(below, below),
    max_leaves=12,
)  # fmt: skip


@given(VALUES, st.sampled_from([2, 3, 4, 5]))
def test_plain_values_are_read_as_pickle_would(value: Any, protocol: int) -> None:
    assert parse_objects(pickle.dumps(value, protocol)) == value


@given(
    hnp.arrays(
        st.sampled_from(["<i2", ">f4", "<f8", "|b1", "<u8", "<U3", "|S2"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from([2, 3, 4]), st.booleans(),
)  # fmt: skip
def test_arrays_are_read_as_pickle_would(data: np.ndarray, protocol: int, fortran: bool) -> None:
    data = np.asfortranarray(data) if fortran else data
    made = parse_objects(pickle.dumps({"a": data, "again": [data]}, protocol))
    assert made["again"][0] is made["a"]
    assert (made["a"].dtype, made["a"].shape) == (data.dtype, data.shape)
    assert made["a"].tobytes() == data.tobytes()


def test_times_and_paths_stay_names() -> None:
    made = parse_objects(pickle.dumps([datetime(2025, 1, 1, tzinfo=UTC), PurePosixPath("/a")], 4))
    assert [type(one) for one in made] == [Inert, Inert]


@given(st.data())
def test_any_block_of_any_array(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    whole = np.arange(np.prod(shape)).reshape(shape).astype(data.draw(st.sampled_from(["<i4", ">f8", "|u1"])))
    whole = np.asfortranarray(whole) if data.draw(st.booleans()) else whole
    part = tuple(slice(*sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n))))) for n in shape)
    octets = s2p.make_npy(whole)
    block = read_block(io.BytesIO(octets), parse_npy_header(octets, len(octets)), part)
    assert block.dtype.isnative
    assert np.array_equal(block, whole[part])


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_end_in_an_error_or_a_value(data: bytes) -> None:
    with suppress(DamagedFile, RefusedPickle):
        parse_objects(b"\x80\x04" + data)


def test_cut_and_spoilt_files_are_findings_or_readings(tmp_path: Path) -> None:
    files = s2p.make_plane(ops=OPS)
    met: set[str] = set()
    rng = random.Random(7)
    for name in ("stat.npy", "ops.npy", "F.npy", "iscell.npy"):
        whole = files[name]
        cuts = [whole[: rng.randrange(len(whole))] for _ in range(campaign(3, 20))]
        spoilt = []
        for _ in range(campaign(20, 200)):
            data = bytearray(whole)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            spoilt.append(bytes(data))
        for data in (*cuts, *spoilt):
            s2p.write_files(tmp_path / "plane0", files | {name: data})
            try:
                for content in open_folder(tmp_path / "plane0").values():
                    for array in content.arrays:
                        read_array(content, array)
            except Problem as bad:
                met.add(bad.finding.id.split(".")[0])
            else:
                assert data not in cuts
    assert met <= {"regions", "pickle"}


@pytest.mark.corpus
def test_a_real_folder(corpus: Path) -> None:
    folder = corpus / "suite2p/pynapple-org__pynapple/tests/nwbfilestest/suite2p"
    contents = open_folder(folder / "suite2p")
    table = contents["plane0"]
    ends = read_array(table, "ends").astype("i8")
    # suite2p states the number of pixels of each region beside them.
    assert np.array_equal(np.diff(ends, prepend=0), read_array(table, "npix"))
    pixels = read_array(table, "pixels")
    # Rows are y and columns x: the stated centres lie within their regions, but for a few that were cropped later.
    within = [
        part["y"].min() <= y <= part["y"].max() and part["x"].min() <= x <= part["x"].max()
        for part, (y, x) in zip(np.split(pixels, ends[:-1]), read_array(table, "med"), strict=True)
    ]
    assert sum(within) > 0.9 * len(within)
    for name in ("F", "Fneu", "spks"):
        whole = np.load(folder / f"suite2p/plane0/{name}.npy", allow_pickle=False)
        assert np.array_equal(read_array(contents[f"plane0/{name}"], name), whole)
    flags = np.load(folder / "suite2p/plane0/iscell.npy", allow_pickle=False)
    assert read_array(table, "iscell").tolist() == (flags[:, 0] == 1).tolist()
