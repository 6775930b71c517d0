"""One block of work: read slab by slab, every level of its pass made from memory, never re-read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ...model.receipt import block_digest
from .layout import Box, Layout, Pass, tiles
from .pyramid import Axes, halve, halved
from .shards import Shard, encode, settle_folders

type Read = Callable[[Box], np.ndarray]
type Digests = dict[int, list[str]]
"""Level -> SHA-256 of a block's slabs (level 0) or tiles (`Level.tile`, above), in C order, hex."""

AHEAD = 32
"""Chunks that may wait, compressed, to be written in order."""

BAND_BYTES = 1 << 20
"""What one step of halving takes at a time: it fits a core's cache."""


@dataclass(slots=True)
class _Slab:
    """A slab of a level that fills up from the level before; `data` is (z, y, x) or as the array's axes."""

    data: np.ndarray
    box: Box
    filled: int = 0


@dataclass(slots=True)
class Block:
    """Carries out one block of a pass.

    Attributes
    ----------
    layout, stage, corner
        Geometry, the pass, and which of its blocks.
    folder
        The result; level N lies in ``<folder>/<N>``.
    read
        Gives a box of level ``stage.first``.
    pool
        Where hashing, halving and compression run.
    progress
        Called with the bytes of each slab when it is stored.
    """

    layout: Layout
    stage: Pass
    corner: tuple[int, ...]
    folder: Path
    read: Read
    pool: Executor
    progress: Callable[[int], None]
    _shards: dict[tuple[int, ...], Shard] = field(default_factory=dict)
    _filling: dict[int, _Slab] = field(default_factory=dict)
    _digests: dict[int, list[Future[bytes]]] = field(default_factory=dict)

    def run(self) -> Digests:
        """Write all shards of the block; on return they are durable."""
        first = self.stage.first
        box = self.layout.box(first, self.stage, self.corner)
        for slab in tiles(box, slab_extent(self.layout, self.stage)):
            self.progress(self._feed(first, self.read(slab), slab))
        for shard in self._shards.values():
            shard.finish()
        settle_folders(list(self._shards.values()))
        return {level: [f.result().hex() for f in found] for level, found in self._digests.items()}

    def _feed(self, number: int, data: np.ndarray, slab: Box) -> int:
        """Take a whole slab of a level: hash it, halve it into the next level's slab, store its chunks.

        Returns the slab's bytes; the caller keeps no reference, so that one slab a level is in memory.
        """
        new = number > self.stage.first or number == 0
        tasks: list[Future[Any]] = self._hash(number, data, slab) if new else []
        child = None
        if number < self.stage.last:
            child = self._child(number, slab, data.dtype)
            tasks += self._halve(self.layout.levels[number].halves, _space(data), child)
        if new:
            self._store(number, data, slab)
        for task in tasks:
            task.result()
        if child is not None and child.filled == len(_space(child.data)):
            del self._filling[number + 1]
            self._feed(number + 1, child.data, child.box)
        return data.nbytes

    def _hash(self, number: int, data: np.ndarray, slab: Box) -> list[Future[bytes]]:
        tile = self.layout.levels[number].tile if number else data.shape
        tasks = [self.pool.submit(block_digest, data[_within(part, slab)]) for part in tiles(slab, tile)]
        self._digests.setdefault(number, []).extend(tasks)
        return tasks

    def _child(self, number: int, slab: Box, dtype: np.dtype[Any]) -> _Slab:
        """The next level's slab that this slab goes into."""
        below = number + 1
        if below not in self._filling:
            box = self.layout.box(below, self.stage, self.corner)
            if len(box) > 2:
                shrink = 2 if self.layout.levels[number].halves[0] else 1
                start = slab[-3].start // shrink
                stop = min(start + self.layout.levels[below].chunk[-3], box[-3].stop)
                box = (*box[:-3], slice(start, stop), *box[-2:])
            self._filling[below] = _Slab(np.empty([s.stop - s.start for s in box], dtype), box)
        return self._filling[below]

    def _halve(self, axes: Axes, source: np.ndarray, child: _Slab) -> list[Future[None]]:
        """Start the tasks that put the mean of `source` into its place in the child."""
        depth = halved(source.shape[0]) if axes[0] else source.shape[0]
        target = _space(child.data)[child.filled : child.filled + depth]
        child.filled += depth
        rows = max(1, BAND_BYTES // source[0, 0].nbytes // 4) * 2
        starts = range(0, source.shape[1], rows)
        return [self.pool.submit(_halve_band, source, target, axes, y, rows) for y in starts]

    def _store(self, number: int, data: np.ndarray, slab: Box) -> None:
        """Compress a slab's chunks in the pool and append them to their shards in a fixed order."""
        for shard, chunks in groupby(self._encoded(number, data, slab), key=lambda item: item[0]):
            with shard.opened() as file:
                for _, position, parts in chunks:
                    shard.append(file, position, parts.result())

    def _encoded(
        self, number: int, data: np.ndarray, slab: Box
    ) -> Iterator[tuple[Shard, tuple[int, ...], Future[list[bytes]]]]:
        level = self.layout.levels[number]
        waiting: deque[tuple[Shard, tuple[int, ...], Future[list[bytes]]]] = deque()
        for part in tiles(slab, level.tile):
            coordinate = tuple(s.start // n for s, n in zip(part, level.shard, strict=True))
            shard = self._shard(number, coordinate)
            for box in tiles(part, level.chunk):
                position = tuple(s.start % n // c for s, n, c in zip(box, level.shard, level.chunk, strict=True))
                waiting.append((shard, position, self.pool.submit(encode, data[_within(box, slab)], level.chunk)))
                if len(waiting) > AHEAD:
                    yield waiting.popleft()
        yield from waiting

    def _shard(self, number: int, coordinate: tuple[int, ...]) -> Shard:
        key = (number, *coordinate)
        if key not in self._shards:
            self._shards[key] = Shard(self.folder / str(number), self.layout.levels[number], coordinate)
        return self._shards[key]


def slab_extent(layout: Layout, stage: Pass) -> tuple[int, ...]:
    """Extent of a slab of a pass: a block, one chunk deep. Level 0's digest is taken over the first pass's."""
    if len(stage.block) < 3:
        return stage.block
    return (*stage.block[:-3], layout.levels[stage.first].chunk[-3], *stage.block[-2:])


def _halve_band(source: np.ndarray, target: np.ndarray, axes: Axes, first: int, rows: int) -> None:
    """Halve the rows from `first` on, two planes at a time."""
    y = first // 2 if axes[1] else first
    for z in range(0, source.shape[0], 2):
        band = halve(source[z : z + 2, first : first + rows], axes)
        at = z // 2 if axes[0] else z
        target[at : at + band.shape[0], y : y + band.shape[1]] = band


def _space(data: np.ndarray) -> np.ndarray:
    """The (z, y, x) of a slab; its other axes have length 1."""
    return data.reshape((-1, *data.shape[-2:]))


def _within(box: Box, outer: Box) -> Box:
    """A box in the coordinates of one that holds it."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))
