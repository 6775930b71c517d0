"""What was computed from movies: ``file_path_processed``, to the module "ophys", beside the raw series.

A motion-corrected movie becomes a second series of the same imaging plane. NWB's CorrectedImageStack is not used: it
demands the shift of every frame, which no such file holds. Segmentations are those of `rois`; traces by themselves are
of the segmentation that the row names in ``file_path_roi``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from neuropress.mapping.rules import Slots
from neuropress.model.content import Content, DataTable, Image, Series, count_frames
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.record import Record

from . import Built, Job, _segmentation, describe_image_choice, imaging, make_constant
from . import rois as rois_converter

NAME = "processed"
REVISION = 1
TABLES = ("image",)
COLUMN: Mapping[str, str] = {"image": "file_path_processed"}
TARGET = "session"
SLOTS: Slots = {"movie": frozenset({"description"}), "segmentation": frozenset({"description"})}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "what was computed has the times of the row's movie"
SUFFIXES = (".tif", ".tiff", ".hdf5", ".h5", "suite2p/")
TRACES = (".csv", ".tsv", ".npy")
PURPOSES = ("traces", "regions")
IS_OPTIONAL = True
WANTS = "a movie, a table of regions with their pixels, or traces"


def takes(record: Record) -> bool:
    """Rows of movies whose processed file is called like one that is read: traces, where regions are named too."""
    if not imaging.takes(record) or "file_path_processed" not in record.cells:
        return False
    text = record.cells["file_path_processed"].text.lower()
    regions = "file_path_roi" in record.cells and record.cells["file_path_roi"].text
    return text.endswith(SUFFIXES) or "/suite2p/" in text or bool(regions and text.endswith(TRACES))


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """Regions with their traces, else a movie, else traces by themselves."""
    images = [one for one in contents if isinstance(one, Image)]
    traces = [one for one in contents if isinstance(one, Series) and one.header.get("trace") == "traces"]
    return _segmentation.list_regions(contents) or images or traces


def build(jobs: Sequence[Job]) -> Built:
    """Series, segmentations and traces of each row.

    Raises
    ------
    Problem
        ``regions.frames``: traces have another number of frames than the row's movie; ``regions.outside``;
        ``traces.names``: whose traces they are is not known.
    """
    nodes: list[Node] = list(_segmentation.make_module_nodes(NAME))
    findings: list[Finding] = []
    for job in jobs:
        movie = _segmentation.find_movie(job)
        if movie is None:
            continue
        if any(isinstance(one, DataTable) for one in job.contents):
            nodes += _segmentation.build_regions(job, movie, NAME, f"{job.record.key}_processed")
        elif isinstance(job.contents[0], Image):
            if reason := _find_obstacle(job, movie):
                message = f"{job.record.key}: {reason}; the file is kept as it is, and not converted"
                findings.append(finding("image.processed_kept", message, **job.locate()))
            else:
                nodes.append(_build_movie(job, movie))
        else:
            nodes += _build_traces(job, movie)
    return Built(tuple(nodes), tuple(findings))


def _find_obstacle(job: Job, movie: _segmentation.Movie) -> str:
    """Why an image is no processed form of the row's movie; empty where it is one."""
    if len(job.contents) != 1 or not isinstance(job.contents[0], Image):
        return describe_image_choice(job)
    pixels = job.contents[0].arrays["pixels"]
    rest = [axis for axis in pixels.axes if axis not in "yx"]
    if len(rest) != 1 or rest[0] not in "tqz" or pixels.dtype.kind not in "iuf":
        extents = " ".join(f"{axis}={extent}" for axis, extent in zip(pixels.axes, pixels.shape, strict=True))
        return f"the axes of {job.source} are {extents} ({pixels.dtype}), not frames of y and x"
    frames = count_frames(job.contents[0]), count_frames(movie.image)
    return "" if frames[0] == frames[1] else f"{job.source} has {frames[0]} frames, {movie.job.source} has {frames[1]}"


def _build_movie(job: Job, movie: _segmentation.Movie) -> Node:
    """The processed movie as a series of the raw one's type and imaging plane."""
    (image,) = (one for one in job.contents if isinstance(one, Image))
    pixels = image.arrays["pixels"]
    rest = next(axis for axis in pixels.axes if axis not in "yx")
    kind, _ = imaging.choose_series_type(job.record, job.profile)
    plane, series = imaging.list_places(movie.job.record, movie.image)
    index, _ = imaging.build_index_map(pixels, pixels.axes.index(rest), None, 0)
    description = job.fields["movie"]["description"]
    file = f" of {movie.job.elsewhere}" if movie.job.elsewhere else ""
    text = f"{description.value}; its raw movie is {', '.join(series)}{file}"
    size = [pixels.shape[pixels.axes.index(axis)] for axis in "xy"]
    timing, times = movie.make_timing()
    fields = timing | {
        "description": replace(description, value=text, rule=f"{NAME}:description"),
        "unit": make_constant(NAME, "unit", "a.u."),
        "format": make_constant(NAME, "format", "raw"),
        "dimension": Field(size, f"{NAME}:dimension", "shape", (job.make_fact_ref("x", str(size[0])),)),
    }
    links: dict[str, str | tuple[str, ...]] = {"imaging_plane": plane} if kind != imaging.PLAIN else {}
    arrays = {"data": ArraySpec.of(job.source, image, pixels.name, index), **times}
    return Node(f"{_segmentation.MODULE}/{job.record.key}_processed", kind, fields, links, arrays)


def _build_traces(job: Job, movie: _segmentation.Movie) -> Iterator[Node]:
    """Traces of the regions that the row names in another column."""
    (series,) = (one for one in job.contents if isinstance(one, Series))
    beside = job.beside.get(rois_converter.COLUMN["image"])
    tables = [one for one in beside.contents if isinstance(one, DataTable)] if beside else []
    if len(tables) != 1:
        message = f"{job.source} holds traces, and file_path_roi names {len(tables)} segmentations that they may be of"
        raise _make_problem(job, "traces.names", message)
    (count,) = tables[0].arrays["ends"].shape
    if "names" in series.header:
        _check_names(job, series, tables[0])
    else:
        series = _name_axes(job, series, count, count_frames(movie.image))
    table = f"{_segmentation.HOLDER}/{job.record.key}_rois"
    yield from _segmentation.build_traces(job, series, movie, NAME, f"{job.record.key}_traces", table, count)


def _check_names(job: Job, series: Series, table: DataTable) -> None:
    """The columns are the regions in their order: by their names, their labels, or their numbers from 0."""
    stated = series.header["names"]
    (count,) = table.arrays["ends"].shape
    known = [[str(number) for number in range(count)]]
    for column in ("name", "label"):
        if column in table.arrays:
            known.append([str(value) for value in table.arrays[column].read((slice(0, count),)).tolist()])
    if stated not in known:
        names = ", ".join(repr(name[:40]) for name in known[-1][: _segmentation.SHOWN])
        message = (
            f"the {len(stated)} columns of {job.source} ({', '.join(repr(n[:40]) for n in stated[:5])}, ...) are not "
        )
        raise _make_problem(
            job, "traces.names", f"{message}the {count} regions of the row in their order ({names}, ...)"
        )


def _name_axes(job: Job, series: Series, count: int, frames: int) -> Series:
    """Which axis of an array is time, where the numbers of regions and frames decide it."""
    lazy = series.arrays[series.array]
    fitting = [axes for axes, shape in _ORDERS.items() if lazy.shape == tuple((count, frames)[one] for one in shape)]
    if len(fitting) != 1:
        why = f"{count} regions and {frames} frames" + (
            " do not decide which axis is time" if fitting else " are not these"
        )
        raise _make_problem(job, "traces.names", f"{job.source} is of {lazy.shape}; the row's {why}")
    return replace(series, arrays={series.array: replace(lazy, axes=fitting[0])})


_ORDERS = {("roi", "time"): (0, 1), ("time", "roi"): (1, 0)}
"""Axes -> which of regions (0) and frames (1) each counts."""


def _make_problem(job: Job, id: str, message: str) -> Problem:
    return problem(id, f"{job.record.key}: {message}", **job.locate())
