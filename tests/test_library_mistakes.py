"""What libraries are known to read wrong is decided by fields of the header, and by nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyabf.stimulus
import pytest
from abf_files import COUNT, make_epoch, write_abf2
from atf_files import WHOLE, make_one, make_times

from neuropress.independent import neo_abf, pyabf_abf, pyabf_atf
from neuropress.independent.reading import SecondRecording
from neuropress.independent.tally import Tally

STEP = [make_epoch(0, 1, 10.0, 100)]
PLAYED: dict[str, Any] = {
    "dac": [{"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0}],
    "commands": [b"mV"],
    "epochs": STEP,
}
PERIOD = {"fEpisodeStartToStart": COUNT * 2 * 100e-6 / 2}


def write(path: Path, protocol: dict[str, Any] | None = None, **more: Any) -> Path:
    sweeps = [np.zeros((COUNT, 2), "<i2") for _ in range(3)]
    first = more.pop("first", 0)
    starts = [first + 4 * COUNT * n for n in range(3)]
    return write_abf2(path, sweeps, starts=starts, protocol=PERIOD | (protocol or {}), **(PLAYED | more))


def read(module: Any, path: Path) -> SecondRecording:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = module.read(path, "", {})
    assert isinstance(found, SecondRecording)
    return found


@pytest.mark.parametrize(
    ("module", "more", "subject", "field"),
    [
        (neo_abf, {"protocol": {"fSynchTimeUnit": 0.0}}, "start", "fSynchTimeUnit 0"),
        (neo_abf, {"header": {"uFileStartDate": 180618}}, "date", "lFileStartDate 180618"),
        (pyabf_abf, {"header": {"uFileStartDate": 180618}}, "date", "uFileStartDate 180618"),
        (pyabf_abf, {"protocol": {"fADCSequenceInterval": 2480.0, "fEpisodeStartToStart": 0.064}}, "rate", "2480 us"),
        (pyabf_abf, {"protocol": {"fEpisodeStartToStart": 5.0}}, "start", "fEpisodeStartToStart 5"),
        (pyabf_abf, {"first": 420}, "date", "lStart of SynchArray 420"),
        (pyabf_abf, {"protocol": {"nOperationMode": 2}}, "command 0", "nOperationMode 2"),
        (pyabf_abf, {"protocol": {"nAlternateDACOutputState": 1}}, "command 0", "nAlternateDACOutputState 1"),
        (pyabf_abf, {"lists": [(61, b"1,2")]}, "command 0", "UserList"),
        (pyabf_abf, {"epochs": [make_epoch(0, 1, 1e9, 100)]}, "command 0", "fEpochInitLevel"),
        (pyabf_abf, {"epochs": [make_epoch(0, 1, 1.0, COUNT)]}, "command 0", "lEpochInitDuration"),
        (pyabf_abf, {"epochs": [make_epoch(0, 6, 1.0, 10)]}, "command 0", "nEpochType"),
        (
            pyabf_abf,
            {"epochs": [make_epoch(0, 5, 1.0, 90, lEpochPulsePeriod=30, lEpochPulseWidth=10)]},
            "command 0",
            "nEpochType 5",
        ),
        (
            pyabf_abf,
            {"epochs": [make_epoch(0, 3, 1.0, 100, lEpochPulsePeriod=30, lEpochPulseWidth=10)]},
            "command 0",
            "lEpochPulsePeriod",
        ),
    ],
)
def test_a_field_decides(tmp_path: Path, module: Any, more: dict[str, Any], subject: str, field: str) -> None:
    second = read(module, write(tmp_path / "a.abf", **more))
    assert list(second.mistakes) == [subject]
    assert field in second.mistakes[subject]


STARTED = {"records": ("SweepStartTimesMS=0.000",)}


@pytest.mark.parametrize(
    ("raw", "subject", "field"),
    [
        (make_one(make_times(900, "0.00248"), **STARTED), "rate", "Time (s): 0, 0.00248"),
        (make_one(make_times(900)[10:], **STARTED), "rate", "Time (s): 0.0005"),
        (make_one(make_times(900), **STARTED).replace(b"Time (s)", b"Time (ms)"), "rate", "Time (ms)"),
        (WHOLE.replace(b"0.000,250.500", b"0.000"), "start", "SweepStartTimesMS"),
    ],
)
def test_a_line_of_a_text_file_decides(tmp_path: Path, raw: bytes, subject: str, field: str) -> None:
    (tmp_path / "a.atf").write_bytes(raw)
    second = read(pyabf_atf, tmp_path / "a.atf")
    assert list(second.mistakes) == [subject]
    assert field in second.mistakes[subject]
    (tmp_path / "a.atf").write_bytes(WHOLE)
    assert read(pyabf_atf, tmp_path / "a.atf").mistakes == {}


@pytest.mark.parametrize("module", [neo_abf, pyabf_abf])
def test_an_ordinary_file_excuses_nothing(tmp_path: Path, module: Any) -> None:
    assert read(module, write(tmp_path / "a.abf")).mistakes == {}


def test_a_path_in_a_header_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was looked for")

    monkeypatch.setattr(pyabf.stimulus, "findStimulusWaveformFile", refuse)
    dac = [{"nWaveformEnable": 1, "nWaveformSource": 2}]
    second = read(pyabf_abf, write(tmp_path / "a.abf", dac=dac, command_file=str(tmp_path / "a.abf").encode()))
    assert second.read_command
    assert second.read_command(0, 0).size == 0
    assert list(second.mistakes) == ["command 0"]


def test_a_mistake_excuses_its_own_subject_only() -> None:
    tally = Tally({"command 0": "it does not apply user lists"})
    tally.check("command 0", False, "differs")
    tally.check("command 1", True, "")
    assert (tally.verdict, tally.list_agreed()) == ("library wrong", ())
    tally.check("command 1", False, "differs in the other")
    assert (tally.verdict, tally.list_reasons()) == (
        "differs", ("differs in the other", "it does not apply user lists"),
    )  # fmt: skip


def test_who_compared_nothing_does_not_agree() -> None:
    assert Tally({}).verdict == "cannot read"
