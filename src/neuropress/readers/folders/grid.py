"""Planes that an index places in time, channel and depth, as one array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ...model.content import Image, LazyArray
from ...model.finding import problem
from ...model.source import Source
from ..images.pixels import OpenFiles, RawPlanes, apply_declared_axes, build_plane_array
from .planes import Plane, check_uniform, open_planes, read_tiff_plane

AXES = ("t", "c", "z")
_NAMES = ("times", "channels", "depths")

type Place = tuple[int, int, int]
"""Time, channel and depth, each from 0."""


def fit_grid(places: Collection[Place], folder: str) -> tuple[Place, tuple[str, ...]]:
    """Extents of the grid that the planes fill, and warnings.

    A recording that was stopped lacks planes of its last time, which is left out then: pixels are not made up.

    Raises
    ------
    Problem
        ``microscope.plane``: a plane within the grid is missing.
    """
    times, channels, depths = (max(place[axis] for place in places) + 1 for axis in range(len(AXES)))
    held = Counter(place[0] for place in places)
    whole = channels * depths
    first = next((time for time in range(times) if held[time] < whole), times)
    if first == times:
        return (times, channels, depths), ()
    # An extent that a damaged index claims may be huge: the search ends with the first plane that is missing.
    missing = next((first, *rest) for rest in product(range(channels), range(depths)) if (first, *rest) not in places)
    where = " ".join(f"{axis}={at}" for axis, at in zip(AXES, missing, strict=True))
    if first == 0 or first < times - 1:
        absent = times * whole - len(places)
        message = f"{folder} lacks {absent} of {times * whole} planes; the first missing is {where} (counted from 0)"
        raise problem("microscope.plane", message, file=folder)
    warning = (
        f"the last of {times} times is not complete ({held[first]} of {whole} planes, {where} counted from 0 is "
        f"missing): its planes are left out"
    )
    return (first, channels, depths), (warning,)


def compare_planned(counts: Place, planned: Mapping[str, int]) -> tuple[str, ...]:
    """A warning for each axis along which fewer planes were taken than had been planned."""
    return tuple(
        f"the recording was stopped: it has {count} of {planned[axis]} planned {name}"
        for axis, name, count in zip(AXES, _NAMES, counts, strict=True)
        if planned.get(axis, 0) > count
    )


@dataclass(frozen=True, slots=True)
class PlaneGrid:
    """The array ``pixels``, the files behind it, and the first plane as an image of its own, which is closed."""

    pixels: LazyArray
    files: OpenFiles
    first: Image


def build_grid(
    source: Source, placed: Mapping[Place, Plane], counts: Place, options: Mapping[str, Any], folder: str
) -> PlaneGrid:
    """The array of the planes; axes of one element are left out.

    Raises
    ------
    Problem
        ``microscope.plane``: planes differ; ``image.axes``; what the reader of TIFF pages finds.
    """
    planes = [placed[place] for place in product(*(range(n) for n in counts))]  # type: ignore[index]
    check_uniform(planes, folder, "microscope.plane")
    first = read_tiff_plane(source, planes[0])
    first.close()
    single = first.arrays["pixels"]
    lead = [(axis, count) for axis, count in zip(AXES, counts, strict=True) if count > 1]
    axes = apply_declared_axes((*(axis for axis, _ in lead), *single.axes), options, folder)
    shape = (*(count for _, count in lead), *single.shape)
    opened, files = open_planes(source, planes, single.shape, single.dtype, "microscope.plane")
    is_packed = not isinstance(opened, RawPlanes)
    pixels = build_plane_array(opened, axes, shape, single.shape, single.dtype, is_shared=is_packed)
    return PlaneGrid(pixels, files, first)
