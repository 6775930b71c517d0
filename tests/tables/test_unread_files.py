"""Files, sheets and tables that nobody reads are told, with what they probably are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from clean_tables import write_clean
from table_sources import contents, to_sqlite, to_workbook

from neuropress.api import Dataset
from neuropress.cli.main import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Dataset.init(tmp_path / "ds", "dendritic-consortium")
    write_clean(tmp_path / "ds/tables")
    return tmp_path / "ds"


def file_findings(root: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Findings of a check on files, sheets and tables."""
    capsys.readouterr()
    main(["check", str(root), "--tables-only", "--format", "jsonl"])
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ids = ("table.misnamed", "table.unread_file", "table.missing", "table.absent")
    found = [f for f in findings if f["id"] in ids]
    for one in found:  # for programs it stands from the repository's root
        one["location"]["file"] = Path(one["location"]["file"]).name
    return found


def ids_and_files(root: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    return [(f["id"], f["location"]["file"]) for f in file_findings(root, capsys)]


@pytest.mark.parametrize(
    ("name", "id", "table"),
    [
        ("Analysis.csv", "table.misnamed", "analysis"),
        ("mouse.CSV", "table.misnamed", "mouse"),
        ("mose.csv", "table.misnamed", "mouse"),
        ("sessions.csv", "table.misnamed", "session"),
        ("mouse.xlsx", "table.misnamed", "mouse"),
        ("mouse.txt", "table.misnamed", "mouse"),
        ("sem dataset.csv", "table.misnamed", "sem_dataset"),
        ("mouse.csv.bak", "table.unread_file", "mouse"),
        ("mouse (copy).csv", "table.unread_file", "mouse"),
        ("mouse (1).csv", "table.unread_file", "mouse"),
        ("Copy of mouse.csv", "table.unread_file", "mouse"),
        ("mouse_old.csv", "table.unread_file", "mouse"),
        ("mouse.csv~", "table.unread_file", "mouse"),
        ("~$mouse.xlsx", "table.unread_file", ""),
        ("notes.txt", "table.unread_file", ""),
        ("wires.csv", "table.unread_file", ""),
    ],
)
def test_a_file_that_nobody_reads_is_told(
    root: Path, name: str, id: str, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tables" / name).write_text("x\n", "utf-8")
    (unread_file,) = file_findings(root, capsys)
    assert (unread_file["id"], unread_file["location"]["file"]) == (id, name)
    if table:
        assert f"the table {table}" in unread_file["message"]
        assert ("copy" in unread_file["message"].removeprefix(name)) == (id == "table.unread_file")
    else:
        assert "the table" not in unread_file["message"]
    if id == "table.misnamed":
        assert unread_file["location"]["expected"] == f"{table}.csv"
    assert ("has a file open" in unread_file["message"]) == name.startswith("~$")
    status = main(["check", str(root), "--tables-only"])
    assert status == (1 if id == "table.misnamed" else 0)


@pytest.mark.parametrize("name", [".DS_Store", ".gitkeep", "README.md", "readme.txt"])
def test_hidden_files_and_readmes_are_nobodys_business(
    root: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tables" / name).write_text("x\n", "utf-8")
    assert file_findings(root, capsys) == []


def test_a_copy_without_its_table_is_an_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "tables/analysis.csv").rename(root / "tables/analysis (1).csv")
    findings = ids_and_files(root, capsys)
    assert ("table.misnamed", "analysis (1).csv") in findings
    assert ("table.absent", "analysis.csv") in findings


def test_a_folder_of_tables_within_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "tables/2024").mkdir()
    assert file_findings(root, capsys) == []
    (root / "tables/2024/mouse.csv").write_text("x\n", "utf-8")
    assert ids_and_files(root, capsys) == [("table.unread_file", "2024")]


def test_tables_in_the_dataset_folder_itself(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (root / "tables").iterdir():
        path.rename(root / path.name)
    (root / "tables").rmdir()
    (root / "neuropress.toml").write_text('profile = "dendritic-consortium"\n[tables]\nsource = "."\n', "utf-8")
    (root / "waivers.csv").write_text("finding,row,reason,person,expiry\n", "utf-8")
    (root / "facts.jsonl").write_text("", "utf-8")
    assert file_findings(root, capsys) == []
    (root / "mose.csv").write_text("x\n", "utf-8")
    assert [id for id, _ in ids_and_files(root, capsys)] == ["table.misnamed"]


def test_sheets_that_nobody_reads_are_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = to_workbook(contents(root / "tables"), root / "book")
    book = openpyxl.load_workbook(source.location)
    for name in ("Mouse", "Sheet1", "Readme"):
        book.create_sheet(name)
    book.save(source.location)
    (root / "neuropress.toml").write_text('profile = "dendritic-consortium"\n[tables]\nsource = "book.xlsx"\n', "utf-8")
    assert sorted(id for id, _ in ids_and_files(root, capsys)) == ["table.misnamed", "table.unread_file"]


def test_a_misnamed_table_of_a_database_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = contents(root / "tables")
    rows["mice"] = rows.pop("behavior")
    rows["Analysis1"] = rows["analysis"]
    to_sqlite(rows, root / "x.sqlite")
    (root / "neuropress.toml").write_text('profile = "dendritic-consortium"\n[tables]\nsource = "x.sqlite"\n', "utf-8")
    assert [id for id, _ in ids_and_files(root, capsys)] == ["table.misnamed", "table.absent"]


def test_check_of_tables_alone_needs_no_numpy_in_these_modules() -> None:
    code = (
        "import sys; import neuropress.tables.unread_files, neuropress.model.privacy, neuropress.model.budget;"
        "import neuropress.tables.package; sys.exit('openpyxl' in sys.modules or 'psycopg' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert done.returncode == 0
