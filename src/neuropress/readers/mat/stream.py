"""The bytes of a MAT file one after the other, those of a compressed variable unpacked on the way."""

from __future__ import annotations

import zlib
from typing import Protocol

from ...model.source import RawFile

PIECE = 65_536


class Cut(ValueError):
    """The file ends, or a variable's bytes do, before what was promised."""


class ByteStream(Protocol):
    """Bytes that are read or skipped in order; `position` counts from the beginning of the file or variable."""

    position: int

    def read(self, count: int) -> bytes:
        """Exactly so many bytes. Raises `Cut`."""
        ...

    def skip(self, count: int) -> None:
        """Go on by so many bytes. Raises `Cut`."""
        ...


class FileStream:
    """Bytes as they lie in the file, up to an end."""

    def __init__(self, file: RawFile, position: int, end: int) -> None:
        self._file, self.position, self._end = file, position, end
        file.seek(position)

    def read(self, count: int) -> bytes:
        """See `ByteStream`."""
        if self.position + count > self._end:
            raise Cut(f"it ends at byte {self._end}, within what should reach to {self.position + count}")
        data = self._file.read(count)
        if len(data) != count:
            raise Cut(f"it ends at byte {self.position + len(data)}")
        self.position += count
        return data

    def skip(self, count: int) -> None:
        """See `ByteStream`."""
        if self.position + count > self._end:
            raise Cut(f"it ends at byte {self._end}, within what should reach to {self.position + count}")
        self.position += count
        self._file.seek(self.position)


class PackedStream:
    """The unpacked bytes of a compressed variable, of which only a piece is ever in memory."""

    def __init__(self, file: RawFile, start: int, stored: int) -> None:
        self.position = 0
        self._file, self._next, self._stop = file, start, start + stored
        self._unpacker = zlib.decompressobj()
        self._ready = b""

    def read(self, count: int) -> bytes:
        """See `ByteStream`."""
        parts, missing = [], count
        while missing:
            part = self._take(missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """See `ByteStream`."""
        while count:
            count -= len(self._take(count))

    def check_end(self) -> None:
        """See that the checksum behind the last byte is right. Raises `Cut`, `zlib.error`."""
        while not self._unpacker.eof:
            self._fill()
            if self._ready:
                raise Cut("a compressed variable has more bytes than it says")

    def _take(self, most: int) -> bytes:
        while not self._ready:
            if self._unpacker.eof:
                raise Cut(f"a compressed variable ends after {self.position} bytes")
            self._fill()
        part, self._ready = self._ready[:most], self._ready[most:]
        self.position += len(part)
        return part

    def _fill(self) -> None:
        packed = self._unpacker.unconsumed_tail
        if not packed:
            self._file.seek(self._next)
            packed = self._file.read(min(PIECE, self._stop - self._next))
            if not packed:
                raise Cut("a compressed variable ends before its last byte")
            self._next += len(packed)
        self._ready = self._unpacker.decompress(packed, 4 * PIECE)
