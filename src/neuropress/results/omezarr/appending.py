"""Appending to unfinished files past the machine's cache of pages.

Nobody reads soon what a conversion writes. Copied into the cache it takes a fifth of the processor's time, and drives
raw files out that are read twice. So whole blocks of the disk go there directly, from memory that begins where a page
does; what is less waits for the next ones. A file system that takes no such writes is written to as usual.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BLOCK_BYTES = 4096
"""Of a disk: places and lengths of direct writes are multiples of it."""
BUFFER_BYTES = 2 << 20
"""Written at a time: large enough that a disk is not waited for at each of them."""
_DIRECT = getattr(os, "O_DIRECT", 0)


def make_buffer(nbytes: int = BUFFER_BYTES) -> mmap.mmap:
    """Memory for `Appended`, whole blocks of the disk."""
    return mmap.mmap(-1, -(-nbytes // BLOCK_BYTES) * BLOCK_BYTES)


class Appended:
    """A file that lies there empty and is appended to; `size` are the bytes that it has, or will have when finished."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self._rest = path, 0, b""

    def append(self, parts: Iterable[bytes], buffer: mmap.mmap) -> None:
        """Add bytes; the last ones, less than a block, are kept in memory until more come or it is finished.

        Raises
        ------
        FileNotFoundError
            It was cleared away: another run goes on in this one's place.
        """
        with _DirectFile(self.path, self.size - len(self._rest)) as file:
            filled = self._gather(file, parts, buffer)
            whole = filled - filled % BLOCK_BYTES
            file.write(buffer, whole)
            self._rest = buffer[whole:filled]

    def finish(self, parts: Iterable[bytes], buffer: mmap.mmap) -> None:
        """Add the last bytes, and wait for the disk."""
        with _DirectFile(self.path, self.size - len(self._rest)) as file:
            filled = self._gather(file, parts, buffer)
            file.write(buffer, -(-filled // BLOCK_BYTES) * BLOCK_BYTES)
            file.end(self.size)

    def _gather(self, file: _DirectFile, parts: Iterable[bytes], buffer: mmap.mmap) -> int:
        """Fill the buffer again and again; how much it holds at the end."""
        filled = len(self._rest)
        buffer[:filled] = self._rest
        for part in parts:
            self.size += len(part)
            left = memoryview(part)
            while left:
                taken = min(len(left), len(buffer) - filled)
                buffer[filled : filled + taken] = left[:taken]
                filled, left = filled + taken, left[taken:]
                if filled == len(buffer):
                    file.write(buffer, filled)
                    filled = 0
        return filled


class _DirectFile:
    """A file that is there already, written from a place on, past the cache where the file system can."""

    def __init__(self, path: Path, at: int) -> None:
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
        try:
            self._handle = os.open(path, flags | _DIRECT)
        except OSError as error:
            if not _DIRECT or error.errno != errno.EINVAL:
                raise
            self._handle = os.open(path, flags)
        os.lseek(self._handle, at, os.SEEK_SET)

    def __enter__(self) -> _DirectFile:
        return self

    def __exit__(self, *exception: Any) -> None:
        os.close(self._handle)

    def write(self, buffer: mmap.mmap, nbytes: int) -> None:
        """Write the first bytes of a buffer, whole blocks."""
        with memoryview(buffer) as view:
            done = 0
            while done < nbytes:
                try:
                    done += os.write(self._handle, view[done:nbytes])
                except OSError as error:
                    if error.errno != errno.EINVAL or not self._turn_to_cache():
                        raise

    def end(self, size: int) -> None:
        """Cut off what fills the last block, and wait for the disk."""
        os.ftruncate(self._handle, size)
        os.fsync(self._handle)

    def _turn_to_cache(self) -> bool:
        """Write as usual from here on, as some file systems, and odd places that a full disk left, want it.

        False: it was so already.
        """
        if not _DIRECT:
            return False
        import fcntl

        flags = fcntl.fcntl(self._handle, fcntl.F_GETFL)
        if flags & _DIRECT:
            fcntl.fcntl(self._handle, fcntl.F_SETFL, flags & ~_DIRECT)
        return bool(flags & _DIRECT)
