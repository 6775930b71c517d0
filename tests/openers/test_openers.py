"""What results open in, and what refuses which for what reason: docs/opens-in.md states what is asserted here."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
from campaigns import campaign
from conftest import ROOT, corpus_folder
from neo.io import NWBIO
from opening import NWB, OME_ZARR, PROGRAMS, STORED, read_signals
from results import (
    convert_tasks,
    find_dandi_errors,
    has_dandi,
    list_tasks,
    make_demo,
    open_results,
    organize_results,
    validate_dandiset,
)

ALWAYS = {"h5py", "pynwb", "nwbinspector", "zarr", "tensorstore", "ome-zarr-models", "neo"}
"""Packages that whoever runs the tests has."""
NEO = "neo `NWBIO`"
FACTOR, ANNOTATION = "ValueError: Can't handle this conversion factor", "ValueError: Invalid annotation"
PAGE = ROOT / "docs" / "opens-in.md"
REQUIREMENTS = ROOT / "tests" / "openers" / "requirements.txt"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demonstration's, and those of real files where there are any: a seeded sample, or all."""
    folder = tmp_path_factory.mktemp("openers")
    corpus = corpus_folder()
    tasks = [*list_tasks(corpus)] if corpus else []
    chosen = random.Random(5).sample(tasks, min(campaign(10, 999), len(tasks)))
    return [*make_demo(folder), *convert_tasks(chosen, folder)]


@pytest.fixture(scope="module")
def opened(results: list[Path]) -> list[dict[str, Any]]:
    return open_results(results)


@pytest.mark.parametrize("program", [program for program in PROGRAMS if program.name != NEO], ids=lambda p: p.name)
def test_every_result_opens(opened: list[dict[str, Any]], program: Any) -> None:
    own = [one for one in opened if one["program"] == program.name]
    assert own
    if program.package not in ALWAYS and not own[0]["version"]:
        pytest.skip(f"{program.package} is not installed (tests/openers/requirements.txt)")
    refused = [one for one in own if one["outcome"] not in ("opened", "nothing to read")]
    assert not refused
    # Critical in nwbinspector's default configuration, and explained: a movie of fewer frames than pixels a side.
    assert {check for one in own for check in one.get("facts", {}).get("critical", ())} <= {"check_data_orientation"}
    if program.package == "pynapple":
        assert {one["facts"]["values"] for one in own} <= {STORED, "nothing to scale"}


def test_neo_opens_or_refuses_for_a_known_reason(opened: list[dict[str, Any]], results: list[Path]) -> None:
    sessions = {path.name: path for path in results if path.name.endswith(NWB)}
    own = [one for one in opened if one["program"] == NEO]
    assert {one["result"] for one in own} == set(sessions)
    for one in own:
        signals = read_signals(sessions[one["result"]]).values()
        if one["outcome"] == "refused":
            assert one["cause"].startswith((FACTOR, ANNOTATION)), one
        else:
            assert one["outcome"] == "opened" or not signals
            thousands = [np.log10(signal.conversion) / 3 for signal in signals]
            np.testing.assert_allclose(thousands, np.round(thousands), atol=1e-6)


@pytest.mark.parametrize(
    ("about", "series", "cause"),
    [
        ({}, {"conversion": 1e-3}, ""),
        ({}, {"conversion": 3.0517578125e-5}, FACTOR),
        ({"keywords": ["a"]}, {"conversion": 1e-3}, ANNOTATION),
        ({}, {"dimension": [4, 5]}, ANNOTATION),
    ],
    ids=["fine", "factor", "keywords", "dimension"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_neo_refuses_is_not_ours_alone(
    tmp_path: Path, about: dict[str, Any], series: dict[str, Any], cause: str
) -> None:
    """Files that pynwb wrote from its own classes, nothing of ours, are refused for the same reasons."""
    file = pynwb.NWBFile("d", "i", datetime(2025, 6, 20, tzinfo=UTC), **about)
    if "dimension" in series:
        file.add_acquisition(pynwb.image.ImageSeries("m", data=np.zeros((3, 4, 5)), unit="n.a.", rate=1.0, **series))
    else:
        file.add_acquisition(pynwb.TimeSeries("m", data=np.arange(5), unit="volts", rate=1.0, **series))
    with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "w") as io:
        io.write(file)
    neo = NWBIO(str(tmp_path / "a.nwb"), "r")
    try:
        if cause:
            with pytest.raises(ValueError, match=re.escape(cause.removeprefix("ValueError: "))):
                neo.read_all_blocks()
        else:
            (block,) = neo.read_all_blocks()
            assert (
                block.segments[0].analogsignals[0].units == 1e-3 * block.segments[0].analogsignals[0].units.simplified
            )
    finally:
        neo.close()


def test_the_page_s_way_to_neo_works(results: list[Path]) -> None:
    """The lines that the page shows, in a Python of their own, on the demonstration's session."""
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    session = next(path for path in results if path.name.endswith(NWB))
    ending = "print(json.dumps({one.name: one.simplified.magnitude.ravel().tolist() for one in signals}))"
    code = "import json\n" + lines.replace("cell1.nwb", str(session)) + ending
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    signals = read_signals(session)
    read = json.loads(done.stdout)
    assert read
    for name, values in read.items():
        np.testing.assert_allclose(values, signals[name].values.ravel(), rtol=1e-6)


@pytest.fixture(scope="module")
def sessions(results: list[Path]) -> list[Path]:
    if not has_dandi():
        pytest.skip("dandi is not installed (neuropress tools install dandi)")
    return [path for path in results if path.name.endswith(NWB)]


def test_dandi_has_no_error_on_any_session(sessions: list[Path]) -> None:
    assert not find_dandi_errors(sessions)


def test_dandi_organizes_every_session_and_accepts_the_names(sessions: list[Path], tmp_path: Path) -> None:
    assert len(organize_results(sessions, tmp_path / "dandiset")) == len(sessions)
    found = validate_dandiset(tmp_path / "dandiset")
    assert not [one for one in found if one["severity"] not in ("HINT", "WARNING", "INFO")]


def test_the_page_names_the_programs_that_are_asked() -> None:
    """Every program with the version that is installed for it; those that we need ourselves with ours."""
    pinned = dict(line.split("==") for line in REQUIREMENTS.read_text("utf-8").split() if "==" in line)
    ours = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())
    text = PAGE.read_text("utf-8")
    for program in PROGRAMS:
        assert f"| {program.name} | {pinned[program.package]} |" in text
        assert ours.get(program.package, pinned[program.package]) == pinned[program.package]
    assert {program.takes for program in PROGRAMS} == {NWB, OME_ZARR}
    assert "NEUROPRESS_OPENERS" in text
