"""Patch clamp rows and recordings as NWB nodes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from abf_files import close_all, open_abf  # noqa: F401 (fixture)

from neuropress.converters import Built, Job, patch_clamp
from neuropress.converters._clamp import assign_roles, parse_si_unit
from neuropress.mapping.rules import Scope, apply_mapping, load_mapping
from neuropress.model.content import Channel, Image, LazyArray, Recording, Stimulus, Sweep, Tag
from neuropress.model.finding import Problem
from neuropress.model.plan import Node
from neuropress.model.profile import load_profile
from neuropress.model.record import Cell, CellRef, Record

KEY, FILE = "RY_E_0001", "yuste/20250620/ephys/raw/cell.abf"
STARTED = datetime.fromisoformat("2025-06-20T14:00:00-04:00")
LENGTH = 50


def make_adc(index: int, unit: str, gain: str = "0.25", **more: Any) -> Channel:
    more = {"dtype": np.dtype("i2"), "terminal": index, **more}
    return Channel(index, f"IN {index}", unit, Decimal(gain), Decimal("0.5"), **more)


def make_dac(index: int, unit: str, driven: bool = True) -> Channel:
    return Channel(index, f"Cmd {index}", unit, Decimal(1), Decimal(0), np.dtype("f8"), terminal=index, driven=driven)


def make_array(name: str, dtype: np.dtype[Any]) -> LazyArray:
    return LazyArray(name, (LENGTH,), dtype, ("sample",), lambda s: np.zeros(LENGTH, dtype)[s], (LENGTH,))


def make_recording(
    ins: Sequence[Channel] = (make_adc(0, "pA"),),
    outs: Sequence[Channel] = (make_dac(0, "mV"),),
    stimuli: Sequence[int] = (0,),
    sweeps: int = 2,
    **more: Any,
) -> Recording:
    made = tuple(
        Sweep(
            i,
            Decimal("0.2") * i,
            LENGTH,
            {c.index: f"sweep{i:03d}/adc{c.index}" for c in ins},
            tuple(Stimulus(d, f"sweep{i:03d}/dac{d}", "epoch table") for d in stimuli),
        )
        for i in range(sweeps)
    )
    arrays = {a: make_array(a, ins[0].dtype) for s in made for a in s.responses.values()}
    arrays |= {q.array: make_array(q.array, np.dtype("f8")) for s in made for q in s.stimuli}
    begun = datetime.fromisoformat("2025-06-20T14:30:00.5")
    facts = {"sampling_rate": "20000", "amplifier": "MultiClamp 700", "digitizer": "Digidata 1440"}
    return replace(
        Recording(
            "", "abf", facts, {}, arrays, rate=Decimal(20000), mode="episodic", protocol="steps", started=begun,
            adc=tuple(ins), dac=tuple(outs), sweeps=made,
        ),
        **more,
    )  # fmt: skip


def make_job(
    content: Any, key: str = KEY, started: datetime | None = STARTED, kind: str = "somatic patch", **more: str
) -> Job:
    cells = {"ephys_id": key, "session_id": "RY_S_0001", "recording_type": kind, "file_path_raw": FILE} | more
    record = Record("ephys", key, 2, {k: Cell(v) for k, v in cells.items()}, dict(cells))
    profile = load_profile("dendritic-consortium")
    fields = apply_mapping(load_mapping("patch_clamp"), Scope(record, profile, content.facts, FILE))
    return Job(record, "file_path_raw", FILE, (content,), fields, profile, started)


def build_nodes(content: Any, **more: Any) -> tuple[dict[str, Node], Built]:
    built = patch_clamp.build([make_job(content, **more)])
    nodes = {n.path: n for n in built.nodes}
    assert len(nodes) == len(built.nodes)
    for node in built.nodes:
        for link in node.links.values():
            assert all(path in nodes for path in ([link] if isinstance(link, str) else link))
        for made in node.fields.values():
            assert made.rule.startswith(("patch_clamp:", "patch_clamp/"))
    return nodes, built


def get_values(node: Node) -> dict[str, Any]:
    return {name: made.value for name, made in node.fields.items()}


def test_voltage_clamp_with_all_that_belongs_to_it() -> None:
    nodes, built = build_nodes(make_recording())
    assert built.findings == ()
    response = nodes["/acquisition/RY_E_0001_sweep001_ch0"]
    assert response.type == "VoltageClampSeries"
    assert get_values(response) == {
        "description": "Samples as stored of channel IN 0, sweep 1 of 2 (episodic)",
        "rate": 20000.0, "starting_time": 1800.7, "conversion": 2.5e-13, "offset": 5e-13,
        "sweep_number": 1, "stimulus_description": "steps",
    }  # fmt: skip
    array = response.arrays["data"]
    assert (array.source, array.array, array.format, array.dtype) == (FILE, "sweep001/adc0", "abf", "<i2")
    assert (array.shape, array.index.select, array.content) == ((LENGTH,), ((0, LENGTH),), "")
    assert response.fields["conversion"].sources == (
        CellRef("file", FILE, "adc0.unit", "pA", "header"), CellRef("file", FILE, "adc0.gain", "0.25", "header"),
    )  # fmt: skip
    stimulus = nodes["/stimulus/presentation/RY_E_0001_sweep001_dac0"]
    assert (stimulus.type, stimulus.arrays["data"].dtype) == ("VoltageClampStimulusSeries", "<f8")
    assert (get_values(stimulus)["conversion"], get_values(stimulus)["offset"]) == (0.001, 0.0)
    assert (
        get_values(stimulus)["comments"]
        == "rebuilt from the epoch table that the recording's header names, in mV; not recorded"
    )


def test_electrode_and_device_come_from_the_table_and_the_header() -> None:
    nodes, _ = build_nodes(make_recording())
    electrode = nodes["/general/intracellular_ephys/RY_E_0001_electrode_ch0"]
    assert get_values(electrode) == {
        "cell_id": "RY_E_0001_ch0", "location": "unknown",
        "description": "Electrode of RY_S_0001; recording type: somatic patch",
    }  # fmt: skip
    device = nodes["/general/devices/patch_clamp_rig"]
    assert get_values(device) == {"description": "Amplifier: MultiClamp 700; Digitizer: Digidata 1440"}
    assert electrode.links == {"device": device.path}
    model = nodes[device.links["model"]]
    assert get_values(model) | {"description": ""} == {
        "model_number": "MultiClamp 700", "manufacturer": "not recorded", "description": "",
    }  # fmt: skip


def test_cells_of_the_row_in_their_homes() -> None:
    more = {"processing_methods": "low-pass filter 4 kHz", "notes": "sealed at 3 GOhm", "region": "VISp5"}
    nodes, _ = build_nodes(make_recording(), kind="ex vivo; somatic patch", **more)
    electrode = get_values(nodes["/general/intracellular_ephys/RY_E_0001_electrode_ch0"])
    assert electrode["location"] == "VISp5"
    assert electrode["filtering"] == "Of the processed file, not of the samples here: low-pass filter 4 kHz"
    assert nodes["/acquisition/RY_E_0001_sweep000_ch0"].fields["comments"].value == "sealed at 3 GOhm"
    nodes, _ = build_nodes(make_recording(), processing_methods="spike sorting")
    assert "filtering" not in nodes["/general/intracellular_ephys/RY_E_0001_electrode_ch0"].fields


@pytest.mark.parametrize(("rate", "origin"), [(Decimal(20000), "cell"), (Decimal("20000.01"), "replaced")])
def test_a_rate_is_the_header_s_and_the_cell_only_where_they_are_equal(rate: Decimal, origin: str) -> None:
    job = make_job(make_recording(), sampling_rate=str(rate))
    record = replace(job.record, values={**job.record.values, "sampling_rate": rate})
    built = patch_clamp.build([replace(job, record=record)])
    (field,) = {n.fields["rate"] for n in built.nodes if n.path == "/acquisition/RY_E_0001_sweep000_ch0"}
    assert (field.value, [ref.origin for ref in field.sources]) == (20000.0, ["header", origin])


def list_cells(nodes: dict[str, Node]) -> list[str]:
    return [node.fields["cell_id"].value for node in nodes.values() if node.type == "IntracellularElectrode"]


def test_a_cell_is_named_by_the_row_or_by_row_and_channel() -> None:
    two = make_recording((make_adc(0, "pA"), make_adc(1, "pA")), (make_dac(0, "mV"), make_dac(1, "mV")), (0, 1))
    assert list_cells(build_nodes(two)[0]) == ["RY_E_0001_ch0", "RY_E_0001_ch1"]
    nodes, _ = build_nodes(two, cell="c7")
    assert list_cells(nodes) == ["c7", "c7"], "soma and dendrite of one cell"
    assert nodes["/general/intracellular_ephys/RY_E_0001_electrode_ch0"].fields["cell_id"].via == "copy"
    assert list_cells(build_nodes(two, cell="c7; c8")[0]) == ["c7", "c8"]
    with pytest.raises(Problem) as bad:
        build_nodes(two, cell="c7; c8; c9")
    assert (bad.value.finding.id, bad.value.finding.location.column) == ("ephys.cells", "cell")


def test_two_recordings_of_one_cell_are_one_cell() -> None:
    built = patch_clamp.build([make_job(make_recording(), key=f"RY_E_000{n}", cell="c7") for n in (1, 2)])
    assert list_cells({node.path: node for node in built.nodes}) == ["c7", "c7"]


def test_tables_from_recordings_up_to_conditions() -> None:
    nodes, _ = build_nodes(make_recording())
    base = "/general/intracellular_ephys"
    assert nodes[f"{base}/intracellular_recordings/1"].links == {
        "electrode": f"{base}/RY_E_0001_electrode_ch0",
        "response": "/acquisition/RY_E_0001_sweep001_ch0",
        "stimulus": "/stimulus/presentation/RY_E_0001_sweep001_dac0",
    }
    assert nodes[f"{base}/simultaneous_recordings/1"].links == {"recordings": (f"{base}/intracellular_recordings/1",)}
    sequence = nodes[f"{base}/sequential_recordings/0"]
    assert sequence.links["simultaneous_recordings"] == tuple(f"{base}/simultaneous_recordings/{i}" for i in (0, 1))
    assert get_values(sequence) == {"stimulus_type": "steps"}
    assert nodes[f"{base}/repetitions/0"].links == {"sequential_recordings": (f"{base}/sequential_recordings/0",)}
    condition = nodes[f"{base}/experimental_conditions/0"]
    assert (get_values(condition), condition.links) == (
        {"recording_type": "somatic patch"}, {"repetitions": (f"{base}/repetitions/0",)},
    )  # fmt: skip


def test_recordings_of_a_session_share_device_and_numbering() -> None:
    second = make_job(make_recording(facts={"sampling_rate": "20000"}), "RY_E_0002")
    third = make_job(make_recording(), "RY_E_0003", kind="dendritic patch")
    built = patch_clamp.build([make_job(make_recording()), second, third])
    nodes = {n.path: n for n in built.nodes}
    assert len(nodes) == len(built.nodes)
    base = "/general/intracellular_ephys"
    assert [n.path for n in built.nodes if n.type == "Device"] == [
        "/general/devices/patch_clamp_rig", "/general/devices/patch_clamp_rig_2",
    ]  # fmt: skip
    assert nodes[f"{base}/intracellular_recordings/5"].links["response"] == "/acquisition/RY_E_0003_sweep001_ch0"
    first, other = nodes[f"{base}/experimental_conditions/0"], nodes[f"{base}/experimental_conditions/1"]
    assert first.links["repetitions"] == (f"{base}/repetitions/0", f"{base}/repetitions/1")
    assert [c.key for c in first.fields["recording_type"].sources] == ["RY_E_0001", "RY_E_0002"]
    assert get_values(other) == {"recording_type": "dendritic patch"}


def test_current_clamp_and_float_samples() -> None:
    nodes, _ = build_nodes(make_recording([make_adc(0, "mV", "1", dtype=np.dtype("f4"))], [make_dac(0, "nA")]))
    response = nodes["/acquisition/RY_E_0001_sweep000_ch0"]
    assert (response.type, response.arrays["data"].dtype, get_values(response)["conversion"]) == (
        "CurrentClampSeries", "<f4", 0.001,
    )  # fmt: skip
    stimulus = nodes["/stimulus/presentation/RY_E_0001_sweep000_dac0"]
    assert (stimulus.type, get_values(stimulus)["conversion"]) == ("CurrentClampStimulusSeries", 1e-9)


@pytest.mark.parametrize(
    ("unit", "sample", "series"),
    [("A", -1.0, "TimeSeries"), ("pA", -2e10, "TimeSeries"), ("pA", -2e3, "VoltageClampSeries"),
     ("A", 1e-10, "VoltageClampSeries"), ("mV", 5e6, "TimeSeries"), ("V", -5.0, "TimeSeries"),
     ("V", -0.07, "CurrentClampSeries"), ("mV", float("inf"), "TimeSeries"), ("mV", float("nan"), "CurrentClampSeries")],
)  # fmt: skip
def test_float_samples_of_an_impossible_range_are_no_clamp(unit: str, sample: float, series: str) -> None:
    """As with integers, whose range the header gives; float samples are looked at."""
    stored = np.zeros(LENGTH, "f4")
    stored[-1] = sample
    command = make_dac(0, "mV" if unit.endswith("A") else "pA")
    plain = make_recording([make_adc(0, unit, "1", dtype=stored.dtype)], [command])
    arrays = {n: replace(a, read=lambda s: stored[s]) if n.endswith("adc0") else a for n, a in plain.arrays.items()}
    nodes, built = build_nodes(replace(plain, arrays=arrays))
    assert nodes["/acquisition/RY_E_0001_sweep001_ch0"].type == series
    assert ("ephys.not_clamped" in {f.id for f in built.findings}) is (series == "TimeSeries")


def test_a_sensor_stays_in_its_unit_without_electrode() -> None:
    nodes, built = build_nodes(
        make_recording(
            [make_adc(0, "pA"), make_adc(1, "mmHg")], [make_dac(0, "mV"), make_dac(1, "mmHg")], stimuli=(0, 1)
        )
    )
    sensor, command = (
        nodes["/acquisition/RY_E_0001_sweep000_ch1"],
        nodes["/stimulus/presentation/RY_E_0001_sweep000_dac1"],
    )
    assert (sensor.type, command.type, sensor.links, command.links) == ("TimeSeries", "TimeSeries", {}, {})
    assert [get_values(n)["unit"] for n in (sensor, command)] == ["mmHg", "mmHg"]
    assert get_values(sensor)["conversion"] == 0.25
    assert [n.path for n in nodes.values() if n.type == "IntracellularElectrode"] == [
        "/general/intracellular_ephys/RY_E_0001_electrode_ch0"
    ]
    (found,) = built.findings
    assert (found.id, str(found.severity)) == ("ephys.not_clamped", "warning")
    assert "its unit 'mmHg' is neither a current nor a voltage" in found.message
    assert (found.location.table, found.location.key, found.location.file) == ("ephys", KEY, FILE)


def test_no_unit_is_written_as_unknown_and_makes_no_tables() -> None:
    nodes, _ = build_nodes(make_recording([make_adc(0, "")], [make_dac(0, "mV")], stimuli=()))
    assert {n.type for n in nodes.values()} == {"TimeSeries"}
    assert get_values(nodes["/acquisition/RY_E_0001_sweep000_ch0"])["unit"] == "unknown"


MODES = ("voltage clamp", "current clamp")


@pytest.mark.parametrize(
    ("ins", "outs", "expected"),
    [
        ([make_adc(0, "pA")], [make_dac(0, "mV")], {0: (MODES[0], 0, "")}),
        ([make_adc(0, "mV")], [make_dac(0, "pA")], {0: (MODES[1], 0, "")}),
        ([make_adc(0, "pA")], [], {0: (MODES[0], None, "no command channel")}),
        ([make_adc(0, "mV")], [make_dac(0, "")], {0: (MODES[1], None, "no command channel")}),
        ([make_adc(0, "mV")], [make_dac(0, "mV")], {0: ("", None, "records a voltage while")}),
        ([make_adc(0, "mV")], [make_dac(0, "pA", driven=False)], {0: (MODES[1], None, "")}),
        ([make_adc(0, "mV", clamp="I=0")], [make_dac(0, "pA")], {0: ("I=0", 0, "")}),
        ([make_adc(0, "pA", clamp=MODES[1])], [make_dac(0, "pA")], {0: ("", None, "the cell was in current clamp")}),
        ([make_adc(0, "A", "0.0003")], [make_dac(0, "mV")], {0: ("", None, "impossible range of 9.83 A")}),
        ([make_adc(0, "V", "0.0003")], [make_dac(0, "pA")], {0: ("", None, "no amplifier's scale")}),
        ([make_adc(0, "deg C")], [make_dac(0, "mV")], {0: ("", None, "neither a current nor a voltage")}),
        # the DAC's number differs from the ADC's, but the pair is the only one
        ([make_adc(0, "V", "0.0003"), make_adc(1, "mV", terminal=7)], [make_dac(0, "nA")], {0: ("", None, ""), 1: (MODES[1], 0, "")}),
        # two cells, commands crossed in unit
        ([make_adc(0, "mV"), make_adc(1, "pA")], [make_dac(0, "pA"), make_dac(1, "mV")], {0: (MODES[1], 0, ""), 1: (MODES[0], 1, "")}),
        # the monitor of the command beside the cell
        ([make_adc(0, "pA"), make_adc(1, "mV")], [make_dac(0, "mV"), make_dac(1, "mV", driven=False)], {0: (MODES[0], 0, ""), 1: ("", None, "")}),
        ([make_adc(0, "mV"), make_adc(1, "pA")], [make_dac(0, "pA"), make_dac(1, "mV", driven=False)], {1: ("", None, "only command is a current")}),
        # a second cell at rest
        ([make_adc(0, "pA"), make_adc(1, "pA")], [make_dac(0, "mV"), make_dac(1, "mV", driven=False)], {1: (MODES[0], None, "no command was played")}),
        ([make_adc(0, "pA"), make_adc(5, "pA")], [make_dac(0, "mV")], {5: ("", None, "played to other channels")}),
    ],
)  # fmt: skip
def test_what_a_channel_is(
    ins: list[Channel], outs: list[Channel], expected: dict[int, tuple[str, int | None, str]]
) -> None:
    found = assign_roles(ins, outs)
    for index, (mode, command, why) in expected.items():
        role = found[index]
        assert (role.mode, role.dac.index if role.dac else None) == (mode, command)
        assert why in role.reason


def test_current_held_at_zero_states_no_protocol() -> None:
    nodes, _ = build_nodes(make_recording([make_adc(0, "mV", clamp="I=0")], [], stimuli=()))
    series = nodes["/acquisition/RY_E_0001_sweep000_ch0"]
    assert series.type == "IZeroClampSeries"
    assert "stimulus_description" not in series.fields


def test_an_assumed_mode_is_reported_and_written_down() -> None:
    nodes, built = build_nodes(make_recording(outs=[], stimuli=()))
    assert [f.id for f in built.findings] == ["ephys.clamp_assumed"]
    comments = get_values(nodes["/acquisition/RY_E_0001_sweep000_ch0"])["comments"]
    assert comments == "no command channel with a known unit confirms it"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("pA", ("A", "1E-12")), ("nA", ("A", "1E-9")), ("\u00b5V", ("V", "0.000001")), ("\u03bcA", ("A", "0.000001")),
        ("uV", ("V", "0.000001")), ("mV", ("V", "0.001")), ("V", ("V", "1")), ("pa", None), ("dB", None), ("", None),
        ("mV ", None), ("V/s", None),
    ],
)  # fmt: skip
def test_units(unit: str, expected: tuple[str, str] | None) -> None:
    assert parse_si_unit(unit) == (expected and (expected[0], Decimal(expected[1])))


def test_a_recording_that_began_before_its_session_is_reported() -> None:
    nodes, built = build_nodes(make_recording(started=STARTED.replace(tzinfo=None) - timedelta(seconds=90)))
    assert get_values(nodes["/acquisition/RY_E_0001_sweep000_ch0"])["starting_time"] == -90.0
    (found,) = built.findings
    assert (found.id, found.severity) == ("recording.before_session", "warning")
    assert "began 90 s before RY_S_0001" in found.message


@pytest.mark.parametrize(
    ("begun", "started", "why"),
    [
        (None, STARTED, "its header states no plausible date"),
        ("2025-06-20T14:30:00", None, "the session has no start time"),
        ("2025-06-19T14:30:00", STARTED, "its header's clock 2025-06-19 14:30:00 does not fit the session's start"),
        ("2025-06-21T14:00:01", STARTED, "does not fit"),
    ],
)
def test_a_clock_that_does_not_fit_is_not_believed(begun: str | None, started: datetime | None, why: str) -> None:
    clock = datetime.fromisoformat(begun) if begun else None
    nodes, built = build_nodes(make_recording(started=clock), started=started)
    series = nodes["/acquisition/RY_E_0001_sweep001_ch0"]
    assert get_values(series)["starting_time"] == 0.2
    assert get_values(series)["comments"].startswith("alignment unknown: ")
    (found,) = built.findings
    assert found.id == "ephys.alignment_unknown"
    assert why in found.message


def test_the_clock_follows_the_change_of_daylight_saving() -> None:
    from zoneinfo import ZoneInfo

    started = datetime.fromisoformat("2025-03-09T01:30:00").replace(tzinfo=ZoneInfo("America/New_York"))
    nodes, _ = build_nodes(make_recording(started=datetime.fromisoformat("2025-03-09T03:30:00")), started=started)
    assert get_values(nodes["/acquisition/RY_E_0001_sweep000_ch0"])["starting_time"] == 3600.0


def test_tags_are_events_in_the_order_of_time() -> None:
    tags = (Tag(Decimal("5.25"), "drug on"), Tag(Decimal(1), "", "time"))
    nodes, _ = build_nodes(make_recording(tags=tags))
    events = nodes["/events/RY_E_0001_tags"]
    assert events.type == "EventsTable"
    assert {k: v for k, v in get_values(events).items() if not k.endswith("description")} == {
        "timestamp": [1801.5, 1805.75], "annotation": ["(no text)", "drug on"], "kind": ["time", "comment"],
    }  # fmt: skip


def test_a_single_tag_is_an_event_too() -> None:
    nodes, _ = build_nodes(make_recording(tags=(Tag(Decimal(1), "drug on"),)))
    note = nodes["/events/RY_E_0001_tags"]
    assert (note.type, get_values(note)["timestamp"], get_values(note)["annotation"]) == (
        "EventsTable",
        [1801.5],
        ["drug on"],
    )


def test_a_picture_is_no_recording() -> None:
    with pytest.raises(Problem, match="holds no recording of sweeps") as caught:
        patch_clamp.build([make_job(Image("", "tiff", {}, {}, {}))])
    assert caught.value.finding.id == "ephys.content"
    assert caught.value.finding.location.column == "file_path_raw"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("171116sh_0016.abf", {"CurrentClampSeries": 11, "CurrentClampStimulusSeries": 11}),
        ("05210017_vc_abf1.abf", {"VoltageClampSeries": 12, "VoltageClampStimulusSeries": 6}),
        ("pclamp11_4ch.abf", {"VoltageClampSeries": 40, "VoltageClampStimulusSeries": 40, "IntracellularElectrode": 4}),
        ("18702001-pulseTrain.abf", {"VoltageClampSeries": 3, "VoltageClampStimulusSeries": 3, "TimeSeries": 6}),
        ("DM1_0000.abf", {"VoltageClampSeries": 7, "VoltageClampStimulusSeries": 7, "TimeSeries": 14}),
        ("File_axon_3.abf", {"CurrentClampSeries": 5, "CurrentClampStimulusSeries": 5, "TimeSeries": 5}),
        ("File_axon_2.abf", {"CurrentClampSeries": 1, "EventsTable": 1}),
        ("180415_aaron_temp.abf", {"TimeSeries": 2, "SimultaneousRecording": 0}),
        ("16d22006_kim_gapfree.abf", {"TimeSeries": 2, "IntracellularElectrode": 0}),
        ("2018_12_09_pCLAMP11_0001.abf", {"TimeSeries": 20, "VoltageClampSeries": 0}),
    ],
)
def test_real_recordings(corpus: Path, name: str, expected: dict[str, int]) -> None:
    nodes, _ = build_nodes(open_abf(corpus / "abf" / "swharden__pyABF" / name), started=None)
    kinds = [n.type for n in nodes.values()]
    assert {kind: kinds.count(kind) for kind in expected} == expected
