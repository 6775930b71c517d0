"""What a column of a behaviour table is: by the unit in its name, or as a person states it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

type Role = Literal["value", "time", "start", "stop", "frame", "text", "ignore", "blank"]

SECONDS = {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "ns": "0.000000001", "min": "60"}
"""Seconds of a unit of time, exact."""
LENGTHS = {"m": "meters", "cm": "centimeters", "mm": "millimeters", "um": "micrometers", "px": "pixels"}
"""Units of places, as NWB names them."""
UNITS = {
    **LENGTHS, **{unit: unit for unit in SECONDS}, "pixel": "pixels", "pixels": "pixels", "m/s": "m/s", "cm/s": "cm/s",
    "mm/s": "mm/s", "deg": "degrees", "rad": "radians", "deg/s": "degrees/s", "rad/s": "radians/s", "Hz": "Hz",
    "hz": "Hz", "V": "volts", "mV": "millivolts", "g": "g", "%": "percent", "a.u.": "a.u.", "au": "a.u.", "1": "1",
    "count": "count",
}  # fmt: skip
"""Units as people write them and as the result has them; S is no second, M no metre."""
LEAST_SUFFIX = 2
"""Letters of a unit behind ``_``: ``paw_m`` and ``trial_s`` may mean anything."""
ROLES = ("frame", "text", "ignore")
TIMES = {
    "time": {"time", "t", "timestamp", "timestamps"},
    "start": {"start", "start_time", "onset"},
    "stop": {"stop", "stop_time", "end", "end_time"},
}
FRAMES = {"frame", "frames", "frame_number", "frame_index"}
BRACKETS = re.compile(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]")
AXES = re.compile(r"(?:(.*)[_ .])?([xyz])", re.IGNORECASE)
"""Names of the coordinates of a point."""
RATIO = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?(/[1-9][0-9]{0,14})?")


@dataclass(frozen=True, slots=True)
class Described:
    """A column whose meaning is known: `name` without its unit, `unit` as the result has it."""

    name: str
    unit: str
    role: Role = "value"

    @property
    def is_time(self) -> bool:
        """Whether rows have their time from it."""
        return self.role in ("time", "start", "frame")


def find_delimiter(line: str) -> str:
    """The most frequent of tab, semicolon and comma."""
    return max("\t;,", key=line.count)


def split_line(line: str) -> list[str]:
    """Cells of a line without regard to quotes, to recognise a file."""
    return [cell.strip().strip('"') for cell in line.split(find_delimiter(line))]


def is_deeplabcut(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table begins with the rows that DeepLabCut writes."""
    return [row[0] if row else "" for row in rows[:2]] in (["scorer", "bodyparts"], ["scorer", "individuals"])


def describe_header(names: Sequence[str], stated: Mapping[str, Described]) -> list[Described | None]:
    """What each column is; None where neither its name nor a person says it."""
    return [stated.get(name.strip()) or _describe_name(name.strip()) for name in names]


def _describe_name(name: str) -> Described | None:
    if name.lower() in FRAMES:
        return Described(name, "", "frame")
    if match := BRACKETS.fullmatch(name):
        unit = match[2].strip().replace("\u00b5", "u").replace("\u03bc", "u")
        return _describe_value(match[1], unit) if match[1] else None
    parts = name.split("_")
    for count in (3, 2, 1):
        base = "_".join(parts[:-count])
        match parts[-count:]:
            case [above, "per", below]:
                unit = f"{above}/{below}"
            case [above, "s"]:
                unit = f"{above}/s"
            case [unit]:
                pass
            case _:
                continue
        is_axis_of_time = any(base.lower() in names for names in TIMES.values())
        is_plain = base and not base.lower().endswith("per") and (len(unit) >= LEAST_SUFFIX or is_axis_of_time)
        if is_plain and (column := _describe_value(base, unit)):
            return column
    return None


def _describe_value(name: str, unit: str) -> Described | None:
    if unit not in UNITS:
        return None
    if unit in SECONDS:
        for role in ("time", "start", "stop"):
            if name.strip().lower() in TIMES[role]:
                return Described(name, unit, role)
    return Described(name, UNITS[unit])


def parse_columns(text: str) -> dict[str, Described]:
    """The option ``columns``: ``NAME = UNIT | time UNIT | start UNIT | stop UNIT | frame | text | ignore; ...``.

    Raises
    ------
    ValueError
        An entry says nothing of the kind.
    """
    stated: dict[str, Described] = {}
    for entry in filter(str.strip, text.split(";")):
        name, equals, meaning = (part.strip() for part in entry.rpartition("="))
        words = meaning.split()
        if not equals or name in stated:
            raise ValueError(f"has {entry.strip()[:80]!r}, which is no NAME = MEANING of one more column")
        stated[name] = _parse_meaning(name, words)
    return stated


def _parse_meaning(name: str, words: Sequence[str]) -> Described:
    match list(words):
        case ["frame" | "text" | "ignore" as role]:
            return Described(name, "", role)
        case ["time" | "start" | "stop" as role, unit] if unit in SECONDS:
            return Described(name, unit, role)
        case [unit] if unit in UNITS:
            described = _describe_name(name)
            return Described(described.name if described else name, UNITS[unit])
    times = f"time, start or stop with one of {', '.join(SECONDS)}"
    known = f"a unit ({', '.join(UNITS)}), {times}, {', '.join(ROLES)}"
    raise ValueError(f"says {' '.join(words)[:80]!r} of the column {name[:80]!r}; known: {known}")


def check_columns(text: str) -> str:
    """What is wrong with the option ``columns``; "" for nothing."""
    try:
        parse_columns(text)
    except ValueError as error:
        return str(error)
    return ""


def check_ratio(text: str) -> str:
    """What is wrong with a decimal or ratio as text; "" for nothing."""
    return "" if RATIO.fullmatch(text) else f"must be a decimal or a ratio (30, 29.97, 30000/1001), not {text[:80]!r}"


def check_rate(text: str) -> str:
    """What is wrong with a rate; "" for nothing."""
    return check_ratio(text) or ("" if parse_ratio(text) > 0 else f"must be above 0, not {text!r}")


def parse_ratio(text: str) -> Fraction:
    """The exact value of ``29.97`` or ``30000/1001``."""
    number, _, below = text.partition("/")
    return Fraction(number) / Fraction(below or 1)
