"""A recording of a result, compared with what another library reads of the raw file.

Everything on our side comes from the result: samples, conversion, offset, unit, rate and starting times as they stand
in the NWB file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from .reading import CannotRead, SecondRecording
from .tally import ResultArray, Tally

BLOCK_SAMPLES = 1 << 22
SECONDS = 1e-6
"""Starts are stored to the nanosecond, as float64 seconds."""
CLOCK = timedelta(milliseconds=2)
"""Headers count milliseconds; libraries round them."""
EARLIEST, LATEST = timedelta(minutes=-10), timedelta(hours=24)
"""Where a recording may begin before and after its session: a clock outside of this was set wrong."""
_NAME = re.compile(r"sweep([0-9]+)/(adc|dac)([0-9]+)")
_UNIT = re.compile(r"([kmunpf]?)(V|A)")
_EXPONENTS = {"": 0, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_SI = {"volts": "V", "amperes": "A"}
_SINGLE = 4 * float(np.finfo("f4").eps)

type Traces = Mapping[tuple[int, int], ResultArray]


@dataclass(frozen=True, slots=True)
class _Result:
    """The recording's arrays, by sweep and channel."""

    recorded: Traces
    played: Traces

    @property
    def sweeps(self) -> list[int]:
        return sorted({sweep for sweep, _ in self.recorded})

    @property
    def channels(self) -> list[int]:
        return sorted({channel for _, channel in self.recorded})


def compare_recording(second: SecondRecording, arrays: Sequence[ResultArray]) -> Tally:
    """All that both state. Raises `CannotRead` where the arrays are not called as those of recordings are."""
    result = _sort_arrays(arrays)
    tally = Tally(second.mistakes)
    joined = _is_one_run(second, result)
    if joined:
        tally.check("shape", False, "")
        tally.check("start", False, "")
        _compare_joined(second, result, tally)
    elif _compare_shape(second, result, tally):
        for (sweep, channel), array in result.recorded.items():
            _compare_samples(second, sweep, channel, array, tally)
        _compare_starts(second, result, tally)
    if tally.different.keys() & {"shape"}:
        return tally
    _compare_channels(second, result, tally)
    _compare_date(second, result, tally)
    if second.read_command:
        _compare_commands(second, result, tally)
    return tally


def _sort_arrays(arrays: Sequence[ResultArray]) -> _Result:
    traces: dict[str, dict[tuple[int, int], ResultArray]] = {"adc": {}, "dac": {}}
    for array in arrays:
        match = _NAME.fullmatch(array.receipt.spec.array)
        if not match:
            raise CannotRead(f"{array.path} is no sweep of a channel ({array.receipt.spec.array})")
        traces[match[2]][int(match[1]), int(match[3])] = array
    return _Result(traces["adc"], traces["dac"])


def _is_one_run(second: SecondRecording, result: _Result) -> bool:
    return "shape" in second.mistakes and len(second.lengths) == 1 < len(result.sweeps)


def _compare_shape(second: SecondRecording, result: _Result, tally: Tally) -> bool:
    """The same sweeps of the same channels, each as long."""
    expected = {(sweep, channel) for sweep in range(len(second.lengths)) for channel in range(len(second.units))}
    have = set(result.recorded)
    counts = f"the result has {len(have)} traces of {len(result.sweeps)} sweeps and {len(result.channels)} channels"
    stated = f"{len(second.lengths)} sweeps of {len(second.units)} channels"
    if not tally.check("shape", have == expected, f"{counts}, the library reads {stated}"):
        return False
    for (sweep, channel), array in result.recorded.items():
        have_samples, samples = array.stored.shape[0], second.lengths[sweep]
        text = f"{array.path} has {have_samples} samples, the library reads {samples} of channel {channel}"
        if not tally.check("shape", have_samples == samples, text):
            return False
    return True


def _iterate_blocks(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, BLOCK_SAMPLES):
        yield start, min(start + BLOCK_SAMPLES, length)


def _compare_samples(second: SecondRecording, sweep: int, channel: int, array: ResultArray, tally: Tally) -> None:
    for start, stop in _iterate_blocks(array.stored.shape[0]):
        theirs = second.read(sweep, channel, start, stop)
        if not _compare_block(second, channel, array, (start, stop), theirs, tally):
            return


def _compare_joined(second: SecondRecording, result: _Result, tally: Tally) -> None:
    """Sweeps one behind the other, where the library has them as one run."""
    for number, channel in enumerate(result.channels):
        first = 0
        for sweep in result.sweeps:
            array = result.recorded[sweep, channel]
            length = array.stored.shape[0]
            theirs = second.read(0, number, first, first + length)
            _compare_block(second, number, array, (0, length), theirs, tally)
            first += length
        text = f"the sweeps have {first} samples together, the library reads {second.lengths[0]}"
        tally.check("samples", first == second.lengths[0], text)


def _compare_block(
    second: SecondRecording, channel: int, array: ResultArray, span: tuple[int, int], theirs: np.ndarray, tally: Tally
) -> bool:
    """Samples bit by bit where the library gives them as stored; else in the unit, as close as float32 can be."""
    ours = array.stored[slice(*span),]
    if len(theirs) != len(ours):
        text = f"{array.path} has {len(ours)} samples from {span[0]} on, the library reads {len(theirs)}"
        return tally.check("samples", False, text)
    if second.scales:
        same = (ours == theirs) | ((ours != ours) & (theirs != theirs))
        wrong = ~same if ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=") else np.ones(len(ours), bool)
    else:
        factor = _get_factor(second.units[channel], array.meaning.unit)
        meaning = array.meaning
        scaled = ours * (meaning.conversion / factor)
        spread = np.abs(scaled) + abs(meaning.offset / factor)
        # Written so that a NaN on one side counts as a difference.
        close = np.abs(scaled + meaning.offset / factor - theirs) <= _SINGLE * spread + np.finfo("f4").tiny
        wrong = ~(close | (np.isnan(scaled) & np.isnan(theirs)))
    at = int(np.argmax(wrong)) if wrong.any() else 0
    count = int(wrong.sum())
    text = (
        f"{array.path} at {span[0] + at} is {ours[at]} ({ours.dtype}), the library reads {theirs[at]} "
        f"({theirs.dtype}); {count} of {len(ours)} samples differ"
        if len(ours)
        else ""
    )
    return tally.check("samples", not count, text)


def _get_factor(unit: str, into: str) -> float:
    """What one of the library's unit is in the result's; 1 where the result keeps the header's unit."""
    match = _UNIT.fullmatch(_normalise(unit))
    if match and _SI.get(into) == match[2]:
        return float(10.0 ** _EXPONENTS[match[1]])
    return 1.0


def _normalise(unit: str) -> str:
    return unit.replace("\u00b5", "u").replace("\u03bc", "u").replace(" ", "")


def _check_unit(unit: str, array: ResultArray, subject: str, tally: Tally) -> None:
    theirs, ours = _normalise(unit), array.meaning.unit
    match = _UNIT.fullmatch(theirs)
    same = match is not None and match[2] == _SI[ours] if ours in _SI else theirs == _normalise(ours)
    blank = ours == "unknown" and not theirs.strip("\0?")
    tally.check(subject, same or blank, f"{array.path} is in {ours}, the library reads {unit!r}")


def _compare_channels(second: SecondRecording, result: _Result, tally: Tally) -> None:
    """Unit, scale and rate of each trace."""
    for (_, channel), array in result.recorded.items():
        meaning, place = array.meaning, result.channels.index(channel)
        _check_unit(second.units[place], array, "unit", tally)
        rate = f"{array.path} has {meaning.rate} samples a second, the library reads {second.rate}"
        tally.check("rate", meaning.rate is not None and _is_close(meaning.rate, second.rate), rate)
        if not second.scales:
            continue
        gain, offset = (value * _get_factor(second.units[place], meaning.unit) for value in second.scales[place])
        text = f"{array.path} is sample*{meaning.conversion} + {meaning.offset}, the library reads "
        same = _is_close(meaning.conversion, gain) and abs(meaning.offset - offset) <= 1e-9 * max(
            abs(offset), abs(gain)
        )
        tally.check("scale", same, f"{text}sample*{gain} + {offset}")


def _is_close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def _compare_starts(second: SecondRecording, result: _Result, tally: Tally) -> None:
    """Starts of the sweeps from the first one's, of every trace that is recorded or played."""
    origins = {array.meaning.start for (sweep, _), array in result.recorded.items() if sweep == result.sweeps[0]}
    for traces in (result.recorded, result.played):
        for (sweep, _), array in traces.items():
            ours, theirs = array.meaning.start, second.starts[sweep] - second.starts[0]
            if ours is None or len(origins) != 1 or None in origins:
                tally.check("start", False, f"{array.path} has no start of its own")
                continue
            after = ours - (next(iter(origins)) or 0.0)
            text = f"{array.path} begins {after:.9g} s after the first sweep, the library reads {theirs:.9g} s"
            tally.check("start", abs(after - theirs) <= SECONDS, text)


def _compare_date(second: SecondRecording, result: _Result, tally: Tally) -> None:
    """The wall clock at which the first sweep began: session start plus starting time, and the header's by the library.

    A header's clock states no zone: it is the session's. Where a person declared another clock, it proves nothing.
    """
    first = result.recorded[result.sweeps[0], result.channels[0]]
    meaning = first.meaning
    if second.started is None or meaning.session_start is None or meaning.start is None or meaning.is_declared:
        return
    session = meaning.session_start.replace(tzinfo=None)
    theirs = second.started + timedelta(seconds=second.starts[0])
    if meaning.is_aligned:
        ours = session + timedelta(seconds=meaning.start)
        text = f"{first.path} begins at {ours}, the library reads {theirs}"
        tally.check("date", abs(ours - theirs) <= CLOCK, text)
    elif EARLIEST <= second.started - session <= LATEST:
        text = f"{first.path} has no start by the header's clock, the library reads {theirs}"
        tally.check("date", False, text)


def _compare_commands(second: SecondRecording, result: _Result, tally: Tally) -> None:
    """Every command of the result is one that the library draws, and no command that it draws is missing."""
    assert second.read_command is not None
    for (sweep, output), array in result.played.items():
        subject = f"command {output}"
        if output < len(second.command_units):
            _check_unit_of_command(second.command_units[output], subject, array, tally)
        ours = array.stored[slice(0, array.stored.shape[0]),]
        theirs = second.read_command(sweep, output)
        same = len(ours) == len(theirs) and np.allclose(ours, theirs, rtol=1e-6, atol=1e-6, equal_nan=True)
        text = f"{array.path} is not the command that the library draws for output {output}"
        tally.check(subject, output in second.driven and bool(same), text)
    for output in second.driven:
        played = {sweep for sweep, number in result.played if number == output}
        text = f"the library draws a command of output {output} for {len(second.lengths)} sweeps, the result has "
        tally.check(f"command {output}", played == set(result.sweeps), f"{text}{len(played)}")


def _check_unit_of_command(unit: str, subject: str, array: ResultArray, tally: Tally) -> None:
    """A command is stored in its output's unit; its conversion makes SI units of clamped ones."""
    _check_unit(unit, array, subject, tally)
    factor, conversion = _get_factor(unit, array.meaning.unit), array.meaning.conversion
    text = f"{array.path} is command*{conversion} in {array.meaning.unit}, the library reads {unit!r}"
    tally.check(subject, _is_close(factor, conversion), text)
