"""Files of named arrays as another library reads them, by the declaration that a person wrote for them.

The declaration is read here once more, by other code than the readers': what both understand of it is compared, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .declared_behavior import read_behavior
from .reading import CannotRead, SecondArrays, SecondImage, SecondRecording

_ENTRY = re.compile(r"\s*(?P<path>[^\[\]]+|.+?)\s*(?:\[(?P<axes>[ts0-9, ]+)\])?\s*=\s*(?P<meaning>[^=]*)")
_SCALE = {"Hz": "1", "kHz": "1e3", "MHz": "1e6", "s": "1", "sec": "1", "ms": "1e-3", "us": "1e-6"}
_DIGITS = 1e-6
"""Part of a rate that the last digits of printed times leave open."""

type Load = Callable[[str], np.ndarray]
"""An array by its path; raises `KeyError`, `CannotRead`."""
type ListPaths = Callable[[], list[str]]
"""Paths of all arrays."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """(sweep, sample) of one channel, its unit and factor."""

    samples: list[np.ndarray]
    unit: str
    factor: float
    is_command: bool


def read_declared(
    load: Load, paths: ListPaths, options: Mapping[str, Any], content: str
) -> SecondRecording | SecondImage | SecondArrays:
    """What the options declare, of arrays that `load` gives and `paths` lists."""
    if "columns" in options:
        return read_behavior(load, options, content)
    if "pixels" in options:
        return _read_image(load(str(options["pixels"])), str(options.get("axes", "")))
    if "channels" not in options and "axes" in options and len(only := paths()) == 1:  # a file of one array
        return _read_image(load(only[0]), str(options["axes"]))
    if "channels" not in options:
        raise CannotRead("nobody declares what its arrays are, and no other library knows it")
    channels = [_read_channel(entry, load, paths) for entry in str(options["channels"]).split(";") if entry.strip()]
    recorded = [channel for channel in channels if not channel.is_command]
    played = [channel for channel in channels if channel.is_command]
    count = max(len(channel.samples) for channel in recorded)
    rate, firsts = _read_rate(load, paths, options)
    interval = float(options.get("sweep_interval", 0))
    starts = [interval * sweep for sweep in range(count)]
    if "sweep_interval" not in options and len(firsts) == count:
        starts = [first - firsts[0] for first in firsts]

    def read_command(sweep: int, output: int) -> np.ndarray:
        samples = played[output].samples
        return samples[min(sweep, len(samples) - 1)]

    return SecondRecording(
        lengths=tuple(len(samples) for samples in recorded[0].samples),
        rate=rate,
        starts=tuple(starts),
        started=None,
        units=tuple(channel.unit for channel in recorded),
        scales=tuple((channel.factor, 0.0) for channel in recorded),
        read=lambda sweep, channel, start, stop: recorded[channel].samples[sweep][start:stop],
        driven=tuple(range(len(played))),
        command_units=tuple(channel.unit for channel in played),
        read_command=read_command if played and all(channel.factor == 1 for channel in played) else None,
    )


def _read_image(pixels: np.ndarray, axes: str) -> SecondImage:
    if not axes:
        raise CannotRead("the axes stand in the file, in a way that is not compared")
    letters = tuple(axes)
    lead = [i for i, axis in enumerate(letters) if axis not in "yxs"]
    order = [*lead, *(letters.index(axis) for axis in "yxs" if axis in letters)]
    ordered = pixels.transpose(order)
    pages = ordered.reshape(-1, *ordered.shape[len(lead) :])
    shown = tuple(letters[i] for i in order)
    return SecondImage(shown, ordered.shape, pixels.dtype.newbyteorder("="), lambda number: pages[number])


def _read_channel(entry: str, load: Load, paths: ListPaths) -> _Channel:
    match = _ENTRY.fullmatch(entry)
    if not match:
        raise CannotRead(f"the entry {entry[:80]!r} is not understood")
    words = match["meaning"].split()
    is_command = words[-1] == "command"
    words = words[:-1] if is_command else words
    factor = float(words[0]) if len(words) > 1 else 1.0
    samples = _find_rows(match["path"].strip(), match["axes"] or "", load, paths)
    return _Channel(samples, words[-1], factor, is_command)


def _find_rows(path: str, axes: str, load: Load, paths: ListPaths) -> list[np.ndarray]:
    """(sample,) of each sweep."""
    if "*" in path:
        pattern = re.compile("[^/]*".join(map(re.escape, path.split("*"))))
        names = sorted(
            filter(pattern.fullmatch, paths()), key=lambda name: [int(n) for n in re.findall(r"[0-9]+", name)]
        )
    else:
        names = [path]
    rows: list[np.ndarray] = []
    for name in names:
        array = load(name)
        if not axes:
            rows.append(array.reshape(-1))
            continue
        letters = [part.strip() for part in axes.split(",")]
        kept = [letter for letter in letters if letter in ("t", "s")]
        part = array[tuple(slice(None) if letter in ("t", "s") else int(letter) for letter in letters)]
        rows += list(part.T if kept == ["t", "s"] else part) if len(kept) == 2 else [part]
    return rows


def _list_numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"[0-9]+", name)]


def _read_rate(load: Load, paths: ListPaths, options: Mapping[str, Any]) -> tuple[float, list[float]]:
    """Samples a second, and the first time of each sweep in seconds."""
    if "time" in options:
        text, _, unit = str(options["time"]).rpartition(" ")
        match = _ENTRY.fullmatch(f"{text} = x")
        assert match is not None
        rows = _find_rows(match["path"].strip(), match["axes"] or "", load, paths)
        scale = float(_SCALE[unit])
        rate = (len(rows[0]) - 1) / (float(rows[0][-1]) - float(rows[0][0])) / scale
        short = float(f"{rate:.6g}")
        return short if abs(short - rate) < _DIGITS * rate else rate, [float(row[0]) * scale for row in rows]
    text = str(options["rate"]).strip()
    if re.fullmatch(r"[0-9./]+", text):
        return float(Fraction(text)), []
    path, _, unit = text.rpartition(" ")
    number = float(load(path.strip()).reshape(-1)[0])
    scaled = number * float(_SCALE[unit])
    return scaled if unit.endswith("Hz") else 1 / scaled, []
