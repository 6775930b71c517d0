"""MAT-files of level 5 (versions 5 to 7.2): what variables there are, and where the numbers of each lie.

A variable is an element of a type, a length and bytes; an array is an element of elements. MATLAB stores numbers in the
narrowest type that holds them, so that a double may lie there as bytes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...model.budget import (
    ARRAY_AXES,
    ARRAY_DEPTH,
    ARRAY_ENTRIES,
    ARRAY_NAME,
    ARRAY_TEXT,
    EXTENT,
    HDF5_RATIO,
    MAT_UNPACKED,
    MAT_UNPACKED_ALL,
)
from ...model.source import RawFile
from .stream import ByteStream, FileStream, PackedStream

HEADER_BYTES = 128
MATRIX, COMPRESSED = 14, 15
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of numbers as stored."""
TEXTS = {**STORED, 16: "u1", 17: "u2", 18: "u4"}
"""Those of texts: UTF-8, UTF-16 and UTF-32 as well."""
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17
COMPLEX, LOGICAL = 0x08, 0x02
OBJECT_TEXT = "an object, table or string array, which only MATLAB can open"
FIELD_BYTES = 1024
"""Of the name of one field; MATLAB's have 64."""


class Damaged(ValueError):
    """Bytes that are no MAT-file."""


class TooLarge(ValueError):
    """More than the budget allows."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where the numbers of an array lie.

    Attributes
    ----------
    shape, dtype
        As MATLAB shows the array; the first axis is the fastest.
    stored, start
        Type as stored, and the first byte: in the file, or in what a compressed variable unpacks to.
    packed
        First byte and length of the compressed variable; None where the numbers lie in the file as they are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    start: int
    packed: tuple[int, int] | None

    @property
    def nbytes(self) -> int:
        """As stored."""
        return math.prod(self.shape) * self.stored.itemsize


@dataclass(slots=True)
class Inventory:
    """What is in a file, by path."""

    numbers: dict[str, Numbers] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, what: Numbers | str) -> None:
        """One more array, or something else. Raises `Damaged`, `TooLarge`."""
        if path in self.numbers or path in self.others:
            raise Damaged(f"it has two variables {path[:80]!r}")
        if len(self.numbers) + len(self.others) >= ARRAY_ENTRIES:
            raise TooLarge(f"it has more than {ARRAY_ENTRIES} arrays and other things")
        if isinstance(what, Numbers):
            self.numbers[path] = what
        else:
            self.others[path] = what


def read_inventory(file: RawFile, size: int) -> tuple[str, Inventory]:
    """The text of the header, and all variables.

    Raises
    ------
    Damaged, TooLarge, Cut, zlib.error
    """
    file.seek(0)
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES or head[126:128] not in (b"IM", b"MI"):
        raise Damaged("its header of 128 bytes does not end with the byte order")
    order = "<" if head[126:128] == b"IM" else ">"
    inventory = Inventory()
    position, unpacked = HEADER_BYTES, 0
    while position < size:
        stream = FileStream(file, position, size)
        kind, length = struct.unpack(order + "2I", stream.read(8))
        if stream.position + length > size:
            raise Damaged(f"a variable at byte {position} promises {length} bytes, the file has {size - position - 8}")
        if kind == COMPRESSED:
            packed = stream.position, length
            unpacked += _ArrayParser(PackedStream(file, *packed), order, inventory, packed).parse_variable()
            if unpacked > MAT_UNPACKED_ALL:
                raise TooLarge(f"its compressed variables unpack to more than {MAT_UNPACKED_ALL} bytes")
        elif kind == MATRIX:
            _ArrayParser(FileStream(file, position, size), order, inventory, None).parse_variable()
        else:
            raise Damaged(f"at byte {position} lies an element of type {kind}, no variable")
        position = stream.position + length
    return head[:116].decode("latin-1").split("\0")[0].strip(), inventory


class _ArrayParser:
    """Goes through one variable; the bytes of numbers are skipped."""

    def __init__(self, stream: ByteStream, order: str, inventory: Inventory, packed: tuple[int, int] | None) -> None:
        self._stream, self._order, self._inventory, self._packed = stream, order, inventory, packed

    def parse_variable(self) -> int:
        """A whole variable; its bytes."""
        kind, length, small = self._read_tag()
        if kind != MATRIX or small is not None:
            raise Damaged(f"an element of type {kind} stands where a variable belongs")
        if self._packed and length > min(MAT_UNPACKED, ARRAY_TEXT + self._packed[1] * HDF5_RATIO):
            raise TooLarge(f"a variable of {self._packed[1]} bytes unpacks to {length}, more than is believed or read")
        self._parse_array("", length, 0)
        if isinstance(self._stream, PackedStream):
            self._stream.check_end()
        return length

    def _read_tag(self) -> tuple[int, int, bytes | None]:
        """Type and length of an element; up to 4 bytes stand in the tag itself."""
        head = self._stream.read(8)
        (first,) = struct.unpack_from(self._order + "I", head)
        if first >> 16:
            length = first >> 16
            if length > 4:
                raise Damaged(f"a short element has {length} bytes")
            return first & 0xFFFF, length, head[4 : 4 + length]
        return first, struct.unpack_from(self._order + "I", head, 4)[0], None

    def _read_element(self, most: int, what: str) -> tuple[int, bytes]:
        """A small element as a whole."""
        kind, length, small = self._read_tag()
        if small is not None:
            return kind, small
        if length > most:
            raise Damaged(f"{what} has {length} bytes, more than {most}")
        data = self._stream.read(length)
        self._stream.skip(-length % 8)
        return kind, data

    def _parse_array(self, path: str, length: int, depth: int) -> None:
        """One array of any class, named by itself or by what it is in."""
        end = self._stream.position + length
        if depth > ARRAY_DEPTH:
            raise TooLarge(f"structs and cells are nested deeper than {ARRAY_DEPTH} levels")
        if length == 0:  # a cell or field that was never set
            self._inventory.add(path, "empty")
            return
        _, flags = self._read_element(8, "the flags of an array")
        if len(flags) != 8:
            raise Damaged(f"the flags of an array have {len(flags)} bytes")
        (word,) = struct.unpack_from(self._order + "I", flags)
        kind, bits = word & 0xFF, word >> 8 & 0xFF
        if kind == OPAQUE:
            _, name = self._read_element(ARRAY_NAME, "a name")
            self._add_other(self._join(path, name), OBJECT_TEXT)
        else:
            shape = self._read_shape()
            _, name = self._read_element(ARRAY_NAME, "a name")
            self._parse_body(self._join(path, name), kind, bits, shape, (end, depth))
        if self._stream.position > end:
            raise Damaged(f"{path[:80]!r} is longer than it says")
        self._stream.skip(end - self._stream.position)

    def _join(self, path: str, name: bytes) -> str:
        own = name.decode("utf-8", "replace").rstrip("\0")
        return path or own or "(nameless)"

    def _read_shape(self) -> tuple[int, ...]:
        kind, raw = self._read_element(4 * ARRAY_AXES, "the extents of an array")
        if kind not in (5, 6) or len(raw) % 4 or len(raw) < 8:
            raise Damaged(f"the extents of an array are of type {kind} and have {len(raw)} bytes")
        shape = struct.unpack(f"{self._order}{len(raw) // 4}i", raw)
        if min(shape) < 0 or math.prod(shape) > EXTENT:
            raise Damaged(f"an array has the extents {list(shape)}")
        return shape

    def _parse_body(self, path: str, kind: int, bits: int, shape: tuple[int, ...], where: tuple[int, int]) -> None:
        end, depth = where
        if kind in CLASSES and bits & COMPLEX:
            self._add_other(path, f"complex numbers ({_format_shape(shape)})")
        elif kind in CLASSES:
            dtype = np.dtype("?") if bits & LOGICAL else np.dtype(CLASSES[kind])
            self._inventory.add(path, self._find_numbers(path, shape, dtype))
        elif kind == CHAR:
            self._parse_text(path, shape)
        elif kind == CELL:
            self._parse_children([f"{path}/{number}" for number in self._count(path, shape, 1, end)], depth)
        elif kind in (STRUCT, OBJECT):
            if kind == OBJECT:
                self._read_element(ARRAY_NAME, "the name of a class")
            self._parse_struct(path, shape, end, depth)
        else:
            what = {SPARSE: "a sparse matrix (save full(x))", FUNCTION: "a function"}.get(kind, f"of class {kind}")
            self._add_other(path, what)

    def _find_numbers(self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        position = self._stream.position
        kind, length, small = self._read_tag()
        if kind not in STORED:
            raise Damaged(f"the numbers of {path[:80]!r} are of type {kind}")
        stored = np.dtype(self._order + STORED[kind])
        start = position + (4 if small is not None else 8)
        if small is None:
            self._stream.skip(length)
        if length != math.prod(shape) * stored.itemsize:
            raise Damaged(f"{path[:80]!r} has {length} bytes for {_format_shape(shape)} numbers of {stored.itemsize}")
        return Numbers(shape, dtype, stored, start, self._packed)

    def _parse_text(self, path: str, shape: tuple[int, ...]) -> None:
        kind, length, small = self._read_tag()
        if kind not in TEXTS:
            raise Damaged(f"the text {path[:80]!r} is of type {kind}")
        if small is None and length > ARRAY_TEXT:
            self._add_other(path, f"a text of {length} bytes")
            return
        raw = small if small is not None else self._stream.read(length)
        if kind == 16:
            text = raw.decode("utf-8", "replace")
        else:
            letters = np.frombuffer(raw[: len(raw) // np.dtype(TEXTS[kind]).itemsize * np.dtype(TEXTS[kind]).itemsize],
                                    np.dtype(self._order + TEXTS[kind])).tolist()  # fmt: skip
            text = "".join(chr(letter) if 0 <= letter < 0x110000 else "\ufffd" for letter in letters)
        if len(shape) == 2 and shape[0] == 1:
            self._inventory.texts[path] = text.encode("utf-8", "replace").decode()
        self._add_other(path, f"the text {text[:60]!r}" if text else "an empty text")

    def _count(self, path: str, shape: tuple[int, ...], fields: int, end: int) -> range:
        """Numbers of the elements, each of which takes 8 bytes at least."""
        count = math.prod(shape)
        if count * fields * 8 > end - self._stream.position:
            raise Damaged(f"{path[:80]!r} promises {count} elements, for which there is no room")
        if count * fields > ARRAY_ENTRIES:
            raise TooLarge(f"{path[:80]!r} has more than {ARRAY_ENTRIES} elements")
        return range(count)

    def _parse_struct(self, path: str, shape: tuple[int, ...], end: int, depth: int) -> None:
        _, raw = self._read_element(8, "the length of names of fields")
        if len(raw) != 4:
            raise Damaged(f"the length of names of fields has {len(raw)} bytes")
        (width,) = struct.unpack(self._order + "i", raw)
        _, names = self._read_element(FIELD_BYTES * 4096, "the names of fields")
        if not 0 < width <= FIELD_BYTES or len(names) % width:
            if names:
                raise Damaged(f"names of fields of {width} bytes do not fill {len(names)}")
            width = 1
        fields = [
            names[at : at + width].split(b"\0")[0].decode("utf-8", "replace") for at in range(0, len(names), width)
        ]
        several = math.prod(shape) != 1
        rows = self._count(path, shape, len(fields), end) if fields else ()
        paths = [f"{path}/{row}/{name}" if several else f"{path}/{name}" for row in rows for name in fields]
        if not paths:
            self._add_other(path, "an empty struct")
        self._parse_children(paths, depth)

    def _parse_children(self, paths: list[str], depth: int) -> None:
        for path in paths:
            kind, length, small = self._read_tag()
            if kind != MATRIX or small is not None:
                raise Damaged(f"{path[:80]!r} is an element of type {kind}, no array")
            self._parse_array(path, length, depth + 1)

    def _add_other(self, path: str, what: str) -> None:
        self._inventory.add(path, what)


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def load_numbers(file: RawFile, numbers: Numbers) -> np.ndarray:
    """All numbers of an array in a compressed variable, flat, in the order of the file.

    Raises
    ------
    Cut, zlib.error
    """
    assert numbers.packed is not None
    stream = PackedStream(file, *numbers.packed)
    stream.skip(numbers.start)
    raw = stream.read(numbers.nbytes)
    return np.frombuffer(raw, numbers.stored).astype(numbers.dtype, copy=False)
