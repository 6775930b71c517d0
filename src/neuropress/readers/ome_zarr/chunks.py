"""Pixels of a chunked array, decoded chunk by chunk; those decoded last stay in memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection
from itertools import product
from threading import Lock

import numpy as np

from ...model.content import Selection
from ...model.finding import Problem, problem
from ..images.pixels import OpenFiles
from .codecs import CRC_BYTES, BadChunk, decode_chunk
from .layout import INDEX_ENTRY, ArrayLayout, Shard

CACHE_BYTES = 32 * 2**20
_MISSING = 2**64 - 1


class ChunkedPixels:
    """Blocks of an array.

    Parameters
    ----------
    files, sizes
        The open files, and the bytes of each file of the object.
    folder
        Key of the array's folder, ending in ``/``.
    """

    def __init__(self, files: OpenFiles, sizes: dict[str, int], folder: str, layout: ArrayLayout) -> None:
        self._files, self._sizes, self._folder, self._layout = files, sizes, folder, layout
        self._decoded: OrderedDict[tuple[int, ...], np.ndarray] = OrderedDict()
        self._indices: dict[str, np.ndarray] = {}
        self._lock = Lock()

    def read(self, selection: Selection) -> np.ndarray:
        """A block, in native byte order; chunks without a file have the array's fill value."""
        layout = self._layout
        out = np.full([part.stop - part.start for part in selection], layout.fill, layout.stored.newbyteorder("="))
        touched = [
            range(part.start // n, math.ceil(part.stop / n)) for part, n in zip(selection, layout.chunk, strict=True)
        ]
        for place in product(*touched):
            chunk = self._load_chunk(place)
            if chunk is None:
                continue
            source, goal = [], []
            for part, n, i in zip(selection, layout.chunk, place, strict=True):
                low, high = max(part.start, i * n), min(part.stop, (i + 1) * n)
                source.append(slice(low - i * n, high - i * n))
                goal.append(slice(low - part.start, high - part.start))
            out[tuple(goal)] = chunk[tuple(source)]
        return out

    def _load_chunk(self, place: tuple[int, ...]) -> np.ndarray | None:
        with self._lock:
            if place in self._decoded:
                self._decoded.move_to_end(place)
                return self._decoded[place]
        layout = self._layout
        data = self._read_chunk(place)
        if data is None:
            return None
        values = np.frombuffer(data, layout.stored).reshape([layout.chunk[axis] for axis in layout.order])
        chunk = values.transpose(np.argsort(layout.order))
        with self._lock:
            self._decoded[place] = chunk
            while len(self._decoded) * layout.chunk_bytes > CACHE_BYTES and len(self._decoded) > 1:
                self._decoded.popitem(last=False)
        return chunk

    def _read_chunk(self, place: tuple[int, ...]) -> bytes | None:
        """The decoded bytes of a chunk; None where it was never written."""
        layout = self._layout
        per_file = [whole // part for whole, part in zip(layout.file_shape, layout.chunk, strict=True)]
        key = self._folder + layout.name_file([i // n for i, n in zip(place, per_file, strict=True)])
        if key not in self._sizes:
            return None
        start, length = 0, self._sizes[key]
        if layout.shard:
            inside = tuple(i % n for i, n in zip(place, per_file, strict=True))
            start, length = self._find_in_shard(key, layout.shard, int(np.ravel_multi_index(inside, per_file)))
            if start == _MISSING:
                return None
        if length > layout.chunk_bytes + layout.chunk_bytes // 8 + 4096:
            raise self._make_problem(key, place, f"it has {length} bytes, for {layout.chunk_bytes} unpacked ones")
        try:
            return decode_chunk(self._files.read(key, start, length), layout.codecs, layout.chunk_bytes)
        except BadChunk as error:
            raise self._make_problem(key, place, str(error)) from error

    def _find_in_shard(self, key: str, shard: Shard, number: int) -> tuple[int, int]:
        """First byte and length of a chunk, by the index of its shard."""
        if key not in self._indices:
            chunks = math.prod(shard.shape) // math.prod(self._layout.chunk)
            nbytes = chunks * INDEX_ENTRY
            stored = nbytes + CRC_BYTES * len(shard.index_codecs)
            if self._sizes[key] < stored:
                raise self._make_problem(key, (), f"it has {self._sizes[key]} bytes, its index alone {stored}")
            data = self._files.read(key, self._sizes[key] - stored if shard.is_index_last else 0, stored)
            try:
                index = decode_chunk(data, shard.index_codecs, nbytes)
            except BadChunk as error:
                raise self._make_problem(key, (), f"of its index: {error}") from error
            self._indices[key] = np.frombuffer(index, "<u8").reshape(chunks, 2)
        start, length = (int(n) for n in self._indices[key][number])
        if (start == _MISSING) != (length == _MISSING):
            raise self._make_problem(key, (), "its index names a chunk by half: a first byte or a length is missing")
        if start != _MISSING and start + length > self._sizes[key]:
            raise self._make_problem(key, (), f"its index names byte {start + length} of {self._sizes[key]}")
        return start, length

    def _make_problem(self, key: str, place: Collection[int], reason: str) -> Problem:
        what = f"{key}: chunk {'.'.join(map(str, place))}" if place else key
        return problem("zarr.damaged", f"{what}: {reason}", file=key)
