"""Large arrays of raw files in bands: how much is read at a time, and a file that keeps what is only read whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

type Box = tuple[slice, ...]

STEP_BYTES = 4 << 20
"""What is read for a spool at a time, at least a block of the file."""
SAVING = 4
"""A block of the file that ends within a band is read again for the next one: at most a quarter more."""


def fits(wanted: int, given: int) -> bool:
    """Whether so much is read at little more than its share."""
    return given > 0 and (wanted % given == 0 or SAVING * given <= wanted)


def choose_step(
    given: tuple[int, int, int], depth: int, extent: tuple[int, int, int], itemsize: int, width: int
) -> tuple[int, int, int]:
    """Whole blocks of the file within an extent (z, y, x): more of them along x, then y, then z, while there is room.

    Parameters
    ----------
    given
        What the file gives at once.
    depth
        Planes that are kept together.
    width
        Of the slabs that are kept; steps are as wide as some of them, or as all where blocks end within one.
    """
    least, x = min(given[0], depth), extent[2]
    if width % max(1, given[2]) == 0:  # an array may be empty
        x = min(x, width * max(1, STEP_BYTES // max(1, least * given[1] * width * itemsize)))
    if x < extent[2]:
        return least, min(extent[1], given[1]), x
    row = x * itemsize
    y = min(extent[1], given[1] * max(1, STEP_BYTES // max(1, least * given[1] * row)))
    z = least * max(1, STEP_BYTES // max(1, least * y * row)) if y == extent[1] else least
    return min(z, depth), y, x


class Spool:
    """The voxels of slabs that lie side by side, on the disk; each slab in C order, one after the other.

    In the file they begin behind so many voxels of others.
    """

    def __init__(self, path: Path, slabs: Sequence[Box], behind: int = 0) -> None:
        self._path, self._slabs = path, slabs
        self._starts = [behind]
        for slab in slabs:
            self._starts.append(self._starts[-1] + prod(s.stop - s.start for s in slab))
        self._dtype: np.dtype[Any] | None = None
        self._lock = Lock()

    def fill(
        self,
        read: Callable[[Box], np.ndarray],
        step: tuple[int, int, int],
        pool: Executor | None = None,
        beside: int = 1,
    ) -> None:
        """Read everything, in steps that end where blocks of the file do, so many `beside` each other in a pool."""
        first, last = self._slabs[0], self._slabs[-1]
        whole = tuple(slice(a.start, b.stop) for a, b in zip(first, last, strict=True))
        steps = list(_list_steps(whole, step))
        # One behind the other, a reader that goes through a stream from its beginning stays where it is.
        if pool is None or beside == 1:
            for part in steps:
                self._keep(read(part), part)
            return
        waiting: deque[Future[None]] = deque()
        try:
            for part in steps:
                if len(waiting) == beside:
                    waiting.popleft().result()
                waiting.append(pool.submit(lambda part: self._keep(read(part), part), part))
        finally:
            for task in waiting:
                task.result()

    @property
    def end(self) -> int:
        """Where others may begin."""
        return self._starts[-1]

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
                    at = start + (above - slab[-2].start) * width + left - slab[-1].start
                    # A step that ends within the slab has parts of its rows.
                    for rows in (plane,) if right - left == width else np.split(plane, len(plane)):
                        file.seek(at * data.itemsize)
                        _write_whole(file, np.ascontiguousarray(rows))
                        at += width

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
        for x in places[-1]:
            yield (*box[:-2], y, x)
    for z in places[0] if len(places) == 3 else ():
        for y in places[1]:
            for x in places[2]:
                yield (*box[:-3], z, y, x)


def _cut(part: slice, size: int) -> list[slice]:
    starts = [part.start, *range((part.start // size + 1) * size, part.stop, size)]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], part.stop], strict=True)]
