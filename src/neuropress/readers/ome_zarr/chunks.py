"""Chunks of an array of Zarr: which bytes of which file they are, unpacked."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from ...model.finding import Problem, problem
from ..images.pixels import OpenFiles
from .codecs import CRC_BYTES, BadChunk, decode_chunk
from .layout import INDEX_ENTRY, ArrayLayout, Shard

_MISSING = 2**64 - 1


class ZarrChunks:
    """The chunks of an array, one by one.

    Parameters
    ----------
    files, sizes
        The open files, and the bytes of each file of the object.
    folder
        Key of the array's folder, ending in ``/``.
    """

    def __init__(self, files: OpenFiles, sizes: dict[str, int], folder: str, layout: ArrayLayout) -> None:
        self._files, self._sizes, self._folder, self._layout = files, sizes, folder, layout
        self._indices: dict[str, np.ndarray] = {}

    def load(self, place: tuple[int, ...]) -> np.ndarray | None:
        """The chunk at a place of the grid; None where it was never written."""
        layout = self._layout
        data = self._read_chunk(place)
        if data is None:
            return None
        values = np.frombuffer(data, layout.stored).reshape([layout.chunk[axis] for axis in layout.order])
        return values.transpose(np.argsort(layout.order))

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
        if start != _MISSING and start + length > self._sizes[key]:
            raise self._make_problem(key, (), f"its index names byte {start + length} of {self._sizes[key]}")
        return start, length

    def _make_problem(self, key: str, place: Collection[int], reason: str) -> Problem:
        what = f"{key}: chunk {'.'.join(map(str, place))}" if place else key
        return problem("zarr.damaged", f"{what}: {reason}", file=key)
