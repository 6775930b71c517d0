"""Axon text files: decimals to the nearest float64, sweeps and channels by titles, rates by times, and the line."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atf_files import (
    NOISE,
    ONE,
    TITLES,
    WHOLE,
    expect_finding,
    make_atf,
    make_columns,
    make_one,
    make_times,
    open_text,
    read_samples,
)
from builder import Builder
from hypothesis import given
from hypothesis import strategies as st
from pyabf import ATF
from pynwb import NWBHDF5IO
from test_ibw import add_row, run_line

import neuropress
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers import number_rows as rows
from neuropress.readers.atf import read as reader
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

FOLDER = "atf/swharden__pyABF"


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", ["\t", ","])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("quote", ['"', ""])
def test_columns_are_sweeps_of_channels(tmp_path: Path, delimiter: str, end: str, quote: str) -> None:
    columns = make_columns()
    recording = open_text(tmp_path / "a.atf", make_atf(columns, delimiter=delimiter, end=end, quote=quote))
    assert recording.facts == {"sampling_rate": "20000"}
    assert recording.started is None
    assert recording.mode == "Episodic Stimulation"
    assert [(one.name, one.unit, one.clamp) for one in recording.adc] == [("IN 0", "pA", ""), ("IN 1", "mV", "")]
    assert [sweep.start for sweep in recording.sweeps] == [0, Decimal("0.2505")]
    for sweep in range(2):
        for channel in range(2):
            expected = [float(text) for text in columns[1 + sweep * 2 + channel]]
            assert read_samples(recording, f"sweep{sweep:03d}/adc{channel}").tolist() == expected
    assert recording.header["records"][1] == f"{quote}Comment=17:05, cell 3{quote}"
    assert recording.header["titles"] == list(TITLES)
    assert recording.warnings == ()
    assert choose_format(Source("a.atf", Folder(tmp_path))).strength == 2


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"[+-]?[0-9]{1,17}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True).filter(str.isascii),
)


@given(st.lists(NUMBERS, min_size=2, max_size=40), st.integers(1, 200))
def test_every_decimal_is_its_nearest_float64(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], block: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.atf"
    before, rows.BLOCK_BYTES = rows.BLOCK_BYTES, block
    try:
        recording = open_text(path, make_atf([make_times(len(texts)), texts], **ONE))
    finally:
        rows.BLOCK_BYTES = before
    assert read_samples(recording, "sweep000/adc0").tobytes() == np.array([float(text) for text in texts]).tobytes()


def test_a_part_of_a_column_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 100)
    columns = make_columns(200)
    recording = open_text(tmp_path / "a.atf", make_atf(columns))
    array = recording.arrays["sweep001/adc0"]
    for start, stop in ((0, 1), (3, 190), (17, 18), (0, 200), (199, 200)):
        assert array.read((slice(start, stop),)).tolist() == [float(text) for text in columns[3][start:stop]]


def test_sweeps_without_numbers_and_names(tmp_path: Path) -> None:
    path, columns = tmp_path / "a.atf", make_columns()
    plain = ("Time (ms)", "Vm (mV)", "Im (pA)", "Temp (C)")
    recording = open_text(path, make_atf(columns[:4], titles=plain, signals=None, records=()))
    assert [(one.name, one.unit) for one in recording.adc] == [("Vm", "mV"), ("Im", "pA"), ("Temp", "C")]
    assert recording.facts == {"sampling_rate": "20000000"}
    again = ("Time (s)", "Vm (mV)", "Im (pA)", "Vm (mV)", "Im (pA)")
    recording = open_text(path, make_atf(columns, titles=again, signals=None, records=()), sweep_interval=1.5)
    assert [(sweep.start, len(sweep.responses)) for sweep in recording.sweeps] == [(0, 2), (Decimal("1.5"), 2)]
    # Channel by channel, and of sweeps that a person chose.
    blocks = ("Time (s)", "Trace #3 (pA)", "Trace #5 (pA)", "Trace #3 (mV)", "Trace #5 (mV)")
    recording = open_text(path, make_atf(columns, titles=blocks, signals=("a", "a", "b", "b")))
    assert [one.unit for one in recording.adc] == ["pA", "mV"]
    assert read_samples(recording, "sweep000/adc1").tolist() == [float(text) for text in columns[3]]
    odd = ("Time (s)", "Trace #1 (pA)", "Trace #1 (mV)", "Trace #2 (pA)", "Trace #2 (pA)")
    assert expect_finding(path, make_atf(columns, titles=odd)).id == "atf.damaged"


def test_micro_is_read_in_either_encoding(tmp_path: Path) -> None:
    for raw in ("Trace #1 (\u00b5V)".encode("cp1252"), "Trace #1 (\u00b5V)".encode()):
        recording = open_text(tmp_path / "a.atf", make_one(make_times(9)).replace(b"Trace #1 (pA)", raw))
        assert recording.adc[0].unit == "\u00b5V"


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "form", "rate", "is_exact"),
    [
        ("5e-5", "{:.6g}", "20000", True),
        ("0.00248", "{:.10g}", "403.2258064516129", True),
        ("1", "{:.0f}", "1", True),
        (str(1 / 30000), "{:.6g}", "30000", False),
        (str(1 / 30000), "{:.9f}", "30000", False),
        (str(1 / 44100), "{:.12g}", "44100", True),
        ("5e-5", "{:.4f}", "20000", False),
        ("1.00002e-4", "{:.6f}", "9999.80", False),
    ],
)
def test_the_rate_by_the_printed_times(tmp_path: Path, step: str, form: str, rate: str, is_exact: bool) -> None:
    recording = open_text(tmp_path / "a.atf", make_atf([make_times(20_000, step, form), NOISE * 5], **ONE))
    assert recording.rate == Decimal(rate)
    assert (recording.warnings == ()) == is_exact
    if not is_exact:
        low, high = map(float, re.findall(r"([0-9.]+) to ([0-9.]+) Hz", recording.warnings[0])[0])
        assert low <= 1 / float(step) <= high


@given(st.floats(1e-6, 1e-1), st.integers(3, 12), st.integers(50, 400), st.floats(0, 100))
def test_a_rate_is_borne_out_or_refused(
    tmp_path_factory: pytest.TempPathFactory, step: float, digits: int, count: int, first: float
) -> None:
    """By the times as printed: what is taken differs by less than they leave open."""
    path = tmp_path_factory.getbasetemp() / "times.atf"
    times = [f"{first + step * number:.{digits}g}" for number in range(count)]
    try:
        recording = open_text(path, make_one(times))
    except Problem as caught:
        found = caught.finding.id
    else:
        found = ""
    assert found in ("", "atf.times")
    if found:
        return
    last = max(map(float, times))
    printed = 10.0 ** (math.floor(math.log10(last)) + 1 - digits)  # what the last digit of a time is worth
    left_open = printed / (step * (count - 1))
    assert float(recording.rate) == pytest.approx(1 / step, rel=max(2e-3, left_open))
    printed = np.array([float(text) for text in times])
    even = printed[0] + np.arange(count) / float(recording.rate)
    last_digit = 10.0 ** (np.floor(np.log10(np.maximum(printed, 1e-300))).max() - digits + 1)
    assert np.abs(printed - even).max() <= 2 * last_digit + 1e-5 * step


def shift(times: list[str], at: int, by: str) -> list[str]:
    return times[:at] + [f"{Decimal(text) + Decimal(by):f}" for text in times[at:]]


@pytest.mark.parametrize(
    ("times", "line"),
    [
        (shift(make_times(100), 50, "5e-5"), 56),  # a sample is missing
        (shift(make_times(100), 50, "3"), 56),  # two stretches
        (shift(make_times(100), 99, "1e-5"), None),
        ([*make_times(50), *make_times(51)], 56),
        (make_times(100, "5e-5", "{:.2f}"), 6),  # all are 0.00 and 0.01
        (["0", *make_times(100)], None),
        (list(reversed(make_times(100))), 6),
        (["1.5"], 6),
        (["0"] * 100, 6),
        (["0", "1e300", "2e300"], 6),
        (["0", "1e-300", "2e-300"], 6),
    ],
)
def test_uneven_times_are_refused_with_the_line(tmp_path: Path, times: list[str], line: int | None) -> None:
    found = expect_finding(tmp_path / "a.atf", make_one(times))
    assert found.id == "atf.times"
    assert line in (None, found.location.line)


def test_where_times_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.atf"
    later = shift(make_times(100), 0, "0.3")
    assert open_text(path, make_one(later)).sweeps[0].start == Decimal("0.3")
    two = make_atf([later, *(NOISE[:100],) * 4])
    assert [sweep.start for sweep in open_text(path, two).sweeps] == [Decimal("0.3"), Decimal("0.5505")]
    before = open_text(path, make_one(shift(make_times(100), 0, "-0.001")))
    assert before.sweeps[0].start == 0
    assert "begin at -0.001" in before.warnings[0]
    tight = WHOLE.replace(b"0.000,250.500", b"0.000,0.500")
    assert open_text(path, tight).warnings == ("a.atf: sweep 1 begins before sweep 0 ends",)


# --- what a person states --------------------------------------------------------------------------------------------


def test_all_that_is_missing_is_asked_for_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.atf"
    titles = [re.sub(r" \(.*\)", "", title) for title in TITLES]
    raw = make_atf(make_columns(), titles=titles, records=("SweepStartTimesMS=0.000",))
    found = expect_finding(path, raw)
    assert found.id == "atf.statement"
    assert '[options."a.atf"]' in found.message
    for name in ("x_unit", "data_unit", "sweep_interval"):
        assert f"{name} = " in found.message
    recording = open_text(path, x_unit="ms", data_unit="mV", sweep_interval=2)
    assert [one.unit for one in recording.adc] == ["mV", "mV"]
    assert recording.facts == {"sampling_rate": "20000000"}
    assert [sweep.start for sweep in recording.sweeps] == [0, 2]
    assert expect_finding(path, x_unit="s", data_unit="mV", sweep_interval=0.0001).id == "atf.statement"


@pytest.mark.parametrize("options", [{"x_unit": "ms"}, {"data_unit": "pA"}, {"sweep_interval": 1}])
def test_an_option_never_overrules_the_header(tmp_path: Path, options: dict[str, Any]) -> None:
    found = expect_finding(tmp_path / "a.atf", WHOLE, **options)
    assert found.id == "atf.statement"
    assert next(iter(options)) in found.message


@pytest.mark.parametrize(
    "starts", ["", "0,x", "0", "0,1,2", "5,5", "10,5", "-1,5", "0,1e999", "0,nan", "0," + "1" * 99]
)
def test_starts_that_are_none_are_asked_for(tmp_path: Path, starts: str) -> None:
    raw = WHOLE.replace(b"0.000,250.500", starts.encode())
    assert "sweep_interval = " in expect_finding(tmp_path / "a.atf", raw).message


def test_a_command_waveform_is_no_recording(tmp_path: Path) -> None:
    steps = ["0"] * 900 + ["100"] * 900 + ["0"] * 200
    raw = make_atf([make_times(2000), steps], **ONE)
    found = expect_finding(tmp_path / "a.atf", raw)
    assert found.id == "atf.command"
    assert open_text(tmp_path / "a.atf", clamp="voltage clamp").adc[0].clamp == "voltage clamp"
    # A channel at rest beside one that was recorded.
    both = make_atf([make_times(2000), steps, NOISE[:2000]], **{**ONE, "titles": TITLES[:3], "signals": ("a", "b")})
    assert len(open_text(tmp_path / "a.atf", both).adc) == 2


# --- memory ----------------------------------------------------------------------------------------------------------


def test_samples_make_room_for_others_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ATF_CELLS", 100)
    first, second = (open_text(tmp_path / name, WHOLE) for name in ("a.atf", "b.atf"))
    expected = [float(text) for text in make_columns()[1]]
    for recording in (first, second, first):
        assert read_samples(recording, "sweep000/adc0").tolist() == expected
    first.close()
    second.close()
    assert read_samples(first, "sweep000/adc0").tolist() == expected
    (tmp_path / "b.atf").write_bytes(WHOLE.replace(b"cell 3", b"cell 30"))
    with pytest.raises(Problem) as caught:
        read_samples(second, "sweep000/adc0")
    assert caught.value.finding.id == "file.changed"


def test_recognised_by_the_first_line(tmp_path: Path) -> None:
    for raw in (b"ATF\t1.0\n", b"ATF,1.0\n", b"ATF  1.0\n", b'"ATF"\t"1.0"\n'):
        (tmp_path / "a.dat").write_bytes(raw)
        assert choose_format(Source("a.dat", Folder(tmp_path))).strength == 2
    (tmp_path / "a.ATF").write_bytes(b"not")
    assert choose_format(Source("a.ATF", Folder(tmp_path))).strength == 1
    (tmp_path / "a.dat").write_bytes(b"ATF is what this text is about")
    with pytest.raises(Problem, match=r"format\.unknown|no reader"):
        choose_format(Source("a.dat", Folder(tmp_path)))


# --- the line --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clamp", ["", "current clamp"])
def test_columns_become_sweeps_of_the_hierarchy(tmp_path: Path, clamp: str) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    columns = make_columns(300)
    add_row(build, 1, "a.atf", make_atf(columns), "20000", **({"clamp": clamp} if clamp else {}))
    types = ("TimeSeries", "CurrentClampSeries") if clamp else ("VoltageClampSeries", "CurrentClampSeries")
    with NWBHDF5IO(run_line(build), "r") as io:
        file = io.read()
        assert len(file.acquisition) == 4
        for sweep in range(2):
            for channel in range(2):
                series = file.acquisition[f"RY_E_0001_sweep{sweep:03d}_ch{channel}"]
                assert type(series).__name__ == types[channel]
                assert series.data[:].tolist() == [float(text) for text in columns[1 + 2 * sweep + channel]]
                assert (series.rate, series.starting_time) == (20000.0, 0.2505 * sweep)
        assert file.acquisition["RY_E_0001_sweep000_ch1"].conversion == 0.001
        assert len(file.intracellular_recordings) == (2 if clamp else 4)
        assert len(file.icephys_simultaneous_recordings) == 2


def test_a_command_file_of_a_row_and_a_wrong_rate_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    add_row(build, 1, "command.atf", make_atf([make_times(2000), ["0"] * 2000], **ONE), "20000")
    add_row(build, 2, "cell.atf", make_one(make_times(2000)), "10000")
    assert main(["check", str(build.root), "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    places = {(one.get("id"), one["location"].get("key")) for one in found if "location" in one}
    assert ("atf.command", "RY_E_0001") in places
    assert any(key == "RY_E_0002" and one["location"].get("column") == "sampling_rate"
               for one in found if (key := one.get("location", {}).get("key")))  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["18702001-step", "SSFINEST"])
def test_real_files_as_pyabf_and_python_read_them(corpus: Path, name: str) -> None:
    path = corpus / FOLDER / f"{name}.atf"
    recording = open_text(path, clamp="voltage clamp")
    theirs = ATF(str(path))
    lines = path.read_text("ascii").splitlines()
    cells = [line.split("\t") for line in lines[3 + int(lines[1].split()[0]) :]]
    assert [one.name for one in recording.adc] == theirs.header["Signals"][: theirs.channelCount]
    for number, sweep in enumerate(recording.sweeps):
        for channel, array in sweep.responses.items():
            column = number * theirs.channelCount + channel
            samples = read_samples(recording, array)
            assert samples.tolist() == [float(row[column + 1]) for row in cells]
            np.testing.assert_array_equal(samples.astype("f4"), theirs.data[column])
    assert float(recording.rate) == theirs.dataRate
    assert recording.warnings == ()


@pytest.mark.corpus
def test_real_files_through_the_line(tmp_path: Path, corpus: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    add_row(build, 1, "18702001-step.atf", corpus / FOLDER / "18702001-step.atf", "20000")
    add_row(build, 2, "SSFINEST.atf", corpus / FOLDER / "SSFINEST.atf", "50000", clamp="voltage clamp")
    sine = corpus / "abf/swharden__pyABF/sine sweep magnitude 20.atf"
    add_row(build, 3, "sine.atf", sine, "10000", data_unit="mV")
    run_line(build)
    report = neuropress.open(build.root).verify(independent=True)
    assert report.ok, report.findings
    readings = {r["source"].rsplit("/")[-1]: r for r in report.outcomes[0].facts["independent"]}
    assert readings["18702001-step.atf"]["verdict"] == readings["SSFINEST.atf"]["verdict"] == "agrees"
    assert {"samples", "rate", "unit", "start", "shape"} == set(readings["18702001-step.atf"]["agreed"])
    assert readings["sine.atf"]["verdict"] == "cannot read"


@pytest.mark.corpus
def test_a_real_command_file_is_no_recording(corpus: Path) -> None:
    assert expect_finding(corpus / FOLDER / "SSFINEST.atf").id == "atf.command"
    found = expect_finding(corpus / "abf/swharden__pyABF/sine sweep magnitude 20.atf")
    assert (found.id, "command waveform" in found.message) == ("atf.statement", True)
