"""Regions as results have them: their pixels one after the other, and where each region's end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .reading import SecondArrays

PIXEL = np.dtype([("x", "i8"), ("y", "i8"), ("weight", "f8")])


def split_regions(planes: Sequence[np.ndarray]) -> SecondArrays:
    """The regions of one image of labels (row, column), or those of several planes, a mask each."""
    if len(planes) == 1:
        values = [int(value) for value in np.unique(planes[0]) if value]
        masks = [planes[0] == value for value in values]
        named = {"label": np.array(values)}
    else:
        masks = [plane != 0 for plane in planes]
        named = {"mask_plane": np.arange(len(planes))}
    places = [np.argwhere(mask) for mask in masks]
    rows, columns = np.concatenate(places).T
    pixels = join_pixels(columns, rows, np.ones(len(rows)))
    return SecondArrays({"pixels": pixels, "ends": np.cumsum([len(place) for place in places]), **named})


def join_pixels(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(pixel,) of records."""
    pixels = np.empty(len(x), PIXEL)
    pixels["x"], pixels["y"], pixels["weight"] = x, y, weight
    return pixels
