"""The ABF reader against damaged and hostile files, and its parts one by one."""

import json
import random
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from abf_files import COUNT, QUIET, close_all, expect_refusal, open_abf, read_whole, write_abf2, write_steps_file  # noqa: F401 (fixtures)
from hypothesis import given, settings
from hypothesis import strategies as st
from pyabf.abfWriter import writeABF1
from pyabf.waveform import EpochSweepWaveform

from neuropress.model.finding import Problem
from neuropress.readers.abf.header import Epoch, Waveform, decode_text, parse_start_time
from neuropress.readers.abf.stimulus import render_epochs

# --- hostile and damaged ------------------------------------------------------------------------------------------


def patch_file(path: Path, at: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


def find_section_count(name_index: int) -> int:
    return 76 + 16 * name_index + 8


@pytest.mark.parametrize(
    ("at", "value", "id", "why"),
    [
        (0, b"RIFF", "abf.not_abf", "begins with b'RIFF'"),
        (find_section_count(10), (10**9).to_bytes(8, "little"), "abf.truncated", "promises 1000000000 samples"),
        (find_section_count(1), (2**62).to_bytes(8, "little"), "abf.damaged", "the section ADC has 4611686018427387904 entries"),
        (find_section_count(1), bytes(8), "abf.damaged", "0 recorded channels"),
        (find_section_count(0), bytes(8), "abf.damaged", "0 protocol sections"),
        (find_section_count(10), bytes(8), "abf.empty", "holds no sample"),
        (find_section_count(15), (2**40).to_bytes(8, "little"), "abf.damaged", "the section SynchArray"),
        (30, b"\7\0", "abf.damaged", "nDataFormat is 7"),
        (514, b"\0\0\xc0\x7f", "abf.damaged", "the sample interval is nan"),
        (512, b"\x2a\0", "abf.damaged", "nOperationMode is 42"),
        (518, b"\1", "abf.unsupported", "compressed"),
    ],
)  # fmt: skip
def test_a_bad_header_is_reported(steps: Path, at: int, value: bytes, id: str, why: str) -> None:
    caught = expect_refusal(patch_file(steps, at, value))
    assert caught.finding.id == id
    assert why in str(caught)


def test_impossible_scale_and_sweeps(tmp_path: Path) -> None:
    bad = write_abf2(tmp_path / "a.abf", [QUIET], channels=[{"fSignalGain": 0.0}])
    assert "the scale of channel 'IN 0' is impossible" in str(expect_refusal(bad))
    bad = write_abf2(tmp_path / "b.abf", [QUIET, QUIET], starts=[5000, 0])
    assert "does not ascend in time" in str(expect_refusal(bad))


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.abf").touch()
    assert expect_refusal(tmp_path / "a.abf").finding.id == "file.empty"


def read_or_refuse(path: Path) -> None:
    try:
        r = open_abf(path)
        json.dumps(r.header, allow_nan=False)
        for name in list(r.arrays)[:8]:
            read_whole(r, name)
        r.close()
    except Problem:
        pass


@pytest.mark.parametrize("version", [1, 2])
def test_flipped_bytes_never_crash(steps: Path, tmp_path: Path, version: int) -> None:
    if version == 1:
        writeABF1(np.ones((3, 700)), str(steps), sampleRateHz=20_000)
        data = bytearray(steps.read_bytes())
        data = data[:2048] + bytes(4096) + data[2048:]  # a long header, as since version 1.6
        data[4:8], data[40:44] = np.float32(1.83).tobytes(), (12).to_bytes(4, "little")
        steps.write_bytes(data)
        assert len(open_abf(steps).dac) == 4
    data = bytearray(steps.read_bytes())
    generator = random.Random(20250620)
    target = tmp_path / "flipped.abf"
    for _ in range(200):
        flipped = bytearray(data)
        for _ in range(generator.choice([1, 2, 8, 200])):
            flipped[generator.randrange(len(flipped))] = generator.choice([0, 1, 127, 128, 255])
        target.write_bytes(flipped)
        read_or_refuse(target)


# --- parts --------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=60))
def test_any_bytes_are_a_text(raw: bytes) -> None:
    assert "\0" not in decode_text(raw)


@pytest.mark.parametrize(
    ("date", "milliseconds", "expected"),
    [
        (20250620, 1, datetime.fromisoformat("2025-06-20T00:00:00.001")),
        (0, 5, None), (-1, 0, None), (0xFFFFFFFF, 0, None),
        (180618, 0, None), (18060613, 0, None), (20250230, 0, None), (20250620, 86_400_000, None), (20250620, -1, None),
    ],
)  # fmt: skip
def test_clock(date: int, milliseconds: int, expected: datetime | None) -> None:
    assert parse_start_time(date, milliseconds, []) == expected


NAMES = {1: "Step", 2: "Ramp", 3: "Pulse", 4: "Tri", 7: "BiPhsc"}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(-100, 100), st.integers(0, 40)), max_size=5),
    st.tuples(
        st.sampled_from([3, 4, 7]), st.integers(-100, 100), st.integers(1, 4), st.integers(2, 9), st.integers(0, 4)
    ),
    st.integers(-80, 80),
)
def test_epochs_equal_pyabf_s_drawing(plain: list[tuple[int, int, int]], train: tuple[int, ...], rest: int) -> None:
    kind, level, repeats, half, width = train
    period = 2 * half
    table = [Epoch(i, k, float(v), 0.0, n, 0) for i, (k, v, n) in enumerate(plain)]
    table.append(Epoch(len(table), kind, float(level), 0.0, repeats * period, 0, period, min(2 * width, period)))
    ours = render_epochs(Waveform(0, 1, float(rest), False, tuple(table)), COUNT, 0)
    other, position = EpochSweepWaveform(), COUNT // 64
    other.addEpoch(0, position, float(rest), "Step", 0, 0, [0] * 8)
    for e in table:
        other.addEpoch(position, position + e.duration, e.level, NAMES[e.type], e.width, e.period, [0] * 8)
        position += e.duration
    other.addEpoch(position, COUNT, float(rest), "Step", 0, 0, [0] * 8)
    np.testing.assert_allclose(ours, other.getWaveform(), rtol=0, atol=1e-9)
