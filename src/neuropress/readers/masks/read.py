"""Label images and planes of masks as a table of regions. Ids of labels are kept, never counted anew."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ...model.budget import MASK_BYTES, PICKLE_BYTES, REGION_COUNT, ROI_PIXELS
from ...model.content import Column, DataTable
from ...model.finding import problem
from ...model.source import Source
from ..images import is_tiff
from ..numpy_files import MAGIC
from ..numpy_files.errors import DamagedFile, RefusedPickle
from ..numpy_files.header import make_npy_array, parse_npy_header, read_npy_header
from ..numpy_files.objects import list_elements, parse_objects
from ..regions import RegionColumn, make_array, make_columns, make_pixel_type, measure_bounds
from ..slices import png
from ..tiff import read as tiff
from . import FORMAT


class TooLarge(ValueError):
    """More than any real segmentation; the text names the limit."""


class NotMasks(ValueError):
    """An image that is none of regions; the text says why."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[DataTable, ...]:
    """One table of the regions, in the order of their labels or planes.

    Raises
    ------
    Problem
        ``regions.damaged``: it is no image of regions; ``regions.empty``, ``regions.limit``, ``pickle.refused``, and
        what the readers of TIFF and PNG find.
    """
    key = source.key
    try:
        image = _read_image(source)
        if image.ndim == 3 and image.shape[0] == 1:
            image = image[0]
        found = _split_labels(image) if image.ndim == 2 else _split_planes(image)
    except RefusedPickle as error:
        raise problem("pickle.refused", f"{key}: {error}", file=key) from error
    except (DamagedFile, NotMasks) as error:
        raise problem("regions.damaged", f"{key}: {error}", file=key) from error
    except TooLarge as error:
        raise problem("regions.limit", f"{key}: {error}", file=key) from error
    pixels, ends, column = found
    if not len(pixels):
        raise problem("regions.empty", f"{key}: all its {image.size} pixels are 0", file=key)
    arrays, declared = make_columns([column])
    arrays |= {"pixels": make_array("pixels", pixels, "pixel"), "ends": make_array("ends", ends)}
    header = {"regions": len(ends), "bounds": measure_bounds(pixels), "image_size": list(image.shape[:-3:-1])}
    warnings = []
    if image.ndim == 2 and len(ends) == 1:
        warnings.append(
            f"{key}: all pixels have one value, so they are one region; label cells apart if they are several"
        )
    columns = (Column("pixel_mask", "pixels", ends="ends"), *declared)
    facts = {"rois": str(len(ends))}
    return (DataTable("", FORMAT.name, facts, header, arrays, tuple(warnings), columns=columns),)


def _read_image(source: Source) -> np.ndarray:
    """Whole numbers of (row, column) or (plane, row, column)."""
    head = source.head()
    if is_tiff(head):
        image = _read_tiff(source)
    elif head.startswith(MAGIC):
        image = _read_npy(source)
    else:
        with source.open() as file:
            header = png.read_header(file, source.size(), source.key)
        if len(header.shape) != 2:
            raise NotMasks("it has colours or transparency; regions are labels in gray, or planes of a TIFF")
        _check_extent(header.shape, header.dtype)
        image = png.decode_pixels(source.read(), header, source.key)
    return _check_numbers(image)


def _read_tiff(source: Source) -> np.ndarray:
    images = tiff.read(source, {})
    try:
        if len(images) != 1:
            raise NotMasks(f"it holds {len(images)} images, and regions are one")
        pixels = images[0].arrays["pixels"]
        axes = [axis for axis, extent in zip(pixels.axes, pixels.shape, strict=True) if axis in "yx" or extent > 1]
        if "s" in axes or axes[-2:] != ["y", "x"] or len(axes) > 3:
            extents = " ".join(f"{axis}={extent}" for axis, extent in zip(pixels.axes, pixels.shape, strict=True))
            raise NotMasks(f"its axes are {extents}; regions are labels of y and x, or planes of them without colours")
        _check_extent(pixels.shape, pixels.dtype)
        image = pixels.read(tuple(slice(0, extent) for extent in pixels.shape))
        return image.reshape([extent for axis, extent in zip(pixels.axes, pixels.shape, strict=True) if axis in axes])
    finally:
        for one in images:
            one.close()


def _read_npy(source: Source) -> np.ndarray:
    header = read_npy_header(source, source.key)
    if not header.is_pickled:
        _check_extent(header.shape, header.stored)
        lazy = make_npy_array(source, source.key, header, "masks", ("q",) * len(header.shape))
        return lazy.read(tuple(slice(0, extent) for extent in header.shape))
    if source.size() > PICKLE_BYTES:
        raise RefusedPickle(f"it has {source.size()} bytes; more than {PICKLE_BYTES} of a pickle are not read")
    data = source.read()
    elements = list_elements(parse_objects(data, parse_npy_header(data, len(data)).start))
    masks = elements[0].get("masks") if len(elements) == 1 and type(elements[0]) is dict else None
    if not isinstance(masks, np.ndarray):
        raise NotMasks("its objects have no array masks, as Cellpose saves one")
    _check_extent(masks.shape, masks.dtype)
    return masks


def _check_extent(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if prod(shape) * dtype.itemsize > MASK_BYTES:
        raise TooLarge(f"its {' x '.join(map(str, shape))} pixels take more than {MASK_BYTES} bytes")


def _check_numbers(image: np.ndarray) -> np.ndarray:
    """Labels as whole numbers from 0. Raises `NotMasks`."""
    if image.ndim not in (2, 3):
        raise NotMasks(f"it has {image.ndim} axes; regions are labels of y and x, or planes of them")
    if image.dtype.kind == "f":
        whole = image.astype("<i8") if np.isfinite(image).all() and np.abs(image).max(initial=0) < 2**53 else None
        if whole is None or not np.array_equal(whole, image):
            raise NotMasks("its pixels are fractions, and labels are whole numbers")
        image = whole
    if image.dtype.kind not in "biu":
        raise NotMasks(f"its pixels are {image.dtype}, and labels are whole numbers")
    if image.dtype.kind == "i" and image.size and image.min() < 0:
        raise NotMasks(f"it has the label {image.min()}; labels are from 1, and 0 is the background")
    return image


def _split_labels(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, RegionColumn]:
    """Pixels of each label in the order of rows; labels in ascending order."""
    flat = image.ravel()
    places = np.flatnonzero(flat)
    _check_room(len(places))
    labels = flat[places]
    order = np.argsort(labels, kind="stable")
    known, counts = np.unique(labels, return_counts=True)
    if len(known) > REGION_COUNT:
        raise TooLarge(f"it has {len(known)} labels, more than {REGION_COUNT}")
    wide = known.astype("<u8" if known.dtype.kind == "u" else "<i8")
    column = RegionColumn("label", wide, "Label of the region in the image; 0 is the background")
    return _make_pixels(places[order], image.shape[-1]), np.cumsum(counts, dtype="<u4"), column


def _split_planes(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, RegionColumn]:
    """Pixels of each plane that are not 0, where planes have no second value. Planes may overlap."""
    if len(image) > REGION_COUNT:
        raise TooLarge(f"it has {len(image)} planes, more than {REGION_COUNT}")
    parts = []
    room = 0
    for number, plane in enumerate(image):
        places = np.flatnonzero(plane)
        values = plane.ravel()[places]
        if len(values) and values.min() != values.max():
            between = f"{values.min()} and {values.max()} beside 0"
            raise NotMasks(
                f"plane {number} has the values {between}; one of a region has one, and labels have one plane"
            )
        room += len(places)
        _check_room(room)
        parts.append(_make_pixels(places, image.shape[-1]))
    ends = np.cumsum([len(part) for part in parts], dtype="<u4")
    pixels = np.concatenate(parts) if parts else _make_pixels(np.empty(0, "i8"), 1)
    column = RegionColumn(
        "mask_plane", np.arange(len(parts), dtype="<i8"), "Plane of the file that is the region, from 0"
    )
    return pixels, ends, column


def _check_room(count: int) -> None:
    if count > ROI_PIXELS:
        raise TooLarge(f"its masks take more than {ROI_PIXELS} pixels")


def _make_pixels(places: np.ndarray, width: int) -> np.ndarray:
    pixels = np.empty(len(places), make_pixel_type())
    pixels["y"], pixels["x"] = np.divmod(places, width)
    pixels["weight"] = 1
    return pixels
