"""Points and boxes in a volume: one node ``/tables/<name>`` for each table, with what its columns say of places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from neuropress.converters import Job
from neuropress.converters._labels import ImageAxis, describe_class
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.labels import Labels
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.points import CLASS, OBJECT, SCORE, PointAxis, Points, format_exact
from neuropress.model.record import CellRef
from neuropress.model.serial import to_json

if TYPE_CHECKING:
    import numpy as np

ATTRIBUTES: Mapping[str, str] = {"type": "generic_table", "table_version": "1", "backend": "csv"}
"""What programs that read tables of OME-Zarr go by."""
PREFIX = "volume_"
"""How columns begin that neuropress adds."""
ROUNDING = 1e-6
"""Voxels that a place may be off by, as it is looked at in float64."""


def build_points(
    job: Job, image: Sequence[ImageAxis], per_micrometer: Mapping[str, Decimal]
) -> tuple[list[Node], list[Finding]]:
    """The nodes of a volume's tables of points.

    Parameters
    ----------
    image
        The image's axes, in the result's order.
    per_micrometer
        Unit of space -> how many of it one micrometer has.

    Raises
    ------
    Problem
        ``points.content``, ``points.undeclared``, ``points.axes``, ``points.unit`` or ``points.columns``.
    """
    nodes: list[Node] = []
    findings: list[Finding] = []
    for stated in (one for one in job.labels if one.file.is_points):
        table = _Table(job, stated, [axis for axis in image if axis.name in "zyx"], per_micrometer)
        nodes.append(table.build_node())
        findings += table.list_outside()
    return nodes, findings


@dataclass(frozen=True, slots=True)
class _Placed:
    """An axis of the volume with what columns say of it."""

    image: ImageAxis
    axis: PointAxis
    sources: tuple[CellRef, ...]


class _Table:
    """One table of points beside the image."""

    def __init__(
        self, job: Job, stated: Labels, image: Sequence[ImageAxis], per_micrometer: Mapping[str, Decimal]
    ) -> None:
        self._job, self._stated, self._per_micrometer = job, stated, per_micrometer
        self._content = self._get_points()
        self._places = self._place_axes(image)
        self._columns = [one for one in self._content.columns if not one.name.startswith(PREFIX)]
        added = sorted(name for name in self._content.arrays if name.startswith(PREFIX))
        if added and not stated.file.is_ours:
            raise self._make_problem("points.columns", f"has a column {added[0]!r}; what is added is called so")

    def build_node(self) -> Node:
        content, name = self._content, self._stated.file.name
        fields = {key: Field(value, "points:table") for key, value in ATTRIBUTES.items()}
        shape = "corner" if OBJECT in content.roles else "box" if content.is_box else "point"
        columns = (self._refer("columns", ", ".join(column.name for column in self._columns)),)
        fields["points/shape"] = Field(shape, "points:shape", "columns", columns)
        fields["points/columns"] = Field([one.name for one in self._columns], "points:columns", "columns", columns)
        for role in (CLASS, SCORE, OBJECT):
            if role in content.roles:
                source = (self._refer(role, content.roles[role]),)
                fields[f"points/{role}"] = Field(content.roles[role], "points:columns", "columns", source)
        for i, place in enumerate(self._places):
            for key, value in to_json(place.axis).items():
                fields[f"points/axes/{i}/{key}"] = Field(value, "points:axes", "columns", place.sources)
            fields[f"points/axes/{i}/extent"] = Field(place.image.extent, "points:extent")
            if place.image.unit is not None:
                fields[f"points/axes/{i}/volume_unit"] = place.image.unit
        if classes := self._stated.classes:
            source = (CellRef("file", self._stated.classes_source, "classes", str(len(classes)), "header"),)
            described = [describe_class(one, with_color=True) for one in classes]
            fields["points/classes"] = Field(described, "points:classes", "classes", source)
        if self._stated.rows:
            rows, cells = self._stated.describe_rows()
            fields["points/rows"] = Field(rows, "points:rows", "rows", cells)
        arrays = {
            str(number): ArraySpec.of(self._stated.source, content, column.array)
            for number, column in enumerate(self._columns)
        }
        return Node(f"/tables/{name}", "Table", fields, {}, arrays)

    def list_outside(self) -> list[Finding]:
        """How many places lie beyond the volume's edges, and the first of them."""
        import numpy as np  # not above: checking tables imports every converter, and needs no array

        columns = {name: self._read(name) for place in self._places for name in place.axis.columns}
        count = len(next(iter(columns.values())))
        outside = np.zeros(count, bool)
        for place in self._places:
            cells = [columns[name] for name in place.axis.columns]
            edges = place.axis.find_edges(cells[0], [*cells, None][1], float, is_box=self._content.is_box)
            scale, margin = float(place.axis.scale), 0.5 + ROUNDING
            outside |= (edges[0] / scale < -margin) | (edges[1] / scale > place.image.extent - 1 + margin)
        if not outside.any():
            return []
        at = int(outside.argmax())
        row = f"line {self._content.lines[at]}" if self._content.lines else f"row {at + 1}"
        names = [name for place in self._places for name in place.axis.columns]
        said = ", ".join(f"{name} {self._content.arrays[name].read((slice(at, at + 1),))[0]}" for name in names)
        extents = " x ".join(str(place.image.extent) for place in self._places)
        axes = " ".join(place.image.name for place in self._places)
        message = (
            f"{self._describe()}: {int(outside.sum())} of {count} lie outside the volume of {extents} voxels ({axes}); "
            f"the first is {row}: {said}"
        )
        return [finding("points.outside", message, **self._locate(value=said[:200]))]

    def _read(self, name: str) -> np.ndarray:
        array = self._content.arrays[name]
        return array.read((slice(0, array.shape[0]),)).astype("f8")

    def _get_points(self) -> Points:
        contents = self._stated.contents
        if len(contents) == 1 and "undeclared" in contents[0].header:
            why = contents[0].header["undeclared"]
            hint = (
                f'Under [options."{self._stated.source}"] in neuropress.toml; of one file: --points-option NAME=VALUE.'
            )
            raise self._make_problem("points.undeclared", f"is not declared: {why}", hint=hint)
        if len(contents) == 1 and isinstance(contents[0], Points):
            return contents[0]
        raise self._make_problem("points.content", "holds no table of points")

    def _place_axes(self, image: Sequence[ImageAxis]) -> list[_Placed]:
        told = {axis.name: axis for axis in self._content.axes}
        of_image = [axis.name for axis in image]
        if [name for name in of_image if name in told] != list(told) or any(
            axis.name not in told and axis.extent > 1 for axis in image
        ):
            message = f"tells {' '.join(told)}, and its volume has {' '.join(of_image)}"
            raise self._make_problem("points.axes", message)
        image = [axis for axis in image if axis.name in told]
        spacing = self._stated.file.spacing
        if spacing and len(spacing) != len(image):
            raise self._make_problem("points.axes", f"has {len(image)} axes, its spacing {len(spacing)} numbers")
        pairs = zip(image, spacing or ("",) * len(image), strict=True)
        return [self._place_axis(axis, told[axis.name], stated) for axis, stated in pairs]

    def _place_axis(self, image: ImageAxis, axis: PointAxis, spacing: str) -> _Placed:
        scale = Decimal(repr(image.scale.value))
        per_unit = self._per_micrometer.get(image.unit.value) if image.unit else None
        if per_unit is None and (spacing or axis.unit != "pixel"):
            what = "its spacing is" if spacing else "its places are"
            message = f"cannot be placed along {image.name}: {what} in micrometres, the volume's is not known"
            raise self._make_problem("points.unit", message)
        step = Decimal(spacing) * per_unit if spacing and per_unit else scale
        known = {"first": str(axis.first)} if axis.unit == "pixel" else {}
        known |= {name: text for name, text in self._content.stated.items() if name in ("unit", "box_ends")}
        sources = [self._refer(axis.name, ", ".join(axis.columns))]
        sources += [self._refer(name, text) for name, text in known.items()]
        placed = replace(axis, scale=format_exact(scale), spacing=format_exact(step))
        if axis.unit != "pixel" and per_unit:
            placed = replace(placed, per_unit=format_exact(per_unit))
        return _Placed(image, placed, (*sources, *image.scale.sources))

    def _refer(self, name: str, text: str) -> CellRef:
        return CellRef("file", self._stated.source, name, text, "option" if name in self._content.stated else "header")

    def _describe(self) -> str:
        return f"{self._stated.source} (points {self._stated.file.name})"

    def _locate(self, **where: str) -> dict[str, Any]:
        return {**self._job.record.place(), "file": self._stated.source, **where}

    def _make_problem(self, id: str, message: str, *, hint: str = "", **where: str) -> Problem:
        return problem(id, f"{self._describe()} {message}", hint=hint, **self._locate(**where))
