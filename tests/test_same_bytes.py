"""The same input gives the same bytes: in any time zone, under any locale, with any number of workers, in any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import roi_files as rf
import sonata_files as sf
import suite2p_files as s2p
import tracking_files as tf
from array_files import NOISE, make_hdf5, make_mat, make_npy, make_wavesurfer
from builder import DATE, Builder, movie
from lab_nwb_files import write_nwb
from microscope_files import write_nd2
from pxp_files import make_experiment
from video_files import write_video

from neuropress.cli.main import main
from neuropress.results.nwb.file import read_provenance

SHAPE = (12, 20, 16)
FRAMES = np.random.default_rng(5).integers(0, 60000, (4, 9, 7, 1), dtype=np.uint16)
SETTINGS = """
[options."yuste/*/ephys/raw/*.mat"]
channels = "V = mV"
rate = "20000"
clamp = "current clamp"

[options."yuste/*/ephys/raw/*.pxp"]
channels = "RecordA* = mV"
sweep_interval = 1
clamp = "current clamp"

[options."yuste/*/image/raw/*.npy"]
pixels = "array"
axes = "tyx"

[options."yuste/*/image/raw/*.h5"]
pixels = "imaging"
axes = "tyx"

[options."basu/*/behavior/raw/*.h5"]
frame_rate = "30"

[options."basu/*/behavior/raw/*.npy"]
columns = "array = cm"
frame_rate = "29.97"

[options."segev/*.h5"]
started = "2025-05-01T10:00+03:00"
"""
FORMATS = {
    "czi",
    "deeplabcut",
    "hdf5_arrays",
    "imagej_roi",
    "mat",
    "nd2",
    "npy",
    "pxp",
    "sleap",
    "sonata",
    "suite2p",
    "tiff",
}
"""Of arrays; of a video and of an NWB that a lab has there is none."""


def add_recordings(build: Builder, folder: Path) -> None:
    waves = {f"RecordA{number}": NOISE[number : number + 50].astype("f4") for number in range(3)}
    files = {
        "a.mat": make_mat({"V": NOISE[:300]}),
        "b.pxp": make_experiment(waves),
        "c.h5": make_wavesurfer(),
        "d.nwb": write_nwb(folder / "lab.nwb").read_bytes(),
    }
    for number, (name, raw) in enumerate(files.items(), 1):
        key = f"yuste/{DATE}/ephys/raw/{name}"
        build.ephys(b"", "20000", number, file_path_raw=key)
        build.put(key, raw)


def add_movies(build: Builder, folder: Path) -> None:
    data = np.random.default_rng(3).integers(0, 4000, SHAPE, "u2")
    raw = movie(folder / "m.tif", SHAPE)
    build.put(f"yuste/{DATE}/image/roi/Set.zip", rf.make_set({"a.roi": rf.make_roi(rf.OVAL, (10, 10, 12, 12))}))
    s2p.write_files(build.raw(f"yuste/{DATE}/image/roi/plane0"), s2p.make_plane())
    build.movie(raw, SHAPE, 1, file_path_roi=f"yuste/{DATE}/image/roi/Set.zip", roi_tool="ImageJ 1.54f")
    build.movie(raw, SHAPE, 2, file_path_roi=f"yuste/{DATE}/image/roi/plane0/", roi_tool="suite2p 0.14")
    czi = write_czi(folder / "a.czi", data[:3])
    times = [0, 10, 21, 30]
    others = {
        "a.npy": (make_npy(data), SHAPE, "100"),
        "b.h5": (make_hdf5({"imaging": data}, compression="gzip"), SHAPE, "100"),
        "c.nd2": (write_nd2(folder / "a.nd2", FRAMES, [("t", 4)], times=times).read_bytes(), (4, 9, 7), "100"),
        "d.czi": (czi, (3, *SHAPE[1:]), "100"),
    }
    for number, (name, (content, shape, rate)) in enumerate(others.items(), 3):
        if content:
            key = f"yuste/{DATE}/image/raw/{name}"
            build.movie(b"", shape, number, file_path_raw=key, frame_rate=rate)
            build.put(key, content)


def write_czi(path: Path, frames: np.ndarray) -> bytes:
    """By Zeiss' own library, where it is installed."""
    try:
        from pylibCZIrw import czi
    except ImportError:
        return b""
    with czi.create_czi(str(path)) as file:
        for number, frame in enumerate(frames):
            file.write(np.ascontiguousarray(frame[..., None]), plane={"T": number})
        file.write_metadata("doc", channel_names={0: "GFP"}, scale_x=1e-7, scale_y=1e-7, scale_z=5e-7)
    return path.read_bytes()


def add_behavior(build: Builder, folder: Path) -> None:
    points = np.random.default_rng(4).normal(100, 20, (30, 6))
    files = {
        "a.h5": tf.write_table(folder / "dlc.h5", points, tf.make_labels(("nose", "tail"))),
        "b.analysis.h5": tf.write_sleap(folder / "sleap.h5", points[:, :4].reshape(30, 2, 2, 1), ("nose", "tail")),
        "c.avi": write_video(folder / "v.avi"),
    }
    known = {name: path.read_bytes() for name, path in files.items()} | {"d.npy": make_npy(NOISE[:40])}
    for number, (name, raw) in enumerate(known.items(), 1):
        key = f"basu/{DATE}/behavior/raw/{name}"
        build.put(key, raw)
        build.row("behavior", behavior_id=f"JB_B_{number:04d}", session_id="JB_S_0001", metric_type="position",
                  task="wheel", file_path_raw=key)  # fmt: skip


def add_simulation(build: Builder, folder: Path) -> None:
    key = "segev/20250501/model/raw/spikes.h5"
    build.put(key, sf.write_spikes(folder / "s.h5", {"b": ([5, 2, 5], [1, 2, 3]), "a": ([1, 1], [0.1, 4])}))
    build.row("model", model_id="IS_MOD_0001", model_version="1.0", file_path_model=key, model_type="network",
              description="SONATA output", notes="a note")  # fmt: skip


def read_output(root: Path) -> dict[str, bytes]:
    output = root / "output"
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_two_machines_make_the_same_bytes_of_every_format(tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    build.session(2, session_id="JB_S_0001")
    for add in (add_recordings, add_movies, add_behavior, add_simulation):
        add(build, tmp_path)
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(SETTINGS)
    elsewhere = Path(shutil.copytree(build.root, tmp_path / "another place" / "ds"))
    assert main(["convert", str(build.root)]) == 0
    command = [sys.executable, "-m", "neuropress", "convert", str(elsewhere), "--workers", "2"]
    environment = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "2"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    here, there = read_output(build.root), read_output(elsewhere)
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []
    receipts = [read_provenance(path).receipt for path in (build.root / "output").rglob("*.nwb")]
    formats = {one.spec.format for receipt in receipts for one in receipt.arrays.values()}
    assert formats >= FORMATS - ({"czi"} if find_spec("pylibCZIrw") is None else set())
    assert any(name.endswith("RY_E_0004.json") for name in here)
