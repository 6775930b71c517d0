"""Recordings of WaveSurfer, whose HDF5 files say themselves what they are: header, and a group for each sweep.

Written by the layout that the program's own loader documents; no file of a rig was at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import h5py
import numpy as np

from ...model.budget import ARRAY_SWEEPS
from ...model.content import Channel, LazyArray, Recording, Sweep
from ...model.finding import Problem, problem
from ..arrays.hdf5 import OpenArrays, describe_other
from ..arrays.traces import Trace
from ..arrays.tree import Variable
from . import FORMAT

SWEEP = re.compile(r"(?:sweep|trial)_([0-9]{1,9})")
ANALOG, DIGITAL = "analogScans", "digitalScans"
PLACES = {
    "rate": ("AcquisitionSampleRate", "Acquisition/SampleRate"),
    "names": ("AIChannelNames", "Acquisition/AnalogChannelNames"),
    "units": ("AIChannelUnits", "Acquisition/AnalogChannelUnits"),
    "scales": ("AIChannelScales", "Acquisition/AnalogChannelScales"),
    "active": ("IsAIChannelActive", "Acquisition/IsAnalogChannelActive"),
    "coefficients": ("AIScalingCoefficients", "Acquisition/AnalogScalingCoefficients"),
    "lines": ("DIChannelNames", "Acquisition/DigitalChannelNames"),
    "lines_active": ("IsDIChannelActive", "Acquisition/IsDigitalChannelActive"),
    "clock": ("ClockAtRunStart", "ClockAtExperimentStart"),
}
"""Below ``/header``: since version 0.97, and before."""
FULL_SCALE = 2**15
OLDEST_VOLTS = Fraction(10, FULL_SCALE)
"""Volts of a count in files without coefficients."""
MOST_CHANNELS = 1000
HEADER_VALUES = 5000
"""Entries of the header that a result keeps; real ones have some hundreds."""


@dataclass(frozen=True, slots=True)
class _Input:
    """An active analog input: name, unit, and the polynomial that gives volts of a count, divided by volts per unit."""

    name: str
    unit: str
    polynomial: tuple[Fraction, ...]


def find_sweeps(file: h5py.File) -> list[tuple[int, h5py.Group]]:
    """Number and group of each sweep of a file in this layout, in order; none of another file."""
    if not isinstance(file.get("header", getlink=True), h5py.HardLink) or not isinstance(file["header"], h5py.Group):
        return []
    sweeps = []
    for name in file:
        match = SWEEP.fullmatch(name)
        if match and isinstance(file.get(name, getlink=True), h5py.HardLink):
            group = file[name]
            if isinstance(group, h5py.Group) and isinstance(group.get(ANALOG), h5py.Dataset):
                sweeps.append((int(match[1]), group))
    return sorted(sweeps, key=lambda pair: pair[0])[:ARRAY_SWEEPS]


def read_recording(
    opened: OpenArrays, sweeps: Sequence[tuple[int, h5py.Group]], options: Mapping[str, Any]
) -> Recording:
    """The recording of all sweeps, samples as stored.

    Raises
    ------
    Problem
        ``arrays.damaged``: header and samples do not fit each other.
    """
    with opened.translate_errors():
        header = _Header(opened, opened.file["header"])
        inputs = header.read_inputs()
        rate = header.read_number("rate")
        if not 1e-3 < rate < 1e9:
            raise header.make_problem(f"its sample rate is {rate}")
        arrays: dict[str, LazyArray] = {}
        made = [
            _read_sweep(opened, header, arrays, place, group, len(inputs)) for place, (_, group) in enumerate(sweeps)
        ]
        digital = [sweep for sweep in made if len(sweep.responses) > len(inputs)]
        channels = [_build_channel(index, one, options.get("clamp", "")) for index, one in enumerate(inputs)]
        if digital:
            if len(digital) != len(made):
                raise header.make_problem("some sweeps have digital lines, others have none")
            array = arrays[digital[0].responses[len(inputs)]]
            channels.append(Channel(len(inputs), header.name_lines(), "", Decimal(1), Decimal(0), array.dtype))
        described = header.describe()
        started = header.read_clock()
    exact = Decimal(np.format_float_positional(rate, trim="-"))
    return Recording(
        name="",
        format=FORMAT.name,
        facts={"sampling_rate": str(exact)},
        header={"program": "WaveSurfer", "sweeps": [number for number, _ in sweeps], **described},
        arrays=arrays,
        warnings=tuple(_list_warnings(opened.key, inputs)),
        close=opened.close,
        started=started,
        rate=exact,
        adc=tuple(channels),
        sweeps=tuple(made),
    )


class _Header:
    """What stands below ``/header``, in either layout."""

    def __init__(self, opened: OpenArrays, group: h5py.Group) -> None:
        self._opened, self._group = opened, group

    def make_problem(self, message: str) -> Problem:
        """A finding on the file."""
        key = self._opened.key
        return problem("arrays.damaged", f"{key}: as a file of WaveSurfer, {message}", file=key)

    def _find(self, what: str) -> np.ndarray | None:
        for place in PLACES[what]:
            item = self._group.get(place)
            if isinstance(item, h5py.Dataset) and item.shape is not None and item.size <= MOST_CHANNELS * 10:
                return np.asarray(item[()])
        return None

    def _read_texts(self, what: str) -> list[str]:
        found = self._find(what)
        texts = [] if found is None else found.reshape(-1).tolist()
        return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in texts]

    def _read_numbers(self, what: str) -> np.ndarray | None:
        found = self._find(what)
        return found.astype("f8") if found is not None and found.dtype.kind in "biuf" else None

    def read_number(self, what: str) -> float:
        """A number; 0 where there is none."""
        found = self._read_numbers(what)
        return float(found.reshape(-1)[0]) if found is not None and found.size == 1 else 0.0

    def read_inputs(self) -> list[_Input]:
        """Active analog inputs in the order of the samples. Raises `Problem`."""
        names, units, scales = self._read_texts("names"), self._read_texts("units"), self._read_numbers("scales")
        count = len(names)
        if not 0 < count <= MOST_CHANNELS or len(units) != count or scales is None or scales.size != count:
            raise self.make_problem(
                f"its header has {count} names, {len(units)} units and not as many scales of inputs"
            )
        flags, scale = self._read_numbers("active"), scales.reshape(-1)
        active = np.ones(count) if flags is None else flags.reshape(-1)
        coefficients = self._read_numbers("coefficients")
        if active.size != count or not np.isfinite(scale).all() or not scale.all():
            raise self.make_problem("its inputs have no scale, or nothing says which are active")
        if coefficients is not None and (coefficients.ndim != 2 or len(coefficients) != count):
            raise self.make_problem(f"it has coefficients {list(coefficients.shape)} of {count} inputs")
        if coefficients is not None and not np.isfinite(coefficients).all():
            raise self.make_problem("its coefficients are no numbers")
        inputs = []
        for place in np.flatnonzero(active):
            volts = [Fraction(0), OLDEST_VOLTS] if coefficients is None else map(Fraction, coefficients[place].tolist())
            polynomial = tuple(volt / Fraction(float(scale[place])) for volt in volts)
            inputs.append(_Input(names[place].strip(), units[place].strip(), polynomial))
        return inputs

    def name_lines(self) -> str:
        """Names of the digital lines, which share a number, the first in its lowest bit."""
        names, flags = self._read_texts("lines"), self._read_numbers("lines_active")
        active = flags.reshape(-1) if flags is not None and flags.size == len(names) else np.ones(len(names))
        lines = [name for name, is_active in zip(names, active, strict=True) if is_active]
        return "digital lines" + (f" (bits from the lowest: {', '.join(lines)})"[:200] if lines else "")

    def read_clock(self) -> datetime | None:
        """When the run began, by the machine's clock: year, month, day, hour, minute, second."""
        found = self._read_numbers("clock")
        if found is None or found.size != 6 or not np.isfinite(found).all():
            return None
        year, month, day, hour, minute, second = found.reshape(-1).tolist()
        try:
            whole = datetime(int(year), int(month), int(day), int(hour), int(minute))  # noqa: DTZ001 (the lab's time)
            return whole + timedelta(seconds=round(second, 6))
        except (ValueError, OverflowError):
            return None

    def describe(self) -> dict[str, Any]:
        """All of the header that is numbers and texts, by place."""
        described: dict[str, Any] = {}

        def add(name: str, item: h5py.Group | h5py.Dataset) -> bool | None:
            if isinstance(item, h5py.Dataset) and item.shape is not None and 0 < item.size <= MOST_CHANNELS:
                if item.dtype.kind in "biuf":
                    described[name] = np.asarray(item[()], "f8").reshape(-1).tolist()
                elif h5py.check_string_dtype(item.dtype) is not None:
                    values = np.asarray(item[()]).reshape(-1).tolist()
                    described[name] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
            return True if len(described) >= HEADER_VALUES else None

        self._group.visititems(add)
        plain = {name: values[0] if len(values) == 1 else values for name, values in described.items()}
        return {"header": {name: _make_json(value) for name, value in plain.items()}}


def _make_json(value: Any) -> Any:
    """Without infinities and NaN, which JSON does not have."""
    if isinstance(value, list):
        return [_make_json(one) for one in value]
    return repr(value) if isinstance(value, float) and not np.isfinite(value) else value


def _read_sweep(
    opened: OpenArrays, header: _Header, arrays: dict[str, LazyArray], number: int, group: h5py.Group, count: int
) -> Sweep:
    """A sweep; its traces are added to `arrays`."""
    scans = group[ANALOG]
    if describe_other(scans) or scans.ndim != 2 or scans.dtype.kind != "i" or scans.shape[0] != count:
        shape = list(scans.shape or ())
        raise header.make_problem(f"{group.name} has samples {shape} of type {scans.dtype}, for {count} active inputs")
    length = scans.shape[1]
    if not length:
        raise header.make_problem(f"{group.name} has no sample")
    variables: list[tuple[Variable, int]] = [(opened.make_variable(scans.name, scans), row) for row in range(count)]
    lines = group.get(DIGITAL)
    if isinstance(lines, h5py.Dataset) and not describe_other(lines) and lines.size:
        if lines.shape != (1, length) or lines.dtype.kind != "u":
            raise header.make_problem(f"{lines.name} has {list(lines.shape)} digital samples for {length} scans")
        variables.append((opened.make_variable(lines.name, lines), 0))
    responses = {}
    for index, (variable, row) in enumerate(variables):
        name = f"sweep{number:03d}/adc{index}"
        arrays[name] = Trace(variable, (row, None)).make_array(name)
        responses[index] = name
    return Sweep(number, _read_start(header, group), length, responses)


def _read_start(header: _Header, group: h5py.Group) -> Decimal:
    """Seconds from the run's start. Raises `Problem`."""
    item = group.get("timestamp")
    stamp = np.asarray(item[()]).reshape(-1) if isinstance(item, h5py.Dataset) and item.size == 1 else np.zeros(0)
    if stamp.size != 1 or stamp.dtype.kind != "f" or not 0 <= stamp[0] < 1e9:
        raise header.make_problem(f"{group.name} does not say when it began (timestamp)")
    return Decimal(repr(float(stamp[0])))


def _build_channel(index: int, known: _Input, clamp: str) -> Channel:
    """The linear part of the polynomial, as float64 holds it: no other is stated in NWB."""
    offset, gain = (*known.polynomial, Fraction(0), Fraction(0))[:2]
    return Channel(
        index,
        known.name,
        known.unit,
        Decimal(repr(float(gain))),
        Decimal(repr(float(offset))),
        np.dtype("i2"),
        clamp=clamp,
    )


def _list_warnings(key: str, inputs: Sequence[_Input]) -> Iterator[str]:
    """What a straight line leaves out of the device's polynomial, at the ends of its range."""
    for one in inputs:
        beyond = one.polynomial[2:]
        most = sum(abs(part) * FULL_SCALE ** (power + 2) for power, part in enumerate(beyond))
        if most:
            counts = float(most / abs(one.polynomial[1] or 1))
            differs = f"the device's curve differs by {float(most):.3g} {one.unit} ({counts:.3g} counts) at most"
            yield f"{key}: input {one.name!r} is scaled by a straight line; {differs}"
