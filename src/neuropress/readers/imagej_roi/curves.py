"""Outlines that ImageJ draws as curves, as the polygons that it fills in their place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

type Path = np.ndarray[Any, np.dtype[np.float64]]
type Point = tuple[float, float]

FLATNESS = 0.01
"""Pixels by which the polygon may differ from the curve."""
DEPTH = 10
"""How often a curve is halved at most."""
MOVE, LINE, QUADRATIC, CUBIC, CLOSE = range(5)
KAPPA = 4 / 3 * (math.sqrt(2) - 1)
"""Where the control points of a quarter of a circle lie, in parts of its radius."""

# Cosines of 0, 5, ..., 90 degrees, written down so that masks are the same with every mathematical library.
_COSINES = (
    1.0, 0.9961946980917455, 0.984807753012208, 0.9659258262890683, 0.9396926207859084, 0.9063077870366499,
    0.8660254037844387, 0.8191520442889918, 0.766044443118978, 0.7071067811865476, 0.6427876096865394,
    0.573576436351046, 0.5, 0.42261826174069944, 0.3420201433256688, 0.2588190451025208, 0.17364817766693041,
    0.08715574274765824, 0.0,
)  # fmt: skip
_QUARTER = 18


class TooManyVertices(ValueError):
    """Curves that would take more vertices than allowed."""


def make_ellipse(first: Point, second: Point, ratio: float) -> Path:
    """ImageJ's polygon of 72 vertices, rounded to float32 as there, between the ends of the major axis."""
    x, y = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
    dx, dy = (second[0] - first[0]) / 2, (second[1] - first[1]) / 2
    vertices = []
    for step in range(4 * _QUARTER):
        along, across = _get_cosine(step), _get_cosine(step - _QUARTER) * ratio
        vertices.append((x + along * dx - across * dy, y + along * dy + across * dx))
    return _round_to_float32(vertices)


def _get_cosine(step: int) -> float:
    """Cosine of `step` times 5 degrees."""
    step = abs(step) % (4 * _QUARTER)
    step = min(step, 4 * _QUARTER - step)
    return _COSINES[step] if step <= _QUARTER else -_COSINES[2 * _QUARTER - step]


def make_rotated_rectangle(first: Point, second: Point, width: float) -> Path:
    """The rectangle of a width around the line between the middles of two of its sides."""
    dx, dy = second[0] - first[0], second[1] - first[1]
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0:
        return np.empty((0, 2))
    x, y = 0.5 * width * dy / length, -0.5 * width * dx / length
    (x1, y1), (x2, y2) = first, second
    return _round_to_float32([(x1 + x, y1 + y), (x2 + x, y2 + y), (x2 - x, y2 - y), (x1 - x, y1 - y)])


def make_rounded_rectangle(x: float, y: float, width: float, height: float, arc: float) -> Iterator[Any]:
    """Segments of a rectangle with corners of a diameter, as wide and as high as it at most."""
    rx, ry = min(width, arc) / 2, min(height, arc) / 2
    kx, ky = rx * (1 - KAPPA), ry * (1 - KAPPA)
    right, bottom = x + width, y + height
    yield MOVE, [x, y + ry]
    yield LINE, [x, bottom - ry]
    yield CUBIC, [x, bottom - ky, x + kx, bottom, x + rx, bottom]
    yield LINE, [right - rx, bottom]
    yield CUBIC, [right - kx, bottom, right, bottom - ky, right, bottom - ry]
    yield LINE, [right, y + ry]
    yield CUBIC, [right, y + ky, right - kx, y, right - rx, y]
    yield LINE, [x + rx, y]
    yield CUBIC, [x + kx, y, x, y + ky, x, y + ry]
    yield CLOSE, []


def flatten_path(segments: Iterable[tuple[int, Sequence[float]]], most: int) -> Iterator[Path]:
    """Closed outlines of a path of segments, each a polygon.

    Raises
    ------
    TooManyVertices
        There are more than `most` vertices.
    """
    vertices: list[Point] = []
    start: Point = (0.0, 0.0)
    room = most
    for kind, numbers in segments:
        points = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
        before = len(vertices)
        if kind in (MOVE, CLOSE):
            if vertices:
                yield _round_to_float32(vertices)
            # What follows a closed outline without a place of its own goes on where that began.
            start = points[0] if points else start
            vertices, before = [start], 0
        elif kind == LINE:
            vertices += points
        else:
            vertices += _flatten_curve([vertices[-1], *points], room)
        room -= len(vertices) - before
        if room < 0:
            raise TooManyVertices
    if vertices:
        yield _round_to_float32(vertices)


def _flatten_curve(curve: list[Point], room: int) -> Iterator[Point]:
    """Ends of the straight parts of a Bezier curve, halved until its control points lie close to its chord."""
    waiting = [(curve, 0)]
    while waiting:
        points, depth = waiting.pop()
        if depth == DEPTH or _measure_flatness(points) < FLATNESS * FLATNESS:
            room -= 1
            if room < 0:
                raise TooManyVertices
            yield points[-1]
            continue
        left, right = _halve_curve(points)
        waiting += [(right, depth + 1), (left, depth + 1)]


def _halve_curve(points: list[Point]) -> tuple[list[Point], list[Point]]:
    """Both halves, by de Casteljau's construction."""
    left, right = [points[0]], [points[-1]]
    while len(points) > 1:
        points = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise(points)]
        left.append(points[0])
        right.append(points[-1])
    return left, right[::-1]


def _measure_flatness(points: list[Point]) -> float:
    """The largest square of a control point's distance from the chord."""
    return max(_measure_distance(points[0], points[-1], control) for control in points[1:-1])


def _measure_distance(first: Point, last: Point, point: Point) -> float:
    """Square of a point's distance from a straight line between two ends."""
    dx, dy = last[0] - first[0], last[1] - first[1]
    px, py = point[0] - first[0], point[1] - first[1]
    length = dx * dx + dy * dy
    part = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length else 0.0
    px, py = px - part * dx, py - part * dy
    return px * px + py * py


def _round_to_float32(vertices: Sequence[Point]) -> Path:
    return np.array(vertices, "f4").reshape(-1, 2).astype("f8")
