"""Regions of ``stat.npy``: masks, and what suite2p measured of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...model.budget import REGION_COUNT, ROI_PIXELS
from ..numpy_files.errors import DamagedFile
from ..regions import Mask, RegionColumn

NUMBERS = {
    "npix": "Pixels of the region",
    "npix_soma": "Pixels of the region without what was cropped from its soma",
    "npix_norm": "Pixels of the region, relative to the mean over regions",
    "npix_norm_no_crop": "Pixels of the region before cropping, relative to the mean over regions",
    "footprint": "Mean distance from the centre of pixels with the region's signal, also outside of the mask",
    "mrs": "Mean distance of the pixels from the centre, relative to a disc's",
    "mrs0": "Mean distance from the centre of the pixels of a disc of as many pixels",
    "compact": "Compactness of the region; 1 is a disc",
    "solidity": "Pixels of the region relative to its convex hull",
    "radius": "Radius of a Gaussian fitted to the region, in pixels",
    "aspect_ratio": "Ratio of the axes of a Gaussian fitted to the region",
    "skew": "Skewness of the fluorescence, neuropil subtracted",
    "std": "Standard deviation of the fluorescence, neuropil subtracted",
    "chan2_prob": "Probability that the region is in the second channel",
    "iplane": "Plane that the region lies in",
}
PIXELS = {
    "overlap": "Whether the pixel belongs to another region too, in the order of pixel_mask",
    "soma_crop": "Whether the pixel belongs to the region's soma, in the order of pixel_mask",
    "neuropil_mask": "Pixels of the neuropil around the region, each as row * width + column",
}


class TooManyPixels(ValueError):
    """The masks are larger than any real ones; the text names the limit."""


def list_masks(regions: Sequence[Mapping[str, Any]]) -> list[Mask]:
    """The pixels of each region, weighted as suite2p weights them.

    Raises
    ------
    DamagedFile
        A region has no pixels as suite2p writes them.
    TooManyPixels
    """
    if len(regions) > REGION_COUNT:
        raise TooManyPixels(f"it has {len(regions)} regions, more than {REGION_COUNT}")
    room = ROI_PIXELS
    masks = []
    for number, region in enumerate(regions):
        y, x, weight = (_get_vector(region, name, number) for name in ("ypix", "xpix", "lam"))
        if not len(y) == len(x) == len(weight):
            raise DamagedFile(f"region {number} has {len(y)} ypix, {len(x)} xpix and {len(weight)} lam")
        if x.dtype.kind not in "iu" or y.dtype.kind not in "iu" or weight.dtype.kind != "f":
            raise DamagedFile(f"region {number} has pixels of {x.dtype} and {y.dtype} with weights of {weight.dtype}")
        if len(x) and not (min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) < 2**31):
            raise DamagedFile(f"region {number} has a pixel at a negative or absurd place")
        room -= len(x)
        if room < 0:
            raise TooManyPixels(f"the masks take more than {ROI_PIXELS} pixels")
        masks.append(Mask(x, y, weight))
    return masks


def _get_vector(region: Mapping[str, Any], name: str, number: int) -> np.ndarray:
    value = region.get(name)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "biuf":
        raise DamagedFile(f"region {number} has no {name}, a row of numbers")
    return value


def list_columns(regions: Sequence[Mapping[str, Any]]) -> Iterator[RegionColumn]:
    """What suite2p says of each region, as columns; entries that it does not write are left out.

    Raises
    ------
    DamagedFile, TooManyPixels
    """
    places = [_read_place(region.get("med")) for region in regions]
    if all(place is not None for place in places):
        yield RegionColumn("med", np.array(places, "<f8"), "Centre that suite2p states, row and column (y, x)")
    for name, meaning in NUMBERS.items():
        values = [_read_scalar(region.get(name)) for region in regions]
        if any(value is not None for value in values):
            yield RegionColumn(name, _join_scalars(values), f"{meaning} (suite2p's {name})")
    for name, meaning in PIXELS.items():
        if all(name in region for region in regions):
            yield _join_vectors(regions, name, f"{meaning} (suite2p's {name})")


def _read_place(value: Any) -> tuple[float, float] | None:
    """``med`` as suite2p writes it: a list of two numbers, or an array of them."""
    parts = list(value) if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim) else []
    numbers = [_read_scalar(part) for part in parts[:3]]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return float(numbers[0]), float(numbers[1])


def _read_scalar(value: Any) -> np.generic | int | float | None:
    """A number that a column can hold; None for anything else."""
    if isinstance(value, np.generic):
        return value if value.dtype.kind in "iuf" and value.dtype.itemsize <= 8 else None
    if type(value) is int:
        return value if abs(value) < 2**53 else None
    return value if type(value) is float else None


def _join_scalars(values: Sequence[np.generic | int | float | None]) -> np.ndarray:
    """Numbers as they were stored: integers where all are, float32 where all are, else float64, NaN for none."""
    known = [value for value in values if value is not None]
    kinds = {np.asarray(value).dtype for value in known}
    if len(known) == len(values) and all(kind.kind in "iu" for kind in kinds):
        return np.array([int(value) for value in known], "<i8")
    narrow = kinds == {np.dtype("f4")}
    return np.array([np.nan if value is None else value for value in values], "<f4" if narrow else "<f8")


def _join_vectors(regions: Sequence[Mapping[str, Any]], name: str, meaning: str) -> RegionColumn:
    """A column of several elements a region."""
    parts = [_get_vector(region, name, number) for number, region in enumerate(regions)]
    ends = np.cumsum([len(part) for part in parts], dtype="<u4")
    if sum(len(part) for part in parts) > 4 * ROI_PIXELS:
        raise TooManyPixels(f"its {name} take more than {4 * ROI_PIXELS} elements")
    kinds = {part.dtype.newbyteorder("=") for part in parts}
    kind = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds)
    return RegionColumn(name, np.concatenate(parts).astype(kind), meaning, ends)
