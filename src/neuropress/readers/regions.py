"""What the readers of segmentations share: pixels of regions one after the other, columns, and traces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..model.content import Column, LazyArray

TEXT = np.dtypes.StringDType()


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one region: columns, rows and weights, equally long."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def make_pixel_type(weight: str = "<f4") -> np.dtype[Any]:
    """A pixel of a mask as NWB has it; weights that are stored as float64 stay so."""
    return np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", weight)])


def join_masks(masks: Sequence[Mask], weight: str = "<f4") -> tuple[np.ndarray, np.ndarray]:
    """All pixels one after the other, and where each region's end.

    Returns
    -------
    pixels, ends
        (pixel,) of records and (roi,) of uint32.
    """
    ends = np.cumsum([len(mask.x) for mask in masks], dtype="<u4")
    pixels = np.empty(int(ends[-1]) if masks else 0, make_pixel_type(weight))
    for mask, end in zip(masks, ends.tolist(), strict=True):
        part = pixels[end - len(mask.x) : end]
        part["x"], part["y"], part["weight"] = mask.x, mask.y, mask.weight
    return pixels, ends


def measure_bounds(pixels: np.ndarray) -> list[int]:
    """Left, top, right and bottom of all pixels; the last two are outside."""
    x, y = pixels["x"], pixels["y"]
    return [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]


def make_array(name: str, data: np.ndarray, *axes: str) -> LazyArray:
    """An array that was computed from a file and is kept."""
    return LazyArray(name, data.shape, data.dtype, axes or ("roi",), data.__getitem__, data.shape)


@dataclass(frozen=True, slots=True)
class RegionColumn:
    """A column of a segmentation: its elements, what they mean, and the ends of each region's where it has several."""

    name: str
    data: np.ndarray
    meaning: str
    ends: np.ndarray | None = None


def make_columns(columns: Iterable[RegionColumn]) -> tuple[dict[str, LazyArray], tuple[Column, ...]]:
    """Arrays and declarations of columns, that of the pixels' ends apart."""
    arrays: dict[str, LazyArray] = {}
    declared = []
    for column in columns:
        axes = {1: ("roi",), 2: ("roi", "axis")}[column.data.ndim]
        ends = ""
        if column.ends is not None:
            ends, axes = f"{column.name}_ends", ("element",)
            arrays[ends] = make_array(ends, column.ends)
        arrays[column.name] = make_array(column.name, column.data, *axes)
        declared.append(Column(column.name, column.name, ends=ends, meaning=column.meaning))
    return arrays, tuple(declared)


def describe_trace(kind: str, table: str, meaning: str) -> Mapping[str, Any]:
    """The header of a `Series` of traces.

    Parameters
    ----------
    kind
        ``fluorescence``, ``neuropil``, ``deconvolved``, ``dff``, ``denoised`` or ``residual``.
    table
        Name of the content whose rows the traces are of, in the same order.
    """
    return {"trace": kind, "table": table, "meaning": meaning}
