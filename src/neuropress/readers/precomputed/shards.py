"""Sharded chunks: which shard and minishard a chunk is in, and its bytes there.

Source: neuroglancer's description of the format neuroglancer_uint64_sharded_v1; MurmurHash3 (x86, 128 bits) by its
author's public definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model import budget
from ..arrays.kept import KeptArrays
from ..chunked.folder import FolderFiles
from ..ome_zarr.codecs import CODECS, FAILURES, BadChunk

TYPE = "neuroglancer_uint64_sharded_v1"
HASHES = ("identity", "murmurhash3_x86_128")
_INDEX_ENTRY, _CHUNK_ENTRY = 16, 24
_MASK = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Sharding:
    """How ids of chunks are spread over shards, and minishards in these."""

    preshift_bits: int
    hash: str
    minishard_bits: int
    shard_bits: int
    is_index_packed: bool
    is_data_packed: bool

    def find_minishard(self, chunk: int) -> tuple[str, int]:
        """Name of the shard's file and number of the minishard that has a chunk."""
        hashed = chunk >> self.preshift_bits
        if self.hash != "identity":
            hashed = hash_murmur3(hashed)
        minishard = hashed & (2**self.minishard_bits - 1)
        shard = hashed >> self.minishard_bits & (2**self.shard_bits - 1)
        return f"{shard:0{-(-self.shard_bits // 4)}x}.shard", minishard


def parse_sharding(stated: Mapping[str, Any]) -> Sharding:
    """What a scale says of its shards. Raises `ValueError`, `KeyError` or `TypeError`."""
    if stated["@type"] != TYPE or stated["hash"] not in HASHES:
        raise ValueError(f"its shards are {str(stated['@type'])[:40]!r} with the hash {str(stated['hash'])[:40]!r}")
    bits = [stated[name] for name in ("preshift_bits", "minishard_bits", "shard_bits")]
    if any(type(n) is not int or not 0 <= n <= 64 for n in bits) or bits[1] > 32:
        raise ValueError(f"its shards have the bits {bits}")
    packed = [stated.get(name, "raw") for name in ("minishard_index_encoding", "data_encoding")]
    if not set(packed) <= {"raw", "gzip"}:
        raise ValueError(f"its shards are packed as {packed}")
    return Sharding(bits[0], stated["hash"], bits[1], bits[2], packed[0] == "gzip", packed[1] == "gzip")


def number_chunk(place: Sequence[int], grid: Sequence[int]) -> int:
    """The id of a chunk by its place along x, y and z: their bits in turn, without those that the grid never needs."""
    number = at = 0
    for bit in range(max(grid).bit_length()):
        for n, whole in zip(place, grid, strict=True):
            if 1 << bit < whole:
                number |= (n >> bit & 1) << at
                at += 1
    return number


def hash_murmur3(value: int) -> int:
    """The low 64 bits of MurmurHash3_x86_128 of eight bytes, with seed 0."""

    def turn(n: int, by: int) -> int:
        return (n << by | n >> 32 - by) & _MASK

    def mix(n: int) -> int:
        n = (n ^ n >> 16) * 0x85EBCA6B & _MASK
        n = (n ^ n >> 13) * 0xC2B2AE35 & _MASK
        return n ^ n >> 16

    low, high = value & _MASK, value >> 32 & _MASK
    one = turn(low * 0x239B961B & _MASK, 15) * 0xAB0E9789 & _MASK
    two = turn(high * 0xAB0E9789 & _MASK, 16) * 0x38B34AE5 & _MASK
    parts = [n ^ 8 for n in (one, two, 0, 0)]
    for _ in range(2):
        parts[0] = sum(parts) & _MASK
        parts[1:] = [n + parts[0] & _MASK for n in parts[1:]]
        if _ == 0:
            parts = [mix(n) for n in parts]
    return parts[0] | parts[1] << 32


class Shards:
    """The shards of a scale, in the folder with the key `place`, which ends in ``/``."""

    def __init__(self, folder: FolderFiles, place: str, sharding: Sharding) -> None:
        self._folder, self._place, self._sharding = folder, place, sharding
        self._kept = KeptArrays()

    def read(self, chunk: int, most: int) -> tuple[str, bytes | None]:
        """Key of a chunk's shard and the chunk's bytes, unpacked; None where it was never written.

        Raises
        ------
        BadChunk
            What the shard says cannot be, or the chunk has more than `most` bytes.
        """
        name, minishard = self._sharding.find_minishard(chunk)
        key = self._place + name
        if key not in self._folder.sizes:
            return key, None
        index = self._kept.load(f"{key}/{minishard}", lambda: self._read_index(key, minishard))
        found = np.flatnonzero(index[0] == chunk)
        if not len(found):
            return key, None
        start, length = int(index[1, found[0]]), int(index[2, found[0]])
        data = self._read_bytes(key, start, length, most)
        return key, _unpack(data, most) if self._sharding.is_data_packed else data

    def close(self) -> None:
        """Forget the indices."""
        self._kept.close()

    def _read_index(self, key: str, minishard: int) -> np.ndarray:
        """Ids, first bytes and lengths of the chunks of a minishard, as an array (3, chunk)."""
        head = 2**self._sharding.minishard_bits * _INDEX_ENTRY
        if self._folder.sizes[key] < head:
            raise BadChunk(f"it has {self._folder.sizes[key]} bytes, its index alone {head}")
        entry = self._folder.files.read(key, minishard * _INDEX_ENTRY, _INDEX_ENTRY)
        start, stop = int.from_bytes(entry[:8], "little"), int.from_bytes(entry[8:], "little")
        most = budget.SHARD_CHUNKS * _CHUNK_ENTRY
        data = self._read_bytes(key, start, stop - start, most) if start != stop else b""
        if self._sharding.is_index_packed and data:
            data = _unpack(data, most)
        if len(data) % _CHUNK_ENTRY:
            raise BadChunk(f"the index of its minishard {minishard} has {len(data)} bytes")
        ids, gaps, lengths = np.frombuffer(data, "<u8").astype(np.uint64).reshape(3, -1)
        # Each chunk begins so many bytes behind the end of the one before; numpy's sums wrap, as the format's do.
        ends = np.cumsum(gaps + lengths, dtype=np.uint64)
        return np.stack([np.cumsum(ids, dtype=np.uint64), ends - lengths, lengths])

    def _read_bytes(self, key: str, start: int, length: int, most: int) -> bytes:
        """Bytes that lie `start` bytes behind the shard's index."""
        head, size = 2**self._sharding.minishard_bits * _INDEX_ENTRY, self._folder.sizes[key]
        if length < 0 or head + start + length > size:
            raise BadChunk(f"its index names byte {head + start + length} of {size}")
        if length > most:
            raise BadChunk(f"a part of it has {length} bytes, for at most {most}")
        return self._folder.files.read(key, head + start, length)


def _unpack(data: bytes, most: int) -> bytes:
    try:
        return bytes(CODECS["gzip"](data, most))
    except FAILURES as error:
        raise BadChunk(f"its codec gzip fails ({str(error)[:200]})") from error
