"""What a second reader says of a raw file, in the same form for every library."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

import numpy as np


class CannotRead(Exception):
    """The library does not read such a file, or not by code of its own; the text says why."""


@dataclass(frozen=True, slots=True)
class SecondRecording:
    """A recording in sweeps, as the library reads it.

    Attributes
    ----------
    lengths
        Samples of each sweep.
    rate, starts, started
        Samples a second; each sweep's start in seconds from the recording's; the header's clock, None where the library
        has none.
    units, scales
        Of each recorded channel: unit, and gain and offset where samples are given as stored; no scales where they
        are given in the unit, as float32.
    read
        ``read(sweep, channel, start, stop)``.
    driven, command_units, read_command
        Outputs that played a command by the library; ``read_command(sweep, output)`` in the output's unit, None where
        the library knows no commands.
    mistakes
        Subject (``start``, ``command 1``) -> why the library is known to be wrong about it in this file, by fields of
        its header.
    """

    lengths: tuple[int, ...]
    rate: float
    starts: tuple[float, ...]
    started: datetime | None
    units: tuple[str, ...]
    scales: tuple[tuple[float, float], ...]
    read: Callable[[int, int, int, int], np.ndarray]
    driven: tuple[int, ...] = ()
    command_units: tuple[str, ...] = ()
    read_command: Callable[[int, int], np.ndarray] | None = None
    mistakes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecondImage:
    """An image as a stack of pages, as the library reads it.

    Attributes
    ----------
    axes, shape
        Letters and extents, slowest first; the axes of a page last. ``q`` is an axis that the file does not name.
    dtype
        Of a sample as stored.
    read_page
        ``read_page(number)``: the page at a place of the leading axes, counted in C order.
    mistakes
        As in `SecondRecording`.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    read_page: Callable[[int], np.ndarray]
    mistakes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecondArrays:
    """Named arrays of a file that is neither a recording nor an image, as the library reads it.

    Attributes
    ----------
    arrays
        As the result has them, by the name that the receipt gives of each (``data``, ``pixels``); times in seconds
        from the session's start. What the result has beside them is not compared.
    times
        (row,) seconds from the session's start of a series; None where rows have none.
    mistakes
        As in `SecondRecording`.
    is_open
        Whether the file does not say which of two axes is which: either order agrees.
    left_out
        A sentence for each part of the file that the library was not asked for, and why.
    """

    arrays: Mapping[str, np.ndarray]
    times: np.ndarray | None = None
    mistakes: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    left_out: tuple[str, ...] = ()


def make_frame_times(frames: np.ndarray, options: Mapping[str, Any]) -> np.ndarray | None:
    """Seconds of frames by the rate that a person states; None where another file has their clock."""
    if "clock" in options:
        return None
    offset = Fraction(str(options.get("clock_offset", "0")))
    return np.asarray(frames / float(Fraction(str(options["frame_rate"]))) + float(offset), np.float64)


def clean_name(name: str) -> str:
    """A name without what NWB does not allow in it."""
    return re.sub(r"[/:\\]", "_", name)
