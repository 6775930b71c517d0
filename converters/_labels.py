"""Labels of a volume: one node ``/labels/<name>`` for each mask, in the voxels of the image or in its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from neuropress.converters import Job
from neuropress.model.content import Image, LazyArray, list_contents
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.labels import LabelClass, Labels
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node
from neuropress.model.record import CellRef

TRANSFORMS = "multiscales/0/datasets/0/coordinateTransformations"
INTEGERS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")
CLEAR = (0, 0, 0, 0)
"""Colour of the background where the table has none."""
TOLERANCE = Decimal("0.01")
"""How far a mask's own spacing may be from the image's, as a part of it, where both have the same voxels."""


@dataclass(frozen=True, slots=True)
class ImageAxis:
    """An axis of the image, as its volume has it."""

    name: str
    type: Field
    extent: int
    scale: Field
    unit: Field | None


def build_labels(
    job: Job, image: Sequence[ImageAxis], per_micrometer: Mapping[str, Decimal]
) -> tuple[list[Node], list[Finding]]:
    """The nodes of a volume's labels.

    Parameters
    ----------
    image
        The image's axes, in the result's order.
    per_micrometer
        Unit of space -> how many of it one micrometer has.

    Raises
    ------
    Problem
        ``labels.content``, ``labels.dtype``, ``labels.axes`` or ``labels.shape``.
    """
    nodes, findings = [], []
    for labels in (one for one in job.labels if not one.file.is_points):
        mask = _Mask(job, labels, image, per_micrometer)
        nodes.append(mask.build_node())
        findings += mask.findings
    return nodes, findings


def describe_class(one: LabelClass, *, with_color: bool) -> dict[str, Any]:
    """A class as ``properties`` lists it."""
    stated: dict[str, Any] = {"name": one.name, "acronym": one.acronym, "parent": one.parent}
    if with_color and one.color:
        stated["rgba"] = list(one.color)
    return {"label-value": one.value, **{name: value for name, value in stated.items() if value not in ("", None)}}


class _Mask:
    """One mask beside the image."""

    def __init__(
        self, job: Job, labels: Labels, image: Sequence[ImageAxis], per_micrometer: Mapping[str, Decimal]
    ) -> None:
        self._job, self._labels, self._per_micrometer = job, labels, per_micrometer
        self.findings: list[Finding] = []
        self._content = self._get_image()
        self._pixels = self._content.arrays["pixels"]
        self._sources = self._find_axes(image)
        self._axes = [axis for axis in image if axis.name in self._sources]
        self._spacing = self._list_spacing()

    def build_node(self) -> Node:
        name = self._labels.file.name
        fields = {"multiscales/0/name": Field(name, "labels:name")}
        for i, axis in enumerate(self._axes):
            fields[f"multiscales/0/axes/{i}/name"] = Field(axis.name, "labels:axes", "axes", (self._refer("axes"),))
            fields[f"multiscales/0/axes/{i}/type"] = axis.type
            if axis.unit is not None:
                fields[f"multiscales/0/axes/{i}/unit"] = axis.unit
        fields["multiscales/0/datasets/0/path"] = Field("0", "labels:path")
        fields |= self._build_scale()
        fields |= self._build_classes()
        return Node(f"/labels/{name}", "Label", fields, {}, {"0": self._make_array()})

    def _get_image(self) -> Image:
        contents = self._labels.contents
        if len(contents) == 1 and isinstance(contents[0], Image):
            return contents[0]
        if len(contents) > 1:
            hint = f'Choose it in neuropress.toml: [options."{self._labels.source}"] image = its number or name.'
            raise self._make_problem("labels.content", f"holds several images: {list_contents(contents)}", hint=hint)
        why = next((f": {one.header['undeclared']}" for one in contents if "undeclared" in one.header), "")
        raise self._make_problem("labels.content", f"holds no image{why}")

    def _find_axes(self, image: Sequence[ImageAxis]) -> dict[str, int]:
        """Axis of the image -> the mask's axis that is it."""
        extents = {axis.name: axis.extent for axis in image}
        found: dict[str, int] = {}
        for i, (letter, extent) in enumerate(zip(self._pixels.axes, self._pixels.shape, strict=True)):
            if letter in ("t", "c", "s", "q") and extent == 1:
                continue
            name = letter
            if letter == "q":  # what the file does not name is z, or time where only that is as long
                name = "t" if extents.get("t") == extent != extents.get("z") else "z"
            if name in found or name not in extents or name == "c":
                found.clear()
                break
            found[name] = i
        lacking = [axis.name for axis in image if axis.name not in found and axis.name != "c" and axis.extent > 1]
        if not found or lacking:
            of_image = " ".join(f"{axis.name}={axis.extent}" for axis in image)
            own = " ".join(f"{a}={n}" for a, n in zip(self._pixels.axes, self._pixels.shape, strict=True))
            raise self._make_problem("labels.axes", f"has the axes {own}, its image {of_image}")
        return {axis.name: found[axis.name] for axis in image if axis.name in found}

    def _list_spacing(self) -> dict[str, tuple[Decimal, CellRef]]:
        """Spacing in um: as a person stated it, else by the mask's header."""
        space = [axis.name for axis in self._axes if axis.name in "zyx"]
        stated = self._labels.file.spacing
        if stated:
            if len(stated) != len(space):
                raise self._make_problem(
                    "labels.axes", f"has {len(space)} axes of space, spacing {len(stated)} numbers"
                )
            name = f"labels.{self._labels.file.name}.spacing"
            refs = [CellRef("file", self._labels.source, name, text, "option") for text in stated]
            return {axis: (Decimal(r.text), r) for axis, r in zip(space, refs, strict=True)}
        known = self._content.spacing
        return {axis: (known[axis], self._refer(f"spacing.{axis}", known[axis])) for axis in space if axis in known}

    def _build_scale(self) -> dict[str, Field]:
        """The image's scale where the voxels are its own, else the mask's, with the shift between first voxels."""
        extents = [self._pixels.shape[self._sources[axis.name]] for axis in self._axes]
        is_same = all(n == axis.extent for n, axis in zip(extents, self._axes, strict=True))
        scales = [axis.scale for axis in self._axes]
        if is_same:
            self._compare_spacing()
        else:
            scales = [self._scale_apart(axis, n) for axis, n in zip(self._axes, extents, strict=True)]
        fields = {f"{TRANSFORMS}/0/type": Field("scale", "labels:scale")}
        fields |= {f"{TRANSFORMS}/0/scale/{i}": scale for i, scale in enumerate(scales)}
        if is_same:
            return fields
        fields[f"{TRANSFORMS}/1/type"] = Field("translation", "labels:scale")
        for i, (axis, scale) in enumerate(zip(self._axes, scales, strict=True)):
            # Both begin at the same corner, so the centres of their first voxels lie apart.
            shift = (Decimal(repr(scale.value)) - Decimal(repr(axis.scale.value))) / 2
            fields[f"{TRANSFORMS}/1/translation/{i}"] = Field(float(shift), "labels:corner", "number", scale.sources)
        own, of_image = ([f"{n}" for n in numbers] for numbers in (extents, [axis.extent for axis in self._axes]))
        message = (
            f"{self._describe()} has {' x '.join(own)} voxels, its image {' x '.join(of_image)}; it states its own"
        )
        self.findings.append(
            finding("labels.resampled", f"{message} scale, and both begin at one corner", **self._locate())
        )
        return fields

    def _scale_apart(self, axis: ImageAxis, extent: int) -> Field:
        """The mask's own scale along an axis, if with it the mask is as large as the image, within a voxel."""
        known = self._spacing.get(axis.name)
        if axis.name not in "zyx" or known is None or axis.unit is None:
            if extent == axis.extent:
                return axis.scale
            why = f"has {extent} voxels along {axis.name}, its image {axis.extent}"
            missing = "" if known else "; what its own spacing is, neither it nor neuropress.toml tells"
            raise self._make_problem("labels.shape", why + missing, value=str(extent), expected=str(axis.extent))
        own = known[0] * self._per_micrometer[axis.unit.value]
        of_image = Decimal(repr(axis.scale.value))
        if abs(own * extent - of_image * axis.extent) > max(own, of_image):
            sizes = f"{own * extent:f} {axis.unit.value} along {axis.name}, its image {of_image * axis.extent:f}"
            raise self._make_problem("labels.shape", f"is {sizes}", value=str(extent), expected=str(axis.extent))
        return Field(float(own), "labels:spacing", "number", (known[1],))

    def _compare_spacing(self) -> None:
        """Whether the mask's own spacing is another than the image's, whose voxels it has."""
        for axis in self._axes:
            if axis.name not in self._spacing or axis.unit is None:
                continue
            own = self._spacing[axis.name][0] * self._per_micrometer[axis.unit.value]
            of_image = Decimal(repr(axis.scale.value))
            if abs(own - of_image) > TOLERANCE * of_image:
                message = (
                    f"{self._describe()} states {own:f} {axis.unit.value} along {axis.name}, its image {of_image:f}"
                )
                place = self._locate(value=f"{own:f}", expected=f"{of_image:f}")
                self.findings.append(finding("labels.spacing", f"{message}; the image's is written", **place))

    def _build_classes(self) -> dict[str, Field]:
        """``image-label``: colours and properties of the ids that a table of classes names."""
        fields = {
            "image-label/version": Field(self._job.profile.packing.ome_zarr, "labels:version"),
            "image-label/source/image": Field("../../", "labels:image"),
        }
        classes = self._labels.classes
        if not classes:
            return fields
        sources = (CellRef("file", self._labels.classes_source, "classes", str(len(classes)), "header"),)
        # Who validates NGFF refuses colours of some classes only: those are kept among the properties then.
        uncolored = next((one for one in classes if one.color is None and one.value != 0), None)
        has_colors = any(one.color for one in classes)
        properties = [describe_class(one, with_color=uncolored is not None) for one in classes]
        fields["image-label/properties"] = Field(properties, "labels:classes", "classes", sources)
        if has_colors and uncolored is None:
            colors = [{"label-value": one.value, "rgba": list(one.color or CLEAR)} for one in classes]
            fields["image-label/colors"] = Field(colors, "labels:classes", "classes", sources)
        elif has_colors and uncolored is not None:
            message = f"{self._labels.classes_source}: class {uncolored.value} has no colour, others have"
            self.findings.append(finding("labels.colors", message, value=str(uncolored.value), **self._locate()))
        return fields

    def _make_array(self) -> ArraySpec:
        pixels = self._pixels
        kept = sorted(self._sources.values())
        select = tuple((0, n) if i in kept else 0 for i, n in enumerate(pixels.shape))
        index = IndexMap(select, tuple(kept.index(self._sources[axis.name]) for axis in self._axes))
        shape, content = index.shape(), self._content
        dtype, is_whole = self._choose_dtype(pixels)
        source = self._labels.source
        return ArraySpec(source, content.name, pixels.name, content.format, shape, dtype, index, whole=is_whole)

    def _choose_dtype(self, pixels: LazyArray) -> tuple[str, bool]:
        """The type that ids are written in, and whether they are stored as floats."""
        import numpy as np  # not above: checking tables imports every converter, and needs no array

        stated = self._labels.file.dtype
        if pixels.dtype.kind == "f" and stated:
            return np.dtype(stated).newbyteorder("<").str, True
        if pixels.dtype.kind == "b":
            return "|u1", False
        if pixels.dtype.str[1:] not in INTEGERS:
            hint = ""
            if pixels.dtype.kind == "f":
                place = f"[labels.{self._job.record.key}.{self._labels.file.name}]"
                hint = f'If they are whole numbers, state the type that holds them in {place}: dtype = "uint32".'
            raise self._make_problem(
                "labels.dtype", f"has pixels of type {pixels.dtype}, and ids are integers", hint=hint
            )
        return pixels.dtype.newbyteorder("<").str, False

    def _refer(self, name: str, value: object = None) -> CellRef:
        text = "".join(self._pixels.axes) if value is None else f"{value} micrometer"
        return CellRef("file", self._labels.source, name, text, "header")

    def _describe(self) -> str:
        return f"{self._labels.source} (labels {self._labels.file.name})"

    def _locate(self, **where: str) -> dict[str, Any]:
        return {**self._job.record.place(), "file": self._labels.source, **where}

    def _make_problem(self, id: str, message: str, *, hint: str = "", **where: str) -> Problem:
        return problem(id, f"{self._describe()} {message}", hint=hint, **self._locate(**where))
