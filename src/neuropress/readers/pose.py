"""Tracked points as readers of every tracking program give them: a series a point, with its confidence and its frames.

`behavior_csv`, `deeplabcut` and `sleap` share this, so that a point has one form wherever it comes from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from ..model.content import Channel, Content, LazyArray, Series
from .behavior_csv.columns import parse_ratio

NO_RATE = "its frames have no times"


class Undeclared(Exception):
    """The file does not say what it holds, and nobody states it: what is missing, and what to add."""


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
