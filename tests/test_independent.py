"""Readers of ours that are wrong on purpose, in `convert` and in `verify`: only another library finds them."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import wrong_readers
from abf_files import make_epoch, write_abf2
from atf_files import make_atf, make_columns
from builder import DATE, Builder
from campaigns import campaign
from PIL import Image as Pillow

import neuropress
from neuropress.model.report import Report

RNG = np.random.default_rng(5)


def write_recording(path: Path) -> Path:
    """Two channels with an offset, three sweeps with gaps, a command; it began at 14:30:00.5."""
    sweeps = [RNG.integers(-20000, 20000, (640, 2), "<i2") for _ in range(3)]
    channels = [{"fInstrumentOffset": 3.5}, {"fInstrumentOffset": 3.5, "fInstrumentScaleFactor": 0.02}]
    dac = [{"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0}]
    epochs = [make_epoch(0, 1, -60.0, 100, fEpochLevelInc=10.0), make_epoch(1, 2, 20.0, 200)]
    return write_abf2(
        path, sweeps, starts=[0, 8000, 16000], channels=channels, dac=dac, commands=[b"mV"], epochs=epochs,
        protocol={"fEpisodeStartToStart": 0.2},
    )  # fmt: skip


def write_hyperstack(path: Path) -> Path:
    """Three times, four depths, two channels, as ImageJ has them."""
    pixels = RNG.integers(0, 60000, (3, 4, 2, 10, 12)).astype(np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TZCYX"})
    return path


def write_slices(folder: Path) -> Path:
    """Twelve PNG of 16 bits."""
    folder.mkdir(parents=True)
    for number in range(1, 13):
        Pillow.fromarray(RNG.integers(0, 60000, (11, 14)).astype(np.uint16)).save(folder / f"s_{number}.png")
    return folder


def build_recording(root: Path) -> Builder:
    build = Builder(root / "ds")
    build.session(1, start_time="14:20", end_time="")
    build.ephys(write_recording(root / "a.abf"), "10000")
    return build


def build_text(root: Path) -> Builder:
    """Two sweeps of two channels as an Axon text file."""
    build = Builder(root / "ds")
    build.session()
    key = f"yuste/{DATE}/ephys/raw/e1.atf"
    build.put(key, make_atf(make_columns(300)))
    cells = {"recording_type": "somatic patch; ex vivo", "sampling_rate": "20000", "file_path_raw": key}
    build.row("ephys", ephys_id="RY_E_0001", session_id="RY_S_0001", **cells)
    return build


def build_movie(root: Path) -> Builder:
    build = Builder(root / "ds")
    build.session(1)
    build.movie(write_hyperstack(root / "m.tif"), (12, 10, 12))
    return build


def build_volume(root: Path) -> Builder:
    build = Builder(root / "ds")
    build.sem(write_hyperstack(root / "v.tif"))
    return build


def build_stack(root: Path) -> Builder:
    build = Builder(root / "ds")
    build.sem(write_slices(root / "s"))
    return build


BUILDS: dict[str, tuple[str, Callable[[Path], Builder]]] = {
    "recording": ("abf", build_recording),
    "text": ("atf", build_text),
    "movie": ("tiff", build_movie),
    "volume": ("tiff", build_volume),
    "stack": ("slices", build_stack),
}
CASES = [
    *(("recording", wrong) for wrong in wrong_readers.RECORDINGS),
    *(("text", wrong) for wrong in (wrong_readers.shift_sweep, wrong_readers.double_rate, wrong_readers.lose_sweep)),
    *(("stack", wrong) for wrong in wrong_readers.ANY_IMAGE),
    *((name, wrong) for name in ("movie", "volume") for wrong in wrong_readers.ANY_IMAGE),
    *((name, wrong) for name in ("movie", "volume") for wrong in wrong_readers.HYPERSTACKS),
]
CHOSEN = random.Random(2).sample(CASES, min(campaign(14, len(CASES)), len(CASES)))


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a wrong reader in the place of the right one, in this process."""

    def install_reader(format: str, wrong: Callable[[Any], Any]) -> None:
        module = importlib.import_module(f"neuropress.readers.{format}.read")
        right = module.read
        monkeypatch.setattr(module, "read", lambda *given: tuple(wrong(content) for content in right(*given)))

    return install_reader


def list_verdicts(report: Report) -> dict[str, str]:
    return {r["library"]: r["verdict"] for outcome in report.outcomes for r in outcome.facts["independent"]}


@pytest.mark.parametrize("kind", BUILDS)
def test_the_right_reader_is_agreed_with(tmp_path: Path, kind: str) -> None:
    build = BUILDS[kind][1](tmp_path)
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    report = dataset.verify(independent=True)
    assert report.ok, report.findings
    assert set(list_verdicts(report).values()) == {"agrees"}, report.findings
    libraries = {"recording": {"neo", "pyABF"}, "text": {"pyABF"}}
    assert list_verdicts(report).keys() == libraries.get(kind, {"Pillow"})


@pytest.mark.parametrize(("kind", "wrong"), CHOSEN, ids=lambda x: getattr(x, "__name__", x))
def test_a_wrong_reader_is_found_by_another_library_alone(
    tmp_path: Path, kind: str, wrong: Callable[[Any], Any], install: Callable[..., None]
) -> None:
    format, make = BUILDS[kind]
    build = make(tmp_path)
    install(format, wrong)
    dataset = neuropress.open(build.root)
    converted = dataset.convert()
    assert converted.ok, converted.findings
    assert dataset.verify().ok  # it reads what it read
    report = dataset.verify(independent=True)
    assert not report.ok
    assert {f.id for f in report.findings if f.severity == "error"} == {"independent.different"}
    assert [outcome.done for outcome in report.outcomes] == ["differs"]
    assert "differs" in list_verdicts(report).values()
