"""Recordings as text: delimiters, names, decimals to the nearest float64, times, damage with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import NOISE, close_files, expect_finding, list_undeclared, open_arrays, open_recording, read_all
from hypothesis import given
from hypothesis import strategies as st

from neuropress.readers import number_rows as rows

__all__ = ["close_files"]

OPTIONS = {"channels": "V = mV; I = pA command", "time": "t s"}


def make_text(delimiter: str = ",", end: str = "\n", names: str | None = "t,V,I", count: int = 40) -> bytes:
    lines = [] if names is None else [names.replace(",", delimiter)]
    lines += [delimiter.join((f"{i * 5e-5:.6f}", f"{NOISE[i]:.4f}", str(i // 10))) for i in range(count)]
    return (end.join(lines) + end).encode()


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_ends_of_lines(tmp_path: Path, delimiter: str, end: str) -> None:
    recording = open_recording(tmp_path / "a.csv", make_text(delimiter, end), **OPTIONS)
    assert recording.facts == {"sampling_rate": "20000"}
    assert [one.name for one in (*recording.adc, *recording.dac)] == ["V", "I"]
    assert read_all(recording, "sweep000/adc0").tolist() == [float(f"{v:.4f}") for v in NOISE[:40]]
    recording = open_recording(
        tmp_path / "a.txt", make_text(delimiter, end, None), channels="column2 = mV", time="column1 s"
    )
    assert read_all(recording, "sweep000/adc0").tolist() == [float(f"{v:.4f}") for v in NOISE[:40]]
    stated = open_recording(tmp_path / "a.txt", header="t,V,I", **OPTIONS)
    assert read_all(stated, "sweep000/dac0").tolist() == [i // 10 for i in range(40)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_cells_in_quotes(tmp_path: Path, delimiter: str, end: str) -> None:
    def quote(row: str) -> str:
        return delimiter.join(f'"{cell}"' for cell in row.split(delimiter))

    plain = make_text(delimiter, end).decode()
    text = end.join(quote(row) for row in plain.split(end)[:-1]) + end
    recording = open_recording(tmp_path / "a.csv", text.encode(), **OPTIONS)
    assert read_all(recording, "sweep000/adc0").tolist() == [float(f"{v:.4f}") for v in NOISE[:40]]
    assert read_all(recording, "sweep000/dac0").tolist() == [i // 10 for i in range(40)]
    thousands = expect_finding(tmp_path / "b.txt", b'"0.1","1,065"\n"0.2","1,066"\n', channels="column2 = mV", rate="9")
    assert thousands.id == "arrays.damaged"  # not two numbers
    last = f'"{39 * 5e-5:.6f}"'
    for spoilt in ('"1"2', '1"2', '"1', "'1'"):
        found = expect_finding(tmp_path / "a.csv", text.replace(last, spoilt).encode(), **OPTIONS)
        assert (found.id, "line 41" in found.message) == ("arrays.damaged", True), found


def test_quotes_and_decimal_commas(tmp_path: Path) -> None:
    text = make_text(";").decode().replace(".", ",")
    quoted = "".join(";".join(f'"{cell}"' for cell in row.split(";")) + "\n" for row in text.splitlines())
    recording = open_recording(tmp_path / "a.csv", quoted.encode(), decimal="comma", **OPTIONS)
    assert read_all(recording, "sweep000/adc0").tolist() == [float(f"{v:.4f}") for v in NOISE[:40]]


def test_lines_above_commas_and_twice_the_same_name(tmp_path: Path) -> None:
    raw = b"# rig 3\n\n# t (ms)\tV (mV)\tV (mV)\n0,0\t-65,25\t1\n0,1\t-65,5\t2\n0,2\t1e1\t3\n"
    options = {"channels": "V (mV) = mV; V (mV) (2) = mV", "time": "t (ms) ms", "decimal": "comma"}
    recording = open_recording(tmp_path / "a.txt", raw, **options)
    assert read_all(recording, "sweep000/adc0").tolist() == [-65.25, -65.5, 10]
    assert recording.header["lines_above"][0] == "# rig 3"
    assert str(recording.rate) == "10000"
    assert "decimal" in expect_finding(tmp_path / "a.txt", channels="V = mV", rate="1").message


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40), st.integers(40, 400))
def test_every_decimal_is_its_nearest_float64(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float], block: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.txt"
    before, rows.BLOCK_BYTES = rows.BLOCK_BYTES, block
    try:
        raw = "".join(f"{number!r} 1\n" for number in numbers).encode()
        recording = open_recording(path, raw, channels="column1 = mV", rate="10")
        assert read_all(recording, "sweep000/adc0").tobytes() == np.array(numbers).tobytes()
        recording.close()
        assert read_all(recording, "sweep000/adc0").tobytes() == np.array(numbers).tobytes()
    finally:
        rows.BLOCK_BYTES = before


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"0 1\n1 x\n", "line 2"), (b"0 1\n1 2 3\n", "line 2"), (b"0 1\n\n1 2\n", "blank line"), (b"0 1\n1 nan\n", "line 2"),
        (b"0 1\n1 1_0\n", "line 2"), (b"0 1\n1 1e999\n", "line 2"), (b"0 1\n1 2", "no end"),
        ("0 1\n1 2\n".encode("utf-16"), "UTF-8"), (b"a b\nc d\n", "row of numbers"),
    ],
)  # fmt: skip
def test_damage_names_its_line(tmp_path: Path, raw: bytes, what: str) -> None:
    found = expect_finding(tmp_path / "a.txt", raw, channels="column1 = mV", rate="1", reader="trace_text")
    assert found.id == "arrays.damaged"
    assert what in found.message
    if what == "no end":
        open_recording(tmp_path / "a.txt", channels="column1 = mV", rate="1", whole=True)


@pytest.mark.parametrize("options", [{"channels": "V = UNIT"}, {"channels": "V"}, {"channels": "I = pA command"},
                                     {"channels": "V[a] = mV; V = mV x y"}, {"channels": "*/*/*/*/*/* = mV"},
                                     {"channels": "V[s] = mV"}, {"channels": "V*[s,t] = mV"}, {"channels": "V = 0 mV"},
                                     {"rate": "0"}, {"rate": "RATE"}, {"time": "t UNIT"}])  # fmt: skip
def test_what_no_declaration_says_is_refused_before_a_file_is_opened(options: dict[str, Any]) -> None:
    from neuropress.readers import check_reader_options

    assert check_reader_options({"reader": "trace_text", **options})


def test_a_draft_is_no_declaration(tmp_path: Path) -> None:
    (content,) = open_arrays(tmp_path / "a.txt", make_text(" "))
    draft = content.header["draft"]
    assert 'channels = "V = UNIT; I = UNIT"' in draft
    assert "# t goes evenly from 0.0 by 0.00005" in draft
    assert "# V: mV, as its name may mean?" in draft


@pytest.mark.corpus
def test_every_file_of_the_corpus_is_read_or_uneven(corpus: Path) -> None:
    folder = corpus / "trace_text/BlueBrain__eFEL"
    recording = open_recording(folder / "dendritic_AP.txt", channels="column2 = mV", time="column1 ms")
    known = np.array(
        [[float(cell) for cell in line.split()] for line in (folder / "dendritic_AP.txt").read_text().splitlines()]
    )
    assert read_all(recording, "sweep000/adc0").tolist() == known[:, 1].tolist()
    assert recording.facts == {"sampling_rate": "1000"}
    list_undeclared(folder / "mean_frequency_1.txt")
    found = expect_finding(folder / "mean_frequency_1.txt", channels="column2 = mV", time="column1 ms")
    assert found.id == "arrays.times"
    steps = np.diff(np.loadtxt(folder / "mean_frequency_1.txt")[:, 0])
    assert steps.max() > 10 * steps.min()  # an independent reader bears it out
