"""A waiver holds in every verb: what a person answers for withholds nothing that could be read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from builder import Builder, abf, movie

from neuropress.checks.waivers import find_unmatched_waivers, load_waivers
from neuropress.cli.main import main
from neuropress.model.finding import Finding, Location, Severity
from neuropress.model.waiver import waive_all

HEADER = "finding,row,reason,person,expiry\n"


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    return build


def waive(lab: Builder, *lines: str) -> None:
    text = "".join(f"{line},old cohort,Ada Example,29991231\n" for line in lines)
    (lab.root / "waivers.csv").write_text(HEADER + text, "utf-8")


def errors(lab: Builder, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """Finding and row of every error that a check tells."""
    capsys.readouterr()
    main(["check", str(lab.root), "--format", "jsonl"])
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(f["id"], f["location"].get("key", "")) for f in findings if f["severity"] == "error"]


@pytest.mark.parametrize(
    ("table", "cells", "line"),
    [
        ("mouse", {"strain": "A; B"}, "mouse.genotype_count,mouse.RY_M_0001"),
        ("image", {"numerical_aperture": "2.5"}, "cell.range,image.RY_IMG_0001.numerical_aperture"),
        ("ephys", {"sampling_rate": "10000"}, "header.disagrees,ephys.RY_E_0001.sampling_rate"),
        ("mouse", {"virus_id": "RY_V_0009"}, "link.dangling,mouse.RY_M_0001.virus_id"),
    ],
)
def test_a_waived_error_on_a_row_that_can_be_read_withholds_nothing(
    lab: Builder, table: str, cells: dict[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.change(table, **cells)
    assert [id for id, _ in errors(lab, capsys)] == [line.split(",")[0]]
    waive(lab, line)
    assert main(["check", str(lab.root)]) == 0
    assert main(["plan", str(lab.root)]) == 0
    assert main(["convert", str(lab.root)]) == 0
    assert "waived by Ada Example until 29991231: old cohort" in capsys.readouterr().out
    assert lab.output("RY_S_0001.nwb") is not None
    assert main(["run", str(lab.root)]) == 0
    assert main(["publish", str(lab.root), "--to", str(lab.root.parent / "rel"), "--release", "1.0.0"]) == 0


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ({"weight": "heavy"}, "cell.type,mouse.RY_M_0001.weight"),
        ({"sex": "male"}, "cell.damaged,mouse.RY_M_0001"),
    ],
)
def test_a_waived_row_that_cannot_be_read_is_withheld_by_a_warning(
    lab: Builder, cells: dict[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.change("mouse", **cells)
    ((id, key),) = errors(lab, capsys)
    waive(lab, f"{id},mouse.{key}")
    assert main(["check", str(lab.root)]) == 0
    for verb in ("plan", "convert"):
        capsys.readouterr()
        assert main([verb, str(lab.root)]) == 0, verb
        assert "waived by Ada Example" in capsys.readouterr().out
    assert lab.output("RY_S_0001.nwb") is None


def test_another_error_of_a_waived_row_still_withholds_it(lab: Builder) -> None:
    lab.change("mouse", weight="500", sex="male")
    waive(lab, "cell.range,mouse.RY_M_0001.weight")
    assert main(["check", str(lab.root)]) == 1
    assert main(["convert", str(lab.root)]) == 1


def test_a_raw_file_that_is_gone_can_be_waived_but_not_converted(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.raw("yuste/20250620/ephys/raw/e1.abf").unlink()
    waive(lab, "file.missing,ephys.RY_E_0001")
    for verb in ("check", "convert"):
        assert main([verb, str(lab.root)]) == 0, verb
    assert "waived by Ada Example" in capsys.readouterr().out
    assert lab.output("RY_S_0001.nwb") is None


PATH = "yuste/20250620/session/nwb/RY_S_0001.nwb"


@pytest.mark.parametrize("id", ["cell.range", "nwbinspector:check_subject_age"])
def test_a_waiver_may_name_a_result(lab: Builder, id: str) -> None:
    waive(lab, f"{id},{PATH}")
    held, findings = load_waivers(lab.root, lab.dataset.config.profile, date(2026, 1, 1))
    assert (len(held), findings) == (1, [])
    here = Finding(id, "x", Severity.ERROR, "x", location=Location(file=PATH))
    other = replace(here, location=Location(file=PATH.replace("0001", "0002")))
    waived = waive_all([here, other], held)
    assert [f.severity for f in waived] == [Severity.WARNING, Severity.ERROR]
    assert find_unmatched_waivers(held, []) == []
    assert main(["check", str(lab.root)]) == 0


@pytest.mark.parametrize("row", ["../x.nwb", "/a/x.nwb", "a/b.tif"])
def test_a_waiver_names_no_other_file(lab: Builder, row: str, capsys: pytest.CaptureFixture[str]) -> None:
    waive(lab, f"header.disagrees,{row}")
    assert main(["check", str(lab.root)]) == 1
    assert "waiver.invalid" in capsys.readouterr().out


def test_nobody_answers_for_a_missing_proof(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    waive(lab, f"verify.different,{PATH}")
    assert main(["check", str(lab.root)]) == 1
    assert "waiver.invalid" in capsys.readouterr().out


def test_a_validators_error_is_waived_alike_in_validate_status_and_publish(
    lab: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = lab.root.parent / "rel"
    order = ["publish", str(lab.root), "--to", str(release), "--release", "1.0.0"]
    assert main(["convert", str(lab.root)]) == 0
    bad = Finding("nwbinspector:check_subject_age", "x", Severity.ERROR, "no age", location=Location(file=PATH))
    monkeypatch.setattr("neuropress.results.nwb.file.validate", lambda *_: [bad])

    def validated() -> bool:
        capsys.readouterr()
        main(["status", str(lab.root), "--json"])
        states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return next(state["validated"] for state in states if state.get("target") == PATH)

    assert main(["validate", str(lab.root)]) == 1
    assert main(order) == 1
    assert not validated()
    waive(lab, f"{bad.id},{PATH}")
    assert main(["validate", str(lab.root)]) == 0
    assert validated()
    assert main(order) == 0
    (waiver,) = json.loads((release / "releases/1.0.0.json").read_text())["notes"]["waivers"]
    assert waiver == {
        "finding": bad.id,
        "row": PATH,
        "reason": "old cohort",
        "person": "Ada Example",
        "expiry": "29991231",
    }
