"""The records of a packed experiment, and the data folder in which each stands."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ...model.budget import ARRAY_DEPTH, ARRAY_ENTRIES
from ...model.source import RawFile
from . import HEADER_BYTES, SUPERSEDED

VARIABLES, HISTORY, WAVE, FOLDER_START, FOLDER_END = 1, 2, 3, 9, 10
FOLDER_NAME = 1024
"""Bytes of a folder's name; Igor 8 allows 255, earlier ones 31."""
MOST_RECORDS = 4 * ARRAY_ENTRIES


class Damaged(ValueError):
    """The records contradict each other, or do not fit into the file."""


class TooLarge(ValueError):
    """More than is read."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record that nothing supersedes: its type, the path of its folder ("" or "a/b/"), and where its bytes lie."""

    kind: int
    folder: str
    start: int
    end: int


def walk_records(file: RawFile, size: int, order: str) -> Iterator[Record]:
    """Variables, history and waves in the order of the file.

    Raises
    ------
    Damaged, TooLarge
    """
    folders: list[str] = []
    position = 0
    for _ in range(MOST_RECORDS):
        if position == size:
            break
        file.seek(position)
        head = file.read(HEADER_BYTES)
        if len(head) < HEADER_BYTES:
            raise Damaged(f"{size - position} bytes are left at its end, no whole record")
        kind, _version, length = struct.unpack(f"{order}Hhi", head)
        start = position + HEADER_BYTES
        position = start + length
        if length < 0 or position > size:
            raise Damaged(f"its record at byte {start - HEADER_BYTES} promises {length} bytes, {size - start} are left")
        if kind == FOLDER_START:
            folders.append(_read_folder_name(file, length))
            if len(folders) > ARRAY_DEPTH:
                raise TooLarge(f"its folders are nested deeper than {ARRAY_DEPTH} levels")
        elif kind == FOLDER_END:
            if not folders:
                raise Damaged(f"its record at byte {start - HEADER_BYTES} ends a folder that never began")
            folders.pop()
        elif not kind & SUPERSEDED and kind in (VARIABLES, HISTORY, WAVE):
            yield Record(kind, "".join(f"{name}/" for name in folders), start, position)
    else:
        raise TooLarge(f"it has more than {MOST_RECORDS} records")
    if folders:
        raise Damaged(f"it ends within the folder {'/'.join(folders)[:80]!r}")


def _read_folder_name(file: RawFile, length: int) -> str:
    """Behind the name and its NUL stands whatever was in Igor's memory."""
    name = file.read(min(length, FOLDER_NAME)).split(b"\0")[0].decode("utf-8", "backslashreplace")
    if not name or not name.isprintable():
        raise Damaged(f"a folder is called {name[:40]!r}")
    return name
