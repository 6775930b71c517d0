"""Tracked points as ndx-pose has them: a PoseEstimation an animal, with a series a body part, and its skeleton."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neuropress.model.content import Series
from neuropress.model.plan import ArraySpec, Field, Node

from . import Job, make_constant
from ._behavior import clean_name

ORIGIN = "Pixels of the video, counted from its upper left corner: x to the right, y downwards."

type FieldMaker = Callable[[str, Any], Field]
"""Name and value of a field that the raw file states."""


def build_poses(
    converter: str, module: str, job: Job, points: Sequence[Series], make: FieldMaker,
    describe: Callable[[Series], Field],
    times: Callable[[Series], tuple[dict[str, Field], dict[str, ArraySpec]]],
) -> list[Node]:  # fmt: skip
    """Nodes of all tracked points of one row.

    Parameters
    ----------
    points
        Series with ``pose`` in their header (see `neuropress.readers.pose`).
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
        nodes.append(Node(f"{module}/{name}", "PoseEstimation", fields, {"skeleton": skeleton}))
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
