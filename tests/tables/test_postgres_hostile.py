"""A hostile database: views that run programs, never end, or are as wide as they like."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from clean_tables import PROFILE
from postgres_server import as_reader

from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.model import budget
from neuropress.tables import TableSource, read_tables

pytestmark = pytest.mark.postgres


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]


def make_schema(url: str, name: str, *statements: str) -> None:
    run(url, f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}", f"SET search_path = {name}")
    run(url, *(statement.replace("%", name) for statement in statements))


def dataset(root: Path, url: str, schema: str) -> Path:
    Dataset.init(root, "dendritic-consortium")
    (root / "neuropress.toml").write_text(
        f'profile = "dendritic-consortium"\n[tables]\nsource = "{url}"\nschema = "{schema}"\n', "utf-8"
    )
    return root


def test_a_view_cannot_run_a_program_because_its_role_is_refused(
    postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = "/tmp/neuropress-view-ran"
    make_schema(
        postgres,
        "evil",
        "CREATE TABLE %.log (x text)",
        f"CREATE FUNCTION %.f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {trace}'; "
        "RETURN 'RY_V_0001'; END $$",
        "CREATE VIEW %.virus AS SELECT %.f() AS virus_id",
    )
    root = dataset(tmp_path / "ds", postgres, "evil")
    assert main(["check", str(root), "--json"]) == 1
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [f["id"] for f in findings if f.get("severity") == "error"] == ["table.role"]
    assert "superuser" in findings[0]["message"]
    assert "GRANT SELECT ON ALL TABLES IN SCHEMA evil TO neuropress_reader" in findings[0]["hint"]
    assert not Path(trace).exists()


@pytest.mark.parametrize("power", ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"])
def test_members_of_powerful_roles_are_refused_also_indirectly(
    postgres: str, power: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_schema(postgres, "plain", "CREATE TABLE %.virus (virus_id text)")
    url = as_reader(postgres, "plain", "powerful")
    run(
        postgres,
        "DROP ROLE IF EXISTS between",
        "CREATE ROLE between",
        f"GRANT {power} TO between",
        "GRANT between TO powerful",
    )
    try:
        assert main(["check", str(dataset(tmp_path / "ds", url, "plain"))]) == 1
    finally:
        run(postgres, "DROP ROLE between")
    output = capsys.readouterr().out
    assert "table.role" in output
    assert power in output
    assert main(["check", str(tmp_path / "ds")]) in (0, 1)
    assert "table.role" not in capsys.readouterr().out


def test_a_member_of_a_superuser_is_refused(postgres: str) -> None:
    make_schema(postgres, "plain", "CREATE TABLE %.virus (virus_id text)")
    url = as_reader(postgres, "plain", "heir")
    owner = urlsplit(postgres).username
    run(postgres, f"GRANT {owner} TO heir")
    with pytest.raises(Exception, match="member of"):
        read_tables(TableSource(url, schema="plain"), PROFILE)
    run(postgres, f"REVOKE {owner} FROM heir")


def test_endless_views_end_and_the_other_tables_are_read(
    postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuropress.tables import postgres as module

    monkeypatch.setattr(module, "SOURCE_SECONDS", 1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM n)"
    columns = ", ".join(f"NULL::text AS {c}" for c in PROFILE.tables["mouse"].columns if c != "mouse_id")
    make_schema(
        postgres,
        "endless",
        f"CREATE VIEW %.virus AS {endless} SELECT count(*)::text AS virus_id FROM n",
        f"CREATE VIEW %.mouse AS {endless} SELECT i::text AS mouse_id, {columns} FROM n",
        "CREATE VIEW %.session AS SELECT 1 / (random() * 0)::int AS session_id",
        "CREATE VIEW %.image AS SELECT repeat('x', 100000000) AS image_id",
        "CREATE TABLE %.plasmid (plasmid_id text, plasmid_name text)",
        "INSERT INTO %.plasmid VALUES ('ML_P_0001', 'p')",
    )
    tables = read_tables(TableSource(as_reader(postgres, "endless"), schema="endless"), PROFILE)
    ids = {name: tables[name][0].findings[0].id for name in ("virus", "mouse", "session", "image")}
    assert ids == {
        "virus": "table.budget", "mouse": "table.budget", "session": "table.unreadable", "image": "table.budget",
    }  # fmt: skip
    assert tables["plasmid"][0].rows[0].cells[:2] == ("ML_P_0001", "p")
    assert budget.CELL_CHARS < 100000000


def test_a_locked_table_does_not_wait_for_ever(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from neuropress.tables import postgres as module

    monkeypatch.setattr(module, "_LOCK_SECONDS", 1)
    make_schema(postgres, "locked", "CREATE TABLE %.virus (virus_id text)")
    url = as_reader(postgres, "locked")
    with psycopg.connect(postgres) as holder:
        holder.execute("LOCK TABLE locked.virus IN ACCESS EXCLUSIVE MODE")
        tables = read_tables(TableSource(url, schema="locked"), PROFILE)
    assert tables["virus"][0].findings[0].id in ("table.unreadable", "table.budget")


def test_a_table_that_looks_like_another_is_told(
    postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_schema(postgres, "near", 'CREATE TABLE %."Mouse" (mouse_id text)', "CREATE TABLE %.wires (x text)")
    root = dataset(tmp_path / "ds", as_reader(postgres, "near"), "near")
    assert main(["check", str(root), "--tables-only"]) == 1
    output = capsys.readouterr().out
    assert "the table 'Mouse'" in output
    assert "wires" not in output
