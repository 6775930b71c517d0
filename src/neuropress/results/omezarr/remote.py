"""A volume in a bucket as zarr-python reads it: by ranges of objects, on condition that each is still the same."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from ...storage.remote import BucketPath, ResultPath
from .guard import CHUNK_HEAD

type CheckHead = Callable[[bytes], None]
"""Looks at the first bytes of a chunk before it is decoded."""


class BucketStore(Store):
    """Read only; only what has a size and an ETag of its own is read, never another object of the same name.

    Attributes
    ----------
    failure
        The first error while an object was read: zarr-python wraps it in a group, and other libraries take it for
        an object that is not there.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, path: BucketPath) -> None:
        super().__init__(read_only=True)
        self._path = path
        self._chunks: dict[str, tuple[Sequence[int], CheckHead]] = {}
        self.failure: Exception | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketStore) and self._path == other._path

    def check_chunks(self, key: str, offsets: Iterable[int], check: CheckHead) -> None:
        """Have every chunk of a shard looked at when its bytes come."""
        self._chunks[key] = (sorted(offsets), check)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """See `zarr.abc.store.Store`."""
        data = await asyncio.to_thread(self._read_object, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """See `zarr.abc.store.Store`."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """See `zarr.abc.store.Store`."""
        return await asyncio.to_thread((self._path / key).is_file)

    async def set(self, key: str, value: Buffer) -> None:
        """Never: it is read only."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Never: it is read only."""
        self._check_writable()

    async def list(self) -> AsyncIterator[str]:
        """See `zarr.abc.store.Store`."""
        for key in await asyncio.to_thread(self._path.list_files):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """See `zarr.abc.store.Store`."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """See `zarr.abc.store.Store`."""
        folder = self._path / prefix.strip("/")
        _, folders, files = await asyncio.to_thread(lambda: next(folder.walk()))
        for name in (*folders, *files):
            yield name

    def _read_object(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        try:
            file = self._path / key
            if not file.is_file():
                return None
            start, length = _find_range(file, byte_range)
            data = file.read_range(start, length) if length else b""
            self._check_heads(key, start, data)
        except Exception as error:
            self.failure = self.failure or error
            raise
        return data

    def _check_heads(self, key: str, start: int, data: bytes) -> None:
        """Look at the chunks of a shard that begin within what was read of it."""
        if key not in self._chunks:
            return
        offsets, check = self._chunks[key]
        first, last = bisect_left(offsets, start), bisect_left(offsets, start + len(data))
        for offset in offsets[first:last]:
            check(data[offset - start : offset - start + CHUNK_HEAD])


def _find_range(file: BucketPath, request: ByteRequest | None) -> tuple[int, int]:
    """Start and length of what is asked for, within the object."""
    size = file.size()
    start, end = 0, size
    if isinstance(request, RangeByteRequest):
        start, end = request.start, min(request.end, size)
    elif isinstance(request, OffsetByteRequest):
        start = request.offset
    elif isinstance(request, SuffixByteRequest):
        start = max(0, size - request.suffix)
    return start, max(0, end - start)


def make_store(path: ResultPath) -> Path | BucketStore:
    """What zarr-python opens a volume by."""
    return BucketStore(path) if isinstance(path, BucketPath) else path


def get_failure(store: Path | BucketStore) -> Exception | None:
    """Why a volume in a bucket could not be read; None of one in a folder, and where all was read."""
    return store.failure if isinstance(store, BucketStore) else None
