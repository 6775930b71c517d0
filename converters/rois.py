"""Regions of interest: ``file_path_roi`` of movies, to a PlaneSegmentation in the module "ophys"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuropress.mapping.rules import Slots
from neuropress.model.content import Content, DataTable, Image
from neuropress.model.finding import Problem, problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.record import Record

from . import Built, Job, imaging, make_constant

NAME = "rois"
REVISION = 1
TABLES = ("image",)
COLUMN: Mapping[str, str] = {"image": "file_path_roi"}
TARGET = "session"
SLOTS: Slots = {"segmentation": frozenset({"description"})}
BINDINGS: Mapping[str, str] = {}
SUFFIXES = (".roi", ".zip")
MODULE = "/processing/ophys"
HOLDER = f"{MODULE}/ImageSegmentation"
WANTS = "a table of regions with their pixels"

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
"""Array of the content -> name and meaning of the column."""
SHOWN = 5


def takes(record: Record) -> bool:
    """Rows of movies whose file of regions is called like one of ImageJ."""
    if not imaging.takes(record) or "file_path_roi" not in record.cells:
        return False
    return record.cells["file_path_roi"].text.lower().endswith(SUFFIXES)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """Tables with pixels."""
    return [one for one in contents if isinstance(one, DataTable) and {"pixels", "ends"} <= one.arrays.keys()]


def build(jobs: Sequence[Job]) -> Built:
    """One PlaneSegmentation for each row, with the imaging plane and the series of the row's movie.

    Raises
    ------
    Problem
        ``imagej_roi.outside``: a region reaches beyond the movie.
    """
    about = {"description": make_constant(NAME, "module", "What was drawn on, or computed from, the movies.")}
    nodes = [Node(MODULE, "ProcessingModule", about), Node(HOLDER, "ImageSegmentation")]
    for job in jobs:
        movie = job.beside.get(imaging.COLUMN["image"], ())
        if len(movie) != 1 or not isinstance(movie[0], Image):
            continue  # the row is looked at by itself; why its movie cannot be read is said of the movie
        for content in job.contents:
            _check_extents(job, content, movie[0])
            nodes.append(_build_segmentation(job, content, movie[0]))
    return Built(tuple(nodes))


def _build_segmentation(job: Job, content: Content, movie: Image) -> Node:
    fields = dict(job.fields["segmentation"])
    arrays = {
        "pixel_mask": ArraySpec.of(job.source, content, "pixels"),
        "pixel_mask_index": ArraySpec.of(job.source, content, "ends"),
    }
    for array, (column, meaning) in _COLUMNS.items():
        arrays[column] = ArraySpec.of(job.source, content, array)
        reference = job.make_fact_ref(array, meaning)
        fields[f"{column}/description"] = Field(f"{meaning}.", f"{NAME}:{column}", "header", (reference,))
    plane, series = imaging.list_places(job.record, movie)
    return Node(
        f"{HOLDER}/{job.record.key}_rois",
        "PlaneSegmentation",
        fields,
        {"imaging_plane": plane, "reference_images": series},
        arrays,
    )


def _check_extents(job: Job, content: Content, movie: Image) -> None:
    """Refuse regions that do not lie on the movie: their pixels would be none of it."""
    pixels = movie.arrays["pixels"]
    width, height = (pixels.shape[pixels.axes.index(axis)] for axis in "xy")
    size = f"{width}x{height}"
    stated = content.header.get("image_size")
    if stated and list(stated) != [width, height]:
        message = f"image_size of {job.source} is stated as {stated[0]}x{stated[1]}; its movie is {size}"
        raise _make_problem(job, message)
    regions = content.header["rois"]
    if gone := [region for region in regions if not region["pixels"] and region.get("cut_off")]:
        raise _make_problem(
            job, f"{_describe(gone)} of {job.source}: no pixel lies on the movie of {size}; remove what is not of it"
        )
    if beyond := [region for region in regions if _reaches_beyond(region.get("bounds"), width, height)]:
        left, top, right, bottom = beyond[0]["bounds"]
        place = f"columns {left} to {right - 1}, rows {top} to {bottom - 1}"
        message = f"of {job.source}, {_describe(beyond)} with pixels beyond the movie of {size} ({place})"
        message += f'; to end masks at its edges, state [options."{job.source}"] image_size = "{size}"'
        raise _make_problem(job, message)


def _reaches_beyond(bounds: Sequence[int] | None, width: int, height: int) -> bool:
    return bounds is not None and (bounds[0] < 0 or bounds[1] < 0 or bounds[2] > width or bounds[3] > height)


def _describe(regions: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(repr(str(region["name"])[:80]) for region in regions[:SHOWN])
    return f"{len(regions)} region{'s' if len(regions) != 1 else ''} ({names}{', ...' if len(regions) > SHOWN else ''})"


def _make_problem(job: Job, message: str) -> Problem:
    return problem("imagej_roi.outside", f"{job.record.key}: {message}", **job.locate())
