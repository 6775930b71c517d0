"""Igor Pro binary waves as recordings: the first dimension is time, every column a sweep.

The first dimension varies fastest, so that each column lies in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from ...model.content import Channel, LazyArray, Recording, Selection, Stimulus, Sweep
from ...model.finding import problem
from ...model.source import Source
from ..stamp import check_unchanged
from . import FORMAT
from .header import Wave, read_wave

SECONDS = {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "\u00b5s": "0.000001", "\u03bcs": "0.000001"}
MAX_BLOCK_SAMPLES = 2**20


def read(source: Source, options: Mapping[str, Any]) -> tuple[Recording, ...]:
    """One `Recording` of one channel, with the command that the option of this name names.

    Raises
    ------
    Problem
        ``ibw.statement``: a person must say what the wave does not, or said otherwise; and as `read_wave` does.
    """
    wave = read_wave(source, source.key)
    command = _read_command(source, options)
    unit = wave.unit or options.get("data_unit", "").strip()
    _check_statements(wave, unit, command, options)
    step = _measure_step(wave, options)
    if command and (command.shape != wave.shape or _measure_step(command, options) != step):
        message = f"{command.key} has not the samples and times of {wave.key}, whose command it should be"
        raise problem("ibw.statement", message, file=wave.key)
    interval = _measure_sweep_interval(wave, options)
    length = wave.shape[0]
    # Half a sample of room: sweeps without gaps are stated with two rounded numbers.
    if wave.columns > 1 and interval < step * (length - Decimal("0.5")):
        message = f"{wave.key}: sweeps of {step * length} s cannot begin every {interval} s"
        raise problem("ibw.statement", message, file=wave.key)
    arrays: dict[str, LazyArray] = {}
    sweeps = []
    for column in range(wave.columns):
        response = _add_array(arrays, f"sweep{column:03d}/adc0", source, wave, column)
        stimuli = []
        if command:
            array = _add_array(arrays, f"sweep{column:03d}/dac0", source, command, column)
            stimuli.append(Stimulus(0, array, f"wave {command.key} that a person named as the command", rebuilt=False))
        sweeps.append(Sweep(column, interval * column, length, {0: response}, tuple(stimuli)))
    rate = Decimal(repr(float(1 / step)))  # the file's step is a float64: the rate has no more digits
    recording = Recording(
        name="",
        format=FORMAT.name,
        facts={"sampling_rate": f"{rate.normalize():f}"},
        header={**wave.header, **({"command": command.header} if command else {})},
        arrays=arrays,
        warnings=tuple(_list_warnings(wave)),
        rate=rate,
        adc=(_build_channel(wave, unit, clamp=options.get("clamp", "")),),
        dac=(_build_channel(command, command.unit, driven=True),) if command else (),
        sweeps=tuple(sweeps),
    )
    return (recording,)


def _read_command(source: Source, options: Mapping[str, Any]) -> Wave | None:
    if "command" not in options:
        return None
    key = source.sibling(options["command"])
    if key is None or key == source.key:
        message = f"no other wave {options['command']!r} (option command) lies beside {source.key}"
        raise problem("ibw.statement", message, value=options["command"], file=source.key)
    return read_wave(source, key)


def _check_statements(wave: Wave, unit: str, command: Wave | None, options: Mapping[str, Any]) -> None:
    """Whether a person stated all that the headers do not say, and nothing that they say."""
    timed_columns = wave.columns == 1 or _has_timed_columns(wave)
    timed_samples = wave.dim_units[0] and (command is None or command.dim_units[0])
    wanted = []
    if not timed_samples and "x_unit" not in options:
        wanted.append('x_unit = "s" (or ms, us), since it states no unit of x')
    if _is_electrical(unit) and "clamp" not in options and not (command and _is_electrical(command.unit)):
        what = "clamp" if command else 'command = "NAME.ibw" (the wave of the applied current or voltage) or clamp'
        wanted.append(f'{what} = "current clamp" (or voltage clamp, I=0), since {unit} may be response or command')
    if not timed_columns and "sweep_interval" not in options:
        wanted.append("sweep_interval = SECONDS, since it does not say when each column began")
    if wanted:
        message = f'{wave.key}: state in neuropress.toml under [options."{wave.key}"]: {"; ".join(wanted)}'
        raise problem("ibw.statement", message, file=wave.key)
    stated_by_header = {"x_unit": timed_samples, "data_unit": wave.unit, "sweep_interval": timed_columns}
    for name, known in stated_by_header.items():
        if name in options and known:
            message = f"{wave.key}: its header leaves no room for {name} = {options[name]!r}; remove the option"
            raise problem("ibw.statement", message, value=str(options[name]), file=wave.key)


def _is_electrical(unit: str) -> bool:
    """Whether a unit may be one of current or voltage."""
    return unit.endswith(("A", "V"))


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


def _build_channel(wave: Wave, unit: str, clamp: str = "", driven: bool = False) -> Channel:
    dtype = wave.dtype.newbyteorder("=")
    return Channel(0, wave.header["name"], unit, Decimal(1), Decimal(0), dtype, clamp=clamp, driven=driven)


def _add_array(arrays: dict[str, LazyArray], name: str, source: Source, wave: Wave, column: int) -> str:
    """A column, added to `arrays`; its name."""
    length, dtype = wave.shape[0], wave.dtype.newbyteorder("=")
    read_block = partial(_read_block, source, wave, column)
    arrays[name] = LazyArray(name, (length,), dtype, ("sample",), read_block, (min(length, MAX_BLOCK_SAMPLES),))
    return name


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


def _list_warnings(wave: Wave) -> Iterator[str]:
    if wave.starts[0]:
        yield f"{wave.key}: x begins at {wave.header['starts'][0]}; times count from the first sample"
    if len(wave.shape) > 2:
        yield f"{wave.key} has {len(wave.shape)} dimensions; its columns are numbered through as sweeps"
