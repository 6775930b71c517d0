"""Movies: rows of ``image`` with a frame rate, to imaging planes and photon series of NWB.

Profile defaults in use: ``region``, and ``modality_<image_type>`` (``one-photon``,
``two-photon``, ``confocal``, ``light-sheet``), the lab's own first. Where the profile
does not say, a laser above the limit ``multiphoton_nm_above`` means two photons, one
below it one photon; without a laser line a stated exposure time means a camera, thus one
photon, else two. That ruling is told as a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from neuropress.mapping.rules import Slots
from neuropress.model.content import Image, LazyArray
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node
from neuropress.model.reagents import fold, plasmids_of
from neuropress.model.record import CellRef, Record

from . import Built, Job, several

NAME = "imaging"
REVISION = 3
TABLES: tuple[str, ...] = ("image",)
COLUMN: Mapping[str, str] = {"image": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {
    "device": frozenset({"description"}),
    "plane": frozenset(
        {"description", "excitation_lambda", "indicator", "location", "grid_spacing", "imaging_rate", "reference_frame"}
    ),
    "channel": frozenset({"description", "emission_lambda"}),
    "series": frozenset({"description", "comments", "rate", "exposure_time", "power"}),
}
BINDINGS: Mapping[str, str] = {"indicator": "plasmid"}

EARLIEST, LATEST = timedelta(minutes=-10), timedelta(hours=24)
"""How far from the session's start a movie may begin; beyond, its clock is not believed."""
ONE, TWO = "OnePhotonSeries", "TwoPhotonSeries"
MODALITIES = {"one-photon": ONE, "confocal": ONE, "light-sheet": ONE, "two-photon": TWO, "multiphoton": TWO}
_ONE_ONLY = {"exposure_time": "exposure {} ms", "power": "laser power {} mW"}
"""Fields that only a one-photon series has, and how the description of another says them."""


def takes(record: Record) -> bool:
    """Rows of ``image`` that are movies: with a frame rate."""
    return record.table in TABLES and record.values.get("frame_rate") is not None


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The plasmid that the row's own `indicator` names, else the only one that the mouse carries; None for several."""
    found = indicators(record)
    if named := record.values.get("indicator"):
        names = ("gene", "plasmid_name")
        found = [p for p in found if fold(str(named)) in {fold(str(p.values[name])) for name in names}]
    return {"indicator": found[0] if len(found) == 1 else None}


def indicators(record: Record) -> list[Record]:
    """Plasmids of an indicator kind that the mouse carries."""
    return [
        p for p in plasmids_of(record.related("session.mouse")) if str(p.values.get("indicator")).endswith("indicator")
    ]


def build(jobs: Sequence[Job]) -> Built:
    """Device, imaging plane, optical channels and series of each movie of a session.

    Raises
    ------
    Problem
        ``image.contents``: several images in the file; ``image.axes``: the file is no
        movie, or which of its axes is time is not known.
    """
    session = _Session()
    for job in jobs:
        _Movie(session, job).add()
    return Built(tuple(session.nodes), tuple(session.findings))


@dataclass(slots=True)
class _Session:
    """What the movies of a session share: microscopes and the findings."""

    nodes: list[Node] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    devices: dict[tuple[str, str], str] = field(default_factory=dict)


class _Movie:
    """One row on its way into NWB."""

    def __init__(self, session: _Session, job: Job) -> None:
        self.session, self.job, self.record = session, job, job.record
        self.id = job.record.key
        if len(job.contents) != 1 or not isinstance(job.contents[0], Image):
            raise self._problem("image.contents", several(job))
        self.image: Image = job.contents[0]
        self.pixels = self.image.arrays["pixels"]
        self.plane = f"/general/optophysiology/{self.id}_plane"

    def add(self) -> None:
        """All nodes of the movie."""
        time = self._time_axis()
        kind = self._kind()
        names = dict(self._channels(self.pixels))
        device = self._device()
        optical = tuple(f"{self.plane}/{name or 'optical_channel'}" for name in names)
        self.session.nodes += [Node(path, "OpticalChannel", self._emission(len(names))) for path in optical]
        self.session.nodes.append(
            Node(self.plane, "ImagingPlane", self._plane_fields(), {"device": device, "optical_channel": optical})
        )
        shared = self._series_fields(kind)
        for name, (axis, number) in names.items():
            index, depth = _index(self.pixels, time, axis, number)
            self.session.nodes.append(
                Node(
                    f"/acquisition/{self.id}_{name}" if name else f"/acquisition/{self.id}",
                    kind,
                    {**self._named(shared, name), "dimension": self._dimension(depth)},
                    {"imaging_plane": self.plane},
                    {"data": self._array(index)},
                )
            )

    def _time_axis(self) -> int:
        """The axis of the frames: the declared one, else the only open one (the row has a frame rate)."""
        axes = self.pixels.axes
        rest = [a for a in axes if a not in "yxcs"]
        extents = " ".join(f"{a}={n}" for a, n in zip(axes, self.pixels.shape, strict=True))
        said = f"the axes of {self.job.source} are {extents}"
        if unknown := sorted(set(rest) - set("tzq")):
            raise self._problem("image.axes", f"{said}; axis {unknown[0]} has no place in a movie")
        if rest.count("q") + rest.count("t") > 1:
            raise self._problem("image.axes", f"{said}; which of the undeclared ones (q) is time a person must say")
        if not rest:
            raise self._problem("image.single", f"{said}: one frame, but the row has a frame_rate")
        if rest == ["z"]:
            message = f"{said}; the row has a frame_rate, so the {self.pixels.shape[axes.index('z')]} planes are frames"
            self._tell("image.depth_as_time", message, "frame_rate")
        return next(axes.index(a) for a in ("t", "q", "z") if a in rest)

    def _kind(self) -> str:
        """One or two photons: the profile says, else the ruling in the module's text."""
        record, profile = self.record, self.job.profile
        image_type = str(record.values.get("image_type"))
        said = profile.default(f"modality_{image_type}", profile.lab_of(record.key))
        if said in MODALITIES:
            return MODALITIES[said]
        limit = Decimal(profile.limits.get("multiphoton_nm_above", "680"))
        line, exposure = record.values.get("laser_line"), record.values.get("exposure_time")
        if line is not None:
            kind, why = (TWO, "above") if Decimal(str(line)) > limit else (ONE, "not above")
            why = f"laser_line {line} is {why} {limit} nm"
        else:
            kind = ONE if exposure is not None else TWO
            why = f"laser_line is blank and exposure_time is {'set' if exposure is not None else 'blank'}"
        known = f"{said!r} is none of {', '.join(MODALITIES)}" if said else "is not set"
        message = f"modality_{image_type} {known} for lab {record.lab}; {kind} is taken, because {why}"
        self._tell("image.kind", message, "image_type")
        return kind

    def _channels(self, pixels: LazyArray) -> Iterator[tuple[str, tuple[int | None, int]]]:
        """Name of each channel's series -> the axis and index of the channel; '' where there is one only."""
        axis = next((i for i, a in enumerate(pixels.axes) if a in "cs"), None)
        if axis is None:
            yield "", (None, 0)
            return
        count = pixels.shape[axis]
        given = [re.sub(r"[/:\s]+", "_", n).strip("_") for n in self.image.channels]
        usable = len(given) == count == len(set(given)) and all(given)
        for number in range(count):
            yield (given[number] if usable else f"channel{number + 1}"), (axis, number)

    def _device(self) -> str:
        """The lab's microscope; another one for each other objective in the session."""
        fields = dict(self.job.fields.get("device", {}))
        description = str(fields["description"].value)
        known = self.session.devices
        if (self.record.lab, description) not in known:
            count = sum(lab == self.record.lab for lab, _ in known) + 1
            path = f"/general/devices/{self.record.lab}_microscope" + (f"_{count}" if count > 1 else "")
            known[self.record.lab, description] = path
            self.session.nodes.append(Node(path, "Device", fields))
        return known[self.record.lab, description]

    def _plane_fields(self) -> dict[str, Field]:
        fields = dict(self.job.fields.get("plane", {}))
        found = indicators(self.record)
        if fields["indicator"].via == "absent" and len(found) > 1:
            refs = tuple(p.ref("gene") for p in found)
            genes = ", ".join(f"{r.text} ({r.key})" for r in refs)
            self._tell(
                "image.indicator", f"the mouse carries {genes}; none is named on the imaging plane", "session_id"
            )
            fields["indicator"] = Field("see NWBFile.virus", "imaging:indicator", "several", refs)
        elif fields["indicator"].via == "absent":
            self._tell("image.unrecorded", "no indicator is reachable from the session's mouse", "session_id")
        if fields["excitation_lambda"].via == "absent":
            self._tell("image.unrecorded", "laser_line is blank: excitation_lambda is written as NaN", "laser_line")
        if fields["location"].via == "absent":
            self._tell("image.unrecorded", "neither the row nor the profile states a region", "session_id")
        fields["reference_frame"] = _constant("reference_frame", "image axes; anatomical orientation not recorded")
        if "grid_spacing" in fields:
            fields["grid_spacing_unit"] = _constant("grid_spacing_unit", "meters")
        return fields

    def _emission(self, channels: int) -> dict[str, Field]:
        """Of several channels it is not known which one shows the indicator."""
        fields = dict(self.job.fields.get("channel", {}))
        if channels > 1:
            fields["emission_lambda"] = _constant("emission_lambda", float("nan"))
            fields["description"] = _constant("optical_channel", "Emission filter not recorded")
        return fields

    def _series_fields(self, kind: str) -> dict[str, Field]:
        given = self.job.fields.get("series", {})
        fields = {k: v for k, v in given.items() if kind == ONE or k not in _ONE_ONLY}
        if kind != ONE:
            fields["description"] = _with_light(given)
        fields["unit"] = _constant("unit", "a.u.")
        fields["format"] = _constant("format", "raw")
        start = self._start()
        if start is None:
            message = (
                f"{self.job.source} has no clock of its own near the session's start; starting_time is written as 0"
            )
            self._tell("image.alignment", message, "file_path_raw")
            self._add_comment(fields, "alignment unknown: starting_time 0 is no measurement")
            start = _constant("starting_time", 0.0)
        elif start.value < 0:
            session = self.record.cells["session_id"].text
            message = f"{self.job.source} began {-start.value:g} s before {session} by its clock"
            self._tell("recording.before_session", message, "file_path_raw")
        fields["starting_time"] = start
        if photometric := self.image.facts.get("photometric"):
            note = f"{photometric}: 0 is white; the values are as stored"
            self._add_comment(fields, note, self._fact("photometric", photometric))
        return fields

    def _add_comment(self, fields: dict[str, Field], note: str, *sources: CellRef) -> None:
        notes = fields.get("comments")
        whole = f"{notes.value}\n{note}" if notes else note
        fields["comments"] = Field(whole, "imaging:comments", "join", (*(notes.sources if notes else ()), *sources))

    def _start(self) -> Field | None:
        """Seconds from the session's start by the file's clock; a clock without a zone is the lab's."""
        clock, started = self.image.acquired, self.job.started
        if clock is None or started is None:
            return None
        delay = (clock if clock.tzinfo else clock.replace(tzinfo=started.tzinfo)) - started
        if not EARLIEST <= delay <= LATEST:
            return None
        seconds = float(Decimal(delay // timedelta(microseconds=1)) / 1000000)
        return Field(
            seconds, "imaging:starting_time", "seconds_from_start", (self._fact("acquired", clock.isoformat()),)
        )

    def _named(self, fields: Mapping[str, Field], channel: str) -> dict[str, Field]:
        """The channel's name in the description, where there are several."""
        named = dict(fields)
        if channel:
            own = named["description"]
            text = f"{own.value}; channel {channel}"
            named["description"] = Field(text, own.rule, own.via, (*own.sources, self._fact("channels", channel)))
        return named

    def _dimension(self, depth: bool) -> Field:
        axes = ("x", "y", "z") if depth else ("x", "y")
        extent = [self.pixels.shape[self.pixels.axes.index(a)] for a in axes]
        refs = tuple(self._fact(a, str(n)) for a, n in zip(axes, extent, strict=True))
        return Field(extent, "imaging:dimension", "shape", refs)

    def _array(self, index: IndexMap) -> ArraySpec:
        stored = np.dtype(self.pixels.dtype)
        if stored.kind not in "biuf":
            message = f"{self.job.source} has pixels of type {stored}, which NWB movies cannot hold"
            raise self._problem("image.type", message)
        spec = ArraySpec.of(self.job.source, self.image, self.pixels.name, index)
        return replace(spec, dtype="|u1") if stored.kind == "b" else spec  # NWB has no boolean movies: 0 and 1

    def _fact(self, name: str, text: str) -> CellRef:
        return CellRef("file", self.job.source, name, text, "header")

    def _place(self, column: str) -> dict[str, Any]:
        cell = self.record.cells.get(column)
        where = {"table": self.record.table, "line": self.record.line, "key": self.id, "file": self.job.source}
        return {**where, "column": column, **({"value": cell.text} if cell and cell.text else {})}

    def _tell(self, id: str, message: str, column: str) -> None:
        self.session.findings.append(finding(id, f"{self.id}: {message}", **self._place(column)))

    def _problem(self, id: str, message: str) -> Problem:
        return problem(id, f"{self.id}: {message}", **self._place("file_path_raw"))


def _with_light(given: Mapping[str, Field]) -> Field:
    """The description, with what only a one-photon series has fields for."""
    whole = given["description"]
    light = [
        (given[name], said.format(given[name].sources[0].text)) for name, said in _ONE_ONLY.items() if name in given
    ]
    if not light:
        return whole
    sources = (*whole.sources, *(ref for field, _ in light for ref in field.sources))
    text = "; ".join([str(whole.value), *(said for _, said in light)])
    return Field(text, "imaging:description", "join", sources)


def _constant(name: str, value: Any) -> Field:
    reference = CellRef("converter", NAME, name, str(value), "constant")
    return Field(value, f"{NAME}:{name}", "constant", (reference,))


def _index(pixels: LazyArray, time: int, channel: int | None, number: int) -> tuple[IndexMap, bool]:
    """The map to (t, width, height), or (t, width, height, depth) for volumes."""
    axes = pixels.axes
    depth = [i for i, a in enumerate(axes) if a == "z" and i != time]
    wanted = [time, axes.index("x"), axes.index("y"), *depth]
    kept = [i for i in range(len(axes)) if i != channel]
    select = tuple(number if i == channel else (0, n) for i, n in enumerate(pixels.shape))
    return IndexMap(select, tuple(kept.index(i) for i in wanted)), bool(depth)
