"""Behaviour tables by pandas: series, events, trials, and DeepLabCut's points.

What a column is follows from its name and the options, which are read here once more, by other code than the reader's.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .pandas_text import PRECISION
from .reading import CannotRead, SecondArrays, clean_name, make_frame_times

SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}
TIMES = {"time": ("time", "t", "timestamp", "timestamps"), "start": ("start", "start_time", "onset"),
         "stop": ("stop", "stop_time", "end", "end_time")}  # fmt: skip
FRAMES = ("frame", "frames", "frame_number", "frame_index")
MISSING = ["", "NA", "N/A", "n/a", "na", "nan", "NaN", "NAN", "Nan", "Na", "nA"]
MOST_PARTS = 3
"""Parts behind ``_`` that a unit may have (``cm_per_s``)."""
AXIS = re.compile(r"(?:[_ .])?([xyz])", re.IGNORECASE)
BRACKETS = re.compile(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column: what it may be called, each with the unit that is then left, and what a person stated of it."""

    name: str
    names: tuple[tuple[str, str], ...]
    stated: tuple[str, ...]

    def find_unit_of_time(self, role: str) -> str:
        """The unit of times of a role; "" where it is another column."""
        if self.stated:
            return self.stated[1] if self.stated[0] == role and len(self.stated) == 2 else ""
        return next((unit for base, unit in self.names if base.lower() in TIMES[role] and unit in SECONDS), "")

    @property
    def is_frame(self) -> bool:
        """Whether it numbers the rows."""
        return self.stated == ("frame",) or (not self.stated and self.name.lower() in FRAMES)

    @property
    def is_text(self) -> bool:
        """Whether a person says that its cells are texts."""
        return self.stated == ("text",)


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    warnings.simplefilter("ignore")
    if "clock" in options:
        raise CannotRead("times by the clock of another file are not compared")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    delimiter = max("\t;,", key=first.count)
    if first.startswith("scorer") and "header" not in options:
        return _read_points(path, content, delimiter, options)
    columns = _describe_columns(path, delimiter, options)
    return _Rows(path, delimiter, columns, options).read_content(content)


def _describe_columns(path: Path, delimiter: str, options: Mapping[str, Any]) -> list[_Column]:
    if "header" in options:
        names = [name.strip() for name in str(options["header"]).split(",")]
    else:
        head = pd.read_csv(path, sep=delimiter, header=None, nrows=1, dtype=str, keep_default_na=False,
                           encoding="utf-8-sig")  # fmt: skip
        names = [str(name).strip() for name in head.iloc[0]]
    entries = [entry.rpartition("=") for entry in str(options.get("columns", "")).split(";") if entry.strip()]
    stated = {name.strip(): tuple(meaning.split()) for name, _, meaning in entries}
    return [_Column(name, tuple(_list_names(name)), stated.get(name, ())) for name in names]


def _list_names(name: str) -> Iterator[tuple[str, str]]:
    """A name without what may be its unit, and the unit; the whole name last."""
    if match := BRACKETS.fullmatch(name):
        yield match[1], match[2].strip()
    parts = name.split("_")
    for count in range(min(MOST_PARTS, len(parts) - 1), 0, -1):
        yield "_".join(parts[:-count]), "_".join(parts[-count:])
    yield name, ""


class _Rows:
    """The rows below the header."""

    def __init__(self, path: Path, delimiter: str, columns: Sequence[_Column], options: Mapping[str, Any]) -> None:
        self._path, self._delimiter, self._columns, self._options = path, delimiter, columns, options
        self._offset = float(Fraction(str(options.get("clock_offset", "0"))))

    def read_content(self, content: str) -> SecondArrays:
        """Events or trials, or the series of this name."""
        is_table = any(column.is_text or column.find_unit_of_time("stop") for column in self._columns)
        values = [column for column in self._columns if not self._is_axis(column) and column.stated != ("ignore",)]
        values = [column for column in values if column.name]
        if is_table or not values:
            return SecondArrays(self._read_times() | {one.name: self._read_column(one) for one in values})
        chosen = _choose_columns(values, content)
        parts = [self._read_column(column) for column in chosen]
        times = next(iter(self._read_times().values()), None)
        if times is None:
            times = np.arange(len(parts[0])) / self._get_frame_rate() + self._offset
        return SecondArrays({"data": np.column_stack(parts) if len(parts) > 1 else parts[0]}, times)

    def _has_times(self) -> bool:
        return any(column.find_unit_of_time(role) for column in self._columns for role in ("time", "start"))

    def _is_axis(self, column: _Column) -> bool:
        is_time = any(column.find_unit_of_time(role) for role in TIMES)
        return is_time or (column.is_frame and not self._has_times())

    def _get_frame_rate(self) -> float:
        return float(Fraction(str(self._options["frame_rate"])))

    def _read_times(self) -> dict[str, np.ndarray]:
        """Seconds of each column of times, by its role."""
        times: dict[str, np.ndarray] = {}
        for column in self._columns:
            for role in TIMES:
                if unit := column.find_unit_of_time(role):
                    times[role] = self._read_numbers(column) * SECONDS[unit] + self._offset
            if column.is_frame and not self._has_times():
                times["frame"] = self._read_numbers(column) / self._get_frame_rate() + self._offset
        return times

    def _read_column(self, column: _Column) -> np.ndarray:
        if not column.is_text:
            return self._read_numbers(column)
        cells = self._read_csv(column, dtype=str, keep_default_na=False, na_filter=False)
        return np.asarray(cells, object)

    def _read_numbers(self, column: _Column) -> np.ndarray:
        numbers = self._read_csv(column, dtype=np.float64, na_values=MISSING, **PRECISION)
        return np.asarray(numbers, np.float64)

    def _read_csv(self, column: _Column, **options: Any) -> pd.Series:
        place = self._columns.index(column)
        table = pd.read_csv(
            self._path, sep=self._delimiter, header=None, skiprows=0 if "header" in self._options else 1,
            usecols=[place], encoding="utf-8-sig", decimal="," if self._options.get("decimal") == "comma" else ".",
            **options,
        )  # fmt: skip
        return table.iloc[:, 0]


def _choose_columns(columns: Sequence[_Column], content: str) -> list[_Column]:
    """The columns of a series: one of this name, or the coordinates of a point of this name, in the file's order."""
    stem = "" if content == "position" else content
    alone = [column for column in columns if any(clean_name(base) == content for base, _ in column.names)]
    places = [column for column in columns if _find_axis(column, stem)]
    if len(alone) == 1:
        return alone
    axes = [_find_axis(column, stem) for column in places]
    if not places or len(set(axes)) != len(axes):
        raise CannotRead(f"which columns {content[:80]!r} is made of does not follow from their names alone")
    return places


def _find_axis(column: _Column, stem: str) -> str:
    """x, y or z of a point; "" of another column."""
    for base, _ in column.names:
        name = clean_name(base)
        match = AXIS.fullmatch(name.removeprefix(stem)) if name.startswith(stem) else None
        if match and (not stem or len(match[0]) > 1):
            return match[1].lower()
    return ""


def _read_points(path: Path, content: str, delimiter: str, options: Mapping[str, Any]) -> SecondArrays:
    """A point of DeepLabCut, whose header has three rows, or four with individuals."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        heads = [file.readline().split(delimiter)[0] for _ in range(4)]
    levels = heads.index("coords") + 1
    table = pd.read_csv(path, sep=delimiter, header=list(range(levels)), index_col=0, **PRECISION)
    found = {
        column[-1]: table[column].to_numpy(np.float64)
        for column in table.columns
        if clean_name("_".join(column[1:-1])) == content
    }
    if not found:
        raise CannotRead(f"pandas finds no point {content[:80]!r}")
    arrays = {"data": np.column_stack([found[axis] for axis in "xyz" if axis in found])}
    if "likelihood" in found:
        arrays["confidence"] = found["likelihood"]
    return SecondArrays(arrays, make_frame_times(table.index.to_numpy(np.float64), options))
