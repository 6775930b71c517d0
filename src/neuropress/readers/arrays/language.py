"""The language in which a person says what the arrays of a file are.

An array is called by its path (``data/V``). Behind it, brackets may say what its axes are: ``t`` is time, ``s`` are
sweeps, a number is one place of the axis, counted from 0 (``data[t,0]``). ``*`` stands for any part of one name: each
array that fits is a sweep.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

SECONDS = {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "\u00b5s": "0.000001", "\u03bcs": "0.000001"}
"""Seconds of a unit of time, exact."""
HERTZ = {"Hz": "1", "kHz": "1000", "MHz": "1000000"}
RATIO = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?(/[1-9][0-9]{0,14})?")
FACTOR = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?")
MAX_STARS = 4
"""Wildcards of one path, each of which multiplies the steps of a comparison."""
MAX_CHARS = 500
PLACEHOLDER = "UNIT"
"""What a draft has where a person says the unit."""
_BRACKETS = re.compile(r"(.+?)\s*\[([ts0-9,\s]*)\]")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Reference:
    """Arrays of a file, and what their axes are.

    Attributes
    ----------
    path
        As the file names it; ``*`` for any part of a name.
    axes
        ``t``, ``s`` or a place for each axis; empty where a person did not say.
    """

    path: str
    axes: tuple[str | int, ...] = ()

    @property
    def text(self) -> str:
        """As a person writes it."""
        return f"{self.path}[{','.join(map(str, self.axes))}]" if self.axes else self.path

    def compile_pattern(self) -> re.Pattern[str]:
        """What fits the path, with a group for each ``*``."""
        return re.compile("([^/]*)".join(map(re.escape, self.path.split("*"))))


@dataclass(frozen=True, slots=True)
class DeclaredChannel:
    """One entry of the option ``channels``: a stored number times `factor` is in `unit`."""

    reference: Reference
    unit: str
    factor: str
    is_command: bool


def parse_reference(text: str) -> Reference:
    """``PATH`` or ``PATH[t,s]``. Raises `ValueError`."""
    text = text.strip()
    if not text or len(text) > MAX_CHARS:
        raise ValueError(f"has {text[:_SHOWN]!r} where the name of an array belongs")
    if text.count("*") > MAX_STARS:
        raise ValueError(f"has more than {MAX_STARS} * in {text[:_SHOWN]!r}")
    match = _BRACKETS.fullmatch(text)
    if not match:
        return Reference(text)
    parts = [part.strip() for part in match[2].split(",")]
    is_whole = all(part in ("t", "s") or (part.isdigit() and len(part) < 10) for part in parts)
    if not is_whole or parts.count("t") != 1 or parts.count("s") > 1:
        what = "one t (time), at most one s (sweeps) and numbers, one for each axis"
        raise ValueError(f"has {text[:_SHOWN]!r}; in brackets stand {what}: V[t,s]")
    axes = tuple(part if part in ("t", "s") else int(part) for part in parts)
    if "s" in axes and "*" in match[1]:
        raise ValueError(f"has {text[:_SHOWN]!r}: sweeps are either arrays (*) or an axis (s), not both")
    return Reference(match[1], axes)


def split_entries(text: str) -> list[tuple[str, str]]:
    """``NAME = MEANING; NAME = MEANING`` in pairs. Raises `ValueError`."""
    pairs: list[tuple[str, str]] = []
    for entry in filter(str.strip, text.split(";")):
        name, equals, meaning = (part.strip() for part in entry.rpartition("="))
        if not equals or not name or name in dict(pairs):
            raise ValueError(f"has {entry.strip()[:_SHOWN]!r}, which is no NAME = MEANING of one more array")
        pairs.append((name, meaning))
    if not pairs:
        raise ValueError("names no array")
    return pairs


def parse_channels(text: str) -> tuple[DeclaredChannel, ...]:
    """The option ``channels``: ``NAME = UNIT``, with a factor before it, or ``command`` behind. Raises `ValueError`."""
    channels = []
    for name, meaning in split_entries(text):
        words = meaning.split()
        is_command = words[-1:] == ["command"]
        words = words[:-1] if is_command else words
        factor = words.pop(0) if len(words) == 2 and FACTOR.fullmatch(words[0]) else "1"
        if words == [PLACEHOLDER]:
            raise ValueError(f"still says {PLACEHOLDER} of {name[:_SHOWN]!r}; write the unit of its numbers (mV, pA)")
        if len(words) != 1 or len(words[0]) > 40 or FACTOR.fullmatch(words[0]) or not Fraction(factor):
            known = "a unit (mV, pA), a factor and a unit (0.305 pA), and command behind it for what was played"
            raise ValueError(f"says {meaning[:_SHOWN]!r} of {name[:_SHOWN]!r}; known: {known}")
        channels.append(DeclaredChannel(parse_reference(name), words[0], factor, is_command))
    if all(channel.is_command for channel in channels):
        raise ValueError("names commands only; which array was recorded?")
    return tuple(channels)


def parse_times(text: str) -> tuple[Reference, str]:
    """The option ``time``: an array and the unit of its numbers (``t ms``). Raises `ValueError`."""
    name, _, unit = text.strip().rpartition(" ")
    if unit not in SECONDS or not name.strip():
        raise ValueError(f'must be an array and one of {", ".join(list(SECONDS)[:4])}, as in "t ms", not {text[:80]!r}')
    return parse_reference(name), SECONDS[unit]


def parse_rate(text: str) -> Fraction | tuple[Reference, str]:
    """The option ``rate``: a number of hertz, or an array of one number and its unit. Raises `ValueError`."""
    text = text.strip()
    if RATIO.fullmatch(text):
        rate = parse_ratio(text)
        if rate <= 0:
            raise ValueError(f"must be above 0, not {text!r}")
        return rate
    name, _, unit = text.rpartition(" ")
    if not name.strip() or unit not in (*HERTZ, *SECONDS):
        raise ValueError(f'must be as "20000", "30000/1001", "fs Hz" or "dt ms", not {text[:_SHOWN]!r}')
    return parse_reference(name), unit


def parse_ratio(text: str) -> Fraction:
    """The exact value of ``29.97`` or ``30000/1001``."""
    number, _, below = text.partition("/")
    return Fraction(number) / Fraction(below or 1)


def complain(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A check of an option: what a parser finds wrong with its text; "" for nothing."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            return str(error)
        return ""

    return check


def parse_positive(text: str) -> Fraction:
    """A decimal or ratio above 0. Raises `ValueError`."""
    if not RATIO.fullmatch(text.strip()) or not parse_ratio(text.strip()):
        raise ValueError(f"must be a decimal or a ratio above 0 (30, 29.97, 30000/1001), not {text[:_SHOWN]!r}")
    return parse_ratio(text.strip())


def format_options(key: str, options: Mapping[str, str], comments: Sequence[str] = ()) -> str:
    """A block of ``neuropress.toml`` as a person pastes it."""
    plain = ("".join(c if c.isprintable() else " " for c in comment) for comment in comments)
    lines = [f"[options.{_quote(key)}]", *(f"# {comment}" for comment in plain)]
    return "\n".join([*lines, *(f"{name} = {_quote(value)}" for name, value in options.items())])


def _quote(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
