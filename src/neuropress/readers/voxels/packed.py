"""Any part of a compressed stream without unpacking all that lies before it.

A gzip stream can only be read from its beginning. zlib's decompressor can be copied, though, so copies of it are kept
at some places on the way: whoever asks for a place goes on from the nearest one. bzip2 has nothing of that kind; such
a stream is unpacked as a whole, up to a limit.
"""

from __future__ import annotations

import bz2
import zlib
from bisect import bisect_right
from copy import copy
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from ...model.budget import CODEC_RATIOS, IMAGE_SLACK, OTHER_RATIO, VOXEL_BZIP2
from ...model.finding import Problem, problem
from ..arrays.kept import KeptArrays
from ..images.pixels import OpenFiles

GZIP, BZIP2 = "gzip", "bzip2"
PIECE = 16 * 1024
"""Compressed bytes that are read at once; each kept decompressor holds up to so many, beside 40 kB of its own."""
UNPACKED_PIECE = 2**20
SPACING = 8 * 2**20
MAX_KEPT = 256
_GZIP_WINDOW = 31
"""What zlib calls a stream with gzip's header and checksum."""
_DRAINED = 4 * 2**20
"""Bytes behind the last voxel that are unpacked to get to the checksum."""


@dataclass(slots=True)
class _Cursor:
    """A decompressor on its way: `position` is the next byte of the file, `unpacked` what it gave so far."""

    position: int
    unpacked: int = 0
    pending: bytes = b""
    unpacker: Any = field(default_factory=lambda: zlib.decompressobj(_GZIP_WINDOW))

    def fork(self) -> _Cursor:
        """One that goes its own way from here."""
        made = copy(self)
        made.unpacker = self.unpacker.copy()
        return made


class GzipBytes:
    """The unpacked bytes of a gzip stream from any place on; several members count as one stream.

    Parameters
    ----------
    files, key
        The open files, and the one that holds the stream.
    start, stop
        Its first byte, and where the file ends.
    length
        Unpacked bytes up to the end of the last voxel, as the header promises.
    """

    def __init__(self, files: OpenFiles, key: str, start: int, stop: int, length: int) -> None:
        self._files, self._key, self._stop, self._length = files, key, stop, length
        self._kept = [_Cursor(start)]
        self._cursor = self._kept[0].fork()
        self._spacing = max(SPACING, length // MAX_KEPT)
        self._lock = Lock()

    def read_into(self, key: str, at: int, out: np.ndarray) -> None:
        """Fill a C-contiguous array with the unpacked bytes from `at` on.

        Raises
        ------
        Problem
            ``voxels.truncated``, ``voxels.damaged`` (a checksum too), ``file.changed``.
        """
        view = memoryview(out.reshape(-1).view(np.uint8))
        with self._lock:
            self._go_to(at)
            done = 0
            while done < len(view):
                data = self._unpack(len(view) - done)
                if not data:
                    raise make_truncated(self._key, self._length, self._cursor.unpacked)
                view[done : done + len(data)] = data
                done += len(data)
            if at + done == self._length:
                self._check_end()

    def count_bytes(self) -> int:
        """How many unpacked bytes there are, or one more than promised; what is cut ends there."""
        with self._lock:
            self._go_to(0)
            while self._cursor.unpacked <= self._length and self._unpack(self._length + 1 - self._cursor.unpacked):
                pass
            return self._cursor.unpacked

    def states_length(self) -> bool:
        """Whether gzip's last four bytes say the promised length; several members, or a cut, make them another's."""
        if self._stop - self._kept[0].position < 18:  # a header and a trailer
            return False
        stated = int.from_bytes(self._files.read(self._key, self._stop - 4, 4), "little")
        return stated == self._length % 2**32

    def _go_to(self, at: int) -> None:
        places = [cursor.unpacked for cursor in self._kept]
        nearest = self._kept[bisect_right(places, at) - 1]
        if not nearest.unpacked <= self._cursor.unpacked <= at:
            self._cursor = nearest.fork()
        while self._cursor.unpacked < at:
            if not self._unpack(at - self._cursor.unpacked):
                raise make_truncated(self._key, self._length, self._cursor.unpacked)

    def _unpack(self, most: int) -> bytes:
        """The next bytes, `most` or fewer; none at the end of the stream or of the file."""
        cursor = self._cursor
        while True:
            if cursor.unpacker.eof and not self._start_member(cursor):
                return b""
            try:
                # A full buffer can hide more output although all input is taken: so this comes before the next read.
                data: bytes = cursor.unpacker.decompress(cursor.pending, min(most, UNPACKED_PIECE))
            except zlib.error as error:
                what = f"it cannot be unpacked behind byte {cursor.unpacked} of its voxels ({error})"
                raise make_damaged(self._key, what) from error
            cursor.pending = cursor.unpacker.unused_data if cursor.unpacker.eof else cursor.unpacker.unconsumed_tail
            if data:
                cursor.unpacked += len(data)
                if cursor.unpacked >= self._kept[-1].unpacked + self._spacing:
                    self._kept.append(cursor.fork())
                return data
            if not cursor.unpacker.eof and not cursor.pending and not self._refill(cursor):
                return b""

    def _start_member(self, cursor: _Cursor) -> bool:
        """Begin the next member; zeros or other bytes behind the last one are none."""
        while len(cursor.pending) < 2 and self._refill(cursor):
            pass
        if cursor.pending[:2] != b"\x1f\x8b":
            return False
        cursor.unpacker = zlib.decompressobj(_GZIP_WINDOW)
        return True

    def _refill(self, cursor: _Cursor) -> bool:
        count = min(PIECE, self._stop - cursor.position)
        if count <= 0:
            return False
        cursor.pending += self._files.read(self._key, cursor.position, count)
        cursor.position += count
        return True

    def _check_end(self) -> None:
        """Unpack what is left, so that zlib compares the checksum."""
        end = self._cursor.unpacked + _DRAINED
        while self._cursor.unpacked < end:
            if not self._unpack(UNPACKED_PIECE):
                if not self._cursor.unpacker.eof:
                    raise make_damaged(self._key, "its gzip stream ends before its checksum")
                return


class Bzip2Bytes:
    """The unpacked bytes of a bzip2 stream, all of which are in memory while they are asked for."""

    def __init__(self, files: OpenFiles, key: str, start: int, stop: int, length: int) -> None:
        self._files, self._key, self._start, self._stop, self._length = files, key, start, stop, length
        self._kept = KeptArrays()

    def read_into(self, key: str, at: int, out: np.ndarray) -> None:
        """As `GzipBytes.read_into`."""
        whole = self._kept.load("voxels", self._unpack)
        view = out.reshape(-1).view(np.uint8)
        view[:] = whole[at : at + len(view)]

    def close(self) -> None:
        """Forget the unpacked bytes."""
        self._kept.close()

    def _unpack(self) -> np.ndarray:
        whole = np.empty(self._length, np.uint8)
        done, at, unpacker = 0, self._start, bz2.BZ2Decompressor()
        pending = b""
        while done < self._length:
            if unpacker.eof:
                pending, unpacker = unpacker.unused_data, bz2.BZ2Decompressor()
            if unpacker.needs_input and not pending:
                pending = self._files.read(self._key, at, min(PIECE, self._stop - at)) if at < self._stop else b""
                at += len(pending)
                if not pending:
                    raise make_truncated(self._key, self._length, done)
            try:
                data = unpacker.decompress(pending, min(UNPACKED_PIECE, self._length - done))
            except OSError as error:
                raise make_damaged(self._key, f"it cannot be unpacked behind byte {done} of its voxels") from error
            pending = b""
            whole[done : done + len(data)] = np.frombuffer(data, np.uint8)
            done += len(data)
        return whole


def check_packed(key: str, codec: str, length: int, stored: int) -> None:
    """Refuse what no such stream can hold, and a bzip2 that would not fit into memory.

    Raises
    ------
    Problem
        ``voxels.hostile``, ``voxels.unsupported``.
    """
    most = stored * (CODEC_RATIOS[8] if codec == GZIP else OTHER_RATIO) + IMAGE_SLACK
    if length > most:
        message = f"{key}: its header promises {length} bytes of voxels, {stored} bytes of {codec} give at most {most}"
        raise problem("voxels.hostile", message, file=key)
    if codec == BZIP2 and length > VOXEL_BZIP2:
        message = f"{key}: its bzip2 unpacks to {length} bytes, of which at most {VOXEL_BZIP2} are taken into memory"
        hint = "Save it with gzip, of which any part can be read: unu save -f nrrd -e gzip -i IN -o OUT."
        raise problem("voxels.unsupported", message, hint=hint, file=key)


def make_truncated(key: str, expected: int, there: int) -> Problem:
    """The finding of voxels that are not there."""
    message = f"{key}: its header promises {expected} bytes of voxels, there are {there}"
    return problem("voxels.truncated", message, file=key, expected=str(expected), value=str(there))


def make_damaged(key: str, what: str) -> Problem:
    """The finding of a file that contradicts itself."""
    return problem("voxels.damaged", f"{key}: {what}", file=key)
