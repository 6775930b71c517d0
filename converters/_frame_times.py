"""When the frames of a movie were taken, where its file says it of each one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from neuropress.model.clock import Clock
from neuropress.model.content import Content, Image
from neuropress.model.plan import ArraySpec, Field
from neuropress.model.record import CellRef

from . import Job

_PART_OF_INTERVAL = 1e-6
"""What a frame may lie beside an even grid: no camera keeps time as well, so it is rounding."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The stored times of a movie's frames.

    Attributes
    ----------
    times
        The array, with the clock that makes seconds of it: from the session's start, or from the file's own beginning
        where its clock is not believed.
    first
        Seconds of the first frame, on that clock.
    rate
        Frames a second; None where they are not evenly spaced.
    """

    times: ArraySpec
    first: float
    rate: float | None

    def add_to(self, fields: dict[str, Field]) -> dict[str, ArraySpec]:
        """Put rate or times into the fields of a series; the arrays that it gets.

        Even times are a rate and a start in NWB, which its validators ask for; others are written one by one.
        """
        (count,) = self.times.shape
        source = CellRef("file", self.times.source, "frame_times", f"{count} times, {self.times.clock}", "header")
        if self.rate is not None:
            fields["rate"] = Field(self.rate, "imaging:rate", "frame_times", (source,))
            return {}
        for name in ("rate", "starting_time"):
            fields.pop(name, None)
        return {"timestamps": self.times}


def read_frame_times(job: Job, image: Image) -> FrameTimes | None:
    """The times of an image's frames, by its declared clock or its own; None where none has them, or of one frame.

    Its own need an axis that the file calls time.
    """
    if times := job.make_frame_times(image):
        assert image.trigger is not None
        return measure_times(times, image.trigger.content, None)
    known = job.find_start(image)
    if not image.timestamps or "t" not in image.arrays["pixels"].axes:
        return None
    clock = Clock(image.scale).shift(known.seconds if known else Fraction(0))
    times = ArraySpec.of(job.source, image, image.timestamps, clock=clock)
    return measure_times(times, image, Fraction(image.scale))


def measure_times(times: ArraySpec, content: Content, step: Fraction | None) -> FrameTimes | None:
    """The first time and the rate.

    Parameters
    ----------
    step
        Seconds of what the stored times were rounded to, where they are whole numbers; None where nothing was rounded.
    """
    import numpy as np  # not above: checking tables imports every converter, and needs no array

    (count,) = times.shape
    clock = times.clock
    if count < 2 or clock is None:
        return None
    stored = content.arrays[times.array].read((slice(0, count),))
    seconds = clock.seconds(stored)
    interval = (seconds[-1] - seconds[0]) / (count - 1)
    beside = np.abs(seconds - (seconds[0] + interval * np.arange(count))).max()
    # A time is rounded to its own unit where it is a whole number, and to a float64 everywhere.
    rounding = float(step) if step is not None and stored.dtype.kind in "iu" else 0.0
    rounding += 4 * float(np.spacing(np.abs(seconds).max()))
    is_even = beside <= max(rounding, interval * _PART_OF_INTERVAL)
    return FrameTimes(times, float(seconds[0]), float(1 / interval) if is_even else None)
