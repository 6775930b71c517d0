"""What converters of segmentations share: a PlaneSegmentation of a table of regions, and series of their traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuropress.model.content import Content, DataTable, Image, Series, count_frames
from neuropress.model.finding import Problem, problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node

from . import Job, imaging, make_constant
from ._frame_times import read_frame_times

MODULE = "/processing/ophys"
HOLDER = f"{MODULE}/ImageSegmentation"
FLUORESCENCE = f"{MODULE}/Fluorescence"
DF_OVER_F = f"{MODULE}/DfOverF"
SHOWN = 5

_HOLDERS = {"deconvolved": MODULE, "dff": DF_OVER_F}
"""Kind of trace -> what holds its series; fluorescence else."""
_TYPES = {FLUORESCENCE: "Fluorescence", DF_OVER_F: "DfOverF"}
_UNITS = {"dff": "n.a."}
"""Kind of trace -> its unit; arbitrary units else."""
_ABOUT = "What was drawn on, or computed from, the movies."


@dataclass(frozen=True, slots=True)
class Movie:
    """The row's movie, as its own converter has it.

    Attributes
    ----------
    job
        Its row with the fields that the mapping gives its series.
    image
        Its pixels.
    """

    job: Job
    image: Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        pixels = self.image.arrays["pixels"]
        width, height = (pixels.shape[pixels.axes.index(axis)] for axis in "xy")
        return width, height

    def make_timing(self) -> tuple[dict[str, Field], dict[str, ArraySpec]]:
        """Fields and arrays of time, and what is known of the alignment, as the movie's own series have them."""
        series = self.job.fields.get("series", {})
        fields = {"rate": series["rate"]} if "rate" in series else {}
        times = read_frame_times(self.job, self.image)
        start = imaging.compute_start(self.job, self.image, times)
        if start is None:
            fields["comments"] = make_constant(imaging.NAME, "comments", imaging.ALIGNMENT_UNKNOWN)
        fields["starting_time"] = start or make_constant(imaging.NAME, "starting_time", 0.0)
        return fields, times.add_to(fields) if times else {}

    def check_frames(self, job: Job, what: str, frames: int) -> None:
        """Refuse what has another number of frames. Raises `Problem` (``regions.frames``)."""
        known = count_frames(self.image)
        if frames != known:
            message = f"{job.record.key}: {what} has {frames} frames, its movie {self.job.source} has {known}"
            raise problem("regions.frames", message, **job.locate())


def find_movie(job: Job) -> Movie | None:
    """The movie of a job's row; None where it is looked at by itself, or cannot be read, which is said of the movie."""
    beside = job.beside.get(imaging.COLUMN["image"])
    if beside is None or len(beside.contents) != 1 or not isinstance(beside.contents[0], Image):
        return None
    return Movie(beside, beside.contents[0])


def list_regions(contents: Sequence[Content]) -> list[Content]:
    """Tables of regions with pixels, and the traces of their rows."""
    tables = [one for one in contents if isinstance(one, DataTable) and {"pixels", "ends"} <= one.arrays.keys()]
    traces = [one for one in contents if isinstance(one, Series) and "trace" in one.header] if tables else []
    return [*tables, *traces]


def make_module_nodes(converter: str) -> Iterator[Node]:
    """The processing module, which other converters may want alike."""
    yield Node(MODULE, "ProcessingModule", {"description": make_constant(converter, "module", _ABOUT)})


def build_regions(job: Job, movie: Movie, converter: str, stem: str) -> Iterator[Node]:
    """Nodes of all tables of regions of a file, and of their traces.

    Parameters
    ----------
    stem
        How the names of all nodes begin (``RY_IMG_0001``).

    Raises
    ------
    Problem
        ``imagej_roi.outside``, ``regions.outside``, ``regions.frames``.
    """
    tables = {one.name: one for one in job.contents if isinstance(one, DataTable)}
    yield Node(HOLDER, "ImageSegmentation")
    places = {}
    for name, table in tables.items():
        check_extents(job, table, movie)
        places[name] = f"{HOLDER}/{stem}_rois{_make_ending(name, tables)}"
        yield _build_segmentation(job, table, movie, converter, places[name])
    for series in job.contents:
        if isinstance(series, Series):
            of = str(series.header["table"])
            name = f"{stem}_{series.header['trace']}{_make_ending(of, tables)}"
            (count,) = tables[of].arrays["ends"].shape
            yield from build_traces(job, series, movie, converter, name, places[of], count)


def _make_ending(name: str, tables: Mapping[str, Any]) -> str:
    """What tells nodes of one file apart: the plane, where there are several."""
    return f"_{name}" if len(tables) > 1 else ""


def _build_segmentation(job: Job, table: DataTable, movie: Movie, converter: str, path: str) -> Node:
    fields = dict(job.fields["segmentation"])
    arrays = {
        "pixel_mask": ArraySpec.of(job.source, table, "pixels"),
        "pixel_mask_index": ArraySpec.of(job.source, table, "ends"),
    }
    for column in table.columns:
        if column.array == "pixels":
            continue
        name = column.name
        arrays[name] = ArraySpec.of(job.source, table, column.array)
        if column.ends:
            arrays[f"{name}_index"] = ArraySpec.of(job.source, table, column.ends)
        reference = job.make_fact_ref(column.array, column.meaning)
        fields[f"{name}/description"] = Field(f"{column.meaning}.", f"{converter}:{name}", "header", (reference,))
    plane, series = imaging.list_places(movie.job.record, movie.image)
    return Node(path, "PlaneSegmentation", fields, {"imaging_plane": plane, "reference_images": series}, arrays)


def build_traces(
    job: Job, series: Series, movie: Movie, converter: str, name: str, table: str, count: int
) -> Iterator[Node]:
    """A RoiResponseSeries, (time, roi) as NWB has it, in its container.

    Parameters
    ----------
    table, count
        Path of the PlaneSegmentation, and its rows, of which all are meant.

    Raises
    ------
    Problem
        ``regions.frames``.
    """
    kind, meaning = str(series.header["trace"]), str(series.header["meaning"])
    lazy = series.arrays[series.array]
    time, roi = lazy.axes.index("time"), lazy.axes.index("roi")
    movie.check_frames(job, f"{series.array} of {job.source}", lazy.shape[time])
    holder = _HOLDERS.get(kind, FLUORESCENCE)
    if holder in _TYPES:
        yield Node(holder, _TYPES[holder])
    timing, times = movie.make_timing()
    fields = timing | {
        "description": Field(
            f"{meaning}.", f"{converter}:{kind}", "header", (job.make_fact_ref(series.array, meaning),)
        ),
        "unit": make_constant(converter, "unit", _UNITS.get(kind, "a.u.")),
        "rois": make_constant(converter, "rois", f"0:{count}"),
        "rois/description": make_constant(
            converter, "rois_description", "All regions of the segmentation, in its order."
        ),
    }
    arrays = {"data": ArraySpec.of(job.source, series, series.array, IndexMap.whole(lazy.shape, (time, roi))), **times}
    yield Node(f"{holder}/{name}", "RoiResponseSeries", fields, {"rois": table}, arrays)


def check_extents(job: Job, table: DataTable, movie: Movie) -> None:
    """Refuse regions that do not lie on the movie: their pixels would be none of it."""
    width, height = movie.size
    size = f"{width}x{height}"
    stated = table.header.get("image_size")
    id = "regions.outside" if "bounds" in table.header else "imagej_roi.outside"
    if stated and list(stated) != [width, height]:
        message = f"image_size of {job.source} is stated as {stated[0]}x{stated[1]}; its movie is {size}"
        raise _make_problem(job, id, message)
    if "bounds" in table.header:
        bounds = table.header["bounds"]
        if _reaches_beyond(bounds, width, height):
            reach = f"columns {bounds[0]} to {bounds[2] - 1}, rows {bounds[1]} to {bounds[3] - 1}"
            raise _make_problem(job, id, f"the regions of {job.source} lie on {reach}; its movie is {size}")
        return
    _check_drawn_regions(job, table.header["rois"], width, height)


def _check_drawn_regions(job: Job, regions: Sequence[Mapping[str, Any]], width: int, height: int) -> None:
    """Regions that people drew, each by itself: some programs let them reach beyond the image."""
    size = f"{width}x{height}"
    if gone := [region for region in regions if not region["pixels"] and region.get("cut_off")]:
        message = f"{_describe(gone)} of {job.source}: no pixel lies on the movie of {size}; remove what is not of it"
        raise _make_problem(job, "imagej_roi.outside", message)
    if beyond := [region for region in regions if _reaches_beyond(region.get("bounds"), width, height)]:
        left, top, right, bottom = beyond[0]["bounds"]
        place = f"columns {left} to {right - 1}, rows {top} to {bottom - 1}"
        message = f"of {job.source}, {_describe(beyond)} with pixels beyond the movie of {size} ({place})"
        message += f'; to end masks at its edges, state [options."{job.source}"] image_size = "{size}"'
        raise _make_problem(job, "imagej_roi.outside", message)


def _reaches_beyond(bounds: Sequence[int] | None, width: int, height: int) -> bool:
    return bounds is not None and (bounds[0] < 0 or bounds[1] < 0 or bounds[2] > width or bounds[3] > height)


def _describe(regions: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(repr(str(region["name"])[:80]) for region in regions[:SHOWN])
    return f"{len(regions)} region{'s' if len(regions) != 1 else ''} ({names}{', ...' if len(regions) > SHOWN else ''})"


def _make_problem(job: Job, id: str, message: str) -> Problem:
    return problem(id, f"{job.record.key}: {message}", **job.locate())
