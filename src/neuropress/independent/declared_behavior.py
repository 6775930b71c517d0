"""Behaviour in files of named arrays as another library reads them, by the columns that a person declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .reading import CannotRead, SecondArrays, make_frame_times

_ENTRY = re.compile(r"\s*(?P<path>.+?)\s*(?:\[(?P<axes>[t0-9, ]+)\])?\s*=\s*(?P<meaning>[^=]*)")
MOST_COORDINATES = 3
_ROLES = ("time", "start", "stop")
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}
_AXIS = re.compile(r"(?:(?P<stem>.*)[_ .])?[xyz]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Column:
    """(row,) or (row, coordinate) of an array, and what a person says that it is."""

    path: str
    data: np.ndarray
    words: tuple[str, ...]

    @property
    def role(self) -> str:
        return self.words[0] if self.words[0] in _ROLES else "value"


def read_behavior(load: Callable[[str], np.ndarray], options: Mapping[str, Any], content: str) -> SecondArrays:
    """The series of this name, or the table of events or trials."""
    columns = [_read_column(entry, load) for entry in str(options["columns"]).split(";") if entry.strip()]
    values = [column for column in columns if column.role == "value"]
    offset = float(Fraction(str(options.get("clock_offset", "0"))))
    times = {one.role: one.data * _SECONDS[one.words[1]] + offset for one in columns if one.role != "value"}
    if "clock" in options:
        times = {}
    if "stop" in {column.role for column in columns} or not values:
        return SecondArrays(times | {column.path: column.data for column in values})
    chosen = [column for column in values if column.path == content] or [
        column
        for column in values
        if (match := _AXIS.fullmatch(column.path)) and (match["stem"] or "position") == content
    ]
    if not chosen:
        raise CannotRead(f"which arrays {content[:80]!r} is made of does not follow from their names alone")
    data = np.column_stack([column.data for column in chosen]) if len(chosen) > 1 else chosen[0].data
    rows = next(iter(times.values()), None)
    return SecondArrays({"data": data}, make_frame_times(np.arange(len(data)), options) if rows is None else rows)


def _read_column(entry: str, load: Callable[[str], np.ndarray]) -> _Column:
    match = _ENTRY.fullmatch(entry)
    if not match:
        raise CannotRead(f"the entry {entry[:80]!r} is not understood")
    array = load(match["path"])
    if match["axes"]:
        places = [part.strip() for part in match["axes"].split(",")]
        array = array[tuple(slice(None) if place == "t" else int(place) for place in places)]
    array = np.squeeze(array)
    if array.ndim == 2 and len(array) <= MOST_COORDINATES:  # side by side in rows, which are few
        array = array.T
    return _Column(match["path"], array, tuple(match["meaning"].split()))
