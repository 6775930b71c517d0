"""Volumes: EM and micro-CT data sets and static image stacks become OME-Zarr.

The plan has one node, ``/`` of type ``Multiscale``. Its field names are JSON paths below
the ``ome`` attribute of the result's root, so that `explain` answers for every number
there: ``multiscales/0/datasets/0/coordinateTransformations/0/scale/2``; names that begin
with ``neuropress/`` lie below our own attribute (``neuropress/unknown``: axes whose
spacing nobody stated, written as scale 1 without a unit; ``neuropress/stated_spacing``:
what the file says of z, y, x in um, which the pyramid goes by; ``neuropress/label_rows``: what rows of other tables say
of the masks; ``neuropress/photometric``: the file calls 0 white, and its values are kept; ``neuropress/acquisition``:
optics, exposure, clock; ``neuropress/ome_zarr``, ``chunks``, ``shards`` and ``zstd_level``: what the dataset states of
its volumes). Its one array is ``0``. A node ``/labels/<name>`` follows for each mask that a person names as labels of
the volume (`neuropress.converters._labels`), and a node ``/tables/<name>`` for each table of points or boxes in it
(`neuropress.converters._points`).

Axes are written in the order t, c, z, y, x, those of them that the file has with more
than one element; y and x always, and z wherever the file has it. The samples of a colour
pixel become channels. An axis that the file does not name is z: for image rows only if
it is as long as the row's `z` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from neuropress.converters import Built, Job, describe_image_choice, names_nwb
from neuropress.converters._labels import ImageAxis, build_labels
from neuropress.converters._points import build_points
from neuropress.mapping.rules import Slots
from neuropress.mapping.transforms import format_decimal
from neuropress.model.content import Image, LazyArray, list_contents
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node
from neuropress.model.record import CellRef, Record

if TYPE_CHECKING:
    import numpy as np

NAME = "volume"
REVISION = 5
HAS_IMAGES = True
HAS_LABELS = True
HAS_PACKING = True
TABLES = ("sem_dataset", "micro_ct_dataset", "image")
COLUMN: Mapping[str, str] = {
    "sem_dataset": "file_path_raw",
    "micro_ct_dataset": "file_path",
    "image": "file_path_raw",
}
TARGET = "volume"
ACQUISITION = ("exposure_time", "laser_line", "laser_power", "numerical_aperture", "objective_magn")
"""How it was taken: the columns of image rows, and facts of headers, in ms, nm and mW."""
SLOTS: Slots = {"image": frozenset(("name", "unit", "x", "y", "z")), "acquisition": frozenset(ACQUISITION)}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "a volume belongs to no clock of a session"

ORDER = ("t", "c", "z", "y", "x")
TYPES = {"t": "time", "c": "channel"}
PER_MICROMETER = {"micrometer": Decimal(1), "nanometer": Decimal(1000)}
DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
BILEVEL = "b1"
"""Pixels of one bit; they are written as the bytes 0 and 1."""
SAMPLES = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"), ("alpha", "FFFFFF"))
COLOURS = ("00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF", "FFFFFF")
"""Channels of unknown wavelength, in turn."""
GREY = "FFFFFF"
"""Of the only channel."""
TRANSFORM = "multiscales/0/datasets/0/coordinateTransformations/0"


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis of the result: where it lies in the source, and how its name is known: by the file, or by its length."""

    name: str
    source: int
    known: tuple[CellRef, ...]
    via: str = "axes"


def takes(record: Record) -> bool:
    """EM and micro-CT rows, and image rows without a frame rate: they are no movies."""
    if record.table not in TABLES or names_nwb(record, COLUMN[record.table]):
        return False
    return record.table != "image" or record.values.get("frame_rate") is None


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The nodes of one row's volume: the image, its labels, and points in it.

    Raises
    ------
    Problem
        ``volume.scenes``, ``volume.content``, ``volume.dtype`` or ``volume.axes``; of a mask, ``labels.*``; of points,
        ``points.*``.
    """
    (job,) = jobs
    content = _get_image(job)
    pixels = content.arrays["pixels"]
    if pixels.dtype.str[1:] not in (*DTYPES, BILEVEL):
        raise _make_problem(job, "volume.dtype", f"{job.source} has pixels of type {pixels.dtype}")
    axes = _build_axes(job, pixels)
    findings: list[Finding] = []
    fields = {"multiscales/0/name": job.fields["image"]["name"]}
    scales = [_compute_scale(job, content, axis) for axis in axes]
    for i, (axis, (_, unit)) in enumerate(zip(axes, scales, strict=True)):
        place = f"multiscales/0/axes/{i}"
        fields[f"{place}/name"] = Field(axis.name, "volume:axes", axis.via, axis.known)
        fields[f"{place}/type"] = Field(TYPES.get(axis.name, "space"), "volume:axes")
        if unit is not None:
            fields[f"{place}/unit"] = unit
    fields["multiscales/0/datasets/0/path"] = Field("0", "volume:path")
    fields[f"{TRANSFORM}/type"] = Field("scale", "volume:scale")
    fields |= {f"{TRANSFORM}/scale/{i}": scale for i, (scale, _) in enumerate(scales)}
    fields |= _build_channels(job, content, pixels, axes)
    fields |= _build_stated_spacing(job, content, axes)
    fields |= _build_acquisition(job, content)
    if "photometric" in content.facts:
        stated = content.facts["photometric"]
        source = job.make_fact_ref("photometric", stated)
        fields["neuropress/photometric"] = Field(stated, "volume:photometric", "copy", (source,))
    packing = job.profile.packing.list_stated()
    fields |= {f"neuropress/{name}": Field(value, "volume:packing") for name, value in packing.items()}
    unknown = [axis.name for axis, (_, unit) in zip(axes, scales, strict=True) if unit is None and axis.name != "c"]
    if unknown:
        fields["neuropress/unknown"] = Field(unknown, "volume:unknown")
        findings.append(_make_unknown_finding(job, unknown))
    arrays = {"0": _make_array(job, content, pixels, axes)}
    described = [
        ImageAxis(axis.name, fields[f"multiscales/0/axes/{i}/type"], pixels.shape[axis.source], *scales[i])
        for i, axis in enumerate(axes)
    ]
    labels, more = build_labels(job, described, PER_MICROMETER)
    fields |= _describe_masks(job)
    tables, remarks = build_points(job, described, PER_MICROMETER)
    return Built((Node("/", "Multiscale", fields, {}, arrays), *labels, *tables), (*findings, *more, *remarks))


def _describe_masks(job: Job) -> dict[str, Field]:
    """What rows of other tables say of the masks; of points it stands beside their columns."""
    rows: list[dict[str, str]] = []
    cells: list[CellRef] = []
    for one in (one for one in job.labels if not one.file.is_points):
        own, refs = one.describe_rows()
        rows += [{"labels": one.file.name, **row} for row in own]
        cells += refs
    return {"neuropress/label_rows": Field(rows, "volume:label_rows", "rows", tuple(cells))} if rows else {}


def _get_image(job: Job) -> Image:
    if len(job.contents) != 1:
        raise _make_choice_problem(job)
    content = job.contents[0]
    if not isinstance(content, Image):
        raise _make_problem(job, "volume.content", f"{job.source} ({content.format}) holds no image")
    return content


def _make_choice_problem(job: Job) -> Problem:
    """A file of several images or of none, with what to type to have one of them, or a volume of each."""
    if not job.contents or any("video" in content.header for content in job.contents):
        return _make_problem(job, "volume.scenes", describe_image_choice(job))
    message = f"{job.source} holds {len(job.contents)} images ({list_contents(job.contents)}); a row describes one"
    names = ", ".join(f'"{number}"' for number in range(1, len(job.contents) + 1))
    key = job.record.key
    hint = f'In neuropress.toml: [images] {key} = "1" takes one, {key} = [{names}] makes a volume of each.'
    return problem("volume.scenes", message, hint=f"{hint} Of one file: convert --option image=1.", **job.locate())


def _build_axes(job: Job, pixels: LazyArray) -> list[_Axis]:
    """The result's axes in their order."""
    axes: list[_Axis] = []
    for i, (letter, extent) in enumerate(zip(pixels.axes, pixels.shape, strict=True)):
        if letter in ("t", "c", "s", "q") and extent == 1:
            continue
        known: tuple[CellRef, ...] = (job.make_fact_ref("axes", "".join(pixels.axes)),)
        if letter == "q":
            confirmed = _confirm_z_axis(job, pixels, extent)
            axes.append(_Axis("z", i, (*known, *confirmed), "length" if confirmed else "axes"))
            continue
        axes.append(_Axis("c" if letter == "s" else letter, i, known))
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names) or not set(names) <= set(ORDER) or not {"y", "x"} <= set(names):
        shape = " x ".join(str(n) for n in pixels.shape)
        message = f"{job.source} has the axes {' '.join(pixels.axes)} ({shape}), which are not t, c, z, y, x"
        if pixels.axes.count("q") > 1 or ("q" in pixels.axes and "z" in pixels.axes):
            message = f"{job.source} has the axes {' '.join(pixels.axes)} ({shape}); what q is, the file does not say"
        raise _make_problem(job, "volume.axes", message)
    return sorted(axes, key=lambda axis: ORDER.index(axis.name))


def _confirm_z_axis(job: Job, pixels: LazyArray, extent: int) -> tuple[CellRef, ...]:
    """The cell that makes an undeclared axis z; volumes of EM and micro-CT need none."""
    if job.record.table != "image":
        return ()
    if job.record.values.get("z") != extent:
        cell = job.record.cells["z"].text
        message = f"{job.source} has {extent} planes along an axis without a name, the cell z says {cell or 'nothing'}"
        where = {"column": "z", "value": cell, "expected": str(extent)}
        raise _make_problem(job, "volume.axes", message, **where)
    return (job.record.ref("z"),)


def _compute_scale(job: Job, content: Image, axis: _Axis) -> tuple[Field, Field | None]:
    """Size of one step along an axis, and its unit; no unit where the size is not known."""
    if axis.name == "c":
        return Field(1.0, "volume:channel"), None
    if axis.name == "t":
        return _compute_time_step(job, content)
    unit = job.fields["image"]["unit"]
    given = job.fields["image"].get(axis.name)
    if given is not None:
        return given, unit
    stated = content.spacing.get(axis.name)
    if stated is None:
        return Field(1.0, "volume:unknown", "absent"), None
    value = float(stated * PER_MICROMETER[unit.value])
    return Field(value, "volume:spacing", "number", (_make_spacing_ref(job, content, axis.name),)), unit


def _build_stated_spacing(job: Job, content: Image, axes: Sequence[_Axis]) -> dict[str, Field]:
    """The file's own voxel size, where it tells all of it."""
    names = [axis.name for axis in axes if axis.name in "zyx"]
    if any(name not in content.spacing for name in names):
        return {}
    sources = tuple(_make_spacing_ref(job, content, name) for name in names)
    value = [float(content.spacing[name]) for name in names]
    return {"neuropress/stated_spacing": Field(value, "volume:spacing", "number", sources)}


def _build_acquisition(job: Job, content: Image) -> dict[str, Field]:
    """How and when it was taken: by the row, else by the file's header."""
    place = "neuropress/acquisition"
    fields = {f"{place}/{name}": field for name, field in job.fields.get("acquisition", {}).items()}
    for name in ACQUISITION:
        text = content.facts.get(name)
        if text is not None and f"{place}/{name}" not in fields:
            value = text if name == "objective_magn" else float(Decimal(text))
            fields[f"{place}/{name}"] = Field(value, f"volume:{name}", "copy", (job.make_fact_ref(name, text),))
    if content.acquired is not None:
        text = content.acquired.isoformat()
        fields[f"{place}/started"] = Field(text, "volume:started", "copy", (job.make_fact_ref("started", text),))
    return fields


def _make_spacing_ref(job: Job, content: Image, name: str) -> CellRef:
    text = f"{format_decimal(content.spacing[name])} micrometer"
    return job.make_fact_ref(f"spacing.{name}", text)


def _compute_time_step(job: Job, content: Image) -> tuple[Field, Field | None]:
    rate = content.facts.get("frame_rate")
    if rate is None or not Decimal(rate):
        return Field(1.0, "volume:unknown", "absent"), None
    source = job.make_fact_ref("frame_rate", rate)
    return Field(float(1 / Decimal(rate)), "volume:time_step", "number", (source,)), Field("second", "volume:time_step")


def _build_channels(job: Job, content: Image, pixels: LazyArray, axes: Sequence[_Axis]) -> dict[str, Field]:
    """``omero``: names and colours. What is black and white is measured when all voxels are written, but colours of 8
    bits are shown as they are.
    """
    axis = next((a for a in axes if a.name == "c"), None)
    if axis is None:
        return _describe_channel(0, job.fields["image"]["name"], GREY)
    letter, count = pixels.axes[axis.source], pixels.shape[axis.source]
    fields: dict[str, Field] = {}
    for i, (label, colour) in enumerate(_list_channel_labels(job, content, letter, count)):
        fields |= _describe_channel(i, label, colour)
        if letter == "s" and count in (3, 4) and _get_written_dtype(pixels).str[1:] == "u1":
            window = {"min": 0, "max": 255, "start": 0, "end": 255}
            fields |= {
                f"omero/channels/{i}/window/{name}": Field(value, "volume:samples") for name, value in window.items()
            }
    return fields


def _describe_channel(number: int, label: Field, colour: str) -> dict[str, Field]:
    place = f"omero/channels/{number}"
    stated = {"color": Field(colour, "volume:colour"), "active": Field(True, "volume:colour")}
    return {f"{place}/label": label, **{f"{place}/{name}": field for name, field in stated.items()}}


def _list_channel_labels(job: Job, content: Image, letter: str, count: int) -> Iterator[tuple[Field, str]]:
    if letter == "s" and count in (3, 4):
        yield from ((Field(label, "volume:samples"), colour) for label, colour in SAMPLES[:count])
        return
    for i in range(count):
        colour = COLOURS[i % len(COLOURS)]
        if letter == "c" and len(content.channels) == count and content.channels[i]:
            source = job.make_fact_ref(f"channels.{i}", content.channels[i])
            yield Field(content.channels[i], "volume:channel", "copy", (source,)), colour
        else:
            yield Field(f"channel {i}", "volume:channel"), colour


def _make_array(job: Job, content: Image, pixels: LazyArray, axes: Sequence[_Axis]) -> ArraySpec:
    kept = sorted(axis.source for axis in axes)
    select = tuple((0, n) if i in kept else 0 for i, n in enumerate(pixels.shape))
    index = IndexMap(select, tuple(kept.index(axis.source) for axis in axes))
    dtype = _get_written_dtype(pixels).newbyteorder("<").str
    return ArraySpec(job.source, content.name, pixels.name, content.format, index.shape(), dtype, index)


def _get_written_dtype(pixels: LazyArray) -> np.dtype[Any]:
    """The pixels' type, with bytes in place of bits."""
    import numpy as np

    return np.dtype(np.uint8) if pixels.dtype.kind == "b" else pixels.dtype


def _make_unknown_finding(job: Job, unknown: Sequence[str]) -> Finding:
    message = f"{job.source}: neither the table nor the file tells the spacing along {', '.join(unknown)}"
    return finding("volume.spacing_unknown", f"{message}; 1 is written, without a unit", **job.locate())


def _make_problem(job: Job, id: str, message: str, **where: str) -> Problem:
    return problem(id, message, **{**job.locate(), **where})
