"""Behaviour tables: exact times, values as other readers have them, and files that do not say what they hold."""

import csv
import time
from fractions import Fraction
from io import StringIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.model.clock import Clock
from neuropress.model.content import Content, DataTable, Series
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers import check_reader_options
from neuropress.readers.behavior_csv import probe
from neuropress.readers.behavior_csv.columns import Described, describe_header
from neuropress.readers.behavior_csv.read import read
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

WALK = "time_ms,x_cm,y_cm,speed (cm/s)\n0,1.5,2,NA\n10,1.25,,3\n25,nan,4,1e-3\n"
POINTS = "scorer,net,net,net\nbodyparts,snout,snout,snout\ncoords,x,y,likelihood\n"
LABELS = (
    "behaviour/DeepLabCut__DeepLabCut/examples/openfield-Pranav-2018-10-30/labeled-data/m4s1/CollectedData_Pranav.csv"
)


def read_text(folder: Path, text: str | bytes, name: str = "b.csv", **options: str) -> tuple[Content, ...]:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert not check_reader_options({"reader": "behavior_csv", **options})
    return read(Source(name, Folder(folder)), options)


def read_series(folder: Path, text: str | bytes, **options: str) -> dict[str, Series]:
    contents = read_text(folder, text, **options)
    assert all(isinstance(content, Series) for content in contents), contents
    return {content.name: content for content in contents}  # type: ignore[misc]


def read_reason(folder: Path, text: str | bytes, **options: str) -> str:
    (content,) = read_text(folder, text, **options)
    assert not content.arrays
    return str(content.header["undeclared"])


def expect_damage(folder: Path, text: str | bytes, **options: str) -> Finding:
    with pytest.raises(Problem) as caught:
        read_text(folder, text, **options)
    assert caught.value.finding.id == "behavior.damaged"
    return caught.value.finding


def read_answer(folder: Path, text: str | bytes, **options: str) -> str:
    """Why a file is not read, either way; "" of one that is."""
    found = None
    try:
        contents = read_text(folder, text, **options)
    except Problem as bad:
        found = bad.finding
    if found:
        assert found.id == "behavior.damaged"
        return found.message
    assert contents
    return str(contents[0].header.get("undeclared", ""))


def read_data(content: Content, name: str = "data") -> np.ndarray:
    array = content.arrays[name]
    return array.read(tuple(slice(0, n) for n in array.shape))


def measure_seconds(content: Series, clock_offset: str = "0") -> np.ndarray:
    """Seconds of each row by the declared clock, from times or from rate and start."""
    offset = Fraction(clock_offset)
    if content.rate is None:
        return Clock(content.scale).shift(offset).seconds(read_data(content, "time"))
    return float(Fraction(content.header["start"]) + offset) + np.arange(len(read_data(content))) / float(content.rate)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_places_and_values(tmp_path: Path, end: str, mark: bytes) -> None:
    series = read_series(tmp_path, mark + WALK.replace("\n", end).encode())
    assert list(series) == ["position", "speed"]
    np.testing.assert_array_equal(read_data(series["position"]), [[1.5, 2], [1.25, np.nan], [np.nan, 4]])
    np.testing.assert_array_equal(read_data(series["speed"]), [np.nan, 3, 0.001])
    assert [channel.unit for channel in series["position"].channels] == ["centimeters"] * 2
    assert measure_seconds(series["speed"]).tolist() == [0, 0.01, 0.025]
    assert series["position"].header["columns"] == ["x_cm", "y_cm"]
    assert series["position"].facts == {"rows": "3"}
    assert choose_format(Source("b.csv", Folder(tmp_path))).strength == 2


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("t (s);x [px]\n0,5;1,25\n0,75;2\n", {"decimal": "comma"}),
        ("t (s)\tx [px]\n0.5\t1.25\n.75\t2\n", {}),
        ('"t (s)","x [px]"\n"0.5","1.25"\n7.5e-1,2,\n'.replace("2,\n", "2\n"), {}),
        ("a,b\n0.5,1.25\n0.75,2\n", {"columns": "a = time s; b = px"}),
        ("0.5,1.25,\n0.75,2,\n", {"header": "t (s),x (px),"}),
        ("t (s),x [px],note\n0.5,1.25,a\n0.75,2,b\n", {"columns": "note = ignore"}),
        ("frame,x [px]\n1,1.25\n2,2\n", {"frame_rate": "4", "clock_offset": "0.25"}),
        ("x [px]\n1.25\n2\n", {"frame_rate": "4", "clock_offset": "1/2"}),
    ],
)
def test_ways_to_say_the_same(tmp_path: Path, text: str, options: dict[str, str]) -> None:
    (content,) = read_series(tmp_path, text, **options).values()
    assert content.channels[0].unit == "pixels"
    assert read_data(content).tolist() == [1.25, 2]
    assert measure_seconds(content, options.get("clock_offset", "0")).tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ("time_ms", Described("time", "ms", "time")),
        ("Timestamp [s]", Described("Timestamp", "s", "time")),
        ("start_time_s", Described("start_time", "s", "start")),
        ("stop_ms", Described("stop", "ms", "stop")),
        ("Frame", Described("Frame", "", "frame")),
        ("reaction (ms)", Described("reaction", "ms")),
        ("wheel_speed_cm_per_s", Described("wheel_speed", "cm/s")),
        ("wheel_speed_mm_s", Described("wheel_speed", "mm/s")),
        ("pupil (µm)", Described("pupil", "micrometers")),
        ("licks_count", Described("licks", "count")),
        ("events_per_s", None),
        ("spots_per_mm", None),
        ("paw_m", None),
        ("g (S)", None),
        ("x (M)", None),
        ("lick (V)", Described("lick", "volts")),
        ("wheel_s", None),
        ("time", None),
        ("x", None),
        ("_cm", None),
        ("(cm)", None),
        ("pupil (foo)", None),
        ("", None),
    ],
)
def test_what_a_name_says(name: str, described: Described | None) -> None:
    assert describe_header([name], {}) == [described]


@given(
    st.lists(st.decimals(-(10**6), 10**6, allow_nan=False, places=None), min_size=1, max_size=20),
    st.sampled_from(["s", "ms", "us"]),
    st.decimals(-1000, 1000, places=3),
)
def test_times_are_rounded_once(
    tmp_path_factory: pytest.TempPathFactory, times: list, unit: str, offset: object
) -> None:
    folder = tmp_path_factory.getbasetemp()
    texts = [str(value) for value in sorted(times)]
    scale = Fraction({"s": 1, "ms": Fraction(1, 1000), "us": Fraction(1, 10**6)}[unit])
    text = f"time_{unit},x_px\n" + "".join(f"{cell},1\n" for cell in texts)
    try:
        (content,) = read_series(folder, text).values()
    except Problem:
        # The pattern of numbers takes 40 digits and exponents of three.
        assert any(len(cell) > 40 for cell in texts)
        return
    if content.arrays.get("time") is None or read_data(content, "time").dtype.kind == "f":
        return
    exact = [float(Fraction(cell) * scale + Fraction(str(offset))) for cell in texts]
    assert measure_seconds(content, str(offset)).tolist() == exact


def test_digits_that_int64_cannot_hold_are_floats(tmp_path: Path) -> None:
    times = ["0.30000000000000004", "1234.5", "99999.123"]
    (content,) = read_series(tmp_path, "time_s,x_px\n" + "".join(f"{cell},1\n" for cell in times)).values()
    assert measure_seconds(content).tolist() == [float(cell) for cell in times]


def test_even_times_are_a_rate(tmp_path: Path) -> None:
    text = "time_ms,x_px\n" + "".join(f"{100 + 33 * i},{i}\n" for i in range(9))
    (content,) = read_series(tmp_path, text).values()
    assert content.rate is not None
    assert float(content.rate) == 1000 / 33
    assert Fraction(content.header["start"]) == Fraction(1, 10)
    text = "frame,x_px\n" + "".join(f"{7 + i},{i}\n" for i in range(9))
    (content,) = read_series(tmp_path, text, frame_rate="30000/1001").values()
    assert content.rate is not None
    assert float(content.rate) == 30000 / 1001
    assert Fraction(content.header["start"]) == Fraction(7 * 1001, 30000)


def test_frames_beside_a_time_are_numbers(tmp_path: Path) -> None:
    series = read_series(tmp_path, "frame,time_ms,x_px\n5,0,1\n6,33,2\n9,132,3\n")
    assert read_data(series["frame"]).tolist() == [5, 6, 9]
    assert measure_seconds(series["position"]).tolist() == [0, 0.033, 0.132]


def test_tracked_points(tmp_path: Path) -> None:
    text = POINTS + "0,1.5,2.5,0.9\n1,3,4,1\n3,5,6,0.125\n"
    series = read_series(tmp_path, text, frame_rate="30")
    assert choose_format(Source("b.csv", Folder(tmp_path))).strength == 2
    assert read_data(series["snout"]).tolist() == [[1.5, 2.5], [3, 4], [5, 6]]
    assert series["snout"].arrays["confidence"].read((slice(0, 3),)).tolist() == [0.9, 1, 0.125]
    assert measure_seconds(series["snout"]).tolist() == [0, 1 / 30, 0.1]
    animals = text.replace("bodyparts,", "individuals,m1,m1,m1\nbodyparts,")
    assert list(read_series(tmp_path, animals, frame_rate="30")) == ["m1_snout"]
    kept = read_series(tmp_path, text, frame_rate="30", columns="snout_likelihood = ignore")
    assert list(kept) == ["snout"]
    assert 'frame_rate = "RATE"' in read_reason(tmp_path, text)


def test_events_and_trials(tmp_path: Path) -> None:
    text = 'time_ms,event,size (1)\n5,lick,1\n17,"left, ü",2\n17, NA ,\n'
    (events,) = read_text(tmp_path, text, columns="event = text")
    assert isinstance(events, DataTable)
    assert events.name == "events"
    assert read_data(events, "time").tolist() == [5, 17, 17]
    assert read_data(events, "event").tolist() == ["lick", "left, ü", " NA "]
    assert (events.header["clock"], events.columns[2].unit) == ("1/1000", "1")
    (events,) = read_text(tmp_path, "time_s\n1.25\n3\n")
    assert read_data(events, "time").tolist() == [125, 300]
    assert events.header["clock"] == "1/100"
    (trials,) = read_text(tmp_path, "start_s,stop_s,outcome\n2,2.5,hit\n0,1,miss\n", columns="outcome = text")
    assert (trials.name, list(trials.arrays)) == ("trials", ["start", "stop", "outcome"])
    assert read_data(trials, "start").tolist() == [20, 0]
    assert read_data(trials, "stop").tolist() == [25, 10]


def test_the_index_that_pandas_writes_has_a_name(tmp_path: Path) -> None:
    text = ",time_s,x_cm\n0,0,1\n1,0.1,2\n"
    assert 'columns = "column1 = UNIT"' in read_answer(tmp_path, text)
    (series,) = read_text(tmp_path, text, columns="column1 = ignore")
    assert (series.name, read_data(series).tolist()) == ("position", [1, 2])
    table = read_text(tmp_path, text.replace("x_cm", "state"), columns="column1 = count; state = text")[0]
    assert sorted(table.arrays) == ["column1", "state", "time"]


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("a,b\n1,2\n", {}, 'add under [options."b.csv"]: columns = "a = UNIT; b = UNIT", frame_rate = "RATE"'),
        ("time_ms,x,y\n0,1,2\n", {}, 'add under [options."b.csv"]: columns = "x = UNIT; y = UNIT"'),
        ("0.5,1,\n1,2,\n", {}, 'header = "NAME (UNIT),NAME (UNIT),", frame_rate = "RATE"'),
        ("frame,x_px\n0,1\n", {}, 'its frames have no times; add under [options."b.csv"]: frame_rate = "RATE"'),
        ("x_px\n1\n", {}, 'frame_rate = "RATE"'),
        ("time_ms,x_px\n", {}, "no rows"),
        ("time_ms,t_s,x_px\n1,2,3\n", {}, "several of its columns are times (time_ms, t_s)"),
        ("onset_s,x_px\n1,2\n", {}, 'add under [options."b.csv"]: columns = "onset_s = time s"'),
        ("time_s,stop_s,x_px\n1,2,3\n", {}, "one of stops"),
        ("start_s,stop_ms\n1,2000\n", {}, "different units"),
        ("time_s,x_px,x_cm\n1,2,3\n", {}, "two of its columns are called 'x'"),
        ("time_s,a/b (cm),a_b (cm)\n1,2,3\n", {}, "two of its columns are called 'a_b'"),
        ("time_s,x_px,y_cm\n1,2,3\n", {}, "different units"),
        ("time_s,nose_x_px,nose (1)\n1,2,3\n", {}, "same name"),
        ("time_s,x_px\n1,2\n", {"frame_rate": "30"}, "leave one out"),
        ("time_s,x_px\n1,2\n", {"columns": "y = px"}, "names 'y'"),
        ("event\nlick\n", {"columns": "event = text", "frame_rate": "3"}, "texts need a column of times"),
        ("time_s,x_px\n1,2\n".encode("utf-16"), {}, "UTF-8"),
        ("time_s,pupil (µm)\n1,2\n".encode("cp1252"), {}, "UTF-8"),
        ('"time_s,x_px\n1,2\n', {}, "unexpected end"),
        ("time_s,x\0_px\n1,2\n", {}, "UTF-8"),
        (POINTS.replace("coords", "cords") + "0,1,2,1\n", {}, "no rows bodyparts and coords"),
        (POINTS.replace("likelihood", "visible") + "0,1,2,1\n", {}, "'visible'"),
        ("scorer\n", {}, "no rows bodyparts"),
        (POINTS + "img000.png,1,2,1\n", {"frame_rate": "30"}, "frames are names ('img000.png')"),
        ("\n\n", {}, "no rows"),
        (",".join(["x_px"] * 5000) + "\n1\n", {}, "5000 columns"),
    ],
)
def test_what_nobody_declared(tmp_path: Path, text: str | bytes, options: dict[str, str], reason: str) -> None:
    assert reason in read_reason(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (WALK + "30,1,2\n", 5, "3 cells under 4 columns"),
        (WALK + "30,1,2,3,4\n", 5, "5 cells under 4 columns"),
        (WALK + "\n30,1,2,fast\n", 6, "column 'speed (cm/s)': 'fast' is no number"),
        (WALK + '30,1,2,"1,5"\n', 5, 'state decimal = "comma"'),
        (WALK + "30,1,2,1e999\n", 5, "'1e999' is no number"),
        (WALK + "30,1,2,inf\n", 5, "'inf' is no number"),
        (WALK + "30,1,2,1_000\n", 5, "'1_000' is no number"),
        (WALK + "30,1,2,٣\n", 5, "'٣' is no number"),
        (WALK + ",1,2,3\n", 5, "column 'time_ms': '' is no number"),
        (WALK + "nan,1,2,3\n", 5, "column 'time_ms': 'nan' is no number"),
        (WALK + "24.9,1,2,3\n", 5, "before that of the row above"),
        (WALK + '30,1,2,"3\n', 5, "unexpected end"),
        (WALK.encode() + b"30,1,2,\xb5\n", 5, "UTF-8"),
        (WALK + "30,1,2,\0\n", 5, "UTF-8"),
        (WALK.replace("\n", ",\n") + "30,1,2,3,4\n", 5, "'4' is under no name"),
        ("start_s,stop_s\n1,2\n3,2.5\n", 3, "the stop is before the start"),
    ],
)
def test_damage_names_its_place(tmp_path: Path, text: str | bytes, line: int, words: str) -> None:
    found = expect_damage(tmp_path, text)
    assert f"b.csv line {line}" in found.message
    assert words in found.message
    assert (found.location.file, found.location.line) == ("b.csv", line)


@pytest.mark.parametrize(
    "text",
    [
        ",".join(["x_px"] * 10**6) + "\n" + ",".join(["1"] * 10**6),
        "time_ms,x_px\n" + "1," * 10**6,
        "time_ms,x_px\n1," + "9" * 10**7,
        'time_ms,x_px\n1,"' + "9\n" * 10**6,
        "time_ms,x_px\n1e999999999,1\n",
        "time_ms,x_px\n1e-999999999,1\n",
        "time_ms,x_px\n" + "1" * 10**5 + ",1\n",
        "\n" * 10**6,
        "\0" * 10**7,
        "a" * 10**7,
        "scorer," * 10**6,
    ],
    ids=["columns", "wide row", "long cell", "open quote", "huge", "tiny", "digits", "blank", "nul", "line", "scorer"],
)
def test_hostile_files_are_answered_in_seconds(tmp_path: Path, text: str) -> None:
    begun = time.monotonic()
    message = read_answer(tmp_path, text)
    assert message
    assert len(message) < 1000
    probe(text.encode()[:4096], "b.csv")
    assert time.monotonic() - begun < 5


@given(st.binary(max_size=200) | st.text(st.sampled_from('time_ms,x_cm frame\t;\n\r"0159.-+eE()[]\0µ'), max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_read_or_reported(tmp_path_factory: pytest.TempPathFactory, text: bytes | str) -> None:
    data = text.encode() if isinstance(text, str) else text
    folder = tmp_path_factory.getbasetemp()
    for options in ({}, {"frame_rate": "30", "header": "frame,x_px"}, {"columns": "a = time ms", "decimal": "comma"}):
        read_answer(folder, b"time_ms,x_cm\n" * (not options) + data, **options)
    probe(data[:4096], "b.csv")


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(allow_infinity=False), st.text(max_size=9)), min_size=1))
def test_written_tables_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    rows = [
        (when, value, "".join(c for c in text if c.isprintable()))
        for when, value, text in sorted(rows, key=lambda row: row[0])
    ]
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(["time_us", "x (mm)", "label"])
    writer.writerows(rows)
    (content,) = read_text(tmp_path_factory.getbasetemp(), file.getvalue(), columns="label = text")
    assert read_data(content, "time").tolist() == [row[0] for row in rows]
    np.testing.assert_array_equal(read_data(content, "x (mm)"), [row[1] for row in rows])
    assert read_data(content, "label").tolist() == [row[2] for row in rows]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("columns", "x"), ("columns", "x = furlong"), ("columns", "x = px; x = cm"), ("columns", "t = time cm"),
        ("frame_rate", "0"), ("frame_rate", "-3"), ("frame_rate", "fast"), ("frame_rate", 30), ("clock_offset", "1/0"),
        ("decimal", ","),
    ],
)  # fmt: skip
def test_options_are_checked(option: str, value: object) -> None:
    assert option in check_reader_options({option: value})


def test_a_name_alone_is_a_weak_claim() -> None:
    for head, name, strength in (
        (b"a,b\n1,2\n", "b.csv", 1), (b"a,b\n1,2\n", "B.TSV", 1), (b"a,b\n1,2\n", "b.txt", 0), (b"", "b.csv", 1),
        (WALK.encode(), "b.txt", 2), (POINTS.encode(), "b.txt", 2), (b"II*\0", "b.tif", 0),
    ):  # fmt: skip
        claim = probe(head, name)
        assert (claim.strength if claim else 0) == strength


@pytest.mark.corpus
def test_a_real_file_without_names(tmp_path: Path, corpus: Path) -> None:
    data = (corpus / "behaviour/oist__optinist/sample_mouse2p_behavior.csv").read_bytes()
    assert "holds numbers, not names" in read_reason(tmp_path, data)
    series = read_series(tmp_path, data, header="speed (cm/s),lick (1),", frame_rate="30")
    rows = list(csv.reader(StringIO(data.decode())))
    assert read_data(series["speed"]).tolist() == [float(row[0]) for row in rows]
    assert read_data(series["lick"]).tolist() == [float(row[1]) for row in rows]


@pytest.mark.corpus
def test_real_labels_have_no_times(tmp_path: Path, corpus: Path) -> None:
    data = (corpus / LABELS).read_bytes()
    assert "frames are names ('labeled-data/m4s1/img0000.png')" in read_reason(tmp_path, data)
    # The same points with frames in the place of the images' names, as DeepLabCut writes what it tracked.
    lines = data.decode().splitlines()
    numbered = [*lines[:3], *(f"{frame},{line.partition(',')[2]}" for frame, line in enumerate(lines[3:]))]
    series = read_series(tmp_path, "\n".join(numbered) + "\n", frame_rate="30")
    with h5py.File((corpus / LABELS).with_suffix(".h5")) as file:
        values = file["df_with_missing/table"]["values_block_0"]
    for number, part in enumerate(("snout", "leftear", "rightear", "tailbase")):
        np.testing.assert_array_equal(read_data(series[part]), values[:, 2 * number : 2 * number + 2])
