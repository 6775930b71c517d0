"""Second readers of columns, masks, mosaics and spikes: they agree with the right readers and find wrong ones."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roi_files as rf
import sonata_files as sf
import tifffile
import wrong_readers as wrong
from builder import DATE, Builder, movie
from campaigns import campaign
from PIL import Image as Pillow
from test_same_bytes import write_czi

import neuropress
from neuropress.independent import run, worker
from neuropress.model.content import Content
from neuropress.model.report import Report

SHAPE = (5, 20, 16)
WALK = "time_ms,x_cm,y_cm,speed (cm/s)\n" + "".join(f"{10 * i + i % 3},{i / 7},{i / 3},{i / 9}\n" for i in range(30))
PUPIL = "frame;area (px)\n" + "".join(f"{i};{50 + i / 7:.3f}\n" for i in range(20)).replace(".", ",")
LICKS = 'time_ms,event,size\n5,lick,1\n17,"left, \u00fc",NA\n40,reward,3\n'
TRIALS = "start_s,stop_s,outcome\n0.5,1.25,hit\n2,3.125,miss\n4,5,none\n"
POINTS = (
    "scorer,net,net,net\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n"
    + "".join(f"{i},{100 + i / 7},{50 - i / 3},{1 / (i + 1)}\n" for i in range(12))
)  # fmt: skip
TABLES = {
    "walk.csv": (WALK, "position", 'clock_offset = "12.5"'),
    "pupil.csv": (PUPIL, "pupil", 'frame_rate = "29.97"\ndecimal = "comma"'),
    "licks.csv": (LICKS, "event", 'columns = "event = text; size = 1"'),
    "trials.csv": (TRIALS, "choice", 'columns = "outcome = text"'),
    "points.csv": (POINTS, "position", 'frame_rate = "30"'),
}
OPTIONAL = {"czi": "pylibCZIrw", "sonata": "libsonata"}


def build_dataset(folder: Path) -> Builder:
    build = Builder(folder / "ds")
    build.session()
    build.session(2, session_id="JB_S_0001")
    settings = '[options."segev/*.h5"]\nstarted = "2025-05-01T10:00+03:00"\n'
    for number, (name, (text, metric, options)) in enumerate(TABLES.items(), 1):
        key = f"basu/{DATE}/behavior/raw/{name}"
        build.put(key, text.encode())
        build.row("behavior", behavior_id=f"JB_B_{number:04d}", session_id="JB_S_0001", metric_type=metric,
                  task="wheel", file_path_raw=key)  # fmt: skip
        settings += f'[options."{key}"]\n{options}\n'
    labels = np.zeros(SHAPE[1:], "u2")
    labels[2:4, 5:9], labels[10, 3] = 300, 7
    planes = np.stack([labels == 300, labels > 0]).astype("u1")
    raw, roi = movie(folder / "m.tif", SHAPE), f"yuste/{DATE}/image/roi"
    for number, name in enumerate(("labels.png", "planes.tif"), 1):
        build.movie(raw, SHAPE, number, file_path_roi=f"{roi}/{name}", roi_tool="Cellpose 3")
        build.put(f"{roi}/{name}", b"")
    key = f"{roi}/Set.zip"
    build.movie(raw, SHAPE, 4, file_path_roi=key, roi_tool="ImageJ 1.54f")
    outline = rf.make_polygon([(2, 3), (9, 3), (7, 15), (2, 5)], position=4, name="soma")
    build.put(key, rf.make_set({"a.roi": outline, "b.roi": rf.make_roi(rf.RECT, (10, 10, 12, 12))}))
    Pillow.fromarray(labels).save(build.raw(f"{roi}/labels.png"))
    tifffile.imwrite(build.raw(f"{roi}/planes.tif"), planes, metadata=None, photometric="minisblack")
    frames = np.random.default_rng(3).integers(0, 4000, SHAPE, "u2")
    if find_spec("pylibCZIrw"):
        key = f"yuste/{DATE}/image/raw/a.czi"
        build.movie(b"", SHAPE, 3, file_path_raw=key)
        build.put(key, write_czi(folder / "a.czi", frames))
    for number, name in enumerate(("spikes", "report"), 1):
        key = f"segev/20250501/model/raw/{name}.h5"
        write = {"spikes": write_spikes, "report": sf.write_report}[name]
        build.put(key, write(folder / f"{name}.h5"))
        build.row("model", model_id=f"IS_MOD_{number:04d}", model_version="1.0", file_path_model=key,
                  model_type="network", description="SONATA output", notes="a note")  # fmt: skip
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f"\n{settings}")
    return build


def write_spikes(path: Path) -> Path:
    return sf.write_spikes(path, {"b": ([5, 2, 5, 2], [1, 2, 3, 0.5]), "a": ([1, 1], [0.1, 4])}, 1)


def verify(build: Builder) -> tuple[Report, dict[str, str]]:
    """The report, and the verdict on each raw object of a format that only these libraries read."""
    dataset = neuropress.open(build.root)
    converted = dataset.convert()
    assert converted.ok, converted.findings
    report = dataset.verify(independent=True)
    readings = [reading for outcome in report.outcomes for reading in outcome.facts["independent"]]
    return report, {Path(r["source"]).name: r["verdict"] for r in readings if not r["source"].endswith(".tif")} | {
        "planes.tif": next(r["verdict"] for r in readings if r["source"].endswith("planes.tif"))
    }


def list_expected() -> set[str]:
    names = {*TABLES, "labels.png", "planes.tif", "Set.zip"}
    return (
        names
        | ({"a.czi"} if find_spec("pylibCZIrw") else set())
        | ({"spikes.h5", "report.h5"} if find_spec("libsonata") else set())
    )


def test_the_right_readers_are_agreed_with(tmp_path: Path) -> None:
    report, verdicts = verify(build_dataset(tmp_path))
    assert report.ok, report.findings
    assert verdicts == dict.fromkeys(list_expected(), "agrees"), [f.message for f in report.findings]


type Wrong = Callable[[Any], Any]


def change(content: Content, name: str, change: wrong.Change) -> Content:
    return replace(content, arrays={**content.arrays, name: wrong.change_array(content.arrays[name], change)})


def scale_values(content: Content) -> Content:
    """The first column of numbers, or the one of texts, is another one."""
    name = next(name for name in content.arrays if name not in ("time", "start", "stop"))
    return change(content, name, lambda data: data + np.array("!", data.dtype) if data.dtype.kind == "T" else data * 2)


def shift_rows(content: Content) -> Content:
    name = next(name for name in content.arrays if name not in ("time", "start", "stop"))
    return change(content, name, lambda data: np.roll(data, 1, 0))


def shift_times(content: Any) -> Content:
    if "time" in content.arrays:
        return change(content, "time", lambda data: data + 1)
    if "start" in content.arrays:
        return change(content, "start", lambda data: data - 1)
    return replace(content, header={**content.header, "start": "0.125"})


def exchange_xy(content: Content) -> Content:
    def exchange(pixels: np.ndarray) -> np.ndarray:
        swapped = pixels.copy()
        swapped["x"], swapped["y"] = pixels["y"] % 16, pixels["x"]
        return swapped

    return change(content, "pixels", exchange)


def count_labels_anew(content: Content) -> Content:
    name = next(name for name in ("label", "mask_plane") if name in content.arrays)
    return change(content, name, lambda data: data + 1)


def move_ends(content: Content) -> Content:
    return change(content, "ends", lambda data: np.append(data[:-1] - 1, data[-1:]))


def forget_positions(content: Content) -> Content:
    return change(content, "position", lambda data: data * 0)


def take_other_nodes(content: Content) -> Content:
    return change(content, "node_id", lambda data: data + 1)


def delay_spikes(content: Content) -> Content:
    return change(content, "spike_times" if "spike_times" in content.arrays else "data", lambda data: data + 0.025)


def double_spikes(content: Content) -> Content:
    return change(content, "spike_times" if "spike_times" in content.arrays else "data", lambda data: data * 2)


ROUNDS: list[dict[str, Wrong]] = [
    {
        "behavior_csv": scale_values,
        "masks": exchange_xy,
        "imagej_roi": exchange_xy,
        "czi": wrong.flip_rows,
        "sonata": delay_spikes,
    },
    {
        "behavior_csv": shift_times,
        "masks": count_labels_anew,
        "imagej_roi": forget_positions,
        "czi": wrong.reverse_pages,
        "sonata": take_other_nodes,
    },
    {
        "behavior_csv": shift_rows,
        "masks": move_ends,
        "imagej_roi": move_ends,
        "czi": wrong.clear_lowest_bit,
        "sonata": double_spikes,
    },
]


@pytest.mark.parametrize(
    "chosen", ROUNDS[: campaign(1, len(ROUNDS))], ids=["values", "places", "order"][: campaign(1, 3)]
)
def test_wrong_readers_are_found(tmp_path: Path, chosen: dict[str, Wrong], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them in `convert` and in `verify` alike; the libraries read in this process, which is quicker."""
    monkeypatch.setattr(run, "_run_child", worker.read_objects)
    for format, make_wrong in chosen.items():
        module = importlib.import_module(f"neuropress.readers.{format}.read")

        def read(*given: Any, right: Wrong = module.read, make_wrong: Wrong = make_wrong) -> tuple[Content, ...]:
            return tuple(make_wrong(content) for content in right(*given))

        monkeypatch.setattr(module, "read", read)
    report, verdicts = verify(build_dataset(tmp_path))
    assert verdicts == dict.fromkeys(list_expected(), "differs"), [f.message for f in report.findings]
    assert {f.id for f in report.findings if f.severity == "error"} == {"independent.different"}
