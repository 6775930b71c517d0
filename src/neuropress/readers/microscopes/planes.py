"""Planes of pixels at known places of a file, rows and columns a fixed number of bytes apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import LazyArray, Selection
from ...model.finding import problem
from ..images.pixels import OpenFiles


class StridedPlanes:
    """Uncompressed planes, of which rows are read as they are asked for.

    Parameters
    ----------
    files, key
        The open files and the one that holds the planes.
    find_start
        ``find_start(index)`` gives the first byte of a plane; None where it was never written, and is 0.
    shape, strides
        Extent of a plane and bytes from one element to the next, rows first.
    stored
        Type with the file's byte order.
    """

    def __init__(
        self,
        files: OpenFiles,
        key: str,
        find_start: Callable[[int], int | None],
        shape: Sequence[int],
        strides: Sequence[int],
        stored: np.dtype[Any],
    ) -> None:
        self._files, self._key, self._find_start = files, key, find_start
        self._shape, self._strides, self._stored = tuple(shape), tuple(strides), stored

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Read the rows that are asked for in one piece, then cut the other axes."""
        start = self._find_start(index)
        if start is None:
            out[...] = 0
            return
        first, rest = selection[0], selection[1:]
        shape = (first.stop - first.start, *self._shape[1:])
        count = measure_span(shape, self._strides, self._stored.itemsize)
        data = self._files.read(self._key, start + first.start * self._strides[0], count)
        rows: np.ndarray = np.ndarray(shape, self._stored, data, 0, self._strides)
        out[...] = rows[(slice(None), *rest)]


def measure_span(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> int:
    """Bytes from the first element to the end of the last one."""
    return sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + itemsize


def check_extents(shape: Sequence[int], dtype: np.dtype[Any], size: int, key: str, ratio: int = 1) -> None:
    """Refuse extents that the file cannot hold.

    Parameters
    ----------
    size
        Stored bytes.
    ratio
        Decoded bytes of each of them that are believed.

    Raises
    ------
    Problem
        ``microscope.damaged`` for an extent that is none, ``microscope.truncated`` or, where it is compressed,
        ``image.hostile`` for pixels that do not fit.
    """
    if any(n < 1 or n >= budget.EXTENT for n in shape) or len(shape) > budget.RANK:
        raise problem("microscope.damaged", f"{key}: it states the extents {list(shape)}", file=key)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes > size * ratio + (budget.IMAGE_SLACK if ratio > 1 else 0):
        id = "image.hostile" if ratio > 1 else "microscope.truncated"
        shown = " x ".join(str(n) for n in shape)
        raise problem(id, f"{key}: {shown} pixels of {dtype} take {nbytes} bytes, the file has {size}", file=key)


def build_times(name: str, values: np.ndarray) -> LazyArray:
    """Times of frames, which a header had, as a lazy array."""

    def read(selection: Selection) -> np.ndarray:
        return values[selection[0]].copy()

    return LazyArray(name, values.shape, values.dtype, ("t",), read, values.shape)
