"""ImageJ's regions of interest as a table: a row each, with its pixels.

Own code, because roifile (BSD, numpy alone) gives outlines and no pixels, and allocates what headers promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...model.budget import ROI_PIXELS, ROI_RUNS, ROI_VERTICES
from ...model.content import Column, DataTable, LazyArray, Selection
from ...model.finding import problem
from ...model.source import Source, Stamp
from ..stamp import check_unchanged
from . import FORMAT, parse_image_size
from .fill import Runs, TooLarge, clip_runs, count_pixels, fill_roi, list_pixels
from .members import Member, read_members
from .parse import Annotation, DamagedRoi, Roi, UnsupportedRoi, parse_roi

PIXEL = np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])
BLOCK_PIXELS = 2**18
TEXT = np.dtypes.StringDType()
SHOWN = 5
"""Names that a warning lists."""


@dataclass(frozen=True, slots=True)
class _Region:
    """A ROI with its name and its pixels, of which `cut_off` more lay beyond the stated size of the image."""

    name: str
    roi: Roi
    runs: Runs
    cut_off: int


def read(source: Source, options: Mapping[str, Any]) -> tuple[DataTable, ...]:
    """One table of all regions: pixels with ends, names, kinds, positions and groups.

    Masks are computed here, because how long an array is must be known; the pixels themselves are listed when they
    are read. Pixels with negative coordinates are left out; ``bounds`` in the header have them.

    Raises
    ------
    Problem
        ``imagej_roi.damaged``, ``imagej_roi.empty``, ``imagej_roi.limit``, ``imagej_roi.unsupported``.
    """
    stamp = source.stamp()
    members, others = read_members(source)
    size = parse_image_size(options["image_size"]) if "image_size" in options else None
    regions, notes = _fill_members(source, members, size)
    if not sum(count_pixels(region.runs) for region in regions):
        what = f"its {len(regions)} regions have no pixel" if regions else "it holds no region (.roi)"
        raise problem("imagej_roi.empty", f"{source.key}: {what}", file=source.key)
    count = str(len(regions))
    table = DataTable(
        name="",
        format=FORMAT.name,
        facts={"rois": count},
        header={
            "rois": [_describe_region(region) for region in regions],
            **({"image_size": list(size)} if size else {}),
        },
        arrays=_make_arrays(source, stamp, regions),
        warnings=tuple(_list_warnings(source.key, regions, notes, others)),
        columns=(
            Column("pixel_mask", "pixels", ends="ends"),
            *(Column(name, array, meaning=meaning) for array, (name, meaning) in _COLUMNS.items()),
        ),
    )
    return (table,)


def _fill_members(
    source: Source, members: Sequence[Member], size: tuple[int, int] | None
) -> tuple[list[_Region], list[str]]:
    """Every region with its pixels, and what lies over the image only and is left out."""
    regions: list[_Region] = []
    notes: list[str] = []
    runs_room, pixels_room, vertices_room = ROI_RUNS, ROI_PIXELS, ROI_VERTICES
    for member in members:
        where = f"{source.key}: {member.file[:80]}" if member.file else source.key
        try:
            roi = parse_roi(member.data, vertices_room)
            runs = fill_roi(roi, runs_room, pixels_room)
        except Annotation as note:
            notes.append(f"{member.name} ({note})")
            continue
        except DamagedRoi as error:
            raise problem("imagej_roi.damaged", f"{where}: {error}", file=source.key) from error
        except UnsupportedRoi as error:
            raise problem("imagej_roi.unsupported", f"{where}: {error}", file=source.key) from error
        except TooLarge:
            message = f"{where}: the masks take more than {ROI_PIXELS} pixels, or {ROI_RUNS} runs of pixels"
            raise problem("imagej_roi.limit", message, file=source.key) from None
        runs_room -= len(runs)
        pixels_room -= count_pixels(runs)
        vertices_room -= sum(len(path) for path in roi.paths) if roi.kind == "composite" else 0
        kept = clip_runs(runs, *size) if size else runs
        regions.append(_Region(roi.name or member.name, roi, kept, count_pixels(runs) - count_pixels(kept)))
    return regions, notes


def _describe_region(region: _Region) -> dict[str, Any]:
    """What the header keeps of a region: where it lies, and what its row of the table does not say."""
    runs = region.runs
    about: dict[str, Any] = {"name": region.name, "kind": region.roi.kind, "pixels": count_pixels(runs)}
    if len(runs):
        low, high = runs.min(axis=0), runs.max(axis=0)
        about["bounds"] = [int(low[1]), int(low[0]), int(high[2]), int(high[0]) + 1]
    if region.cut_off:
        about["cut_off"] = region.cut_off
    if region.roi.stroke_width > 1:
        about["stroke_width"] = region.roi.stroke_width
    return about


def _list_warnings(key: str, regions: Sequence[_Region], notes: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    lines = [region for region in regions if region.roi.shape == "line"]
    reasons = {
        "regions are lines or points without an area: their masks are the pixels along them": [
            region.name for region in regions if region.roi.shape in ("line", "points")
        ],
        "regions are lines drawn wider than a pixel: their masks are one pixel wide": [
            region.name for region in lines if region.roi.stroke_width > 1
        ],
        "regions have no pixel": [region.name for region in regions if not len(region.runs)],
        "regions have points on several images: all are in one mask": [
            region.name for region in regions if region.roi.point_slices > 1
        ],
        "are annotations that lie over the image, and are left out": notes,
        "members of the zip are no .roi, and are left out": others,
    }
    total = len(regions) + len(notes) + len(others)
    for reason, names in reasons.items():
        if names:
            yield f"{key}: {len(names)} of {total} {reason} ({_list_names(names)})"


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(name[:80] for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


_FROM_1 = "that the region was drawn on, from 1; 0 where the file does not say"
_COLUMNS = {
    "name": ("roi_name", "Name of the region in the file"),
    "kind": ("roi_kind", "What the region was drawn as; of lines and points, masks are the pixels along them"),
    "position": ("stack_position", f"Image of the stack {_FROM_1}"),
    "channel": ("channel", f"Channel {_FROM_1}"),
    "slice": ("slice", f"Depth {_FROM_1}"),
    "frame": ("frame", f"Frame {_FROM_1}"),
    "group": ("group", "Group that the region was put into; 0 for none"),
}
"""Array -> name and meaning of the column."""


def _make_arrays(source: Source, stamp: Stamp, regions: Sequence[_Region]) -> dict[str, LazyArray]:
    masks = [_keep_positive(region.runs) for region in regions]
    runs = np.concatenate(masks)
    ends = np.cumsum([count_pixels(mask) for mask in masks], dtype="<u4")
    total = int(ends[-1])
    read_pixels = partial(_read_pixels, source, stamp, runs)
    arrays = {
        "pixels": LazyArray("pixels", (total,), PIXEL, ("pixel",), read_pixels, (min(total, BLOCK_PIXELS),)),
        "ends": _make_array("ends", ends),
        "name": _make_array("name", np.array([region.name for region in regions], TEXT)),
        "kind": _make_array("kind", np.array([region.roi.kind for region in regions], TEXT)),
    }
    for name in list(_COLUMNS)[2:]:
        arrays[name] = _make_array(name, np.array([getattr(region.roi, name) for region in regions], "<i4"))
    return arrays


def _keep_positive(runs: Runs) -> Runs:
    """What lies within any image: its extents are not known here."""
    return clip_runs(runs, np.iinfo("i4").max, np.iinfo("i4").max)


def _make_array(name: str, data: np.ndarray) -> LazyArray:
    return LazyArray(name, data.shape, data.dtype, ("roi",), data.__getitem__, data.shape)


def _read_pixels(source: Source, stamp: Stamp, runs: Runs, selection: Selection) -> np.ndarray:
    """Pixels of all masks one after the other, of weight 1."""
    check_unchanged(source.stamp(), stamp, source.key)
    x, y = list_pixels(runs, selection[0].start, selection[0].stop)
    pixels = np.empty(len(x), PIXEL)
    pixels["x"], pixels["y"], pixels["weight"] = x, y, 1.0
    return pixels
