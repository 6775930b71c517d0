"""Behaviour tables, read line by line: series of columns with units, or one table of events or trials."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from ...model.content import Channel, Column, Content, DataTable, LazyArray, Series
from ...model.finding import Problem, problem
from ...model.source import Source
from . import FORMAT
from .columns import LENGTHS, SECONDS, Described, describe_header, find_delimiter, parse_columns, parse_ratio

MAX_BYTES = 256 * 2**20
MAX_LINE = 2**18
"""Characters of one line; 60 tracked points have some 4,000."""
MAX_COLUMNS = 4096
MAX_HEADER_ROWS = 4
NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
BLANK = {"", "na", "n/a", "nan"}
"""Cells without a value, in lower case."""
MAX_DIGITS = 18
"""Of a whole number that surely fits int64."""
AXES = re.compile(r"(?:(.*)[_ .])?([xyz])", re.IGNORECASE)
TEXT = np.dtypes.StringDType()


class Undeclared(Exception):
    """The file does not say what it holds, and nobody states it: what is missing, and what to add."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells below the header, by column: numbers of values, texts of all others."""

    names: Sequence[str]
    columns: Sequence[Described]
    cells: Sequence[list[str] | array[float]]
    lines: Sequence[int]

    def find(self, *roles: str) -> list[int]:
        """Numbers of the columns of these roles."""
        return [number for number, column in enumerate(self.columns) if column.role in roles]


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Series, or one table; of a file that nobody declared a plain content with ``undeclared`` in its header.

    Raises
    ------
    Problem
        ``behavior.damaged``: a cell or a line of a declared file is not what its column says.
    """
    if source.size() > MAX_BYTES:
        raise _make_problem(source.key, 1, f"the file has more than {MAX_BYTES} bytes")
    try:
        with source.open() as file:
            table = _read_table(source.key, io.TextIOWrapper(file, "utf-8-sig", newline=""), options)
            return _make_contents(source.key, table, options)
    except Undeclared as error:
        reason = str(error)
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text (byte {error.object[error.start]:#04x}); save it as CSV UTF-8"
    return (Content("", FORMAT.name, {}, {"undeclared": reason}, {}),)


def _read_table(key: str, file: io.TextIOWrapper, options: Mapping[str, Any]) -> Table:
    rows = _split_rows(key, file)
    try:
        names = next(csv.reader([options["header"]]), []) if "header" in options else next(rows, (1, []))[1]
        if names[:1] == ["scorer"]:
            names, columns = _describe_points(names, rows)
        else:
            columns = _describe_columns(key, names, options)
    except Problem as bad:
        # A line that cannot be split is damage only where the header says what the file is.
        raise Undeclared(bad.finding.message) from bad
    _check_roles(key, columns, options)
    return _parse_cells(key, rows, names, columns, options)


def _split_rows(key: str, file: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not blank."""

    def limit_lines(first: str) -> Iterator[str]:
        number, line = 1, first
        while line:
            if len(line) > MAX_LINE:
                raise _make_problem(key, number, f"more than {MAX_LINE} characters")
            yield line
            number, line = number + 1, file.readline(MAX_LINE + 1)

    first = file.readline(MAX_LINE + 1)
    reader = csv.reader(limit_lines(first), delimiter=find_delimiter(first), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise _make_problem(key, reader.line_num, str(error)) from error


def _describe_columns(key: str, names: Sequence[str], options: Mapping[str, Any]) -> list[Described]:
    """What each column is, by the header and the option ``columns``."""
    if len(names) > MAX_COLUMNS:
        raise Undeclared(f"it has {len(names)} columns; more than {MAX_COLUMNS} are not read")
    stated = parse_columns(options.get("columns", ""))
    if absent := sorted(set(stated) - {name.strip() for name in names}):
        raise Undeclared(f"the option columns names {absent[0][:80]!r}, which the header does not have")
    described = describe_header(names, stated)
    open_names = [name for name, column in zip(names, described, strict=True) if column is None and name.strip()]
    if open_names:
        listed = ", ".join(repr(name[:40]) for name in open_names[:5]) + (", ..." if len(open_names) > 5 else "")
        entry = "; ".join(f"{name[:40]} = UNIT" for name in open_names[:5])
        raise Undeclared(f"its columns {listed} name no unit; add {_show_option(key, 'columns', entry)}")
    # A delimiter at the end of each line makes a column without a name; `_parse_cells` sees that it is blank.
    columns = [column or Described("", "", "ignore") for column in described]
    kept = [column.name for column in columns if column.role != "ignore"]
    if twice := sorted({name for name in kept if kept.count(name) > 1}):
        raise Undeclared(f"two of its columns are called {twice[0]!r}; rename one, or state that it is = ignore")
    return columns


def _describe_points(first: list[str], rows: Iterator[tuple[int, list[str]]]) -> tuple[list[str], list[Described]]:
    """Columns of DeepLabCut: scorer, perhaps individuals, bodyparts and coords, each a row."""
    head = {"scorer": first}
    while "coords" not in head:
        _, row = next(rows, (0, [""]))
        if row[0] not in ("individuals", "bodyparts", "coords") or len(row) != len(first):
            raise Undeclared("it begins as DeepLabCut's, but has no rows bodyparts and coords of the same length")
        head[row[0]] = row
    head.pop("scorer")
    names = ["_".join(parts) for parts in zip(*head.values(), strict=True)]
    columns = [Described("frame", "", "frame")]
    for name, coordinate in zip(names[1:], head["coords"][1:], strict=True):
        if coordinate not in ("x", "y", "z", "likelihood"):
            raise Undeclared(f"DeepLabCut's coords has {coordinate[:40]!r}: labels of images, which have no times")
        columns.append(Described(name, "1" if coordinate == "likelihood" else "pixels"))
    return names, columns


def _check_roles(key: str, columns: Sequence[Described], options: Mapping[str, Any]) -> None:
    """Raises `Undeclared` where rows have no time, or more than one."""
    axes = [column for column in columns if column.is_time]
    stops = [column for column in columns if column.role == "stop"]
    if len(axes) > 1 or len(stops) > 1:
        raise Undeclared(f"it has {len(axes)} columns of times ({', '.join(c.name for c in axes)}); state = ignore for others")
    if [c.role for c in axes].count("start") != len(stops):
        raise Undeclared("trials need a column of starts and one of stops")
    if (not axes or axes[0].role == "frame") and "frame_rate" not in options:
        what = "its frames have no times" if axes else "no column is its time"
        raise Undeclared(f"{what}; add {_show_option(key, 'frame_rate', '30')} with the true rate")
    if not axes and any(column.role == "text" for column in columns):
        raise Undeclared("texts need a column of times")


def _show_option(key: str, name: str, value: str) -> str:
    """What to type into ``neuropress.toml``."""
    return f"[options.{json.dumps(key)}] {name} = {json.dumps(value, ensure_ascii=False)}"


def _parse_cells(
    key: str, rows: Iterator[tuple[int, list[str]]], names: Sequence[str], columns: Sequence[Described],
    options: Mapping[str, Any],
) -> Table:  # fmt: skip
    cells: list[Any] = [array("d") if column.role == "value" else [] for column in columns]
    lines: list[int] = []
    comma = options.get("decimal") == ","
    for line, row in rows:
        if len(row) != len(columns):
            raise _make_problem(key, line, f"{len(row)} cells under {len(columns)} columns")
        lines.append(line)
        for name, column, cell, kept in zip(names, columns, row, cells, strict=True):
            text = cell.strip()
            if column.role in ("text", "ignore"):
                if not name and text:
                    raise Undeclared(f"a column without a name has {text[:40]!r} in line {line}")
                kept.append(cell)
                continue
            number = text.replace(",", ".") if comma else text
            is_blank = column.role == "value" and number.lower() in BLANK
            if not is_blank and not (NUMBER.fullmatch(number) and math.isfinite(float(number))):
                advice = '; state decimal = "," if commas are meant' if "," in text else ""
                raise _make_problem(key, line, f"{cell[:80]!r} is no number{advice}", name, cell)
            kept.append(number if column.role != "value" else math.nan if is_blank else float(number))
    if not lines:
        raise Undeclared("it has no rows below its header")
    return Table(names, columns, cells, lines)


def _make_contents(key: str, table: Table, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One table of events or trials, or a series for each place and each other column."""
    axes = table.find("time", "start", "stop", "frame")
    times, tick = _measure_times(table, axes, options)
    head = {"clock": tick, "clock_offset": options.get("clock_offset", "0")}
    facts = {"rows": str(len(table.lines))}
    _check_order(key, table, axes, times)
    if table.find("text", "stop") or not table.find("value"):
        arrays, columns = {}, []
        for number in [n for n in range(len(table.columns)) if table.columns[n].role != "ignore"]:
            column = table.columns[number]
            name = column.role if number in axes else column.name
            data = times[axes.index(number)] if number in axes else np.array(table.cells[number])
            arrays[name] = _make_array(name, data if data.dtype.kind != "U" else data.astype(TEXT), ("row",))
            columns.append(Column(table.names[number], name, column.unit))
        name = "trials" if "stop" in arrays else "events"
        return (DataTable(name, FORMAT.name, facts, head, arrays, columns=tuple(columns)),)
    return tuple(_make_series(table, group, times[0], head, facts) for group in _group_places(table).items())


def _measure_times(table: Table, axes: Sequence[int], options: Mapping[str, Any]) -> tuple[list[np.ndarray], str]:
    """Arrays of whole ticks and the exact seconds of a tick; floats where int64 cannot hold the digits."""
    role = table.columns[axes[0]].role if axes else "frame"
    unit = 1 / parse_ratio(options["frame_rate"]) if role == "frame" else None
    if not axes:
        return [np.arange(len(table.lines), dtype="<i8")], str(unit)
    units = {SECONDS[table.columns[n].unit] for n in axes} if unit is None else {str(unit)}
    if len(units) > 1:
        raise Undeclared("its starts and stops have different units")
    exact = [[Decimal(text) for text in table.cells[number]] for number in axes]  # type: ignore[arg-type]
    every = [number for column in exact for number in column]
    places = max(0, *(-int(number.as_tuple().exponent) for number in every))
    scale = Fraction(units.pop())
    if max(number.adjusted() for number in every) + places >= MAX_DIGITS:
        return [np.array(column, "<f8") for column in exact], str(scale)
    return [np.array([int(n.scaleb(places)) for n in column], "<i8") for column in exact], str(scale / 10**places)


def _check_order(key: str, table: Table, axes: Sequence[int], times: Sequence[np.ndarray]) -> None:
    """Times must not go back, and nothing stops before it starts. Raises `Problem`."""
    if len(axes) == 2:
        first, second = (times[axes.index(table.find(role)[0])] for role in ("start", "stop"))
        wrong = np.flatnonzero(second < first)
        number, what = table.find("stop")[0], "is before its start"
    else:
        wrong = np.flatnonzero(np.diff(times[0]) < 0) + 1
        number, what = (axes[0] if axes else 0), "is before the time of the row above"
    if wrong.size:
        at = int(wrong[0])
        cell = str(table.cells[number][at])
        raise _make_problem(key, table.lines[at], f"{cell[:80]!r} {what}", table.names[number], cell)


def _group_places(table: Table) -> dict[str, list[int]]:
    """Columns of each series, by its name: x, y and z of one point, in one unit of length, together."""
    groups: dict[str, list[int]] = {}
    for number in table.find("value"):
        column = table.columns[number]
        axis = AXES.fullmatch(column.name) if column.unit in LENGTHS.values() else None
        groups.setdefault((axis[1] or "position") if axis else column.name, []).append(number)
    for name, numbers in groups.items():
        if len({table.columns[number].unit for number in numbers}) > 1:
            raise Undeclared(f"the columns of {name!r} have different units")
    return groups


def _make_series(
    table: Table, group: tuple[str, list[int]], times: np.ndarray, head: Mapping[str, Any], facts: Mapping[str, str]
) -> Series:
    """A series with a rate where its times are evenly spaced, else with times."""
    name, numbers = group
    data = np.column_stack([np.array(table.cells[number], "<f8") for number in numbers])
    data = data if len(numbers) > 1 else data[:, 0]
    arrays = {"data": _make_array("data", data, ("sample", "q")[: data.ndim])}
    channels = tuple(
        Channel(place, table.columns[n].name, table.columns[n].unit, Decimal(1), Decimal(0), data.dtype)
        for place, n in enumerate(numbers)
    )
    is_place = table.columns[numbers[0]].name != name
    header = {**head, "columns": [table.names[number] for number in numbers], "is_place": is_place}
    steps = np.unique(np.diff(times))
    if times.dtype.kind == "i" and len(times) > 2 and len(steps) == 1 and steps[0] > 0:
        step = int(steps[0]) * Fraction(head["clock"])
        header["start"] = str(int(times[0]) * Fraction(head["clock"]) + parse_ratio(head["clock_offset"]))
        rate = Decimal(step.denominator) / Decimal(step.numerator)
        return Series(name, FORMAT.name, facts, header, arrays, array="data", rate=rate, channels=channels)
    arrays["time"] = _make_array("time", times, ("sample",))
    return Series(
        name, FORMAT.name, facts, header, arrays, array="data", timestamps="time", scale=head["clock"], channels=channels
    )


def _make_array(name: str, data: np.ndarray, axes: tuple[str, ...]) -> LazyArray:
    return LazyArray(name, data.shape, data.dtype, axes, data.__getitem__, data.shape)


def _make_problem(key: str, line: int, message: str, column: str = "", cell: str = "") -> Problem:
    place = f"{key} line {line}" + (f", column {column[:80]!r}" if column else "")
    where = {"value": cell[:80]} if cell else {}
    return problem("behavior.damaged", f"{place}: {message}", file=key, line=line, **where)
