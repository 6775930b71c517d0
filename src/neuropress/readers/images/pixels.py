"""Planes of pixels in files, read by offset or by strip and tile, as one lazy array."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from threading import Lock
from typing import Any, Protocol

import numpy as np

from ...model.content import LazyArray, Selection
from ...model.finding import Problem, problem
from ...model.source import RawFile, Source, Stamp
from ..stamp import check_unchanged
from .page import SegmentValues


def _count_open_files() -> int:
    """Slices of a row of units, which are read again for each band; fewer where the system allows few files."""
    allowed = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 0
    return min(512, allowed // 2) if allowed > 256 else 128


MAX_OPEN_FILES = _count_open_files()


class OpenFiles:
    """The files of one raw object, opened when first read and closed together.

    `shrunk` is the id of the finding of bytes that are no longer there.
    """

    def __init__(self, source: Source, shrunk: str = "tiff.truncated") -> None:
        self._source, self._shrunk = source, shrunk
        self._open: OrderedDict[str, RawFile] = OrderedDict()
        self._stamps: dict[str, Stamp] = {}
        self._lock = Lock()

    def remember_stamp(self, key: str, stamp: Stamp) -> None:
        """What a file was when its header was read; a later read compares."""
        self._stamps[key] = stamp

    def read(self, key: str, at: int, count: int) -> bytes:
        """`count` bytes from byte `at`.

        Raises
        ------
        Problem
            The id `shrunk` where they are no longer there, ``file.changed`` where the file is another one by now.
        """
        with self._lock:
            file = self._open_file(key)
            file.seek(at)
            data = file.read(count)
            if len(data) != count:
                raise self._make_shrunk_problem(key, at, count)
            check_unchanged(file.stamp(), self._stamps.get(key), key)
        return data

    def read_into(self, key: str, at: int, out: np.ndarray) -> None:
        """Fill a C-contiguous array with the bytes from `at` on."""
        view = memoryview(out.reshape(-1).view(np.uint8))
        with self._lock:
            file = self._open_file(key)
            file.seek(at)
            done = 0
            while done < len(view):
                got = file.readinto(view[done:])
                if not got:
                    raise self._make_shrunk_problem(key, at, len(view))
                done += got
            check_unchanged(file.stamp(), self._stamps.get(key), key)

    def close(self) -> None:
        """Close what is open; a later read opens anew."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()

    def _open_file(self, key: str) -> RawFile:
        if key not in self._open:
            while len(self._open) >= MAX_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            self._open[key] = self._source.open(key)
        self._open.move_to_end(key)
        return self._open[key]

    def _make_shrunk_problem(self, key: str, at: int, count: int) -> Problem:
        return problem(self._shrunk, f"{key}: {count} bytes from byte {at} on are no longer there", file=key)


class ByteReader(Protocol):
    """Bytes of files at any place."""

    def read_into(self, key: str, at: int, out: np.ndarray) -> None:
        """Fill a C-contiguous array with the bytes from `at` on."""
        ...


class Planes(Protocol):
    """Equally shaped planes that are read one at a time."""

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Fill `out` with a block of plane `index`."""
        ...


class RawPlanes:
    """Uncompressed planes, each contiguous in its file, read by offset.

    Parameters
    ----------
    files
        The open files, or what unpacks one.
    keys
        File of each plane, or one for all.
    starts
        Byte offset of each plane; a `range` for planes one after the other.
    shape, stored
        Shape of a plane and its dtype with the file's byte order.
    """

    def __init__(
        self,
        files: ByteReader,
        keys: Sequence[str],
        starts: Sequence[int],
        shape: tuple[int, ...],
        stored: np.dtype[Any],
    ) -> None:
        self._files, self._keys, self._starts, self._shape, self._stored = files, keys, starts, shape, stored

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Read the rows of the first axis that are asked for, then cut the others."""
        first, rest = selection[0], selection[1:]
        row = math.prod(self._shape[1:]) * self._stored.itemsize
        whole = out.shape[1:] == self._shape[1:] and out.flags.c_contiguous
        rows = out if whole else np.empty((first.stop - first.start, *self._shape[1:]), out.dtype)
        key = self._keys[index] if len(self._keys) > 1 else self._keys[0]
        self._files.read_into(key, int(self._starts[index]) + first.start * row, rows)
        if not self._stored.isnative:
            rows.byteswap(inplace=True)
        if not whole:
            out[...] = rows[(slice(None), *rest)]


class SegmentPlanes:
    """Planes in strips or tiles that are decoded; only those that a block touches.

    Parameters
    ----------
    files
        The open files.
    keys
        File of each plane, or one for all.
    segments
        Plane -> offsets and byte counts of its strips or tiles.
    decode
        ``decode(data, segment, plane)`` gives the samples of a segment in five axes
        (depth, rows, columns, samples after the separate plane is dropped).
    grid, chunk
        Extent of the plane and of a segment in (separate samples, depth, rows, columns).
    samples
        Interleaved samples per pixel.
    axes
        Axes of a plane as `LazyArray` names them.
    fill
        Value of strips and tiles that were never written (count 0).
    """

    def __init__(
        self,
        files: OpenFiles,
        keys: Sequence[str],
        segments: Sequence[tuple[SegmentValues, SegmentValues]],
        decode: Callable[[bytes, int, int], np.ndarray],
        grid: tuple[int, int, int, int],
        chunk: tuple[int, int, int, int],
        samples: int,
        axes: tuple[str, ...],
        fill: Any = 0,
    ) -> None:
        self._files, self._keys, self._segments, self._decode = files, keys, segments, decode
        self._grid, self._chunk, self._samples, self._axes, self._fill = grid, chunk, samples, axes, fill

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Decode the touched segments and paste them together."""
        wanted = self._normalize_selection(selection)
        target = np.full([s.stop - s.start for s in wanted], self._fill, out.dtype)
        counts = [math.ceil(n / c) for n, c in zip(self._grid, self._chunk, strict=True)]
        touched = [range(s.start // c, math.ceil(s.stop / c)) for s, c in zip(wanted[:4], self._chunk, strict=True)]
        key = self._keys[index] if len(self._keys) > 1 else self._keys[0]
        offsets, sizes = self._segments[index]
        for place in product(*touched):
            number = int(np.ravel_multi_index(place, counts))
            if not sizes[number]:
                continue
            data = self._files.read(key, int(offsets[number]), int(sizes[number]))
            self._paste_segment(self._decode(data, number, index), place, wanted, target)
        out[...] = target.reshape(out.shape)

    def _paste_segment(
        self, segment: np.ndarray, place: tuple[int, ...], wanted: tuple[slice, ...], target: np.ndarray
    ) -> None:
        starts = [i * c for i, c in zip(place, self._chunk, strict=True)]
        source: list[slice] = []
        goal: list[slice] = []
        for axis in range(4):
            extent = 1 if axis == 0 else segment.shape[axis - 1]
            low = max(wanted[axis].start, starts[axis])
            high = min(wanted[axis].stop, starts[axis] + extent)
            source.append(slice(low - starts[axis], high - starts[axis]))
            goal.append(slice(low - wanted[axis].start, high - wanted[axis].start))
        target[tuple(goal)] = segment[(*source[1:], wanted[4])]

    def _normalize_selection(self, selection: Selection) -> tuple[slice, ...]:
        """The selection in (separate samples, depth, rows, columns, interleaved samples)."""
        full = [slice(0, n) for n in (*self._grid, self._samples)]
        for axis, part in zip(self._axes, selection, strict=True):
            place = {"z": 1, "y": 2, "x": 3}.get(axis, 4 if self._samples > 1 else 0)
            full[place] = part
        return tuple(full)


def apply_declared_axes(axes: tuple[str, ...], options: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The axes as a person names them in the option ``axes`` (``"tzyx"``); what the file declares stays.

    Raises
    ------
    Problem
        ``image.axes``: the option has another length or contradicts the file.
    """
    stated = tuple(options.get("axes", axes))
    is_compatible = len(stated) == len(axes) and all(a in (b, "q") for a, b in zip(axes, stated, strict=True))
    named = [axis for axis in stated if axis != "q"]
    if not is_compatible or len(set(named)) < len(named):
        raise problem(
            "image.axes",
            f"{key}: the option axes = {''.join(stated)!r} does not fit the file's {''.join(axes)!r} (q: undeclared)",
            file=key,
        )
    return stated


def build_plane_array(
    planes: Planes,
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    plane_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    block: Mapping[str, int] | None = None,
    *,
    is_shared: bool = False,
    kept: int = 0,
) -> LazyArray:
    """The lazy array ``pixels`` over planes in C order of the leading axes.

    Parameters
    ----------
    block
        What of a plane is read at once, by axis, all of one that is not named; None: rows where they lie so, else all.
    is_shared, kept
        See `LazyArray`.
    """
    lead = shape[: len(shape) - len(plane_shape)]

    def read(selection: Selection) -> np.ndarray:
        ranges = [range(s.start, s.stop) for s in selection[: len(lead)]]
        inner = selection[len(lead) :]
        out = np.empty([s.stop - s.start for s in selection], dtype)
        for position in product(*(range(len(r)) for r in ranges)):
            index = 0
            for among, at, extent in zip(ranges, position, lead, strict=True):
                index = index * extent + among[at]
            planes.read(index, inner, out[position] if lead else out)
        return out

    given = [(block or {}).get(axis, n) for axis, n in zip(axes[len(lead) :], plane_shape, strict=True)]
    if block is None and isinstance(planes, RawPlanes):  # rows of the first axis lie by themselves
        given[0] = 1
    return LazyArray("pixels", shape, dtype, axes, read, (*(1 for _ in lead), *given), is_shared, kept)
