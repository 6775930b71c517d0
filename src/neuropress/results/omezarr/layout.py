"""Where everything lies: levels, chunks, shards and the blocks of work.

All of it follows from shape, dtype and the raw file's own voxel size, so that two runs,
and later two machines, agree without talking, and no table cell changes it.

- A chunk holds 2**18 voxels, where the dataset states no chunks: 64 x 64 x 64; flatter
  (16 x 128 x 128, 4 x 256 x 256) where 64 whole pages would not fit into `SLAB_BYTES`, or where the
  volume itself is flat; 512 x 512 for a single page. A shard holds up to 8 chunks an axis, or as
  many as are stated. OME-Zarr 0.4 has no shards: what is said of them is then said of chunks, each
  of which is a file.
- A step halves z while it is longer than a chunk, y and x while one of them is, but
  leaves out axes whose voxels are twice as long as the shortest, or longer: anisotropic
  voxels become cubes first. The last level fits into one chunk an axis.
- The unit of work is one c and t and at most 512 voxels along each of z, y and x; a single
  page, which has no z to be cut, 8 chunks a side. A unit owns whole shards at every level
  of its pass: no locks, and a finished shard is a finished fact.
- Units that lie on the same pages are a group, 8 chunks deep and as wide as `SLAB_BYTES` of
  one chunk's depth allow: whole pages, or windows of them where even flat chunks are too
  large. One worker best runs a group, so that each page is decoded once.
- A unit that is smaller than the volume gives as many halvings as it has chunks to halve:
  three for 64 x 64 x 64, two and one along y and x for the flatter chunks. Levels beyond are
  made by a further pass from the last level of the one before, a small part of the data; its
  units have 8 chunks an axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from ...model.packing import Packing
from .pyramid import Axes, Reduction, halve_extent
from .versions import VERSIONS, Version

SLAB_BYTES = 256 << 20
TILE_VOXELS = 1 << 22
"""Of what is fed and digested at a time, for each unit that it lies in."""
SHARD_CHUNKS = 8
CHUNKS = ((4, 256), (16, 128), (64, 64))
PAGE_CHUNK = 512
UNIT = 512
"""Voxels of level 0 along each axis of a unit, at most."""

type Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One array of the pyramid.

    `shrink` is the factor to level 0 along each axis; `halves` the axes (z, y, x) that
    the step to the next level halves, `reduction` how. `name` is its path in the volume. Where it is not
    `is_sharded`, each chunk is a file, and `shard` the extent of a chunk.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    shrink: tuple[int, ...]
    halves: Axes = (False, False, False)
    name: str = ""
    reduction: Reduction = "mean"
    version: Version = VERSIONS["0.5"]
    is_sharded: bool = True

    @property
    def file(self) -> str:
        """Path of what describes it."""
        return f"{self.name}/{self.version.array_file}"

    def name_shard(self, coordinate: Sequence[int]) -> str:
        """Path of a shard, or of a chunk where there are no shards."""
        folder = (self.version.chunk_folder,) if self.version.chunk_folder else ()
        return "/".join((self.name, *folder, *map(str, coordinate)))

    @property
    def tile(self) -> tuple[int, ...]:
        """Extent of the boxes that are fed and digested; see `choose_tile`."""
        return choose_tile(self.chunk, self.shard)


@dataclass(frozen=True, slots=True)
class Pass:
    """Levels `first` + 1 to `last` are made from level `first`, unit by unit.

    `unit` is a unit's extent in voxels of level `first`, `group` that of the units that are
    read together. The first pass of a pyramid reads the raw file and writes its level 0 too.
    """

    first: int
    last: int
    unit: tuple[int, ...]
    group: tuple[int, ...]
    reads_raw: bool = False

    @property
    def written(self) -> range:
        """Numbers of the levels that it writes."""
        return range(self.first if self.reads_raw else self.first + 1, self.last + 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """Geometry of a whole volume; see the module's text for the rules.

    Levels are numbered through all pyramids: those of the image, then those of each of its labels.
    """

    levels: tuple[Level, ...]
    passes: tuple[Pass, ...]

    @property
    def version(self) -> Version:
        """The version of NGFF that all of it is written in."""
        return self.levels[0].version

    def list_pyramids(self) -> list[range]:
        """Numbers of the levels of each pyramid."""
        starts = [stage.first for stage in self.passes if stage.reads_raw]
        return [range(a, b) for a, b in zip(starts, [*starts[1:], len(self.levels)], strict=True)]

    def get_box(self, level: int, stage: Pass, corner: Sequence[int], last: Sequence[int] | None = None) -> Box:
        """The box of a unit, or of all units from one to the `last`, in a level of its pass; `corner` counts units."""
        box = []
        for i, size in enumerate(self.get_unit(level, stage)):
            end = (corner if last is None else last)[i] + 1
            box.append(slice(corner[i] * size, min(end * size, self.levels[level].shape[i])))
        return tuple(box)

    def get_unit(self, level: int, stage: Pass) -> tuple[int, ...]:
        """Extent of a unit in a level of its pass."""
        shrink = zip(self.levels[level].shrink, self.levels[stage.first].shrink, strict=True)
        return tuple(-(-extent // (f // g)) for extent, (f, g) in zip(stage.unit, shrink, strict=True))

    def get_grid(self, stage: Pass) -> tuple[int, ...]:
        """Number of units of a pass along each axis."""
        return tuple(-(-n // b) for n, b in zip(self.levels[stage.first].shape, stage.unit, strict=True))

    def list_corners(self, stage: Pass) -> Iterator[tuple[int, ...]]:
        """All units of a pass, in C order."""
        return product(*map(range, self.get_grid(stage)))


def arrange_layout(
    shape: tuple[int, ...],
    itemsize: int,
    space: int,
    spacing: Sequence[float] = (),
    image: Layout | None = None,
    packing: Packing = Packing(),  # noqa: B008 - frozen
) -> Layout:
    """Geometry for a volume.

    Parameters
    ----------
    shape
        Some of the axes t, c, z, y, x in this order.
    itemsize
        Bytes a voxel.
    space
        3 where the last axes are z, y, x; 2 where there is no z.
    spacing
        Voxel size along those axes in one unit; empty where it is not known: taken as equal.
    image
        Of labels, the layout of their image: they have chunks like its own and, as NGFF demands, as many levels, each
        halved along the same axes.
    packing
        What the dataset states of chunks, shards and version.
    """
    size = (*(1.0,) * (len(shape) - space), *(spacing or (1.0,) * space))
    chunk = _choose_chunk(shape, itemsize, space, packing.chunks)
    if image is not None:
        chunk = (*(1,) * (len(shape) - space), *image.levels[0].chunk[-space:])
    shapes, steps, shrinks = [shape], list[Axes](), [(1,) * len(shape)]
    while True:
        axes = _choose_halved_axes(shapes[-1], chunk, space, [s * f for s, f in zip(size, shrinks[-1], strict=True)])
        if image is not None:
            axes = image.levels[len(steps)].halves
        if not any(axes):
            break
        flags = (*(False,) * (len(shape) - space), *axes[3 - space :])
        steps.append(axes)
        shapes.append(tuple(halve_extent(n) if on else n for n, on in zip(shapes[-1], flags, strict=True)))
        shrinks.append(tuple(2 * f if on else f for f, on in zip(shrinks[-1], flags, strict=True)))
    steps.append((False, False, False))
    version = VERSIONS[packing.ome_zarr]
    is_sharded = version.zarr_format == 3 and (not packing.shards or packing.shards != packing.chunks)
    stated = _fit_extents(packing.shards, chunk, space) if is_sharded and packing.shards else chunk
    wanted = stated if packing.shards or not is_sharded else tuple(SHARD_CHUNKS * c for c in chunk)
    passes = _arrange_passes(shapes, steps, chunk, stated, itemsize, space)
    levels = []
    for i, (extent, shrink, axes) in enumerate(zip(shapes, shrinks, steps, strict=True)):
        stage = next(p for p in passes if i <= p.last)
        factors = [f // g for f, g in zip(shrink, shrinks[stage.first], strict=True)]
        shard = []
        for n, c, b, f, whole, s in zip(extent, chunk, stage.unit, factors, shapes[stage.first], wanted, strict=True):
            own = b // f if b < whole else -(-n // c) * c  # what one unit has of this level: whole chunks
            shard.append(min(s, own))
        levels.append(Level(extent, chunk, tuple(shard), shrink, axes, str(i), "mean", version, is_sharded))
    return Layout(tuple(levels), tuple(passes))


def add_labels(image: Layout, labels: Mapping[str, Layout]) -> Layout:
    """One layout of an image and of its labels, whose groups (``labels/nuclei``) are the keys."""
    levels, passes = list(image.levels), list(image.passes)
    for group, layout in labels.items():
        first = len(levels)
        levels += [replace(level, name=f"{group}/{level.name}", reduction="mode") for level in layout.levels]
        passes += [replace(stage, first=stage.first + first, last=stage.last + first) for stage in layout.passes]
    return Layout(tuple(levels), tuple(passes))


def choose_tile(chunk: Sequence[int], shard: Sequence[int]) -> tuple[int, ...]:
    """A shard's width, a chunk's depth, and as many rows of chunks as `TILE_VOXELS` allow, a power of two."""
    depth = (chunk[-3],) if len(chunk) > 2 else ()
    rows = chunk[-2]
    while 2 * rows <= shard[-2] and 2 * rows * prod(depth) * shard[-1] <= TILE_VOXELS:
        rows *= 2
    return (*shard[: -2 - len(depth)], *depth, rows, shard[-1])


def _choose_chunk(shape: tuple[int, ...], itemsize: int, space: int, stated: tuple[int, ...]) -> tuple[int, ...]:
    z, page = shape[-3] if space == 3 else 1, shape[-2] * shape[-1] * itemsize
    if stated:
        return _fit_extents(stated, shape, space)
    if z == 1:
        return (*(1,) * (len(shape) - 2), PAGE_CHUNK, PAGE_CHUNK)
    enough = next((c for c in CHUNKS if c[0] >= z), CHUNKS[-1])
    fitting = [c for c in CHUNKS if c[0] * page <= SLAB_BYTES and c[0] <= enough[0]]
    depth, side = fitting[-1] if fitting else enough
    return (*(1,) * (len(shape) - 3), depth, side, side)


def _fit_extents(stated: tuple[int, ...], shape: tuple[int, ...], space: int) -> tuple[int, ...]:
    """Extents along z, y and x for the axes of a volume: of one plane, 1 along z."""
    inner = stated[-space:]
    if space == 3 and shape[-3] == 1:
        inner = (1, *inner[1:])
    return (*(1,) * (len(shape) - space), *inner)


def _choose_halved_axes(shape: tuple[int, ...], chunk: tuple[int, ...], space: int, size: Sequence[float]) -> Axes:
    """Which of z, y, x the next step halves."""
    groups = ((-2, -1), (-3,)) if space == 3 else ((-2, -1),)  # y and x go together, z by itself
    long: list[int] = []
    for axes in groups:
        if any(shape[axis] > chunk[axis] for axis in axes):
            long += [axis for axis in axes if shape[axis] > 1]
    limit = 2 * min((size[axis] for axis in long), default=0.0)
    z, y, x = (axis in long and size[axis] < limit for axis in (-3, -2, -1))
    return (z, y, x)


def _arrange_passes(
    shapes: Sequence[tuple[int, ...]],
    steps: Sequence[Axes],
    chunk: tuple[int, ...],
    shard: tuple[int, ...],
    itemsize: int,
    space: int,
) -> list[Pass]:
    passes: list[Pass] = []
    first = 0
    while not passes or first < len(shapes) - 1:
        is_bounded = not passes and not _is_flat(chunk)
        unit = _choose_unit(shapes[first], chunk, shard, space, is_bounded=is_bounded)
        # How often a unit can be halved along z, y and x; None, without limit, where it is as long as the volume.
        left: list[int | None] = [None] * 3
        for extent, step, whole in zip(unit, chunk, shapes[first], strict=True):
            left.append(_count_doublings(extent // step) if extent < whole else None)
        left = left[-3:]
        last = first
        while last < len(shapes) - 1:
            after = [n if n is None else n - on for n, on in zip(left, steps[last], strict=True)]
            if any(n is not None and n < 0 for n in after):
                break
            left, last = after, last + 1
        group = _choose_group(shapes[first], chunk, unit, itemsize, space)
        passes.append(Pass(first, last, unit, group, reads_raw=not passes))
        first = last
    return passes


def _count_doublings(chunks: int) -> int:
    return chunks.bit_length() - 1


def _is_flat(chunk: tuple[int, ...]) -> bool:
    """Whether chunks are parts of single pages."""
    return len(chunk) < 3 or chunk[-3] == 1


def _choose_unit(
    shape: tuple[int, ...], chunk: tuple[int, ...], shard: tuple[int, ...], space: int, *, is_bounded: bool
) -> tuple[int, ...]:
    """At most 8 chunks and `UNIT` voxels along each axis, but whole shards; at most one c and t.

    Chunks are counted in powers of two, so that half a unit is whole chunks of the next level.
    """
    unit = [1] * (len(shape) - space)
    for n, c, s in zip(shape[-space:], chunk[-space:], shard[-space:], strict=True):
        most = max(SHARD_CHUNKS * c, s)
        if is_bounded:
            most = min(most, max(UNIT, s, c))
        unit.append(min(n, c << _count_doublings(most // c)))
    return tuple(unit)


def _choose_group(
    shape: tuple[int, ...], chunk: tuple[int, ...], unit: tuple[int, ...], itemsize: int, space: int
) -> tuple[int, ...]:
    """Eight chunks deep, and as wide as a slab's budget allows: whole pages, whole rows, or windows."""
    outer = (1,) * (len(shape) - space)
    depth = chunk[-3] if space == 3 else 1
    y, x = shape[-2:]
    least = [max(SHARD_CHUNKS * c, n) for c, n in zip(chunk, unit, strict=True)]
    if depth * y * x * itemsize > SLAB_BYTES:
        y = _choose_window(y, least[-2], SLAB_BYTES // (depth * x * itemsize))
        x = _choose_window(x, least[-1], SLAB_BYTES // (depth * y * itemsize))
    z = (min(shape[-3], least[-3]),) if space == 3 else ()
    return (*outer, *z, y, x)


def _choose_window(extent: int, least: int, room: int) -> int:
    """The largest power-of-two multiple of `least` that has room, `least` at the smallest; all if that is more."""
    size = least
    while 2 * size <= room:
        size *= 2
    return min(size, extent)


def list_tiles(box: Box, tile: Sequence[int]) -> Iterator[Box]:
    """All tiles of a box in C order, counted from the box's corner; those at its far edges are smaller."""
    starts = [range(s.start, s.stop, t) for s, t in zip(box, tile, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(c, min(c + t, s.stop)) for c, t, s in zip(corner, tile, box, strict=True))


def make_whole_box(shape: Sequence[int]) -> Box:
    """The box of a whole array."""
    return tuple(slice(0, n) for n in shape)


def count_voxels(box: Box) -> int:
    """Number of voxels in a box."""
    return prod(s.stop - s.start for s in box)
