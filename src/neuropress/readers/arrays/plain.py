"""Arrays whose elements lie one after the other in a file: parts of them without reading the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...model.content import Selection
from ...model.finding import Problem
from ...model.source import RawFile

PIECE_BYTES = 2**24
"""What is read at once, of which only a part may be wanted."""
LEAST_BYTES = 2**13
"""What is read by itself though more lies beside it."""

type MakeProblem = Callable[[str, str], Problem]


def read_block(
    file: RawFile, start: int, dtype: np.dtype[Any], shape: tuple[int, ...], selection: Selection, make: MakeProblem
) -> np.ndarray:
    """A block of an array in C order (its last axis is the fastest), in native byte order.

    Parameters
    ----------
    start
        Byte of the first element.
    make
        Makes the finding of a file that became shorter, of an id and a message.
    """
    sizes = tuple(part.stop - part.start for part in selection)
    block = np.empty(sizes, dtype.newbyteorder("="))
    if not block.size:
        return block
    if not shape:
        return _read_run(file, start, 1, dtype, make).reshape(())
    for rows, offset, within in _iterate_rows(shape, selection, dtype.itemsize):
        run = _read_run(file, start + offset * dtype.itemsize, math.prod(within), dtype, make).reshape(within)
        inner = selection[len(selection) - len(within) + 1 :]
        block[rows] = run[(slice(None), *inner)].reshape(block[rows].shape)
    return block


def _iterate_rows(
    shape: tuple[int, ...], selection: Selection, itemsize: int
) -> Iterator[tuple[tuple[slice, ...], int, tuple[int, ...]]]:
    """Pieces of whole rows: where each goes in the block, its first element, and its extents in the file.

    The slowest axes are gone through one by one until a row of the next one is small enough to be read as a whole.
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    axis = 0
    while axis < len(shape) - 1 and (
        selection[axis].stop - selection[axis].start == 1
        or strides[axis] * itemsize > PIECE_BYTES
        or _is_wasteful(selection[axis + 1], shape[axis + 1], strides[axis + 1] * itemsize)
    ):
        axis += 1
    above = [range(part.start, part.stop) for part in selection[:axis]]
    step = max(1, PIECE_BYTES // max(1, strides[axis] * itemsize))
    for place in np.ndindex(*(len(one) for one in above)):
        base = sum(above[i][at] * strides[i] for i, at in enumerate(place))
        for first in range(selection[axis].start, selection[axis].stop, step):
            last = min(first + step, selection[axis].stop)
            goes = (
                *(slice(at, at + 1) for at in place),
                slice(first - selection[axis].start, last - selection[axis].start),
            )
            yield goes, base + first * strides[axis], (last - first, *shape[axis + 1 :])


def _is_wasteful(part: slice, extent: int, stride: int) -> bool:
    """Whether most of a row would be read for nothing, and what is wanted of it is worth a read of its own."""
    wanted: int = part.stop - part.start
    return 2 * wanted <= extent and wanted * stride >= LEAST_BYTES


def _read_run(file: RawFile, position: int, count: int, dtype: np.dtype[Any], make: MakeProblem) -> np.ndarray:
    file.seek(position)
    raw = file.read(count * dtype.itemsize)
    if len(raw) < count * dtype.itemsize:
        raise make("file.changed", "it became shorter while it was read")
    return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)


def reverse_axes(read: Callable[[Selection], np.ndarray]) -> Callable[[Selection], np.ndarray]:
    """Of a reader of an array with its axes reversed: a file in Fortran order, an HDF5 that MATLAB wrote."""

    def read_reversed(selection: Selection) -> np.ndarray:
        return read(tuple(reversed(selection))).transpose()

    return read_reversed
