"""What ABF 1 and ABF 2 headers say, in one form, every count checked against the file's size.

Our own parser instead of pyabf's or neo's: both allocate by the header's counts before
they look at the file, keep maps open (which locks the file on Windows), and are wrong on
dates, holding levels, strings and user lists. The tests use both as independent oracles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from pathlib import PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from ...model.content import Channel, Tag
from ...model.finding import Problem, problem
from . import layout
from .instruments import AMPLIFIERS, DIGITIZERS

MODES = {
    1: "event-driven, variable length",
    2: "event-driven, fixed length",
    3: "gap-free",
    4: "high-speed oscilloscope",
    5: "episodic",
}
TAG_KINDS = {0: "time", 1: "comment", 2: "external", 3: "voice", 4: "new file", 5: "annotation"}
MULTICLAMP = 24
"""The only telegraphing instrument whose nTelegraphMode means its clamp mode."""
CLAMPS = {0: "voltage clamp", 1: "current clamp", 2: "I=0"}
FIRST_YEAR, LAST_YEAR = 1990, 2100

type Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One column of the waveform editor: level in the DAC's unit, duration in samples."""

    number: int
    type: int
    level: float
    level_step: float
    duration: int
    duration_step: int
    period: int = 0
    width: int = 0


@dataclass(frozen=True, slots=True)
class UserList:
    """Values that replace one parameter of the waveform, one a sweep."""

    parameter: int
    values: tuple[float, ...]
    repeat: bool


@dataclass(frozen=True, slots=True)
class Waveform:
    """What the header says of the command that one DAC played.

    `source` 1: the epoch table; 2: the file at `path` (as the acquisition computer knew
    it), scaled by `scale` and shifted by `offset`. `undetermined` says why it cannot be rebuilt.
    """

    dac: int
    source: int
    holding: float
    keep_last: bool
    epochs: tuple[Epoch, ...] = ()
    lists: tuple[UserList, ...] = ()
    path: str = ""
    scale: float = 1.0
    offset: float = 0.0
    episode: int = 0
    undetermined: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """An ABF header of either version.

    `interval` is microseconds between two samples of a channel; `sweeps` holds each
    sweep's start in seconds and its samples a channel; `data_start` is the byte of the first sample.
    """

    version: str
    mode: int
    interval: Fraction
    data_start: int
    dtype: np.dtype[Any]
    adc: tuple[Channel, ...]
    dac: tuple[Channel, ...]
    waveforms: tuple[Waveform, ...]
    sweeps: tuple[tuple[Decimal, int], ...]
    tags: tuple[Tag, ...]
    protocol: str
    started: datetime | None
    facts: Mapping[str, str]
    raw_fields: Mapping[str, Any]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class BoundedFile:
    """A file whose every read is checked against its size."""

    file: BinaryIO
    size: int
    key: str
    warnings: list[str] = field(default_factory=list)

    def read(self, start: int, size: int, what: str) -> bytes:
        """Raises `Problem` (``abf.truncated``) when the file ends before, ``abf.damaged`` for a negative start."""
        if start < 0:
            raise self.make_damaged_problem(f"{what} should begin at byte {start}")
        if start + size > self.size:
            raise problem(
                "abf.truncated",
                f"{self.key}: {what} should end at byte {start + size}, but the file has {self.size} bytes",
                file=self.key,
            )
        self.file.seek(start)
        return self.file.read(size)

    def read_table(self, start: int, count: int, stride: int, row: np.dtype[Any], what: str) -> np.ndarray:
        """`count` rows of a type, `stride` bytes apart; fields behind a short row's end are zero."""
        if count == 0:
            return np.zeros(0, row)
        if not 0 < stride <= 1 << 20:
            raise self.make_damaged_problem(f"an entry of {what} has {stride} bytes")
        if count < 0 or count > self.size // stride:
            raise self.make_count_problem(what, count, stride, start)
        raw = np.frombuffer(self.read(start, count * stride, what), "u1").reshape(count, stride)
        padded = np.zeros((count, row.itemsize), "u1")
        width = min(stride, row.itemsize)
        padded[:, :width] = raw[:, :width]
        return padded.view(row)[:, 0]

    def make_count_problem(self, what: str, count: int, stride: int, start: int) -> Problem:
        """A count beyond the file: a cut copy if the section begins behind the end, else a bad count."""
        if count > 0 and start >= self.size:
            return problem(
                "abf.truncated",
                f"{self.key}: {what} begins at byte {start}, behind the file's {self.size} bytes",
                file=self.key,
            )
        return self.make_damaged_problem(f"{what} has {count} entries of {stride} bytes in a file of {self.size} bytes")

    def make_damaged_problem(self, reason: str) -> Problem:
        """``abf.damaged`` with the file's name."""
        return problem("abf.damaged", f"{self.key}: {reason}", file=self.key)


def decode_text(raw: bytes) -> str:
    """A padded text of a header: up to the first NUL, UTF-8 or else Windows' code page."""
    raw = raw.split(b"\0", 1)[0].strip()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def convert_to_json(value: Any) -> Any:
    """A header field as JSON: float32 by their shortest decimal, NaN and infinity as null."""
    if isinstance(value, np.ndarray):
        return [convert_to_json(v) for v in value]
    if isinstance(value, np.void):
        return {name: convert_to_json(value[name]) for name in value.dtype.names or ()}
    if isinstance(value, bytes):
        return decode_text(value)
    if isinstance(value, np.floating):
        return float(str(value)) if isfinite(value) else None
    return int(value)


def parse_protocol_name(path: str) -> str:
    r"""``L:\Protocols\0203 IV fast.pro`` -> ``0203 IV fast``; nothing for unprintable bytes."""
    return PureWindowsPath(path).stem if path.isprintable() else ""


def parse_start_time(date: int, milliseconds: int, warnings: list[str]) -> datetime | None:
    """The header's date (YYYYMMDD) and time of day; None, with a warning, where it cannot be true.

    Six-digit dates are refused: files with YYMMDD and with DDMMYY both exist.
    """
    if date in (0, -1, 0xFFFFFFFF):
        return None
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    try:
        if not (FIRST_YEAR <= year <= LAST_YEAR and 0 <= milliseconds < 86_400_000):
            raise ValueError(year)
        return datetime(year, month, day) + timedelta(milliseconds=milliseconds)  # noqa: DTZ001 (the header has no zone)
    except ValueError:
        warnings.append(f"the header's date {date} with {milliseconds} ms of the day is no plausible date; left out")
        return None


def compute_gain(file: BoundedFile, name: str, volts: Any, resolution: int, factors: Sequence[Any]) -> Decimal:
    """Units a count: range / resolution / factors, exact, rounded once to float64."""
    values = [float(volts), *map(float, factors)]
    if resolution <= 0 or any(not isfinite(v) or v == 0 for v in values):
        raise file.make_damaged_problem(
            f"the scale of channel {name!r} is impossible (range {volts}, factors {factors})"
        )
    gain = Fraction(values[0]) / resolution
    for factor in values[1:]:
        gain /= Fraction(factor)
    try:
        rounded = float(gain)
    except OverflowError:
        rounded = 0.0
    if rounded == 0:  # beyond float64 at either end
        raise file.make_damaged_problem(
            f"the scale of channel {name!r} is impossible (range {volts}, factors {factors})"
        )
    return Decimal(repr(rounded))


def build_adc_channel(
    file: BoundedFile, index: int, row: Row, volts: Any, resolution: int, dtype: np.dtype[Any]
) -> Channel:
    """A recorded channel; float samples are in its unit already."""
    name = row["name"] or f"channel {index}"
    gain, offset = Decimal(1), Decimal(0)
    enabled = row["nTelegraphEnable"] == 1
    if dtype.kind == "i":
        factors = [row["fInstrumentScaleFactor"], row["fSignalGain"], row["fADCProgrammableGain"]]
        gain = compute_gain(file, name, volts, resolution, factors + [row["fTelegraphAdditGain"]] * bool(enabled))
        shift = float(row["fInstrumentOffset"]) - float(row["fSignalOffset"])
        if not isfinite(shift):
            raise file.make_damaged_problem(f"the offset of channel {name!r} is not a number")
        offset = Decimal(repr(shift)) + 0
    reports = enabled and row["nTelegraphInstrument"] == MULTICLAMP
    clamp = CLAMPS.get(int(row["nTelegraphMode"]), "") if reports else ""
    return Channel(index, name, row["unit"], gain, offset, dtype, int(row["nADCNum"]), clamp)


def build_dac_channel(index: int, terminal: int, name: str, unit: str, level: Any, driven: bool) -> Channel:
    """A command channel. Stimuli are rebuilt in its unit, hence gain 1."""
    holding = Decimal(str(np.float32(level))) if isfinite(level) and abs(level) < 1e6 else None
    return Channel(
        index, name, unit, Decimal(1), Decimal(0), np.dtype("f8"), terminal=terminal, driven=driven, holding=holding
    )


def join_amplifier_names(rows: Sequence[Row]) -> str:
    """Names of the telegraphing instruments."""
    numbers = {int(row["nTelegraphInstrument"]) for row in rows if row["nTelegraphEnable"] == 1}
    return "; ".join(sorted({AMPLIFIERS[number] for number in numbers if number in AMPLIFIERS}))


def get_digitizer_name(number: int) -> str:
    """Name of the digitiser; nothing where the header does not say."""
    return DIGITIZERS.get(number, "")


def cut_sweeps(
    file: BoundedFile,
    mode: int,
    total: int,
    channels: int,
    episodes: int,
    synch: np.ndarray,
    unit: Any,
    interval: Fraction,
) -> tuple[tuple[Decimal, int], ...]:
    """Start (s) and samples a channel of every sweep, from the synch array where there is one.

    Its times are in `unit` microseconds, or in multiplexed samples where that is 0.
    """
    if total <= 0:
        raise problem("abf.empty", f"{file.key} holds no sample", file=file.key)
    if not (isfinite(unit) and 0 <= unit <= 1e9):
        raise file.make_damaged_problem(f"fSynchTimeUnit is {unit}")
    seconds = compute_tick(unit, interval, channels)
    if len(synch):
        starts, lengths = synch["lStart"].astype(np.int64), synch["lLength"].astype(np.int64)
        if mode == 1 and unit and lengths.sum() != total:  # then they are times, not samples
            lengths = np.rint(lengths / float(unit)).astype(np.int64)
    else:
        count = max(1, episodes) if mode in (2, 4, 5) else 1
        if count > total:
            raise file.make_damaged_problem(f"{count} sweeps in {total} samples")
        if count > 1:
            file.warnings.append("no table of sweep starts: sweeps are taken to be equally long and to follow at once")
        lengths = np.full(count, total // count)
        starts = np.arange(count) * (total // count)
        seconds = interval / channels / 10**6
    check_sweeps(file, starts, lengths, total, channels)
    kept = lengths > 0
    return tuple(
        (round_to_nanoseconds(int(start) * seconds), int(length) // channels)
        for start, length in zip(starts[kept], lengths[kept], strict=True)
    )


def check_sweeps(file: BoundedFile, starts: np.ndarray, lengths: np.ndarray, total: int, channels: int) -> None:
    """Refuse sweeps that do not fit the samples; warn of samples in no sweep."""
    used = int(lengths.sum())
    if (lengths < 0).any() or (starts < 0).any() or (lengths % channels).any():
        raise file.make_damaged_problem(
            "the table of sweeps states a negative time or a length that its channels do not divide"
        )
    if used > total:
        raise file.make_damaged_problem(f"the sweeps hold {used} samples together, the data section {total}")
    if (np.diff(starts) < 0).any():
        raise file.make_damaged_problem("the table of sweeps does not ascend in time")
    if used == 0:
        raise problem("abf.empty", f"{file.key}: every sweep is empty", file=file.key)
    if not (lengths > 0).all():
        file.warnings.append(f"{int((lengths == 0).sum())} sweeps are empty and left out")
    if used < total:
        file.warnings.append(f"{total - used} samples at the end of the data belong to no sweep and are left out")


def compute_tick(unit: Any, interval: Fraction, channels: int) -> Fraction:
    """Seconds a unit of the synch array and of tags."""
    return (Fraction(float(unit)) if unit else interval / channels) / 10**6


def round_to_nanoseconds(seconds: Fraction) -> Decimal:
    """A time to the nanosecond, without needless zeros."""
    value = (Decimal(seconds.numerator) / Decimal(seconds.denominator)).quantize(Decimal("1e-9"))
    return Decimal(format(value.normalize(), "f"))


def build_tags(rows: np.ndarray, seconds: Fraction) -> tuple[Tag, ...]:
    """Comments with their times; the same unit as the synch array's."""
    return tuple(
        Tag(
            round_to_nanoseconds(int(r["lTagTime"]) * seconds),
            decode_text(bytes(r["sComment"])),
            TAG_KINDS.get(int(r["nTagType"]), "tag"),
        )
        for r in rows
    )


def parse_sample_type(file: BoundedFile, code: int) -> np.dtype[Any]:
    """0: int16; 1: float32."""
    if code not in (0, 1):
        raise file.make_damaged_problem(f"nDataFormat is {code}; 0 (int16) and 1 (float32) exist")
    return np.dtype("i2" if code == 0 else "f4")


def check_sample_interval(file: BoundedFile, value: Any, channels: int, most: int) -> Fraction:
    """Checked: finite, positive, with a possible number of channels."""
    if not 0 < channels <= most:
        raise file.make_damaged_problem(f"the header states {channels} recorded channels; 1 to {most} are possible")
    if not isfinite(value) or not 1e-3 <= value <= 1e10:
        raise file.make_damaged_problem(f"the sample interval is {value} microseconds")
    return Fraction(float(value))


def check_data_section(file: BoundedFile, start: int, count: int, dtype: np.dtype[Any]) -> None:
    """Refuse a data section that the file does not hold, or that begins in the header."""
    if start < layout.BLOCK or count < 0:
        raise file.make_damaged_problem(f"the data should begin at byte {start} with {count} samples")
    end = start + count * dtype.itemsize
    if end > file.size:
        raise problem(
            "abf.truncated",
            f"{file.key}: the header promises {count} samples up to byte {end}; the file has {file.size} bytes",
            file=file.key,
        )


def compute_rate(interval: Fraction) -> Decimal:
    """Samples a second: the float64 nearest to the interval's inverse, in plain decimal text."""
    return Decimal(np.format_float_positional(float(Fraction(10**6) / interval), trim="-"))


def collect_facts(interval: Fraction, amplifier: str, digitiser: str) -> dict[str, str]:
    """Facts that tables and mappings ask for; what the header does not say is not there."""
    named = {"sampling_rate": str(compute_rate(interval)), "amplifier": amplifier, "digitizer": digitiser}
    return {name: value for name, value in named.items() if value}


def parse_user_list(parameter: int, values: str, repeat: Any, warnings: list[str]) -> UserList:
    """``-200, -150,`` as numbers; none, with a warning, where it does not parse."""
    try:
        numbers = tuple(float(v) for v in values.split(",") if v.strip())
    except ValueError:
        numbers = ()
    if not numbers or not all(map(isfinite, numbers)):
        warnings.append(f"the user list {values[:40]!r} is no list of numbers")
        numbers = ()
    return UserList(parameter, numbers, bool(repeat))
