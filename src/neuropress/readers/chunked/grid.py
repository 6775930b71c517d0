"""Pixels of an array in chunks, decoded chunk by chunk; those decoded last stay in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import product
from threading import Lock
from typing import Any

import numpy as np

from ...model.content import LazyArray, Selection

CACHE_BYTES = 16 * 2**20

type Place = tuple[int, ...]
"""A chunk's number along each axis."""


class ChunkGrid:
    """Blocks of an array whose chunks lie in a grid from its first element on.

    Parameters
    ----------
    chunk
        Extent of a chunk; those at the far end of the array may have fewer elements.
    dtype
        In native byte order.
    load
        The chunk at a place, in the array's order of axes; None where it was never written.
    fill
        What elements of such a chunk are.
    """

    def __init__(
        self,
        chunk: Sequence[int],
        dtype: np.dtype[Any],
        load: Callable[[Place], np.ndarray | None],
        fill: Any = 0,
    ) -> None:
        self._chunk, self.dtype, self._load, self._fill = tuple(chunk), dtype, load, fill
        self._decoded: OrderedDict[Place, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def read(self, selection: Selection) -> np.ndarray:
        """A block, in native byte order."""
        out = np.full([part.stop - part.start for part in selection], self._fill, self.dtype)
        touched = [
            range(part.start // n, math.ceil(part.stop / n)) for part, n in zip(selection, self._chunk, strict=True)
        ]
        for place in product(*touched):
            chunk = self._get_chunk(place)
            if chunk is None:
                continue
            source, goal = [], []
            for part, n, i in zip(selection, self._chunk, place, strict=True):
                low, high = max(part.start, i * n), min(part.stop, (i + 1) * n)
                source.append(slice(low - i * n, high - i * n))
                goal.append(slice(low - part.start, high - part.start))
            out[tuple(goal)] = chunk[tuple(source)]
        return out

    def _get_chunk(self, place: Place) -> np.ndarray | None:
        with self._lock:
            if place in self._decoded:
                self._decoded.move_to_end(place)
                return self._decoded[place]
        chunk = self._load(place)
        if chunk is None:
            return None
        with self._lock:
            if place not in self._decoded:
                self._decoded[place] = chunk
                self._bytes += chunk.nbytes
            while self._bytes > CACHE_BYTES and len(self._decoded) > 1:
                self._bytes -= self._decoded.popitem(last=False)[1].nbytes
        return chunk


def build_array(grid: ChunkGrid, shape: tuple[int, ...], chunk: Sequence[int], axes: tuple[str, ...]) -> LazyArray:
    """The lazy array ``pixels`` over a grid."""
    block = tuple(min(n, whole) for n, whole in zip(chunk, shape, strict=True))
    return LazyArray("pixels", shape, grid.dtype, axes, grid.read, block, is_shared=True, kept=CACHE_BYTES)
