"""Behaviour tables: series of columns with units, or one table of events or trials.

A text has no index, so its cells are read at once and stay in memory.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np

from ...model.content import Channel, Column, Content, DataTable, LazyArray, Series
from ...model.finding import Problem
from ...model.source import Source
from ..pose.points import (
    Undeclared,
    ask_for_options,
    find_rate,
    find_stem,
    make_undeclared,
    name_point,
    name_video,
)
from . import FORMAT
from .cells import NUMBER, Table, Times, make_problem, parse_rows, scale_times, split_rows
from .columns import AXES, LENGTHS, SECONDS, Described, describe_header, parse_columns, parse_ratio

MAX_BYTES = 256 * 2**20
MAX_COLUMNS = 4096
COORDINATES = ("x", "y", "z", "likelihood")
"""Of a point of DeepLabCut."""
SHOWN = 12
"""Columns that a message lists."""
LEFT_OUT = ("ignore", "blank")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Series, or one table; of a file that nobody declared a plain content with ``undeclared`` in its header.

    Raises
    ------
    Problem
        ``behavior.damaged``: a cell or a line of a declared file is not what its column says.
    """
    key = source.key
    try:
        if source.size() > MAX_BYTES:
            raise Undeclared(f"the file has more than {MAX_BYTES} bytes")
        with source.open() as file:
            text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
            return _make_contents(key, _read_table(key, text, options), options)
    except Undeclared as error:
        return make_undeclared(FORMAT.name, error)


def _read_table(key: str, file: io.TextIOWrapper, options: Mapping[str, Any]) -> Table:
    rows = split_rows(key, file)
    points: dict[str, Mapping[str, str]] = {}
    try:
        names = next(csv.reader([options["header"]]), []) if "header" in options else next(rows, (1, []))[1]
        if names[:1] == ["scorer"]:
            names, columns, points = _describe_points(key, names, rows, options)
        else:
            names = _name_all(names)
            columns = _describe_columns(key, names, options)
    except Problem as bad:
        # A line that cannot be split is damage only where the header says what the file is.
        raise Undeclared(bad.finding.message) from bad
    first = next(rows, None)
    if first is None:
        raise Undeclared("it has no rows below its header")
    columns = _assign_times(key, names, columns, first[1], options)
    table = parse_rows(key, chain([first], rows), names, columns, options.get("decimal") == "comma")
    return replace(table, points=points)


def _name_all(names: Sequence[str]) -> list[str]:
    """Names of the columns, by their numbers where they have none, as the index that pandas writes.

    The last one may be the delimiter at the end of each line.
    """
    last = len(names) - 1
    return [name if name.strip() or at == last else f"column{at + 1}" for at, name in enumerate(names)]


def _describe_columns(key: str, names: Sequence[str], options: Mapping[str, Any]) -> list[Described]:
    """What each column is, by the header and the option ``columns``."""
    if len(names) > MAX_COLUMNS:
        raise Undeclared(f"it has {len(names)} columns; more than {MAX_COLUMNS} are not read")
    if any(NUMBER.fullmatch(name.strip()) for name in names) and "header" not in options:
        likely = {"header": ",".join("NAME (UNIT)" if name.strip() else "" for name in names)}
        message = "its first line holds numbers, not names of columns"
        raise Undeclared(f"{message}; {ask_for_options(key, likely | _guess_rate(options))}")
    stated = _parse_stated(names, options)
    described = describe_header(names, stated)
    unknown = [name.strip() for name, column in zip(names, described, strict=True) if column is None]
    # A delimiter at the end of each line makes a column without a name, which may be left out.
    unknown = unknown[:-1] if unknown and not unknown[-1] and not names[-1].strip() else unknown
    if unknown:
        more = len(unknown) > SHOWN
        listed = ", ".join(repr(name[:80]) for name in unknown[:SHOWN]) + (", ..." if more else "")
        entry = "; ".join(f"{name[:80]} = UNIT" for name in unknown[:SHOWN]) + ("; ..." if more else "")
        has_time = any(column.is_time for column in described if column)
        likely = {"columns": entry} | ({} if has_time else _guess_rate(options))
        raise Undeclared(f"its columns {listed} name no unit; {ask_for_options(key, likely)}")
    return _clean_names([column or Described("", "", "blank") for column in described])


def _describe_points(
    key: str, first: list[str], rows: Iterator[tuple[int, list[str]]], options: Mapping[str, Any]
) -> tuple[list[str], list[Described], dict[str, Mapping[str, str]]]:
    """Columns of DeepLabCut: scorer, perhaps individuals, bodyparts and coords, each a row; and its points by name."""
    head = {"scorer": first}
    while "coords" not in head:
        _, row = next(rows, (0, [""]))
        if row[0] not in ("individuals", "bodyparts", "coords") or row[0] in head or len(row) != len(first):
            raise Undeclared("it begins as DeepLabCut's, but has no rows bodyparts and coords of the same length")
        head[row[0]] = row
    if wrong := set(head["coords"][1:]) - set(COORDINATES):
        raise Undeclared(f"DeepLabCut's row coords has {sorted(wrong)[0][:40]!r}, not only {', '.join(COORDINATES)}")
    parts = [head[name][1:] for name in ("individuals", "bodyparts", "coords") if name in head]
    names = ["frame", *("_".join(words) for words in zip(*parts, strict=True))]
    stated = _parse_stated(names, options)
    columns = [Described(name, "1" if name.endswith("likelihood") else LENGTHS["px"]) for name in names]
    columns[0] = Described("frame", "", "frame")
    points: dict[str, Mapping[str, str]] = {}
    for scorer, *individual, node in zip(first[1:], *parts[:-1], strict=True):
        pose = {"individual": "".join(individual), "node": node, "scorer": scorer, "software": "DeepLabCut"}
        pose |= {"definition": "likelihood, as DeepLabCut gives it", **name_video(options, find_stem(key, scorer))}
        points[name_point(pose["individual"], node)] = pose
    return names, _clean_names([stated.get(name, column) for name, column in zip(names, columns, strict=True)]), points


def _parse_stated(names: Sequence[str], options: Mapping[str, Any]) -> dict[str, Described]:
    stated = parse_columns(options.get("columns", ""))
    if absent := sorted(set(stated) - {name.strip() for name in names}):
        raise Undeclared(f"the option columns names {absent[0][:80]!r}, which the header does not have")
    return stated


def _clean_names(columns: Sequence[Described]) -> list[Described]:
    """The columns with names that NWB allows. Raises `Undeclared` where two become one."""
    cleaned = [replace(column, name=re.sub(r"[/:\\]", "_", column.name)) for column in columns]
    kept = Counter(column.name for column in cleaned if column.role not in LEFT_OUT)
    if twice := [name for name, count in kept.items() if count > 1]:
        raise Undeclared(f"two of its columns are called {twice[0]!r}; rename one, or state that it is = ignore")
    return cleaned


def _assign_times(
    key: str, names: Sequence[str], columns: list[Described], first: Sequence[str], options: Mapping[str, Any]
) -> list[Described]:
    """The columns, frames being mere numbers beside a time. Raises `Undeclared` where rows have no time, or two."""
    if any(column.role in ("time", "start") for column in columns):
        columns = [Described(c.name, "1") if c.role == "frame" else c for c in columns]
    axes = [column for column in columns if column.is_time]
    stops = [column for column in columns if column.role == "stop"]
    if len(axes) > 1 or len(stops) > 1:
        listed = ", ".join(name for name, column in zip(names, columns, strict=True) if column in axes + stops)
        raise Undeclared(f"several of its columns are times ({listed}); state that others are = ignore")
    if [column.role for column in axes].count("start") != len(stops):
        number = next(at for at, column in enumerate(columns) if column.role in ("start", "stop"))
        likely = {"columns": f"{names[number].strip()} = time {columns[number].unit}"}
        raise Undeclared(
            f"trials need a column of starts and one of stops; of other rows, {ask_for_options(key, likely)}"
        )
    if axes and axes[0].role in ("time", "start"):
        if "frame_rate" in options:
            raise Undeclared(f"frame_rate is stated, but its column {axes[0].name!r} has the times; leave one out")
        return columns
    frame = first[columns.index(axes[0])] if axes and len(first) == len(columns) else "0"
    if not NUMBER.fullmatch(frame.strip()):
        raise Undeclared(f"its frames are names ({frame[:80]!r}), as of images that somebody labelled: no times")
    if "frame_rate" not in options:
        what = "its frames have no times" if axes else "no column has its times"
        raise Undeclared(f"{what}; {ask_for_options(key, _guess_rate(options))}")
    if not axes and any(column.role == "text" for column in columns):
        raise Undeclared("texts need a column of times: state one in columns, = time ms")
    return columns


def _guess_rate(options: Mapping[str, Any]) -> dict[str, str]:
    return {} if "frame_rate" in options else {"frame_rate": "RATE"}


def _make_contents(key: str, table: Table, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One table of events or trials, or a series for each place and each other column."""
    axes = table.find("time", "start", "stop", "frame")
    times, step = _measure_times(table, axes, options)
    header = {"clock": step}
    facts = {"rows": str(len(table.lines))}
    if not table.find("text", "stop") and table.find("value"):
        _check_ascending(key, table, axes, times[0])
        groups = _group_places(table)
        made = (_make_series(table, name, numbers, times[0], header, facts) for name, numbers in groups.items())
        return _join_likelihoods({series.name: series for series in made}, table.points)
    if table.find("stop"):
        _check_stops(key, table, dict(zip(axes, times, strict=True)))
    arrays, columns = {}, []
    for number, column in enumerate(table.columns):
        if column.role not in LEFT_OUT:
            cells = table.cells[number]
            name = column.role if number in axes else table.names[number].strip()
            data = times[axes.index(number)] if isinstance(cells, Times) else table.make_array(number)
            arrays[name] = _make_array(name, data, ("row",))
            columns.append(Column(table.names[number], name, column.unit))
    name = "trials" if table.find("stop") else "events"
    return (DataTable(name, FORMAT.name, facts, header, arrays, columns=tuple(columns)),)


def _measure_times(table: Table, axes: Sequence[int], options: Mapping[str, Any]) -> tuple[list[np.ndarray], str]:
    """Arrays of times and the exact seconds of one step; rows without a time are as long as a frame."""
    if not axes or table.columns[axes[0]].role == "frame":
        unit = 1 / parse_ratio(options["frame_rate"])
        if not axes:
            return [np.arange(len(table.lines), dtype="<i8")], str(unit)
    else:
        units = {SECONDS[table.columns[number].unit] for number in axes}
        if len(units) > 1:
            raise Undeclared("its starts and its stops have different units")
        unit = Fraction(units.pop())
    return scale_times([cells for cells in table.cells if isinstance(cells, Times)], unit)


def _check_ascending(key: str, table: Table, axes: Sequence[int], times: np.ndarray) -> None:
    back = np.flatnonzero(times[1:] < times[:-1])
    if back.size:
        at = int(back[0]) + 1
        raise make_problem(key, table.lines[at], "the time is before that of the row above", table.names[axes[0]])


def _check_stops(key: str, table: Table, times: Mapping[int, np.ndarray]) -> None:
    (start,), (stop,) = table.find("start"), table.find("stop")
    early = np.flatnonzero(times[stop] < times[start])
    if early.size:
        raise make_problem(key, table.lines[int(early[0])], "the stop is before the start", table.names[stop])


def _group_places(table: Table) -> dict[str, list[int]]:
    """Columns of each series, by its name: x, y and z of one point, in one unit of length, together."""
    groups: dict[tuple[str, bool], list[int]] = {}
    for number in table.find("value"):
        column = table.columns[number]
        axis = AXES.fullmatch(column.name) if column.unit in LENGTHS.values() else None
        name = (axis[1] or "position") if axis else column.name
        groups.setdefault((name, axis is not None), []).append(number)
    named = {name: numbers for (name, _), numbers in groups.items()}
    if len(named) < len(groups):
        raise Undeclared("a point and another column have the same name; rename one")
    for name, numbers in named.items():
        if len({table.columns[number].unit for number in numbers}) > 1:
            raise Undeclared(f"the columns of the point {name!r} have different units")
    return named


def _make_series(
    table: Table,
    name: str,
    numbers: Sequence[int],
    times: np.ndarray,
    clock: Mapping[str, str],
    facts: Mapping[str, str],
) -> Series:
    """A series with a rate where its times are evenly spaced, else with times."""
    columns = [table.columns[number] for number in numbers]
    data = np.column_stack([table.make_array(number) for number in numbers])
    data = data if len(numbers) > 1 else data[:, 0]
    arrays = {"data": _make_array("data", data, ("sample", "q")[: data.ndim])}
    channels = tuple(
        Channel(place, column.name, column.unit, Decimal(1), Decimal(0), data.dtype)
        for place, column in enumerate(columns)
    )
    is_place = AXES.fullmatch(columns[0].name) is not None and columns[0].name != name
    header = {**clock, "columns": [table.names[number] for number in numbers], "is_place": is_place}
    made = Series(name, FORMAT.name, facts, header, arrays, array="data", channels=channels)
    if known := find_rate(times, clock):
        return replace(made, rate=known[0], header={**header, "start": known[1]})
    arrays["time"] = _make_array("time", times, ("sample",))
    return replace(made, timestamps="time", scale=clock["clock"])


def _join_likelihoods(series: dict[str, Series], points: Mapping[str, Mapping[str, str]]) -> tuple[Series, ...]:
    """The series, with the likelihood of each tracked point beside its positions."""
    for name, pose in points.items():
        point, likelihood = series.get(name), series.get(f"{name}_likelihood")
        if point is None or not point.header["is_place"] or len(point.channels) < 2:
            continue  # a person has stated something else of its columns
        arrays = dict(point.arrays)
        if likelihood is not None:
            arrays["confidence"] = replace(likelihood.arrays["data"], name="confidence")
            del series[likelihood.name]
        series[name] = replace(point, arrays=arrays, header={**point.header, "pose": pose})
    return tuple(series.values())


def _make_array(name: str, data: np.ndarray, axes: tuple[str, ...]) -> LazyArray:
    return LazyArray(name, data.shape, data.dtype, axes, data.__getitem__, data.shape)
