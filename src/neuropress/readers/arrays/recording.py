"""Recordings of files of named arrays, as a person declares their channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ...model.content import Channel, LazyArray, Recording, Stimulus, Sweep
from .language import HERTZ, SECONDS, DeclaredChannel, parse_channels, parse_rate, parse_times
from .times import measure_trace
from .traces import Trace, find_number, find_traces
from .tree import ArrayTree

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class _Sampling:
    """Samples a second, and when each sweep began by the times in the file; none where these do not say."""

    rate: Decimal
    starts: tuple[Decimal, ...] = ()
    first: Decimal = Decimal(0)


def build_recording(tree: ArrayTree, options: Mapping[str, Any]) -> Recording:
    """The recording of the arrays that the option ``channels`` names.

    Raises
    ------
    Problem
        ``arrays.declaration``: it does not fit the file, or lacks something; ``arrays.times``: the times are not even.
    """
    declared = parse_channels(options["channels"])
    traces = [find_traces(tree, one.reference, "channels") for one in declared]
    count = max(len(sweeps) for one, sweeps in zip(declared, traces, strict=True) if not one.is_command)
    _check_counts(tree, declared, traces, count)
    interval = _find_interval(tree, traces)
    _check_statements(tree, options, count, interval)
    recorded = [(one, sweeps) for one, sweeps in zip(declared, traces, strict=True) if not one.is_command]
    played = [(one, sweeps) for one, sweeps in zip(declared, traces, strict=True) if one.is_command]
    sampling = _measure_sampling(tree, options, recorded[0][1], interval)
    lengths = _check_lengths(tree, declared, traces, count)
    starts = _find_starts(tree, options, sampling, max(lengths), count)
    arrays: dict[str, LazyArray] = {}
    sweeps = [_build_sweep(arrays, declared, traces, number, starts[number]) for number in range(count)]
    clamp = options.get("clamp", "")
    return Recording(
        name="",
        format=tree.format,
        facts={"sampling_rate": str(sampling.rate)},
        header=tree.describe() | {"declared": {name: str(value) for name, value in sorted(options.items())}},
        arrays=arrays,
        warnings=(*tree.warnings, *_list_warnings(tree, sampling, zip(declared, traces, strict=True))),
        close=tree.close,
        rate=sampling.rate,
        adc=tuple(_build_channel(i, one, sweeps, clamp) for i, (one, sweeps) in enumerate(recorded)),
        dac=tuple(_build_channel(i, one, sweeps) for i, (one, sweeps) in enumerate(played)),
        sweeps=tuple(sweeps),
    )


def _check_counts(
    tree: ArrayTree, declared: Sequence[DeclaredChannel], traces: Sequence[list[Trace]], count: int
) -> None:
    """Every channel in every sweep; a command may be the same for all."""
    for one, sweeps in zip(declared, traces, strict=True):
        if len(sweeps) != count and not (one.is_command and len(sweeps) == 1):
            message = f"{one.reference.text!r} has {len(sweeps)} sweeps, and others of channels have {count}"
            raise tree.make_problem("arrays.declaration", message, one.reference.text)


def _find_interval(tree: ArrayTree, traces: Sequence[list[Trace]]) -> str:
    """Exact seconds from sample to sample, where the file says them of each trace. Raises `Problem`."""
    intervals = {trace.interval: trace for sweeps in traces for trace in sweeps}
    if len(intervals) > 1 and "" not in intervals:
        (one, first), (other, second), *_ = intervals.items()
        message = f"samples of {first.variable.path!r} are {one} s apart, those of {second.variable.path!r} {other} s"
        raise tree.make_problem("arrays.declaration", message)
    return next(iter(intervals)) if len(intervals) == 1 else ""


def _check_statements(tree: ArrayTree, options: Mapping[str, Any], count: int, interval: str) -> None:
    """Whether a person said how many samples a second there are, and when sweeps began, where the file does not."""
    wanted = []
    if interval and "rate" in options:
        what = f"its arrays say themselves that samples are {interval} s apart; remove rate = {options['rate']!r}"
        raise tree.make_problem("arrays.declaration", what, options["rate"])
    if ("rate" in options) == ("time" in options) and not interval:
        either = 'rate = "20000" (Hz; or an array and its unit, "fs Hz") or time = "ARRAY s"'
        wanted.append(f"{either}, and not both" if "rate" in options else either)
    if count > 1 and "sweep_interval" not in options and "time" not in options:
        wanted.append(f"sweep_interval = SECONDS from one of its {count} sweeps' start to the next")
    if wanted:
        message = f'state in neuropress.toml under [options."{tree.key}"]: {"; ".join(wanted)}'
        raise tree.make_problem("arrays.declaration", message)


def _check_lengths(
    tree: ArrayTree, declared: Sequence[DeclaredChannel], traces: Sequence[list[Trace]], count: int
) -> list[int]:
    """Samples of each sweep, which must be the same in all channels."""
    lengths = []
    for number in range(count):
        of_sweep = [sweeps[min(number, len(sweeps) - 1)] for sweeps in traces]
        for one, trace in zip(declared, of_sweep, strict=True):
            if trace.length != of_sweep[0].length or not trace.length:
                what = f"{declared[0].reference.text!r} {of_sweep[0].length}" if trace.length else "needs one"
                message = f"sweep {number}: {one.reference.text!r} has {trace.length} samples, {what}"
                raise tree.make_problem("arrays.declaration", message, one.reference.text)
        lengths.append(of_sweep[0].length)
    return lengths


def _measure_sampling(
    tree: ArrayTree, options: Mapping[str, Any], recorded: Sequence[Trace], interval: str
) -> _Sampling:
    if "rate" in options:
        return _Sampling(_read_rate(tree, options["rate"]))
    if "time" not in options:
        return _Sampling(_round_rate(1 / Fraction(interval)))
    reference, unit = parse_times(options["time"])
    traces, seconds = find_traces(tree, reference, "time"), Fraction(unit)
    count = len(recorded)
    if len(traces) not in (1, count):
        message = f"the option time: {reference.text!r} has {len(traces)} sweeps, the channels have {count}"
        raise tree.make_problem("arrays.declaration", message, reference.text)
    for number, samples in enumerate(recorded):
        times = traces[min(number, len(traces) - 1)]
        if times.length != samples.length:
            message = f"{reference.text!r} has {times.length} times for {samples.length} samples of sweep {number}"
            raise tree.make_problem("arrays.declaration", message, reference.text)
    timings = [measure_trace(tree, trace) for trace in traces]
    for timing in timings[1:]:
        if abs(timing.step - timings[0].step) > timings[0].step * Decimal("1e-6"):
            message = f"samples are {timings[0].step} apart in the first sweep and {timing.step} in another"
            raise tree.make_problem("arrays.times", message)
    step = Fraction(timings[0].step) * seconds
    firsts = [_to_decimal(Fraction(timing.first) * seconds) for timing in timings]
    is_ascending = len(firsts) > 1 and all(a < b for a, b in pairwise(firsts))
    starts = tuple(first - firsts[0] for first in firsts) if is_ascending else ()
    return _Sampling(_round_rate(1 / step), starts, firsts[0])


def _read_rate(tree: ArrayTree, text: str) -> Decimal:
    parsed = parse_rate(text)
    if isinstance(parsed, Fraction):
        return _round_rate(parsed)
    reference, unit = parsed
    number = find_number(tree, reference, "rate")
    if not 1e-9 < number < 1e12:
        message = f"the option rate: {reference.text} is {number:g}, which is neither a rate nor an interval"
        raise tree.make_problem("arrays.declaration", message, reference.text)
    stored = Fraction(repr(number))  # the decimal that a person would read, not its binary neighbour
    rate = stored * Fraction(HERTZ[unit]) if unit in HERTZ else 1 / (stored * Fraction(SECONDS[unit]))
    return _round_rate(rate)


def _round_rate(rate: Fraction) -> Decimal:
    """A float64 in the result: it has no more digits."""
    return Decimal(np.format_float_positional(float(rate), trim="-"))


def _to_decimal(seconds: Fraction) -> Decimal:
    return Decimal(seconds.numerator) / Decimal(seconds.denominator)


def _find_starts(
    tree: ArrayTree, options: Mapping[str, Any], sampling: _Sampling, longest: int, count: int
) -> tuple[Decimal, ...]:
    """When each sweep began, seconds from the first one's start."""
    if count == 1:
        return (Decimal(0),)
    if "sweep_interval" not in options:
        if len(sampling.starts) != count:
            message = "its times do not say when sweeps began: state sweep_interval = SECONDS from start to start"
            raise tree.make_problem("arrays.declaration", message)
        return sampling.starts
    interval = Decimal(repr(options["sweep_interval"]))
    # Half a sample of room: sweeps without gaps are stated with two rounded numbers.
    if Fraction(interval) < (longest - HALF) / Fraction(sampling.rate):
        seconds = float(longest / Fraction(sampling.rate))
        message = f"sweeps of {seconds:g} s cannot begin every {interval} s (option sweep_interval)"
        raise tree.make_problem("arrays.declaration", message, str(interval))
    return tuple(interval * number for number in range(count))


def _build_sweep(
    arrays: dict[str, LazyArray],
    declared: Sequence[DeclaredChannel],
    traces: Sequence[list[Trace]],
    number: int,
    start: Decimal,
) -> Sweep:
    """A sweep; its traces are added to `arrays`."""
    responses: dict[int, str] = {}
    stimuli: list[Stimulus] = []
    length = 0
    for one, sweeps in zip(declared, traces, strict=True):
        trace = sweeps[min(number, len(sweeps) - 1)]
        kind, index = ("dac", len(stimuli)) if one.is_command else ("adc", len(responses))
        name = f"sweep{number:03d}/{kind}{index}"
        arrays[name] = trace.make_array(name)
        length = trace.length
        if one.is_command:
            how = f"array {trace.variable.path} that a person declared as the command"
            stimuli.append(Stimulus(index, name, how, rebuilt=False))
        else:
            responses[index] = name
    return Sweep(number, start, length, responses, tuple(stimuli))


def _build_channel(index: int, declared: DeclaredChannel, sweeps: Sequence[Trace], clamp: str = "") -> Channel:
    dtypes = [trace.variable.dtype for trace in sweeps]
    return Channel(
        index,
        declared.reference.text,
        declared.unit,
        Decimal(declared.factor),
        Decimal(0),
        np.result_type(*dict.fromkeys(dtypes)),
        clamp=clamp,
        driven=declared.is_command,
    )


def _list_warnings(
    tree: ArrayTree, sampling: _Sampling, channels: Iterable[tuple[DeclaredChannel, Sequence[Trace]]]
) -> Iterator[str]:
    if sampling.first:
        yield f"{tree.key}: its times begin at {sampling.first} s; they count from the first sample"
    for one, sweeps in channels:
        stored = sweeps[0].variable.unit
        # A factor is what turns the file's unit into the declared one.
        if stored and stored != one.unit and one.factor == "1":
            yield f"{tree.key}: {one.reference.text!r} is declared in {one.unit}, and the file says {stored}"
