"""Rising edges of a channel: what TTL pulses, frame counters and triggers leave in another file.

An edge is a sample at or above a threshold behind one below it. A channel that is high where it begins, or where it
goes on behind a gap, has no edge there: nobody saw it rise. Of a table of events each row is an edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from ..model.clock import Clock, parse_number
from ..model.content import Channel, Content, DataTable, LazyArray, Recording, Series
from ..model.finding import Problem, problem
from .format import EDGES

_NO_LEVEL = "rows"
"""In place of a threshold, where rows of a table are the edges."""
_BLOCK = 2**20
_ROW_TIMES = ("time", "start", "frame")
"""Columns of a table that say when its rows were."""
_MOST_TICKS = 2**62
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Edges:
    """Rising edges of a channel.

    Attributes
    ----------
    content, array
        The content that has the channel, with their array: (edge,) ticks, or times as the file stores them.
    clock
        Makes seconds of them, from the file's time 0.
    threshold
        In the channel's unit; None where rows of a table are the edges.
    first
        The first in seconds, exact; None without edges.
    """

    content: Content
    array: str
    clock: Clock
    count: int
    threshold: Fraction | None
    unit: str
    first: Fraction | None


@dataclass(frozen=True, slots=True)
class _Levels:
    """A sampled channel: its pieces without gaps, each with the tick of its first sample.

    A sample is `stride` ticks; `times` has one time a sample where the file stores them, in place of ticks.
    """

    channel: Channel
    pieces: tuple[tuple[LazyArray, int], ...]
    clock: Clock
    stride: int = 1
    column: int | None = None
    times: LazyArray | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a table: all of them, or those with a text in a column."""

    times: LazyArray
    clock: Clock
    cells: LazyArray | None = None
    text: str = ""


def find_edges(key: str, contents: Sequence[Content], channel: str, threshold: Fraction | None) -> Edges:
    """The edges of a channel of a file.

    Parameters
    ----------
    channel
        Its name; of a recording's also its number; ``COLUMN=TEXT`` for the rows of a table with a text in a column.
    threshold
        In the channel's unit; None for the middle between its least and its largest value.

    Raises
    ------
    Problem
        ``clock.channel``: there is no such channel, there are several, or its samples have no times.
    """
    try:
        found = [(content, place) for content in contents for place in _list_places(content, channel)]
        if len(found) != 1:
            raise ValueError(_describe_choice(contents, channel, len(found)))
        content, place = found[0]
        if isinstance(place, _Levels):
            threshold = _find_middle(place) if threshold is None else threshold
            level, unit = str(threshold), place.channel.unit
        else:
            level, threshold, unit = _NO_LEVEL, None, ""
        array = f"{EDGES}{channel}@{level}"
        edges = _make_array(array, place, threshold)
    except ValueError as error:
        raise make_channel_problem(key, channel, str(error)) from error
    (count,) = edges.shape
    stored = edges.read((slice(0, min(count, 1)),)).tolist()
    clock = place.clock
    first = Fraction(stored[0]) * Fraction(clock.scale) + Fraction(clock.offset) if stored else None
    whole = replace(content, arrays={**content.arrays, array: edges})
    return Edges(whole, array, clock, count, threshold, unit, first)


def derive_edges(key: str, content: Content, array: str) -> LazyArray:
    """The array of edges that a plan or a receipt names, made anew from the samples.

    Raises
    ------
    Problem
        ``clock.channel``: the content has no such channel any more.
    """
    channel, _, level = array.removeprefix(EDGES).rpartition("@")
    try:
        threshold = None if level == _NO_LEVEL else parse_number(level)
        places = [one for one in _list_places(content, channel) if isinstance(one, _Rows) == (threshold is None)]
        if len(places) != 1:
            raise ValueError(_describe_choice([content], channel, len(places)))
        return _make_array(array, places[0], threshold)
    except ValueError as error:
        raise make_channel_problem(key, channel, str(error)) from error


def make_channel_problem(key: str, channel: str, why: str) -> Problem:
    """That a channel is no clock."""
    return problem("clock.channel", f"the channel {channel[:80]!r} of {key}: {why}", value=channel[:80], file=key)


def _describe_choice(contents: Sequence[Content], channel: str, count: int) -> str:
    names = list(dict.fromkeys(name for content in contents for name in _list_names(content)))
    known = ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
    what = f"{count} channels have this name" if count else "no channel has this name"
    return f"{what}; the file has {known or 'no channels'}"


def _list_names(content: Content) -> list[str]:
    if isinstance(content, Recording):
        return [one.name for one in content.adc]
    if isinstance(content, Series):
        return [one.name for one in content.channels]
    return [one.name.strip() for one in content.columns] if isinstance(content, DataTable) else []


def _list_places(content: Content, channel: str) -> list[_Levels | _Rows]:
    """What of a content has a name. Raises `ValueError` where that has no times."""
    if isinstance(content, Recording):
        named = [one for one in content.adc if one.name == channel]
        named = named or [one for one in content.adc if str(one.index) == channel]
        return [_find_sweeps(content, one) for one in named]
    if isinstance(content, Series):
        return [_find_samples(content, one) for one in content.channels if one.name == channel]
    return _find_rows(content, channel) if isinstance(content, DataTable) else []


def _find_sweeps(recording: Recording, channel: Channel) -> _Levels:
    """The channel's sweeps; a tick is a sample, or the largest part of one that all sweeps begin with."""
    if recording.rate <= 0:
        raise ValueError("its recording has no rate")
    sweeps = [one for one in recording.sweeps if channel.index in one.responses]
    if not sweeps:
        raise ValueError("no sweep has it")
    step = 1 / Fraction(recording.rate)
    begin = min(Fraction(one.start) for one in sweeps)
    tick = step
    for one in sweeps:
        tick = _find_common_part(tick, Fraction(one.start) - begin)
    pieces = [(recording.arrays[one.responses[channel.index]], (Fraction(one.start) - begin) / tick) for one in sweeps]
    if max(begins + step / tick * array.shape[0] for array, begins in pieces) > _MOST_TICKS:
        raise ValueError("its sweeps begin at no whole multiple of its sampling interval")
    ordered = sorted(((array, int(begins)) for array, begins in pieces), key=lambda piece: piece[1])
    return _Levels(channel, tuple(ordered), Clock(str(tick), str(begin)), int(step / tick))


def _find_common_part(one: Fraction, other: Fraction) -> Fraction:
    """The largest number that both are whole multiples of."""
    below = one.denominator * other.denominator
    return Fraction(math.gcd(one.numerator * other.denominator, other.numerator * one.denominator), below)


def _find_samples(series: Series, channel: Channel) -> _Levels:
    data = series.arrays[series.array]
    if len(data.shape) > 2 or (len(data.shape) == 2 and "time" in data.axes[1:]):
        raise ValueError(f"its samples are {data.axes}, not along the first axis")
    column = series.channels.index(channel) if len(data.shape) == 2 else None
    pieces = ((data, 0),)
    if series.rate:
        clock = Clock(str(1 / Fraction(series.rate)), str(series.header.get("start", "0")))
        return _Levels(channel, pieces, clock, column=column)
    if series.timestamps not in series.arrays:
        raise ValueError("its samples have no times")
    clock = Clock(str(series.header.get("clock", series.scale)))
    return _Levels(channel, pieces, clock, 1, column, series.arrays[series.timestamps])


def _find_rows(table: DataTable, channel: str) -> list[_Levels | _Rows]:
    """A column of times: all rows; one of numbers: their levels; ``COLUMN=TEXT``: the rows with the text."""
    name, _, text = (channel, "", "") if channel in _list_names(table) else channel.partition("=")
    columns = [one for one in table.columns if one.name.strip() == name.strip()]
    times = next((table.arrays[one] for one in _ROW_TIMES if one in table.arrays), None)
    if not columns:
        return []
    if times is None or "clock" not in table.header:
        raise ValueError("its rows have no times")
    clock = Clock(str(table.header["clock"]))
    places: list[_Levels | _Rows] = []
    for column in columns:
        cells = table.arrays[column.array]
        if cells is times or text:
            places.append(_Rows(times, clock, cells if text else None, text.strip()))
        elif cells.dtype.kind in "biuf" and cells.shape == times.shape:
            like = Channel(0, column.name, column.unit, Decimal(1), Decimal(0), cells.dtype)
            places.append(_Levels(like, ((cells, 0),), clock, times=times))
        else:
            raise ValueError(f'it has texts: name those that are edges, "{column.name.strip()}=TEXT"')
    return places


def _make_array(name: str, place: _Levels | _Rows, threshold: Fraction | None) -> LazyArray:
    if isinstance(place, _Rows):
        stored = _read_all(place.times)
        if place.cells is not None:
            stored = stored[[str(cell).strip() == place.text for cell in _read_all(place.cells).tolist()]]
    else:
        ticks = np.concatenate([np.empty(0, "<i8"), *_list_ticks(place, threshold or Fraction(0))])
        stored = ticks if place.times is None else _read_all(place.times)[ticks]
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        raise ValueError("an edge has a time that is no number")
    return LazyArray(name, stored.shape, stored.dtype, ("edge",), stored.__getitem__, stored.shape)


def _list_ticks(place: _Levels, threshold: Fraction) -> Iterator[np.ndarray]:
    """Ticks of the edges, a block at a time."""
    end, before = -1, True
    for array, begin in place.pieces:
        # Behind a gap nobody knows what was before: a first sample that is high is no edge.
        before = before if begin == end else True
        for start, block in _read_blocks(array, place.column):
            high = _is_reached(block, place.channel, threshold)
            rises = np.flatnonzero(high & ~np.concatenate([[before], high[:-1]]))
            yield begin + (start + rises) * place.stride
            before = bool(high[-1])
        end = begin + array.shape[0] * place.stride


def _find_middle(place: _Levels) -> Fraction:
    """The middle between a channel's least and largest value, in its unit."""
    least, most = [], []
    for array, _ in place.pieces:
        for _, block in _read_blocks(array, place.column):
            least.append(block.min().item())
            most.append(block.max().item())
    if not least:
        raise ValueError("it has no samples")
    middle = (Fraction(min(least)) + Fraction(max(most))) / 2
    return middle * Fraction(place.channel.gain) + Fraction(place.channel.offset)


def _read_blocks(array: LazyArray, column: int | None) -> Iterator[tuple[int, np.ndarray]]:
    """Number of the first sample, and (sample,) as stored."""
    for start in range(0, array.shape[0], _BLOCK):
        rows = slice(start, min(start + _BLOCK, array.shape[0]))
        block = array.read((rows,)) if column is None else array.read((rows, slice(column, column + 1)))[:, 0]
        if block.dtype.kind not in "biuf":
            raise ValueError(f"its samples are of the type {block.dtype}, not numbers")
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            raise ValueError("some of its samples are no numbers")
        yield start, block


def _is_reached(block: np.ndarray, channel: Channel, threshold: Fraction) -> np.ndarray:
    """Which stored samples are at or above a threshold in the channel's unit, exactly."""
    if not channel.gain:
        raise ValueError("its gain is 0")
    bound = (threshold - Fraction(channel.offset)) / Fraction(channel.gain)
    is_rising = channel.gain > 0
    if block.dtype.kind in "iu":
        return block >= math.ceil(bound) if is_rising else block <= math.floor(bound)
    nearest = np.float64(float(bound))
    # The float64 that is nearest to the bound may lie on its wrong side, where no sample does.
    if is_rising:
        return block >= (np.nextafter(nearest, np.inf) if Fraction(float(nearest)) < bound else nearest)
    return block <= (np.nextafter(nearest, -np.inf) if Fraction(float(nearest)) > bound else nearest)


def _read_all(array: LazyArray) -> np.ndarray:
    return array.read(tuple(slice(0, extent) for extent in array.shape))
