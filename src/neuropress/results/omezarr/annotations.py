"""Points and boxes as neuropress serves them to neuroglancer: its precomputed annotations.

``info`` says what they are, ``spatial0/0.shard`` and on hold them by levels and cells (see `spatial`), a file a level,
``by_id/0.shard`` each by the number of its row. Places are float32 in voxels of the volume's level 0, x first; the
middle of the first voxel is at 0, as neuroglancer has it of OME-Zarr.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from .spatial import Level, arrange_levels, encode_morton

METRES = {"nanometer": Decimal("1e-9"), "micrometer": Decimal("1e-6"), "millimeter": Decimal("1e-3")}
RUN_BITS = 12
"""Neighbours, 2 to the power of it, that one part of an index tells: what a page loads to find one of them."""
SHARD = "0.shard"
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
        low, *high = (records[name].astype("f8") for name in ("low", "high")[: 1 + self.is_box])
        bounds = self._find_bounds([low, *high])
        levels = arrange_levels(low, high[0] if high else None, bounds, [float(step) for step in self.scale])
        count = len(records)
        _, head, tail, sharding = _index_parts(np.arange(count), np.full(count, records.itemsize))
        files = {f"by_id/{SHARD}": b"".join((head, records.tobytes(), tail))}
        spatial = []
        for number, level in enumerate(levels):
            files[name_level(number)], cells = _pack_level(level, records)
            stated = {"key": f"spatial{number}", "grid_shape": level.grid, "chunk_size": level.size}
            spatial.append({**stated, "limit": max(1, level.most), "sharding": cells})
        info = self._make_info(bounds) | {"by_id": {"key": "by_id", "sharding": sharding}, "spatial": spatial}
        return {"info": (json.dumps(info, indent=1) + "\n").encode("ascii"), **files}

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

    def _find_bounds(self, edges: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the volume, or of all annotations where some lie outside."""
        lower = np.vstack([*edges, [[-0.5] * len(self.axes)]]).min(0)
        upper = np.vstack([*edges, [[n - 0.5 for n in self.extent]]]).max(0)
        return lower, upper

    def _make_info(self, bounds: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
        known = [(step, METRES.get(unit)) for step, unit in zip(self.scale, self.units, strict=True)]
        sizes = [(float(step * metres), "m") if metres else (float(step), "") for step, metres in known]
        properties: list[dict[str, Any]] = []
        if self.scores is not None:
            properties.append({"id": "score", "type": "float32"})
        if self.classes is not None:
            numbers = list(range(len(self.names)))
            properties.append(
                {"id": "class", "type": "uint32", "enum_values": numbers, "enum_labels": list(self.names)}
            )
        return {
            "@type": "neuroglancer_annotations_v1",
            "dimensions": dict(zip(self.axes, sizes, strict=True)),
            "lower_bound": bounds[0].tolist(),
            "upper_bound": bounds[1].tolist(),
            "annotation_type": "axis_aligned_bounding_box" if self.is_box else "point",
            "properties": properties,
            "relationships": [],
        }


def name_level(number: int) -> str:
    """The file of a level of the spatial index, below the folder of the annotations."""
    return f"spatial{number}/{SHARD}"


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


def _pack_level(level: Level, records: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    """The cells of a level, each its number of annotations, their records and their ids; and what ``info`` says."""
    cells = [
        b"".join((len(ids).to_bytes(8, "little"), records[ids].tobytes(), ids.astype("<u8").tobytes()))
        for _, ids in level.cells
    ]
    codes = np.array([encode_morton(place, level.grid) for place, _ in level.cells], "i8")
    order, head, tail, sharding = _index_parts(codes, np.array([len(cell) for cell in cells], "i8"))
    return b"".join((head, *(cells[at] for at in order), tail)), sharding


def _index_parts(numbers: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, bytes, bytes, dict[str, Any]]:
    """How parts lie in one file, where the plain form needs a file for each.

    Returns the order of the parts, what stands before and after them, and what ``info`` says of it. An index lists
    neighbours, `RUN_BITS` of whose numbers' bits differ; where numbers are far apart, several such runs.
    """
    bits = (max(len(numbers) - 1, 0) >> RUN_BITS).bit_length()
    runs = numbers >> RUN_BITS & 2**bits - 1
    order = np.lexsort((numbers, runs))
    numbers, sizes, runs = numbers[order], sizes[order], runs[order]
    ends = np.cumsum(sizes)
    head, indices, place = np.zeros((2**bits, 2), "<u8"), [], int(sizes.sum())
    cuts = [0, *(np.flatnonzero(np.diff(runs)) + 1).tolist(), len(runs)]
    for a, b in pairwise(cuts if len(runs) else []):
        index = np.zeros((3, b - a), "<u8")
        index[0] = np.diff(numbers[a:b], prepend=0)
        index[1, 0] = ends[a] - sizes[a]  # that of the next ones: the step from the end of the one before
        index[2] = sizes[a:b]
        head[runs[a]] = place, place + index.nbytes
        place += index.nbytes
        indices.append(index.tobytes())
    sharding = {
        "@type": "neuroglancer_uint64_sharded_v1",
        "preshift_bits": RUN_BITS,
        "hash": "identity",
        "minishard_bits": bits,
        "shard_bits": 0,
        "minishard_index_encoding": "raw",
        "data_encoding": "raw",
    }
    return order, head.tobytes(), b"".join(indices), sharding
