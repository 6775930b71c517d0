"""Files of tracking programs for tests: pandas' two HDF5 layouts as DeepLabCut has them, and SLEAP's analysis file."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

type Labels = Sequence[tuple[str, ...]]


def make_labels(
    parts: Sequence[str], individuals: Sequence[str] = (), coords: Sequence[str] = ("x", "y", "likelihood")
) -> list[tuple[str, ...]]:
    if not individuals:
        return [("net", part, coord) for part in parts for coord in coords]
    return [("net", one, part, coord) for one in individuals for part in parts for coord in coords]


def write_table(path: Path, values: np.ndarray, labels: Labels, index: Any = None, kind: bytes | None = None) -> Path:
    """Layout ``table``: names in attributes that are pickled by protocol 0, as PyTables does it."""
    index = np.arange(len(values)) if index is None else np.asarray(index)
    rows = np.zeros(len(values), [("index", index.dtype), ("values_block_0", values.dtype, values.shape[1:])])
    rows["index"], rows["values_block_0"] = index, values
    with h5py.File(path, "w") as file:
        file.attrs["PYTABLES_FORMAT_VERSION"] = np.bytes_(b"2.1")
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=rows, chunks=True)
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(list(labels), 0) if kind is None else kind)
    return path


def write_fixed(path: Path, values: np.ndarray, labels: Labels) -> Path:
    """Layout ``fixed``: names in datasets, by levels."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group.attrs["nblocks"] = np.int64(1)
        group["axis1"] = np.arange(len(values))
        group["block0_values"] = values
        group.attrs["block0_items_variety"] = np.bytes_(b"multi")
        group.attrs["block0_items_nlevels"] = np.int64(len(labels[0]))
        for number, level in enumerate(zip(*labels, strict=True)):
            names = list(dict.fromkeys(level))
            group[f"block0_items_level{number}"] = np.array([name.encode() for name in names])
            group[f"block0_items_label{number}"] = np.array([names.index(name) for name in level], "i1")
    return path


def write_sleap(
    path: Path,
    points: np.ndarray,
    nodes: Sequence[str],
    tracks: Sequence[str] = (),
    *,
    order: tuple[int, ...] = (3, 2, 1, 0),
    scores: np.ndarray | None = None,
    edges: Sequence[tuple[int, int]] = (),
    video: str = "",
) -> Path:
    """Points (frame, node, xy, track) in the order of SLEAP's own writer, or in another one."""
    with h5py.File(path, "w") as file:
        file["track_names"] = np.array([one.encode() for one in tracks]) if tracks else np.zeros(0)
        file["node_names"] = np.array([one.encode() for one in nodes])
        file["edge_inds"] = np.array(edges, "i8") if edges else np.zeros(0)
        file.create_dataset("tracks", data=points.transpose(order), chunks=True, compression="gzip")
        file["track_occupancy"] = np.ones((len(points), points.shape[3]), "u1")
        if video:
            file["video_path"] = video
        if scores is not None:
            file["point_scores"] = scores.transpose()
    return path
