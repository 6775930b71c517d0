"""HDF5 of any layout by declaration, and WaveSurfer's by itself; files that lead outside, and damage."""

from __future__ import annotations

import gzip
import random
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from array_files import (
    NOISE,
    TIMES,
    close_files,
    expect_finding,
    list_undeclared,
    make_hdf5,
    make_mat,
    make_npz,
    make_wavesurfer,
    open_arrays,
    open_recording,
    read_all,
    try_arrays,
)
from campaigns import campaign

from neuropress.model.content import Content, DataTable, Image, Series

__all__ = ["close_files"]


def test_datasets_by_their_paths(tmp_path: Path) -> None:
    data = NOISE[:600].reshape(3, 200)
    raw = make_hdf5(
        {"a/V": (data, {"unit": "mV"}), "a/fs": 20.0, "note": "hello", "a/t": TIMES}, chunks=True, compression="gzip"
    )
    arrays, others = list_undeclared(tmp_path / "a.h5", raw)
    assert arrays == {"a/V": "float64 [3, 200]", "a/fs": "float64 []", "a/t": "float64 [200]"}
    assert others == {"note": "a text"}
    recording = open_recording(tmp_path / "a.h5", channels="a/V[s,t] = mV", rate="a/fs kHz", sweep_interval=1)
    assert recording.facts == {"sampling_rate": "20000"}
    assert [read_all(recording, f"sweep{i:03d}/adc0").tolist() for i in range(3)] == data.tolist()


def test_what_the_file_says_of_an_image(tmp_path: Path) -> None:
    pixels = np.arange(120, dtype="u2").reshape(2, 3, 4, 5)
    labels = np.array(["t", "c", "y", "x"], dtype=h5py.string_dtype())
    raw = make_hdf5({"m": (pixels, {"DIMENSION_LABELS": labels, "element_size_um": np.array([2, 0.5, 0.5])})})
    (image,) = open_arrays(tmp_path / "a.h5", raw, pixels="m")
    assert isinstance(image, Image)
    assert image.arrays["pixels"].axes == ("t", "c", "y", "x")
    assert image.facts == {"x": "5", "y": "4", "z": "2", "pixel_size": "0.5"}
    assert read_all(image, "pixels").tolist() == pixels.tolist()
    assert expect_finding(tmp_path / "a.h5", pixels="m", axes="tzyx").id == "arrays.declaration"


def test_what_leads_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(make_hdf5({"V": NOISE}))
    with h5py.File(path, "r+") as file:
        file["out"] = h5py.ExternalLink("/etc/passwd", "/")
    assert expect_finding(path).id == "arrays.unsafe"
    whole = make_hdf5({"V": NOISE})
    assert expect_finding(path, whole[:-500]).id == "arrays.damaged"
    found = expect_finding(path, gzip.compress(whole))
    assert found.id == "format.unknown"
    assert "gzip" in found.message


# --- WaveSurfer ------------------------------------------------------------------------------------------------------


def test_wavesurfer_needs_no_declaration(tmp_path: Path) -> None:
    recording = open_recording(tmp_path / "a.h5", make_wavesurfer(), clamp="current clamp")
    assert recording.started == datetime.fromisoformat("2025-06-20T09:01:02.5")
    assert [(one.name, one.unit, one.clamp) for one in recording.adc[:2]] == [
        ("V", "mV", "current clamp"),
        ("I", "pA", "current clamp"),
    ]
    assert [float(one.gain) for one in recording.adc[:2]] == [3.125e-4 / 0.01, 3.125e-4 / 0.0005]
    assert [float(one.offset) for one in recording.adc[:2]] == [1e-4 / 0.01, 0]
    assert "ttl, lick" in recording.adc[2].name
    assert [float(sweep.start) for sweep in recording.sweeps] == [0.25, 1.75, 3.25]
    assert read_all(recording, "sweep001/adc1").tolist() == [*range(50, 100)]
    assert read_all(recording, "sweep001/adc2").tolist()[:5] == [0, 1, 2, 3, 0]
    assert recording.warnings == ()
    assert recording.rate == 20000


def test_wavesurfers_curves_and_older_files(tmp_path: Path) -> None:
    curved = np.array([[0, 3e-4, 1e-12, 0], [0, 3e-4, 0, 0], [0, 1, 0, 0]])
    recording = open_recording(tmp_path / "a.h5", make_wavesurfer(AIScalingCoefficients=curved))
    (warning,) = recording.warnings
    assert "'V' is scaled by a straight line" in warning
    recording = open_recording(tmp_path / "a.h5", make_wavesurfer(AIScalingCoefficients=None, ClockAtRunStart=None))
    assert float(recording.adc[0].gain) == 10 / 2**15 / 0.01
    assert recording.started is None
    for bad in ({"AIChannelScales": np.zeros((3, 1))}, {"AIChannelNames": [b"V"]}, {"IsAIChannelActive": np.array([1, 0, 0])},
                {"AcquisitionSampleRate": 0.0}):  # fmt: skip
        assert expect_finding(tmp_path / "a.h5", make_wavesurfer(**bad)).id == "arrays.damaged"


# --- behaviour -------------------------------------------------------------------------------------------------------


def open_behavior(path: Path, raw: bytes, **options: str) -> dict[str, Content]:
    return {content.name: content for content in open_arrays(path, raw, **options)}


def test_behaviour_of_any_format(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = {
        "t": np.arange(40) * 20.0,
        "pos": rng.random((40, 2)),
        "x": rng.random(40),
        "y": rng.random(40),
        "speed": rng.random(40),
    }
    columns = "t = time ms; pos = cm; x = mm; y = mm; speed = cm/s"
    for name, raw in (("a.mat", make_mat(values)), ("a.npz", make_npz(**values)), ("a.h5", make_hdf5(values))):
        made = open_behavior(tmp_path / name, raw, columns=columns)
        assert set(made) == {"pos", "position", "speed"}
        series = made["position"]
        assert isinstance(series, Series)
        assert (series.rate, series.header["start"], series.header["is_place"]) == (50, "0", True)
        assert read_all(series, "data").tolist() == np.column_stack([values["x"], values["y"]]).tolist()
        assert read_all(made["pos"], "data").tolist() == values["pos"].tolist()
        assert made["speed"].header["is_place"] is False


def test_uneven_times_trials_and_events(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    times = np.array([0.0, 1, 3, 4])
    made = open_behavior(path, make_npz(t=times, lick=times + 1), columns="t = time s; lick = 1")
    assert read_all(made["lick"], "time").tolist() == times.tolist()
    made = open_behavior(
        path, make_npz(a=times, b=times + 1, hit=np.array([1, 0, 1, 1])), columns="a = start s; b = stop s; hit = 1"
    )
    trials = made["trials"]
    assert isinstance(trials, DataTable)
    assert [column.array for column in trials.columns] == ["start", "stop", "hit"]
    assert set(open_behavior(path, make_npz(a=times), columns="a = time s")) == {"events"}
    assert expect_finding(path, make_npz(t=times[::-1], x=times), columns="t = time s; x = cm").id == "arrays.times"
    assert expect_finding(path, make_npz(a=times, b=times - 1), columns="a = start s; b = stop s").id == "arrays.times"
    frames = open_behavior(path, make_npz(x=times), columns="x = cm", frame_rate="30000/1001")
    assert frames["position"].header["clock"] == "1001/30000"


# --- damage ----------------------------------------------------------------------------------------------------------


def make_campaign_files() -> dict[str, tuple[bytes, dict[str, object]]]:
    values = {"V": NOISE[:400].reshape(100, 4), "fs": 20000.0, "s": {"note": "text", "x": NOISE[:30]}}
    text = b"t,V\n" + b"".join(b"%.5f,%.3f\n" % (i * 5e-5, v) for i, v in enumerate(NOISE[:200]))
    options = {"channels": "V[t,s] = mV", "rate": "20000", "sweep_interval": 1}
    return {
        "a.mat": (make_mat(values), options), "b.mat": (make_mat(values, packed=False), options),
        "c.mat": (make_mat({"V": values["V"]}, version="4"), options),
        "d.h5": (make_hdf5({"V": values["V"], "fs": 1.0}, chunks=True, compression="gzip"), options),
        "e.h5": (make_wavesurfer(), {}), "f.npz": (make_npz(V=values["V"]), options),
        "g.csv": (text, {"channels": "V = mV", "time": "t s"}),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.mat", "b.mat", "c.mat", "d.h5", "e.h5", "f.npz", "g.csv"])
def test_cuts_and_flips_end_in_findings(tmp_path: Path, name: str) -> None:
    raw, options = make_campaign_files()[name]
    assert try_arrays(tmp_path / name, raw, **options)
    rng = random.Random(name)
    for _ in range(campaign(3, 20)):
        cut = raw[: rng.randrange(len(raw))]
        if try_arrays(tmp_path / name, cut, **options) is not None:
            # HDF5 may end with what nobody needs; a whole line of text is all that says that there was one more.
            assert name in ("c.mat", "g.csv") or len(cut) > len(raw) - 600, len(cut)
    for _ in range(campaign(20, 200)):
        spoilt = bytearray(raw)
        for _ in range(rng.choice([1, 1, 4, 40])):
            spoilt[rng.randrange(len(raw))] = rng.randrange(256)
        try_arrays(tmp_path / name, bytes(spoilt), **options)


@pytest.mark.corpus
def test_every_file_of_the_corpus_is_read(corpus: Path) -> None:
    files = {
        "losonczylab__sima/example.h5": ("imaging", {"axes": "yxt"}, None),
        "losonczylab__sima/example-volume.h5": ("imaging", {}, [""]),
        "hci-unihd__plant-seg/sample_ovule.h5": ("raw", {"axes": "zyx"}, ["label", "raw"]),
    }
    for name, (dataset, options, by_itself) in files.items():
        path = corpus / "hdf5" / name
        if by_itself is None:
            list_undeclared(path)
        else:
            assert [content.name for content in open_arrays(path)] == by_itself
        (image,) = open_arrays(path, pixels=dataset, **options)
        with h5py.File(path) as file:
            assert read_all(image, "pixels").tobytes() == file[dataset][()].tobytes()
    arrays, others = list_undeclared(corpus / "hdf5/openbraininstitute__obi-one/connectivity_matrix.h5")
    assert "connectivity/full_matrix/edge_indices/block0_values" in arrays
    assert any(what.startswith("a table") for what in others.values())
