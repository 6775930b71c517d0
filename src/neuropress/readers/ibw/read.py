"""Igor Pro binary waves as recordings: the first dimension is time, every column a sweep.

The first dimension varies fastest, so that each column lies in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from ...model.content import Channel, LazyArray, Recording, Selection, Sweep
from ...model.finding import problem
from ...model.source import Source
from ..stamp import check_unchanged
from . import FORMAT
from .header import Wave, read_wave

SECONDS = {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "\u00b5s": "0.000001"}
MAX_BLOCK_SAMPLES = 2**20


def read(source: Source, options: Mapping[str, Any]) -> tuple[Recording, ...]:
    """One `Recording`, with a channel for the wave and one for each that the option ``also`` names.

    Raises
    ------
    Problem
        ``ibw.statement``: a person must say what the wave does not, or said otherwise; and as `read_wave` does.
    """
    waves = [read_wave(source, source.key), *_read_other_waves(source, options.get("also", ""))]
    first = waves[0]
    length = first.shape[0]
    units = [wave.unit for wave in waves]
    units[0] = units[0] or options.get("data_unit", "").strip()
    _check_statements(waves, units, options)
    step = _measure_step(first, options)
    if other := next((w for w in waves if w.shape != first.shape or _measure_step(w, options) != step), None):
        message = f"{other.key} (option also) has not the samples and times of {first.key}"
        raise problem("ibw.statement", message, file=first.key)
    interval = _measure_sweep_interval(first, options)
    # Half a sample of room: sweeps without gaps are stated with two rounded numbers.
    if first.columns > 1 and interval < step * (length - Decimal("0.5")):
        message = f"{first.key}: sweeps of {step * length} s cannot begin every {interval} s"
        raise problem("ibw.statement", message, file=first.key)
    arrays: dict[str, LazyArray] = {}
    sweeps = tuple(_build_sweep(column, interval * column, source, waves, arrays) for column in range(first.columns))
    rate = Decimal(repr(float(1 / step)))  # the file's step is a float64: the rate has no more digits
    recording = Recording(
        name="",
        format=FORMAT.name,
        facts={"sampling_rate": f"{rate.normalize():f}"},
        header={**first.header, "also": [{"file": wave.key, **wave.header} for wave in waves[1:]]},
        arrays=arrays,
        warnings=tuple(_list_warnings(waves)),
        rate=rate,
        adc=tuple(_build_channel(i, wave, units[i], options) for i, wave in enumerate(waves)),
        sweeps=sweeps,
    )
    return (recording,)


def _read_other_waves(source: Source, names: str) -> Iterator[Wave]:
    for name in filter(None, (name.strip() for name in names.split(","))):
        key = source.sibling(name)
        if key is None or key == source.key:
            message = f"no other wave {name!r} (option also) lies beside {source.key}"
            raise problem("ibw.statement", message, value=name, file=source.key)
        yield read_wave(source, key)


def _check_statements(waves: Sequence[Wave], units: Sequence[str], options: Mapping[str, Any]) -> None:
    """Whether a person stated all that the headers do not say, and nothing that they say."""
    first = waves[0]
    timed_columns = first.columns == 1 or _has_timed_columns(first)
    wanted = []
    if not all(wave.dim_units[0] for wave in waves) and "x_unit" not in options:
        wanted.append('x_unit = "s" (or ms, us), since it states no unit of x')
    if any(unit.endswith(("A", "V")) for unit in units) and "clamp" not in options:
        what = " and ".join(units)
        wanted.append(f'clamp = "current clamp" (or voltage clamp, I=0), since {what} may be response or command')
    if not timed_columns and "sweep_interval" not in options:
        wanted.append("sweep_interval = SECONDS, since it does not say when each column began")
    if wanted:
        message = f'{first.key}: state in neuropress.toml under [options."{first.key}"]: {"; ".join(wanted)}'
        raise problem("ibw.statement", message, file=first.key)
    known = {
        "x_unit": all(wave.dim_units[0] for wave in waves),
        "data_unit": first.unit,
        "sweep_interval": timed_columns,
    }
    for name, header_says in known.items():
        if name in options and header_says:
            message = f"{first.key}: its header leaves no room for {name} = {options[name]!r}; remove the option"
            raise problem("ibw.statement", message, value=str(options[name]), file=first.key)


def _has_timed_columns(wave: Wave) -> bool:
    """Whether the scaling of the second dimension says when each column began."""
    return len(wave.shape) == 2 and wave.dim_units[1] in SECONDS


def _measure_step(wave: Wave, options: Mapping[str, Any]) -> Decimal:
    """Seconds from sample to sample."""
    unit, step = wave.dim_units[0] or options["x_unit"], wave.steps[0]
    if unit not in SECONDS:
        raise problem("ibw.unsupported", f"{wave.key}: x is in {unit!r}, which is no time", file=wave.key)
    if not (step.is_finite() and Decimal("1e-300") < step < Decimal("1e300")):
        raise problem("ibw.damaged", f"{wave.key}: samples cannot be {step} {unit} apart", file=wave.key)
    return step * Decimal(SECONDS[unit])


def _measure_sweep_interval(wave: Wave, options: Mapping[str, Any]) -> Decimal:
    """Seconds from column to column."""
    if wave.columns == 1:
        return Decimal(0)
    if not _has_timed_columns(wave):
        return Decimal(repr(options["sweep_interval"]))
    interval = wave.steps[1]
    if not interval.is_finite():
        raise problem("ibw.damaged", f"{wave.key}: columns cannot begin every {interval}", file=wave.key)
    return interval * Decimal(SECONDS[wave.dim_units[1]])


def _build_channel(index: int, wave: Wave, unit: str, options: Mapping[str, Any]) -> Channel:
    dtype = wave.dtype.newbyteorder("=")
    return Channel(index, wave.header["name"], unit, Decimal(1), Decimal(0), dtype, clamp=options.get("clamp", ""))


def _build_sweep(
    column: int, start: Decimal, source: Source, waves: Sequence[Wave], arrays: dict[str, LazyArray]
) -> Sweep:
    """One column of every wave; its arrays are added to `arrays`."""
    responses = {}
    for index, wave in enumerate(waves):
        name = f"sweep{column:03d}/adc{index}"
        responses[index] = name
        length, dtype = wave.shape[0], wave.dtype.newbyteorder("=")
        read_block = partial(_read_block, source, wave, column)
        arrays[name] = LazyArray(name, (length,), dtype, ("sample",), read_block, (min(length, MAX_BLOCK_SAMPLES),))
    return Sweep(column, start, length, responses)


def _read_block(source: Source, wave: Wave, column: int, selection: Selection) -> np.ndarray:
    """Samples of a column, in native byte order."""
    start, stop = selection[0].start, selection[0].stop
    with source.open(wave.key) as file:
        check_unchanged(file.stamp(), wave.stamp, wave.key)
        file.seek(wave.data_start + (column * wave.shape[0] + start) * wave.dtype.itemsize)
        raw = file.read((stop - start) * wave.dtype.itemsize)
    if len(raw) < (stop - start) * wave.dtype.itemsize:
        raise problem("ibw.truncated", f"{wave.key} became shorter while it was read", file=wave.key)
    return np.frombuffer(raw, wave.dtype).astype(wave.dtype.newbyteorder("="))


def _list_warnings(waves: Sequence[Wave]) -> Iterator[str]:
    for wave in waves:
        if wave.starts[0]:
            yield f"{wave.key}: x begins at {wave.header['starts'][0]}; times count from the first sample"
        if len(wave.shape) > 2:
            yield f"{wave.key} has {len(wave.shape)} dimensions; its columns are numbered through as sweeps"
