"""Axon text files that are cut, spoilt, hostile or no recordings: a finding each, with line and title."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from atf_files import WHOLE, expect_finding, make_atf, make_columns, make_one, open_text, read_samples, try_text
from campaigns import campaign
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.finding import Problem
from neuropress.readers import number_rows as rows
from neuropress.readers.atf import read as reader


def edit(old: str, new: str, raw: bytes = WHOLE) -> bytes:
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode(), 1)


ROW = "0.00015"


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b"ATG\t1.0\r\n", "atf.damaged"),
        (edit("ATF\t1.0", "ATF\t2.0"), "atf.unsupported"),
        (edit("5\t5", "5"), "atf.damaged"),
        (edit("5\t5", "x\ty"), "atf.damaged"),
        (edit("5\t5", "5\t6"), "atf.damaged"),
        (edit("5\t5", "4\t5"), "atf.unsupported"),
        (edit("5\t5", "6\t5"), "atf.unsupported"),
        (edit("5\t5", "999999\t5"), "atf.truncated"),
        (edit("5\t5", "5\t999999"), "atf.unsupported"),
        (edit("5\t5", "5\t1"), "atf.unsupported"),
        (edit("5\t5", "5\t" + "9" * 5000), "atf.damaged"),
        (edit("Time (s)", "Frequency (Hz)"), "atf.unsupported"),
        (edit("Time (s)", "Time (Hz)"), "atf.unsupported"),
        (edit("Time (s)", "Block"), "atf.unsupported"),
        (edit("Comment=", "Comment=" + "x" * 2**20), "atf.unsupported"),
        (edit(f"\n{ROW}\t", "\nnan\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", f"\n{ROW}\t\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", f"\n{ROW},"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n\r\n1\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n0x1\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n1_0\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n1e999\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n1 2\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n" + "1" * 65 + "\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n" + "1" * 2**20 + "\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n\t"), "atf.damaged"),
        (edit(f"\n{ROW}\t", "\n\0\t"), "atf.damaged"),
        (make_one([]), "atf.empty"),
        (make_one([]) + b"\r\n\r\n", "atf.empty"),
        (make_one([]) + b" \r\n\t\r\n", "atf.damaged"),
        (WHOLE + b"\r\n\r\n" + WHOLE[-40:], "atf.damaged"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, raw: bytes, id: str) -> None:
    assert expect_finding(tmp_path / "a.atf", raw).id == id


def test_a_bad_cell_is_named_by_line_and_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = make_columns(500)
    columns[3][431] = "12,5"
    for size in (rows.BLOCK_BYTES, 300):
        monkeypatch.setattr(rows, "BLOCK_BYTES", size)
        found = expect_finding(tmp_path / "a.atf", make_atf(columns))
        assert (found.id, found.location.line, found.location.value) == ("atf.damaged", 9 + 431, "12,5")
        assert "Trace #2 (pA)" in found.message


def test_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.atf"
    assert open_text(path, WHOLE + b"\r\n\r\n").warnings == ()
    assert expect_finding(path, WHOLE.removesuffix(b"\r\n")).id == "atf.truncated"
    assert open_text(path, whole=True).sweeps[0].length == 20
    assert expect_finding(path, WHOLE[:-3], whole=False).id == "atf.truncated"
    assert open_text(path, WHOLE.removesuffix(b"\n")).warnings == ()
    cut = WHOLE[: WHOLE.rindex(b"\t")]
    assert expect_finding(path, cut).id == "atf.truncated"
    long = make_columns()
    long[1][3] = "-83.8664891889237651"
    assert "18 digits" in open_text(path, make_atf(long)).warnings[0]


def test_limits_are_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.atf"
    monkeypatch.setattr("neuropress.readers.atf.rows.ATF_CELLS", 99)
    assert expect_finding(path, WHOLE).id == "atf.unsupported"
    monkeypatch.setattr("neuropress.readers.atf.rows.ATF_CELLS", 100)
    assert open_text(path).sweeps[0].length == 20
    monkeypatch.setattr(reader, "ATF_BYTES", len(WHOLE) - 1)
    assert expect_finding(path).id == "atf.unsupported"


@pytest.mark.parametrize("seed", range(campaign(20, 400)))
def test_cuts_and_flips_give_a_finding_or_the_same_reading(tmp_path: Path, seed: int) -> None:
    """Nothing guards the numbers of a text: where a digit flips, its own sample alone differs."""
    chance, path = random.Random(seed), tmp_path / "a.atf"
    whole = open_text(path, WHOLE)
    expected = {name: read_samples(whole, name) for name in whole.arrays}
    for end in (chance.randrange(len(WHOLE)) for _ in range(10)):
        cut = try_text(path, WHOLE[:end])
        if cut is None:
            continue
        assert WHOLE[:end].endswith((b"\n", b"\r"))  # a file does not say how many rows it has
        for name, samples in expected.items():
            count = cut.arrays[name].shape[0]
            assert read_samples(cut, name)[:count].tobytes() == samples[:count].tobytes()
    for bit in (chance.randrange(len(WHOLE) * 8) for _ in range(30)):
        damaged = bytearray(WHOLE)
        damaged[bit // 8] ^= 1 << bit % 8
        flipped = try_text(path, bytes(damaged))
        if flipped is None or bit // 8 < WHOLE.index(b"\r\n0\t"):
            continue  # a letter of the header is kept as it stands
        differ = sum(int((read_samples(flipped, name) != samples).sum()) for name, samples in expected.items())
        assert differ <= 1


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40))
def test_any_bytes_are_read_or_found(tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.atf"
    recording = try_text(path, WHOLE[:at] + noise + WHOLE[at + len(noise) :])
    for name in recording.arrays if recording else ():
        read_samples(recording, name)


@given(st.text(alphabet='ATF\t1.0\r\n,"=Signals#(pA)Time sTrace', max_size=200))
def test_any_header_is_read_or_found(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "header.atf"
    with pytest.raises(Problem) as caught:
        open_text(path, b"ATF\t1.0\n1\t2\n" + text.encode())
    assert caught.value.finding.id.startswith("atf.")
