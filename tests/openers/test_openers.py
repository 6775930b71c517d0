"""What results open in, and what refuses which for what reason: docs/opens-in.md states what is asserted here."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
import quantities
from builder import abf
from campaigns import campaign
from conftest import ROOT, corpus_folder
from neo.io import NWBIO
from opening import NWB, OME_ZARR, PROGRAMS, STORED, Program, read_signals
from results import (
    ANIMAL,
    convert_tasks,
    find_dandi_errors,
    has_dandi,
    list_tasks,
    make_demo,
    open_results,
    organize_results,
    validate_dandiset,
)

import neuropress

ALWAYS = {"h5py", "pynwb", "nwbinspector", "zarr", "tensorstore", "ome-zarr-models", "neo"}
"""Packages that whoever runs the tests has; of the others those are asked that are installed, all in .ci/full."""
NEO = "neo `NWBIO`"
FACTOR, ANNOTATION = "ValueError: Can't handle this conversion factor", "ValueError: Invalid annotation"
PAGE = ROOT / "docs" / "opens-in.md"
REQUIREMENTS = ROOT / "tests" / "openers" / "requirements.txt"


def make_results(folder: Path, suffix: str) -> list[Path]:
    """The demonstration's, and those of real files where there are any: a seeded sample, or all."""
    corpus = corpus_folder()
    tasks = [task for task in list_tasks(corpus) if task.suffix == suffix] if corpus else []
    chosen = random.Random(5).sample(tasks, min(campaign(4, 999), len(tasks)))
    demo = [path for path in make_demo(folder) if path.name.endswith(suffix)]
    return [*demo, *convert_tasks(chosen, folder)]


def check_opened(program: Program, own: Sequence[dict[str, Any]]) -> None:
    """All of one program's outcomes are those that the page states."""
    for one in own:
        if program.name == NEO and one["outcome"] == "refused":
            assert one["cause"].startswith((FACTOR, ANNOTATION)), one
            continue
        assert one["outcome"] in ("opened", "nothing to read"), one
        facts = one.get("facts", {})
        # Critical in nwbinspector's default configuration, and explained: a movie of fewer frames than pixels a side.
        assert set(facts.get("critical", ())) <= {"check_data_orientation"}, one
        if program.package == "pynapple":
            assert facts["values"] in (STORED, "nothing to scale"), one


@pytest.mark.parametrize("suffix", [NWB, OME_ZARR])
def test_every_result_opens_or_is_refused_as_stated(tmp_path: Path, suffix: str) -> None:
    results = make_results(tmp_path, suffix)
    opened = open_results(results)
    for program in (program for program in PROGRAMS if program.takes == suffix):
        own = [one for one in opened if one["program"] == program.name]
        assert [one["result"] for one in own] == [path.name for path in results]
        is_expected = program.package in ALWAYS or "NEUROPRESS_OPENERS" in os.environ
        if own[0]["version"] or is_expected:
            check_opened(program, own)


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
            assert block.segments[0].analogsignals[0].units == quantities.mV
    finally:
        neo.close()


def test_the_page_s_way_to_neo_works(tmp_path: Path) -> None:
    """The lines that the page shows, in a Python of their own."""
    raw, session = abf(tmp_path / "cell1.abf"), tmp_path / "cell1.nwb"
    clock = {"timezone": "Europe/Berlin", "start": "2025-06-20T09:30"}
    assert neuropress.convert_file(raw, session, neuropress.Stated(**clock, cells=ANIMAL)).ok
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    ending = "print(json.dumps({one.name: one.simplified.magnitude.ravel().tolist() for one in signals}))"
    code = f"import json\n{lines}{ending}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True, stdout=subprocess.PIPE
    )
    signals, read = read_signals(session), json.loads(done.stdout)
    assert read
    for name, values in read.items():
        np.testing.assert_allclose(values, signals[name].values.ravel(), rtol=1e-6)


@pytest.mark.skipif(not has_dandi(), reason="dandi is not installed (neuropress tools install dandi)")
def test_dandi_files_every_session_and_has_no_error(tmp_path: Path) -> None:
    sessions = make_results(tmp_path, NWB)
    assert not find_dandi_errors(sessions)
    assert len(organize_results(sessions, tmp_path / "dandiset")) == len(sessions)
    found = validate_dandiset(tmp_path / "dandiset")  # now their names, too
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
