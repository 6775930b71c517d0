"""Facts of microscopes' headers, under the names that tables use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ..images.calibration import ImageMetadata, divide, format_decimal, parse_decimal


def convert_float(value: Any) -> Decimal | None:
    """A positive number of a header (the shortest text of its float64), or None."""
    number = parse_decimal(repr(value) if isinstance(value, float) else value)
    return number if number is not None and number > 0 else None


def set_optics(
    meta: ImageMetadata,
    aperture: Any = None,
    magnification: Any = None,
    lines_nm: Iterable[Any] = (),
    exposures_ms: Iterable[Any] = (),
) -> None:
    """Objective, excitation and exposure; the latter two only where all channels have the same."""
    if number := convert_float(aperture):
        meta.facts["numerical_aperture"] = format_decimal(number)
    if number := convert_float(magnification):
        meta.facts["objective_magn"] = f"{format_decimal(number)}x"
    lines = {number for value in lines_nm if (number := convert_float(value))}
    if len(lines) == 1:
        meta.facts["laser_line"] = format_decimal(lines.pop())
    exposures = {number for value in exposures_ms if (number := convert_float(value))}
    if len(exposures) == 1:
        meta.facts["exposure_time"] = format_decimal(exposures.pop())


def set_frame_rate(meta: ImageMetadata, times: np.ndarray, scale: str) -> None:
    """The rate of the median interval between frames, which single pauses do not change."""
    steps = np.diff(times.astype("<f8"))
    if len(steps) and np.isfinite(steps).all() and (step := convert_float(float(np.median(steps)))):
        meta.facts["frame_rate"] = format_decimal(divide(1, step * Decimal(scale)))


def check_times(meta: ImageMetadata, times: np.ndarray, frames: int, what: str) -> bool:
    """Whether there is a time for each frame, each later than the one before; else a warning says why not."""
    if len(times) != frames:
        meta.warnings.append(f"{what}: {len(times)} times for {frames} frames; they are not taken")
        return False
    values = times.astype("<f8")
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        meta.warnings.append(f"{what}: the times do not increase from frame to frame; they are not taken")
        return False
    return True


def set_sizes(meta: ImageMetadata, axes: Sequence[str], shape: Sequence[int]) -> None:
    """Extents as tables have them: z counts the images of a channel, depths and times together."""
    extent = dict(zip(axes, shape, strict=True))
    images = int(np.prod([n for axis, n in extent.items() if axis not in "yxcs"], dtype=object) or 1)
    meta.facts.update(x=str(extent["x"]), y=str(extent["y"]), z=str(images))
