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
from itertools import batched
from math import prod
from pathlib import Path

from ...model.progress import Progress
from ...readers.bands import Spool, choose_step, fits
from .blocks import Block, Read
from .layout import Box, Layout, Pass

BAND_BYTES = 8 << 20
"""Of a band; the next one is read meanwhile."""
WIDE_BYTES = 16 << 20
"""Of a band of a file that gives no narrower ones at their share."""
BANDS = 3
"""In memory: one that is read, one that is packed, and the last chunks of the one before."""
TOGETHER = 2
"""Chunks' depths of a spool: so many fill a slab of the next level, which then is there of one block at a time."""
SHARED_BYTES = 64 << 20
"""Of steps that are taken side by side."""


@dataclass(frozen=True, slots=True)
class Reading:
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
    beside
        How many steps are taken side by side.
    """

    columns: int
    is_spooled: bool
    step: tuple[int, int, int]
    memory: int
    beside: int = 1


def choose_reading(layout: Layout, stage: Pass, itemsize: int, block: Sequence[int], threads: int = 1) -> Reading:
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
    wanted = (min(depth, group[0]), min(rows, group[1]))
    is_fitting = all(fits(want, have) for want, have in zip(wanted, given[:2], strict=True))
    decoded = prod(given) * itemsize
    for room in (BAND_BYTES, WIDE_BYTES) if is_fitting else ():
        columns = min(most, max(1, room // column))
        width = group[2] if columns == most else columns * unit[2]
        if columns == most or fits(width, given[2]):
            # A block is packed beside what it is unpacked to.
            return Reading(columns, False, (1, 1, 1), BANDS * depth * rows * width * itemsize + 2 * decoded)
    columns = min(most, max(1, BAND_BYTES // column))
    step = choose_step(given, wanted[0], group, itemsize, columns * unit[2])
    nbytes = 2 * prod(step) * itemsize + 2 * decoded  # as the reader gives it, and as it is cut up
    beside = max(1, min(threads, SHARED_BYTES // nbytes))
    return Reading(columns, True, step, max(BANDS * column * columns, beside * nbytes), beside)


def _get_space(extents: Sequence[int]) -> tuple[int, int, int]:
    """The last three; a depth of 1 where there are two."""
    z, y, x = (1, *extents)[-3:]
    return z, y, x


def estimate_memory(layout: Layout, stage: Pass, itemsize: int, reading: Reading) -> int:
    """Bytes that a pass takes beside what a process has without pixels: what is read, and slabs that fill up.

    A level's slab has a chunk's depth; those of a row of units are there together. Where a group is spooled all of it
    are, but for the first level that is made.
    """
    unit, group, total = _get_space(stage.unit), _get_space(stage.group), 0
    wide = min(group[2], reading.columns * unit[2])
    for number in range(stage.first + 1, stage.last + 1):
        is_first = number == stage.first + 1 and layout.levels[stage.first].halves[0]
        is_whole = reading.is_spooled and not is_first
        height, width = (group[1], group[2]) if is_whole else (min(unit[1], group[1]), wide)
        shrink = zip(layout.levels[number].shrink, layout.levels[stage.first].shrink, strict=True)
        _, y, x = _get_space([f // g for f, g in shrink])
        total += _get_space(layout.levels[number].chunk)[0] * -(-height // y) * -(-width // x) * itemsize
    return total + reading.memory


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
    blocks: Sequence[Block], read: Read, reading: Reading, progress: Progress, pool: Executor, path: Path
) -> None:
    """Feed all units on the same pages, a chunk's depth after the other, each page read once.

    Parameters
    ----------
    path
        An empty file for the pages of one chunk's depth; it is removed.
    """
    try:
        depths = zip(*(block.list_slabs(whole=True) for block in blocks), strict=True)
        for some in batched(depths, TOGETHER):
            spools: list[Spool] = []
            for slabs in some:
                spools.append(Spool(path, slabs, spools[-1].end if spools else 0))
                spools[-1].fill(read, reading.step, pool, reading.beside)
            for number, block in enumerate(blocks):
                for spool, slabs in zip(spools, some, strict=True):
                    _feed(block, list(block.list_bands(slabs[number])), spool.read, progress, pool)
    finally:
        path.unlink(missing_ok=True)
