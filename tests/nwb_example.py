"""A plan of a whole session, built by hand, and raw arrays that live in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuropress.model.content import LazyArray
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node, Plan, SourceRow, Target
from neuropress.model.receipt import InputDigest
from neuropress.model.record import CellRef
from neuropress.model.source import Input, SourceRoots
from neuropress.readers.raw import RawArrays
from neuropress.results import Request, Seal

FRAMES, HEIGHT, WIDTH = 300, 20, 12
SWEEPS, SAMPLES = 4, 5000
LONG = 60_000


def make_samples(name: str) -> np.ndarray:
    """The raw array of that name, always the same."""
    random = np.random.default_rng(sum(name.encode()))
    if name == "pixels":
        return random.integers(0, 4096, (FRAMES, HEIGHT, WIDTH)).astype("<u2")
    if name == "long":
        return np.cumsum(random.integers(-5, 6, LONG)).astype("<i2")
    if name.startswith("dac"):
        return np.repeat([0.0, 100.0, 0.0], [1000, 3000, SAMPLES - 4000]).astype("<f4")
    return random.normal(-70, 3, SAMPLES).round().astype("<i2")


class Memory(RawArrays):
    """Raw arrays without files; `reads` counts the blocks that were asked for."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        super().__init__(SourceRoots(()))
        self.arrays = dict(arrays or {})
        self.reads = 0

    def get_array(self, spec: ArraySpec) -> LazyArray:
        data = self.arrays[spec.array] if spec.array in self.arrays else make_samples(spec.array)

        def read(selection: tuple[slice, ...]) -> np.ndarray:
            self.reads += 1
            return data[selection]

        return LazyArray(spec.array, data.shape, data.dtype, ("q",) * data.ndim, read, data.shape)


def make_field(value: Any) -> Field:
    return Field(value, "session/file.notes", "copy", (CellRef("session", "RY_S_0001", "notes", str(value)),))


def make_fields(**values: Any) -> dict[str, Field]:
    return {name: make_field(value) for name, value in values.items()}


def make_spec(
    source: str, name: str, order: tuple[int, ...] | None = None, data: np.ndarray | None = None
) -> ArraySpec:
    data = make_samples(name) if data is None else data
    index = IndexMap.whole(data.shape, order)
    return ArraySpec(source, "", name, "memory", index.shape(), data.dtype.str, index)


MOVIE, CELL = "yuste/20250620/image/raw/movie.tif", "yuste/20250620/ephys/raw/cell.abf"


def make_file_node(**more: Any) -> Node:
    about = {
        "session_description": "Recording session RY_S_0001 of mouse RY_M_0001",
        "identifier": "example:RY_S_0001:0123456789abcdef",
        "session_id": "RY_S_0001",
        "session_start_time": "2025-06-20T09:30:00-04:00",
        "experimenter": ["Lovelace, Ada"],
        "institution": "Columbia University",
        "lab": "Rafael Yuste",
        "keywords": ["dendrites", "voltage imaging"],
        "experiment_description": "Dendritic computation in pyramidal neurons.",
        "pharmacology": "anesthesia: isoflurane",
        "virus": "virus_id=RY_V_0001; name=AAV1-hSyn-JEDI2P",
        "notes": "line one\r\nline two \u00b5 \N{MOUSE}",
    }
    return Node("/", "NWBFile", make_fields(**{**about, **more}))


SUBJECT = Node(
    "/general/subject",
    "Subject",
    make_fields(
        subject_id="RY_M_0001", species="Mus musculus", sex="F", date_of_birth="2025-04-01T00:00:00-04:00",
        weight="24.5 g", strain="C57BL/6J", genotype="Camk2a-Cre +/-", description="Mouse RY_M_0001; litter RY_L_0001",
    ),
)  # fmt: skip


def make_imaging_nodes() -> list[Node]:
    plane = "/general/optophysiology/plane_RY_IMG_0001"
    return [
        Node("/general/devices/microscope", "Device", make_fields(description="Two-photon microscope of the lab.")),
        Node(f"{plane}/channel", "OpticalChannel", make_fields(description="Green emission.", emission_lambda=509.0)),
        Node(
            plane,
            "ImagingPlane",
            make_fields(
                description="Plane of RY_IMG_0001.", excitation_lambda=920, indicator="JEDI-2P", location="VISp",
                imaging_rate=500.0, grid_spacing=[8e-07, 8e-07], grid_spacing_unit="meters",
                reference_frame="image axes; anatomical orientation not recorded",
            ),
            {"optical_channel": (f"{plane}/channel",), "device": "/general/devices/microscope"},
        ),
        Node(
            "/acquisition/RY_IMG_0001",
            "TwoPhotonSeries",
            make_fields(
                description="Voltage imaging of one dendrite.", rate=500.0, starting_time=0.0, unit="n.a.",
                dimension=[WIDTH, HEIGHT],
            ),
            {"imaging_plane": plane},
            {"data": make_spec(MOVIE, "pixels", (0, 2, 1))},
        ),
    ]  # fmt: skip


def make_sweep_nodes(sweep: int) -> list[Node]:
    common = {"rate": 20000.0, "starting_time": sweep * 2.0, "stimulus_description": "steps", "sweep_number": sweep}
    electrode = {"electrode": "/general/intracellular_ephys/RY_E_0001_ch0"}
    name = f"RY_E_0001_sweep{sweep:03}_ch0"
    return [
        Node(
            f"/acquisition/{name}", "CurrentClampSeries",
            make_fields(**common, conversion=1e-05, description=f"Response of sweep {sweep}."), electrode,
            {"data": make_spec(CELL, f"sweep{sweep:03}/adc0")},
        ),
        Node(
            f"/stimulus/presentation/{name}_stimulus", "CurrentClampStimulusSeries",
            make_fields(**common, conversion=1e-12, description=f"Command of sweep {sweep}."), electrode,
            {"data": make_spec(CELL, f"dac{sweep}")},
        ),
        Node(
            f"/general/intracellular_ephys/intracellular_recordings/{sweep}", "IntracellularRecording",
            make_fields(notes="as planned") if sweep == 0 else {},
            {**electrode, "response": f"/acquisition/{name}",
             **({"stimulus": f"/stimulus/presentation/{name}_stimulus"} if sweep != 1 else {})},
        ),
    ]  # fmt: skip


def make_table_nodes() -> list[Node]:
    base = "/general/intracellular_ephys"
    return [
        *(
            Node(f"{base}/simultaneous_recordings/{i}", "SimultaneousRecording", {},
                 {"recordings": (f"{base}/intracellular_recordings/{i}",)})
            for i in range(SWEEPS)
        ),
        Node(f"{base}/sequential_recordings/0", "SequentialRecording", make_fields(stimulus_type="steps"),
             {"simultaneous_recordings": tuple(f"{base}/simultaneous_recordings/{i}" for i in range(SWEEPS))}),
        Node(f"{base}/repetitions/0", "Repetition", {},
             {"sequential_recordings": (f"{base}/sequential_recordings/0",)}),
        Node(f"{base}/experimental_conditions/0", "ExperimentalCondition", make_fields(condition="whole-cell, isoflurane"),
             {"repetitions": (f"{base}/repetitions/0",)}),
    ]  # fmt: skip


def make_ephys_nodes() -> list[Node]:
    return [
        Node("/general/devices/amplifier", "Device", make_fields(description="Patch-clamp amplifier.")),
        Node(
            "/general/intracellular_ephys/RY_E_0001_ch0", "IntracellularElectrode",
            make_fields(cell_id="RY_E_0001", location="VISp5", description="Whole-cell electrode of RY_E_0001."),
            {"device": "/general/devices/amplifier"},
        ),
        *(node for sweep in range(SWEEPS) for node in make_sweep_nodes(sweep)),
        Node(
            "/acquisition/RY_E_0002_monitor", "TimeSeries",
            make_fields(description="A channel of unknown unit.", unit="n.a.", rate=10000.0, starting_time=100.0),
            {}, {"data": make_spec(CELL, "long")},
        ),
        *make_table_nodes(),
        Node(
            "/events/RY_E_0001_tags", "EventsTable",
            make_fields(description="Tags of the recording.", source_description="pClamp", timestamp=[1.5, 3.25],
                   annotation=["drug on", "drug off"], kind=["comment", "comment"],
                   **{"kind/description": "What set the event."}),
        ),
    ]  # fmt: skip


def make_example_plan(*, file: Node | None = None, nodes: list[Node] | None = None) -> Plan:
    """A session with a movie, four sweeps, a long recording, tags and all tables."""
    nodes = [*make_imaging_nodes(), *make_ephys_nodes()] if nodes is None else nodes
    return Plan(
        target=Target("nwb", "RY_S_0001", "yuste/20250620/session/nwb/RY_S_0001.nwb"),
        nodes=(file or make_file_node(), SUBJECT, *nodes),
        inputs=(Input(CELL, 1, 1), Input(MOVIE, 2, 2)),
        rows=(SourceRow("session", "RY_S_0001", {"session_id": "RY_S_0001", "notes": "tab\tNUL\x00 \N{MOUSE}"}),),
        headers={CELL: {"": {"version": "2.6.0.0", "gain": float("nan")}}},
        revisions={"mapping:session": 1},
        notes=("a remark",),
    )


INPUTS = {CELL: InputDigest(1, "aa"), MOVIE: InputDigest(2, "bb")}
SEAL = Seal("0.1.0", "rowsdigest", INPUTS)


def write_example(path: Path, plan: Plan | None = None, **changes: Any) -> Path:
    """Write the example (or another plan) and return its path."""
    from neuropress.results.nwb import file as nwb

    raw = changes.get("raw") or Memory()
    request = Request(plan or make_example_plan(), path, changes.get("seal", SEAL), changes.get("previous"))
    nwb.finish(request, None, raw, lambda n: None)
    return path
