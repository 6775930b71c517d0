"""Tables that are kept in several places: each lab its own file or workbook."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from builder import DATE, abf
from clean_tables import Rows, clean_rows, write_tables
from table_sources import contents, to_jsonl, to_latin, to_sqlite, to_tsv, to_workbook

from neuropress import Dataset
from neuropress.cli.main import main
from neuropress.config import load_config
from neuropress.tables import load_tables, read_tables

MAKERS = (to_tsv, to_jsonl, to_sqlite, to_workbook, to_latin)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out + said.err


def split_by_lab(rows: Rows) -> dict[str, Rows]:
    """The rows of Yuste's lab, and all others."""
    parts: dict[str, Rows] = {"yuste": {}, "others": {}}
    for table, lines in rows.items():
        for row in lines:
            key = next(text for column, text in row.items() if column == f"{table}_id" or text.count("_") == 2)
            parts["yuste" if key.startswith("RY_") else "others"].setdefault(table, []).append(row)
    return parts


def make(root: Path, rows: Rows | None = None) -> Path:
    """A dataset whose tables are a workbook of one lab and a folder of all others."""
    Dataset.init(root, "dendritic-consortium")
    for path in (root / "tables").iterdir():
        path.unlink()
    parts = split_by_lab(rows or clean_rows())
    write_tables(root / "tables/others", parts["others"])
    write_tables(root.parent / "typed", parts["yuste"])
    to_workbook(contents(root.parent / "typed"), root / "tables/yuste")
    with (root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write('\n[[tables]]\nsource = "tables/others/"\n\n[[tables]]\nsource = "tables/yuste.xlsx"\n')
    return root


def found(said: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in said.splitlines()]
    return [line for line in lines if line.get("severity") == "error"]


def test_the_rows_of_all_sources_are_one_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = tmp_path / "one"
    Dataset.init(one, "dendritic-consortium")
    write_tables(one / "tables", clean_rows())
    several = make(tmp_path / "several")
    for root in (one, several):
        status, said = run(capsys, "check", root, "--tables-only", "--json")
        assert (status, found(said)) == (0, [])
        assert "unread" not in said
        run(capsys, "convert", root)
        assert run(capsys, "export-tables", root, "--to", root.parent / f"{root.name}-out")[0] == 0
    exported = {path.name: path.read_bytes() for path in (tmp_path / "one-out").iterdir()}
    assert exported == {path.name: path.read_bytes() for path in (tmp_path / "several-out").iterdir()}
    assert exported["session.csv"].count(b"_S_0001") == 2


@pytest.mark.parametrize("seed", range(5))
def test_however_rows_are_divided_the_cells_are_the_same(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    write_tables(root / "tables", clean_rows())
    whole = Dataset.open(root)
    before = {(table, r.key): dict(r.values) for table in whole.config.profile.tables for r in whole.records(table)}
    makers = [choose.choice(MAKERS) for _ in range(3)]
    text = (root / "neuropress.toml").read_text("utf-8")
    for number, maker in enumerate(makers):
        part: Rows = {}
        for table, lines in clean_rows().items():
            part[table] = [row for position, row in enumerate(lines) if (position + len(table)) % 3 == number]
        write_tables(tmp_path / f"typed{number}", part)
        source = maker(contents(tmp_path / f"typed{number}"), root / f"part{number}")
        text += f'\n[[tables]]\nsource = "{Path(source.location).name}"\n'
        text += f'encoding = "{source.encoding}"\n' + (
            f'delimiter = "{source.delimiter}"\n' if source.delimiter else ""
        )
    (root / "neuropress.toml").write_text(text, "utf-8")
    divided = Dataset.open(root)
    after = {(table, r.key): dict(r.values) for table in divided.config.profile.tables for r in divided.records(table)}
    assert after == before


def test_a_key_in_two_sources_is_a_finding_that_names_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    write_tables(root / "tables/others", split_by_lab(clean_rows())["others"] | {"virus": clean_rows()["virus"]})
    status, said = run(capsys, "check", root, "--tables-only", "--json")
    (twice,) = found(said)
    assert (status, twice["id"]) == (1, "key.duplicate")
    assert twice["location"] == {
        "table": "virus",
        "line": 2,
        "key": "RY_V_0001",
        "column": "virus_id",
        "value": "RY_V_0001",
        "source": "tables/yuste.xlsx!virus",
    }
    assert "line 2 of tables/others/virus.csv" in twice["message"]
    assert "(tables/yuste.xlsx!virus)" in run(capsys, "check", root, "--tables-only")[1].replace("\n        ", " ")


def test_a_broken_source_withholds_its_own_rows_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    path = root / "tables/others/session.csv"
    path.write_text(path.read_text("utf-8").replace("session_date", "day of the session", 1), "utf-8")
    status, said = run(capsys, "check", root, "--tables-only", "--json")
    assert status == 1
    assert {one["id"] for one in found(said)} == {"table.column_unknown"}
    assert {one["location"]["source"] for one in found(said)} == {"tables/others/session.csv"}
    config = load_config(root)
    blocked = load_tables(config.tables, config.profile).blocked
    assert ("session", "JB_S_0001") in blocked
    assert ("behavior", "JB_B_0001") in blocked
    assert not {row for row in blocked if row[1].startswith("RY_")}


def test_keys_that_cannot_be_read_are_not_called_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    (root / "tables/others/mouse.csv").write_bytes(b"\xff\xfe\x00\xd8")
    status, said = run(capsys, "check", root, "--tables-only", "--json")
    assert status == 1
    assert {one["location"].get("source") for one in found(said)} == {"tables/others/mouse.csv"}
    config = load_config(root)
    blocked = load_tables(config.tables, config.profile).blocked
    assert ("session", "JB_S_0001") in blocked
    assert ("session", "RY_S_0001") not in blocked


def test_a_wrong_cell_is_shown_in_its_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = clean_rows()
    rows["session"][1]["session_date"] = "2025-06-2x"
    root = make(tmp_path / "ds", rows)
    (root / ".git").mkdir()
    status, said = run(capsys, "check", root, "--tables-only", "--format", "github")
    assert status == 1
    assert "file=tables/others/session.csv,line=2" in said
    letter = run(capsys, "check", root, "--tables-only", "--letter", "JB")[1]
    assert "JB_S_0001, line 2 of tables/others/session.csv" in " ".join(letter.split())


def test_a_signed_fix_reaches_the_cell_of_its_own_source(tmp_path: Path) -> None:
    rows = clean_rows()
    rows["session"][0]["start_time"] = "0.375"
    root = make(tmp_path / "ds", rows)
    dataset = Dataset.open(root)
    dataset.propose_fixes(tmp_path / "fixes.csv")
    with (tmp_path / "fixes.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    with (tmp_path / "fixes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(line))
        writer.writeheader()
        writer.writerow(line | {"person": "Ada Lovelace"})
    assert [one.done for one in dataset.apply_fixes(tmp_path / "fixes.csv").outcomes] == ["applied"]
    fixed = {row.key: row for row in Dataset.open(root).records("session")}
    assert fixed["RY_S_0001"].values["start_time"] == "09:00"
    assert fixed["RY_S_0001"].cells["start_time"].original == "0.375"
    assert fixed["JB_S_0001"].values["start_time"] == "13:00"


def test_add_writes_where_the_labs_rows_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    before = {path: path.read_bytes() for path in (root / "tables").rglob("*") if path.is_file()}
    arguments = ("add", abf(tmp_path / "c.abf"), "--dataset", root, "--date", DATE)
    status, said = run(capsys, *arguments, "--lab", "JB", "--session", "JB_S_0001")
    assert status == 0, said
    changed = [path for path, data in before.items() if path.read_bytes() != data]
    assert changed == [root / "tables/others/ephys.csv"]
    # A workbook is nothing that is written to: the person types the row.
    status, said = run(capsys, *arguments, "--lab", "RY", "--session", "RY_S_0001")
    assert "type these rows" in said
    assert (root / "tables/yuste.xlsx").read_bytes() == before[root / "tables/yuste.xlsx"]


def test_what_nobody_reads_is_named_for_each_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    (root / "tables/others/mouse_old.csv").write_text("mouse_id\n")
    _, said = run(capsys, "check", root, "--tables-only", "--json")
    unread = [json.loads(line) for line in said.splitlines() if "table.unread_file" in line or "misnamed" in line]
    assert [one["location"].get("file") for one in unread] == ["mouse_old.csv"]


def test_tables_between_the_sources_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    header = (root / "tables/others/mouse.csv").read_text("utf-8").split("\n")[0]
    (root / "tables/virus.csv").write_text(f"{header}\n", "utf-8")  # as `init` made it
    assert "table.unread_file" not in run(capsys, "check", root, "--tables-only")[1]
    (root / "tables/mouse.csv").write_text(f"{header}\nJB_M_0009", "utf-8")
    (root / "tables/new.xlsx").write_bytes((root / "tables/yuste.xlsx").read_bytes())
    write_tables(root / "tables/later", {"mouse": [{"mouse_id": "JB_M_0010"}]})
    _, said = run(capsys, "check", root, "--tables-only", "--json")
    unread = [json.loads(line)["location"]["file"] for line in said.splitlines() if "table.unread_file" in line]
    assert unread == ["tables/later", "tables/mouse.csv", "tables/new.xlsx"]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ('[[tables]]\nsource = "a"\n[[tables]]\nsource = "a/"\n', "is there twice"),
        ('[[tables]]\nsource = "nowhere"\n[[tables]]\nsource = "tables"\n', "does not exist"),
        ('[[tables]]\nsorce = "a"\n', "sorce"),
    ],
)
def test_what_sources_cannot_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entries: str, told: str
) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    with (root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f"\n{entries}")
    status, said = run(capsys, "check", root, "--tables-only")
    assert status in (1, 2)
    assert told in " ".join(said.split())


def test_records_have_the_rows_of_all_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "ds")
    tables = read_tables(load_config(root).tables, load_config(root).profile)
    assert [raw.source for raw in tables["session"]] == ["tables/others/session.csv", "tables/yuste.xlsx!session"]
    assert run(capsys, "run", root)[0] in (0, 1)
    lines = (root / "output/records.jsonl").read_text("ascii").splitlines()
    assert sum('"table":"session"' in line for line in lines) == 2
