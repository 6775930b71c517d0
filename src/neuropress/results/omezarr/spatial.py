"""Which of many annotations are drawn from afar, and which up close: the levels of neuroglancer's spatial index.

A level divides the same box into cells, the next one each of these in two along its longest axes. An annotation is of
one level. The first holds a sample of all: `MOST` of the fullest cell, and the same part of every other one; the next a
sample of the rest. Which ones those are follows from their numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST = 10_000
"""Annotations of a cell, which a page loads as a whole."""
MOST_LEVELS = 16
"""More than this many halvings part only what lies at one place: the last level holds all that is left."""
MOST_COPIES = 4
"""Cells that a box lies in, in the mean, at most: large boxes are in no finer level."""
SHUFFLE = 2654435761
"""Times the number of an annotation, modulo 2^32: its place in the order in which they are chosen."""
LONG = 0.5
"""Of the longest side of a cell: shorter ones are not halved."""


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the index.

    Attributes
    ----------
    grid
        Cells along each axis.
    size
        Extent of a cell along each axis.
    cells
        Place of each cell that is not empty, with the numbers of its annotations in the order in which they are drawn.
    """

    grid: tuple[int, ...]
    size: tuple[float, ...]
    cells: tuple[tuple[tuple[int, ...], np.ndarray], ...]

    @property
    def most(self) -> int:
        """Annotations of the fullest cell."""
        return max((len(numbers) for _, numbers in self.cells), default=0)


def arrange_levels(
    low: np.ndarray, high: np.ndarray | None, bounds: tuple[np.ndarray, np.ndarray], steps: Sequence[float]
) -> list[Level]:
    """Every annotation in one level; a box in each cell of it that it touches.

    Parameters
    ----------
    low, high
        (annotation, axis) edges of boxes; places of points, and None.
    bounds
        Lower and upper edges of what is divided; all annotations lie in it.
    steps
        How long a unit of each axis is, in one unit.
    """
    rank = np.arange(len(low), dtype="u8") * SHUFFLE % 2**32
    left, grid = np.arange(len(low)), np.ones(low.shape[1], int)
    levels: list[Level] = []
    while True:
        size = (bounds[1] - bounds[0]) / grid
        ends = None if high is None else high[left]
        owners, places = _list_meetings(low[left], ends, bounds[0], size, grid)
        chosen = _choose_sample(rank[left], owners, places, grid)
        finer = _halve_cells(grid, size * steps)
        rest = left[~chosen]
        copies = 1.0 if high is None else _count_copies(low[rest], high[rest], bounds, finer)
        if len(levels) + 1 == MOST_LEVELS or copies > MOST_COPIES:
            chosen[:] = True
        inside = chosen[owners]
        cells = _group_cells(left[owners[inside]], places[inside], rank)
        levels.append(Level(tuple(map(int, grid)), tuple(map(float, size)), cells))
        left, grid = left[~chosen], finer
        if not len(left):
            return levels


def encode_morton(place: Sequence[int], grid: Sequence[int]) -> int:
    """The number of a cell: the bits of its place along each axis in turn, where the grid is that long."""
    code = shift = 0
    for bit in range(max(grid).bit_length()):
        for at, count in zip(place, grid, strict=True):
            if 2**bit < count:
                code |= (at >> bit & 1) << shift
                shift += 1
    return code


def _find_cells(edge: np.ndarray, start: np.ndarray, size: np.ndarray, grid: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.floor((edge - start) / size).astype("i4").clip(0, grid - 1, dtype="i4")
    return found


def _list_meetings(
    low: np.ndarray, high: np.ndarray | None, start: np.ndarray, size: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Annotation and place of each pair of an annotation and a cell that it touches."""
    first = _find_cells(low, start, size, grid)
    if high is None:
        return np.arange(len(low)), first
    last = _find_cells(high, start, size, grid)
    extents = last - first + 1
    copies = extents.prod(axis=1)
    owners = np.repeat(np.arange(len(low)), copies)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(copies) - copies, copies)
    places = np.empty((len(owners), len(grid)), int)
    for axis in reversed(range(len(grid))):
        count = extents[owners, axis]
        places[:, axis] = first[owners, axis] + within % count
        within //= count
    return owners, places


def _count_copies(low: np.ndarray, high: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], grid: np.ndarray) -> float:
    """In how many cells of a grid boxes lie, in the mean."""
    size = (bounds[1] - bounds[0]) / grid
    first, last = (_find_cells(edge, bounds[0], size, grid) for edge in (low, high))
    return float((last - first + 1).astype(float).prod(axis=1).mean()) if len(low) else 0.0


def _choose_sample(rank: np.ndarray, owners: np.ndarray, places: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Those of the lowest ranks, as many as leave no cell with more than `MOST`."""
    cells = np.ravel_multi_index(tuple(places.T), tuple(grid)) if len(owners) else owners
    order = np.lexsort((rank[owners], cells))
    _, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
    over = starts[counts > MOST] + MOST
    chosen: np.ndarray = rank < (rank[owners[order[over]]].min() if len(over) else 2**32)
    return chosen


def _halve_cells(grid: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    halved: np.ndarray = np.where(lengths > LONG * lengths.max(), 2 * grid, grid)
    return halved


def _group_cells(
    numbers: np.ndarray, places: np.ndarray, rank: np.ndarray
) -> tuple[tuple[tuple[int, ...], np.ndarray], ...]:
    order = np.lexsort((rank[numbers], *places.T[::-1]))
    numbers, places = numbers[order], places[order]
    ends = np.flatnonzero((np.diff(places, axis=0) != 0).any(axis=1)) + 1
    parts = np.split(numbers, ends) if len(numbers) else []
    heads = places[[0, *ends][: len(parts)]]
    return tuple((tuple(map(int, place)), part) for place, part in zip(heads, parts, strict=True))
