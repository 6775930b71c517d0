"""Every ABF, TIFF and PNG of the corpus, read once more by other libraries: they agree, or are wrong for a known reason."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from builder import Builder
from campaigns import campaign
from neo.rawio import AxonRawIO

import neuropress
from neuropress.model.report import Report

pytestmark = pytest.mark.corpus

ABF = "abf/swharden__pyABF"
ATF = "sine sweep magnitude 20.atf"
FOLDERS = (
    "em/NEUBIAS__training-resources/image_data/xyz_8bit__em_volume_tiff_series",
    "em/zhixuhao__unet/data/membrane/train/image",
    "em/zhixuhao__unet/data/membrane/train/label",
    "tiff_timeseries/zeiss-microscopy__OAD/Experiment_Feedback/Testimages/Calcium_340-380_100frames",
    "tiff_zseries/brainglobe__brainreg/tests/data/input/brain",
)
NO_TABLE = "neo makes one run of 3 sweeps where there is no table of sweeps (lActualEpisodes 3, lSynchArraySize 0)"
WRONG = {  # file, library -> what it is known to be wrong about, with the header's fields that decide
    ("05210017_vc_abf1", "pyABF"): ("pyABF does not read the table of sweeps of ABF 1 (lSynchArraySize 6)",),
    ("File_axon_3", "pyABF"): ("pyABF does not read the table of sweeps of ABF 1 (lSynchArraySize 5)",),
    ("130618-1-12", "neo"): (
        NO_TABLE,
        "neo takes a date of two-digit years as one (lFileStartDate 180618)",
    ),
    ("171116sh_0015-ATFwaveform", "pyABF"): (
        "pyABF plays the file of the first output, unscaled (nWaveformSource 2, fDACFileScale, fDACFileOffset)",
    ),
    ("boundaries", "Pillow"): (
        "Pillow has no mode for samples of type i1 (BitsPerSample, SampleFormat): bits agree",
    ),
    ("multi-channel-z-series.ome", "Pillow"): (
        "Pillow has no mode for samples of type i1 (BitsPerSample, SampleFormat): bits agree",
    ),
}  # fmt: skip


def list_images(corpus: Path) -> list[Path]:
    """Single TIFF files, each with all of its pages, and folders of slices."""
    in_folders = {file for folder in FOLDERS for file in (corpus / folder).iterdir()}
    files = [p for p in corpus.rglob("*") if p.suffix.lower() in (".tif", ".tiff", ".png") and p not in in_folders]
    return sorted(files) + [corpus / folder for folder in FOLDERS]


@pytest.fixture(scope="module")
def read_again(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> tuple[Report, dict[str, str]]:
    """The report of `verify`, and the name of the file behind each key."""
    recordings, images = sorted((corpus / ABF).glob("*.abf")), list_images(corpus)
    chosen = set(random.Random(3).sample([*recordings, *images], min(campaign(12, 99), len(recordings) + len(images))))
    build = Builder(tmp_path_factory.mktemp("corpus") / "ds")
    build.change("mouse", birth_date="20040101")
    names = {}
    for number, path in enumerate([*recordings, *images], 1):
        if path not in chosen:
            continue
        if path.suffix == ".abf":
            started, rate = read_clock_and_rate(path)
            clock = {"session_date": f"{started:%Y%m%d}", "start_time": f"{started:%H:%M}", "end_time": ""}
            build.session(number % 14, session_id=f"RY_S_{number:04d}", **clock)
            folder = f"yuste/{started:%Y%m%d}/ephys/raw"
            build.ephys(path, f"{rate:.10g}", number, number, file_path_raw=f"{folder}/{path.name}")
            build.put(f"{folder}/{path.name}", path)
            build.put(f"{folder}/{ATF}", corpus / ABF / ATF)
            names[f"{folder}/{path.name}"] = path.stem
        else:
            names[build.sem(path, number)] = path.stem
    dataset = neuropress.open(build.root)
    converted = dataset.convert()
    assert converted.ok, [f for f in converted.findings if f.severity == "error"]
    return dataset.verify(independent=True), names


def read_clock_and_rate(path: Path) -> tuple[datetime, float]:
    """By neo: when the recording began, so that its session may begin in the same minute."""
    reader = AxonRawIO(str(path))
    reader.parse_header()
    return reader.raw_annotations["blocks"][0]["rec_datetime"], float(reader.get_signal_sampling_rate(0))


def test_they_agree_or_are_wrong_for_a_reason(read_again: tuple[Report, dict[str, str]]) -> None:
    report, names = read_again
    assert report.ok, [f for f in report.findings if f.severity == "error"]
    readings = [reading for outcome in report.outcomes for reading in outcome.facts["independent"]]
    assert {names[r["source"]] for r in readings} == set(names.values())
    for reading in readings:
        place = names[reading["source"]], reading["library"]
        assert tuple(reading["reasons"]) == WRONG.get(place, ()), place
        assert reading["verdict"] == ("library wrong" if place in WRONG else "agrees"), reading
        assert {"samples"} <= set(reading["agreed"]), reading
    print(Counter((r["library"], r["verdict"]) for r in readings))
    print(Counter((r["library"], subject) for r in readings for subject in r["agreed"]))


def test_every_subject_is_confirmed_by_somebody(read_again: tuple[Report, dict[str, str]]) -> None:
    """What one library is wrong about another one reads right, in these files, but for commands played from a file."""
    report, names = read_again
    agreed: dict[str, set[str]] = {}
    for outcome in report.outcomes:
        for reading in outcome.facts["independent"]:
            agreed.setdefault(reading["source"], set()).update(reading["agreed"])
    for key, subjects in agreed.items():
        if key.endswith(".abf"):
            clock = set() if names[key] == "130618-1-12" else {"date"}
            assert subjects >= {"samples", "scale", "unit", "rate", "start", "shape", *clock}, key
        else:
            assert subjects >= {"samples", "axes", "shape"}, key
