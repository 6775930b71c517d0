"""The same tables through every kind of source give the same cells."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import openpyxl
import psycopg
import pytest
from clean_tables import PROFILE, write_clean
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import as_reader
from table_sources import Rows, contents, to_jsonl, to_latin, to_sqlite, to_tsv, to_workbook

from neuropress.api import Dataset
from neuropress.checks import check_tables
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.tables import Tables, TableSource, read_tables
from neuropress.tables.sources import read_jsonl


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_clean(tmp_path / "tables", {"mouse.notes": 'é "quoted", comma;\nand a line, 24.50'})
    return tmp_path / "tables"


def cells(tables: Tables) -> dict[str, dict[str, dict[str, str]]]:
    return {
        table: {key: {c: cell.text for c, cell in row.cells.items()} for key, row in rows.items()}
        for table, rows in tables.rows.items()
    }


def check(source: TableSource | Path) -> Tables:
    return check_tables(source, PROFILE)


@pytest.mark.parametrize("make", [to_tsv, to_latin, to_jsonl, to_sqlite, to_workbook])
def test_every_source_gives_the_same_records(
    folder: Path, tmp_path: Path, make: Callable[[Rows, Path], TableSource]
) -> None:
    expected = check(folder)
    assert not expected.findings
    source = make(contents(folder), tmp_path / "other")
    path = Path(source.location)
    before = {p: p.read_bytes() for p in ([path] if path.is_file() else path.iterdir())}
    tables = check(source)
    assert not tables.findings
    assert cells(tables) == cells(expected)
    assert {t: {k: dict(r.values) for k, r in rows.items()} for t, rows in tables.records.items()} == {
        t: {k: dict(r.values) for k, r in rows.items()} for t, rows in expected.records.items()
    }
    assert {p: p.read_bytes() for p in ([path] if path.is_file() else path.iterdir())} == before
    assert {p.name for p in tmp_path.iterdir()} == {"tables", path.name}


@pytest.mark.postgres
def test_postgres_gives_the_same_records(folder: Path, postgres: str, tmp_path: Path) -> None:
    kinds = {
        "weight": "numeric",
        "birth_date": "date",
        "start_time": "time",
        "end_time": "time",
        "floxed": "boolean",
        "x": "integer",
    }
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS lab CASCADE")
        connection.execute("CREATE SCHEMA lab")
        for table, (header, *lines) in contents(folder).items():
            columns = ", ".join(f'"{c}" {kinds.get(c, "text")}' for c in header)
            connection.execute(f"CREATE TABLE lab.{table} ({columns})")  # type: ignore[arg-type]
            marks = ", ".join(["%s"] * len(header))
            for line in lines:
                connection.execute(f"INSERT INTO lab.{table} VALUES ({marks})", [v or None for v in line])  # type: ignore[arg-type]
    url = as_reader(postgres, "lab")
    source = TableSource(url, schema="lab")
    tables, expected = check(source), check(folder)
    assert not tables.findings
    assert cells(tables) == cells(expected)
    assert "planted-secret" not in source.display_name
    dataset = Dataset.init(tmp_path / "ds", "dendritic-consortium")
    config = dataset.config.root / "neuropress.toml"
    config.write_text(config.read_text("utf-8") + f'\n[tables]\nsource = "{url}"\nschema = "lab"\n', "utf-8")
    assert len(Dataset.open(dataset.config.root).records("mouse")) == len(expected.records["mouse"])


@pytest.mark.postgres
def test_a_table_that_may_not_be_read_is_told_and_not_taken_for_absent(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS closed")
        connection.execute("CREATE TABLE IF NOT EXISTS closed.mouse (mouse_id text)")
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    tables = read_tables(TableSource(postgres.replace("tester:planted-secret", "guest"), schema="closed"), PROFILE)
    (unreadable,) = tables["mouse"][0].findings
    assert unreadable.id == "table.unreadable"
    assert "user guest" in unreadable.message
    assert "GRANT SELECT ON closed.mouse TO guest;" in unreadable.hint
    assert not tables["virus"][0].present


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_status_3_without_the_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset.init(tmp_path / "ds", "dendritic-consortium")
    config = dataset.config.root / "neuropress.toml"
    url = "postgresql://tester:planted-secret@127.0.0.1:9/postgres"
    config.write_text(config.read_text("utf-8") + f'\n[tables]\nsource = "{url}"\n', "utf-8")
    assert main(["check", str(dataset.config.root)]) == 3
    printed = capsys.readouterr()
    assert "127.0.0.1" in printed.err
    assert "planted-secret" not in printed.out + printed.err


def sheet(tmp_path: Path, change: Callable[[object], None]) -> Tables:
    write_clean(tmp_path / "tables", {})
    source = to_workbook(contents(tmp_path / "tables"), tmp_path / "book")
    book = openpyxl.load_workbook(source.location)
    change(book["mouse"])
    book.save(source.location)
    return check(source)


def test_a_workbook_shows_what_the_spreadsheet_shows(tmp_path: Path) -> None:
    from datetime import datetime

    def change(mouse: object) -> None:
        header = [cell.value for cell in mouse[1]]  # type: ignore[index]
        weight = mouse.cell(2, header.index("weight") + 1)  # type: ignore[attr-defined]
        weight.value, weight.number_format = 24.5, "0.00"
        born = mouse.cell(2, header.index("birth_date") + 1)  # type: ignore[attr-defined]
        born.value, born.number_format = datetime(2025, 3, 1), "yyyymmdd"  # noqa: DTZ001 - workbooks know no zones

    tables = sheet(tmp_path, change)
    mouse = next(iter(tables.rows["mouse"].values()))
    assert (mouse.cells["weight"].text, mouse.cells["birth_date"].text) == ("24.50", "20250301")
    assert not [f for f in tables.findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("value", "form", "identifier"),
    [
        ("=A2", "General", "table.formula"),
        (1e300, "0.00", "table.display"),
        (0.12345678901234, "General", "table.display"),
        (-0.001, "0.00", "table.display"),
        (45000.5, "[h]:mm", "table.display"),
        (0.25, "0%", "table.display"),
    ],
)
def test_what_a_workbook_cannot_say_is_refused(tmp_path: Path, value: object, form: str, identifier: str) -> None:
    def change(mouse: object) -> None:
        cell = mouse.cell(2, 8)  # type: ignore[attr-defined]
        cell.value, cell.number_format = value, form

    (refused,) = [f for f in sheet(tmp_path, change).findings if f.id.startswith("table.")]
    assert refused.id == identifier
    assert "mouse" in str(refused.location)
    assert "H2" in refused.message


def test_merged_cells_are_refused(tmp_path: Path) -> None:
    tables = sheet(tmp_path, lambda mouse: mouse.merge_cells("A2:A3"))  # type: ignore[attr-defined]
    assert [f.id for f in tables.findings if f.id.startswith("table.")] == ["table.merged"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1"),
        ("[1]", "no object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": [1]}', "no text"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "mouse.jsonl").write_text(line + "\n", "utf-8")
    (bad_line,) = read_jsonl(tmp_path / "mouse.jsonl", PROFILE.tables["mouse"]).findings
    assert (bad_line.id, bad_line.location.line) == ("table.json", 1)
    assert words in bad_line.message


@pytest.mark.parametrize("name", ["x.xlsx", "x.ods"])
def test_junk_is_no_source(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"junk")
    with pytest.raises(Problem, match=name) as caught:
        read_tables(TableSource(str(tmp_path / name)), PROFILE)
    assert caught.value.finding.id == "table.source"


def test_a_damaged_database_is_told_for_each_table(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"SQLite format 3\0" + b"junk" * 99)
    tables = read_tables(TableSource(str(tmp_path / "x.sqlite")), PROFILE)
    assert {t.findings[0].id for (t,) in tables.values()} == {"table.unreadable"}


def test_rows_in_a_journal_are_not_overlooked(folder: Path, tmp_path: Path) -> None:
    source = to_sqlite(contents(folder), tmp_path / "x.sqlite")
    connection = sqlite3.connect(source.location)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE mouse SET notes = 'in the journal only'")
    connection.commit()
    with pytest.raises(Problem, match="is in use"):
        check(source)
    connection.close()
    assert "in the journal only" in {row.cells["notes"].text for row in check(source).rows["mouse"].values()}


@pytest.mark.parametrize("name", ["typo.sqlite", "typo", "typo.xlsx"])
def test_a_misspelt_source_is_not_an_empty_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="typo") as caught:
        check(TableSource(str(tmp_path / name)))
    assert caught.value.finding.id == "table.source"


@pytest.mark.parametrize("entry", ['delimiter = ";;"', 'encoding = "hex"', 'encoding = "klingon"', "sauce = 'x'"])
def test_a_wrong_entry_is_told_with_status_2(tmp_path: Path, entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = Dataset.init(tmp_path / "ds", "dendritic-consortium").config.root
    (root / "neuropress.toml").write_text(f'profile = "dendritic-consortium"\n[tables]\n{entry}\n', "utf-8")
    assert main(["check", str(root)]) == 2
    assert entry.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize("secret", ["plain", "pla/nted", "a:b@c", "per%2Fcent"])
def test_no_message_holds_a_password(secret: str) -> None:
    for url in (f"postgresql://u:{secret}@127.0.0.1:9/d", f"postgresql://u@127.0.0.1:9/d?password={secret}"):
        source = TableSource(url)
        assert secret not in source.display_name
        with pytest.raises(OSError, match="postgresql") as caught:
            read_tables(source, PROFILE)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_spoilt_workbook_is_told_whatever_is_spoilt(folder: Path, tmp_path: Path) -> None:
    source = to_workbook(contents(folder), tmp_path / "book")
    good = Path(source.location).read_bytes()
    for place in range(0, len(good), 151):
        Path(source.location).write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        try:
            read_tables(source, PROFILE)
        except Problem as bad:
            identifier = bad.finding.id
            assert identifier == "table.source"


def test_one_table_in_two_formats_is_refused(folder: Path) -> None:
    (folder / "mouse.jsonl").write_text("{}\n", "utf-8")
    assert [f.id for f in check(folder).findings if f.id.startswith("table.")] == ["table.twice"]


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=11, max_size=11))
def test_any_text_comes_through_json_lines(texts: list[str]) -> None:
    spec = PROFILE.tables["mouse"]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mouse.jsonl"
        path.write_text(json.dumps(dict(zip(spec.columns, texts, strict=True))) + "\n", "utf-8", newline="")
        (row,) = read_jsonl(path, spec).rows
        assert list(row.cells) == texts


@pytest.mark.postgres
def test_a_time_with_seconds_keeps_them(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS clock CASCADE")
        connection.execute("CREATE SCHEMA clock")
        connection.execute("CREATE TABLE clock.session (session_id text, start_time time, end_time time)")
        connection.execute("INSERT INTO clock.session VALUES ('RY_S_0001', '09:30:15', '10:00')")
    table = read_tables(TableSource(as_reader(postgres, "clock"), schema="clock"), PROFILE)["session"][0]
    assert table.rows[0].cells == ("RY_S_0001", "09:30:15", "10:00")


@given(place=st.integers(0, 1 << 20), value=st.integers(0, 255))
def test_a_spoilt_workbook_ends_in_a_finding_or_the_same_rows(
    place: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "spoilt"
    if not folder.exists():
        write_clean(folder / "tables")
        to_workbook(contents(folder / "tables"), folder / "book")
    data = bytearray((folder / "book.xlsx").read_bytes())
    data[place % len(data)] = value
    (folder / "other.xlsx").write_bytes(data)
    with suppress(Problem):  # table.source: no workbook at all
        check(TableSource(str(folder / "other.xlsx")))
