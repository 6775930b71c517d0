"""Shards of Zarr v3: chunks appended as they come, the index last, then the final name.

zarr-python holds a whole shard in memory and gives it no sync; this appends chunk by
chunk, so that memory does not grow with the shard and a file under its final name is
whole. Format: sharding codec of the Zarr v3 specification, index at the end,
little-endian uint64 pairs of offset and length, CRC-32C.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from queue import Queue
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Blosc  # type: ignore[import-untyped]

from ...model.source import Stamp
from ...storage.parallel import run_all
from ...storage.remote import BucketPath
from .. import durable
from .appending import BLOCK_BYTES, Appended, make_buffer
from .layout import Level

MISSING = 2**64 - 1
TABLE_BYTES = 128 << 10
"""Of what is packed, for one entropy table of zstd."""
UPLOADS = 4
"""Shards that one worker sends at the same time."""
AHEAD = 5
"""Runs of chunks that may wait to be written in order."""


def make_blosc(dtype: np.dtype[Any], level: int) -> Blosc:
    """Zstd in blocks, with byte shuffle for wider data than 8 bits.

    Within a block zstd has one entropy table for 128 KiB. Wider data are cut so that each byte of the elements fills
    whole tables by itself (16 bits of photon noise: 2.4 % smaller and 1.7 times as fast as in blosc's own blocks);
    8 bits in halves of that, so that the tables follow what a tissue is locally (0.5 % smaller, 15 % slower).
    """
    size = dtype.itemsize
    block = TABLE_BYTES // 2 if size == 1 else TABLE_BYTES * size
    shuffle = Blosc.NOSHUFFLE if size == 1 else Blosc.SHUFFLE
    return Blosc(cname="zstd", clevel=level, shuffle=shuffle, blocksize=block, typesize=size)


def make_codecs(dtype: np.dtype[Any], level: int) -> list[dict[str, Any]]:
    """Codecs of one chunk; CRC-32C after the others lets every reader notice a damaged chunk."""
    packed = make_blosc(dtype, level)
    shuffle = "noshuffle" if packed.shuffle == Blosc.NOSHUFFLE else "shuffle"
    blosc = {"cname": "zstd", "clevel": level, "shuffle": shuffle, "typesize": dtype.itemsize}
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    return [
        little if dtype.itemsize > 1 else {"name": "bytes"},
        {"name": "blosc", "configuration": {**blosc, "blocksize": packed.blocksize}},
        {"name": "crc32c"},
    ]


def encode_chunk(data: np.ndarray, level: Level, codec: Blosc) -> list[bytes]:
    """One chunk as `make_codecs` says, in parts to be written one after the other; of Zarr 2 without a checksum.

    `data` may be smaller than the chunk at the array's far edges; the rest is zero.
    """
    little = data.dtype.newbyteorder("<")
    padded = (np.empty if data.shape == level.chunk else np.zeros)(level.chunk, little)
    inside = padded[tuple(slice(0, n) for n in data.shape)]
    if data.dtype == little and data.size and data.strides[-1] == data.itemsize:
        row = f"V{data.shape[-1] * data.itemsize}"  # rows as one element each: copied in two thirds of the time
        data, inside = data.view(row), inside.view(row)
    inside[...] = data
    packed = codec.encode(padded)
    if level.version.zarr_format == 2:
        return [packed]
    return [packed, google_crc32c.value(packed).to_bytes(4, "little")]


def encode_chunks(parts: Sequence[np.ndarray], level: Level, codec: Blosc) -> list[list[bytes]]:
    """`encode_chunk` of several."""
    return [encode_chunk(part, level, codec) for part in parts]


class Shard:
    """One shard, or one chunk where there are none, that is being written into an empty `temporary` file."""

    def __init__(self, level: Level, coordinate: Sequence[int], temporary: Path) -> None:
        self.name = level.name_shard(coordinate)
        self.temporary = temporary
        self._file = Appended(temporary)
        self._is_sharded = level.is_sharded
        self._grid = tuple(s // c for s, c in zip(level.shard, level.chunk, strict=True))
        self._index = np.full((*self._grid, 2), MISSING, "<u8")

    def append(self, chunks: Iterable[tuple[Sequence[int], Sequence[bytes]]], buffer: mmap.mmap) -> None:
        """Add chunks, each with its position in the shard's grid; see `Appended.append`.

        The file is closed afterwards, as a wide volume has thousands of shards.
        """
        self._file.append(self._list_parts(chunks), buffer)

    def _list_parts(self, chunks: Iterable[tuple[Sequence[int], Sequence[bytes]]]) -> Iterator[bytes]:
        end = self._file.size
        for position, parts in chunks:
            size = sum(len(part) for part in parts)
            self._index[tuple(position)] = (end, size)
            end += size
            yield from parts

    def finish(self) -> None:
        """Write the index and wait for the disk: nothing is lacking but the name."""
        index = self._index.tobytes()
        parts = [index, google_crc32c.value(index).to_bytes(4, "little")] if self._is_sharded else []
        self._file.finish(parts, make_buffer(BLOCK_BYTES + sum(map(len, parts))))


type _Run = tuple[Shard, Sequence[Sequence[int]], Future[list[list[bytes]]]]
"""Chunks of one shard: their positions in its grid, and what they will be packed."""


class ShardWriter:
    """Appends chunks to their shards in the order in which they come, on a thread of its own.

    Whoever reads, halves and packs goes on meanwhile, from one band to the next.
    """

    def __init__(self) -> None:
        self._waiting: Queue[_Run | None] = Queue(AHEAD)
        self._pool = ThreadPoolExecutor(1)
        self._buffer = make_buffer()
        self._written: Future[None] | None = None
        self._failed = False

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._written is not None:
            self._waiting.put(None)
        self._pool.shutdown()

    def put(self, run: _Run) -> None:
        """Have a run written; waits while `AHEAD` others wait. Raises what an earlier one failed with."""
        if self._failed:
            self.flush()
        if self._written is None:
            self._written = self._pool.submit(self._write)
        self._waiting.put(run)

    def flush(self) -> None:
        """Wait until all is written. Raises what it failed with."""
        written, self._written = self._written, None
        if written is not None:
            self._waiting.put(None)
            written.result()

    def _write(self) -> None:
        coming = iter(self._waiting.get, None)
        try:
            for shard, runs in groupby(coming, key=itemgetter(0)):
                chunks = (zip(positions, packed.result(), strict=True) for _, positions, packed in runs)
                shard.append(chain.from_iterable(chunks), self._buffer)
        except BaseException:
            self._failed = True
            for _ in coming:  # nobody waits for a place among those that will not be written
                pass
            raise


def rename_shards(volume: Path, shards: Sequence[Shard]) -> None:
    """Give finished shards their names in a folder, which survive a power cut on return.

    Folders below the level's are made, but not that one: without it the volume is gone.
    """
    on_the_way: set[Path] = set()
    for shard in shards:
        final = volume / shard.name
        *below, level = final.parents[: shard.name.count("/")]
        for folder in reversed(below):
            if folder not in on_the_way:
                folder.mkdir(exist_ok=True)
        os.replace(shard.temporary, final)
        on_the_way.update(below, [level])
    for folder in sorted(on_the_way, reverse=True):
        durable.sync_path(folder)


def upload_shards(volume: BucketPath, shards: Sequence[Shard]) -> dict[str, Stamp]:
    """Put finished shards into a bucket; the stamp of each by its path in the volume."""

    def upload(shard: Shard) -> tuple[str, Stamp]:
        stamp = (volume / shard.name).upload_file(shard.temporary)
        shard.temporary.unlink()
        return shard.name, stamp

    return dict(run_all(upload, shards, UPLOADS))
