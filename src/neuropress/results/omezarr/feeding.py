"""How voxels get from the raw file to the units of a pass: in bands, so that memory depends on neither Z nor X nor Y.

A band has the depth of a chunk, the rows of a tile, and the width of some units. Where the file gives bands at
little more than their share, they are read from it, one row of units after the other. Else (pages that are packed as
a whole, tiles that are higher than a band, very wide pages) the pages of one chunk's depth are read once, in steps,
into a file beside the unfinished shards, and bands are read from that. The bytes of the volume are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ...model.progress import Progress
from .blocks import Block, Read
from .layout import Box, Layout, Pass, count_voxels

BAND_BYTES = 16 << 20
"""Of a band that is read from the file itself; the next one is read meanwhile."""
SPOOLED_BYTES = 8 << 20
"""Of a band of a spool, whose rows of units are all at work together."""
STEP_BYTES = 4 << 20
"""What is read for a spool at a time, at least a block of the file."""
SHARED_BYTES = 64 << 20
"""Steps that are larger than this together are not taken side by side."""
SAVING = 4
"""A block of the file that ends within a band is read again for the next one: at most a quarter more."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a pass is read.

    Attributes
    ----------
    columns
        Units side by side that are fed together.
    is_spooled
        Whether through a `Spool`.
    step
        Extent (z, y, x) of what is read at a time for a spool.
    memory
        Bytes that reading may take, at most.
    """

    columns: int
    is_spooled: bool
    step: tuple[int, int, int]
    memory: int


def choose_way(layout: Layout, stage: Pass, itemsize: int, block: Sequence[int], threads: int = 1) -> Way:
    """How a pass is best read from an array.

    Parameters
    ----------
    block
        What the file gives at once, an extent for each axis of the result.
    threads
        How many steps may be taken side by side.
    """
    level = layout.levels[stage.first]
    depth, rows, _ = _get_space(level.tile)
    group, unit = _get_space(stage.group), _get_space(stage.unit)
    given = _get_space([min(n, whole) for n, whole in zip(block, level.shape, strict=True)])
    column = depth * rows * unit[2] * itemsize
    most = -(-group[2] // unit[2])
    columns = min(most, max(1, BAND_BYTES // column))
    width = group[2] if columns == most else columns * unit[2]
    wanted = (min(depth, group[0]), min(rows, group[1]), width)
    fits = [_fits(want, have) for want, have in zip(wanted[:2], given[:2], strict=True)]
    decoded = prod(given) * itemsize
    if all(fits) and (columns == most or _fits(width, given[2])):
        # A block is packed beside what it is unpacked to.
        return Way(columns, False, (1, 1, 1), 2 * depth * rows * width * itemsize + 2 * decoded)
    columns = min(most, max(1, SPOOLED_BYTES // column))
    step = _choose_step(given, wanted[0], group, itemsize)
    nbytes = 2 * prod(step) * itemsize + 2 * decoded  # as the reader gives it, and as it is cut up
    beside = threads if nbytes * threads <= SHARED_BYTES else 1
    return Way(columns, True, step, max(2 * column * columns, beside * nbytes))


def _get_space(extents: Sequence[int]) -> tuple[int, int, int]:
    """The last three; a depth of 1 where there are two."""
    z, y, x = (1, *extents)[-3:]
    return z, y, x


def _fits(wanted: int, given: int) -> bool:
    """Whether so much is read at little more than its share."""
    return given > 0 and (wanted % given == 0 or SAVING * given <= wanted)


def _choose_step(
    given: tuple[int, int, int], depth: int, group: tuple[int, int, int], itemsize: int
) -> tuple[int, int, int]:
    """Whole blocks of the file as wide as the group: more of them along y, then along z, while there is room."""
    least = min(given[0], depth)
    row = group[2] * itemsize
    y = min(group[1], given[1] * max(1, STEP_BYTES // max(1, least * given[1] * row)))
    z = least * max(1, STEP_BYTES // max(1, least * y * row)) if y == group[1] else least
    return min(z, depth), y, group[2]


def estimate_memory(layout: Layout, stage: Pass, itemsize: int, way: Way) -> int:
    """Bytes that a pass takes beside what a process has without pixels: what is read, and slabs that fill up.

    A level's slab has a chunk's depth; those of a row of units are there together, all of a group where it is spooled.
    """
    unit, group, total = _get_space(stage.unit), _get_space(stage.group), 0
    wide = min(group[2], way.columns * unit[2])
    height, width = (group[1], group[2]) if way.is_spooled else (min(unit[1], group[1]), wide)
    for number in range(stage.first + 1, stage.last + 1):
        shrink = zip(layout.levels[number].shrink, layout.levels[stage.first].shrink, strict=True)
        _, y, x = _get_space([f // g for f, g in shrink])
        total += _get_space(layout.levels[number].chunk)[0] * -(-height // y) * -(-width // x) * itemsize
    return total + way.memory


def list_windows(first: Sequence[int], last: Sequence[int], columns: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """First and last units of the parts of rows that are fed together."""
    for y in range(first[-2], last[-2] + 1):
        for x in range(first[-1], last[-1] + 1, columns):
            yield (*first[:-2], y, x), (*last[:-2], y, min(x + columns - 1, last[-1]))


def feed_bands(block: Block, read: Read, progress: Progress, pool: Executor) -> None:
    """Feed units band by band; the next one is read meanwhile."""
    _feed(block, list(block.list_slabs(whole=False)), read, progress, pool)


def _feed(block: Block, bands: Sequence[Box], read: Read, progress: Progress, pool: Executor) -> None:
    coming = pool.submit(read, bands[0])
    for band, after in zip(bands, [*bands[1:], None], strict=True):
        data = coming.result()
        if after is not None:
            coming = pool.submit(read, after)
        progress(block.feed_slab(data, band))
        del data  # or it is held while the next one is waited for


def feed_spooled(
    blocks: Sequence[Block], read: Read, way: Way, progress: Progress, pool: Executor, path: Path, threads: int
) -> None:
    """Feed all units on the same pages, a chunk's depth after the other, each page read once.

    Parameters
    ----------
    path
        An empty file for the pages of one chunk's depth; it is removed.
    threads
        How many steps may be taken side by side.
    """
    try:
        for slabs in zip(*(block.list_slabs(whole=True) for block in blocks), strict=True):
            spool = Spool(path, slabs)
            spool.fill(read, way, pool, threads)
            for block, slab in zip(blocks, slabs, strict=True):
                _feed(block, list(block.list_bands(slab)), spool.read, progress, pool)
    finally:
        path.unlink(missing_ok=True)


class Spool:
    """The voxels of slabs that lie side by side, on the disk; each slab in C order, one after the other."""

    def __init__(self, path: Path, slabs: Sequence[Box]) -> None:
        self._path, self._slabs = path, slabs
        self._starts = [0]
        for slab in slabs:
            self._starts.append(self._starts[-1] + count_voxels(slab))
        self._dtype: np.dtype[Any] | None = None
        self._lock = Lock()

    def fill(self, read: Read, way: Way, pool: Executor, threads: int) -> None:
        """Read everything, in steps that end where blocks of the file do."""
        first, last = self._slabs[0], self._slabs[-1]
        whole = tuple(slice(a.start, b.stop) for a, b in zip(first, last, strict=True))
        steps = list(_list_steps(whole, way.step))
        # One behind the other, a reader that goes through a stream from its beginning stays where it is.
        if threads > 1:
            list(pool.map(lambda step: self._keep(read(step), step), steps))
            return
        for step in steps:
            self._keep(read(step), step)

    def _keep(self, data: np.ndarray, step: Box) -> None:
        data = data.reshape(-1, *data.shape[-2:])
        with self._lock, self._path.open("r+b", buffering=0) as file:
            self._dtype = data.dtype
            for slab, start in zip(self._slabs, self._starts, strict=False):
                (top, bottom), (left, right) = (
                    (max(s.start, t.start), min(s.stop, t.stop)) for s, t in zip(slab[-2:], step[-2:], strict=True)
                )
                if top >= bottom or left >= right:
                    continue
                part = data[:, top - step[-2].start : bottom - step[-2].start, left - step[-1].start :]
                height, width = (s.stop - s.start for s in slab[-2:])
                for z, plane in enumerate(part[..., : right - left]):
                    above = (step[-3].start - slab[-3].start + z if len(step) > 2 else 0) * height + top
                    file.seek((start + (above - slab[-2].start) * width) * data.itemsize)
                    _write_whole(file, np.ascontiguousarray(plane))

    def read(self, band: Box) -> np.ndarray:
        """Some rows of one of the slabs."""
        assert self._dtype is not None, "it was filled"
        number = next(
            i for i, slab in enumerate(self._slabs) if slab[-1] == band[-1] and slab[-2].start <= band[-2].start
            and band[-2].stop <= slab[-2].stop
        )  # fmt: skip
        slab, out = self._slabs[number], np.empty([s.stop - s.start for s in band], self._dtype)
        height, width = (s.stop - s.start for s in slab[-2:])
        with self._path.open("rb", buffering=0) as file:
            for z, plane in enumerate(out.reshape(-1, *out.shape[-2:])):
                above = (band[-3].start - slab[-3].start + z if len(band) > 2 else 0) * height + band[-2].start
                file.seek((self._starts[number] + (above - slab[-2].start) * width) * out.itemsize)
                _read_whole(file, plane)
        return out


def _write_whole(file: Any, data: np.ndarray) -> None:
    view = memoryview(data.reshape(-1).view(np.uint8))
    while len(view):
        view = view[file.write(view) :]


def _read_whole(file: Any, out: np.ndarray) -> None:
    view = memoryview(out.reshape(-1).view(np.uint8))
    while len(view):
        got = file.readinto(view)
        if not got:
            raise OSError("the file that pages were kept in became shorter")
        view = view[got:]


def _list_steps(box: Box, step: tuple[int, int, int]) -> Iterator[Box]:
    """Parts of a box that end where whole steps from 0 do, in C order."""
    places = [_cut(part, size) for part, size in zip(box[-3:], step[-len(box[-3:]) :], strict=True)]
    for y in places[-2] if len(places) < 3 else ():
        yield (*box[:-2], y, box[-1])
    for z in places[0] if len(places) == 3 else ():
        for y in places[1]:
            yield (*box[:-3], z, y, box[-1])


def _cut(part: slice, size: int) -> list[slice]:
    starts = [part.start, *range((part.start // size + 1) * size, part.stop, size)]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], part.stop], strict=True)]
