"""Tracked points as readers of every tracking program give them: a series a point, with its confidence and its frames.

`behavior_csv`, `deeplabcut` and `sleap` share this, so that a point has one form wherever it comes from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.content import Channel, Content, LazyArray, Series
from ...model.source import Source
from ..behavior_csv import VIDEO
from ..behavior_csv.columns import parse_ratio
from ..hdf5.guard import GuardFindings
from ..hdf5.opened import GuardedFile

NO_RATE = "its frames have no times"
FINDINGS = GuardFindings("pose.unsafe", "pose.damaged")


class Undeclared(Exception):
    """The file does not say what it holds, and nobody states it: what is missing, and what to add."""


def read_points(source: Source, format: str, make: Callable[[GuardedFile], Sequence[Content]]) -> tuple[Content, ...]:
    """A series a point of a tracking program's HDF5 file, which `make` finds in it.

    Of a file that does not say all, and `make` raises `Undeclared`, a plain content with ``undeclared`` in its header.

    Raises
    ------
    Problem
        ``pose.damaged``, ``pose.unsafe``.
    """
    opened = GuardedFile(source, FINDINGS)
    try:
        return opened.read_contents(make)
    except Undeclared as why:
        return make_undeclared(format, why)


def name_video(options: Mapping[str, Any], named: str) -> dict[str, str]:
    """The video that was tracked, as a person states it, else as the file names it: never with its folders."""
    if VIDEO.name in options:
        return {"stated_video": str(options[VIDEO.name])}
    name = re.split(r"[/\\\\]", named)[-1]
    return {"video": name} if name else {}


def find_stem(key: str, scorer: str) -> str:
    """Name of the video in that of DeepLabCut's file, which puts its scorer behind it; "" where it does not."""
    stem, found, _ = PurePosixPath(key).stem.partition(scorer)
    return stem if found and scorer else ""


def name_point(individual: str, node: str) -> str:
    """The name of a point's content; NWB allows no slash, backslash or colon in names."""
    return re.sub(r"[/:\\]", "_", f"{individual}_{node}" if individual else node)


def make_undeclared(format: str, why: Undeclared) -> tuple[Content, ...]:
    """What a reader gives of a file of which nothing can be made: a plain content that says why."""
    return (Content("", format, {}, {"undeclared": str(why)}, {}),)


def ask_for_options(key: str, options: Mapping[str, str]) -> str:
    """What to type into ``neuropress.toml``."""
    rate = ' (no rate where a column\'s UNIT is "time ms")' if "frame_rate" in options and len(options) > 1 else ""
    entries = ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in options.items())
    return f"add under [options.{json.dumps(key, ensure_ascii=False)}]: {entries}{rate}"


def find_rate(times: np.ndarray, clock: Mapping[str, str]) -> tuple[Decimal, str] | None:
    """Samples per second and the exact seconds of the first of times that are evenly spaced; None of others.

    Parameters
    ----------
    times
        (sample,) as stored.
    clock
        Exact seconds of one step (``clock``).
    """
    steps = np.unique(np.diff(times))
    if times.dtype.kind != "i" or len(times) < 3 or len(steps) != 1 or steps[0] <= 0:
        return None
    scale = Fraction(clock["clock"])
    start = int(times[0]) * scale
    step = int(steps[0]) * scale
    return Decimal(step.denominator) / Decimal(step.numerator), str(start)


def check_names(series: Sequence[Series]) -> Sequence[Series]:
    """The series; of points whose names become one in NWB nothing can be made. Raises `Undeclared`."""
    names = Counter(one.name for one in series)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise Undeclared(f"two of its points are called {twice[:80]!r}; rename one")
    return series


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of which a file has points, and the clock that a person states of them.

    `numbers` is (frame,) int64, or empty, and then there are `count` from 0.
    """

    format: str
    count: int
    clock: Mapping[str, str]
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0, "<i8"))

    def make_series(self, name: str, header: Mapping[str, Any], arrays: Mapping[str, LazyArray], axes: str) -> Series:
        """The series of one point, whose positions are the array ``data`` along `axes` (``xy``, ``xyz``)."""
        dtype = arrays["data"].dtype
        channels = tuple(
            Channel(place, axis, "pixels", Decimal(1), Decimal(0), dtype) for place, axis in enumerate(axes)
        )
        facts = {"rows": str(self.count)}
        whole = {**self.clock, "columns": [f"{name}_{axis}" for axis in axes], "is_place": True, **header}
        known = find_rate(self.numbers if self.numbers.size else np.arange(3), self.clock)
        made = Series(name, self.format, facts, whole, dict(arrays), array="data", channels=channels)
        if known:
            return replace(made, rate=known[0], header={**whole, "start": known[1]})
        numbers = self.numbers
        times = LazyArray("time", numbers.shape, numbers.dtype, ("sample",), numbers.__getitem__, numbers.shape)
        return replace(made, arrays={**arrays, "time": times}, timestamps="time", scale=self.clock["clock"])


def state_clock(key: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Exact seconds of one frame. Raises `Undeclared` without a rate."""
    if "frame_rate" not in options:
        raise Undeclared(f"{NO_RATE}; {ask_for_options(key, {'frame_rate': 'RATE'})}")
    return {"clock": str(1 / parse_ratio(options["frame_rate"]))}
