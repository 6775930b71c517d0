"""Columns that no profile knows: a warning, and their cells travel as they stand, unless they may be private."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from builder import Builder, abf, slices

from neuropress.cli.main import main
from neuropress.model.finding import Severity


def add_columns(path: Path, columns: Mapping[str, str]) -> None:
    """Columns beyond the published ones, each with one text in all rows."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *columns])
        writer.writerows([*row, *columns.values()] for row in rows)


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.sem(slices(tmp_path / "v"))
    add_columns(build.root / "tables/session.csv", {"rig": "Rig 2, west", "contact": "jane@lab.edu", "": ""})
    add_columns(build.root / "tables/sem_dataset.csv", {"bench": "third floor"})
    return build


def test_unknown_columns_travel_and_come_back(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(lab.root), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    places = [
        (f["id"], f["severity"], f["location"].get("column"))
        for f in found
        if f.get("id", "")[:5] in ("table", "priva")
    ]
    assert sorted(places) == [
        ("privacy.email", "warning", "contact"),
        ("table.column_unknown", "warning", ""),
        ("table.column_unknown", "warning", "column 13"),
        ("table.column_unknown", "warning", "contact"),
        ("table.column_unknown", "warning", "rig"),
    ]
    hint = next(f["hint"] for f in found if f.get("location", {}).get("column") == "rig")
    assert "optional" in hint
    assert "schemas/session.schema.json" in hint
    assert "jane@lab.edu" not in json.dumps(found)
    assert main(["run", str(lab.root)]) == 0
    assert main(["coverage", str(lab.root)]) == 0
    for path in (lab.root / "output").rglob("*"):
        assert not path.is_file() or b"jane@lab.edu" not in path.read_bytes(), path
        assert not path.is_file() or b"third floor" not in path.read_bytes(), path
    assert main(["export-tables", str(lab.root), "--to", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/session.csv").open(encoding="utf-8", newline="") as file:
        (session,) = csv.DictReader(file)
    assert (session["rig"], session["contact"]) == ("Rig 2, west", "")
    assert main(["explain", str(lab.root), "--cell", "session.RY_S_0001.rig"]) == 0
    assert main(["explain", str(lab.root), "--cell", "session.RY_S_0001.contact"]) == 0
    assert "left nothing behind" in capsys.readouterr().out


def test_a_fix_of_an_unknown_column_is_refused(lab: Builder) -> None:
    line = 'x,session,RY_S_0001,2,rig,"Rig 2, west",Rig 2,,,Ada Example\n'
    header = "id,table,key,line,column,text,fix,reason,finding,person\n"
    (lab.root / "applied_fixes.csv").write_text(header + line, "utf-8")
    assert "fix.invalid" in {f.id for f in lab.dataset.check().findings}


def test_rows_below_a_wrong_header_are_checked(lab: Builder) -> None:
    """A misspelt column is read as the one that is meant, and the others of the table as they are."""
    path = lab.root / "tables/ephys.csv"
    text = path.read_text("utf-8").replace("sampling_rate", "sampling rate").replace(",20000,", ",fast,")
    path.write_text(text.replace("RY_S_0001", "RY_S_0009"), "utf-8")
    errors = {(f.id, f.location.column) for f in lab.dataset.check().findings if f.severity is Severity.ERROR}
    assert errors == {
        ("table.column_unknown", "sampling rate"),
        ("cell.type", "sampling_rate"),
        ("link.dangling", "session_id"),
    }
