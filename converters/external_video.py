"""Videos: rows of ``behavior`` whose file is a video, to an external ImageSeries; the video stays the file that it is.

The path in the result is that from the result's place to the video's key, as both lie in a release.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from fractions import Fraction

from neuropress.mapping.rules import Slots
from neuropress.model.clock import Clock
from neuropress.model.content import Content
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import Record

from . import Built, Job, make_constant
from ._behavior import clean_name, describe_clock, find_delay, list_clock_findings, make_header_field

NAME = "external_video"
REVISION = 3
TABLES = ("behavior",)
COLUMN: Mapping[str, str] = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {"object": frozenset({"description", "comments"})}
BINDINGS: Mapping[str, str] = {}
SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
WANTS = "a video"


def takes(record: Record) -> bool:
    """Rows whose file is a video."""
    return record.table in TABLES and record.cells["file_path_raw"].text.lower().endswith(SUFFIXES)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def list_types(record: Record, profile: Profile) -> frozenset[str]:
    """A series of images."""
    return frozenset({"ImageSeries"})


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """What the reader says of a video."""
    return [content for content in contents if "video" in content.header]


def build(jobs: Sequence[Job]) -> Built:
    """An ImageSeries for each row, without pixels."""
    nodes = tuple(_build_series(job, content) for job in jobs for content in job.contents)
    return Built(nodes, tuple(list_clock_findings(jobs)))


def _build_series(job: Job, content: Content) -> Node:
    video = content.header["video"]
    # Object keys have no ".." in them, so that this path leads to the file wherever both lie below one root.
    path = posixpath.relpath(job.source, posixpath.dirname(job.place) or ".")
    fields = {
        "description": _describe(job, content),
        "external_file": make_header_field(NAME, job, "external_file", [path]),
        "format": make_constant(NAME, "format", "external"),
        "starting_frame": make_constant(NAME, "starting_frame", [0]),
        "dimension": _make_field(job, content, "dimension", [video["width"], video["height"]], "x", "y"),
        "unit": make_constant(NAME, "unit", "n.a."),
    }
    if comments := job.fields.get("object", {}).get("comments"):
        fields["comments"] = comments
    arrays = {}
    if times := job.make_frame_times(content):
        arrays["timestamps"] = times
    elif "time" in content.arrays:
        clock = Clock(content.header["clock"]).shift(find_delay(job, content))
        arrays["timestamps"] = ArraySpec.of(job.source, content, "time", clock=clock)
    else:
        start = Fraction(content.header["start"]) + find_delay(job, content)
        fields["rate"] = _make_field(job, content, "rate", float(Fraction(video["rate"])), "frame_rate", via="number")
        fields["starting_time"] = make_header_field(NAME, job, "start", float(start))
        fields["num_samples"] = _make_field(job, content, "num_samples", video["frames"], "rows", via="number")
    return Node(find_place(job), "ImageSeries", fields, {}, arrays)


def _make_field(job: Job, content: Content, name: str, value: object, *facts: str, via: str = "shape") -> Field:
    """A field that facts of the container tell: all that `verify` compares where the video has no array."""
    return Field(value, f"{NAME}:{name}", via, tuple(job.make_fact_ref(fact, content.facts[fact]) for fact in facts))


def find_place(job: Job) -> str:
    """Where a row's video is in its file."""
    return f"/acquisition/{clean_name(job.record.key)}"


def _describe(job: Job, content: Content) -> Field:
    """What the row says of it, and what the container does."""
    video = content.header["video"]
    stated = job.fields.get("object", {})
    parts = [stated["description"]] if "description" in stated else []
    rate = f"{video['rate']} frames a second" if "rate" in video else "frames at uneven times"
    what = f"Video ({video['codec']}, {video['frames']} frames, {rate})"
    texts = [*(str(part.value) for part in parts), what]
    if clock := describe_clock(job, content):
        texts.append(clock)
    sources = (*(source for part in parts for source in part.sources), job.make_fact_ref("video", what))
    return Field(". ".join(texts), f"{NAME}/object.description", "template", sources)
