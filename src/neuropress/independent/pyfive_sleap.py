"""Points of SLEAP's analysis files by pyfive, which reads HDF5 without the HDF5 library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .pyfive_file import open_hdf5
from .reading import CannotRead, SecondArrays, clean_name, make_frame_times

ORDERS = ("tcnf", "fnct", "ftnc")
"""Axes of ``tracks``: t tracks, c coordinates, n nodes, f frames; as SLEAP writes it, and as others turn it."""


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    with open_hdf5(path) as file:
        nodes, tracks = _read_names(file, "node_names"), _read_names(file, "track_names") or [""]
        points = np.asarray(file["tracks"][()])
        scores = np.asarray(file["point_scores"][()]) if "point_scores" in file else None
    known = {"t": len(tracks), "n": len(nodes), "c": 2}
    fitting = [
        order
        for order in ORDERS
        if all(known.get(axis, size) == size for axis, size in zip(order, points.shape, strict=True))
    ]
    found = [
        {"t": track, "n": node}
        for track, individual in enumerate(tracks)
        for node, name in enumerate(nodes)
        if clean_name(f"{individual}_{name}" if individual else name) == content
    ]
    if len(found) != 1 or len(fitting) != 1:
        raise CannotRead(f"{len(found)} points are called {content[:80]!r}, in {len(fitting)} orders of axes")
    arrays = {"data": _pick(points, fitting[0], found[0])}
    if scores is not None:
        arrays["confidence"] = _pick(scores, fitting[0].replace("c", ""), found[0])
    return SecondArrays(arrays, make_frame_times(np.arange(len(arrays["data"])), options))


def _read_names(file: Any, name: str) -> list[str]:
    """Texts of a dataset; without tracks SLEAP writes an empty list of numbers."""
    found = np.asarray(file[name][()])
    return [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in found.tolist()]


def _pick(array: np.ndarray, order: str, place: Mapping[str, int]) -> np.ndarray:
    """(frame,) or (frame, coordinate) of one node of one track."""
    part = array[tuple(place.get(axis, slice(None)) for axis in order)]
    kept = [axis for axis in order if axis not in place]
    return np.moveaxis(part, kept.index("f"), 0)
