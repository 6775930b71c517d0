"""SONATA files as simulators write them, and an independent reading of such files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

STEP = 0.025


def write_spikes(
    path: Path, populations: Mapping[str, tuple[Sequence[int], Sequence[float]]], sorting: Any = "none", **units: str
) -> Path:
    """A spikes file in today's layout: population -> node ids and times."""
    with h5py.File(path, "w") as file:
        for name, (nodes, times) in populations.items():
            group = file.create_group(f"spikes/{name}")
            if isinstance(sorting, str):
                group.attrs["sorting"] = sorting
            else:
                kind = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")
                group.attrs.create("sorting", sorting, dtype=kind)
            group["node_ids"] = np.asarray(nodes, "<u8")
            group["timestamps"] = np.asarray(times, "<f8")
            group["timestamps"].attrs["units"] = units.get("units", "ms")
    return path


def write_report(
    path: Path, shape: tuple[int, int] = (40, 7), sizes: Sequence[int] = (2, 2, 3), **members: Any
) -> Path:
    """A compartment report of Blue Brain's; `members` replace or add to its mapping, None leaves one out."""
    data = np.random.default_rng(shape[1]).normal(-65, 5, shape).astype("<f4")
    mapping = {
        "node_ids": np.arange(10, 10 + len(sizes), dtype="<u8"),
        "index_pointers": np.cumsum([0, *sizes], dtype="<u8"),
        "element_ids": np.concatenate([np.arange(size) for size in sizes]).astype("<u4"),
        "time": np.array([100.0, 100 + shape[0] * STEP, STEP]),
    } | members
    with h5py.File(path, "w") as file:
        group = file.create_group("report/cortex")
        group["data"] = data
        group["data"].attrs["units"] = "mV"
        for name, column in mapping.items():
            if column is not None:
                group[f"mapping/{name}"] = column
        if "mapping/time" in group:
            group["mapping/time"].attrs["units"] = "ms"
    return path


def list_pairs(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Every (node, time) of each population, ascending, by h5py and numpy alone."""
    with h5py.File(path) as file:
        group = file["spikes"]
        places = {"": group} if "timestamps" in group else dict(group.items())
        return {
            name: sorted(
                zip(
                    (one["node_ids"] if "node_ids" in one else one["gids"])[()].tolist(),
                    one["timestamps"][()].tolist(),
                    strict=True,
                )
            )
            for name, one in places.items()
        }
