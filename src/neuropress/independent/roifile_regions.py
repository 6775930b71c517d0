"""ImageJ's regions of interest by roifile: names, positions, and outlines, which are filled here pixel by pixel.

roifile gives outlines only. Of ovals and lines ImageJ's own pixels do not follow from them: such files are refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from roifile import ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from .reading import CannotRead, SecondArrays

FILLED = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT)
ANNOTATIONS = (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE)
PIXEL = np.dtype([("x", "i8"), ("y", "i8"), ("weight", "f4")])
NUMBERS = {"position": "position", "channel": "c_position", "slice": "z_position", "frame": "t_position",
           "group": "group"}  # fmt: skip


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    rois = [(name, roi) for name, roi in _list_rois(path) if roi.subtype not in ANNOTATIONS]
    masks = [_fill(roi) for _, roi in rois]
    if "image_size" in options:
        width, height = (int(part) for part in str(options["image_size"]).lower().split("x"))
        masks = [mask[(mask[:, 0] < width) & (mask[:, 1] < height)] for mask in masks]
    places = np.concatenate(masks)
    pixels = np.empty(len(places), PIXEL)
    pixels["x"], pixels["y"] = places.T
    pixels["weight"] = 1
    arrays = {
        "pixels": pixels,
        "ends": np.cumsum([len(mask) for mask in masks]),
        "name": np.array([roi.name or name for name, roi in rois], object),
    }
    return SecondArrays(arrays | {ours: np.array([getattr(r, n) for _, r in rois]) for ours, n in NUMBERS.items()})


def _list_rois(path: Path) -> Iterator[tuple[str, ImagejRoi]]:
    """Each region with the name of its file."""
    if not zipfile.is_zipfile(path):
        yield path.stem, ImagejRoi.frombytes(path.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name = PurePosixPath(member).name
            if name.lower().endswith(".roi") and not name.startswith("._"):
                yield name[:-4], ImagejRoi.frombytes(archive.read(member))


def _fill(roi: ImagejRoi) -> np.ndarray:
    """(pixel, 2) x and y of the pixels whose middle lies inside by the even-odd rule, row by row.

    A middle on a left or an upper edge is outside, one on a right or a lower edge inside.
    """
    is_composite = roi.multi_coordinates is not None
    if roi.roitype not in FILLED or roi.subtype == ROI_SUBTYPE.ELLIPSE or roi.subtype == ROI_SUBTYPE.ROTATED_RECT:
        raise CannotRead(f"roifile has an outline of {roi.name!r}, from which ImageJ's pixels do not follow")
    is_box = roi.roitype == ROI_TYPE.RECT and not is_composite
    if is_box and (roi.rounded_rect_arc_size or roi.subpixelrect):
        raise CannotRead(f"corners of {roi.name!r} are rounded, or between pixels")
    paths = [np.asarray(path, "f8") for path in roi.coordinates(multi=True) if len(path)]
    if not paths:
        return np.empty((0, 2), "i8")
    low = np.floor(np.min([path.min(0) for path in paths], 0)).astype("i8").clip(0)
    high = np.ceil(np.max([path.max(0) for path in paths], 0)).astype("i8").clip(0) + 1
    columns = np.arange(low[0], high[0]) + 0.5
    rows: list[np.ndarray] = []
    for row in range(int(low[1]), int(high[1])):
        crossings = np.concatenate([_cross(path, row + 0.5) for path in paths])
        inside = (crossings[None, :] < columns[:, None]).sum(1) % 2 == 1
        found = np.flatnonzero(inside) + low[0]
        rows.append(np.column_stack([found, np.full(len(found), row)]))
    return np.concatenate(rows) if rows else np.empty((0, 2), "i8")


def _cross(path: np.ndarray, height: float) -> np.ndarray:
    """Where the edges of a closed path cross a horizontal line."""
    x, y = path.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    is_crossed = (y < height) != (next_y < height)
    x, y, next_x, next_y = (part[is_crossed] for part in (x, y, next_x, next_y))
    return np.asarray(x + (height - y) * (next_x - x) / (next_y - y))
