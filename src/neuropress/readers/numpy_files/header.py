"""Headers of NPY files, and blocks of the arrays in them, read by offset.

Own code, because NumPy evaluates a header as a Python literal and maps files of this machine only.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, BinaryIO

import numpy as np

from ...model.budget import EXTENT, RANK
from ...model.content import LazyArray, Selection
from ...model.finding import problem
from ...model.source import Source, Stamp
from ..stamp import check_unchanged
from . import MAGIC
from .errors import DamagedFile

MAX_HEADER = 10_000
OBJECT = "|O"
_HEADER = re.compile(
    rb"\{'descr':\s*'([^']{1,16})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([0-9L, ]*)\),?\s*\}\s*"
)
_NUMBER = re.compile(r"[<>|=](?:[iu][1248]|f[248]|b1)")
_EXTENT = re.compile(r"([0-9]{1,18})L?")  # L: Python 2 wrote long integers so


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What an NPY file says of itself.

    Attributes
    ----------
    descr
        Its elements' type as NumPy writes it (``<f4``; ``|O`` for a pickle).
    shape, fortran
        Extents, and whether the first axis is the one that runs fastest.
    start
        Where the elements, or the pickle, begin.
    """

    descr: str
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def is_pickled(self) -> bool:
        """Whether a pickle follows instead of elements."""
        return self.descr == OBJECT

    @property
    def stored(self) -> np.dtype[Any]:
        """The elements' type in the file's byte order."""
        return np.dtype(self.descr)


def parse_npy_header(head: bytes, size: int) -> NpyHeader:
    """The header of a file that begins with `head` and has `size` bytes.

    Raises
    ------
    DamagedFile
        It is no NPY file, cut short, of records, or says what does not fit its size.
    """
    if not head.startswith(MAGIC) or len(head) < 12:
        raise DamagedFile("it does not begin as an NPY file")
    if head[6] not in (1, 2, 3):
        raise DamagedFile(f"its version {head[6]}.{head[7]} is none of NPY")
    wide = head[6] > 1
    start = 12 if wide else 10
    (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
    text = head[start : start + length]
    if length > MAX_HEADER or len(text) < length:
        raise DamagedFile(f"its header of {length} bytes is cut short, or has more than {MAX_HEADER}")
    match = _HEADER.fullmatch(text)
    if not match:
        raise DamagedFile(f"its header {text[:80]!r} is not of one array of plain elements")
    descr = match[1].decode("ascii", "replace")
    extents = [_EXTENT.fullmatch(part.strip()) for part in match[3].decode("ascii").split(",") if part.strip()]
    shape = tuple(int(extent[1]) if extent else -1 for extent in extents)
    if len(shape) > RANK or not all(0 <= extent < EXTENT for extent in shape):
        raise DamagedFile(f"its shape {match[3][:80]!r} is none")
    if descr != OBJECT:
        _check_size(descr, shape, size - start - length)
    return NpyHeader(descr, shape, match[2] == b"True", start + length)


def _check_size(descr: str, shape: tuple[int, ...], room: int) -> None:
    if not _NUMBER.fullmatch(descr):
        raise DamagedFile(f"its elements are of type {descr!r}, not numbers")
    needed = math.prod(shape) * np.dtype(descr).itemsize
    if needed != room:
        raise DamagedFile(f"{' x '.join(map(str, shape))} elements of {descr} take {needed} bytes, it has {room}")


def read_npy_header(source: Source, key: str) -> NpyHeader:
    """The header of a raw file. Raises `DamagedFile`."""
    return parse_npy_header(source.head(key, MAX_HEADER + 12), source.size(key))


def make_npy_array(source: Source, key: str, header: NpyHeader, name: str, axes: tuple[str, ...]) -> LazyArray:
    """An array of plain elements, read when asked for."""
    stamp = source.stamp(key)
    read = partial(_read_selection, source, key, stamp, header)
    return LazyArray(name, header.shape, header.stored.newbyteorder("="), axes, read, header.shape)


def _read_selection(source: Source, key: str, stamp: Stamp, header: NpyHeader, selection: Selection) -> np.ndarray:
    with source.open(key) as file:
        check_unchanged(file.stamp(), stamp, key)
        try:
            return read_block(file, header, selection)
        except DamagedFile as error:  # its size was right when its header was read
            raise problem("file.changed", f"{key} changed while it was read: {error}", file=key) from error


def read_block(file: BinaryIO, header: NpyHeader, selection: Selection) -> np.ndarray:
    """A block of the array in native byte order; of each row only what is asked for is read."""
    if header.fortran:
        # The bytes of a Fortran array are those of its transpose in C order.
        turned = NpyHeader(header.descr, header.shape[::-1], False, header.start)
        return read_block(file, turned, selection[::-1]).transpose()
    stored = header.stored
    out = np.empty([part.stop - part.start for part in selection], stored)
    if out.size:
        _fill_runs(file, header, selection, out)
    return out.astype(stored.newbyteorder("="), copy=False)


def _fill_runs(file: BinaryIO, header: NpyHeader, selection: Selection, out: np.ndarray) -> None:
    """Fill a block run by run: a run is what lies in one piece in the file."""
    shape = header.shape
    whole = len(shape)  # axes from here on are wanted whole, and lie in one piece with the axis before them
    while whole and (selection[whole - 1].start, selection[whole - 1].stop) == (0, shape[whole - 1]):
        whole -= 1
    outer = max(whole - 1, 0)
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = selection[outer].start * steps[outer] if shape else 0
    runs = out.reshape(*out.shape[:outer], -1)
    for place in product(*(range(extent) for extent in out.shape[:outer])):
        at = first + sum((selection[axis].start + step) * steps[axis] for axis, step in enumerate(place))
        file.seek(header.start + at * header.stored.itemsize)
        _read_into(file, runs[place])


def _read_into(file: Any, out: np.ndarray) -> None:
    view: memoryview[Any] = memoryview(out.reshape(-1).view(np.uint8))
    done = 0
    while done < len(view):
        got = file.readinto(view[done:])
        if not got:
            raise DamagedFile("it is cut short")
        done += got
