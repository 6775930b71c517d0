"""Behaviour: rows of ``behavior`` with tables of text, arrays or tracked points: series, events, trials and poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial

from neuropress.mapping.rules import Slots
from neuropress.model.clock import Clock
from neuropress.model.content import Content, DataTable, Series
from neuropress.model.finding import Finding
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import Record

from . import Built, Job, make_constant
from ._behavior import clean_name, describe_clock, find_delay, list_clock_findings, make_header_field
from ._pose import build_poses, find_video

NAME = "behavior_table"
REVISION = 4
TABLES = ("behavior",)
COLUMN: Mapping[str, str] = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {"object": frozenset({"description", "comments"})}
BINDINGS: Mapping[str, str] = {}
MODULE = "/processing/behavior"
TRIALS = "/intervals/trials"
SUFFIXES = (".csv", ".tsv", ".mat", ".npy", ".npz", ".h5", ".hdf5", ".slp")
RESERVED = {"id", "name", "description", "colnames", "columns", "timestamp", "duration", "annotation", "start_time",
            "stop_time", "tags", "timeseries", "timeseries_index", "tags_index"}  # fmt: skip
"""Columns and attributes of NWB's tables, whose meaning is not that of a lab's column."""
WANTS = "columns with units, and times"


def takes(record: Record) -> bool:
    """Rows whose file is a table of text, has named arrays, or is HDF5 of a tracking program."""
    return record.table in TABLES and record.cells["file_path_raw"].text.lower().endswith(SUFFIXES)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def list_types(record: Record, profile: Profile) -> frozenset[str]:
    """A series of behaviour; none of a tracking program's file, because dandi passes over types of extensions.

    A table of nothing but events, trials or tracked points has none either, which its row does not say.
    """
    is_tracked = not record.cells["file_path_raw"].text.lower().endswith((".csv", ".tsv"))
    return frozenset() if is_tracked else frozenset({"BehavioralTimeSeries"})


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """Series and tables whose header has a clock."""
    return [content for content in contents if isinstance(content, (Series, DataTable)) and "clock" in content.header]


def build(jobs: Sequence[Job]) -> Built:
    """Nodes of every row: series in the module "behavior", events and trials in places of their own."""
    nodes: dict[str, Node] = {}
    findings: list[Finding] = []
    for job in jobs:
        points = [one for one in job.contents if isinstance(one, Series) and "pose" in one.header]
        if points:
            video = find_video(job, points)
            findings += video.findings
            nodes |= {node.path: node for node in _build_points(job, points, video.place)}
        for content in job.contents:
            if content in points:
                continue
            if isinstance(content, Series):
                nodes |= {node.path: node for node in _build_series(job, content)}
            elif isinstance(content, DataTable):
                node = _build_table(job, content)
                nodes[node.path] = node
    _name_trials(jobs, nodes)
    return Built(tuple(nodes.values()), (*findings, *list_clock_findings(jobs)))


def _build_points(job: Job, points: Sequence[Series], video: str) -> list[Node]:
    """What a program tracked in a video, whose series is at this place of the file; empty for none."""
    return [
        _make_module(),
        *build_poses(
            NAME,
            MODULE,
            job,
            points,
            video,
            partial(make_header_field, NAME, job),
            partial(_describe, job),
            partial(_build_times, job),
        ),
    ]


def _make_module() -> Node:
    about = {"description": make_constant(NAME, "module", "Behaviour of the animal.")}
    return Node(MODULE, "ProcessingModule", about)


def _build_times(job: Job, content: Series) -> tuple[dict[str, Field], dict[str, ArraySpec]]:
    """Rate and start of a series, or its timestamps."""
    if content.rate is None:
        return {}, {"timestamps": _time_array(job, content, content.timestamps)}
    start = float(Fraction(content.header["start"]) + find_delay(job, content))
    return {
        "rate": make_header_field(NAME, job, "rate", float(content.rate)),
        "starting_time": make_header_field(NAME, job, "start", start),
    }, {}


def _choose_holder(job: Job, is_place: bool) -> str:
    """Where NWB has series of this kind: what is measured of a pupil has places of its own."""
    if job.record.cells["metric_type"].text == "pupil":
        return "EyeTracking" if is_place else "PupilTracking"
    return "Position" if is_place else "BehavioralTimeSeries"


def _build_series(job: Job, content: Series) -> list[Node]:
    """A SpatialSeries of a place, a TimeSeries of any other column, and what holds it."""
    is_place = bool(content.header.get("is_place"))
    holder = _choose_holder(job, is_place)
    kind = "SpatialSeries" if is_place else "TimeSeries"
    fields = {
        "description": _describe(job, content),
        "unit": make_header_field(NAME, job, "unit", content.channels[0].unit),
    }
    if comments := job.fields.get("object", {}).get("comments"):
        fields["comments"] = comments
    times, arrays = _build_times(job, content)
    arrays["data"] = ArraySpec.of(job.source, content, content.array)
    holding = [_make_module(), Node(f"{MODULE}/{holder}", holder)]
    return [*holding, Node(f"{MODULE}/{holder}/{_name(job, content)}", kind, fields | times, {}, arrays)]


def _build_table(job: Job, content: DataTable) -> Node:
    """TimeIntervals of rows with a start and a stop, or an EventsTable."""
    is_trials = "stop" in content.arrays
    times = {"start": "start_time", "stop": "stop_time"} if is_trials else {"time": "timestamp", "frame": "timestamp"}
    fields = {"description": _describe(job, content)}
    arrays = {}
    for column in content.columns:
        if column.array in times:
            arrays[times[column.array]] = _time_array(job, content, column.array)
        else:
            name = clean_name(column.array)
            name += "_column" if name in RESERVED else ""
            arrays[name] = ArraySpec.of(job.source, content, column.array)
            unit = f", in {column.unit}" if column.unit else ""
            fields[f"{name}/description"] = make_header_field(
                NAME, job, "column", f"Column {column.name!r} of the file{unit}"
            )
    if not is_trials:
        return Node(f"/events/{_name(job, content)}", "EventsTable", fields, {}, arrays)
    return Node(f"/intervals/{clean_name(job.record.key)}_intervals", "TimeIntervals", fields, {}, arrays)


def _name_trials(jobs: Sequence[Job], nodes: dict[str, Node]) -> None:
    """Give the session's one table of choices the place where tools look for trials; of two, neither is the trials."""
    choices = [
        path
        for job in jobs
        if job.record.cells["metric_type"].text == "choice"
        and (path := f"/intervals/{clean_name(job.record.key)}_intervals") in nodes
    ]
    if len(choices) == 1:
        nodes[TRIALS] = replace(nodes.pop(choices[0]), path=TRIALS)


def _name(job: Job, content: Content) -> str:
    return clean_name(f"{job.record.key}_{content.name}")


def _time_array(job: Job, content: Content, array: str) -> ArraySpec:
    clock = Clock(content.header["clock"]).shift(find_delay(job, content))
    return ArraySpec.of(job.source, content, array, clock=clock)


def _describe(job: Job, content: Content) -> Field:
    """What the row says of it, and the columns as the file names them; a table has no field for comments."""
    stated = job.fields.get("object", {})  # a single file's row may have no cell that says anything
    if isinstance(content, DataTable):
        parts, columns = list(stated.values()), [column.name for column in content.columns]
    else:
        parts, columns = [stated[name] for name in ("description",) if name in stated], content.header["columns"]
    listed = ", ".join(columns)
    texts = [*(str(part.value) for part in parts), f"Columns of the file: {listed}"]
    if clock := describe_clock(job, content):
        texts.append(clock)
    sources = (*(source for part in parts for source in part.sources), job.make_fact_ref("columns", listed))
    return Field(". ".join(texts), f"{NAME}/object.description", "template", sources)
