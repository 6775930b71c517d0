"""Movies: rows of ``image`` with a frame rate, to imaging planes and photon series of NWB.

Profile defaults in use: ``region`` (a lab's only), and ``modality_<image_type>`` (``one-photon``,
``two-photon``, ``confocal``, ``light-sheet``), the lab's own first. Where the profile
does not say, a laser above the limit ``multiphoton_nm_above`` means two photons, one
below it one photon; without a laser line a stated exposure time means a camera, thus one
photon. Where both are blank nothing tells: the movie is a plain ImageSeries, which says nothing
of photons, beside its imaging plane. That ruling is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from neuropress.mapping.rules import Slots
from neuropress.model.content import Image, LazyArray
from neuropress.model.finding import Finding, Problem, finding, problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node
from neuropress.model.profile import Profile
from neuropress.model.reagents import fold, plasmids_of
from neuropress.model.record import CellRef, Record

from . import Built, Job, describe_image_choice, make_constant, names_nwb
from ._frame_times import FrameTimes, read_frame_times

NAME = "imaging"
REVISION = 5
TABLES: tuple[str, ...] = ("image",)
COLUMN: Mapping[str, str] = {"image": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {
    "objective": frozenset({"description"}),
    "plane": frozenset(
        {"description", "excitation_lambda", "indicator", "location", "grid_spacing", "imaging_rate", "reference_frame"}
    ),
    "channel": frozenset({"description", "emission_lambda"}),
    "series": frozenset({"description", "comments", "rate", "exposure_time", "power", "field_of_view"}),
}
BINDINGS: Mapping[str, str] = {"indicator": "plasmid"}

ONE, TWO, PLAIN = "OnePhotonSeries", "TwoPhotonSeries", "ImageSeries"
MODALITIES = {"one-photon": ONE, "confocal": ONE, "light-sheet": ONE, "two-photon": TWO, "multiphoton": TWO}
_ONE_PHOTON_FIELDS = {"exposure_time": "exposure {} ms", "power": "laser power {} mW"}
"""Fields that only a one-photon series has, and how the description of another says them."""
_TWO_PHOTON_FIELDS = ("field_of_view",)
ALIGNMENT_UNKNOWN = "alignment unknown: starting_time 0 is no measurement"


def takes(record: Record) -> bool:
    """Rows of ``image`` that are movies: with a frame rate; not those of NWB files."""
    is_movie = record.table in TABLES and record.values.get("frame_rate") is not None
    return is_movie and not names_nwb(record, COLUMN[record.table])


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The plasmid that the row's own `indicator` names, else the only one that the mouse carries; None for several."""
    candidates = list_indicators(record)
    if named := record.values.get("indicator"):
        wanted = fold(str(named))
        names = ("gene", "plasmid_name")
        candidates = [p for p in candidates if wanted in {fold(str(p.values[name])) for name in names}]
    return {"indicator": candidates[0] if len(candidates) == 1 else None}


def list_indicators(record: Record) -> list[Record]:
    """Plasmids of an indicator kind that the mouse carries."""
    carried = plasmids_of(record.related("session.mouse"))
    return [plasmid for plasmid in carried if str(plasmid.values.get("indicator")).endswith("indicator")]


def list_types(record: Record, profile: Profile) -> frozenset[str]:
    """The imaging plane, and the series."""
    return frozenset({"ImagingPlane", choose_series_type(record, profile)[0]})


def choose_series_type(record: Record, profile: Profile) -> tuple[str, str]:
    """One or two photons: the profile says, else the ruling in the module's text, with its reason in words."""
    image_type = str(record.values.get("image_type"))
    modality = profile.default(f"modality_{image_type}", profile.lab_of(record.key))
    if modality in MODALITIES:
        return MODALITIES[modality], ""
    limit = Decimal(profile.limits.get("multiphoton_nm_above", "680"))
    line, exposure = record.values.get("laser_line"), record.values.get("exposure_time")
    if line is not None:
        is_above = Decimal(str(line)) > limit
        kind = TWO if is_above else ONE
        reason = f"laser_line {line} is {'above' if is_above else 'not above'} {limit} nm"
    else:
        kind = ONE if exposure is not None else PLAIN
        reason = f"laser_line is blank and exposure_time is {'set' if exposure is not None else 'blank'}"
    default = f"{modality!r} is none of {', '.join(MODALITIES)}" if modality else "is not set"
    return kind, f"modality_{image_type} {default} for lab {record.lab}; {kind} is taken, because {reason}"


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
        _MovieConverter(session, job).add_nodes()
    return Built(tuple(session.nodes), tuple(session.findings))


@dataclass(slots=True)
class _Session:
    """What the movies of a session share: microscopes and the findings."""

    nodes: list[Node] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    devices: dict[tuple[str, str], str] = field(default_factory=dict)


class _MovieConverter:
    """One row on its way into NWB."""

    def __init__(self, session: _Session, job: Job) -> None:
        self.session, self.job, self.record = session, job, job.record
        self.id = job.record.key
        if len(job.contents) != 1 or not isinstance(job.contents[0], Image):
            raise self._make_problem("image.contents", describe_image_choice(job))
        self.image: Image = job.contents[0]
        self.pixels = self.image.arrays["pixels"]
        self.times = read_frame_times(job, self.image)
        self.plane, self.series = list_places(job.record, self.image)

    def add_nodes(self) -> None:
        """All nodes of the movie."""
        time = self._find_time_axis()
        kind, ruling = choose_series_type(self.record, self.job.profile)
        if ruling:
            self._add_finding("image.kind", ruling, "image_type")
        names = dict(_list_channels(self.image))
        device = self._add_device()
        optical = tuple(f"{self.plane}/{name or 'optical_channel'}" for name in names)
        self.session.nodes += [Node(path, "OpticalChannel", self._build_channel_fields(len(names))) for path in optical]
        self.session.nodes.append(
            Node(self.plane, "ImagingPlane", self._build_plane_fields(), {"device": device, "optical_channel": optical})
        )
        shared = self._build_series_fields(kind)
        times = self.times.add_to(shared) if self.times else {}
        for place, (name, (axis, number)) in zip(self.series, names.items(), strict=True):
            index, depth = build_index_map(self.pixels, time, axis, number)
            self.session.nodes.append(
                Node(
                    place,
                    kind,
                    {**self._add_channel_name(shared, name), "dimension": self._make_dimension(depth)},
                    {"device": device} if kind == PLAIN else {"imaging_plane": self.plane},
                    {"data": self._make_array(index), **times},
                )
            )

    def _find_time_axis(self) -> int:
        """The axis of the frames: the declared one, else the only open one (the row has a frame rate)."""
        axes = self.pixels.axes
        rest = [a for a in axes if a not in "yxcs"]
        extents = " ".join(f"{a}={n}" for a, n in zip(axes, self.pixels.shape, strict=True))
        stated_axes = f"the axes of {self.job.source} are {extents}"
        if "c" in axes and "s" in axes:
            raise self._make_problem("image.axes", f"{stated_axes}; channels in colours have no place in a movie")
        if unknown := sorted(set(rest) - set("tzq")):
            raise self._make_problem("image.axes", f"{stated_axes}; axis {unknown[0]} has no place in a movie")
        if rest.count("q") + rest.count("t") > 1:
            raise self._make_problem(
                "image.axes", f"{stated_axes}; which of the undeclared ones (q) is time a person must say"
            )
        if not rest:
            raise self._make_problem("image.single", f"{stated_axes}: one frame, but the row has a frame_rate")
        if rest == ["z"]:
            planes = self.pixels.shape[axes.index("z")]
            message = f"{stated_axes}; the row has a frame_rate, so the {planes} planes are frames"
            self._add_finding("image.depth_as_time", message, "frame_rate")
        return next(axes.index(a) for a in "tqz" if a in rest)

    def _add_device(self) -> str:
        """The lab's microscope; another one for each other objective in the session."""
        objective = self.job.fields.get("objective", {}).get("description")
        key = (self.record.lab, str(objective.value) if objective else "")
        known = self.session.devices
        if key not in known:
            count = sum(lab == self.record.lab for lab, _ in known) + 1
            end = f"_{count}" if count > 1 else ""
            known[key] = f"/general/devices/{self.record.lab}_microscope{end}"
            name = self._add_objective(objective, end) if objective else "not recorded"
            about = make_constant(NAME, "microscope", f"Microscope; its objective is {name}")
            self.session.nodes.append(Node(known[key], "Device", {"description": about}))
        return known[key]

    def _add_objective(self, about: Field, end: str) -> str:
        """The objective as a device and its model, which has what is the same of all such objectives; its name."""
        name = f"{self.record.lab}_objective{end}"
        model = f"/general/devices/models/{name}"
        maker = make_constant(NAME, "manufacturer", "not recorded")
        owner = make_constant(NAME, "objective", f"Objective of {self.record.lab}_microscope{end}")
        self.session.nodes.append(Node(model, "DeviceModel", {"description": about, "manufacturer": maker}))
        self.session.nodes.append(Node(f"/general/devices/{name}", "Device", {"description": owner}, {"model": model}))
        return name

    def _build_plane_fields(self) -> dict[str, Field]:
        fields = dict(self.job.fields.get("plane", {}))
        indicators = list_indicators(self.record)
        if fields["indicator"].via == "absent" and len(indicators) > 1:
            refs = tuple(p.ref("gene") for p in indicators)
            genes = ", ".join(f"{r.text} ({r.key})" for r in refs)
            self._add_finding(
                "image.indicator", f"the mouse carries {genes}; none is named on the imaging plane", "session_id"
            )
            fields["indicator"] = Field("see NWBFile.virus", "imaging:indicator", "several", refs)
        elif fields["indicator"].via == "absent":
            message = f"no indicator is reachable from {self._describe_animal()}"
            hint = "If it is known, name it in a column indicator of the image's row."
            self._add_finding("image.unrecorded", message, "session_id", hint)
        if fields["excitation_lambda"].via == "absent":
            self._add_finding(
                "image.unrecorded", "laser_line is blank: excitation_lambda is written as NaN", "laser_line"
            )
        if fields["location"].via == "absent":
            self._add_finding("image.unrecorded", "neither the row nor its lab states a region", "session_id")
        fields["reference_frame"] = make_constant(
            NAME, "reference_frame", "image axes; anatomical orientation not recorded"
        )
        if "grid_spacing" in fields:
            fields["grid_spacing_unit"] = make_constant(NAME, "grid_spacing_unit", "meters")
        return fields

    def _describe_animal(self) -> str:
        """The row of the session's animal, in the word of its own table."""
        session = self.record.related("session")
        animal = session and (session.related("mouse") or session.related("subject"))
        return f"{animal.table} {animal.key}" if animal else "the session, which names no animal"

    def _build_channel_fields(self, channels: int) -> dict[str, Field]:
        """Of several channels it is not known which one shows the indicator."""
        fields = dict(self.job.fields.get("channel", {}))
        if channels > 1:
            fields["emission_lambda"] = make_constant(NAME, "emission_lambda", float("nan"))
            fields["description"] = make_constant(NAME, "optical_channel", "Emission filter not recorded")
        return fields

    def _build_series_fields(self, kind: str) -> dict[str, Field]:
        given = self.job.fields.get("series", {})
        left_out = {ONE: _TWO_PHOTON_FIELDS, TWO: _ONE_PHOTON_FIELDS}.get(
            kind, (*_ONE_PHOTON_FIELDS, *_TWO_PHOTON_FIELDS)
        )
        fields = {name: value for name, value in given.items() if name not in left_out}
        if kind != ONE:
            fields["description"] = _describe_illumination(given)
        fields["unit"] = make_constant(NAME, "unit", "a.u.")
        fields["format"] = make_constant(NAME, "format", "raw")
        known = self.job.find_start(self.image)
        start = compute_start(self.job, self.image, self.times)
        if known:
            self.session.findings.extend(known.findings)
        if start is None:
            start = self._assume_start(fields)
        elif start.value < 0:
            session = self.record.cells["session_id"].text
            clock = "declared" if known and known.declared else "own"
            message = f"{self.job.source} began {-start.value:g} s before {session} by its {clock} clock"
            self._add_finding("recording.before_session", message, "file_path_raw")
        if known and known.declared:
            self._add_comment(fields, known.declared, *known.sources)
        fields["starting_time"] = start
        if photometric := self.image.facts.get("photometric"):
            note = f"{photometric}: 0 is white; the values are as stored"
            self._add_comment(fields, note, self.job.make_fact_ref("photometric", photometric))
        return fields

    def _assume_start(self, fields: dict[str, Field]) -> Field:
        """What the times count from, where nobody knows when that was: said in the comments and by a finding."""
        counted = "starting_time 0 is no measurement"
        written = "starting_time is written as 0"
        start = 0.0
        if trigger := self.image.trigger:
            counted = written = f"its times count from the start of {trigger.key}, by {trigger.text}"
            start = float(trigger.first)
        elif self.times and self.times.rate is None:
            counted = written = "its times count from the begin of its acquisition"
        message = f"{self.job.source} has no clock of its own near the session's start; {written}"
        self._add_finding("image.alignment", message, "file_path_raw")
        self._add_comment(fields, f"alignment unknown: {counted}")
        return make_constant(NAME, "starting_time", start)

    def _add_comment(self, fields: dict[str, Field], note: str, *sources: CellRef) -> None:
        notes = fields.get("comments")
        whole = f"{notes.value}\n{note}" if notes else note
        fields["comments"] = Field(whole, "imaging:comments", "join", (*(notes.sources if notes else ()), *sources))

    def _add_channel_name(self, fields: Mapping[str, Field], channel: str) -> dict[str, Field]:
        """The channel's name in the description, where there are several."""
        named = dict(fields)
        if channel:
            own = named["description"]
            text = f"{own.value}; channel {channel}"
            named["description"] = Field(
                text, own.rule, own.via, (*own.sources, self.job.make_fact_ref("channels", channel))
            )
        return named

    def _make_dimension(self, depth: bool) -> Field:
        axes = ("x", "y", "z") if depth else ("x", "y")
        extent = [self.pixels.shape[self.pixels.axes.index(a)] for a in axes]
        refs = [self.job.make_fact_ref(a, str(n)) for a, n in zip(axes, extent, strict=True)]
        # A z stack in time has as many images as planes and frames together: z is no extent of an image.
        same = zip(axes[:2], extent, strict=False)
        refs += [self.record.ref(a) for a, n in same if self.record.values.get(a) == n]
        return Field(extent, "imaging:dimension", "shape", tuple(refs))

    def _make_array(self, index: IndexMap) -> ArraySpec:
        stored = self.pixels.dtype
        if stored.kind not in "biuf":
            message = f"{self.job.source} has pixels of type {stored}, which NWB movies cannot hold"
            raise self._make_problem("image.type", message)
        spec = ArraySpec.of(self.job.source, self.image, self.pixels.name, index)
        return replace(spec, dtype="|u1") if stored.kind == "b" else spec  # NWB has no boolean movies: 0 and 1

    def _add_finding(self, id: str, message: str, column: str, hint: str = "") -> None:
        self.session.findings.append(finding(id, f"{self.id}: {message}", hint=hint, **self.job.locate(column)))

    def _make_problem(self, id: str, message: str) -> Problem:
        return problem(id, f"{self.id}: {message}", **self.job.locate())


def compute_start(job: Job, image: Image, times: FrameTimes | None) -> Field | None:
    """Seconds from the session's start to the first frame, by the declared clock or the file's own."""
    known = job.find_start(image)
    if known is None:
        return None
    seconds = times.first if times else float(known.seconds)
    return Field(seconds, "imaging:starting_time", "seconds_from_start", known.sources)


def list_places(record: Record, image: Image) -> tuple[str, tuple[str, ...]]:
    """Where a movie's imaging plane and the series of its channels lie in the result."""
    names = [name for name, _ in _list_channels(image)]
    series = (f"/acquisition/{record.key}_{name}" if name else f"/acquisition/{record.key}" for name in names)
    return f"/general/optophysiology/{record.key}_plane", tuple(series)


def _list_channels(image: Image) -> Iterator[tuple[str, tuple[int | None, int]]]:
    """Name of each channel's series -> the axis and index of the channel; '' where there is one only."""
    pixels = image.arrays["pixels"]
    axis = next((i for i, a in enumerate(pixels.axes) if a in "cs"), None)
    if axis is None:
        yield "", (None, 0)
        return
    count = pixels.shape[axis]
    given = [re.sub(r"[/:\s]+", "_", n).strip("_") for n in image.channels]
    usable = len(given) == count == len(set(given)) and all(given)
    for number in range(count):
        yield (given[number] if usable else f"channel{number + 1}"), (axis, number)


def _describe_illumination(given: Mapping[str, Field]) -> Field:
    """The description, with what only a one-photon series has fields for."""
    whole = given["description"]
    texts, sources = [str(whole.value)], list(whole.sources)
    for name, phrase in _ONE_PHOTON_FIELDS.items():
        if name in given:
            texts.append(phrase.format(given[name].sources[0].text))
            sources += given[name].sources
    if len(texts) == 1:
        return whole
    return Field("; ".join(texts), "imaging:description", "join", tuple(sources))


def build_index_map(pixels: LazyArray, time: int, channel: int | None, number: int) -> tuple[IndexMap, bool]:
    """The map to (t, width, height), or (t, width, height, depth) for volumes."""
    axes = pixels.axes
    depth = [i for i, a in enumerate(axes) if a == "z" and i != time]
    wanted = [time, axes.index("x"), axes.index("y"), *depth]
    kept = [i for i in range(len(axes)) if i != channel]
    select = tuple(number if i == channel else (0, n) for i, n in enumerate(pixels.shape))
    return IndexMap(select, tuple(kept.index(i) for i in wanted)), bool(depth)
