"""Imaris as an image: level 0 of the pyramid, without the voxels that pad its chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import h5py
import numpy as np

from ...model.budget import EXTENT
from ...model.content import Image, LazyArray, Selection
from ...model.finding import Problem, problem
from ...model.source import Source
from ..arrays.hdf5 import OpenArrays
from ..arrays.tree import Variable
from ..images.calibration import ImageMetadata, divide, format_decimal, get_um_per_unit, parse_decimal
from ..images.pixels import apply_declared_axes
from ..microscopes.facts import set_sizes
from . import FORMAT

LEVEL = "DataSet/ResolutionLevel 0"
INFO = "DataSetInfo"
MOST_TEXT = 10_000
"""Characters of one attribute; Imaris writes texts as arrays of single characters."""
MOST_PARTS = 100_000
"""Times and channels."""
KEPT_GROUPS = 200
KEPT_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class _Level:
    """The stacks of level 0: one for each time and channel, and their extents without padding."""

    stacks: Sequence[Sequence[Variable]]
    size: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """(t, c, z, y, x)"""
        return (len(self.stacks), len(self.stacks[0]), *self.size)

    def read(self, selection: Selection) -> np.ndarray:
        """A block of all of them."""
        times, channels, *space = selection
        out = np.empty([s.stop - s.start for s in selection], self.stacks[0][0].dtype)
        for t in range(times.start, times.stop):
            for c in range(channels.start, channels.stop):
                out[t - times.start, c - channels.start] = self.stacks[t][c].read(tuple(space))
        return out


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image.

    Raises
    ------
    Problem
        ``imaris.layout``, ``arrays.damaged``, ``arrays.unsafe``, ``image.axes``.
    """
    opened = OpenArrays(source)
    try:
        with opened.translate_errors():
            return (_build_image(opened, options),)
    except BaseException:
        opened.close()
        raise


def _build_image(opened: OpenArrays, options: Mapping[str, Any]) -> Image:
    level = _find_stacks(opened)
    info = _read_info(opened.file)
    axes = apply_declared_axes(("t", "c", "z", "y", "x"), options, opened.key)
    meta = ImageMetadata()
    set_sizes(meta, axes, level.shape)
    _apply_extents(meta, info.get("Image", {}), level.size)
    times = _list_times(info.get("TimeInfo", {}), level.shape[0])
    _apply_times(meta, times)
    first = level.stacks[0][0]
    pixels = LazyArray("pixels", level.shape, first.dtype, axes, level.read, (1, 1, *first.block), kept=first.kept)
    return Image(
        name="",
        format=FORMAT.name,
        facts=meta.facts,
        header={"info": info, "padded": list(level.stacks[0][0].shape)},
        arrays={"pixels": pixels},
        warnings=tuple(meta.warnings),
        close=opened.close,
        spacing=meta.spacing,
        channels=_list_channels(info, level.shape[1]),
        acquired=times[0] if times else _parse_time(info.get("Image", {}).get("RecordingDate", "")),
    )


def _find_stacks(opened: OpenArrays) -> _Level:
    """Every time has the same channels, each of the same extents and type."""
    times = _list_numbered(opened, LEVEL, "TimePoint")
    stacks: list[list[Variable]] = []
    sizes: set[tuple[int, int, int]] = set()
    for place in times:
        row = []
        for channel in _list_numbered(opened, place, "Channel"):
            dataset = _get(opened.file, f"{channel}/Data")
            if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 3 or dataset.dtype.kind not in "uif":
                raise _make_problem(opened.key, f"{channel} has no stack of numbers called Data")
            sizes.add(_find_size(opened, channel, dataset))
            row.append(opened.make_variable(f"{channel}/Data", dataset))
        stacks.append(row)
    if len({len(row) for row in stacks}) != 1 or len(sizes) != 1:
        raise _make_problem(opened.key, "its times or channels have different extents")
    if len({one.dtype for row in stacks for one in row}) != 1:
        raise _make_problem(opened.key, "its channels have several types of voxels")
    return _Level(stacks, sizes.pop())


def _list_numbered(opened: OpenArrays, place: str, name: str) -> list[str]:
    """Paths of ``NAME 0``, ``NAME 1``, ... below a group, as many as there are; at least one."""
    group = _get(opened.file, place)
    if not isinstance(group, h5py.Group):
        raise _make_problem(opened.key, f"it has no group {place}")
    count = sum(one.startswith(f"{name} ") for one in group)
    if not 1 <= count <= MOST_PARTS or any(f"{name} {number}" not in group for number in range(count)):
        raise _make_problem(opened.key, f"{place} has {count} groups {name}, which are not numbered from 0")
    return [f"{place}/{name} {number}" for number in range(count)]


def _get(file: h5py.File, place: str) -> Any:
    """What lies at a place, by hard links alone; None where nothing does."""
    item: Any = file
    for part in place.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(part, getlink=True), h5py.HardLink):
            return None
        item = item[part]
    return item


def _find_size(opened: OpenArrays, channel: str, dataset: h5py.Dataset) -> tuple[int, int, int]:
    """True extents of a stack, z, y, x: the dataset is as large as whole chunks."""
    attributes = _read_texts(opened.file[channel])
    size = []
    for axis, stored in zip("ZYX", dataset.shape, strict=True):
        text = attributes.get(f"ImageSize{axis}", "")
        known = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
        if not 1 <= known <= min(stored, EXTENT):
            stated = text[:40] or "nothing"
            raise _make_problem(opened.key, f"{channel}: ImageSize{axis} is {stated}, its stack has {stored}")
        size.append(known)
    return size[0], size[1], size[2]


def _read_info(file: h5py.File) -> dict[str, dict[str, str]]:
    """Texts of the groups below ``DataSetInfo``: image, channels, times, and what the microscope's program said."""
    group = _get(file, INFO)
    if not isinstance(group, h5py.Group):
        return {}
    names = [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
    items = {name: group[name] for name in names[:KEPT_GROUPS]}
    return {name: _read_texts(item) for name, item in items.items() if isinstance(item, h5py.Group)}


def _read_texts(group: h5py.Group) -> dict[str, str]:
    """Attributes as texts; other ones are left out."""
    texts: dict[str, str] = {}
    for name in list(group.attrs)[:KEPT_ENTRIES]:
        about = group.attrs.get_id(name)
        if about.dtype.kind == "S" and about.dtype.itemsize * max(1, int(np.prod(about.shape))) <= MOST_TEXT:
            value = np.atleast_1d(group.attrs[name])
            texts[name] = value.tobytes().split(b"\0")[0].decode("utf-8", "replace")
    return texts


def _apply_extents(meta: ImageMetadata, image: Mapping[str, str], size: Sequence[int]) -> None:
    """Corners of the whole volume on the stage; a voxel is their distance by the number of voxels."""
    um = get_um_per_unit(image.get("Unit", ""))
    if um is None:
        stated = image.get("Unit", "")[:40] or "no unit"
        meta.warnings.append(f"its extents are in {stated}, so that its spacing is not known")
        return
    corners: list[Decimal] = []
    for number, (axis, count) in enumerate(zip("xyz", reversed(size), strict=True)):
        low, high = (parse_decimal(image.get(f"Ext{end}{number}")) for end in ("Min", "Max"))
        if low is not None and high is not None and high > low:
            corners.append(low * um)
            meta.spacing[axis] = divide((high - low) * um, count)
    if len(corners) == 3:
        meta.facts["origin"] = " ".join(map(format_decimal, corners))
    meta.set_pixel_size(meta.spacing.get("x"), meta.spacing.get("y"))


def _list_times(info: Mapping[str, str], count: int) -> list[datetime]:
    """When each time was taken; none where one of them is not known."""
    times = [_parse_time(info.get(f"TimePoint{number}", "")) for number in range(1, count + 1)]
    known = [one for one in times if one is not None]
    return known if len(known) == count else []


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        return None


def _apply_times(meta: ImageMetadata, times: Sequence[datetime]) -> None:
    """The rate, where all intervals are alike within a hundredth."""
    seconds = [(after - before).total_seconds() for before, after in pairwise(times)]
    if seconds and min(seconds) > 0:
        if max(seconds) - min(seconds) <= 0.01 * min(seconds):
            step = divide(parse_decimal(str(sum(seconds))) or 0, len(seconds))
            meta.facts["frame_rate"] = format_decimal(divide(1, step))
        else:
            meta.warnings.append(f"its times are {min(seconds)} to {max(seconds)} s apart: no rate is taken")


def _list_channels(info: Mapping[str, Mapping[str, str]], count: int) -> tuple[str, ...]:
    """Names of all channels; none where one is missing."""
    names = tuple(info.get(f"Channel {number}", {}).get("Name", "").strip() for number in range(count))
    return names if all(names) else ()


def _make_problem(key: str, what: str) -> Problem:
    return problem("imaris.layout", f"{key}: {what}", file=key)
