"""The tiles of a scene: which plane each belongs to, and where it lies in it.

Tiles are placed by their own coordinates, in a rectangle around those of their scene alone: scenes lie anywhere on the
stage, and may cover each other. Where tiles overlap, the one with the higher index (M) is seen, as in the vendor's own
programs; without indices that differ nobody knows, and it is refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model import budget
from ...model.finding import problem

LEAD = "TCZ"
_SPACE = "YXS"
_EXACT_TILES = 1500
"""Tiles of a plane up to which overlaps and gaps are measured exactly."""

type Place = tuple[int, int, int]
"""Index of t, c and z."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of pixels: the library's entry, and place and extent in the scene's rectangle."""

    entry: Any
    y: int
    x: int
    height: int
    width: int
    index: int


@dataclass(frozen=True, slots=True)
class Scene:
    """The tiles of one image.

    Attributes
    ----------
    number
        Of the scene; -1 where the file has none.
    others
        Index along each dimension that is neither time, channel, depth nor in the plane (phase, view).
    first
        The lowest index of t, c and z: a file that was cut out of another one begins anywhere.
    extent
        Number of indices of t, c and z.
    height, width
        Of the rectangle around all tiles, whose corner is `y`, `x`.
    planes
        Tiles of each plane, those that are seen last.
    """

    number: int
    others: tuple[tuple[str, int], ...]
    first: Place
    extent: Place
    y: int
    x: int
    height: int
    width: int
    planes: Mapping[Place, Sequence[Tile]]
    warnings: tuple[str, ...]

    @property
    def entries(self) -> Iterator[Any]:
        """The entries of all tiles."""
        return (tile.entry for tiles in self.planes.values() for tile in tiles)


def list_scenes(entries: Sequence[Any], key: str) -> list[Scene]:
    """The scenes of a file's directory, without the smaller versions that viewers use.

    Raises
    ------
    Problem
        ``image.unsupported``, ``image.hostile``, ``microscope.damaged``, ``microscope.mosaic``.
    """
    groups: dict[tuple[int, tuple[tuple[str, int], ...]], list[Any]] = defaultdict(list)
    reduced: set[tuple[int, tuple[tuple[str, int], ...]]] = set()
    for entry in entries:
        start = dict(zip(entry.dims, entry.start, strict=True))
        others = tuple((name, at) for name, at in sorted(start.items()) if name not in LEAD + _SPACE)
        group = (int(entry.scene_index), others)
        if entry.pyramid_type != 0 or entry.is_pyramid:
            reduced.add(group)
        else:
            groups[group].append(entry)
    if lost := reduced - groups.keys():
        message = f"{key}: {len(lost)} of its images are there at another resolution than their own only"
        raise problem("image.unsupported", message, file=key)
    named = _find_varying({others for _, others in groups})
    return [
        _build_scene(number, tuple(one for one in others if one[0] in named), groups[number, others], key)
        for number, others in sorted(groups)
    ]


def _find_varying(all_others: set[tuple[tuple[str, int], ...]]) -> set[str]:
    """Dimensions in which the images of a file differ."""
    values: dict[str, set[int]] = defaultdict(set)
    for others in all_others:
        for name, at in others:
            values[name].add(at)
    return {name for name, seen in values.items() if len(seen) > 1}


def _build_scene(number: int, others: tuple[tuple[str, int], ...], entries: Sequence[Any], key: str) -> Scene:
    boxes = [_read_box(entry, key) for entry in entries]
    places = [place for place, *_ in boxes]
    firsts = [min(p[i] for p in places) for i in range(3)]
    extents = [max(p[i] for p in places) - firsts[i] + 1 for i in range(3)]
    y, x = min(box[1] for box in boxes), min(box[2] for box in boxes)
    height = max(box[1] + box[3] for box in boxes) - y
    width = max(box[2] + box[4] for box in boxes) - x
    held = sum(box[3] * box[4] for box in boxes)
    if math.prod(extents) * height * width > budget.MOSAIC_RATIO * held:
        stated = " ".join(f"{axis}={n}" for axis, n in zip("tczyx", (*extents, height, width), strict=True))
        message = f"{key}: its tiles fill less than 1/{budget.MOSAIC_RATIO} of the image around them ({stated})"
        raise problem("image.hostile", message, file=key)
    planes: dict[Place, list[Tile]] = defaultdict(list)
    for entry, (place, top, left, h, w) in zip(entries, boxes, strict=True):
        at = (place[0] - firsts[0], place[1] - firsts[1], place[2] - firsts[2])
        planes[at].append(Tile(entry, top - y, left - x, h, w, int(entry.mosaic_index)))
    for tiles in planes.values():
        tiles.sort(key=lambda tile: (tile.index, tile.y, tile.x))
    warnings = tuple(_describe_layout(planes, math.prod(extents), height, width, key))
    first, extent = (firsts[0], firsts[1], firsts[2]), (extents[0], extents[1], extents[2])
    return Scene(number, others, first, extent, y, x, height, width, dict(planes), warnings)


def _read_box(entry: Any, key: str) -> tuple[Place, int, int, int, int]:
    """Place of a tile's plane, its corner, height and width."""
    start = dict(zip(entry.dims, entry.start, strict=True))
    size = dict(zip(entry.dims, entry.shape, strict=True))
    if len(start) != len(entry.dims) or not {"Y", "X"} <= set(start):
        raise problem("microscope.damaged", f"{key}: a tile has the dimensions {''.join(entry.dims)}", file=key)
    if any(n != 1 for name, n in size.items() if name not in _SPACE):
        message = f"{key}: a tile has several planes at once ({size}), which is not read"
        raise problem("image.unsupported", message, file=key)
    if size["Y"] < 1 or size["X"] < 1:
        raise problem("microscope.damaged", f"{key}: a tile has the extents {size}", file=key)
    place = (start.get("T", 0), start.get("C", 0), start.get("Z", 0))
    return place, start["Y"], start["X"], size["Y"], size["X"]


def _describe_layout(
    planes: Mapping[Place, Sequence[Tile]], count: int, height: int, width: int, key: str
) -> Iterator[str]:
    """What a person must know of absent planes, overlaps and gaps."""
    if absent := count - len(planes):
        yield f"{absent} of its {count} planes were never written: their pixels are read as 0"
    overlapped = gaps = 0
    seen: dict[tuple[tuple[int, ...], ...], tuple[int, int]] = {}
    for tiles in planes.values():
        layout = tuple((t.y, t.x, t.height, t.width, t.index) for t in tiles)
        if layout not in seen:
            seen[layout] = _measure_layout(tiles, height, width, key)
        overlapped, gaps = max(overlapped, seen[layout][0]), max(gaps, seen[layout][1])
    tiles = max(planes.values(), key=len)
    if overlapped:
        yield (
            f"{len(tiles)} tiles overlap in {overlapped} of {height * width} pixels: there the tile with the higher "
            "index is seen, and those below are not in the image"
        )
    if gaps:
        yield f"{gaps} of {height * width} pixels of a plane are in no tile: they are read as 0"


def _measure_layout(tiles: Sequence[Tile], height: int, width: int, key: str) -> tuple[int, int]:
    """Pixels of a plane in several tiles, and in none."""
    if len(tiles) == 1:
        return 0, height * width - tiles[0].height * tiles[0].width
    by_index: dict[int, list[Tile]] = defaultdict(list)
    for tile in tiles:
        by_index[tile.index].append(tile)
    for index, same in by_index.items():
        if len(same) > _EXACT_TILES or (len(same) > 1 and _count_pixels(same)[0]):
            message = (
                f"{key}: {len(same)} tiles with the index {index} overlap; which one is to be seen, it does not say"
            )
            raise problem("microscope.mosaic", message, file=key)
    if len(tiles) > _EXACT_TILES:
        area = sum(tile.height * tile.width for tile in tiles)
        return max(area - height * width, 0), max(height * width - area, 0)
    overlapped, covered = _count_pixels(tiles)
    return overlapped, height * width - covered


def _count_pixels(tiles: Sequence[Tile]) -> tuple[int, int]:
    """Pixels in several tiles, and in any, by the grid of all their edges."""
    ys = np.unique([edge for t in tiles for edge in (t.y, t.y + t.height)])
    xs = np.unique([edge for t in tiles for edge in (t.x, t.x + t.width)])
    counts = np.zeros((len(ys) - 1, len(xs) - 1), np.int16)
    for t in tiles:
        rows = slice(*np.searchsorted(ys, (t.y, t.y + t.height)))
        columns = slice(*np.searchsorted(xs, (t.x, t.x + t.width)))
        counts[rows, columns] += 1
    areas = np.outer(np.diff(ys), np.diff(xs))
    return int(areas[counts > 1].sum()), int(areas[counts > 0].sum())
