"""A behaviour table that nobody declared stays a warning that says what to add, in every verb."""

import json
import tomllib
from pathlib import Path

import h5py
import pytest
from builder import Builder
from test_behavior_table import WALK, add_table, ds, run_line  # noqa: F401

from neuropress.cli.main import main


def read_warnings(ds: Builder, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:  # noqa: F811
    capsys.readouterr()
    assert main(["check", str(ds.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.get("id") == "behavior.undeclared"]


def test_others_of_the_session_are_converted(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    add_table(ds, WALK)
    key = add_table(ds, "time_ms,x,y\n0,1,2\n10,2,3\n25,4,5\n", task="maze", notes="not a word of units")
    (found,) = read_warnings(ds, capsys)
    assert found["severity"] == "warning"
    assert f"{key} is not converted" in str(found["message"])
    assert "neuropress formats behavior_csv lists" in str(found["hint"])
    path = run_line(ds, capsys)
    with h5py.File(path) as file:
        assert list(file["processing/behavior/Position"]) == ["JB_B_0001_position"]
    assert main(["explain", str(ds.root), "--cell", "behavior.JB_B_0002.notes"]) == 0
    assert "record, verbatim" in capsys.readouterr().out


def test_what_the_warning_says_to_add_is_enough(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    add_table(ds, "a,b\n0,1\n10,2\n25,4\n")
    (found,) = read_warnings(ds, capsys)
    where, _, entries = str(found["message"]).partition("add under ")[2].partition(": ")
    stated = entries.partition(" (no rate")[0].replace('", ', '"\n').replace("UNIT", "px").replace("RATE", "30")
    assert set(tomllib.loads(stated)) == {"columns", "frame_rate"}
    with (ds.root / "neuropress.toml").open("a") as file:
        file.write(f"\n{where}\n{stated}\n")
    assert read_warnings(ds, capsys) == []
    with h5py.File(run_line(ds, capsys)) as file:
        assert file["processing/behavior/BehavioralTimeSeries/JB_B_0001_a/data"][:].tolist() == [0, 10, 25]


def test_a_session_of_nothing_else(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    add_table(ds, "a,b\n0,1\n")
    with h5py.File(run_line(ds, capsys)) as file:
        assert "behavior" not in file["processing"]
    assert len(read_warnings(ds, capsys)) == 1


@pytest.mark.corpus
def test_real_labels_of_deeplabcut(ds: Builder, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    folder = "behaviour/DeepLabCut__DeepLabCut/examples/openfield-Pranav-2018-10-30/labeled-data/m4s1"
    add_table(ds, (corpus / folder / "CollectedData_Pranav.csv").read_text())
    add_table(ds, WALK)
    (found,) = read_warnings(ds, capsys)
    assert "labelled" in str(found["message"])
    run_line(ds, capsys)
