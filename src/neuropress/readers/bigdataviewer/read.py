"""BigDataViewer's HDF5 as images: a setup each, times as the first axis, its level 0 alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import h5py
import numpy as np

from ...model.content import Image, LazyArray, Selection
from ...model.finding import problem
from ...model.source import Source
from ..arrays.hdf5 import OpenArrays
from ..arrays.tree import Variable
from ..images.calibration import ImageMetadata
from ..images.pixels import apply_declared_axes
from ..microscopes.facts import set_sizes
from . import FORMAT, ROOT
from .description import Description, Setup, make_damaged, read_description

_TIME = re.compile(r"t([0-9]{5,9})")
_SETUP = re.compile(r"s([0-9]{2,6})")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content for each setup that has pixels, called by its name in the XML where no other is called so.

    Raises
    ------
    Problem
        ``bigdataviewer.damaged``, ``bigdataviewer.unsupported``, ``arrays.damaged``, ``arrays.unsafe``, ``image.axes``.
    """
    known = read_description(source) if ROOT in source.head() else Description(source.key)
    source.stamp(known.key)
    opened = OpenArrays(Source(known.key, source.root))
    try:
        with opened.translate_errors():
            stacks = _list_stacks(opened)
            names = [known.setups.get(number, Setup()).name for number in stacks]
            is_named = len({name for name in names if name}) == len(names)
            images = []
            for number, name in zip(stacks, names, strict=True):
                called = (name if is_named else f"setup {number}") if len(stacks) > 1 else ""
                images.append(_build_image(opened, known, number, stacks[number], called, options))
            return _share_file(images, opened)
    except BaseException:
        opened.close()
        raise


def _share_file(images: Sequence[Image], opened: OpenArrays) -> tuple[Image, ...]:
    """The images, of which the last one that is closed closes the file."""
    left = set(range(len(images)))

    def close_one(number: int) -> None:
        left.discard(number)
        if not left:
            opened.close()

    return tuple(replace(image, close=partial(close_one, number)) for number, image in enumerate(images))


def _list_stacks(opened: OpenArrays) -> dict[int, dict[int, Variable]]:
    """Setup -> time -> its level 0. Raises `Problem` (``bigdataviewer.damaged``)."""
    found: dict[int, dict[int, Variable]] = defaultdict(dict)
    for time_name in sorted(opened.file):
        time = _TIME.fullmatch(time_name)
        group = _get_group(opened.file, time_name) if time else None
        for name in sorted(group) if group is not None else ():
            setup, inner = _SETUP.fullmatch(name), _get_group(group, name)
            if not time or not setup or inner is None:
                continue
            level = _get_group(inner, "0")
            cells = level.get("cells") if level is not None and _is_own(level, "cells") else None
            path = f"{time_name}/{name}/0/cells"
            if not isinstance(cells, h5py.Dataset) or cells.ndim != 3 or cells.dtype.kind not in "uif":
                raise make_damaged(opened.key, f"{path} is no stack of numbers")
            found[int(setup[1])][int(time[1])] = opened.make_variable(path, cells)
    if not found:
        raise make_damaged(opened.key, "it has no stack t00000/s00/0/cells of full resolution")
    return dict(sorted(found.items()))


def _is_own(group: h5py.Group, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _get_group(group: h5py.Group, name: str) -> h5py.Group | None:
    """A group by a hard link; None of anything else."""
    item = group[name] if _is_own(group, name) else None
    return item if isinstance(item, h5py.Group) else None


def _build_image(
    opened: OpenArrays,
    known: Description,
    number: int,
    stacks: Mapping[int, Variable],
    name: str,
    options: Mapping[str, Any],
) -> Image:
    times = sorted(stacks)
    forms = {(stacks[time].shape, stacks[time].dtype) for time in times}
    setup = known.setups.get(number, Setup())
    if len(forms) > 1:
        listed = ", ".join(sorted(f"{' x '.join(map(str, shape))} {dtype}" for shape, dtype in forms))[:300]
        raise make_damaged(opened.key, f"setup {number} has times of several forms: {listed}")
    shape = stacks[times[0]].shape
    if setup.size and setup.size != shape[::-1]:
        stated, there = (" x ".join(map(str, size)) for size in (setup.size, shape[::-1]))
        raise make_damaged(opened.key, f"the XML states {stated} voxels of setup {number}, there are {there}")
    meta = ImageMetadata()
    if times != list(range(len(times))):
        meta.warnings.append(f"setup {number} has the times {', '.join(map(str, times))[:200]}: others are not there")
    pixels = _build_pixels([stacks[time] for time in times], options, opened.key)
    set_sizes(meta, pixels.axes, pixels.shape)
    if setup.steps:
        x, y, z = setup.steps
        meta.set_pixel_size(x, y)
        meta.spacing["z"] = z
    header = {"setup": number, "times": times, "xml": known.text} | ({"name": setup.name} if setup.name else {})
    return Image(
        name=name,
        format=FORMAT.name,
        facts=meta.facts,
        header=header,
        arrays={"pixels": pixels},
        warnings=tuple(meta.warnings),
        spacing=meta.spacing,
    )


def _build_pixels(stacks: Sequence[Variable], options: Mapping[str, Any], key: str) -> LazyArray:
    """Stacks over time. HDF5 of BigDataViewer calls its unsigned integers of 16 bits signed ones."""
    shape, stored = stacks[0].shape, stacks[0].dtype
    dtype = np.dtype(np.uint16) if stored == np.int16 else stored
    axes = apply_declared_axes(("t", "z", "y", "x"), options, key)
    if min(shape) < 1:
        raise problem("bigdataviewer.damaged", f"{key} has a stack of the extents {list(shape)}", file=key)

    def read_block(selection: Selection) -> np.ndarray:
        return np.stack([stack.read(selection[1:]).view(dtype) for stack in stacks[selection[0]]])

    return LazyArray("pixels", (len(stacks), *shape), dtype, axes, read_block, (1, *shape))
