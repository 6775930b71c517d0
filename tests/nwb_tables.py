"""A plan with behaviour, trials, events, electrodes, units and regions of interest, its columns from raw arrays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import nwb_example as ex

from neuropress.model.clock import Clock
from neuropress.model.content import Content, LazyArray
from neuropress.model.plan import ArraySpec, Node, Plan
from neuropress.model.receipt import InputDigest
from neuropress.model.source import Input, SourceRoots
from neuropress.results import Seal
from neuropress.storage.roots import Folder
from neuropress.storage.state import DigestCache

RAW = "yuste/20250620/behavior/raw/all.bin"
MODULE, OPHYS = "/processing/behavior", "/processing/ophys"
ROIS = f"{OPHYS}/ImageSegmentation/PlaneSegmentation"
TEXTS = np.array(["lick", "Belohnung \u00fc", "\N{MOUSE}", "long " * 40] * 25, dtype=np.dtypes.StringDType())
PIXELS = np.dtype([("x", "<u4"), ("y", "<u4"), ("weight", "<f4")])


def make_arrays(masked: int = 30, events: int = 100) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    pixels = np.zeros(masked, PIXELS)
    pixels["x"], pixels["y"] = random.integers(0, 20, (2, masked))
    pixels["weight"] = random.random(masked)
    return {
        "xy": random.normal(0, 1, (200, 2)),
        "ms": np.cumsum(random.integers(30, 37, 200)).astype("<i4"),
        "speed": random.random(200).astype("<f4"),
        "start_ms": np.arange(10, dtype="<i8") * 1000,
        "stop_ms": np.arange(10, dtype="<i8") * 1000 + 700,
        "correct": np.arange(10) % 2 == 0,
        "choice": np.array(["left", "right"] * 5, dtype=np.dtypes.StringDType()),
        "event_ms": np.arange(events, dtype="<i8") * 10,
        "event": np.resize(TEXTS, events),
        "spikes": np.sort(random.integers(0, 300000, 60)).astype("<u4"),
        "spike_ends": np.array([10, 25, 60], "<u2"),
        "masks": pixels,
        "mask_ends": np.array([masked // 3, masked // 2, masked], "<u4"),
        "fluorescence": random.random((200, 3)).astype("<f4"),
        "volts": random.integers(-99, 99, (300, 4)).astype("<i2"),
    }


ARRAYS = make_arrays()


def make_content(data: dict[str, np.ndarray]) -> Content:
    lazy = {
        name: LazyArray(name, values.shape, values.dtype, ("q",) * values.ndim, values.__getitem__, values.shape)
        for name, values in data.items()
    }
    return Content("", "memory", {}, {}, lazy)


def make_spec(name: str, clock: Clock | None = None, data: dict[str, np.ndarray] = ARRAYS) -> ArraySpec:
    return ArraySpec.of(RAW, make_content(data), name, clock=clock)


MS = Clock("0.001", "12.5")


def make_behavior_nodes() -> list[Node]:
    times = {"timestamps": make_spec("ms", MS)}
    return [
        Node(MODULE, "ProcessingModule", ex.make_fields(description="Behaviour of the mouse.")),
        Node(f"{MODULE}/Position", "Position"),
        Node(
            f"{MODULE}/Position/snout", "SpatialSeries",
            ex.make_fields(description="Place of the snout.", reference_frame="corner of the arena", unit="meters"), {},
            {"data": make_spec("xy"), **times},
        ),
        Node(f"{MODULE}/BehavioralTimeSeries", "BehavioralTimeSeries"),
        Node(
            f"{MODULE}/BehavioralTimeSeries/speed", "TimeSeries",
            ex.make_fields(description="Speed of the wheel.", unit="m/s"), {}, {"data": make_spec("speed"), **times},
        ),
    ]  # fmt: skip


def make_table_nodes(data: dict[str, np.ndarray] = ARRAYS) -> list[Node]:
    def make_spec_of(name: str, clock: Clock | None = None) -> ArraySpec:
        return make_spec(name, clock, data)

    return [
        Node(
            "/intervals/trials", "TimeIntervals",
            ex.make_fields(**{"description": "Trials of the task.", "correct/description": "Whether it was rewarded.",
                         "choice/description": "Port that was chosen.", "block": [1, 2.5] * 5,
                         "block/description": "Difficulty."}), {},
            {"start_time": make_spec_of("start_ms", MS), "stop_time": make_spec_of("stop_ms", MS), "correct": make_spec_of("correct"),
             "choice": make_spec_of("choice")},
        ),
        Node(
            "/intervals/lights_off", "TimeIntervals", ex.make_fields(description="Dark."), {},
            {"start_time": make_spec_of("start_ms", MS), "stop_time": make_spec_of("stop_ms", MS)},
        ),
        Node(
            "/events/licks", "EventsTable",
            ex.make_fields(**{"description": "Licks at the port.", "label/description": "What happened."}), {},
            {"timestamp": make_spec_of("event_ms", MS), "label": make_spec_of("event")},
        ),
    ]  # fmt: skip


def make_electrode_nodes() -> list[Node]:
    place = "/general/extracellular_ephys"
    return [
        Node("/general/devices/probe", "Device", ex.make_fields(description="A silicon probe.")),
        Node(f"{place}/shank0", "ElectrodeGroup", ex.make_fields(description="The shank.", location="VISp"),
             {"device": "/general/devices/probe"}),
        Node(f"{place}/electrodes", "ElectrodesTable", ex.make_fields(location=["VISp"] * 4, group_name=["shank0"] * 4),
             {"group": (f"{place}/shank0",) * 4}),
        Node("/acquisition/probe", "ElectricalSeries",
             ex.make_fields(**{"description": "Raw voltages.", "rate": 30000.0, "starting_time": 1.0, "conversion": 1e-06,
                          "electrodes": "0:4", "electrodes/description": "All sites."}),
             {"electrodes": f"{place}/electrodes"}, {"data": make_spec("volts")}),
        Node("/units", "Units",
             ex.make_fields(**{"description": "Sorted units.", "resolution": 1 / 30000, "electrodes": [0, 1, 3], "electrodes_index": [1, 2, 3],
                          "quality": ["good", "good", "mua"], "quality/description": "Judged by a person."}),
             {"electrodes": f"{place}/electrodes"},
             {"spike_times": make_spec("spikes", Clock("1/30000", "1")), "spike_times_index": make_spec("spike_ends")}),
    ]  # fmt: skip


def make_region_nodes(data: dict[str, np.ndarray] = ARRAYS) -> list[Node]:
    plane = "/general/optophysiology/plane_RY_IMG_0001"
    return [
        *ex.make_imaging_nodes(),
        Node(OPHYS, "ProcessingModule", ex.make_fields(description="Processed imaging.")),
        Node(f"{OPHYS}/ImageSegmentation", "ImageSegmentation"),
        Node(ROIS, "PlaneSegmentation", ex.make_fields(description="Dendrites, drawn by hand."), {"imaging_plane": plane},
             {"pixel_mask": make_spec("masks", None, data), "pixel_mask_index": make_spec("mask_ends", None, data)}),
        Node(f"{OPHYS}/Fluorescence", "Fluorescence"),
        Node(f"{OPHYS}/Fluorescence/traces", "RoiResponseSeries",
             ex.make_fields(**{"description": "Mean of each region.", "rate": 10.0, "starting_time": 0.0, "unit": "n.a.",
                          "rois": [0, 1, 2], "rois/description": "All regions."}),
             {"rois": ROIS}, {"data": make_spec("fluorescence")}),
        Node("/analysis/summary", "DynamicTable",
             ex.make_fields(**{"description": "A table.", "score": [0.5, 1.0, 2.0], "score/description": "A score."})),
        Node("/scratch/left", "DynamicTable",
             ex.make_fields(**{"description": "A table.", "score": [0.5, 1.0], "score/description": "A score."})),
    ]  # fmt: skip


class Raw(ex.Memory):
    """Raw arrays in memory, beside a raw file that has a digest; takes what `RawArrays` takes."""

    data = ARRAYS

    def __init__(self, *_: Any) -> None:
        super().__init__(self.data)


def make_plan(nodes: list[Node], inputs: Mapping[str, InputDigest]) -> Plan:
    plan = ex.make_example_plan(nodes=nodes)
    return Plan(plan.target, plan.nodes, tuple(Input(key, 1, 1) for key in inputs), plan.rows)


def write_plan(folder: Path, nodes: list[Node], raw: type[Raw] = Raw) -> tuple[Path, SourceRoots, DigestCache]:
    """The result, and what `verify_result` needs beside it."""
    roots, inputs = SourceRoots((Folder(folder / "source"),)), {}
    for key in (RAW, ex.MOVIE, ex.CELL):
        place = folder / "source" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(key.encode())
        inputs[key] = DigestCache(folder).get_file_digest(place)
    seal = Seal("0.1.0", "rows", {key: InputDigest(d.size, d.sha256) for key, d in inputs.items()})
    path = ex.write_example(folder / "RY_S_0001.nwb", make_plan(nodes, inputs), raw=raw(), seal=seal)
    return path, roots, DigestCache(folder)
