"""Units of a volume: read slab by slab, every level of their pass made from memory, never re-read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

import numpy as np
from numcodecs import Blosc  # type: ignore[import-untyped]

from ...model.receipt import HASH, block_digest
from .layout import Box, Layout, Level, Pass, list_tiles
from .pyramid import halve_block, halve_extent
from .shards import Shard, ShardWriter, encode_chunks
from .staging import Digests, Staging

type Read = Callable[[Box], np.ndarray]
RUN = 8
"""Chunks that one task packs: one alone takes little longer than its task, and threads wait for each other less."""

BAND_BYTES = 4 << 20
"""What one step of halving takes at a time, at most: with less, threads wait for each other at every step."""


@dataclass(slots=True)
class _Slab:
    """A slab of a level that fills up from the level before, `filled` voxels of it."""

    data: np.ndarray
    box: Box
    filled: int = 0


@dataclass(slots=True)
class Block:
    """Carries out neighbouring units of a pass, slab by slab.

    Attributes
    ----------
    layout, stage, corner, last
        Geometry, the pass, and the first and the last of its units.
    staging
        Where unfinished shards lie, and where they go.
    codec
        What packs its chunks.
    pool
        Where hashing, halving and compression run.
    writer
        What appends chunks to their shards.
    """

    layout: Layout
    stage: Pass
    corner: tuple[int, ...]
    last: tuple[int, ...]
    staging: Staging
    codec: Blosc
    pool: Executor
    writer: ShardWriter
    _shards: dict[tuple[int, ...], Shard] = field(default_factory=dict)
    _filling: dict[int, _Slab] = field(default_factory=dict)
    _digests: dict[tuple[int, tuple[int, ...]], list[Future[bytes]]] = field(default_factory=dict)

    def list_slabs(self, *, whole: bool) -> Iterator[Box]:
        """What is to be fed, in this order: a tile's depth and rows at a time, or all rows. The bytes are the same."""
        box = self.layout.get_box(self.stage.first, self.stage, self.corner, self.last)
        *outer, rows, _ = self.layout.levels[self.stage.first].tile
        height, width = (s.stop - s.start for s in box[-2:])
        return list_tiles(box, (*outer, height if whole else rows, width))

    def list_bands(self, slab: Box) -> Iterator[Box]:
        """A whole slab in parts of a tile's rows, in the order in which they are to be fed."""
        *outer, rows, _ = self.layout.levels[self.stage.first].tile
        return list_tiles(slab, (*outer, rows, slab[-1].stop - slab[-1].start))

    def feed_slab(self, data: np.ndarray, slab: Box) -> int:
        """Take the next slab. Returns its bytes; the caller should keep no reference to it."""
        return self._feed_level(self.stage.first, data, slab)

    def finish(self) -> dict[tuple[int, ...], Digests]:
        """Give all shards their names; on return they are durable. Place of a unit -> its digests."""
        self.writer.flush()
        list(self.pool.map(Shard.finish, self._shards.values()))
        self.staging.keep_shards(list(self._shards.values()))
        by_unit: dict[tuple[int, ...], Digests] = {}
        for (level, unit), digests in self._digests.items():
            by_unit.setdefault(unit, {})[level] = [f.result().hex() for f in digests]
        return by_unit

    def _feed_level(self, number: int, data: np.ndarray, slab: Box) -> int:
        """Take a whole slab of a level: hash it, halve it into the next level's slab, store its chunks."""
        new = number in self.stage.written
        tasks: list[Future[Any]] = self._hash_tiles(number, data, slab) if new else []
        child = None
        if number < self.stage.last:
            child = self._get_child(number, slab, data.dtype)
            tasks += self._halve_slab(self.layout.levels[number], data, slab, child)
        if new:
            self._store_chunks(number, data, slab)
        for task in tasks:
            task.result()
        if child is not None and child.filled == child.data.size:
            del self._filling[number + 1]
            self._feed_level(number + 1, child.data, child.box)
        return data.nbytes

    def _hash_tiles(self, number: int, data: np.ndarray, slab: Box) -> list[Future[bytes]]:
        tile = self.layout.levels[number].tile
        extent = self.layout.get_unit(number, self.stage)
        tasks = []
        for part in list_tiles(slab, tile):
            tasks.append(self.pool.submit(block_digest, data[_shift_box(part, slab)], HASH))
            unit = tuple(s.start // n for s, n in zip(part, extent, strict=True))
            self._digests.setdefault((number, unit), []).append(tasks[-1])
        return tasks

    def _get_child(self, number: int, slab: Box, dtype: np.dtype[Any]) -> _Slab:
        """The next level's slab that this slab goes into."""
        below = number + 1
        if below not in self._filling:
            box = self.layout.get_box(below, self.stage, self.corner, self.last)
            if len(box) > 2:
                shrink = 2 if self.layout.levels[number].halves[0] else 1
                start = slab[-3].start // shrink
                stop = min(start + self.layout.levels[below].chunk[-3], box[-3].stop)
                box = (*box[:-3], slice(start, stop), *box[-2:])
            self._filling[below] = _Slab(np.empty([s.stop - s.start for s in box], dtype), box)
        return self._filling[below]

    def _halve_slab(self, level: Level, data: np.ndarray, slab: Box, child: _Slab) -> list[Future[None]]:
        """Start the tasks that put what a level's slab is reduced to into its place in the child."""
        source = _view_space(data)
        target = _view_space(child.data)
        for number, halved in zip((-3, -2), level.halves, strict=False):
            if len(slab) + number >= 0:
                start = slab[number].start // (2 if halved else 1) - child.box[number].start
                extent = source.shape[number]
                place = slice(start, start + (halve_extent(extent) if halved else extent))
                target = target[place] if number == -3 else target[:, place]
        child.filled += target.size
        rows = max(1, BAND_BYTES // source[0, 0].nbytes // 4) * 2
        starts = range(0, source.shape[1], rows)
        return [self.pool.submit(_halve_band, source, target, level, y, rows) for y in starts]

    def _store_chunks(self, number: int, data: np.ndarray, slab: Box) -> None:
        """Have a slab's chunks packed in the pool, `RUN` of them at a time, and written in a fixed order."""
        level = self.layout.levels[number]
        for part in list_tiles(slab, level.tile):
            coordinate = tuple(s.start // n for s, n in zip(part, level.shard, strict=True))
            shard = self._get_shard(number, coordinate)
            for boxes in batched(list_tiles(part, level.chunk), RUN):
                positions = [
                    tuple(s.start % n // c for s, n, c in zip(box, level.shard, level.chunk, strict=True))
                    for box in boxes
                ]
                parts = [data[_shift_box(box, slab)] for box in boxes]
                self.writer.put((shard, positions, self.pool.submit(encode_chunks, parts, level, self.codec)))

    def _get_shard(self, number: int, coordinate: tuple[int, ...]) -> Shard:
        key = (number, *coordinate)
        if key not in self._shards:
            level = self.layout.levels[number]
            self._shards[key] = Shard(level, coordinate, self.staging.make_temporary())
        return self._shards[key]


def _halve_band(source: np.ndarray, target: np.ndarray, level: Level, first: int, rows: int) -> None:
    """Halve the rows from `first` on, two planes at a time."""
    axes = level.halves
    y = first // 2 if axes[1] else first
    for z in range(0, source.shape[0], 2):
        band = halve_block(source[z : z + 2, first : first + rows], axes, level.reduction)
        at = z // 2 if axes[0] else z
        target[at : at + band.shape[0], y : y + band.shape[1]] = band


def _view_space(data: np.ndarray) -> np.ndarray:
    """The (z, y, x) of a slab; its other axes have length 1."""
    return data.reshape((-1, *data.shape[-2:]))


def _shift_box(box: Box, outer: Box) -> Box:
    """A box in the coordinates of one that holds it."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))
