"""Fixes of damaged cells: proposed, signed by a person, laid over the tables, shown everywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from builder import Builder, abf, git
from clean_tables import PROFILE, write_clean
from hypothesis import given
from hypothesis import strategies as st
from table_sources import Rows, contents, to_jsonl, to_sqlite, to_tsv, to_workbook

import neuropress
from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.config import load_config
from neuropress.tables import TableSource, load_tables
from neuropress.tables.fixes import COLUMNS
from neuropress.verbs.fix import propose_lines


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1, session_date="20250620.0", start_time="0.375")
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    return build


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def sign(path: Path, person: str = "Ada Example", **changes: str) -> None:
    write(path, [line | {"person": person} | changes for line in lines(path)])


def proposed(build: Builder) -> Path:
    path = build.root.parent / "fixes.csv"
    assert main(["check", str(build.root), "--propose", str(path)]) == 0
    return path


def ids(build: Builder) -> list[str]:
    """What is wrong with the tables; that nobody has listed the people is another matter."""
    found = neuropress.open(build.root).check(tables_only=True).findings
    return [f.id for f in found if f.severity != "info" and f.id != "people.unlisted"]


def test_a_signed_fix_reaches_the_result_and_says_who_and_why(
    lab: Builder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in (lab.root / "tables").iterdir()}
    path = proposed(lab)
    assert [(x["column"], x["text"], x["fix"], x["person"]) for x in lines(path)] == [
        ("session_date", "20250620.0", "20250620", ""),
        ("start_time", "0.375", "09:00", ""),
    ]
    sign(path)
    assert main(["check", str(lab.root), "--apply", str(path)]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert ids(lab) == []
    assert main(["run", str(lab.root)]) == 0
    result = lab.output("RY_S_0001.nwb")
    capsys.readouterr()
    assert main(["explain", str(result), "session_start_time"]) == 0
    output = capsys.readouterr().out
    (line,) = [line for line in output.splitlines() if "column start_time" in line]
    assert all(fact in line for fact in ("'09:00'", "Ada Example", "'0.375'", "a time that was turned"))
    assert main(["explain", str(result), "session_start_time", "--json"]) == 0
    fixes = json.loads(capsys.readouterr().out)["fixes"]
    assert fixes[1] == {
        "original": "0.375", "text": "09:00", "person": "Ada Example",
        "reason": "a time that was turned into a fraction of a day",
    }  # fmt: skip
    assert main(["coverage", str(lab.root)]) == 0
    assert main(["explain", str(lab.root), "--cell", "session.RY_S_0001.start_time"]) == 0
    assert "/session_start_time" in capsys.readouterr().out
    assert main(["export-tables", str(lab.root / "output"), "--to", str(tmp_path / "out")]) == 0
    assert "RY_S_0001,RY_M_0001,Ada Example,20250620.0,0.375,09:50,," in (tmp_path / "out/session.csv").read_text()
    fixes_of_export = [
        (x["key"], x["column"], x["text"], x["fix"], x["person"]) for x in lines(tmp_path / "out/applied_fixes.csv")
    ]
    assert fixes_of_export == [
        ("RY_S_0001", "session_date", "20250620.0", "20250620", "Ada Example"),
        ("RY_S_0001", "start_time", "0.375", "09:00", "Ada Example"),
    ]


def test_tables_and_fixes_that_were_exported_make_the_same_dataset(lab: Builder, tmp_path: Path) -> None:
    sign(path := proposed(lab))
    neuropress.open(lab.root).apply_fixes(path)
    neuropress.open(lab.root).convert()
    neuropress.open(lab.root).export_tables(lab.root / "again")
    result = lab.output("RY_S_0001.nwb")
    for name in ("session.csv", "applied_fixes.csv"):
        folder = lab.root / "tables" if name != "applied_fixes.csv" else lab.root
        (lab.root / "again" / name).replace(folder / name)
    assert result is not None
    assert [o.done for o in neuropress.open(lab.root).plan().outcomes] == ["up to date"]


def test_what_nobody_signed_changes_nothing(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    before = ids(lab)
    path = proposed(lab)
    sign(path, person="  ")
    assert main(["check", str(lab.root), "--apply", str(path)]) == 0
    assert "2 lines without a person: nothing is changed by them" in capsys.readouterr().out
    assert ids(lab) == before == ["cell.damaged", "cell.damaged"]


def test_signed_proposals_are_not_overwritten_before_they_are_applied(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = proposed(lab)
    assert main(["check", str(lab.root), "--propose", str(path)]) == 0
    sign(path)
    signed = path.read_bytes()
    assert main(["check", str(lab.root), "--propose", str(path)]) == 1
    assert "fixes.exists" in capsys.readouterr().out
    assert path.read_bytes() == signed
    assert main(["check", str(lab.root), "--apply", str(path)]) == 0
    assert main(["check", str(lab.root), "--propose", str(path)]) == 0
    assert lines(path) == []
    path.write_text("my thesis", encoding="utf-8")
    assert main(["check", str(lab.root), "--propose", str(path)]) == 1
    assert path.read_text("utf-8") == "my thesis"


def test_a_spreadsheet_that_damages_the_proposals_does_no_harm(lab: Builder) -> None:
    path = proposed(lab)
    date_line, time_line = lines(path)
    date_line |= {"text": "20250620", "fix": "20250620.0", "line": "2.0", "person": "Ada Example"}
    time_line |= {"text": "09:00:00", "fix": "9:00", "person": "Ada Example"}
    write(path, [date_line, time_line])
    report = neuropress.open(lab.root).apply_fixes(path)
    assert [o.done for o in report.outcomes] == ["applied", "applied"]
    assert [(x["text"], x["fix"]) for x in lines(lab.root / "applied_fixes.csv")] == [
        ("20250620.0", "20250620"),
        ("0.375", "09:00"),
    ]


def test_a_person_may_write_another_fix_than_the_proposed(lab: Builder) -> None:
    path = proposed(lab)
    write(path, [lines(path)[0] | {"fix": "20250621", "person": "Ada Example"}])
    assert neuropress.open(lab.root).apply_fixes(path).ok
    row = load_tables(load_config(lab.root).tables, PROFILE).get_rows("session")["RY_S_0001"]
    assert (row.values["session_date"], row.cells["session_date"].original) == ("20250621", "20250620.0")


def test_a_fix_that_its_column_may_not_hold_is_refused(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    path = proposed(lab)
    write(path, [lines(path)[1] | {"fix": "nine", "person": "Ada Example"}])
    assert main(["check", str(lab.root), "--apply", str(path)]) == 1
    output = capsys.readouterr().out
    assert "fix.wrong" in output
    assert "start_time: 'nine' is " in output
    assert ids(lab) == ["cell.damaged", "cell.damaged"]


def test_a_fix_whose_cell_was_corrected_meanwhile_is_stale_and_does_nothing(lab: Builder) -> None:
    sign(path := proposed(lab))
    neuropress.open(lab.root).apply_fixes(path)
    lab.change("session", start_time="09:10")
    assert ids(lab) == ["fix.stale"]
    row = load_tables(load_config(lab.root).tables, PROFILE).get_rows("session")["RY_S_0001"]
    assert row.values["start_time"] == "09:10"
    assert row.cells["start_time"].fix is None


def test_a_damaged_key_is_mended_and_its_rows_find_it(lab: Builder, tmp_path: Path) -> None:
    lab.change("session", session_id="ry-s-1", session_date="20250620", start_time="09:00")
    path = proposed(lab)
    assert [(x["key"], x["column"], x["fix"]) for x in lines(path)] == [("ry-s-1", "session_id", "RY_S_0001")]
    sign(path)
    assert neuropress.open(lab.root).apply_fixes(path).ok
    assert ids(lab) == []
    assert neuropress.open(lab.root).convert().ok
    report = neuropress.open(lab.root).coverage()
    covered = report.coverage
    assert report.ok
    assert covered.cells == sum(covered.totals().values())
    for key in ("ry-s-1", "RY_S_0001"):
        assert neuropress.open(lab.root).find_cell(f"session.{key}.start_time")
    neuropress.open(lab.root).export_tables(tmp_path / "out")
    assert "\nry-s-1,RY_M_0001," in (tmp_path / "out/session.csv").read_text("utf-8")


def test_rows_that_no_result_carries_keep_their_fixes(lab: Builder, tmp_path: Path) -> None:
    lab.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", birth_date="45658")
    sign(path := proposed(lab))
    neuropress.open(lab.root).apply_fixes(path)
    assert neuropress.open(lab.root).convert().ok
    neuropress.open(lab.root).export_tables(tmp_path / "out")
    assert ("mouse", "RY_M_0002", "birth_date", "45658", "20250101") in [
        (x["table"], x["key"], x["column"], x["text"], x["fix"]) for x in lines(tmp_path / "out/applied_fixes.csv")
    ]


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ({"table": "sessions"}, "fix.invalid"),
        ({"column": "strat_time"}, "fix.invalid"),
        ({"key": "RY_S_0002"}, "fix.stale"),
        ({"text": "0.376"}, "fix.stale"),
        ({"person": ""}, "fix.unsigned"),
        ({"fix": "25:00"}, "fix.wrong"),
        ({"table": "sem_dataset", "column": "file_path_local"}, "fix.invalid"),
    ],
)
def test_a_line_of_applied_fixes_that_cannot_be_used_is_told(lab: Builder, change: dict[str, str], id: str) -> None:
    sign(path := proposed(lab))
    neuropress.open(lab.root).apply_fixes(path)
    record = lab.root / "applied_fixes.csv"
    good, bad = lines(record)
    write(record, [good, bad | change])
    assert sorted(ids(lab)) == sorted(["cell.damaged", id])
    write(record, [good, bad, bad])
    assert ids(lab) == ["fix.invalid"]


def test_a_private_cell_cannot_be_fixed(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    write_clean(root / "tables", {"sem_dataset.file_path_local": " padded"})
    assert [line for line in propose_lines(load_config(root)) if line.column == "file_path_local"] == []


@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_whatever_stands_in_applied_fixes_nothing_changes_in_silence(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "hostile"
    if not root.exists():
        Dataset.init(root, "dendritic-consortium")
        write_clean(root / "tables", {"session.start_time": "0.375"})
    config = load_config(root)
    (root / "applied_fixes.csv").unlink(missing_ok=True)
    before = load_tables(config.tables, PROFILE)
    (root / "applied_fixes.csv").write_bytes(data)
    after = load_tables(config.tables, PROFILE)
    assert len(after.findings) > len(before.findings)
    assert [row.cells for row in after.get_rows("session").values()] == [
        row.cells for row in before.get_rows("session").values()
    ]


def _dates() -> Iterator[tuple[str, str, str]]:
    for number in range(12):
        day = date(2024, 1, 1) + timedelta(days=47 * number)
        for damaged in (
            f"{day:%Y%m%d}.0", f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d} 00:00:00", f"{day:%Y-%m-%dT00:00:00}",
            str((day - date(1899, 12, 30)).days), f" {day:%Y%m%d}", f"{day:%d/%m/%Y}", f"{day:%m/%d/%y}",
        ):  # fmt: skip
            yield "session.session_date", damaged, f"{day:%Y%m%d}"


def _times() -> Iterator[tuple[str, str, str]]:
    for minutes in range(1, 1440, 113):
        hour, minute = divmod(minutes, 60)
        true, fraction = f"{hour:02d}:{minute:02d}", minutes / 1440
        for damaged in (
            f"{true}:00", f"{hour}:{minute:02d}:00", f"{(hour - 1) % 12 + 1}:{minute:02d} {'PM' if hour > 11 else 'AM'}",
            f"{fraction:.4f}", f"{fraction:.9f}", repr(fraction), f"{fraction:.3f}", f"{true} ",
        ):  # fmt: skip
            yield "session.start_time", damaged, true


def _others() -> Iterator[tuple[str, str, str]]:
    truths = {
        "TRUE": ("True", "true", "1", "1.0", "WAHR", "yes", "VRAI"),
        "FALSE": ("False", "0", "0.0", "FALSCH", "no"),
    }
    yield from (("virus.floxed", damaged, true) for true, all_damaged in truths.items() for damaged in all_damaged)
    yield from (("image.x", f"{number}.0", str(number)) for number in (64, 128, 512, 2048))
    genes = {"1-Mar": "MARCH1", "8-Mar": "MARCH8", "2-Sep": "SEPT2", "Sep-07": "SEPT7", "1-Dec": "DEC1"}
    yield from (("plasmid.gene", damaged, true) for damaged, true in genes.items())
    yield "mouse.genotype", "#NAME?", "+/-"
    for damaged in ("ry_s_1", "RY-S-0001", "RY_S_0001.0", "ry s 1", " RY_S_0001", "RY_S_1"):
        yield "image.session_id", damaged, "RY_S_0001"


INTACT = {
    "plasmid.gene": ("MARCH1", "SEPT2", "Oct4", "DEC1", "1-Marvel", "May"),
    "session.start_time": ("00:00", "23:59", "09:05"),
    "session.session_date": ("20250101", "20240229"),
    "virus.titer": ("1.0", "1e13", "45658"),
    "mouse.weight": ("24.0", "0.375"),
    "session.notes": ("1-Mar", "0.375", "2025-01-01", "9:30"),
    "model.model_version": ("1.0", "2025-01-01"),
}


def guesses(folder: Callable[[], Path], column: str, text: str) -> list[str]:
    root = folder()
    write_clean(root / "tables", {column: text})
    return [line.fix for line in propose_lines(load_config(root)) if f"{line.table}.{line.column}" == column]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], Path]:
    root = tmp_path / "labelled"
    Dataset.init(root, "dendritic-consortium")
    return lambda: root


def test_proposals_are_right_or_left_to_a_person(folder: Callable[[], Path]) -> None:
    """docs/checking.md states these figures."""
    labelled = [*_dates(), *_times(), *_others()]
    made = [(true, guesses(folder, column, damaged)) for column, damaged, true in labelled]
    assert all(len(fixes) == 1 for _, fixes in made)
    right = sum(fixes == [true] for true, fixes in made)
    blank = sum(fixes == [""] for _, fixes in made)
    assert (len(made), right, blank, len(made) - right - blank) == (228, 199, 29, 0)


@pytest.mark.parametrize("column", INTACT)
def test_what_only_looks_damaged_is_left_alone(folder: Callable[[], Path], column: str) -> None:
    for text in INTACT[column]:
        assert guesses(folder, column, text) == [], text


@pytest.mark.parametrize("make", [to_tsv, to_jsonl, to_sqlite, to_workbook])
def test_fixes_are_laid_over_every_kind_of_source(tmp_path: Path, make: Callable[[Rows, Path], TableSource]) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    write_clean(root / "tables", {"session.start_time": "0.375", "mouse.birth_date": "45658"})
    source = make(contents(root / "tables"), root / "source_of_tables")
    with (root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[tables]\nsource = "{Path(source.location).as_posix()}"\n')
    before = {p: p.read_bytes() for p in root.rglob("source_of_tables*") if p.is_file()}
    dataset = Dataset.open(root)
    dataset.propose_fixes(tmp_path / "fixes.csv")
    sign(tmp_path / "fixes.csv")
    assert [o.done for o in dataset.apply_fixes(tmp_path / "fixes.csv").outcomes] == ["applied", "applied"]
    report = dataset.check(tables_only=True)
    assert {f.id for f in report.findings if f.severity != "info"} <= {"people.unlisted"}
    assert dataset.records("session")[0].values["start_time"] == "09:00"
    assert dataset.records("mouse")[0].values["birth_date"] == "20250101"
    assert {p: p.read_bytes() for p in before} == before


def test_a_fix_is_part_of_the_revision_that_since_compares_with(lab: Builder) -> None:
    git(lab.root, "init", "-q")
    git(lab.root, "add", "-A")
    git(lab.root, "commit", "-q", "-m", "damaged")
    sign(path := proposed(lab))
    neuropress.open(lab.root).apply_fixes(path)
    assert neuropress.open(lab.root).check(since="HEAD").ok
    git(lab.root, "add", "-A")
    git(lab.root, "commit", "-q", "-m", "fixed")
    (lab.root / "applied_fixes.csv").unlink()
    report = neuropress.open(lab.root).check(since="HEAD")
    assert [f.id for f in report.findings if f.severity == "error"] == ["cell.damaged", "cell.damaged"]


def test_a_fix_of_one_cell_hides_no_formula_in_another(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    write_clean(root / "tables", {"session.start_time": "0.375", "session.notes": "=1+1"})
    source = to_workbook(contents(root / "tables"), root / "source_of_tables")
    with (root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[tables]\nsource = "{Path(source.location).as_posix()}"\n')
    dataset = Dataset.open(root)
    dataset.propose_fixes(tmp_path / "fixes.csv")
    sign(tmp_path / "fixes.csv")
    assert dataset.apply_fixes(tmp_path / "fixes.csv").outcomes[0].done == "applied"
    errors = [f for f in Dataset.open(root).check(tables_only=True).findings if f.severity == "error"]
    assert [(f.location.table, f.location.column) for f in errors] == [("session", "notes")]
