"""DeepLabCut's HDF5: both layouts of pandas, what is not declared, names that are never unpickled, and damage."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from campaigns import spoil
from hypothesis import given
from hypothesis import strategies as st
from tracking_files import make_labels, write_fixed, write_table

from neuropress.model.content import Content, Series
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.deeplabcut.pickled import NotPlain, parse_pickled_names
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

RATE = {"frame_rate": "30000/1001"}
TRACKED = "behaviour/DeepLabCut__DLC2NWB/m3v1mp4DLC_resnet50_openfieldAug20shuffle1_30000.h5"
LABELLED = "behaviour/DeepLabCut__DeepLabCut/examples/openfield-Pranav-2018-10-30/labeled-data/m4s1"
PARTS = ("nose", "tail \u00fc")
VALUES = np.arange(120, dtype="f8").reshape(20, 6) / 7


def open_points(path: Path, options: dict[str, Any] | None = None) -> tuple[Content, ...]:
    return read(Source(path.name, Folder(path.parent)), RATE if options is None else options)


def read_points(contents: tuple[Content, ...]) -> dict[str, np.ndarray]:
    """Every array of every point, then the files are closed."""
    found = {}
    for content in contents:
        for name, array in content.arrays.items():
            found[f"{content.name}/{name}"] = array.read(tuple(slice(0, size) for size in array.shape))
            assert found[f"{content.name}/{name}"].shape == array.shape
        content.close()
    return found


def try_points(path: Path, raw: bytes) -> str:
    """The finding on a file that may be damaged; empty where it is read."""
    path.write_bytes(raw)
    try:
        read_points(open_points(path))
    except Problem as bad:
        return bad.finding.id
    return ""


def find_missing(path: Path, options: dict[str, Any] | None = None) -> str:
    (content,) = open_points(path, options)
    return str(content.header["undeclared"])


@pytest.mark.parametrize("write", [write_table, write_fixed])
@pytest.mark.parametrize("individuals", [(), ("m1", "m2")])
def test_both_layouts_of_pandas(tmp_path: Path, write: Any, individuals: tuple[str, ...]) -> None:
    labels = make_labels(PARTS, individuals)
    values = np.arange(20 * len(labels), dtype="f4").reshape(20, -1)
    path = write(tmp_path / "a.h5", values, labels)
    assert choose_format(Source(path.name, Folder(tmp_path))).strength == 2
    contents = open_points(path)
    assert all(isinstance(content, Series) for content in contents)
    assert {content.header["start"] for content in contents} == {"0"}
    names = [f"{one}_{part}" for one in individuals for part in PARTS] or list(PARTS)
    assert [content.name for content in contents] == names
    found = read_points(contents)
    for number, name in enumerate(names):
        np.testing.assert_array_equal(found[f"{name}/data"], values[:, 3 * number : 3 * number + 2])
        np.testing.assert_array_equal(found[f"{name}/confidence"], values[:, 3 * number + 2])


def test_a_part_of_the_rows_and_frames_that_are_missing(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.h5", VALUES[:4], make_labels(PARTS), index=[3, 4, 6, 9])
    contents = open_points(path, {"frame_rate": "25"})
    nose = contents[0]
    assert isinstance(nose, Series)
    assert (nose.rate, nose.scale) == (None, "1/25")
    assert nose.arrays["time"].read((slice(1, 4),)).tolist() == [4, 6, 9]
    assert nose.arrays["data"].read((slice(1, 3), slice(0, 2))).tolist() == VALUES[1:3, :2].tolist()
    for content in contents:
        content.close()


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda path: write_table(path, VALUES, make_labels(PARTS), index=[f"img{n}.png".encode() for n in range(20)]),
         "frames are names ('img0.png')"),
        (lambda path: write_table(path, VALUES, [("net", part, str(n)) for part in PARTS for n in range(3)]),
         "is no scorer, body part and coordinate"),
        (lambda path: write_table(path, VALUES, make_labels(PARTS, coords=("x", "z", "likelihood"))), "has no x and y"),
        (lambda path: write_table(path, VALUES, make_labels(("a/b", "a:b"))), "two of its points are called 'a_b'"),
        (lambda path: write_table(path, VALUES, make_labels(PARTS), kind=b"cos\nsystem\n(S'true'\ntR."),
         "order of its columns is not known"),
    ],
)  # fmt: skip
def test_what_is_not_declared(tmp_path: Path, make: Any, missing: str) -> None:
    assert missing in find_missing(make(tmp_path / "a.h5"))


def test_a_rate_that_nobody_states(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.h5", VALUES, make_labels(PARTS))
    assert find_missing(path, {}) == 'its frames have no times; add under [options."a.h5"]: frame_rate = "RATE"'


def test_a_link_into_another_file_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.h5", VALUES, make_labels(PARTS))
    with h5py.File(path, "r+") as file:
        file["df_with_missing/other"] = h5py.ExternalLink("/etc/passwd", "/x")
    with pytest.raises(Problem) as caught:
        open_points(path)
    assert caught.value.finding.id == "pose.unsafe"


names = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(10**17), 10**17) | st.none(),
    lambda part: st.lists(part, max_size=4) | st.lists(part, max_size=4).map(tuple),
    max_leaves=20,
)


@given(names)
def test_names_that_python_pickled(value: Any) -> None:
    made = pickle.dumps(value, 0)
    try:
        again = parse_pickled_names(made)
    except NotPlain as refused:
        again = str(refused)
    assert again in (value, "its lists are nested too deep")


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_pickles_of_anything_are_refused_or_plain(noise: bytes, place: int, byte: int) -> None:
    made = bytearray(pickle.dumps([("net", "nose", "x"), ("net", "nose", "y")], 0))
    made[place % len(made)] = byte
    for data in (noise, bytes(made)):
        try:
            repr(parse_pickled_names(data))
        except NotPlain:
            continue


@pytest.mark.parametrize(
    "data", [b"cos\nsystem\n(S'true'\ntR.", b"(lp0\nag0\n.", b"(lp0\ng0\na.", b"I1\n", b".", b"V\\ud8\n."]
)
def test_pickles_that_are_refused(data: bytes) -> None:
    with pytest.raises(NotPlain):
        parse_pickled_names(data)


def test_cut_and_spoilt_files_give_a_finding_or_a_reading(tmp_path: Path) -> None:
    whole = write_table(tmp_path / "whole.h5", VALUES, make_labels(PARTS)).read_bytes()
    ids = {"pose.damaged", "pose.unsafe", "format.unknown", ""}
    assert {try_points(tmp_path / "bad.h5", spoilt) for spoilt in spoil(whole, 5)} <= ids


@pytest.mark.corpus
def test_real_points(corpus: Path) -> None:
    found = read_points(open_points(corpus / TRACKED))
    with h5py.File(corpus / TRACKED) as file:
        values = file["df_with_missing/table"]["values_block_0"]
    for number, part in enumerate(("snout", "leftear", "rightear", "tailbase")):
        np.testing.assert_array_equal(found[f"{part}/data"], values[:, 3 * number : 3 * number + 2])
        np.testing.assert_array_equal(found[f"{part}/confidence"], values[:, 3 * number + 2])


@pytest.mark.corpus
def test_real_labels_of_images_have_no_times(corpus: Path) -> None:
    assert "labeled-data/m4s1/img0000.png" in find_missing(corpus / LABELLED / "CollectedData_Pranav.h5")
