"""A package that takes over what another program exported, as an outsider would write it; and such an export."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
from hdmf.build import BuildManager
from hdmf.common import DynamicTableRegion
from hdmf.spec.namespace import SpecReader
from pynwb.base import TimeSeriesReference
from pynwb.behavior import Position, SpatialSeries
from pynwb.ecephys import ElectricalSeries
from pynwb.epoch import TimeIntervals
from pynwb.icephys import VoltageClampSeries, VoltageClampStimulusSeries
from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel
from toy_plugin import write_dist_info

STARTED = "2025-06-20T10:00:00-04:00"

DECLARATION = '''\
"""What the lab's program exports."""

from neuropress.readers import Format

FORMAT = Format(
    name="lab_export",
    title="what the lab's program exports",
    module="lab_exports.read",
    suffixes=(".exported.nwb",),
    findings=("fragment.unsafe", "fragment.unreadable"),
)
'''

READ = '''\
"""Read an export."""

from neuropress.readers.hdf5.fragment import read_fragment


def read(source, options):
    return (read_fragment(source, "lab_export"),)
'''

CONVERTER = '''\
"""Behaviour rows with an export."""

from neuropress.converters import Built, make_constant
from neuropress.model.plan import Field, Node

NAME = "lab_exports"
REVISION = 1
TABLES = ("behavior",)
COLUMN = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS = {"series": frozenset({"description"})}
BINDINGS = {}
OWN = {OWN}


def takes(record):
    return record.cells["file_path_raw"].text.endswith(".exported.nwb")


def bindings(record):
    return {}


def build(jobs):
    nodes = [job.take_over(*place) for job in jobs for place in {PLACES}]
    for path, type, fields in OWN:
        nodes.append(Node(path, type, {name: make_constant(NAME, name, value) for name, value in fields.items()}))
    return Built(tuple(nodes))
'''

MAPPING = """\
revision = 1
table = ["behavior"]

[[rule]]
to = "series.description"
from = "task"
absent = "no task"
"""


def write_fragment_package(
    site: Path, places: Sequence[tuple[str, ...]] | str, own: Sequence[tuple[str, str, dict[str, Any]]] = ()
) -> Path:
    """The package as an installer leaves it; it takes over `places` (of code: of each `job`) and plans `own` too."""
    inside = site / "lab_exports"
    inside.mkdir(parents=True)
    converter = CONVERTER.replace("{PLACES}", places if isinstance(places, str) else repr(places)).replace(
        "{OWN}", repr(own)
    )
    files = {"__init__.py": DECLARATION, "read.py": READ, "exports.py": converter, "lab_exports.toml": MAPPING}
    for name, text in files.items():
        (inside / name).write_text(text, "utf-8")
    points = {
        "neuropress.readers": {"lab_export": "lab_exports:FORMAT"},
        "neuropress.converters": {"lab_exports": "lab_exports.exports"},
    }
    write_dist_info(site, "lab-exports", points)
    return site


class _Specification(SpecReader):
    """An extension with a container and a series of its own."""

    def __init__(self) -> None:
        super().__init__(source="ndx-lab")

    def read_namespace(self, namespace_path: str) -> list[dict[str, Any]]:
        schema = [{"namespace": "core"}, {"source": "ndx-lab.extensions"}]
        about = {"name": "ndx-lab", "doc": "Poses.", "author": ["Bo Beispiel"], "version": "0.3.0"}
        return [{**about, "schema": schema}]

    def read_spec(self, spec_path: str) -> dict[str, Any]:
        confidence = {"name": "confidence", "dtype": "float32", "shape": [None], "doc": "Of each.", "dims": ["time"]}
        series = {
            "neurodata_type_def": "LabPoseSeries",
            "neurodata_type_inc": "SpatialSeries",
            "doc": "A point.",
            "datasets": [confidence],
        }
        container = {
            "neurodata_type_def": "LabPose",
            "neurodata_type_inc": "NWBDataInterface",
            "doc": "Points.",
            "default_name": "LabPose",
            "attributes": [{"name": "scorer", "dtype": "text", "doc": "Who."}],
            "groups": [{"neurodata_type_inc": "LabPoseSeries", "doc": "Points.", "quantity": "*"}],
        }
        return {"groups": [series, container]}


def write_export(path: Path, *, started: str = STARTED) -> Path:
    """An export with electrodes, imaging, poses of an extension, intervals and recordings of cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pynwb's own, on how it was called
        _write_export(path, started)
    return path


def _write_export(path: Path, started: str) -> None:
    types = pynwb.get_type_map()
    types.load_namespaces("ndx-lab", reader=_Specification())
    file = pynwb.NWBFile("exported", "export-1", datetime.fromisoformat(started))
    _add_electrodes(file)
    _add_imaging(file)
    _add_poses(file, types)
    trials = TimeIntervals("trials_of_video", "Trials that were seen.")
    trials.add_column("outcome", "How it ended.")
    for number in range(3):
        series = [TimeSeriesReference(100 * number, 50, file.acquisition["raw_voltage"])]
        trials.add_row(
            start_time=0.5 * number, stop_time=0.5 * number + 0.25, outcome=f"hït {number}", timeseries=series
        )
    file.add_time_intervals(trials)
    _add_cells(file)
    with pynwb.NWBHDF5IO(path, "w", manager=BuildManager(types)) as io:
        io.write(file)


def _add_electrodes(file: pynwb.NWBFile) -> None:
    device = file.create_device("probe", description="A probe of four sites.")
    group = file.create_electrode_group("shank0", "One shank.", "CA1", device)
    file.add_electrode_column("label", "Name on the connector.")
    for number in range(4):
        file.add_electrode(group=group, location="CA1", label=f"site {number}", imp=np.nan)
    region = file.create_electrode_table_region([0, 1, 3], "Three of them.")
    samples = np.arange(3000, dtype=">i2").reshape(1000, 3)
    file.add_acquisition(
        ElectricalSeries("raw_voltage", samples, region, rate=1000.0, starting_time=0.5, conversion=1.95e-7)
    )


def _add_imaging(file: pynwb.NWBFile) -> None:
    scope = file.create_device("scope", description="A microscope.")
    channel = OpticalChannel("green", "Green.", 510.0)
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="A plane.", device=scope, excitation_lambda=920.0,
        indicator="GCaMP6f", location="CA1", imaging_rate=30.0,
    )  # fmt: skip
    module = file.create_processing_module("ophys", "Of the movie.")
    segmentation = ImageSegmentation()
    module.add(segmentation)
    table = segmentation.create_plane_segmentation("Cells.", plane, name="cells")
    for number in range(5):
        table.add_roi(pixel_mask=[(x, number, 0.5) for x in range(number + 1)])
    rois = table.create_roi_table_region("All.", list(range(5)))
    traces = Fluorescence()
    module.add(traces)
    data = np.random.default_rng(1).normal(size=(200, 5)).astype("<f4")
    times = np.arange(200) / 30
    first = traces.create_roi_response_series("raw", data, "a.u.", rois, timestamps=times)
    same = DynamicTableRegion(name="rois", data=[0, 1, 2, 3, 4], description="All.", table=table)
    traces.create_roi_response_series("corrected", data - 1, "a.u.", same, timestamps=first)


def _add_poses(file: pynwb.NWBFile, types: Any) -> None:
    module = file.create_processing_module("behavior", "Of the camera.")
    series, container = (types.get_dt_container_cls(name, "ndx-lab") for name in ("LabPoseSeries", "LabPose"))
    nose = series(
        name="nose", data=np.arange(40.0).reshape(20, 2), reference_frame="corner", rate=25.0,
        confidence=np.linspace(0, 1, 20).astype("<f4"),
    )  # fmt: skip
    module.add(container(name="LabPose", scorer="résnet", lab_pose_series=[nose]))
    place = SpatialSeries("place", np.zeros((0, 2)), reference_frame="corner", timestamps=np.zeros(0))
    module.add(Position(spatial_series=place))


def _add_cells(file: pynwb.NWBFile) -> None:
    device = file.create_device("amplifier", description="An amplifier.")
    electrode = file.create_icephys_electrode("pipette", device, "Glass.")
    for number in range(2):
        samples = np.arange(100.0) + number
        command = VoltageClampStimulusSeries(f"command{number}", samples, electrode, 1.0, rate=100.0)
        answer = VoltageClampSeries(f"answer{number}", samples, electrode=electrode, gain=1.0, rate=100.0)
        file.add_intracellular_recording(
            electrode=electrode, stimulus=command, response=answer, stimulus_start_index=0, stimulus_index_count=100,
            response_start_index=0, response_index_count=100,
        )  # fmt: skip
    file.add_icephys_simultaneous_recording(recordings=[0, 1])
