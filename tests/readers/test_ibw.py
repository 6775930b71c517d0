"""Igor waves: every version, byte order and type as written, what is not stated, and damage."""

import hashlib
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builder import DATE, Builder
from hypothesis import given
from hypothesis import strategies as st
from ibw_files import KINDS, make_wave, seal
from pynwb import NWBHDF5IO

from neuropress.cli.main import main
from neuropress.model.content import Recording
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.ibw.read import read
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

STATED = {"clamp": "current clamp"}
RAMP = np.arange(12, dtype="f4")


def open_wave(path: Path, raw: bytes | None = None, **options: Any) -> Recording:
    if raw is not None:
        path.write_bytes(raw)
    (recording,) = read(Source(path.name, Folder(path.parent)), STATED | options)
    json.dumps(recording.header)
    return recording


def read_samples(recording: Recording, name: str) -> np.ndarray:
    array = recording.arrays[name]
    samples = array.read((slice(0, array.shape[0]),))
    assert samples.dtype == array.dtype
    assert samples.dtype.isnative
    return samples


def expect_finding(path: Path, raw: bytes | None = None, **options: Any) -> Finding:
    with pytest.raises(Problem) as caught:
        open_wave(path, raw, **options)
    assert caught.value.finding.message.find(path.name) >= 0
    return caught.value.finding


@given(
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from("<>"),
    st.sampled_from([kind for kind in KINDS if kind[0] != "c"]),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.binary(max_size=40),
    st.floats(1e-9, 1e3),
    st.randoms(),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    version: int,
    order: str,
    kind: str,
    shape: list[int],
    note: bytes,
    step: float,
    random: random.Random,
) -> None:
    shape = shape if version == 5 else shape[:1]
    bits = random.randbytes(int(np.prod(shape)) * np.dtype(kind).itemsize)
    data = np.frombuffer(bits, kind).reshape(shape, order="F")
    path = tmp_path_factory.getbasetemp() / "round.ibw"
    raw = make_wave(data, version=version, order=order, note=note, steps=(step,), labels=(b"x", b"label"))
    several = {"sweep_interval": 5 * step} if data.size > shape[0] else {}
    recording = open_wave(path, raw, **several)
    assert choose_format(Source(path.name, Folder(path.parent))).strength == 2
    columns = data.reshape(shape[0], -1, order="F")
    assert len(recording.sweeps) == columns.shape[1]
    for number in range(columns.shape[1]):
        assert read_samples(recording, f"sweep{number:03d}/adc0").tobytes() == columns[:, number].tobytes()
    assert recording.header["byte_order"] == {"<": "little", ">": "big"}[order]
    assert recording.header["creation_date"] == 3_000_000_000
    assert recording.header["modification_date"] == 3_000_000_001
    assert recording.header["steps"][0] == f"{Decimal(repr(step)):f}"
    assert recording.header.get("labels1", "") == ("label" if version == 5 else "")
    assert float(recording.rate) == pytest.approx(1 / step, rel=1e-15)
    assert recording.started is None
    if version > 1 and note.isascii():
        assert recording.header.get("note", "") == note.decode().rstrip("\0")


@pytest.mark.parametrize(
    ("step", "unit", "rate"),
    [(0.00025, b"s", "4000"), (0.05, b"ms", "20000"), (25.0, b"us", "40000"), (1 / 30000, b"s", "30000"),
     (40.0, b"\xb5s", "25000"), (2.0, b"sec", "0.5")],
)  # fmt: skip
def test_sampling_rate_from_the_scaling_of_x(tmp_path: Path, step: float, unit: bytes, rate: str) -> None:
    recording = open_wave(tmp_path / "a.ibw", make_wave(RAMP, steps=(step,), dim_units=(unit,)))
    assert recording.facts == {"sampling_rate": rate}
    assert recording.rate == Decimal(rate)


def test_a_part_of_a_column(tmp_path: Path) -> None:
    data = np.arange(60, dtype="i2").reshape(20, 3, order="F")
    recording = open_wave(tmp_path / "a.ibw", make_wave(data, order=">"), sweep_interval=1)
    assert recording.arrays["sweep002/adc0"].read((slice(5, 9),)).tolist() == [45, 46, 47, 48]


def test_units_labels_and_formula_of_version_5(tmp_path: Path) -> None:
    raw = make_wave(
        RAMP, unit=b"", dim_units=(b"",), long_unit=b"a long unit", long_dim_units=(b"ms",), formula=b"sin(x)\0",
        note=b"A:1\rB:\x8e", labels=(b"rows",), name=b"n" * 32, steps=(0.5,), starts=(-2.0,),
    )  # fmt: skip
    recording = open_wave(tmp_path / "a.ibw", raw)
    header = recording.header
    assert recording.adc[0].unit == "a long unit"
    assert recording.adc[0].name == "n" * 32
    assert header["units"][:2] == ["a long unit", "ms"]
    assert (header["formula"], header["note"], header["labels0"]) == ("sin(x)", "A:1\rB:\\x8e", "rows")
    assert recording.facts == {"sampling_rate": "2000"}
    assert recording.sweeps[0].start == 0
    assert "x begins at -2.0" in recording.warnings[0]


def test_when_columns_begin(tmp_path: Path) -> None:
    data = np.zeros((10, 3), "i2")
    path = tmp_path / "a.ibw"
    found = expect_finding(path, make_wave(data))
    assert (found.id, "sweep_interval = " in found.message) == ("ibw.statement", True)
    assert [sweep.start for sweep in open_wave(path, sweep_interval=0.5).sweeps] == [0, Decimal("0.5"), 1]
    assert "cannot begin every" in expect_finding(path, sweep_interval=0.0001).message
    timed = make_wave(data, dim_units=(b"s", b"ms"), steps=(0.0001, 250.0))
    assert [sweep.start for sweep in open_wave(path, timed).sweeps] == [0, Decimal("0.25"), Decimal("0.5")]
    assert expect_finding(path, sweep_interval=1).id == "ibw.statement"
    deep = make_wave(np.zeros((4, 3, 2), "i2"), dim_units=(b"s", b"s"))
    assert "sweep_interval = " in expect_finding(path, deep).message
    assert "3 dimensions" in open_wave(path, sweep_interval=1).warnings[0]
    endless = make_wave(data, dim_units=(b"s", b"s"), steps=(0.0001, float("nan")))
    assert expect_finding(path, endless).id == "ibw.damaged"


@pytest.mark.parametrize("unit", [b"pA", b"mV", b"A"])
def test_a_wave_never_says_what_was_commanded(tmp_path: Path, unit: bytes) -> None:
    path = tmp_path / "a.ibw"
    path.write_bytes(make_wave(RAMP, unit=unit, dim_units=(b"",)))
    with pytest.raises(Problem) as caught:
        read(Source(path.name, Folder(tmp_path)), {})
    found = caught.value.finding
    assert found.id == "ibw.statement"
    assert '[options."a.ibw"]' in found.message
    assert "clamp = " in found.message
    assert "x_unit = " in found.message
    assert open_wave(path, x_unit="ms").adc[0].clamp == "current clamp"


def test_a_sensor_needs_no_clamp(tmp_path: Path) -> None:
    path = tmp_path / "a.ibw"
    path.write_bytes(make_wave(RAMP, unit=b"C"))
    (recording,) = read(Source(path.name, Folder(tmp_path)), {})
    assert (recording.adc[0].unit, recording.adc[0].clamp) == ("C", "")
    path.write_bytes(make_wave(RAMP, unit=b""))
    (recording,) = read(Source(path.name, Folder(tmp_path)), {"data_unit": "kPa"})
    assert recording.adc[0].unit == "kPa"


@pytest.mark.parametrize("options", [{"x_unit": "ms"}, {"data_unit": "pA"}, {"sweep_interval": 1}])
def test_an_option_never_overrules_the_header(tmp_path: Path, options: dict[str, Any]) -> None:
    found = expect_finding(tmp_path / "a.ibw", make_wave(RAMP), **options)
    assert found.id == "ibw.statement"
    assert next(iter(options)) in found.message


def test_the_command_is_a_wave_beside(tmp_path: Path) -> None:
    path, current = tmp_path / "a.ibw", np.arange(12, dtype="i4")
    (tmp_path / "b.ibw").write_bytes(make_wave(current, version=2, order=">", unit=b"pA", name=b"cmd"))
    path.write_bytes(make_wave(RAMP))
    source = Source("a.ibw", Folder(tmp_path))
    (recording,) = read(source, {"command": "B.ibw"})
    assert [(channel.name, channel.unit, channel.clamp) for channel in recording.adc] == [("wave0", "mV", "")]
    assert [(channel.name, channel.unit, channel.driven) for channel in recording.dac] == [("cmd", "pA", True)]
    assert read_samples(recording, "sweep000/adc0").tolist() == RAMP.tolist()
    assert read_samples(recording, recording.sweeps[0].stimuli[0].array).tolist() == current.tolist()
    assert recording.header["command"]["name"] == "cmd"
    assert [touched.key for touched in source.inputs] == ["a.ibw", "b.ibw"]
    for other in (make_wave(current[:11]), make_wave(current, steps=(0.1,))):
        (tmp_path / "b.ibw").write_bytes(other)
        assert expect_finding(path, command="b.ibw").id == "ibw.statement"
    for name in ("none.ibw", "a.ibw", "../b.ibw"):
        assert expect_finding(path, command=name).id == "ibw.statement"
    (tmp_path / "b.ibw").write_bytes(make_wave(current, unit=b""))
    with pytest.raises(Problem, match="clamp = "):
        read(source, {"command": "b.ibw"})
    assert open_wave(path, command="b.ibw").adc[0].clamp == "current clamp"


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (make_wave(RAMP.astype("c8")), "ibw.unsupported"),
        (make_wave(RAMP.astype("c16"), version=2), "ibw.unsupported"),
        (make_wave(RAMP, change={80: ("h", 0)}), "ibw.unsupported"),
        (make_wave(RAMP, change={80: ("h", 66)}), "ibw.unsupported"),
        (make_wave(RAMP, dim_units=(b"Hz",)), "ibw.unsupported"),
        (make_wave(RAMP, note=b"x" * (2**20 + 1)), "ibw.unsupported"),
        (make_wave(np.zeros((1, 10_001), "i1")), "ibw.unsupported"),
        (make_wave(RAMP, formula=b"sin(x)", change={4: ("i", 320)}), "ibw.unsupported"),
        (make_wave(RAMP[:0]), "ibw.empty"),
        (make_wave(RAMP[:0], version=2), "ibw.empty"),
        (make_wave(RAMP, change={76: ("i", 13)}), "ibw.damaged"),
        (make_wave(RAMP, change={132: ("i", -12), 76: ("i", -12)}), "ibw.damaged"),
        (make_wave(RAMP, change={132: ("i", 2**31 - 1), 76: ("i", 2**31 - 1)}), "ibw.damaged"),
        (make_wave(RAMP, change={4: ("i", -1)}), "ibw.damaged"),
        (make_wave(RAMP, change={12: ("i", -1)}), "ibw.damaged"),
        (make_wave(RAMP, change={4: ("i", 2**31 - 1)}), "ibw.truncated"),
        (make_wave(RAMP, change={12: ("i", 2**31 - 1)}), "ibw.truncated"),
        (make_wave(RAMP, steps=(0.0,)), "ibw.damaged"),
        (make_wave(RAMP, steps=(-1.0,)), "ibw.damaged"),
        (make_wave(RAMP, steps=(float("nan"),)), "ibw.damaged"),
        (make_wave(RAMP, steps=(float("inf"),), version=3), "ibw.damaged"),
        (make_wave(RAMP, steps=(5e-324,)), "ibw.damaged"),
        (make_wave(RAMP)[:40] + b"\1" + make_wave(RAMP)[41:], "ibw.checksum"),
        (b"\0\7" + bytes(400), "ibw.damaged"),
        (b"\5", "ibw.damaged"),
        (b"\5\0", "ibw.truncated"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, raw: bytes, id: str) -> None:
    found = expect_finding(tmp_path / "a.ibw", raw)
    assert found.id == id
    assert len(found.message) < 500


@pytest.mark.parametrize(("version", "order"), [(1, "<"), (2, ">"), (3, "<"), (5, ">"), (5, "<")])
def test_cuts_and_flips_give_a_finding_or_the_same_reading(tmp_path: Path, version: int, order: str) -> None:
    """The checksum covers the headers only: where a sample or a letter of the note flips, that one alone differs."""
    data = np.arange(200, dtype="f8")
    raw = make_wave(data, version=version, order=order, note=b"key:value;" * 3, formula=b"x+1")
    path = tmp_path / "a.ibw"
    whole = open_wave(path, raw)
    chance = random.Random(version)
    for end in {0, 1, 2, 100, len(raw) - 1, *(chance.randrange(len(raw)) for _ in range(20))}:
        path.write_bytes(raw[:end])
        with pytest.raises(Problem):
            open_wave(path)
    headers = (64 + 320) if version == 5 else {1: 118, 2: 126, 3: 130}[version]
    for _ in range(200):
        bit = chance.randrange(headers * 8)
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        assert expect_finding(path, bytes(damaged)).id in ("ibw.checksum", "ibw.damaged", "ibw.truncated")
    for bit in (chance.randrange(headers * 8, len(raw) * 8) for _ in range(50)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        if version < 5 and bit // 8 < headers + 16:
            assert expect_finding(path, bytes(damaged)).id == "ibw.checksum"
            continue
        recording = open_wave(path, bytes(damaged))
        differ = read_samples(recording, "sweep000/adc0").view("u8") != data.view("u8")
        texts = [recording.header.get(name) != whole.header.get(name) for name in ("note", "formula")]
        assert int(differ.sum()) + sum(texts) <= 1


@given(st.sampled_from([1, 2, 3, 5]), st.sampled_from("<>"), st.binary(min_size=24, max_size=120), st.integers(0, 300))
def test_any_header_under_a_right_checksum_is_read_or_found(
    tmp_path_factory: pytest.TempPathFactory, version: int, order: str, noise: bytes, at: int
) -> None:
    raw = bytearray(make_wave(np.arange(50, dtype="i4"), version=version, order=order, note=b"note"))
    at = 4 + at % (len(raw) - 4)
    raw[at : at + len(noise)] = noise[: len(raw) - at]
    seal(raw, version, order)
    path = tmp_path_factory.getbasetemp() / "noise.ibw"
    path.write_bytes(raw)
    try:
        recording = open_wave(path)
    except Problem as caught:
        found = caught.finding.id
    else:
        found = ""
        for name in recording.arrays:
            read_samples(recording, name)
    assert found == "" or found.startswith("ibw.")


def test_a_file_that_changes_or_shrinks_after_its_header_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ibw"
    recording = open_wave(path, make_wave(RAMP))
    path.write_bytes(make_wave(RAMP + 1, note=b"later"))
    with pytest.raises(Problem) as caught:
        read_samples(recording, "sweep000/adc0")
    assert caught.value.finding.id == "file.changed"


def test_recognised_by_version_and_checksum(tmp_path: Path) -> None:
    source = Source("wave.dat", Folder(tmp_path))
    (tmp_path / "wave.dat").write_bytes(make_wave(RAMP, version=2, order=">"))
    assert choose_format(source).format == "ibw"
    (tmp_path / "wave.dat").write_bytes(b"\5\0" + bytes(500))
    with pytest.raises(Problem) as caught:
        choose_format(source)
    assert caught.value.finding.id == "format.unknown"
    (tmp_path / "wave.IBW").write_bytes(b"\5\0" + bytes(500))
    assert choose_format(Source("wave.IBW", Folder(tmp_path))).strength == 1


def add_row(build: Builder, number: int, name: str, raw: Path | bytes, rate: str, **options: str) -> str:
    key = f"yuste/{DATE}/ephys/raw/{name}"
    build.put(key, raw)
    build.row(
        "ephys", ephys_id=f"RY_E_{number:04d}", session_id="RY_S_0001", recording_type="somatic patch; ex vivo",
        sampling_rate=rate, file_path_raw=key,
    )  # fmt: skip
    with (build.root / "neuropress.toml").open("a") as config:
        lines = "\n".join(f"{option} = {json.dumps(value)}" for option, value in options.items())
        config.write(f'\n[options."{key}"]\n{lines}\n')
    return key


def run_line(build: Builder) -> Path:
    for verb in ("check", "convert", "verify", "validate"):
        assert main([verb, str(build.root)]) == 0, verb
    result = build.output("RY_S_0001.nwb")
    assert result is not None
    return result


@pytest.mark.parametrize("stated", [{"clamp": "voltage clamp"}, {"command": "steps.ibw"}])
def test_columns_become_voltage_clamp_sweeps(tmp_path: Path, stated: dict[str, str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    data = np.arange(-300, 300, dtype="i2").reshape(200, 3, order="F")
    raw = make_wave(data, unit=b"pA", dim_units=(b"ms", b"s"), steps=(0.05, 2.5), note=b"holding:-70")
    add_row(build, 1, "waves.ibw", raw, "20000", **stated)
    steps = make_wave(data * 2, unit=b"mV", dim_units=(b"ms",), steps=(0.05,))
    build.put(f"yuste/{DATE}/ephys/raw/steps.ibw", steps)
    with NWBHDF5IO(run_line(build), "r") as io:
        file = io.read()
        acquired, commands = file.acquisition, file.stimulus
        assert (len(acquired), len(commands)) == (3, 3 if "command" in stated else 0)
        for name, command in commands.items():
            assert (type(command).__name__, command.unit, command.conversion) == (
                "VoltageClampStimulusSeries",
                "volts",
                0.001,
            )
            assert command.data[:].tolist() == (data * 2)[:, int(name[17])].tolist()
        for number in range(3):
            series = acquired[f"RY_E_0001_sweep{number:03d}_ch0"]
            assert type(series).__name__ == "VoltageClampSeries"
            assert series.data[:].tolist() == data[:, number].tolist()
            assert (series.conversion, series.unit, series.rate) == (1e-12, "amperes", 20000.0)
            assert series.starting_time == 2.5 * number


def test_a_wrong_rate_in_the_row_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    add_row(build, 1, "wave.ibw", make_wave(RAMP), "10000", clamp="current clamp")
    assert main(["check", str(build.root)]) == 1
    assert "sampling_rate" in capsys.readouterr().out


REAL = {  # name: SHA-256 of the samples as little-endian float32, and of the note, as igor2 0.5.15 reads them
    "B6_Ch0_IDRest_181": ("81c6568bfb4c5d216d95c589a3a3248de486831c9625b0e1771264d6fa6601d9", "7cf8d627a7266982", 5),
    "B6_Ch3_IDRest_181": ("a8c561fbae8f094c30db6380fdec51e8e5bb24eb500af6685c4ef47fc10f8fff", "917843dd4af429df", 5),
    "B95_Ch0_IDRest_107": ("f7a6924f277160c4d3505be21d6319f3d6e68fc7da0fbda7256d1c2272de4f10", "596926587b332557", 2),
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_real_waves_as_igor2_reads_them(corpus: Path, name: str) -> None:
    recording = open_wave(corpus / f"ibw/BlueBrain__BluePyEfe/{name}.ibw", x_unit="s")
    samples, note, version = REAL[name]
    values = read_samples(recording, "sweep000/adc0").astype("<f4")
    assert hashlib.sha256(values.tobytes()).hexdigest() == samples
    assert hashlib.sha256(recording.header["note"].encode()).hexdigest().startswith(note)
    assert (recording.header["version"], recording.header["byte_order"]) == (version, "big")
    assert recording.facts == {"sampling_rate": "4000"}


@pytest.mark.corpus
def test_real_waves_through_the_line(tmp_path: Path, corpus: Path) -> None:
    folder = corpus / "ibw/BlueBrain__BluePyEfe"
    build = Builder(tmp_path / "ds")
    build.session()
    build.put(f"yuste/{DATE}/ephys/raw/B6_Ch0_IDRest_181.ibw", folder / "B6_Ch0_IDRest_181.ibw")
    name = "B6_Ch3_IDRest_181.ibw"
    add_row(build, 1, name, folder / name, "4000", x_unit="s", command="B6_Ch0_IDRest_181.ibw")
    name = "B95_Ch0_IDRest_107.ibw"
    add_row(build, 2, name, folder / name, "4000", x_unit="s", clamp="current clamp")
    expected = {  # a current in current clamp is no response
        "RY_E_0001_sweep000_ch0": ("CurrentClampSeries", "volts", "B6_Ch3_IDRest_181"),
        "RY_E_0001_sweep000_dac0": ("CurrentClampStimulusSeries", "amperes", "B6_Ch0_IDRest_181"),
        "RY_E_0002_sweep000_ch0": ("TimeSeries", "pA", "B95_Ch0_IDRest_107"),
    }
    with NWBHDF5IO(run_line(build), "r") as io:
        file = io.read()
        series = {**file.acquisition, **file.stimulus}
        assert set(series) == set(expected)
        for key, (type_name, unit, name) in expected.items():
            assert (type(series[key]).__name__, series[key].unit, series[key].rate) == (type_name, unit, 4000.0)
            assert hashlib.sha256(series[key].data[:].astype("<f4").tobytes()).hexdigest() == REAL[name][0]
        response, command = series["RY_E_0001_sweep000_ch0"], series["RY_E_0001_sweep000_dac0"]
        assert command.comments.startswith("samples as stored in the wave")
        assert command.electrode is response.electrode
        tied = file.intracellular_recordings
        assert tied["responses"]["response"][0].timeseries is response
        assert tied["stimuli"]["stimulus"][0].timeseries is command
