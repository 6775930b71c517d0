"""Packed experiments: every wave as written and as another library reads it, what a person declares, and damage."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import (
    close_files,
    expect_finding,
    list_undeclared,
    open_arrays,
    open_recording,
    read_all,
    try_arrays,
)
from builder import DATE, Builder
from campaigns import spoil
from hypothesis import given
from hypothesis import strategies as st
from pxp_files import make_experiment, make_folder, make_record, make_variables, make_wave
from pynwb import NWBHDF5IO

from neuropress.cli.main import main
from neuropress.model.source import Source
from neuropress.readers.pxp import read as reader
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

__all__ = ["close_files"]

KINDS = ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
SWEEPS = {f"RecordA{number}": np.arange(40, dtype="f4") + 100 * number for number in (0, 1, 2, 10)}


def read_variables(path: Path) -> dict[str, np.ndarray]:
    experiment = reader._Experiment(Source(path.name, Folder(path.parent)))
    with experiment._source.open() as file:
        experiment.read(file)
    return {name: variable.read_whole() for name, variable in experiment.build_tree().variables.items()}


@given(
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from("<>"),
    st.sampled_from(KINDS),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.randoms(),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, version: int, order: str, kind: str, shape: list[int], random: Any
) -> None:
    shape = shape if version == 5 else shape[:1]
    bits = random.randbytes(int(np.prod(shape)) * np.dtype(kind).itemsize)
    data = np.frombuffer(bits, kind).reshape(shape, order="F")
    path = tmp_path_factory.getbasetemp() / "round.pxp"
    inner = make_record(3, make_wave(data, name=b"inner", version=version, order=order), order=order)
    folder = make_folder("data", make_folder("deep", inner, order=order), order=order)
    path.write_bytes(make_experiment({"w": data}, [folder], order=order, version=version))
    found = read_variables(path)
    assert list(found) == ["w", "data/deep/inner"]
    for array in found.values():
        assert (array.dtype, array.shape) == (np.dtype(kind), tuple(shape))
        assert array.tobytes() == data.tobytes()
        assert array.dtype.isnative


@pytest.mark.parametrize("order", "<>")
def test_as_igor2_reads_it(tmp_path: Path, order: str) -> None:
    from igor2 import packed as igor2

    data = np.arange(24, dtype="i2").reshape(6, 4, order="F")
    waves = make_folder("d", make_record(3, make_wave(data, name=b"m", order=order), order=order), order=order)
    raw = make_experiment(SWEEPS, [waves, make_folder("v", make_variables({"dt": 0.05}, order=order), order=order)],
                          order=order, note=b"a note")  # fmt: skip
    path = tmp_path / "a.pxp"
    path.write_bytes(raw)
    _, tree = igor2.load(io.BytesIO(raw), initial_byte_order=order)
    known: dict[str, np.ndarray] = {}
    for name, record in tree["root"].items():
        if hasattr(record, "wave"):
            known[name.decode()] = record.wave["wave"]["wData"]
    known["d/m"] = tree["root"][b"d"][b"m"].wave["wave"]["wData"]
    found = read_variables(path)
    assert found.pop("v/dt").tolist() == [tree["root"][b"v"][b"dt"]] == [0.05]
    assert set(found) == set(known) == {*SWEEPS, "d/m"}
    for name, array in known.items():
        assert found[name].tolist() == array.tolist()


@pytest.mark.parametrize("order", "<>")
def test_sweeps_by_a_pattern(tmp_path: Path, order: str) -> None:
    """In the order of their numbers; the waves say unit and rate themselves."""
    path = tmp_path / "a.pxp"
    command = make_record(3, make_wave(SWEEPS["RecordA0"], name=b"cmd", unit=b"pA", order=order), order=order)
    path.write_bytes(make_experiment(SWEEPS, [command], order=order, note=b"gain 20"))
    assert choose_format(Source(path.name, Folder(tmp_path))).format == "pxp"
    recording = open_recording(path, channels="RecordA* = mV; cmd = pA command", sweep_interval=1.5)
    assert recording.facts == {"sampling_rate": "20000"}
    assert [float(sweep.start) for sweep in recording.sweeps] == [0, 1.5, 3, 4.5]
    for number, data in enumerate(SWEEPS.values()):
        assert read_all(recording, f"sweep{number:03d}/adc0").tolist() == data.tolist()
    assert (recording.adc[0].unit, recording.dac[0].unit) == ("mV", "pA")
    assert recording.warnings == ()
    assert recording.header["notes"]["RecordA10"] == "gain 20"
    assert recording.header["byte_order"] == {"<": "little", ">": "big"}[order]
    assert "remove rate" in expect_finding(path, channels="RecordA1 = mV", rate="10000").message
    assert "says mV" in open_recording(path, channels="RecordA1 = V").warnings[0]
    assert open_recording(path, channels="RecordA1 = 0.001 V").warnings == ()


def test_columns_of_one_wave_and_a_rate_in_a_variable(tmp_path: Path) -> None:
    """NeuroMatic scales x in ms and names no unit; the rate is a person's to say, or a variable's."""
    data = np.arange(60, dtype="f8").reshape(20, 3, order="F")
    variables = make_folder("nm", make_variables({"SampleInterval": 0.05, "z": 1j}, {"Prefix": "Record"}, version=2))
    raw = make_experiment({"all": data}, [variables], dim_units=(b"",), steps=(0.05,))
    path = tmp_path / "a.pxp"
    path.write_bytes(raw)
    assert "x goes by 0.05 of an unnamed unit" in open_arrays(path)[0].header["undeclared"]
    recording = open_recording(path, channels="all[t,s] = mV", rate="nm/SampleInterval ms", sweep_interval=1)
    assert recording.facts == {"sampling_rate": "20000"}
    assert read_all(recording, "sweep002/adc0").tolist() == data[:, 2].tolist()
    assert recording.header["texts"] == {"nm/Prefix": "Record"}
    assert recording.header["others"]["nm/z"] == "a complex number"
    assert expect_finding(path, channels="all[t,s] = mV", sweep_interval=1).id == "arrays.declaration"


def test_waves_at_different_rates_are_no_recording(tmp_path: Path) -> None:
    path, slow = tmp_path / "a.pxp", make_wave(SWEEPS["RecordA1"], name=b"slow", steps=(0.1,))
    path.write_bytes(make_experiment({"fast": SWEEPS["RecordA1"]}, [make_record(3, slow)]))
    found = expect_finding(path, channels="fast = mV; slow = mV")
    assert (found.id, "0.1 s" in found.message, "0.00005 s" in found.message) == ("arrays.declaration", True, True)


def test_what_is_no_array_of_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.pxp"
    whole = SWEEPS["RecordA1"]
    special = [
        make_record(3, make_wave(whole, name=b"labels", change={80: ("h", 0)})),
        make_record(3, make_wave(whole.astype("c8"), name=b"fft")),
        make_record(3, make_wave(whole, name=b"folders", change={80: ("h", 0x100)})),
        make_record(3, make_wave(whole[:0], name=b"nothing")),
        make_record(3 | 0x8000, make_wave(whole, name=b"V")),
        make_record(2, b"typed\rdone\r"),
        make_record(77, b"a picture"),
    ]
    path.write_bytes(make_experiment({"V": whole}, special))
    arrays, others = list_undeclared(path)
    assert arrays == {"V": "float32 [40]"}
    assert (others["labels"], others["fft"], others["folders"]) == ("texts", "complex numbers", "samples of type 256")
    assert "holds no sample" in others["nothing"]
    assert open_recording(path, channels="V = mV").header["history"] == "typed\ndone\n"


def test_the_draft_finds_the_sweeps(tmp_path: Path) -> None:
    """As PatchMaster's export names them: group, series, sweep, trace; what it proposes is a declaration."""
    names = [f"PMPulse_1_1_{sweep}_{trace}" for sweep in range(1, 13) for trace in (1, 2)]
    path = tmp_path / "a.pxp"
    path.write_bytes(make_experiment({name: np.arange(20, dtype="f4") for name in names}, unit=b"V"))
    draft = open_arrays(path)[0].header["draft"]
    assert 'channels = "PMPulse_1_1_*_1 = V; PMPulse_1_1_*_2 = V"' in draft
    assert "\nrate" not in draft
    recording = open_recording(path, channels="PMPulse_1_1_*_1 = V; PMPulse_1_1_*_2 = V", sweep_interval=1)
    assert (len(recording.sweeps), len(recording.adc)) == (12, 2)


def test_an_experiment_becomes_a_session(tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    names = [f"PMPulse_1_1_{sweep}_1" for sweep in (1, 2, 10)]
    waves = {name: np.full(30, -number / 64, "f4") for number, name in enumerate(names)}
    key = f"yuste/{DATE}/ephys/raw/cell.pxp"
    build.ephys(b"", "20000", file_path_raw=key)
    build.put(key, make_experiment(waves, unit=b"V", order=">"))
    with (build.root / "neuropress.toml").open("a") as config:
        stated = 'channels = "PMPulse_1_1_*_1 = V"\nclamp = "current clamp"\nsweep_interval = 5'
        config.write(f'\n[options."yuste/*/ephys/raw/*.pxp"]\n{stated}\n')
    for verb in ("check", "convert", "verify"):
        assert main([verb, str(build.root)]) == 0, verb
    with NWBHDF5IO(build.output("RY_S_0001.nwb"), "r") as io:
        acquired = io.read().acquisition
        assert len(acquired) == 3
        for number in range(3):
            series = acquired[f"RY_E_0001_sweep{number:03d}_ch0"]
            assert type(series).__name__ == "CurrentClampSeries"
            assert (series.unit, series.conversion, series.rate) == ("volts", 1.0, 20000.0)
            assert (series.data[:].tolist(), series.starting_time) == ([-number / 64] * 30, 5.0 * number)


WAVE = make_record(3, make_wave(SWEEPS["RecordA1"], name=b"V"))


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b"\0\0\0\0no experiment", "arrays.damaged"),
        (b"\x01", "arrays.damaged"),
        (WAVE + b"rest", "arrays.damaged"),
        (WAVE[:-1], "arrays.damaged"),
        (WAVE + WAVE, "arrays.damaged"),
        (WAVE + make_record(10), "arrays.damaged"),
        (make_folder("a", WAVE)[:-8], "arrays.damaged"),
        (make_record(9, b"\0" * 32) + make_record(10), "arrays.damaged"),
        (make_record(9, b"a\nb\0") + make_record(10), "arrays.damaged"),
        (make_record(3, b"\5\0" + bytes(500)), "arrays.damaged"),
        (make_record(3, make_wave(SWEEPS["RecordA1"])[:-4]) + WAVE, "arrays.damaged"),
        (make_record(3, make_wave(SWEEPS["RecordA1"], steps=(float("nan"),))), "arrays.damaged"),
        (make_record(3, make_wave(SWEEPS["RecordA1"], steps=(0.0,))), "arrays.damaged"),
        (make_record(1, struct.pack("<4h", 1, 0, -1, 0)), "arrays.damaged"),
        (make_record(1, struct.pack("<4h", 1, 0, 3, 0)), "arrays.damaged"),
        (make_record(1, struct.pack("<4h32sh", 1, 0, 0, 1, b"s", 99)), "arrays.damaged"),
        (make_record(1, struct.pack("<4h", 9, 0, 0, 0)), "arrays.unsupported"),
        (make_record(9, b"d\0") * 33 + make_record(10) * 33, "arrays.unsupported"),
    ],
)
def test_what_is_no_experiment(tmp_path: Path, raw: bytes, id: str) -> None:
    found = expect_finding(tmp_path / "a.pxp", raw)
    assert found.id == id
    assert len(found.message) < 500


@pytest.mark.parametrize("order", "<>")
def test_cuts_and_flips_give_a_finding_or_one_difference(tmp_path: Path, order: str) -> None:
    """A flip may lie in a sample, a note or a name, and then changes that one alone; or it leaves a record out."""
    inner = make_record(3, make_wave(np.arange(30, dtype="i4"), name=b"inner", order=order), order=order)
    others = [make_folder("f", make_variables({"dt": 0.5}, {"s": "t"}, order=order), inner, order=order)]
    whole = make_experiment({"V": np.arange(90, dtype="f8")}, others, order=order)
    path = tmp_path / "a.pxp"
    path.write_bytes(whole)
    known = {name: array.tobytes() for name, array in read_variables(path).items()}
    for raw in spoil(whole, 7):
        try_arrays(path, raw)
        found = try_arrays(path, raw, channels="V = mV") or {}
        if len(raw) == len(whole) and found:
            differing = np.frombuffer(found["/sweep000/adc0"], "f8") != np.frombuffer(known["V"], "f8")
            assert differing.sum() <= 1


@given(st.binary(max_size=300), st.sampled_from("<>"))
def test_any_bytes_are_read_or_found(tmp_path_factory: pytest.TempPathFactory, noise: bytes, order: str) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.pxp"
    for raw in (noise, make_record(1, noise, order=order), make_record(3, noise, order=order), WAVE + noise):
        if raw:
            try_arrays(path, raw, reader="pxp")  # some bytes are another format's
