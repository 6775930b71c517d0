"""The directory of a CZI, checked before the library follows it.

A segment: 16 bytes of name, bytes allocated, bytes used. The directory: the number of entries, 124 bytes, the entries,
each of 32 bytes and 20 for each of its dimensions. The library makes a format string of the number of dimensions, which
a damaged file can say to be two thousand million.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ...model import budget
from ...model.finding import Problem, problem
from ..microscopes.library import HeaderFile

SEGMENT = struct.Struct("<16sqq")
SUBBLOCK = struct.Struct("<16sqqiiq")
"""A segment of pixels: its own head, then the lengths of its XML, its attachments and its pixels."""
_PLACES = struct.Struct("<iqqiq")
_PLACES_AT = 80
_ENTRY = struct.Struct("<2siqiiBB4si")
_DIMENSION_BYTES = 20
_MOST_DIMENSIONS = 40


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a file lie; 0 for one that it has not got."""

    part: int
    directory: int
    metadata: int
    attachments: int


def read_places(file: HeaderFile) -> Places:
    """The file's own header, and whether what it names is there.

    Raises
    ------
    Problem
        ``microscope.truncated``, ``microscope.damaged``.
    """
    head = file.read_at(_PLACES_AT, _PLACES.size)
    if len(head) < _PLACES.size:
        raise problem("microscope.truncated", f"{file.key} ends within its header", file=file.key)
    part, directory, metadata, _pending, attachments = _PLACES.unpack(head)
    for at in (directory, metadata, attachments):
        if at > file.file_size:
            message = f"{file.key}: a part of it begins at byte {at}, but it has {file.file_size}: it was cut"
            raise problem("microscope.truncated", message, file=file.key)
    if not _is_segment(file, directory, b"ZISRAWDIRECTORY"):
        raise _make_damaged_problem(file, "the directory of its pixels is not where its header says")
    has_metadata = _is_segment(file, metadata, b"ZISRAWMETADATA")
    has_attachments = _is_segment(file, attachments, b"ZISRAWATTDIR")
    return Places(part, directory, metadata if has_metadata else 0, attachments if has_attachments else 0)


def _is_segment(file: HeaderFile, at: int, name: bytes) -> bool:
    return at > 0 and file.read_at(at, 16).rstrip(b"\0") == name


def check_directory(file: HeaderFile, at: int) -> None:
    """Whether all entries of the directory lie within it.

    Raises
    ------
    Problem
        ``microscope.truncated``, ``microscope.damaged``, ``image.hostile``.
    """
    _, allocated, used = SEGMENT.unpack(file.read_at(at, SEGMENT.size).ljust(SEGMENT.size, b"\0"))
    size = used or allocated
    if size < 128 or at + SEGMENT.size + size > file.file_size:
        message = f"{file.key}: its directory of {size} bytes at byte {at} does not fit in {file.file_size}"
        raise problem("microscope.truncated", message, file=file.key)
    data = file.read_at(at + SEGMENT.size, size)
    (count,) = struct.unpack_from("<i", data)
    if count > budget.MOSAIC_TILES:
        message = f"{file.key}: its directory has {count} entries, more than {budget.MOSAIC_TILES}"
        raise problem("image.hostile", message, file=file.key)
    if count < 1:
        raise _make_damaged_problem(file, "its directory has no entry")
    here = 128
    for number in range(count):
        if here + _ENTRY.size > size:
            raise _make_damaged_problem(file, f"its directory ends at entry {number + 1} of {count}")
        schema, *_, dimensions = _ENTRY.unpack_from(data, here)
        here += _ENTRY.size + _DIMENSION_BYTES * dimensions
        if schema != b"DV" or not 0 <= dimensions <= _MOST_DIMENSIONS or here > size:
            raise _make_damaged_problem(file, f"entry {number + 1} of its directory is none ({schema!r}, {dimensions})")


def _make_damaged_problem(file: HeaderFile, reason: str) -> Problem:
    return problem("microscope.damaged", f"{file.key}: {reason}", file=file.key)
