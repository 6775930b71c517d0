"""What is black and what is white of each channel: measured in the pyramid, where nobody stated it.

Viewers and the preview go by it. Of the smallest level of at least `ENOUGH` voxels a channel, at the first, middle and
last time, a thousandth of the voxels is darker than black and a thousandth brighter than white. That follows from the
stored voxels alone: it is the same whoever wrote them, and whenever it is measured again. A viewer's slider goes over
all integers of the type; of floats over the finite ones that were found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...model.plan import Field, Plan
from ...storage.remote import ResultPath
from . import metadata
from .fresh import FreshLevel
from .layout import Box, Level, list_tiles

if TYPE_CHECKING:
    from .units import Volume

ENOUGH = 2**18
"""Voxels of a channel that suffice; a level has at most eight times those of the next."""
MOST = 2**21
"""Voxels of a channel and time that are looked at: every second, third, ... where one has more."""
TAIL = 1000
"""One voxel in so many is darker than black, and one brighter than white."""
RULE = "volume:window"


@dataclass(frozen=True, slots=True)
class Window:
    """What a channel shows: `start` is black and `end` white; a slider goes from `min` to `max`."""

    min: float
    max: float
    start: float
    end: float


def complete_plan(plan: Plan, volume: Volume, place: ResultPath) -> Plan:
    """The plan with a window for each channel that has none; the levels lie at `place`. Raises `Problem`."""
    root, *others = plan.nodes
    channels = metadata.get_ome_fields(root.fields).get("omero", {}).get("channels", [])
    missing = [number for number, channel in enumerate(channels) if "window" not in channel]
    fields = dict(root.fields)
    for number, window in measure_windows(volume, place, missing).items():
        for name in ("min", "max", "start", "end"):
            fields[f"omero/channels/{number}/window/{name}"] = Field(getattr(window, name), RULE, "percentiles")
    return replace(plan, nodes=(replace(root, fields=fields), *others)) if missing else plan


def list_stated(ome: Mapping[str, Any]) -> list[tuple[float, float] | None]:
    """Black and white of the channels; None where what is said cannot be shown."""
    return [_parse_window(channel.get("window")) for channel in ome.get("omero", {}).get("channels", [])]


def list_shown(plan: Plan, volume: Volume, place: ResultPath, most: int) -> list[tuple[float, float]]:
    """Black and white of the first `most` channels, measured where the plan does not say them. Raises `Problem`."""
    stated = dict(enumerate(list_stated(metadata.get_ome_fields(plan.nodes[0].fields))))
    count = min(most, _get_extents(volume, volume.layout.levels[0]).get("c", 1))
    missing = [number for number in range(count) if not stated.get(number)]
    measured = measure_windows(volume, place, missing)
    return [stated.get(number) or (measured[number].start, measured[number].end) for number in range(count)]


def measure_windows(volume: Volume, place: ResultPath, channels: Sequence[int]) -> dict[int, Window]:
    """The windows of some channels of the image. Raises `Problem` where its level cannot be read."""
    if not channels:
        return {}
    level = _choose_level(volume)
    extents = _get_extents(volume, level)
    times = sorted({0, extents.get("t", 1) // 2, extents.get("t", 1) - 1})
    found = {}
    with closing(FreshLevel(place, level, volume.sources[0].spec.type)) as stored:
        for channel in channels:
            outer = [{"c": channel, "t": time} for time in times]
            boxes = [
                tuple(slice(at[name], at[name] + 1) if name in at else slice(0, n) for name, n in extents.items())
                for at in outer
            ]
            found[channel] = find_window(np.concatenate([_sample_box(stored, level, box) for box in boxes]))
    return found


def find_window(values: np.ndarray) -> Window:
    """The window of some voxels; NaN and infinities are left out."""
    is_float = values.dtype.kind == "f"
    if is_float:
        values = values[np.isfinite(values)]
    if not values.size:
        return Window(0.0, 1.0, 0.0, 1.0)
    tail = (values.size - 1) // TAIL
    ranks = sorted({0, tail, values.size - 1 - tail, values.size - 1})
    ordered = np.partition(values, ranks)
    least, low, high, most = (ordered[n].item() for n in (0, tail, values.size - 1 - tail, values.size - 1))
    if low == high:  # a few bright voxels on an even ground
        low, high = least, most
    if is_float:
        if low == high:
            low, high = (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
        return Window(min(least, low), max(most, high), low, high)
    limits = np.iinfo(values.dtype)
    low, high = (low, high) if low < high else (int(limits.min), int(limits.max))
    return Window(int(limits.min), int(limits.max), low, high)


def _choose_level(volume: Volume) -> Level:
    levels = [volume.layout.levels[number] for number in volume.layout.list_pyramids()[0]]
    space = sum(name in "zyx" for name in volume.sources[0].names)
    return next((level for level in reversed(levels) if math.prod(level.shape[-space:]) >= ENOUGH), levels[0])


def _get_extents(volume: Volume, level: Level) -> dict[str, int]:
    return dict(zip(volume.sources[0].names, level.shape, strict=True))


def _sample_box(stored: FreshLevel, level: Level, box: Box) -> np.ndarray:
    """The voxels of a box, or every so many of them, read a tile at a time."""
    step = -(-math.prod(s.stop - s.start for s in box) // MOST)
    return np.concatenate([stored[tile].ravel()[::step] for tile in list_tiles(box, level.tile)])


def _parse_window(window: Any) -> tuple[float, float] | None:
    if not isinstance(window, Mapping):
        return None
    ends = [window.get(name) for name in ("start", "end")]
    low, high = (
        float(end) if isinstance(end, (int, float)) and not isinstance(end, bool) else math.nan for end in ends
    )
    return (low, high) if low < high and math.isfinite(high - low) else None
