"""Points and boxes as neuropress serves them to neuroglancer: its precomputed annotations, in three files.

``info`` says what they are, ``spatial0/0_0_0`` holds all of them in one cell, ``by_id/0.shard`` each by the number of
its row. Places are float32 in voxels of the volume's level 0, x first; the middle of the first voxel is at 0, as
neuroglancer has it of OME-Zarr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

METRES = {"nanometer": Decimal("1e-9"), "micrometer": Decimal("1e-6"), "millimeter": Decimal("1e-3")}
SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 0,
    "hash": "identity",
    "minishard_bits": 0,
    "shard_bits": 0,
    "minishard_index_encoding": "raw",
    "data_encoding": "raw",
}
"""One shard of one minishard: a file for all ids, where the plain form needs a file for each."""
SHUFFLE = 2654435761
"""neuroglancer draws the first so many of a cell where it is far away: they are to lie anywhere."""
MOST_CLASSES = 65_536


@dataclass(frozen=True, slots=True)
class Annotations:
    """What is drawn.

    Attributes
    ----------
    axes
        Names, x first.
    scale
        Size of a voxel along each, exact.
    units
        Of `scale`; empty where it is not known.
    extent
        Voxels along each.
    low, high
        (row, axis) in voxels; of points both are the same.
    is_box
        Whether they are boxes.
    scores
        (row,) NaN without one; None where there is no such column.
    classes
        (row,) numbers of classes; None where there is no such column.
    names
        Of the classes.
    """

    axes: Sequence[str]
    scale: Sequence[Decimal]
    units: Sequence[str]
    extent: Sequence[int]
    low: np.ndarray
    high: np.ndarray
    is_box: bool
    scores: np.ndarray | None = None
    classes: np.ndarray | None = None
    names: Sequence[str] = ()

    def make_files(self) -> dict[str, bytes]:
        """Files by their path below the folder of the annotations."""
        records = self._make_records()
        count = len(records)
        order = np.argsort(np.arange(count, dtype="u8") * SHUFFLE % 2**32, kind="stable").astype("<u8")
        cell = b"".join((np.array(count, "<u8").tobytes(), records[order].tobytes(), order.tobytes()))
        name = "_".join("0" for _ in self.axes)
        info = json.dumps(self._make_info(count), indent=1) + "\n"
        return {"info": info.encode("ascii"), f"spatial0/{name}": cell, "by_id/0.shard": _make_shard(records)}

    def _make_records(self) -> np.ndarray:
        """One record a row: places, then score and class, 4 bytes each."""
        parts = [("low", "<f4", (len(self.axes),))]
        parts += [("high", "<f4", (len(self.axes),))] if self.is_box else []
        values: dict[str, Any] = {"low": self.low, "high": self.high, "score": self.scores, "class": self.classes}
        fields: list[Any] = [*parts]
        fields += [("score", "<f4")] if self.scores is not None else []
        fields += [("class", "<u4")] if self.classes is not None else []
        records = np.zeros(len(self.low), np.dtype(fields))
        for name in records.dtype.names or ():
            records[name] = values[name]
        return records

    def _make_info(self, count: int) -> dict[str, Any]:
        known = [(step, METRES.get(unit)) for step, unit in zip(self.scale, self.units, strict=True)]
        sizes = [(float(step * metres), "m") if metres else (float(step), "") for step, metres in known]
        edges = [np.zeros((0, len(self.axes)))] if not count else [self.low, self.high]
        lower = np.vstack([*edges, [[-0.5] * len(self.axes)]]).min(0)
        upper = np.vstack([*edges, [[n - 0.5 for n in self.extent]]]).max(0)
        properties: list[dict[str, Any]] = []
        if self.scores is not None:
            properties.append({"id": "score", "type": "float32"})
        if self.classes is not None:
            numbers = list(range(len(self.names)))
            properties.append(
                {"id": "class", "type": "uint32", "enum_values": numbers, "enum_labels": list(self.names)}
            )
        # Its own cell is as large as all of them, so that one at the far edge lies in it.
        cell = [float(n) for n in upper - lower]
        return {
            "@type": "neuroglancer_annotations_v1",
            "dimensions": dict(zip(self.axes, sizes, strict=True)),
            "lower_bound": [float(n) for n in lower],
            "upper_bound": [float(n) for n in upper],
            "annotation_type": "axis_aligned_bounding_box" if self.is_box else "point",
            "properties": properties,
            "relationships": [],
            "by_id": {"key": "by_id", "sharding": SHARDING},
            "spatial": [
                {"key": "spatial0", "grid_shape": [1] * len(self.axes), "chunk_size": cell, "limit": max(1, count)}
            ],
        }


def number_classes(texts: Sequence[str], known: Mapping[str, str]) -> tuple[np.ndarray, list[str]] | None:
    """Number of each row's class, and what the classes are called; None where there are too many to be classes.

    Parameters
    ----------
    known
        Class as the rows have it -> its name by a table of classes.
    """
    found = sorted(set(texts))
    if len(found) > MOST_CLASSES:
        return None
    numbers = {text: number for number, text in enumerate(found)}
    names = [f"{text} {known[text]}" if known.get(text) else text for text in found]
    return np.array([numbers[text] for text in texts], "<u4"), names


def _make_shard(records: np.ndarray) -> bytes:
    """All records by their ids, 0 and on: the index of the shard, the records, the index of its minishard."""
    count, size = len(records), records.dtype.itemsize
    index = np.zeros((3, count), "<u8")
    index[0, 1:] = 1  # ids, starts and sizes; of the first two the step from the one before
    index[2] = size
    start = count * size
    head = np.array([start, start + index.nbytes], "<u8")
    return b"".join((head.tobytes(), records.tobytes(), index.tobytes()))
