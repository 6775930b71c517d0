"""Clocks in a channel of another file: edges are found exactly, become starts and frames' times, and can be proven."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from abf_files import write_abf2
from builder import DATE, Builder, movie
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_inventory import list_findings

from neuropress.cli.main import main
from neuropress.model.content import Channel, Column, DataTable, LazyArray, Recording, Series, Sweep
from neuropress.model.finding import Problem
from neuropress.readers.edges import derive_edges, find_edges

SESSION = f"output/yuste/{DATE}/session/nwb/RY_S_0001.nwb"
REC, MOVIE = f"yuste/{DATE}/ephys/raw/e1.abf", f"yuste/{DATE}/image/raw/m1.tif"
RISES = [40, 61, 83, 100, 121, 140, 160, 181, 200, 222, 240, 261]
"""First high sample of each of the 12 frames' pulses, at 20 kHz and unevenly."""


def write_recording(path: Path, rises: list[int] = RISES, samples: int = 400) -> Path:
    data = np.zeros((samples, 2), "<i2")
    data[:, 0] = np.arange(samples) % 7
    for at in rises:
        data[at : at + 5, 1] = 20000
    return write_abf2(
        path, [data], units=[b"pA", b"V"], protocol={"fADCSequenceInterval": 50.0}, header={"uFileStartDate": 0}
    )


def declare(build: Builder, key: str, **options: str) -> None:
    path = build.root / "neuropress.toml"
    lines = "".join(f'{name} = "{value}"\n' for name, value in options.items())
    path.write_text(f'{path.read_text().rstrip()}\n\n[options."{key}"]\n{lines}')


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A recording that began 12.5 s after its session, and a movie of 12 frames."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(write_recording(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    declare(build, REC, clock_offset="12.5")
    return build


def list_ids(capsys: pytest.CaptureFixture[str], *line: str) -> list[str]:
    found = (one.get("id", "") for one in list_findings(capsys, *line))
    return [id for id in found if id.startswith(("clock.", "image.alignment", "recording."))]


def test_each_frame_has_its_time_by_the_channel(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(lab, "yuste/*/image/raw/m*.tif", clock="yuste/{1}/ephys/raw/e{2}.abf#IN 1")
    root = str(lab.root)
    assert list_ids(capsys, "convert", root) == []
    with h5py.File(lab.root / SESSION) as file:
        series = file["acquisition/RY_IMG_0001"]
        assert "starting_time" not in series
        expected = [float(Fraction("12.5") + Fraction(at, 20000)) for at in RISES]
        assert series["timestamps"][:].tolist() == expected
        words = series.attrs["comments"]
    assert f"the first of 12 rising edges of IN 1 in {REC} through" in words
    assert "by rule: the middle between its least and its largest value" in words
    assert main(["explain", str(lab.root / SESSION), "/acquisition/RY_IMG_0001/timestamps"]) == 0
    assert REC in capsys.readouterr().out
    assert main(["verify", root]) == 0, capsys.readouterr().out
    assert main(["publish", root, "--to", str(tmp_path / "r"), "--release", "1.0.0"]) == 0, capsys.readouterr().out
    assert main(["releases", "rebuild", str(tmp_path / "r")]) == 0, capsys.readouterr().out
    # Other edges are another input, and make the result again.
    lab.put(REC, write_recording(tmp_path / "other.abf", [at + 1 for at in RISES]))
    assert main(["convert", root]) == 0, capsys.readouterr().out
    with h5py.File(lab.root / SESSION) as file:
        assert file["acquisition/RY_IMG_0001/timestamps"][0] == float(Fraction("12.5") + Fraction(41, 20000))


def test_the_file_of_the_clock_needs_no_row(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = f"yuste/{DATE}/image/raw/sync.abf"
    lab.put(key, write_recording(tmp_path / "s.abf"))
    declare(lab, key, clock_offset="1/3")
    declare(lab, MOVIE, clock=f"{key}#IN 1", clock_threshold="0.5")
    root = str(lab.root)
    assert list_ids(capsys, "convert", root) == []
    with h5py.File(lab.root / SESSION) as file:
        assert file["acquisition/RY_IMG_0001/timestamps"][0] == float(Fraction(1, 3) + Fraction(40, 20000))
    assert main(["verify", root]) == 0, capsys.readouterr().out
    lab.raw(key).write_bytes(write_recording(tmp_path / "t.abf", [at + 2 for at in RISES]).read_bytes())
    assert main(["verify", root]) != 0
    assert "sync.abf" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "id", "words"),
    [
        ({"clock": f"{REC}#IN 1", "clock_threshold": "1000000"}, "clock.edges", "has no edge"),
        ({"clock": f"{REC}#IN 0"}, "clock.edges", "has 12 frames, its clock 57 edges"),
        ({"clock": f"{REC}#TTL"}, "clock.channel", "'IN 0', 'IN 1'"),
        ({"clock": "yuste/none.abf#IN 1"}, "clock.file", "yuste/none.abf is in none of the source roots"),
        ({"clock": f"{MOVIE}#IN 1"}, "clock.file", "itself"),
        ({"clock": f"{REC}#IN 1", "clock_offset": "1"}, "clock.file", "leave one out"),
        ({"clock": "../e.abf#IN 1"}, "clock.file", "'..'"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_made_up(
    options: dict[str, str], id: str, words: str, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(lab, MOVIE, **options)
    (found,) = [one for one in list_findings(capsys, "check", str(lab.root)) if one.get("id", "").startswith("clock.")]
    assert (found["id"], found["severity"]) == (id, "error")
    assert words in found["message"]
    assert (found["location"]["key"], found["location"]["column"]) == ("RY_IMG_0001", "file_path_raw")
    assert main(["convert", str(lab.root)]) == 1
    assert not (lab.root / SESSION).exists()


def test_the_first_edge_alone_is_a_start(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.put(REC, write_recording(tmp_path / "f.abf", RISES[:-1]))
    declare(lab, MOVIE, clock=f"{REC}#IN 1", clock_edges="first edge")
    assert list_ids(capsys, "convert", str(lab.root)) == []
    with h5py.File(lab.root / SESSION) as file:
        start = file["acquisition/RY_IMG_0001/starting_time"]
        assert (start[()], start.attrs["rate"]) == (12.502, 100)


def test_evenly_spaced_edges_are_a_rate(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.put(REC, write_recording(tmp_path / "f.abf", [40 + 25 * n for n in range(12)]))
    lab.change("image", frame_rate="800")
    declare(lab, MOVIE, clock=f"{REC}#1")
    assert list_ids(capsys, "convert", str(lab.root)) == []
    with h5py.File(lab.root / SESSION) as file:
        start = file["acquisition/RY_IMG_0001/starting_time"]
        assert (start[()], start.attrs["rate"]) == (12.502, pytest.approx(800))


def test_a_clock_that_nobody_can_place_aligns_two_files_alone(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    settings = lab.root / "neuropress.toml"
    settings.write_text(settings.read_text().replace('clock_offset = "12.5"', ""))
    declare(lab, MOVIE, clock=f"{REC}#IN 1")
    assert list_ids(capsys, "convert", str(lab.root)) == ["clock.reference", "image.alignment"]
    with h5py.File(lab.root / SESSION) as file:
        series = file["acquisition/RY_IMG_0001"]
        assert series["timestamps"][:].tolist() == [at / 20000 for at in RISES]
        assert f"alignment unknown: its times count from the start of {REC}" in series.attrs["comments"]


def make_array(name: str, data: np.ndarray) -> LazyArray:
    return LazyArray(name, data.shape, data.dtype, ("time", "q")[: data.ndim], data.__getitem__, data.shape)


def make_recording(sweeps: list[np.ndarray], starts: list[str], gain: str = "1", offset: str = "0") -> Recording:
    channel = Channel(3, "TTL", "V", Decimal(gain), Decimal(offset), sweeps[0].dtype)
    made = [
        Sweep(n, Decimal(at), len(one), {3: f"s{n}"}) for n, (at, one) in enumerate(zip(starts, sweeps, strict=True))
    ]
    stored = {f"s{n}": make_array(f"s{n}", one) for n, one in enumerate(sweeps)}
    return Recording("", "abf", {}, {}, stored, rate=Decimal(1000), adc=(channel,), sweeps=tuple(made))


def seconds_of(recording: Recording, threshold: str | None = None) -> list[Fraction]:
    found = find_edges("a.abf", (recording,), "TTL", Fraction(threshold) if threshold else None)
    edges = derive_edges("a.abf", recording, found.array)
    ticks = edges.read((slice(0, found.count),)).tolist()
    return [Fraction(tick) * Fraction(found.clock.scale) + Fraction(found.clock.offset) for tick in ticks]


def test_sweeps_have_gaps_and_starts_between_samples() -> None:
    high, low = np.array([5, 5, 0, 5, 0], "<i2"), np.array([0, 5, 5, 0, 5], "<i2")
    # The first sweep begins high: nobody saw it rise. The third goes on where the second ends, high as it ended.
    recording = make_recording([high, low, high], ["0.5", "1.0003", "1.0053"])
    ms = Fraction(1, 1000)
    second = Fraction("1.0003")
    assert seconds_of(recording) == [
        Fraction("0.5") + 3 * ms, second + ms, second + 4 * ms, second + 8 * ms,
    ]  # fmt: skip


@given(
    arrays(st.sampled_from(["<i2", "<u1", "<f4", "<f8"]), st.integers(2, 60), elements=st.integers(0, 100)),
    st.sampled_from(["1", "-0.25", "0.1", "0.30517578125"]),
    st.sampled_from(["0", "-1.5", "0.1"]),
    st.integers(-30, 120),
)
def test_edges_are_those_of_exact_arithmetic(data: np.ndarray, gain: str, offset: str, level: int) -> None:
    values = [Fraction(one) * Fraction(gain) + Fraction(offset) for one in data.tolist()]
    threshold = Fraction(level) * Fraction(gain) + Fraction(offset)
    rises = [n for n in range(1, len(values)) if values[n] >= threshold > values[n - 1]]
    assert seconds_of(make_recording([data], ["0"], gain, offset), str(threshold)) == [Fraction(n, 1000) for n in rises]


def test_tables_have_rows_for_edges() -> None:
    times = make_array("time", np.array([5, 17, 40, 60], "<i8"))
    words = np.array(["frame", "lick", "frame", "frame"], np.dtypes.StringDType())
    stored = {"time": times, "event": make_array("event", words), "ttl": make_array("ttl", np.array([0.0, 5, 0, 5]))}
    columns = tuple(Column(name, name) for name in stored)
    table = DataTable("events", "behavior_csv", {}, {"clock": "1/1000"}, stored, columns=columns)
    for channel, expected in {"time": [5, 17, 40, 60], "event=frame": [5, 40, 60], "ttl": [17, 60]}.items():
        found = find_edges("a.csv", (table,), channel, None)
        edges = derive_edges("a.csv", table, found.array)
        assert edges.read((slice(0, found.count),)).tolist() == expected
        assert found.first == Fraction(expected[0], 1000)
    with pytest.raises(Problem, match="event=TEXT"):
        find_edges("a.csv", (table,), "event", None)


def test_series_have_a_rate_or_times_and_no_gaps_in_their_values() -> None:
    data = np.array([[0, 0], [1, 9], [0, 0], [1, 9]], "<f8")
    channels = tuple(Channel(n, f"c{n}", "V", Decimal(1), Decimal(0), data.dtype) for n in range(2))
    even = Series(
        "a", "npy", {}, {"start": "1/3"}, {"d": make_array("d", data)}, array="d", rate=Decimal(10), channels=channels
    )
    assert find_edges("a", (even,), "c1", Fraction(9)).first == Fraction(1, 3) + Fraction(1, 10)
    data[2, 0] = np.nan
    with pytest.raises(Problem, match="no numbers"):
        find_edges("a", (even,), "c0", None)


def test_a_channel_is_stated_with_its_file(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    declare(lab, MOVIE, clock=REC)
    assert main(["check", str(lab.root), "--json"]) != 0
    assert "KEY#CHANNEL" in "".join(capsys.readouterr())
