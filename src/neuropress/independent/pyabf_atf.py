"""ATF by pyABF: samples in their unit (float32), units, sweeps and channels, starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pyabf import ATF

from .reading import CannotRead, SecondRecording

TITLE = re.compile(r"Trace #([0-9]+) \(([^()]*)\)")
CLOSE = 1e-6
"""Part of a rate that float32 times leave open."""


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording:
    """See `neuropress.independent.SecondReaderModule`."""
    atf = ATF(str(path))
    titles = [TITLE.fullmatch(label) for label in atf.columnLabelsY]
    if not all(titles):
        raise CannotRead("pyABF gives titles that do not name sweep and unit as Clampfit's do")
    numbers = [int(title[1]) for title in titles if title]
    if numbers != sorted(numbers):
        raise CannotRead("pyABF takes columns sweep by sweep, which these titles are not")
    starts = atf.header.get("SweepStartTimesMS", [])
    seconds = [float(start) / 1000 for start in (starts if isinstance(starts, list) else [starts])]
    mistakes = dict(_find_mistakes(atf, len(seconds)))

    def read_samples(sweep: int, channel: int, start: int, stop: int) -> np.ndarray:
        return np.asarray(atf.data[sweep * atf.channelCount + channel, start:stop])

    return SecondRecording(
        lengths=(int(atf.sweepPointCount),) * int(atf.sweepCount),
        rate=float(atf.dataRate),
        starts=tuple(seconds if "start" not in mistakes else [0.0] * atf.sweepCount),
        started=None,
        units=tuple(title[2].strip() for title in titles[: atf.channelCount] if title),
        scales=(),
        read=read_samples,
        mistakes=mistakes,
    )


def _find_mistakes(atf: Any, starts: int) -> Iterator[tuple[str, str]]:
    """What pyABF is known to read wrong in files with such a header and such times."""
    first, second = float(atf.dataX[0]), float(atf.dataX[1])
    rate = 1 / second if second else 0.0
    if atf.columnLabelX != "Time (s)" or first or abs(rate - atf.dataRate) > CLOSE * rate:
        times = f"{atf.columnLabelX}: {first:g}, {second:g}"
        yield "rate", f"pyABF takes the rate from the second time alone, as a whole number ({times})"
    if starts != atf.sweepCount:
        yield "start", f"pyABF has not one start for each of {atf.sweepCount} sweeps (SweepStartTimesMS)"
