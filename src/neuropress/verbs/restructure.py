"""``restructure VOLUME``: an OME-Zarr with other chunks, shards, packing or version.

It goes the way of ``convert FILE --to OUT``, so the pixels of the old volume are the raw data that the new one is
proven by. What differs is the plan: axes, transformations, channels and classes are taken over from the old volume as
they stand there, axes of length 1 too, and what it carries of its own (provenance) becomes its header in the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..model.finding import Finding, Problem, finding, problem
from ..model.labels import LabelFile
from ..model.packing import Packing
from ..model.plan import ArraySpec, Field, IndexMap, Node, Plan
from ..model.progress import Progress, no_progress
from ..model.record import CellRef
from ..model.report import Report
from ..planning.build import Planned
from ..readers.ome_zarr import LABELS_APART
from ..results.omezarr import KIND, guard
from ..results.omezarr.ome_xml import ACQUISITION, parse_acquisition
from ..results.omezarr.tables import TABLE, find_options, is_table, list_tables, read_attributes
from ..storage.remote import ResultPath
from .single import Stated, convert_file, find_place

ORDER = "tczyx"
LABELS = "labels"
SCALE = "coordinateTransformations"
NOT_KEPT = ("axes", "datasets", SCALE, "metadata", "type", "version")
"""Of an image: what is taken over by itself, and what says how its levels and version were made."""
OWN = "neuropress/"

type Attributes = Mapping[str, Any]


def restructure_volume(
    volume: str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    packing: Packing | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Write a volume anew, verify and validate it; the old one stays as it is.

    Parameters
    ----------
    volume
        An OME-Zarr folder, of this or another program; of a bucket, ``s3://bucket/prefix/NAME.ome.zarr``.
    to
        The new volume, here or in a bucket; default: beside the old one, as ``NAME.restructured.ome.zarr``.
    packing
        Version, chunks, shards and level; what is not stated is chosen as for a new volume.

    Raises
    ------
    Problem
        As `neuropress.verbs.single.convert_file`; ``result.none``: there is no OME-Zarr; ``result.unreadable``.
    """
    named = os.fspath(volume).rstrip("/")
    path = find_place(named)
    if not path.is_dir():
        raise problem("result.none", f"{named} is no folder with an OME-Zarr", file=named)
    named = named if named.endswith(path.name) else str(path)
    groups = dict(_read_groups(path))
    stem = path.name.removesuffix(".zarr").removesuffix(".ome")
    target = os.fspath(to) if to is not None else f"{named.removesuffix(path.name)}{stem}.restructured{KIND.suffix}"
    if not target.endswith(KIND.suffix):
        hint = f"As {target}{KIND.suffix}."
        raise problem("single.target", f"the name {Path(target).name} is not that of an OME-Zarr", hint=hint)
    names = [group.partition("/")[2] for group in groups if group]
    labels = [LabelFile(name, str(path / LABELS / name)) for name in names]
    left: list[Finding] = []
    options: dict[str, Mapping[str, str]] = {}
    for group in list_tables(path):
        file = str(path / group / TABLE)
        try:
            options[file] = find_options(path, group)
        except (Problem, ValueError) as error:
            left.append(finding("restructure.tables", f"{group} is left behind: {error}", file=f"{path}/{group}"))
            continue
        labels.append(LabelFile(group.partition("/")[2], file, is_points=True, is_ours=True))
        groups[group] = read_attributes(path, group)
    amend = partial(_amend, groups, left)
    stated = Stated(labels=tuple(labels), beside_options=options, packing=packing or Packing(), amend=amend)
    return convert_file(named, target, stated, progress)


def _read_groups(path: ResultPath) -> Iterator[tuple[str, Attributes]]:
    """Attributes of the image (``""``) and of its labels by their groups; NGFF's below ``ome``. Raises `Problem`."""
    with guard.translate_errors(path):
        yield "", guard.read_node(path)["attributes"]
        if any((path / LABELS / name).is_file() for name in (guard.NAME, guard.OLD_GROUP)):
            listed = guard.read_node(path / LABELS)["attributes"]["ome"].get("labels") or []
            for name in listed:
                guard.check_path(LABELS, name)
                yield f"{LABELS}/{name}", guard.read_node(path / LABELS / name)["attributes"]


def _amend(groups: Mapping[str, Attributes], left: Sequence[Finding], planned: Planned) -> Planned:
    # Labels are here, and what lies outside was said of the old volume.
    said = (one for one in planned.findings if LABELS_APART not in one.message and one.id != "points.outside")
    findings = (*said, *left)
    # What is known of reading is of the axes that a converter keeps: those of length 1 are here, too.
    return replace(planned, findings=findings, plan=planned.plan and _take_over(groups, planned.plan), access={})


def _take_over(groups: Mapping[str, Attributes], plan: Plan) -> Plan:
    """The plan with the old volume's metadata in place of what a converter made of its pixels."""
    nodes = tuple(_take_over_node(node, groups[node.path.strip("/")]) for node in plan.nodes)
    attributes = groups[""]
    ome = attributes["ome"]
    others = {name: value for name, value in ome.items() if name not in ("multiscales", "omero", "version")}
    carried = {**others, **{name: value for name, value in attributes.items() if name != "ome"}}
    key = nodes[0].arrays["0"].source
    headers = {name: {**header, "attributes": carried} for name, header in plan.headers[key].items()}
    version = ome.get("version", ome["multiscales"][0].get("version", "of an old version"))
    note = f"Restructured from {key}, OME-Zarr {version}; what it said of its own origin is its header here."
    return replace(plan, nodes=nodes, headers={**plan.headers, key: headers}, notes=(*plan.notes, note))


def _take_over_node(node: Node, attributes: Attributes) -> Node:
    """A node with all axes and the metadata of its old group; as it is where these are older than NGFF 0.4."""
    if is_table(node):
        return _take_over_table(node, attributes)
    ome, spec = attributes["ome"], node.arrays["0"]
    image = ome["multiscales"][0]
    axes, transforms = image.get("axes"), image["datasets"][0].get(SCALE)
    if not transforms or not all(isinstance(axis, dict) for axis in axes or [None]):
        return node
    with guard.translate_errors(Path(spec.source)):
        order = sorted(range(len(axes)), key=lambda i: ORDER.index(axes[i]["name"]))
        kept = {name: value for name, value in image.items() if name not in NOT_KEPT}
        kept["axes"] = [axes[i] for i in order]
        if image.get(SCALE):
            kept[SCALE] = _permute(image[SCALE], order)
        kept["datasets"] = [{"path": "0", SCALE: _permute(transforms, order)}]
    stated: dict[str, Any] = {"multiscales": [kept]}
    if "omero" in ome:
        stated["omero"] = {name: value for name, value in ome["omero"].items() if name != "version"}
    fields = {path: _make_field(spec, path, value) for path, value in _flatten(stated)}
    if "omero" not in ome:  # then names and colours are those of any new volume
        fields |= {path: one for path, one in node.fields.items() if path.startswith("omero/")}
    label = {name: value for name, value in ome.get("image-label", {}).items() if name != "version"}
    fields |= {path: one for path, one in node.fields.items() if path.startswith((OWN, "image-label/"))}
    fields |= {f"image-label/{name}": _make_field(spec, f"image-label/{name}", value) for name, value in label.items()}
    for name, value in parse_acquisition(attributes.get("neuropress")).items():
        fields[f"{OWN}{ACQUISITION}/{name}"] = _make_field(spec, f"{OWN}{ACQUISITION}/{name}", value)
    fields.pop(f"{OWN}unknown", None)
    unknown = [axis["name"] for axis in kept["axes"] if axis.get("type") != "channel" and "unit" not in axis]
    if unknown and node.path == "/":
        fields[f"{OWN}unknown"] = Field(unknown, "restructure:unknown")
    return replace(node, fields=fields, arrays={"0": _select_whole(spec, order)})


def _take_over_table(node: Node, attributes: Attributes) -> Node:
    """A table with the attributes of its old group: places are in the coordinates of level 0, which stay."""
    points = attributes["points"]
    stated = {name: value for name, value in attributes.items() if name != "points"}
    stated |= {f"points/{name}": value for name, value in points.items() if name != "axes"}
    stated |= {
        f"points/axes/{i}/{name}": value for i, axis in enumerate(points["axes"]) for name, value in axis.items()
    }
    return replace(node, fields={path: _make_field(node.arrays["0"], path, value) for path, value in stated.items()})


def _permute(transforms: Sequence[Attributes], order: Sequence[int]) -> list[Attributes]:
    """Scales and translations in another order of axes. Raises `ValueError` for any other transformation."""
    made = []
    for one in transforms:
        kind = one["type"]
        if kind not in ("scale", "translation") or kind not in one:
            raise ValueError(f"its transformation of the type {str(kind)[:40]} is neither a scale nor a translation")
        made.append({"type": kind, kind: [float(one[kind][i]) for i in order]})
    return sorted(made, key=lambda one: str(one["type"]))


def _select_whole(spec: ArraySpec, order: Sequence[int]) -> ArraySpec:
    """All of an array, axes of length 1 too, that a converter drops."""
    shape = [1 if isinstance(entry, int) else entry[1] for entry in spec.index.select]
    index = IndexMap.whole(shape, order)
    return replace(spec, shape=index.shape(), index=index)


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves by their JSON paths; empty lists and objects are leaves."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _flatten(below, f"{path}/{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from _flatten(below, f"{path}/{number}")
    else:
        yield path, value


def _make_field(spec: ArraySpec, path: str, value: Any) -> Field:
    text = f"{len(value)} entries" if isinstance(value, (list, dict)) else str(value)
    return Field(value, "restructure:kept", "copy", (CellRef("file", spec.source, path, text, "header"),))
