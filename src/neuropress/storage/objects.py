"""An object of a bucket with the interface of Python's own files."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..model.source import Stamp

BLOCK = 2**16
"""Bytes that are fetched at least: a header far from its pixels costs no more."""
MAX_BLOCKS_AHEAD = 128
"""Blocks that are fetched with one request while an object is read from front to back (8 MiB)."""
MIN_DIRECT = 2**20
"""Reads of this size are a request of their own."""
MAX_DIRECT = 2**24
MAX_CACHED_BLOCKS = 512
"""Blocks of one open object that are kept (32 MiB)."""


class ObjectBytes(io.RawIOBase):
    """A seekable object that is fetched block by block, more at a time the longer it is read onwards.

    Not safe to use from several threads at once, as Python's own unbuffered files are not.

    Parameters
    ----------
    fetch
        ``fetch(start, length)`` gives these bytes of the object.
    stamp
        Of the object whose bytes `fetch` gives.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], stamp: Stamp) -> None:
        self._fetch, self._stamp, self._size = fetch, stamp, stamp[0]
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0
        self._fetched_to: int | None = None
        self._ahead = 1

    def stamp(self) -> Stamp:
        """What the object was when it was opened; other bytes are never given."""
        return self._stamp

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte; behind the end nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The byte that is read next."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or the beginning of it; 0 at the end of the object."""
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._position)
        if length <= 0:
            return 0
        data = self._read_piece(length)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest of the object."""
        pieces = []
        while self._position < self._size:
            pieces.append(self._read_piece(self._size - self._position))
            self._position += len(pieces[-1])
        return b"".join(pieces)

    def _read_piece(self, length: int) -> bytes:
        """Between 1 and `length` bytes from the current position on."""
        if length >= MIN_DIRECT:
            return self._fetch(self._position, min(length, MAX_DIRECT))
        number, offset = divmod(self._position, BLOCK)
        needed = -(-(offset + length) // BLOCK)
        return self._get_block(number, needed)[offset : offset + length]

    def _get_block(self, number: int, needed: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        # A short way onwards counts as reading on: directories of a TIFF lie between its pages.
        onwards = self._fetched_to is not None and 0 <= number - self._fetched_to <= self._ahead
        self._ahead = min(2 * self._ahead, MAX_BLOCKS_AHEAD) if onwards else 1
        count = max(needed, self._ahead)
        start = number * BLOCK
        data = self._fetch(start, min(count * BLOCK, self._size - start))
        for offset in range(0, len(data), BLOCK):
            self._blocks[number + offset // BLOCK] = data[offset : offset + BLOCK]
        self._fetched_to = number + count
        while len(self._blocks) > MAX_CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[number]
