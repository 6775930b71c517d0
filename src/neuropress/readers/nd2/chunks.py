"""The chunks of an ND2: where the map at its end says they lie, checked before a library follows it.

A chunk: 4 bytes of signature, 4 bytes of length of the name, 8 bytes of length of the data, name, data. The map: each
chunk's name up to ``!``, its offset and its length; the last 40 bytes of the file say where the map is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ...model import budget
from ...model.finding import Problem, problem
from ..microscopes.library import HeaderFile
from . import SIGNATURE

FRAME = b"ImageDataSeq|"
_HEADER = struct.Struct("<4sIQ")
_ENTRY = struct.Struct("<QQ")
_MAP_NAME = b"ND2 FILEMAP SIGNATURE NAME 0001!"
_MAP_END = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_MOST_NAME = 4096
_PACKED = 76
"""A header in the binary form that is deflated: this type, a byte, 10 bytes, the stream."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk by the map: its offset, and the offset and length of its data by its own header."""

    at: int
    start: int
    length: int


def read_chunk_map(file: HeaderFile) -> dict[bytes, int]:
    """Name -> offset of every chunk.

    Raises
    ------
    Problem
        ``microscope.truncated`` where the end of the file is no map, ``microscope.damaged``, ``image.hostile``.
    """
    size = file.file_size
    tail = file.read_at(max(size - 40, 0), 40)
    if len(tail) < 40 or not tail.startswith(_MAP_END):
        message = f"{file.key} does not end with the map of its parts: it was cut, or is still being written"
        raise problem("microscope.truncated", message, file=file.key)
    (at,) = struct.unpack_from("<Q", tail, 32)
    place = read_chunk_header(file, at, _MAP_NAME)
    data = file.read_at(place.start, min(place.length, size))
    offsets: dict[bytes, int] = {}
    here = 0
    while True:
        end = data.find(b"!", here, here + _MOST_NAME) + 1
        if not end:
            raise _make_damaged_problem(file.key, "the map of its parts has no end")
        name = data[here:end]
        if name == _MAP_END:
            return offsets
        if end + _ENTRY.size > len(data):
            raise _make_damaged_problem(file.key, "the map of its parts is cut")
        offset, _length = _ENTRY.unpack_from(data, end)
        if offset >= size:
            message = f"{file.key}: its part {name[:60]!r} begins at byte {offset}, but it has {size}"
            raise problem("microscope.truncated", message, file=file.key)
        if name in offsets and name.startswith(FRAME) and offsets[name] != offset:
            raise _make_damaged_problem(file.key, f"the map of its parts has {name[:60]!r} twice")
        offsets[name] = offset
        here = end + _ENTRY.size
        if len(offsets) > budget.CHUNK_NAMES:
            message = f"{file.key}: its map names more than {budget.CHUNK_NAMES} parts"
            raise problem("image.hostile", message, file=file.key)


def read_chunk_header(file: HeaderFile, at: int, name: bytes) -> Chunk:
    """What a chunk's own header says, if it is the one of this name and ends within the file."""
    head = file.read_at(at, _HEADER.size + len(name)) if at < file.file_size else b""
    return parse_chunk_header(head, at, name, file.file_size, file.key)


def parse_chunk_header(head: bytes, at: int, name: bytes, size: int, key: str) -> Chunk:
    """The same of bytes that were read."""
    if len(head) < _HEADER.size + len(name):
        raise _make_damaged_problem(key, f"its part {name[:60]!r} is not at byte {at}, where the map says")
    signature, name_length, length = _HEADER.unpack_from(head)
    if signature != SIGNATURE or head[_HEADER.size :] != name or name_length < len(name):
        raise _make_damaged_problem(key, f"its part {name[:60]!r} is not at byte {at}, where the map says")
    start = at + _HEADER.size + name_length
    if start + length > size:
        message = f"{key}: its part {name[:60]!r} ends at byte {start + length}, but it has {size}"
        raise problem("microscope.truncated", message, file=key)
    return Chunk(at, start, length)


def is_header(name: bytes) -> bool:
    """Whether a chunk has metadata of the images, which the library decodes as a whole."""
    return name.startswith(b"Image") and not name.startswith(FRAME)


def check_headers(file: HeaderFile, offsets: Mapping[bytes, int]) -> None:
    """Whether what the library will parse as a header is of a size that headers have, unpacked too.

    Raises
    ------
    Problem
        ``image.hostile``, and as `read_chunk_header` does.
    """
    for name, at in offsets.items():
        if not is_header(name):
            continue
        place = read_chunk_header(file, at, name)
        if place.length > budget.HEADER_TEXT:
            raise _make_hostile_problem(file.key, name, f"has {place.length} bytes")
        data = file.read_at(place.start, place.length)
        if data[:1] == bytes([_PACKED]):
            _check_unpacked(file.key, name, data[12:])
        elif b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise _make_hostile_problem(file.key, name, "declares entities")


def _check_unpacked(key: str, name: bytes, packed: bytes) -> None:
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(packed, budget.HEADER_TEXT)
    except zlib.error as error:
        raise _make_damaged_problem(key, f"its part {name[:60]!r} cannot be unpacked ({error})") from error
    if unpacker.unconsumed_tail:
        raise _make_hostile_problem(key, name, f"unpacks to more than {budget.HEADER_TEXT} bytes")


def _make_damaged_problem(key: str, reason: str) -> Problem:
    return problem("microscope.damaged", f"{key}: {reason}", file=key)


def _make_hostile_problem(key: str, name: bytes, reason: str) -> Problem:
    return problem("image.hostile", f"{key}: its header {name[:60]!r} {reason}", file=key)
