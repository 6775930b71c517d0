"""Pixels of a ROI by ImageJ's rules, as runs: row, first column, and the column behind the last.

Integer coordinates of areas are corners of pixels, so that a pixel belongs to an area when its middle lies inside. A
middle on a left or an upper edge is outside, one on a right or a lower edge inside; areas fill by the even-odd rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .curves import Path
from .parse import Roi

type Runs = np.ndarray[Any, np.dtype[np.int32]]
"""(n, 3) row, start, stop; by row and start, no two overlap."""

EDGE = 1e-8
"""By how much ImageJ moves edges to the right, so that a middle on one is on the same side on every computer."""
BLOCK_PIXELS = 2**20


class TooLarge(ValueError):
    """A mask that would take more runs or pixels than allowed."""


def fill_roi(roi: Roi, most_runs: int, most_pixels: int) -> Runs:
    """The pixels of a ROI, those with negative coordinates among them.

    Raises
    ------
    TooLarge
        They take more than `most_runs` runs, or more than `most_pixels` pixels.
    """
    if roi.shape == "box":
        runs = _fill_box(roi.paths[0], most_runs)
    elif roi.shape == "oval":
        runs = _fill_oval(roi.paths[0], most_runs, most_pixels)
    elif roi.shape == "area":
        runs = _fill_area(roi.paths, most_runs)
    elif roi.shape == "line":
        runs = _fill_line(roi.paths[0], most_runs)
    else:
        points = np.floor(roi.paths[0] + 0.5).astype("i4")
        if len(points) > most_runs:
            raise TooLarge
        runs = _join_pixels(points[:, 1], points[:, 0])
    if count_pixels(runs) > most_pixels:
        raise TooLarge
    return runs


def count_pixels(runs: Runs) -> int:
    """How many pixels runs have."""
    return int((runs[:, 2].astype("i8") - runs[:, 1]).sum())


def clip_runs(runs: Runs, width: int, height: int) -> Runs:
    """What of the runs lies within an image."""
    inside = runs[(runs[:, 0] >= 0) & (runs[:, 0] < height)]
    clipped = np.stack([inside[:, 0], np.maximum(inside[:, 1], 0), np.minimum(inside[:, 2], width)], axis=1)
    return clipped[clipped[:, 1] < clipped[:, 2]]


def list_pixels(runs: Runs, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the pixels `start` to `stop` of all runs."""
    lengths = runs[:, 2].astype("i8") - runs[:, 1]
    ends = np.cumsum(lengths)
    first, last = np.searchsorted(ends, start, "right"), np.searchsorted(ends, stop, "left") + 1
    some, counts = runs[first:last], lengths[first:last]
    begins = ends[first:last] - counts
    number = np.arange(start, stop)
    run = np.repeat(np.arange(len(some)), counts)[start - begins[0] :][: stop - start] if len(some) else number[:0]
    return some[run, 1] + (number - begins[run]), some[run, 0].astype("i8")


def _make_runs(rows: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> Runs:
    return np.stack([rows, starts, stops], axis=1).astype("i4")


def _fill_box(box: Path, most_runs: int) -> Runs:
    (left, top), (width, height) = box.astype("i8").tolist()
    if height > most_runs:
        raise TooLarge
    rows = np.arange(top, top + height)
    return _make_runs(rows, np.full(height, left), np.full(height, left + width))


def _fill_oval(box: Path, most_runs: int, most_pixels: int) -> Runs:
    """Pixels whose middle is not farther out than the ellipse in the box; every row of one is one run."""
    (left, top), (width, height) = box.astype("i8").tolist()
    if height > most_runs or width * height > 2 * most_pixels:  # an ellipse fills more than half of its box
        raise TooLarge
    a, b = width / 2, height / 2
    across = (np.arange(width) - (a - 0.5)) ** 2 / (a * a)
    down = (np.arange(height) - (b - 0.5)) ** 2 / (b * b)
    step = max(1, BLOCK_PIXELS // width)
    parts = []
    for start in range(0, height, step):
        inside = across + down[start : start + step, None] <= 1.0
        row = np.flatnonzero(inside.any(axis=1))
        first, count = inside.argmax(axis=1)[row], inside.sum(axis=1)[row]
        parts.append(_make_runs(row + top + start, first + left, first + left + count))
    return np.concatenate(parts)


def _fill_area(paths: tuple[Path, ...], most_runs: int) -> Runs:
    """Scan lines through the middles of rows: what lies between two crossings of edges, pair by pair, is inside."""
    rings = [path for path in paths if len(path) > 1]
    if not rings:
        return np.empty((0, 3), "i4")
    begins = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    downward = (begins[:, 1] <= ends[:, 1])[:, None]
    (x1, y1), (x2, y2) = np.where(downward, begins, ends).T, np.where(downward, ends, begins).T
    # An edge crosses the middle of a row, row + 0.5, where y1 < row + 0.5 <= y2.
    first, last = np.floor(y1 + 0.5).astype("i8"), np.floor(y2 + 0.5).astype("i8")
    counts = last - first
    if counts.sum() > 2 * most_runs:
        raise TooLarge
    edge = np.repeat(np.arange(len(counts)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x2 - x1)[edge] / (y2 - y1)[edge]
    crossing = x1[edge] + (row + 0.5 - y1[edge]) * slope + EDGE
    column = np.floor(crossing + 0.5).astype("i8")
    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    starts, stops = column[0::2], column[1::2]  # a closed outline crosses every row an even number of times
    filled = starts < stops
    return _make_runs(row[0::2][filled], starts[filled], stops[filled])


def _fill_line(path: Path, most_runs: int) -> Runs:
    """Pixels along a line, in steps of a pixel or less from vertex to vertex, as ImageJ goes along a straight one."""
    if len(path) == 1:
        path = np.repeat(path, 2, axis=0)
    delta = path[1:] - path[:-1]
    steps = np.maximum(np.ceil(np.sqrt((delta**2).sum(axis=1))), 1).astype("i8")
    counts = steps + 1
    if counts.sum() > most_runs:
        raise TooLarge
    part = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(part)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = path[part] + number[:, None] * (delta / steps[:, None])[part]
    pixels = np.floor(places).astype("i4")
    return _join_pixels(pixels[:, 1], pixels[:, 0])


def _join_pixels(rows: np.ndarray, columns: np.ndarray) -> Runs:
    """Runs of single pixels, each once."""
    rows, columns = np.unique(np.stack([rows, columns]), axis=1)
    follows = (np.diff(rows, prepend=rows[:1]) == 0) & (np.diff(columns, prepend=columns[:1] - 2) == 1)
    begins = np.flatnonzero(~follows)
    lasts = np.append(begins[1:], len(rows)) - 1
    return _make_runs(rows[begins], columns[begins], columns[lasts] + 1)
