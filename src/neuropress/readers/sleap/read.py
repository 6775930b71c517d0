"""Points of SLEAP's analysis files: a series for each node of each track, read by frames.

SLEAP writes for MATLAB, whose axes go the other way round: ``tracks`` is (track, xy, node, frame) in the file; files
for Python have (frame, node, xy, track) or (frame, track, node, xy). The names of tracks and nodes tell which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import h5py
import numpy as np

from ...model.content import Content, LazyArray, Selection, Series
from ...model.source import Source
from ..hdf5.guard import read_texts
from ..hdf5.opened import GuardedFile
from ..pose.points import Frames, Undeclared, check_names, name_point, name_video, read_points, state_clock
from . import FORMAT

PROJECT = (
    "it is a SLEAP project, or no analysis file; export its points: in SLEAP File > Export Analysis HDF5, or "
    "sleap-convert --format analysis"
)
MAX_NAMES = 4096
ORDERS = ("txnf", "fnxt", "ftnx")
"""Axes of ``tracks``: t track, x coordinate, n node, f frame; the first is what SLEAP writes by itself."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """A series a node of a track; of a file that does not say all a plain content with ``undeclared`` in its header.

    Raises
    ------
    Problem
        ``pose.damaged``, ``pose.unsafe``.
    """
    return read_points(source, FORMAT.name, partial(_make_contents, options))


def _make_contents(options: Mapping[str, Any], opened: GuardedFile) -> Sequence[Content]:
    tracks = opened.file.get("tracks")
    if not isinstance(tracks, h5py.Dataset) or "node_names" not in opened.file:
        raise Undeclared(PROJECT)
    nodes, names = _read_names(opened, "node_names"), _read_names(opened, "track_names")
    names = names or [""]  # one animal, which SLEAP need not tell from others
    extents = {"t": len(names), "x": 2, "n": len(nodes)}
    order = _find_order(tracks, extents)
    scores = _find_scores(opened, tracks, order)
    count = tracks.shape[order.index("f")]
    if not count:
        raise Undeclared("it has no frames")
    frames = Frames(FORMAT.name, count, state_clock(opened.key, options))
    shared = {
        "scorer": "",
        "software": "SLEAP",
        "definition": "point_scores, as SLEAP gives them",
        "edges": _read_edges(opened, len(nodes)),
        **name_video(options, _read_video(opened)),
    }
    series = [
        _make_series(opened, (tracks, order), scores, (track, node), (names[track], nodes[node]), shared, frames)
        for track in range(len(names))
        for node in range(len(nodes))
    ]
    return check_names(series)


def _read_names(opened: GuardedFile, name: str) -> list[str]:
    item = opened.file.get(name)
    if not isinstance(item, h5py.Dataset) or item.ndim != 1 or len(item) > MAX_NAMES:
        raise ValueError(f"it has no list {name} of up to {MAX_NAMES} names")
    if not len(item):
        return []  # without tracks SLEAP writes an empty list of numbers
    if h5py.check_string_dtype(item.dtype) is None:
        raise ValueError(f"its {name} are no texts")
    return [str(one) for one in read_texts(item, (slice(0, len(item)),), opened.spare)]


def _find_order(tracks: h5py.Dataset, extents: Mapping[str, int]) -> str:
    """The axes of ``tracks``, by the numbers of tracks and nodes; the frames are what remains."""
    if tracks.ndim != 4 or tracks.dtype.kind != "f":
        raise ValueError(f"its tracks have the shape {tracks.shape} of {tracks.dtype}, not four axes of numbers")
    fitting = [
        order
        for order in ORDERS
        if all(axis == "f" or extents[axis] == size for axis, size in zip(order, tracks.shape, strict=True))
    ]
    if not fitting:
        listed = f"{extents['t']} tracks, {extents['n']} nodes"
        raise ValueError(f"its tracks have the shape {tracks.shape}, which does not fit its names ({listed})")
    if len(fitting) > 1:
        raise Undeclared(f"its tracks have the shape {tracks.shape}, which may be {' or '.join(fitting)}; {PROJECT}")
    return fitting[0]


def _find_scores(opened: GuardedFile, tracks: h5py.Dataset, order: str) -> h5py.Dataset | None:
    """Scores of points, whose axes are those of ``tracks`` without the coordinates; None without any."""
    scores = opened.file.get("point_scores")
    if scores is None:
        return None
    expected = tuple(size for axis, size in zip(order, tracks.shape, strict=True) if axis != "x")
    if not isinstance(scores, h5py.Dataset) or scores.shape != expected or scores.dtype.kind != "f":
        raise ValueError(f"its point_scores are no numbers of the shape {expected}")
    return scores


def _read_edges(opened: GuardedFile, nodes: int) -> list[list[int]]:
    """Pairs of nodes that the skeleton joins."""
    item = opened.file.get("edge_inds")
    if not isinstance(item, h5py.Dataset) or not item.size:
        return []
    if item.ndim != 2 or item.dtype.kind not in "iu" or item.size > 2 * MAX_NAMES:
        raise ValueError("its edge_inds are no pairs of nodes")
    pairs = item[()] if item.shape[1] == 2 else item[()].T
    if pairs.shape[1] != 2 or pairs.min() < 0 or pairs.max() >= nodes:
        raise ValueError("its edge_inds name nodes that there are not")
    found: list[list[int]] = pairs.tolist()
    return found


def _read_video(opened: GuardedFile) -> str:
    """Path of the video on the machine where it was tracked; "" of a file that has none, or several."""
    item = opened.file.get("video_path")
    if not isinstance(item, h5py.Dataset) or item.size != 1 or h5py.check_string_dtype(item.dtype) is None:
        return ""
    if item.ndim:
        return str(read_texts(item, (slice(0, 1),) * item.ndim, opened.spare).reshape(-1)[0])
    return str(item.asstr()[()])


def _make_series(
    opened: GuardedFile,
    tracks: tuple[h5py.Dataset, str],
    scores: h5py.Dataset | None,
    place: tuple[int, int],
    names: tuple[str, str],
    shared: Mapping[str, Any],
    frames: Frames,
) -> Series:
    dataset, order = tracks
    arrays = {"data": _make_array(opened, "data", dataset, order, place)}
    if scores is not None:
        arrays["confidence"] = _make_array(opened, "confidence", scores, order.replace("x", ""), place)
    individual, node = names
    pose = {"individual": individual, "node": node, **shared}
    return frames.make_series(name_point(individual, node), {"pose": pose}, arrays, "xy")


def _make_array(opened: GuardedFile, name: str, dataset: h5py.Dataset, order: str, place: tuple[int, int]) -> LazyArray:
    """(frame, coordinate) or (frame,) of one node of one track."""
    axes = "fx" if "x" in order else "f"
    shape = tuple(dataset.shape[order.index(axis)] for axis in axes)
    kept = [axis for axis in order if axis in axes]

    def read(selection: Selection) -> np.ndarray:
        chosen: dict[str, Any] = {"t": place[0], "n": place[1], **dict(zip(axes, selection, strict=True))}
        block: np.ndarray = dataset[tuple(chosen[axis] for axis in order)]
        return block.transpose([kept.index(axis) for axis in axes])

    return opened.make_array(name, shape, dataset.dtype.newbyteorder("="), read)
