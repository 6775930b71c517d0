"""Behaviour in files of named arrays, as a person declares their columns: series, events or trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from ...model.budget import ARRAY_TIMES
from ...model.content import Channel, Column, Content, DataTable, LazyArray, Selection, Series
from ..behavior_csv.columns import AXES, LENGTHS, SECONDS, Described
from .columns import parse_columns
from .language import Reference, parse_positive
from .times import NotEven, measure_times
from .traces import Trace, find_traces, find_variables
from .tree import ArrayTree


@dataclass(frozen=True, slots=True)
class _Declared:
    """An array of behaviour: one trace, or several side by side (the coordinates of a place)."""

    described: Described
    name: str
    traces: tuple[Trace, ...]

    @property
    def length(self) -> int:
        return self.traces[0].length


def build_behavior(tree: ArrayTree, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """A series of each place and each other value; one table of trials where there are starts and stops, or of events.

    Raises
    ------
    Problem
        ``arrays.declaration``: the option ``columns`` does not fit the file; ``arrays.times``: times that go back.
    """
    columns = [_find_column(tree, *entry) for entry in parse_columns(options["columns"])]
    axes = [column for column in columns if column.described.is_time]
    stops = [column for column in columns if column.described.role == "stop"]
    values = [column for column in columns if column.described.role == "value"]
    _check_roles(tree, axes, stops, values, options)
    lengths = {column.name: column.length for column in columns}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise tree.make_problem("arrays.declaration", f"the option columns: arrays of different lengths ({listed})")
    header = tree.describe() | {"declared": {name: str(value) for name, value in sorted(options.items())}}
    facts = {"rows": str(columns[0].length)}
    if stops or not values:
        return (_build_table(tree, columns, header),)
    if not axes:
        frames = parse_positive(options["frame_rate"])
        header |= {"clock": str(1 / frames), "start": "0"}
        return tuple(_build_series(tree, group, header, facts, rate=frames) for group in _group_places(tree, values))
    header["clock"] = SECONDS[axes[0].described.unit]
    times = axes[0].traces[0]
    _check_ascending(tree, axes[0])
    rate, start = _measure_rate(times, Fraction(header["clock"]))
    header |= {"start": start} if rate else {}
    groups = _group_places(tree, values)
    return tuple(_build_series(tree, group, header, facts, rate=rate, times=times) for group in groups)


def _find_column(tree: ArrayTree, reference: Reference, described: Described) -> _Declared:
    """The traces of one declared array; a place may have its coordinates side by side."""
    variable = find_variables(tree, reference, "columns")[0]
    name = described.name if described.name != reference.text else variable.path
    long = [axis for axis, extent in enumerate(variable.shape) if extent > 1]
    is_place = described.role == "value" and described.unit in LENGTHS.values() and not reference.axes
    if is_place and len(variable.shape) == 2 and len(long) == 2 and min(variable.shape) <= 3:
        narrow = variable.shape.index(min(variable.shape))
        places = range(variable.shape[narrow])
        traces = [Trace(variable, (place, None) if narrow == 0 else (None, place)) for place in places]
        return _Declared(described, name, tuple(traces))
    (trace,) = find_traces(tree, reference, "columns")
    return _Declared(described, name, (trace,))


def _check_roles(
    tree: ArrayTree,
    axes: Sequence[_Declared],
    stops: Sequence[_Declared],
    values: Sequence[_Declared],
    options: Mapping[str, Any],
) -> None:
    starts = [column for column in axes if column.described.role == "start"]
    if len(axes) > 1 or len(starts) != len(stops):
        what = "one array has the times, or one the starts and one the stops of trials"
        raise tree.make_problem("arrays.declaration", f"the option columns: {what}")
    if not axes and ("frame_rate" not in options or not values):
        what = 'columns names no times: add ARRAY = time ms (or s) to it, or state frame_rate = "RATE"'
        raise tree.make_problem("arrays.declaration", what)
    if axes and "frame_rate" in options:
        message = f"frame_rate is stated, but {axes[0].name!r} has the times; leave one out"
        raise tree.make_problem("arrays.declaration", message)
    if stops and starts[0].described.unit != stops[0].described.unit:
        raise tree.make_problem("arrays.declaration", "the option columns: starts and stops in different units")


def _check_ascending(tree: ArrayTree, column: _Declared) -> None:
    if column.length > ARRAY_TIMES:
        raise tree.make_problem("arrays.times", f"{column.name} has more than {ARRAY_TIMES} times")
    times = column.traces[0].read_whole()
    if times.dtype.kind == "f" and not np.isfinite(times).all():
        at = int(np.flatnonzero(~np.isfinite(times))[0])
        raise tree.make_problem("arrays.times", f"time number {at} of {column.name} is {times[at]}")
    back = np.flatnonzero(times[1:] < times[:-1])
    if back.size:
        at = int(back[0]) + 1
        message = f"time number {at} of {column.name}, {times[at]}, is before the one above it, {times[at - 1]}"
        raise tree.make_problem("arrays.times", message)


def _measure_rate(times: Trace, seconds: Fraction) -> tuple[Fraction | None, str]:
    """The rate and start of times that are even; no rate of others."""
    if times.length < 3:
        return None, ""
    try:
        timing = measure_times(times.read_whole())
    except NotEven:
        return None, ""
    return 1 / (Fraction(timing.step) * seconds), str(Fraction(timing.first) * seconds)


def _group_places(tree: ArrayTree, values: Sequence[_Declared]) -> list[_Declared]:
    """Columns x, y and z of one point in one unit of length together, as behaviour tables have them."""
    groups: dict[str, list[_Declared]] = {}
    for column in values:
        axis = AXES.fullmatch(column.name) if column.described.unit in LENGTHS.values() else None
        is_axis = axis is not None and len(column.traces) == 1
        groups.setdefault((axis[1] or "position") if is_axis and axis else column.name, []).append(column)
    joined = []
    for name, columns in groups.items():
        if len({column.described.unit for column in columns}) > 1:
            raise tree.make_problem("arrays.declaration", f"the columns of the point {name!r} have different units")
        traces = tuple(trace for column in columns for trace in column.traces)
        joined.append(_Declared(columns[0].described, name, traces))
    return joined


def _build_series(
    tree: ArrayTree,
    group: _Declared,
    header: Mapping[str, Any],
    facts: Mapping[str, str],
    rate: Fraction | None,
    times: Trace | None = None,
) -> Series:
    names = [_describe_trace(trace) for trace in group.traces]
    dtype = np.result_type(*(trace.variable.dtype for trace in group.traces))
    unit = group.described.unit
    channels = tuple(Channel(place, name, unit, Decimal(1), Decimal(0), dtype) for place, name in enumerate(names))
    arrays = {"data": _stack_traces(group.traces, dtype)}
    if rate is None and times is not None:
        arrays["time"] = times.make_array("time")
    return Series(
        group.name,
        tree.format,
        facts,
        {**header, "columns": names, "is_place": unit in LENGTHS.values() and len(names) > 1},
        arrays,
        warnings=tree.warnings,
        close=tree.close,
        array="data",
        rate=Decimal(rate.numerator) / Decimal(rate.denominator) if rate else None,
        timestamps="" if rate else "time",
        scale=header["clock"],
        channels=channels,
    )


def _describe_trace(trace: Trace) -> str:
    """Path, and places of the axes that have several."""
    places = ["t" if place is None else str(place) for place in trace.places]
    is_vector = trace.length == trace.variable.size
    return trace.variable.path if is_vector else f"{trace.variable.path}[{','.join(places)}]"


def _stack_traces(traces: Sequence[Trace], dtype: np.dtype[Any]) -> LazyArray:
    """(time,) of one trace, (time, coordinate) of several."""
    if len(traces) == 1:
        return traces[0].make_array("data")

    def read(traces: Sequence[Trace], selection: Selection) -> np.ndarray:
        rows, columns = selection
        parts = [trace.read((rows,)).astype(dtype, copy=False) for trace in traces[columns]]
        return np.column_stack(parts)

    shape = (traces[0].length, len(traces))
    return LazyArray("data", shape, dtype, ("sample", "q"), partial(read, traces), shape)


def _build_table(tree: ArrayTree, columns: Sequence[_Declared], header: Mapping[str, Any]) -> DataTable:
    """Trials by their starts and stops, or events by their times."""
    times = [column for column in columns if column.described.role != "value"]
    _check_ascending(tree, times[0])
    if len(times) > 1:
        starts, stops = (next(c for c in times if c.described.role == role) for role in ("start", "stop"))
        early = np.flatnonzero(stops.traces[0].read_whole() < starts.traces[0].read_whole())
        if early.size:
            message = f"number {int(early[0])} of {stops.name} is before that of {starts.name}"
            raise tree.make_problem("arrays.times", message)
    arrays, made = {}, []
    for column in columns:
        name = column.name if column.described.role == "value" else column.described.role
        arrays[name] = column.traces[0].make_array(name)
        made.append(Column(column.name, name, column.described.unit))
    header = {**header, "clock": SECONDS[times[0].described.unit]}
    facts = {"rows": str(columns[0].length)}
    name = "trials" if len(times) > 1 else "events"
    return DataTable(name, tree.format, facts, header, arrays, tree.warnings, tree.close, columns=tuple(made))
