"""The finest resolution of a TeraFly tree as one image: which tiles there are, and their pixels, tile by tile.

Source: the wiki of TeraStitcher and TeraConverter (tiled volumes of 3D TIFF).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate, product
from threading import Lock
from typing import Any

import numpy as np

from ...model.content import Image, LazyArray, Selection
from ...model.finding import Problem, problem
from ...model.source import Source, Stamp
from ..images.calibration import ImageMetadata, divide
from ..stamp import check_unchanged
from ..tiff import read as tiff
from . import FORMAT

AXES = ("z", "y", "x")
MAX_OPEN = 32
"""Tiles whose headers stay in memory."""
_RESOLUTION = re.compile(r"RES\(([0-9]{1,12})x([0-9]{1,12})x([0-9]{1,12})\)")
_TILE = re.compile(r"([0-9]{1,12})/([0-9]{1,12})_([0-9]{1,12})/([0-9]{1,12})_([0-9]{1,12})_([0-9]{1,12})\.tif")

type Place = tuple[int, int, int]
"""A tile's first voxel along z, y and x in tenths of um, as its name says it."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image of the axes z, y and x, and s where tiles are colours.

    Raises
    ------
    Problem
        ``terafly.tile`` (one is missing, elsewhere or another than its neighbours), ``terafly.unsupported``, and what
        the reader of TIFF finds in a tile.
    """
    stamps = {path: source.stamp(f"{source.key.rstrip('/')}/{path}") for path in source.files()}
    top, extent, others = _choose_resolution(source, stamps)
    tree = _Tree(source, top, {path: stamp for path, stamp in stamps.items() if path.startswith(top)})
    try:
        tree.measure(extent)
        pixels = tree.build_array()
        meta = ImageMetadata(facts=dict(zip("zyx", map(str, extent), strict=True)))
        _apply_spacing(meta, tree)
    except BaseException:
        tree.close()
        raise
    if others:
        meta.warnings.append(f"its other resolutions are not read: {', '.join(others)[:300]}")
    if tree.unread:
        shown = ", ".join(tree.unread[:5])
        meta.warnings.append(f"files that hold no tile are left out ({len(tree.unread)}): {shown}")
    header = {"resolution": top, "tiles": len(tree.tiles), "origin_um": [str(Decimal(n[0]) / 10) for n in tree.starts]}
    return (
        Image("", FORMAT.name, meta.facts, header, {"pixels": pixels}, tuple(meta.warnings), tree.close,
              spacing=meta.spacing),
    )  # fmt: skip


def _choose_resolution(source: Source, paths: Mapping[str, Stamp]) -> tuple[str, Place, list[str]]:
    """Folder of the finest resolution below the object, its voxels along z, y and x, and the names of the others."""
    names = {path.split("/")[0] for path in paths}
    found = {name: match for name in sorted(names) if (match := _RESOLUTION.fullmatch(name))}
    top = ""
    match = _RESOLUTION.fullmatch(source.name)
    if found:
        name = max(found, key=lambda one: math.prod(map(int, found[one].groups())))
        top, match = f"{name}/", found.pop(name)
    if match is None:
        message = f"{source.key} has tiles, and neither its name nor a folder in it says RES(YxXxZ): how many voxels"
        hint = "Name the folder that has the folders RES(...); tiles that overlap are stitched by TeraStitcher first."
        raise problem("terafly.unsupported", message, hint=hint, file=source.key)
    y, x, z = map(int, match.groups())
    return top, (z, y, x), list(found)


@dataclass(frozen=True, slots=True)
class _Form:
    """What all tiles have in common: type, and samples of a pixel."""

    dtype: np.dtype[Any]
    samples: tuple[int, ...]


class _Tree:
    """The tiles of one resolution.

    Attributes
    ----------
    tiles
        Place -> path below the object.
    starts, extents
        Along z, y and x: places of the tiles in tenths of um, and voxels of each.
    unread
        Paths of files that are no tiles.
    """

    def __init__(self, source: Source, top: str, stamps: Mapping[str, Stamp]) -> None:
        self._source, self._stamps, self.top = source, stamps, top
        self._open: OrderedDict[Place, Image] = OrderedDict()
        self._lock = Lock()
        self.tiles: dict[Place, str] = {}
        self.unread: list[str] = []
        self.extents: list[list[int]] = [[], [], []]
        self._form: _Form | None = None
        for path in sorted(stamps):
            match = _TILE.fullmatch(path.removeprefix(top))
            if not match:
                self.unread.append(path)
                continue
            y, x, z = (int(n) for n in match.groups()[3:])
            if (int(match[1]), int(match[2]), int(match[3])) != (y, y, x):
                raise self._make_problem(path, "its folders say other coordinates than its name")
            self.tiles[z, y, x] = path
        if not self.tiles:
            raise self._make_problem(top, "it has no tile y/y_x/y_x_z.tif")
        self.starts = [sorted({place[axis] for place in self.tiles}) for axis in range(3)]
        self._check_whole()

    def _check_whole(self) -> None:
        """Each place of the grid has a tile. Raises `Problem` (``terafly.tile``)."""
        whole = math.prod(map(len, self.starts))
        if len(self.tiles) < whole:
            z, y, x = next(place for place in product(*self.starts) if place not in self.tiles)
            path = f"{self.top}{y:06}/{y:06}_{x:06}/{y:06}_{x:06}_{z:06}.tif"
            what = f"it is not there: the tree has {len(self.tiles)} tiles of {whole}"
            raise self._make_problem(path, what)

    def measure(self, expected: Place) -> None:
        """Extents by the tiles along each axis, compared with the name of the resolution and the names of tiles.

        Raises
        ------
        Problem
            ``terafly.tile``
        """
        first = [start[0] for start in self.starts]
        for axis in range(3):
            for start in self.starts[axis]:
                place = (*first[:axis], start, *first[axis + 1 :])
                self.extents[axis].append(self._open_tile(place).arrays["pixels"].shape[axis])  # type: ignore[arg-type]
            total = sum(self.extents[axis])
            if total != expected[axis]:
                path = self.tiles[(*first[:axis], self.starts[axis][-1], *first[axis + 1 :])]  # type: ignore[index]
                what = f"tiles up to it have {total} voxels along {AXES[axis]}, {self.top or self._source.name} says"
                raise self._make_problem(path, f"{what} {expected[axis]}: tiles are missing, or are cut")
            self._check_steps(axis)

    def _check_steps(self, axis: int) -> None:
        """No tile lies further from the first, or nearer to it, than voxels of one size make it."""
        starts, size = self.starts[axis], self.estimate_size(axis)
        for start, voxels in zip(starts, accumulate(self.extents[axis], initial=0), strict=False):
            if size is not None and abs(start - starts[0] - voxels * size * 10) > 2:
                place = [one[0] for one in self.starts]
                place[axis] = start
                what = f"it begins {Decimal(start - starts[0]) / 10} um behind the first tile along {AXES[axis]}"
                right = f"{voxels} voxels of {size} um lie between: tiles overlap, or one is missing"
                raise self._make_problem(self.tiles[tuple(place)], f"{what}, {right}")  # type: ignore[index]

    def estimate_size(self, axis: int) -> Decimal | None:
        """Side of a voxel in um, in as few digits as the names' tenths of um allow; None where one tile is all."""
        starts = self.starts[axis]
        voxels = sum(self.extents[axis][:-1])
        if len(starts) < 2 or not voxels:
            return None
        exact = divide(starts[-1] - starts[0], voxels * 10)
        slack = divide(1, voxels * 20)
        rounded = (round(exact, digits) for digits in range(12))
        return next((size for size in rounded if size and abs(size - exact) <= slack), exact)

    def build_array(self) -> LazyArray:
        """The lazy array over all tiles."""
        form = self._form
        assert form is not None  # measured before
        shape = (*(sum(extents) for extents in self.extents), *form.samples)
        block = (*(extents[0] for extents in self.extents), *form.samples)
        axes = (*AXES, *("s" for _ in form.samples))
        return LazyArray("pixels", shape, form.dtype, axes, self._read, block)

    def close(self) -> None:
        """Close all tiles."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _read(self, selection: Selection) -> np.ndarray:
        assert self._form is not None
        out = np.empty([part.stop - part.start for part in selection], self._form.dtype)
        edges = [list(accumulate(extents, initial=0)) for extents in self.extents]
        touched = [
            range(bisect_right(at, part.start) - 1, bisect_right(at, part.stop - 1))
            for at, part in zip(edges, selection[:3], strict=True)
        ]
        for numbers in product(*touched):
            source, goal = [], []
            for axis, number in enumerate(numbers):
                part, low, high = selection[axis], edges[axis][number], edges[axis][number + 1]
                start, stop = max(part.start, low), min(part.stop, high)
                source.append(slice(start - low, stop - low))
                goal.append(slice(start - part.start, stop - part.start))
            place = tuple(self.starts[axis][number] for axis, number in enumerate(numbers))
            expected = tuple(self.extents[axis][number] for axis, number in enumerate(numbers))
            with self._lock:
                pixels = self._open_tile(place).arrays["pixels"]  # type: ignore[arg-type]
            if pixels.shape[:3] != expected:
                what = f"it has the extents z y x {pixels.shape[:3]}, its neighbours make it {expected}"
                raise self._make_problem(self.tiles[place], what)  # type: ignore[index]
            out[tuple(goal)] = pixels.read((*source, *selection[3:]))
        return out

    def _open_tile(self, place: Place) -> Image:
        """A tile as an image of the axes z, y, x, and s."""
        if place not in self._open:
            path = self.tiles[place]
            key = f"{self._source.key.rstrip('/')}/{path}"
            check_unchanged(self._source.stamp(key), self._stamps[path], key)
            while len(self._open) >= MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            self._open[place] = self._read_tile(key, path)
        self._open.move_to_end(place)
        return self._open[place]

    def _read_tile(self, key: str, path: str) -> Image:
        images = tiff.read(Source(key, self._source.root), {})
        image, pixels = images[0], images[0].arrays["pixels"]
        try:
            made = _put_depth_first(pixels)
            if len(images) > 1 or made is None:
                raise self._make_problem(path, f"it holds {len(images)} images, axes {' '.join(pixels.axes)}: no tile")
            form = _Form(made.dtype, made.shape[3:])
            if self._form is not None and form != self._form:
                what = f"it has the type {form.dtype} and samples {form.samples}"
                raise self._make_problem(path, f"{what}, other tiles {self._form.dtype} and {self._form.samples}")
            self._form = form
        except BaseException:
            for one in images:
                one.close()
            raise
        return replace(image, arrays={"pixels": made})

    def _make_problem(self, path: str, what: str) -> Problem:
        key = f"{self._source.key.rstrip('/')}/{path}"
        return problem("terafly.tile", f"{key}: {what}", file=key)


def _put_depth_first(pixels: LazyArray) -> LazyArray | None:
    """The pages of a tile along z, whatever the file calls them; None of what is no volume."""
    axes = pixels.axes
    tail = axes.index("y") if "y" in axes else -1
    if axes[tail:] not in (("y", "x"), ("y", "x", "s")) or tail > 1 or (tail == 1 and axes[0] not in "qzt"):
        return None
    if tail == 1:
        return LazyArray("pixels", pixels.shape, pixels.dtype, ("z", *axes[1:]), pixels.read, pixels.block)

    def read(selection: Selection) -> np.ndarray:
        return pixels.read(selection[1:])[None]

    return LazyArray("pixels", (1, *pixels.shape), pixels.dtype, ("z", *axes), read, (1, *pixels.block))


def _apply_spacing(meta: ImageMetadata, tree: _Tree) -> None:
    sizes: Sequence[Decimal | None] = [tree.estimate_size(axis) for axis in range(3)]
    known = [size for size in sizes if size is not None]
    if known and all(size == 1 for size in known):
        meta.warnings.append("its tiles lie 1 um a voxel apart, as they do where nobody stated a size: it is not taken")
        return
    z, y, x = sizes
    meta.set_pixel_size(x, y)
    if z is not None and z > 0:
        meta.spacing["z"] = z
