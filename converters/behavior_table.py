"""Behaviour tables: rows of ``behavior`` with a CSV or TSV, to series, events and trials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from neuropress.mapping.rules import Slots
from neuropress.model.clock import Clock, parse_number
from neuropress.model.content import Content, DataTable, Series
from neuropress.model.finding import Finding, finding
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import Record

from . import Built, Job, make_constant

NAME = "behavior_table"
REVISION = 2
TABLES = ("behavior",)
COLUMN: Mapping[str, str] = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {"object": frozenset({"description", "comments"})}
BINDINGS: Mapping[str, str] = {}
MODULE = "/processing/behavior"
OFFSET = "clock_offset"
"""What a person states of the file's time 0, in the header that the reader gives."""
SUFFIXES = (".csv", ".tsv")
RESERVED = {"id", "name", "description", "colnames", "columns", "timestamp", "duration", "annotation", "start_time",
            "stop_time", "tags", "timeseries", "timeseries_index", "tags_index"}  # fmt: skip
"""Columns and attributes of NWB's tables, whose meaning is not that of a lab's column."""
WANTS = "columns with units, and times"


def takes(record: Record) -> bool:
    """Rows whose file is a CSV or TSV."""
    return record.table in TABLES and record.cells["file_path_raw"].text.lower().endswith(SUFFIXES)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def list_types(record: Record, profile: Profile) -> frozenset[str]:
    """A series of behaviour; a file of nothing but events or trials has none, which its row does not say."""
    return frozenset({"BehavioralTimeSeries"})


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """Series and tables whose header has a clock."""
    return [content for content in contents if isinstance(content, (Series, DataTable)) and "clock" in content.header]


def build(jobs: Sequence[Job]) -> Built:
    """Nodes of every row: series in the module "behavior", events and trials in places of their own."""
    nodes: dict[str, Node] = {}
    findings: list[Finding] = []
    for job in jobs:
        if not all(map(_find_offset, job.contents)):
            message = (
                f"{job.source} counts from a time of its own that nobody states; the session's start is taken for it"
            )
            findings.append(finding("behavior.alignment", message, **job.locate()))
        for content in job.contents:
            if isinstance(content, Series):
                nodes |= {node.path: node for node in _build_series(job, content)}
            elif isinstance(content, DataTable):
                node = _build_table(job, content)
                nodes[node.path] = node
    return Built(tuple(nodes.values()), tuple(findings))


def _build_series(job: Job, content: Series) -> list[Node]:
    """A SpatialSeries of a place, a TimeSeries of any other column, and what holds it."""
    is_place = bool(content.header.get("is_place"))
    is_pupil = job.record.cells["metric_type"].text == "pupil"
    holder = "Position" if is_place else "PupilTracking" if is_pupil else "BehavioralTimeSeries"
    kind = "SpatialSeries" if is_place else "TimeSeries"
    fields = {
        "description": _describe(job, content),
        "unit": _make_fact(job, "unit", content.channels[0].unit),
    }
    if comments := job.fields.get("object", {}).get("comments"):
        fields["comments"] = comments
    arrays = {"data": ArraySpec.of(job.source, content, content.array)}
    if content.rate is None:
        arrays["timestamps"] = _time_array(job, content, content.timestamps)
    else:
        fields["rate"] = _make_fact(job, "rate", float(content.rate))
        start = Fraction(content.header["start"]) + parse_number(content.clock_offset or "0")
        fields["starting_time"] = _make_fact(job, "start", float(start))
    about = {"description": make_constant(NAME, "module", "Behaviour of the animal.")}
    holding = [Node(MODULE, "ProcessingModule", about), Node(f"{MODULE}/{holder}", holder)]
    return [*holding, Node(f"{MODULE}/{holder}/{_name(job, content)}", kind, fields, {}, arrays)]


def _build_table(job: Job, content: DataTable) -> Node:
    """TimeIntervals of trials, or an EventsTable."""
    is_trials = "stop" in content.arrays
    times = {"start": "start_time", "stop": "stop_time"} if is_trials else {"time": "timestamp", "frame": "timestamp"}
    fields = {"description": _describe(job, content)}
    arrays = {}
    for column in content.columns:
        if column.array in times:
            arrays[times[column.array]] = _time_array(job, content, column.array)
        else:
            name = _clean(column.array)
            name += "_column" if name in RESERVED else ""
            arrays[name] = ArraySpec.of(job.source, content, column.array)
            unit = f", in {column.unit}" if column.unit else ""
            fields[f"{name}/description"] = _make_fact(job, "column", f"Column {column.name!r} of the file{unit}")
    place = "/intervals" if is_trials else "/events"
    return Node(f"{place}/{_name(job, content)}", "TimeIntervals" if is_trials else "EventsTable", fields, {}, arrays)


def _find_offset(content: Content) -> str:
    """What a person declared of time 0: to a reader that knows the option (its start counts from it), or to none."""
    return str(content.header.get(OFFSET, "")) or content.clock_offset


def _name(job: Job, content: Content) -> str:
    return _clean(f"{job.record.key}_{content.name}")


def _clean(name: str) -> str:
    """A name without what NWB does not allow in it."""
    return re.sub(r"[/:\\]", "_", name)


def _time_array(job: Job, content: Content, array: str) -> ArraySpec:
    clock = Clock(content.header["clock"], _find_offset(content) or "0")
    return ArraySpec.of(job.source, content, array, clock=clock)


def _make_fact(job: Job, name: str, value: object) -> Field:
    """A field from the file's header or the options that it was read with."""
    return Field(value, f"{NAME}:{name}", "header", (job.make_fact_ref(name, value),))


def _describe(job: Job, content: Content) -> Field:
    """What the row says of it, and the columns as the file names them; a table has no field for comments."""
    stated = job.fields.get("object", {})  # a single file's row may have no cell that says anything
    if isinstance(content, DataTable):
        parts, columns = list(stated.values()), [column.name for column in content.columns]
    else:
        parts, columns = [stated[name] for name in ("description",) if name in stated], content.header["columns"]
    listed = ", ".join(columns)
    texts = [*(str(part.value) for part in parts), f"Columns of the file: {listed}"]
    if not _find_offset(content):
        texts.append("Alignment unknown: time 0 of the file is taken for the session's start")
    sources = (*(source for part in parts for source in part.sources), job.make_fact_ref("columns", listed))
    return Field(". ".join(texts), f"{NAME}/object.description", "template", sources)
