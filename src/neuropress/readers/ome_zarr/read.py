"""OME-Zarr and plain Zarr arrays as images: what the metadata say, and level 0 as lazy pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source
from ..chunked.folder import FolderFiles, check_path
from ..chunked.grid import ChunkGrid, build_array
from ..images.calibration import ImageMetadata, divide, format_decimal, get_seconds_per_unit, get_um_per_unit
from ..images.pixels import apply_declared_axes
from . import FORMAT, LABELS_APART
from .chunks import ZarrChunks
from .layout import ArrayLayout, UnsupportedArray, parse_zarr2, parse_zarr3

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
CONSOLIDATED = ".zmetadata"
"""A copy of the metadata that zarr-python leaves: not looked at, but part of the raw object."""
_OLD_AXES = "tczyx"
"""Axes of OME-Zarr before 0.3, which did not name them."""
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content for each image; of a group without OME's metadata its only array.

    Raises
    ------
    Problem
        ``zarr.damaged``, ``zarr.unsupported``, ``image.unsupported``, ``image.axes``.
    """
    hierarchy = _Hierarchy(source)
    try:
        found = list(_list_images(hierarchy))
        if not found:
            message = f"{source.key} has no image: neither a group with multiscales nor a single array"
            raise problem("image.unsupported", message, file=source.key)
        return tuple(_build_image(hierarchy, one, options, several=len(found) > 1) for one in found)
    except BaseException:
        hierarchy.files.close()
        raise


@dataclass(frozen=True, slots=True)
class _Stored:
    """An image: group, path of its array, and its entry of ``multiscales`` with the channels beside it."""

    group: str
    array: str
    image: Mapping[str, Any] = field(default_factory=dict)
    omero: Mapping[str, Any] = field(default_factory=dict)


class _Hierarchy(FolderFiles):
    """The groups and arrays of an object, by their metadata files. Paths end in ``/``; that of the root is empty."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, "zarr.damaged", (*METADATA, CONSOLIDATED))

    def load_attributes(self, path: str) -> dict[str, Any]:
        """What a group or an array says in its attributes."""
        node = self.load(f"{path}zarr.json")
        attributes = node.get("attributes", {}) if node is not None else self.load(f"{path}.zattrs") or {}
        return attributes if isinstance(attributes, dict) else {}

    def is_array(self, path: str) -> bool:
        """Whether an array lies there."""
        node = self.load(f"{path}zarr.json")
        return node.get("node_type") == "array" if node else f"{self.folder}{path}.zarray" in self.sizes

    def list_arrays(self) -> list[str]:
        """Paths of all arrays."""
        names = [key.removeprefix(self.folder).rpartition("/") for key in self.sizes]
        places = sorted({f"{place}{slash}" for place, slash, name in names if name in METADATA})
        return [place for place in places if self.is_array(place)]

    def parse_layout(self, path: str) -> ArrayLayout:
        """The layout of an array. Raises `Problem` (``zarr.damaged``, ``zarr.unsupported``)."""
        key = f"{self.folder}{path}"
        try:
            node = self.load(f"{path}zarr.json")
            if node is not None:
                return parse_zarr3(node)
            old = self.load(f"{path}.zarray")
            if old is None:
                raise ValueError("there is no array, though its group names one")
            return parse_zarr2(old, self.load_attributes(path))
        except UnsupportedArray as error:
            raise problem("zarr.unsupported", f"{key}: {error}", file=key) from error
        except Problem:
            raise
        except _DAMAGE as error:
            raise problem("zarr.damaged", f"{key}: {str(error)[:200]}", file=key) from error


def _list_images(hierarchy: _Hierarchy) -> Iterator[_Stored]:
    if hierarchy.is_array(""):
        yield _Stored("", "")
        return
    attributes = hierarchy.load_attributes("")
    ome = attributes.get("ome", attributes)
    try:
        if "plate" in ome or "well" in ome:
            message = f"{hierarchy.source.key} is a plate or well of many fields; name one field's folder in the row"
            raise problem("zarr.unsupported", message, file=hierarchy.source.key)
        if "multiscales" in ome:
            yield from _list_multiscales("", ome)
        elif "bioformats2raw.layout" in ome:
            listed = hierarchy.load_attributes("OME/")
            series = listed.get("ome", listed).get("series") or _count_groups(hierarchy)
            for name in series:
                inside = hierarchy.load_attributes(f"{check_path(name)}/")
                yield from _list_multiscales(f"{name}/", inside.get("ome", inside))
        else:
            arrays = hierarchy.list_arrays()
            if len(arrays) > 1:
                shown = ", ".join(arrays[:5])
                message = (
                    f"{hierarchy.source.key} has {len(arrays)} arrays ({shown}) and no multiscales that orders them"
                )
                hint = f"Name the folder of one of them: {hierarchy.source.key.rstrip('/')}/{arrays[0]}"
                raise problem("image.unsupported", message, hint=hint, file=hierarchy.source.key)
            yield from (_Stored("", path) for path in arrays)
    except _DAMAGE as error:
        message = f"{hierarchy.source.key}: its metadata are not as OME-Zarr has them ({error!r:.200})"
        raise problem("zarr.damaged", message, file=hierarchy.source.key) from error


def _list_multiscales(group: str, ome: Mapping[str, Any]) -> Iterator[_Stored]:
    for image in ome["multiscales"]:
        path = check_path(image["datasets"][0]["path"])
        yield _Stored(group, f"{group}{path}/", image, ome.get("omero") or {})


def _count_groups(hierarchy: _Hierarchy) -> list[str]:
    """Images 0, 1, 2, ... where nothing lists them."""
    names = {key.removeprefix(hierarchy.folder).partition("/")[0] for key in hierarchy.sizes}
    return [str(number) for number in range(len(names)) if str(number) in names]


def _build_image(hierarchy: _Hierarchy, one: _Stored, options: Mapping[str, Any], *, several: bool) -> Image:
    source, layout = hierarchy.source, hierarchy.parse_layout(one.array)
    meta = ImageMetadata()
    key = hierarchy.folder + one.array
    try:
        axes = _find_axes(one.image, layout)
        if one.image:
            _apply_scale(meta, one.image, axes)
        channels = _list_channels(one.omero, dict(zip(axes, layout.shape, strict=True)).get("c", 0))
    except _DAMAGE as error:
        message = f"{key}: its metadata are not as OME-Zarr has them ({error!r:.200})"
        raise problem("zarr.damaged", message, file=source.key) from error
    axes = apply_declared_axes(axes, options, source.key)
    if min(layout.shape) < 1 or not {"y", "x"} <= {*axes} | ({"y", "x"} if "q" in axes else set()):
        message = f"{key} has the axes {' '.join(axes)} of the extents {list(layout.shape)}: it is no image"
        raise problem("image.unsupported", message, file=source.key)
    extent = dict(zip(axes, layout.shape, strict=True))
    images = [n for axis, n in zip(axes, layout.shape, strict=True) if axis not in "yxcs"]
    if "q" not in axes:
        meta.facts.update(x=str(extent["x"]), y=str(extent["y"]))
        meta.facts["z"] = str(math.prod(images))
    labels = hierarchy.load_attributes(f"{one.group}labels/")
    if labels.get("ome", labels).get("labels"):
        meta.warnings.append(LABELS_APART)
    chunks = ZarrChunks(hierarchy.files, hierarchy.sizes, key, layout)
    grid = ChunkGrid(layout.chunk, layout.stored.newbyteorder("="), chunks.load, layout.fill)
    array = build_array(grid, layout.shape, layout.chunk, axes)
    header = {"array": one.array or "/", "multiscales": dict(one.image), "omero": dict(one.omero)}
    name = str(one.image.get("name", "")) if one.image else ""
    return Image(
        name=one.group.rstrip("/") or one.array.rstrip("/") if several else "",
        format=FORMAT.name,
        facts=meta.facts,
        header={**header, **({"name": name} if name else {})},
        arrays={"pixels": array},
        warnings=tuple(meta.warnings),
        close=hierarchy.files.close,
        spacing=meta.spacing,
        channels=channels,
    )


def _find_axes(image: Mapping[str, Any], layout: ArrayLayout) -> tuple[str, ...]:
    """One letter an axis; those of other names, and those that nobody names, stay open."""
    rank = len(layout.shape)
    stated = image.get("axes")
    if stated is None and image:
        return tuple(_OLD_AXES[-rank:]) if rank <= len(_OLD_AXES) else ("q",) * rank
    names = [one if isinstance(one, str) else one["name"] for one in stated] if stated else list(layout.names)
    letters = [str(name).lower() if str(name).lower() in tuple(_OLD_AXES) else "q" for name in names]
    if len(letters) != rank:
        letters = ["q"] * rank
    return tuple(letters)


def _apply_scale(meta: ImageMetadata, image: Mapping[str, Any], axes: tuple[str, ...]) -> None:
    """Spacing in um and frame rate of level 0, where the axes have units."""
    stated = image.get("axes") or []
    units = [one.get("unit", "") if isinstance(one, dict) else "" for one in stated] or [""] * len(axes)
    factors = [Decimal(1)] * len(axes)
    known = False
    for transforms in (image["datasets"][0].get("coordinateTransformations"), image.get("coordinateTransformations")):
        for one in transforms or ():
            if one["type"] == "scale":
                known = True
                steps = [Decimal(repr(float(n))) for n in one["scale"]]
                factors = [a * b for a, b in zip(factors, steps, strict=True)]
    sizes: dict[str, Decimal] = {}
    for axis, unit, factor in zip(axes, units, factors, strict=True):
        um, seconds = get_um_per_unit(str(unit)), get_seconds_per_unit(str(unit))
        if not known or not factor.is_finite() or factor <= 0:
            continue
        if axis in "zyx" and um:
            sizes[axis] = factor * um
        elif axis == "t" and seconds:
            meta.facts["frame_rate"] = format_decimal(divide(1, factor * seconds))
        elif axis in "zyx" and factor != 1:
            meta.warnings.append(
                f"the scale {factor} of axis {axis} has no unit of length ({unit!r}), so it is not taken"
            )
    meta.set_pixel_size(sizes.get("x"), sizes.get("y"))
    if "z" in sizes:
        meta.spacing["z"] = sizes["z"]


def _list_channels(omero: Mapping[str, Any], count: int) -> tuple[str, ...]:
    names = [str(one.get("label", "")) for one in omero.get("channels", ())]
    return tuple(names) if len(names) == count and all(names) else ()
