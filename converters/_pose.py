"""Tracked points as ndx-pose has them: a PoseEstimation an animal, with a series a body part, and its skeleton."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

from neuropress.model.content import Series
from neuropress.model.finding import Finding, Severity, finding
from neuropress.model.plan import ArraySpec, Field, Node

from . import Job, external_video, make_constant
from ._behavior import clean_name

ORIGIN = "Pixels of the video, counted from its upper left corner: x to the right, y downwards."

RATE_TOLERANCE = 1e-3
"""Part by which rates may differ: 29.97 is written for 30000/1001."""

type FieldMaker = Callable[[str, Any], Field]
"""Name and value of a field that the raw file states."""


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """Place of the series of a video, empty for none; and what somebody should know of it."""

    place: str = ""
    findings: tuple[Finding, ...] = ()


def find_video(job: Job, points: Sequence[Series]) -> FoundVideo:
    """The video that the points of a file were tracked in, if a row of the same session has it.

    A person states it, or the file names it: SLEAP's in a field, DeepLabCut's in its own name, which lacks the suffix.
    """
    pose = points[0].header["pose"]
    stated, named = pose.get("stated_video", ""), pose.get("video", "")
    if not job.others or not (stated or named):  # of a row that is looked at by itself nobody knows the session's
        return FoundVideo()
    videos = [
        (other, content.header["video"])
        for other in job.others
        for content in other.contents
        if "video" in content.header and _is_called(other.source, stated or named)
    ]
    what = f"{job.source} was tracked in the video {stated or named!r}"
    if len(videos) != 1:
        severity = None if stated else Severity.INFO
        message = f"{what}; {len(videos) or 'no'} rows of the same file have a video of that name, so none is linked"
        return FoundVideo(findings=(finding("pose.video", message, severity=severity, **job.locate()),))
    (other, video), rows = videos[0], points[0].arrays["data"].shape[0]
    if rows > video["frames"]:
        message = f"{what}, and has points of {rows} frames; {other.source} has {video['frames']}, so it is not linked"
        return FoundVideo(findings=(finding("pose.video", message, **job.locate()),))
    place = external_video.find_place(other)
    rate = 1 / Fraction(points[0].header["clock"])
    if "rate" in video and abs(Fraction(video["rate"]) / rate - 1) > RATE_TOLERANCE:
        message = f"{what}; frame_rate is stated as {float(rate):g}, {other.source} has {video['rate']} frames a second"
        return FoundVideo(place, (finding("pose.video", message, **job.locate()),))
    return FoundVideo(place)


def _is_called(key: str, name: str) -> bool:
    """Whether a raw file has this key or name, with its suffix or without."""
    path = PurePosixPath(key)
    return name in (key, path.name, path.stem)


def build_poses(
    converter: str, module: str, job: Job, points: Sequence[Series], video: str, make: FieldMaker,
    describe: Callable[[Series], Field],
    times: Callable[[Series], tuple[dict[str, Field], dict[str, ArraySpec]]],
) -> list[Node]:  # fmt: skip
    """Nodes of all tracked points of one row.

    Parameters
    ----------
    points
        Series with ``pose`` in their header (see `neuropress.readers.pose`).
    video
        Place of the series of the video that they were tracked in; empty where the file has none.
    describe, times
        What stands in the series' description, and the fields and arrays of its times.
    """
    animals: dict[str, list[Series]] = {}
    for point in points:
        animals.setdefault(str(point.header["pose"]["individual"]), []).append(point)
    nodes = [Node(f"{module}/Skeletons", "Skeletons")]
    for individual, series in animals.items():
        name = clean_name("_".join(filter(None, (job.record.key, individual))))
        skeleton = f"{module}/Skeletons/{name}_skeleton"
        nodes.append(Node(skeleton, "Skeleton", _describe_skeleton(series, make)))
        pose: Mapping[str, Any] = series[0].header["pose"]
        columns = [name for point in series for name in point.header["columns"]]
        whole = replace(series[0], header={**series[0].header, "columns": columns})
        fields = {"description": describe(whole), "source_software": make("software", pose["software"])}
        if pose["scorer"]:
            fields["scorer"] = make("scorer", pose["scorer"])
        links: dict[str, str | tuple[str, ...]] = {"skeleton": skeleton, **({"source_video": video} if video else {})}
        nodes.append(Node(f"{module}/{name}", "PoseEstimation", fields, links))
        for point in series:
            parts, arrays = times(point)
            parts |= _describe_point(converter, job, point, make)
            arrays["data"] = ArraySpec.of(job.source, point, "data")
            if "confidence" in point.arrays:
                arrays["confidence"] = ArraySpec.of(job.source, point, "confidence")
            path = f"{module}/{name}/{clean_name(point.header['pose']['node'])}"
            nodes.append(Node(path, "PoseEstimationSeries", parts, {}, arrays))
    return nodes


def _describe_point(converter: str, job: Job, point: Series, make: FieldMaker) -> dict[str, Field]:
    pose, columns = point.header["pose"], point.header["columns"]
    unit = point.channels[0].unit
    fields = {
        "description": make("columns", f"Position of {pose['node']}: {', '.join(columns)}"),
        "unit": make("unit", unit),
    }
    if unit == "pixels":
        fields["reference_frame"] = make_constant(converter, "reference_frame", ORIGIN)
    if "confidence" in point.arrays:
        fields["confidence__definition"] = make("confidence", pose["definition"])
    if comments := job.fields.get("object", {}).get("comments"):
        fields["comments"] = comments
    return fields


def _describe_skeleton(series: Sequence[Series], make: FieldMaker) -> dict[str, Field]:
    """Body parts, and the pairs of them that the file joins."""
    names = [clean_name(point.header["pose"]["node"]) for point in series]
    fields = {"nodes": make("nodes", names)}
    if edges := series[0].header["pose"].get("edges"):
        fields["edges"] = make("edges", edges)
    return fields
