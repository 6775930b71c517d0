"""When the frames of a movie were taken, where its file says it of each one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from neuropress.model.clock import Clock
from neuropress.model.content import Image
from neuropress.model.plan import ArraySpec, Field

from . import Job

_PART_OF_INTERVAL = 1e-6
"""What a frame may lie beside an even grid: no camera keeps time as well, so it is rounding."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The stored times of a movie's frames.

    Attributes
    ----------
    clock
        Makes seconds from the session's start of them, or from the file's own beginning where its clock is not
        believed.
    first
        Seconds of the first frame, on that clock.
    rate
        Frames a second; None where they are not evenly spaced.
    count
        Number of frames.
    """

    clock: Clock
    first: float
    rate: float | None
    count: int

    def add_to(self, job: Job, image: Image, fields: dict[str, Field]) -> dict[str, ArraySpec]:
        """Put rate or times into the fields of a series; the arrays that it gets.

        Even times are a rate and a start in NWB, which its validators ask for; others are written one by one.
        """
        source = job.make_fact_ref("frame_times", f"{self.count} times, {self.clock}")
        if self.rate is not None:
            fields["rate"] = Field(self.rate, "imaging:rate", "frame_times", (source,))
            return {}
        for name in ("rate", "starting_time"):
            fields.pop(name, None)
        return {"timestamps": ArraySpec.of(job.source, image, image.timestamps, clock=self.clock)}


def read_frame_times(image: Image, delay: Fraction | None) -> FrameTimes | None:
    """The times of an image's frames; None where its file has none, or one only.

    Parameters
    ----------
    delay
        Seconds from the session's start to what the times count from; None where that is not known.
    """
    if not image.timestamps or image.arrays[image.timestamps].shape[0] < 2:
        return None
    import numpy as np  # not above: checking tables imports every converter, and needs no array

    lazy = image.arrays[image.timestamps]
    stored = lazy.read((slice(0, lazy.shape[0]),))
    clock = Clock(image.scale)
    if delay is not None:
        clock = replace(clock, offset=str(delay))
    seconds = clock.seconds(stored)
    count = len(seconds)
    interval = (seconds[-1] - seconds[0]) / (count - 1)
    beside = np.abs(seconds - (seconds[0] + interval * np.arange(count))).max()
    # A time is rounded to its own unit where it is a whole number, and to a float64 everywhere.
    rounding = float(Fraction(image.scale)) if stored.dtype.kind in "iu" else 0.0
    rounding += 4 * float(np.spacing(np.abs(seconds).max()))
    is_even = beside <= max(rounding, interval * _PART_OF_INTERVAL)
    return FrameTimes(clock, float(seconds[0]), float(1 / interval) if is_even else None, count)
