"""SLEAP's analysis HDF5: the orders of its axes, one animal and several, projects, and damage. Synthetic only."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from campaigns import spoil
from test_deeplabcut import find_missing, open_points, read_points, try_points
from tracking_files import write_sleap

from neuropress.model.content import Series
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

POINTS = np.arange(240, dtype="f8").reshape(20, 3, 2, 2)
"""(frame, node, xy, track)"""
SCORES = np.arange(120, dtype="f4").reshape(20, 3, 2) / 120
NODES = ("head", "thorax", "abdomen")


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (0, 1, 2, 3), (0, 3, 1, 2)])
def test_the_orders_of_its_axes(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = write_sleap(tmp_path / "a.analysis.h5", POINTS, NODES, ("a", "b"), order=order, edges=[(0, 1), (1, 2)])
    assert choose_format(Source(path.name, Folder(tmp_path))).format == "sleap"
    contents = open_points(path)
    assert contents[0].header["pose"]["edges"] == [[0, 1], [1, 2]]
    found = read_points(contents)
    for number, track in enumerate(("a", "b")):
        for place, node in enumerate(NODES):
            np.testing.assert_array_equal(found[f"{track}_{node}/data"], POINTS[:, place, :, number])


def test_one_animal_without_a_track_and_its_scores(tmp_path: Path) -> None:
    points, scores = POINTS[..., :1], SCORES[..., :1]
    contents = open_points(write_sleap(tmp_path / "a.analysis.h5", points, NODES, scores=scores))
    head = contents[0]
    assert isinstance(head, Series)
    assert (head.name, head.timestamps, head.header["start"]) == ("head", "", "0")
    assert head.arrays["data"].read((slice(2, 4), slice(1, 2))).tolist() == points[2:4, 0, 1:2, 0].tolist()
    np.testing.assert_array_equal(read_points(contents)["thorax/confidence"], scores[:, 1, 0])


def test_what_is_not_declared(tmp_path: Path) -> None:
    path = write_sleap(tmp_path / "a.analysis.h5", POINTS, NODES, ("a", "b"))
    assert 'frame_rate = "RATE"' in find_missing(path, {})
    same = write_sleap(tmp_path / "c.analysis.h5", POINTS[:2, :2], NODES[:2], ("a", "b"))
    assert "which may be" in find_missing(same)
    with h5py.File(tmp_path / "d.slp", "w") as file:
        file.create_group("metadata")
    assert "sleap-convert --format analysis" in find_missing(tmp_path / "d.slp")


@pytest.mark.parametrize(
    ("name", "value"),
    [("node_names", np.array([b"a", b"b"])), ("tracks", np.zeros((2, 3))), ("point_scores", np.zeros((2, 3, 7))),
     ("edge_inds", np.array([[0, 9]])), ("node_names", np.arange(3))],
)  # fmt: skip
def test_parts_that_do_not_fit(tmp_path: Path, name: str, value: Any) -> None:
    path = write_sleap(tmp_path / "a.analysis.h5", POINTS, NODES, ("a", "b"), scores=SCORES)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value
    with pytest.raises(Problem) as caught:
        open_points(path)
    assert caught.value.finding.id == "pose.damaged"
    assert "a.analysis.h5" in caught.value.finding.message


def test_cut_and_spoilt_files_give_a_finding_or_a_reading(tmp_path: Path) -> None:
    whole = write_sleap(tmp_path / "whole.h5", POINTS, NODES, ("a", "b"), scores=SCORES).read_bytes()
    ids = {"pose.damaged", "pose.unsafe", "arrays.damaged", "arrays.declaration", "format.unknown", ""}
    assert {try_points(tmp_path / "bad.h5", spoilt) for spoilt in spoil(whole, 6)} <= ids
