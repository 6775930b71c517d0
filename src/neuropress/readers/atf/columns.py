"""Which column is which sweep of which channel, when sweeps began, and what a person must say of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from ...model.finding import problem
from .header import Header, parse_decimals

SECONDS = {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "\u00b5s": "0.000001", "\u03bcs": "0.000001"}
STARTS = "SweepStartTimesMS"


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns behind the times, counted from 0.

    Attributes
    ----------
    names, units
        Of each channel, as signals and titles say.
    sweeps
        Of each sweep, the column of each channel.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    sweeps: tuple[tuple[int, ...], ...]


def check_times_title(header: Header) -> None:
    """Raises `Problem` (``atf.unsupported``) where the first column is no time."""
    title = header.titles[0]
    if "time" not in title.name.lower() or (title.unit and title.unit not in SECONDS):
        what = f"its first column is {title.text[:80]!r}, no time in {', '.join(list(SECONDS)[:4])}"
        raise problem("atf.unsupported", f"{header.key}: {what}", file=header.key)


def arrange_columns(header: Header) -> Layout:
    """Sweeps by the numbers in the titles; without numbers, a name that comes again begins the next sweep.

    Raises
    ------
    Problem
        ``atf.damaged``: the sweeps have not the same channels.
    """
    titles = header.titles[1:]
    signals = header.signals or tuple(title.name for title in titles)
    sweeps: dict[int, list[int]] = {}
    seen: dict[str, int] = {}
    for column, (title, name) in enumerate(zip(titles, signals, strict=True)):
        number = seen[name] = seen.get(name, 0) + 1
        sweeps.setdefault(number if title.trace is None else title.trace, []).append(column)
    first, *others = ordered = [columns for _, columns in sorted(sweeps.items())]
    described = [(signals[column], titles[column].unit) for column in first]
    for columns in others:
        if [(signals[column], titles[column].unit) for column in columns] != described:
            at = next(iter(columns))
            message = (
                f"{header.key}: the sweep of column {titles[at].text[:80]!r} has not the channels of the first one"
            )
            raise problem("atf.damaged", message, file=header.key)
    names = tuple(signals[column] or titles[column].text for column in first)
    return Layout(names, tuple(titles[column].unit for column in first), tuple(map(tuple, ordered)))


def check_statements(header: Header, layout: Layout, options: Mapping[str, Any]) -> None:
    """Whether a person stated all that the header does not say, and nothing that it says.

    Raises
    ------
    Problem
        ``atf.statement``
    """
    time_unit, count = header.titles[0].unit, len(layout.sweeps)
    is_timed = count == 1 or bool(_parse_starts(header, layout))
    wanted = []
    if not time_unit and "x_unit" not in options:
        wanted.append('x_unit = "s" (or ms, us), since the title of the times states none')
    if not any(layout.units) and "data_unit" not in options:
        wanted.append(
            'data_unit = "mV" (or pA), since no title states a unit; a file without units is often a command waveform, '
            "which is no recording"
        )
    if not is_timed and "sweep_interval" not in options:
        wanted.append(f"sweep_interval = SECONDS, since {STARTS} of its header does not say when {count} sweeps began")
    if wanted:
        message = f'{header.key}: state in neuropress.toml under [options."{header.key}"]: {"; ".join(wanted)}'
        raise problem("atf.statement", message, file=header.key)
    stated_by_header = {"x_unit": time_unit, "data_unit": all(layout.units), "sweep_interval": is_timed}
    for name, known in stated_by_header.items():
        if name in options and known:
            message = f"{header.key}: its header leaves no room for {name} = {options[name]!r}; remove the option"
            raise problem("atf.statement", message, value=str(options[name]), file=header.key)


def find_starts(header: Header, layout: Layout, shortest: Decimal, options: Mapping[str, Any]) -> tuple[Decimal, ...]:
    """When each sweep began, in seconds: by the header, or by the interval that a person states.

    Parameters
    ----------
    shortest
        Seconds from one sweep's start to the next, at least.

    Raises
    ------
    Problem
        ``atf.statement``: the interval is shorter than a sweep.
    """
    if "sweep_interval" not in options:
        return _parse_starts(header, layout) or (Decimal(0),)
    interval = Decimal(repr(options["sweep_interval"]))
    if interval < shortest:
        message = f"{header.key}: sweeps of {shortest.normalize():f} s and more cannot begin every {interval} s"
        raise problem("atf.statement", message, value=str(interval), file=header.key)
    return tuple(interval * number for number in range(len(layout.sweeps)))


def _parse_starts(header: Header, layout: Layout) -> tuple[Decimal, ...]:
    """Seconds of the start of each sweep; none where the header has not one for each, in their order."""
    starts = tuple(start / 1000 for start in parse_decimals(header.values.get(STARTS, ())))
    in_order = len(starts) == len(layout.sweeps) and starts[0] >= 0 and all(a < b for a, b in pairwise(starts))
    return starts if in_order else ()
