"""N5 containers as images: pyramids by their full resolution; times and channels in folders of their own as one."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Image, LazyArray, Selection
from ...model.finding import Problem, problem
from ...model.source import Source, natural_key
from ..chunked.folder import FolderFiles, check_path
from ..chunked.grid import ChunkGrid, build_array
from ..images.calibration import ImageMetadata
from ..images.pixels import apply_declared_axes
from . import FORMAT
from .blocks import BlockLayout, Blocks, UnsupportedBlocks, parse_layout
from .calibration import apply_distances, name_axes

ATTRIBUTES = "attributes.json"
_LEVEL = re.compile(r"(.*/)?s([0-9]{1,3})/")
_TIME = re.compile(r"(.*/|)(?P<group>setup[0-9]+)/timepoint([0-9]+)/")
_CHANNEL = re.compile(r"(.*/|)c([0-9]{1,3})/")
_SHOWN = 5
_PASSED_OVER = ("n5.unsupported", "image.unsupported", "image.axes")
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content for each image, by the path of its group.

    Raises
    ------
    Problem
        ``n5.damaged``, ``n5.unsupported``, ``image.unsupported``, ``image.axes``.
    """
    container = _Container(source)
    try:
        container.look()
        found = list(_list_stacks(container))
        if not found:
            message = f"{source.key} has no array: no {ATTRIBUTES} in it states dimensions"
            raise problem("image.unsupported", message, file=source.key)
        return _build_images(container, found, options)
    except BaseException:
        container.files.close()
        raise


class _Container(FolderFiles):
    """Attributes and layouts by path: that of the root is empty, all others end in ``/``."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "n5.damaged")
        self.nodes: dict[str, dict[str, Any]] = {}
        self.layouts: dict[str, BlockLayout | str] = {}
        self.written: Counter[str] = Counter()

    def look(self) -> None:
        """Load all attributes, and count the blocks. Raises `Problem`."""
        names = sorted(key.removeprefix(self.folder) for key in self.sizes if key.rpartition("/")[2] == ATTRIBUTES)
        if len(names) > budget.ZARR_NODES:
            message = f"{self.source.key} has {len(names)} groups and arrays, more than {budget.ZARR_NODES}"
            raise problem("n5.unsupported", message, file=self.source.key)
        loaded = {name.removesuffix(ATTRIBUTES): self.load(name) for name in names}
        self.nodes = {path: node for path, node in loaded.items() if node is not None}
        self.layouts = {path: self._parse(path) for path, node in self.nodes.items() if "dimensions" in node}
        self.written = self._count_blocks()

    def _parse(self, path: str) -> BlockLayout | str:
        """The layout of an array, or why it is not read."""
        key = f"{self.folder}{path}{ATTRIBUTES}"
        try:
            return parse_layout(self.nodes[path])
        except UnsupportedBlocks as error:
            return str(error)
        except _DAMAGE as error:
            raise problem("n5.damaged", f"{key}: it describes no array ({error!r:.200})", file=key) from error

    def get_layout(self, path: str) -> BlockLayout:
        """The layout of an array. Raises `Problem` (``n5.unsupported``)."""
        layout = self.layouts[path]
        if isinstance(layout, str):
            key = f"{self.folder}{path}{ATTRIBUTES}"
            raise problem("n5.unsupported", f"{key}: {layout}", file=key)
        return layout

    def _count_blocks(self) -> Counter[str]:
        """Path of an array -> how many of its blocks have a file."""
        ranks = {len(layout.shape) for layout in self.layouts.values() if not isinstance(layout, str)}
        counts: Counter[str] = Counter()
        for key in self.sizes:
            parts = key.removeprefix(self.folder).split("/")
            for rank in ranks:
                path = "".join(f"{part}/" for part in parts[:-rank])
                layout = self.layouts.get(path)
                if not isinstance(layout, BlockLayout) or len(layout.shape) != rank or len(parts) < rank:
                    continue
                if all(part.isdecimal() for part in parts[-rank:]):
                    counts[path] += 1
        return counts

    def list_above(self, path: str) -> list[Mapping[str, Any]]:
        """Attributes of an array and of the groups that it lies in, its own first."""
        parts = path.rstrip("/").split("/") if path else []
        paths = ["".join(f"{part}/" for part in parts[:n]) for n in range(len(parts), -1, -1)]
        return [self.nodes[one] for one in paths if one in self.nodes]


@dataclass(frozen=True, slots=True)
class _Stack:
    """An image: arrays of one layout along `axis` (``t``, ``c``), or one array; paths of its smaller levels."""

    name: str
    arrays: tuple[str, ...]
    axis: str = ""
    smaller: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def _list_stacks(container: _Container) -> Iterator[_Stack]:
    pyramids = _list_pyramids(container)
    taken: set[str] = set()
    for pattern, axis in ((_TIME, "t"), (_CHANNEL, "c")):
        groups: dict[str, list[str]] = defaultdict(list)
        for group in pyramids:
            match = pattern.fullmatch(group)
            if match and group not in taken:
                above = match[1] + (f"{match['group']}/" if axis == "t" else "")
                groups[above].append(group)
        for above, members in groups.items():
            members.sort(key=_order)
            first, *others = [container.layouts[pyramids[group][0]] for group in members]
            # Arrays of more axes than space has name their times and channels themselves.
            if not others or isinstance(first, str) or len(first.shape) > 3 or any(one != first for one in others):
                continue
            taken |= set(members)
            numbers = [int(group.rstrip("/").rpartition(axis if axis == "c" else "timepoint")[2]) for group in members]
            listed = ", ".join(map(str, numbers))[:200]
            is_whole = numbers == list(range(len(numbers)))
            warnings = () if is_whole else (f"its folders along {axis} are {listed}: others are not there",)
            smaller = tuple(path for group in members for path in pyramids[group][1:])
            yield _Stack(above.rstrip("/"), tuple(pyramids[group][0] for group in members), axis, smaller, warnings)
    for group, levels in pyramids.items():
        if group not in taken:
            yield _Stack(group.rstrip("/"), (levels[0],), "", tuple(levels[1:]))


def _list_pyramids(container: _Container) -> dict[str, list[str]]:
    """Group -> its levels, full resolution first; an array of no pyramid is a group of its own."""
    levels: dict[str, list[str]] = defaultdict(list)
    found: dict[str, list[str]] = {}
    for path in sorted(container.layouts, key=_order):
        match = _LEVEL.fullmatch(path)
        if match and f"{match[1] or ''}s0/" in container.layouts:
            levels[match[1] or ""].append(path)
        elif match and _states_levels(container.nodes.get(match[1] or "", {})):
            key = f"{container.folder}{match[1] or ''}"
            message = f"{key} states levels of resolution, and its full resolution s0 is not there"
            raise problem("n5.damaged", message, file=key)
        else:
            found[path] = [path]
    for group, node in container.nodes.items():
        stated = _list_stated_levels(container, group, node)
        if stated:
            for path in stated:
                found.pop(path, None)
            levels[group] = stated
    return dict(sorted((levels | found).items(), key=lambda item: _order(item[0])))


def _order(path: str) -> tuple[tuple[int, int | str], ...]:
    return tuple(natural_key(path))


def _states_levels(node: Mapping[str, Any]) -> bool:
    return any(name in node for name in ("downsamplingFactors", "scales", "multiscales"))


def _list_stated_levels(container: _Container, group: str, node: Mapping[str, Any]) -> list[str]:
    """Levels in the order in which a group's ``multiscales`` names them."""
    try:
        paths = [f"{group}{check_path(one['path'])}/" for one in node["multiscales"][0]["datasets"]]
    except Problem:
        raise
    except _DAMAGE:  # true, or whatever else a program writes there
        return []
    if paths and paths[0] not in container.layouts:
        key = f"{container.folder}{paths[0]}{ATTRIBUTES}"
        raise problem("n5.damaged", f"{key} is not there, though its group names it as the full resolution", file=key)
    return [path for path in paths if path in container.layouts]


def _build_images(container: _Container, found: list[_Stack], options: Mapping[str, Any]) -> tuple[Image, ...]:
    """All images that can be read; arrays of a container that cannot be are told, unless there are no others."""
    images, failures = [], []
    for one in found:
        try:
            images.append(_build_image(container, one, options, several=len(found) > 1))
        except Problem as failure:
            if failure.finding.id not in _PASSED_OVER:
                raise
            failures.append(failure)
    if not images:
        raise failures[0]
    told = tuple(f"left out: {failure.finding.message}" for failure in failures[:_SHOWN])
    return tuple(replace(image, warnings=(*image.warnings, *told)) for image in images)


def _build_image(container: _Container, one: _Stack, options: Mapping[str, Any], *, several: bool) -> Image:
    path, key = one.arrays[0], container.source.key
    layout = container.get_layout(path)
    meta, above = ImageMetadata(warnings=list(one.warnings)), container.list_above(path)
    try:
        inner = name_axes(above[0], layout.shape)
        apply_distances(meta, above, inner)
    except _DAMAGE as error:
        message = f"{container.folder}{path}{ATTRIBUTES}: its distances are none ({error!r:.200})"
        raise problem("n5.damaged", message, file=key) from error
    native = layout.stored.newbyteorder("=")
    grids = [ChunkGrid(layout.block, native, Blocks(container, p, layout).load) for p in one.arrays]
    array = build_array(grids[0], layout.shape, layout.block, inner)
    if one.axis:
        array = _stack(grids, array, one.axis)
    axes = apply_declared_axes(array.axes, options, key)
    if len(axes) < 2 or not {"y", "x"} <= {*axes} | ({"y", "x"} if "q" in axes else set()):
        message = f"{container.folder}{path} has the axes {' '.join(axes)} of the extents {list(array.shape)}: no image"
        raise problem("image.unsupported", message, file=key)
    array = replace(array, axes=axes)
    extent = dict(zip(axes, array.shape, strict=True))
    if "q" not in axes:
        lead = [n for axis, n in zip(axes, array.shape, strict=True) if axis not in "yxcs"]
        meta.facts.update(x=str(extent["x"]), y=str(extent["y"]), z=str(math.prod(lead)))
    _tell_unread(meta, container, one, layout)
    return Image(
        name=(one.name or path.rstrip("/")) if several else "",
        format=FORMAT.name,
        facts=meta.facts,
        header={"attributes": {p or "/": container.nodes[p] for p in one.arrays}, "above": above[1:]},
        arrays={"pixels": array},
        warnings=tuple(meta.warnings),
        close=container.files.close,
        spacing=meta.spacing,
    )


def _stack(grids: list[ChunkGrid], one: LazyArray, axis: str) -> LazyArray:
    """Arrays of one shape as one, along a new first axis."""

    def read(selection: Selection) -> np.ndarray:
        return np.stack([grid.read(selection[1:]) for grid in grids[selection[0]]])

    shape, block, kept = (len(grids), *one.shape), (1, *one.block), one.kept * len(grids)
    return LazyArray(one.name, shape, one.dtype, (axis, *one.axes), read, block, is_shared=True, kept=kept)


def _tell_unread(meta: ImageMetadata, container: _Container, one: _Stack, layout: BlockLayout) -> None:
    if one.smaller:
        shown = ", ".join(path.rstrip("/") for path in one.smaller[:_SHOWN])
        more = ", ..." if len(one.smaller) > _SHOWN else ""
        meta.warnings.append(f"its smaller levels are not read: {shown}{more}")
    whole = len(one.arrays) * math.prod(math.ceil(n / part) for n, part in zip(layout.shape, layout.block, strict=True))
    written = sum(container.written[path] for path in one.arrays)
    if written < whole:
        meta.warnings.append(f"{whole - written} of its {whole} blocks have no file: their voxels are 0, as N5 has it")
