"""Patch clamp: rows of ``ephys`` and recordings with sweeps, to intracellular series and tables of NWB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from neuropress.mapping.rules import Slots
from neuropress.model.content import Channel, Recording, Stimulus, Sweep
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import CellRef, Record

from . import Built, Job, make_constant, names_nwb
from ._clamp import CURRENT, SERIES, VOLTAGE, assign_roles, parse_si_unit

NAME = "patch_clamp"
REVISION = 4
TABLES: tuple[str, ...] = ("ephys",)
COLUMN: Mapping[str, str] = {"ephys": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {
    "device": frozenset({"description"}),
    "electrode": frozenset({"cell_id", "description", "location", "filtering", "slice"}),
    "condition": frozenset({"recording_type"}),
    "recording": frozenset({"ephys_id"}),
    "series": frozenset({"comments"}),
    "amplifier": frozenset({"model_number"}),
}
BINDINGS: Mapping[str, str] = {}

ICEPHYS = "/general/intracellular_ephys"
STIMULI = {VOLTAGE: "VoltageClampStimulusSeries", CURRENT: "CurrentClampStimulusSeries"}


def takes(record: Record) -> bool:
    """Every row of ``ephys`` whose file is not NWB already."""
    return record.table in TABLES and not names_nwb(record, COLUMN[record.table])


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def list_types(record: Record, profile: Profile) -> frozenset[str]:
    """An electrode, which only a recording without any clamped channel lacks."""
    return frozenset({"IntracellularElectrode"})


def build(jobs: Sequence[Job]) -> Built:
    """Nodes of all recordings of a session; the numbering of the tables runs through them.

    Raises
    ------
    Problem
        ``ephys.content``: the file holds no recording.
    """
    session = _Session()
    for job in jobs:
        _RecordingConverter(session, job).add_nodes()
    for (name, _), (repetitions, shared) in session.conditions.items():
        links = {"repetitions": tuple(repetitions)}
        session.add_row("experimental_conditions", "ExperimentalCondition", links, {name: shared})
    return Built(tuple(session.nodes), tuple(session.findings))


@dataclass(slots=True)
class _Session:
    """What the recordings of a session share: devices, numbering of table rows, conditions."""

    nodes: list[Node] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    devices: dict[Any, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    conditions: dict[tuple[str, Any], tuple[list[str], Field]] = field(default_factory=dict)

    def add_row(
        self, table: str, type: str, links: Mapping[str, Any], fields: Mapping[str, Field] | None = None
    ) -> str:
        """A further row of a table of the hierarchy; its path."""
        number = self.rows.get(table, 0)
        self.rows[table] = number + 1
        path = f"{ICEPHYS}/{table}/{number}"
        self.nodes.append(Node(path, type, fields or {}, links))
        return path

    def add_device(self, fields: Mapping[str, Field], amplifier: Mapping[str, Field]) -> str:
        """The rig, with its amplifier as the model; a second one where a recording's header names other instruments."""
        key = tuple((name, value.value) for name, value in sorted(fields.items()))
        if key not in self.devices:
            count = len(self.devices)
            end = f"_{count + 1}" if count else ""
            path, model = (
                f"/general/devices/patch_clamp_rig{end}",
                f"/general/devices/models/patch_clamp_amplifier{end}",
            )
            self.devices[key] = path
            if amplifier:
                stated = {
                    "description": make_constant(NAME, "amplifier", "Amplifier, as the recording's header names it."),
                    "manufacturer": make_constant(NAME, "manufacturer", "not recorded"),
                }
                self.nodes.append(Node(model, "DeviceModel", {**amplifier, **stated}))
            self.nodes.append(Node(path, "Device", fields, {"model": model} if amplifier else {}))
        return self.devices[key]


class _RecordingConverter:
    """One row and its recording, added to the session's nodes."""

    def __init__(self, session: _Session, job: Job) -> None:
        recordings = [c for c in job.contents if isinstance(c, Recording)]
        if len(recordings) != 1:
            what = ", ".join(sorted({c.format for c in job.contents})) or "nothing"
            raise problem("ephys.content", f"{job.source} holds no recording of sweeps ({what})", **job.locate())
        self.session, self.job, self.recording = session, job, recordings[0]
        self.key = job.record.key
        self.roles = assign_roles(self.recording.adc, self.recording.dac, _measure_largest_samples(self.recording))
        self.electrodes: dict[int, str] = {}
        self.declared = ""
        self.start, self.clock, self.unaligned = self._align_clock()

    def add_nodes(self) -> None:
        """All nodes and findings of the recording."""
        self._report_assumptions()
        cells = self._name_cells()
        for channel in self.recording.adc:
            if channel.index in cells:
                self._add_electrode(channel, cells[channel.index])
        simultaneous = [row for sweep in self.recording.sweeps if (row := self._add_sweep(sweep))]
        if simultaneous:
            self._add_hierarchy(simultaneous)
        if self.recording.tags:
            self._add_tags()

    def _report_assumptions(self) -> None:
        if self.unaligned:
            self._add_finding("ephys.alignment_unknown", f"{self.job.source}: {self.unaligned}")
        if self.start < 0:
            session = self.job.record.cells["session_id"].text
            clock = "declared" if self.declared else "own"
            message = f"{self.job.source} began {float(-self.start):g} s before {session} by its {clock} clock"
            self._add_finding("recording.before_session", message)
        for channel in self.recording.adc:
            role = self.roles[channel.index]
            label = f"{self.job.source}: channel {channel.name!r}"
            if not role.mode:
                self._add_finding("ephys.not_clamped", f"{label} becomes a plain TimeSeries: {role.reason}")
            elif role.reason:
                self._add_finding("ephys.clamp_assumed", f"{label} is taken as {role.mode}: {role.reason}")

    def _add_finding(self, id: str, message: str) -> None:
        self.session.findings.append(finding(id, message, **self.job.locate()))

    def _align_clock(self) -> tuple[Fraction, tuple[CellRef, ...], str]:
        """Seconds from the session's start to the recording's, what says so, and why it is unknown."""
        if known := self.job.find_start(self.recording):
            self.declared = known.declared
            self.session.findings.extend(known.findings)
            return known.seconds, known.sources, ""
        started, session = self.recording.started, self.job.started
        if started is None or session is None:
            reason = "its header states no plausible date" if started is None else "the session has no start time"
        else:
            clocks = started.isoformat(" "), session.isoformat(" ")
            reason = f"its header's clock {clocks[0]} does not fit the session's start {clocks[1]}"
        return Fraction(0), (), f"{reason}; times count from the start of the recording"

    def _make_field(self, name: str, value: Any, *facts: tuple[str, object], via: str = "copy") -> Field:
        """A field that the header gives, with the facts it came from."""
        return Field(value, f"{NAME}:{name}", via, tuple(self.job.make_fact_ref(f, t) for f, t in facts))

    def _name_cells(self) -> dict[int, Field]:
        """Channel -> id of its cell: as the row names it, else one of its own for each clamped channel.

        Raises
        ------
        Problem
            ``ephys.cells``: the row names several cells, but not one for each clamped channel.
        """
        clamped = [channel for channel in self.recording.adc if self.roles[channel.index].mode]
        stated = self.job.fields.get("electrode", {}).get("cell_id")
        if stated is None:
            names = {}
            for channel in clamped:
                refs = (
                    self.job.record.ref("ephys_id"),
                    self.job.make_fact_ref(f"adc{channel.index}.name", channel.name),
                )
                names[channel.index] = Field(
                    f"{self.key}_ch{channel.index}", f"{NAME}:cell_id", "row_and_channel", refs
                )
            return names
        cells = [name.strip() for name in str(stated.value).split(";") if name.strip()]
        if len(cells) == 1:  # soma and dendrite of one cell have an electrode each
            return {channel.index: stated for channel in clamped}
        if len(cells) != len(clamped):
            channels = ", ".join(channel.name for channel in clamped) or "none"
            message = (
                f"{self.key} names {len(cells)} cells; {len(clamped)} channels of its file are clamped: {channels}"
            )
            raise problem("ephys.cells", message, **self.job.locate("cell"))
        pairs = zip(clamped, cells, strict=True)
        return {channel.index: Field(cell, f"{NAME}:cells", "split", stated.sources) for channel, cell in pairs}

    def _add_electrode(self, channel: Channel, cell: Field) -> None:
        """One electrode for each clamped channel of each recording."""
        fields = dict(self.job.fields.get("electrode", {}))
        fields["cell_id"] = cell
        path = f"{ICEPHYS}/{self.key}_electrode_ch{channel.index}"
        device = self.session.add_device(self.job.fields.get("device", {}), self.job.fields.get("amplifier", {}))
        self.session.nodes.append(Node(path, "IntracellularElectrode", fields, {"device": device}))
        self.electrodes[channel.index] = path

    def _add_sweep(self, sweep: Sweep) -> str | None:
        """Series of one sweep and the rows that tie them; the path of its simultaneous recording."""
        commanded = {role.dac.index: index for index, role in self.roles.items() if role.dac}
        stimuli: dict[int, str] = {}
        for stimulus in sweep.stimuli:
            channel_index = commanded.get(stimulus.dac, -1)
            stimuli[channel_index] = self._add_stimulus(sweep, stimulus, self.electrodes.get(channel_index))
        rows = []
        for channel in self.recording.adc:
            path = self._add_response(sweep, channel)
            if electrode := self.electrodes.get(channel.index):
                ties = {"electrode": electrode, "response": path}
                if channel.index in stimuli:
                    ties["stimulus"] = stimuli[channel.index]
                about = self.job.fields.get("recording", {})
                rows.append(self.session.add_row("intracellular_recordings", "IntracellularRecording", ties, about))
        if not rows:
            return None
        return self.session.add_row("simultaneous_recordings", "SimultaneousRecording", {"recordings": tuple(rows)})

    def _add_response(self, sweep: Sweep, channel: Channel) -> str:
        role = self.roles[channel.index]
        path = f"/acquisition/{self.key}_sweep{sweep.index:03d}_ch{channel.index}"
        description = f"{channel.name}, sweep {sweep.index} of {len(self.recording.sweeps)}"
        if self.recording.mode:
            description += f" ({self.recording.mode})"
        fields = self._build_common_fields(
            sweep, channel, "adc", f"Samples as stored of channel {description}", role.reason
        )
        links = {}
        if role.mode:
            links["electrode"] = self.electrodes[channel.index]
            fields |= self._build_clamp_fields(sweep, role.mode)
        array = self._make_array(sweep.responses[channel.index])
        self.session.nodes.append(Node(path, SERIES.get(role.mode, "TimeSeries"), fields, links, {"data": array}))
        return path

    def _add_stimulus(self, sweep: Sweep, stimulus: Stimulus, electrode: str | None) -> str:
        """A rebuilt command; of no clamped cell (a piezo, a pressure) it is a plain TimeSeries."""
        dac = next(d for d in self.recording.dac if d.index == stimulus.dac)
        path = f"/stimulus/presentation/{self.key}_sweep{sweep.index:03d}_dac{dac.index}"
        description = (
            f"Command of {dac.name or f'DAC {dac.index}'} in sweep {sweep.index} of {len(self.recording.sweeps)}"
        )
        known = parse_si_unit(dac.unit) if electrode else None
        comment = f"samples as stored in the {stimulus.how}, in {dac.unit}"
        if stimulus.rebuilt:
            comment = f"rebuilt from the {stimulus.how} that the recording's header names, in {dac.unit}; not recorded"
        fields = self._build_common_fields(sweep, dac, "dac", description, comment, clamp=known is not None)
        type, links = "TimeSeries", {}
        if known and electrode:
            type, links = STIMULI[known[0]], {"electrode": electrode}
            fields |= self._build_clamp_fields(sweep, "")
        self.session.nodes.append(Node(path, type, fields, links, {"data": self._make_array(stimulus.array)}))
        return path

    def _build_common_fields(
        self, sweep: Sweep, channel: Channel, kind: str, description: str, comment: str, clamp: bool | None = None
    ) -> dict[str, Field]:
        """What every series has. Clamp series are in volts or amperes, plain ones in the header's unit."""
        label = f"{kind}{channel.index}"
        clamp = bool(self.roles[channel.index].mode) if clamp is None else clamp
        known = parse_si_unit(channel.unit)
        factor = known[1] if known and clamp else Decimal(1)
        scale = (f"{label}.unit", channel.unit), (f"{label}.gain", channel.gain), (f"{label}.offset", channel.offset)
        start = self._make_field(
            "starting_time", float(self.start + Fraction(sweep.start)), (f"sweep{sweep.index}.start", sweep.start)
        )
        fields = {
            "description": self._make_field(
                "description", description, (f"{label}.name", channel.name), via="template"
            ),
            "rate": self._build_rate(),
            "starting_time": Field(start.value, start.rule, "session_seconds", start.sources + self.clock),
            "conversion": self._make_field("conversion", float(channel.gain * factor), *scale[:2], via="si_scale"),
            "offset": self._make_field("offset", float(channel.offset * factor), scale[0], scale[2], via="si_scale"),
        }
        if not clamp:
            fields["unit"] = self._make_field("unit", channel.unit or "unknown", scale[0])
        alignment = f"alignment unknown: {self.unaligned}" if self.unaligned else self.declared
        remarks = "; ".join(filter(None, [comment, alignment]))
        notes = self.job.fields.get("series", {}).get("comments") if kind == "adc" else None
        if remarks:
            fields["comments"] = self._make_field("comments", remarks, scale[0], via="template")
        if notes and remarks:
            sources = (*notes.sources, *fields["comments"].sources)
            fields["comments"] = Field(f"{notes.value}\n{remarks}", f"{NAME}:comments", "lines", sources)
        elif notes:
            fields["comments"] = notes
        return fields

    def _build_rate(self) -> Field:
        """The header's rate; a cell that says the same is borne out by it."""
        rate, stated = self.recording.rate, self.job.record.values.get("sampling_rate")
        field = self._make_field("rate", float(rate), ("sampling_rate", rate), via="number")
        if stated is None:
            return field
        cell = self.job.record.ref("sampling_rate")
        if Decimal(str(stated)) != rate:
            cell = replace(cell, origin="replaced")
        return replace(field, sources=(*field.sources, cell))

    def _build_clamp_fields(self, sweep: Sweep, mode: str) -> dict[str, Field]:
        """Sweep number and protocol; NWB allows no protocol where the current is held at 0."""
        fields = {"sweep_number": self._make_field("sweep_number", sweep.index, ("sweeps", len(self.recording.sweeps)))}
        if self.recording.protocol and mode != "I=0":
            protocol = self.recording.protocol
            fields["stimulus_description"] = self._make_field("stimulus_description", protocol, ("protocol", protocol))
        return fields

    def _make_array(self, name: str) -> ArraySpec:
        return ArraySpec.of(self.job.source, self.recording, name)

    def _add_hierarchy(self, simultaneous: list[str]) -> None:
        """One sequence (the protocol), one repetition, and the condition that the row's type names.

        Electrodes belong to one row, so no other row can repeat a protocol on the same ones.
        """
        protocol = self.recording.protocol
        stated = self._make_field("stimulus_type", protocol, ("protocol", protocol))
        kind = {
            "stimulus_type": stated if protocol else Field("protocol not stated", f"{NAME}:stimulus_type", "constant")
        }
        sequence = self.session.add_row(
            "sequential_recordings", "SequentialRecording", {"simultaneous_recordings": tuple(simultaneous)}, kind
        )
        repetition = self.session.add_row("repetitions", "Repetition", {"sequential_recordings": (sequence,)})
        for name, value in self.job.fields.get("condition", {}).items():
            members, shared = self.session.conditions.get((name, value.value), ([], value))
            members.append(repetition)
            sources = tuple(dict.fromkeys(shared.sources + value.sources))
            self.session.conditions[name, value.value] = members, Field(value.value, value.rule, value.via, sources)

    def _add_tags(self) -> None:
        """Tags as an EventsTable, a single one too: AnnotationSeries is deprecated in NWB 2.11."""
        tags = sorted(self.recording.tags, key=lambda tag: tag.time)
        times = [float(self.start + Fraction(tag.time)) for tag in tags]
        texts = [tag.text or "(no text)" for tag in tags]
        facts = [(f"tag{i}", f"{tag.time} s: {tag.text}") for i, tag in enumerate(tags)]
        description = "Tags that the experimenter or the acquisition program set during the recording"
        if self.unaligned:
            description += f"; alignment unknown: {self.unaligned}"
        timed = self._make_field("tag_times", times, *facts, via="session_seconds")
        fields = {
            "description": self._make_field("tags", description),
            "timestamp": Field(timed.value, timed.rule, timed.via, timed.sources + self.clock),
            "annotation": self._make_field("tag_texts", texts, *facts),
            "kind": self._make_field("tag_kinds", [tag.kind for tag in tags], *facts),
            "kind/description": self._make_field("tag_kind", "What set the event, as the recording program names it."),
        }
        self.session.nodes.append(Node(f"/events/{self.key}_tags", "EventsTable", fields))


def _measure_largest_samples(recording: Recording) -> dict[int, Decimal]:
    """Largest absolute sample of each channel that is not of 16 bits: no header limits it, so the samples are read."""
    import numpy as np  # not above: checking tables imports every converter, and needs no array

    largest_samples: dict[int, Decimal] = {}
    for channel in recording.adc:
        if channel.dtype.kind == "i" and channel.dtype.itemsize == 2:
            continue
        largest = 0.0
        for sweep in recording.sweeps:
            array = recording.arrays[sweep.responses[channel.index]]
            step = max(array.block[0], 1)
            for start in range(0, array.shape[0], step):
                samples = array.read((slice(start, min(start + step, array.shape[0])),))
                known = np.abs(samples.astype("f8", copy=False))  # the most negative integer has no positive one
                largest = max(largest, float(np.max(known, initial=0.0, where=~np.isnan(known))))
        largest_samples[channel.index] = Decimal(largest)
    return largest_samples
