"""Datasets whose tables and settings were made to hang, to eat memory, or to end in a traceback."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

from clean_tables import write_clean
from hostile_workbooks import WORKBOOKS
from table_sources import contents, to_sqlite

from neuropress.api import Dataset

PROFILE = 'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n'
SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}

type Change = Callable[[Path], object]


def make(root: Path, change: Change) -> Path:
    """A clean dataset without raw files, changed."""
    Dataset.init(root, "dendritic-consortium")
    write_clean(root / "tables")
    change(root)
    return root


def cells(table: str, column: str, text: str) -> Change:
    def apply(root: Path) -> None:
        write_clean(root / "tables", {f"{table}.{column}": text})

    return apply


def file(name: str, data: bytes | str) -> Change:
    def apply(root: Path) -> None:
        path = root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return apply


def pipe(name: str) -> Change:
    def apply(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        os.mkfifo(root / name)

    return apply


def folder(name: str) -> Change:
    def apply(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).mkdir()

    return apply


def link(name: str, to: str) -> Change:
    def apply(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(to)

    return apply


def listening(name: str) -> Change:
    def apply(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        here = os.getcwd()
        os.chdir(root)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(name)  # a name of 100 characters is too long for a socket
        os.chdir(here)

    return apply


def sqlite(*statements: str) -> Change:
    def apply(root: Path) -> None:
        to_sqlite(contents(root / "tables"), root / "x.sqlite")
        connection = sqlite3.connect(root / "x.sqlite")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        settings('\n[tables]\nsource = "x.sqlite"\n')(root)

    return apply


def settings(text: str) -> Change:
    def apply(root: Path) -> None:
        with (root / "neuropress.toml").open("a", encoding="utf-8") as config:
            config.write(text)

    return apply


def own(profile: str = "", schema: object = None, mapping: str = "") -> Change:
    """A profile of the dataset's own, with a schema of virus and a mapping if wanted."""

    def apply(root: Path) -> None:
        (root / "neuropress.toml").write_text('profile = "own"\n', "utf-8")
        (root / "own.toml").write_text(PROFILE + profile, "utf-8")
        if schema is not None:
            (root / "schemas").mkdir()
            text = schema if isinstance(schema, str) else json.dumps({**SCHEMA, **schema})  # type: ignore[dict-item]
            (root / "schemas/virus.schema.json").write_text(text, "utf-8")
        if mapping:
            (root / "mappings").mkdir()
            (root / "mappings/session.toml").write_text(mapping, "utf-8")

    return apply


def pattern(text: str, cell: str = "a" * 60 + "!") -> Change:
    def apply(root: Path) -> None:
        column = {"description": "x", "type": "string", "pattern": text}
        own(schema={"properties": {"virus_name": column}})(root)
        write_clean(root / "tables", {"virus.virus_name": cell})

    return apply


def rows(table: str, count: int, row: str) -> Change:
    def apply(root: Path) -> None:
        path = root / f"tables/{table}.csv"
        path.write_text(path.read_text("utf-8").split("\n")[0] + "\n" + row * count, "utf-8")

    return apply


def both(*changes: Change) -> Change:
    def apply(root: Path) -> None:
        for change in changes:
            change(root)

    return apply


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
COLUMNS = "virus_id, virus_name, plasmid_id, serotype, floxed, titer, notes"
NONE = "NULL, NULL, NULL, NULL, NULL, NULL"

TABLES: dict[str, Change] = {
    "JSON line of 60,000 keys": both(
        lambda root: (root / "tables/virus.csv").unlink(),
        file("tables/virus.jsonl", json.dumps({f"k{n}": n for n in range(60_000)}) + "\n"),
    ),
    "JSON lines of a new key each": both(
        lambda root: (root / "tables/virus.csv").unlink(),
        file("tables/virus.jsonl", "".join(f'{{"k{n}": 1}}\n' for n in range(60_000))),
    ),
    "JSON 100,000 deep": both(
        lambda root: (root / "tables/virus.csv").unlink(), file("tables/virus.jsonl", "[" * 100_000 + "\n")
    ),
    "JSON number of 30,000 digits": both(
        lambda root: (root / "tables/mouse.csv").unlink(), file("tables/mouse.jsonl", '{"weight": ' + "1" * 30_000 + "}\n")
    ),
    "number of 30,000 digits": cells("mouse", "weight", "1" * 30_000),
    "whole number of 30,000 digits": cells("image", "x", "1" * 30_000),
    "number with 30,000 spaces": cells("mouse", "weight", "1" + " " * 30_000 + "x"),
    "number 1e999999999": cells("mouse", "weight", "1e999999999"),
    "titer 1e999999999": cells("virus", "titer", "1e999999999"),
    "time of 30,000 digits": cells("session", "start_time", "0." + "1" * 30_000),
    "date of 30,000 digits": cells("session", "session_date", "2" * 30_000 + ".0"),
    "list of 100,000 spaces": cells("image", "processing_methods", "a" + " " * 100_000 + "\n"),
    "genotype of 20,000 entries": cells("mouse", "genotype", "+/+;" * 20_000),
    "key of 100,000 letters": cells("mouse", "virus_id", "A" * 100_000),
    "keys by the thousand": cells("mouse", "virus_id", "RY_V_0001;" * 10_000),
    "path of 300 characters": cells("ephys", "file_path_raw", f"yuste/20250620/ephys/raw/{'a' * 300}.abf"),
    "path of 4,000 characters": cells("ephys", "file_path_raw", "yuste/20250620/ephys/raw" + "/ab" * 1300 + ".abf"),
    "path with a dot at its end": cells("ephys", "file_path_raw", "yuste/20250620/ephys/raw/a.abf."),
    "path with a space at its end": cells("ephys", "file_path_raw", "yuste/20250620/ephys/raw/a.abf "),
    "cell of a megabyte": cells("session", "notes", "x" * (1 << 20)),
    "line of 20 MB": file("tables/virus.csv", "virus_id,notes\n" + "x" * 20_000_000),
    "a million columns": file("tables/virus.csv", ",".join(["virus_id", *map(str, range(1_000_000))]) + "\n"),
    "60,000 columns": file("tables/virus.csv", ",".join(["virus_id", *map(str, range(60_000))]) + "\n"),
    "NULs": file("tables/virus.csv", b"\0" * 1_000_000),
    "NULs in cells": cells("virus", "notes", "\0" * 1000),
    "a million rows": rows("virus", 1_000_000, ",x\n"),
    "20,000 rows without keys, and as many that point to them": both(
        rows("mouse", 20_000, "x\n"),
        lambda root: (root / "tables/session.csv").write_text(
            (root / "tables/session.csv").read_text("utf-8").split("\n")[0] + "\n"
            + "".join(f"RY_S_{n % 10_000:04d},RY_M_{n % 10_000:04d},Ada Example,20250620,,,,\n" for n in range(20_000)), "utf-8"
        ),
    ),
    "quotes without end": file("tables/virus.csv", "virus_id,notes\n" + '"' * 999_999),
    "pipe as table": pipe("tables/virus.csv"),
    "folder as table": folder("tables/virus.csv"),
    "socket as table": listening("tables/virus.csv"),
    "endless device as table": link("tables/virus.csv", "/dev/zero"),
    "table that links to itself": link("tables/virus.csv", "virus.csv"),
    "table that links to nothing": link("tables/virus.csv", "nowhere.csv"),
    "pipe beside the tables": pipe("tables/Mouse.csv"),
    "name of 250 characters beside the tables": file("tables/" + "m" * 250, "x"),
}  # fmt: skip

DATABASES: dict[str, Change] = {
    "endless view": sqlite("DROP TABLE virus", f"CREATE VIEW virus AS {ENDLESS} SELECT i AS virus_id, {NONE} FROM n"),
    "view that counts without end": sqlite(
        "DROP TABLE virus", f"CREATE VIEW virus AS {ENDLESS} SELECT count(*) AS virus_id FROM n"
    ),
    "view of crossed tables": sqlite(
        "DROP TABLE virus",
        "CREATE VIEW virus AS WITH RECURSIVE m(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM m WHERE i < 9999) "
        "SELECT count(*) AS virus_id FROM m a, m b, m c, m d",
    ),
    "view of a huge text": sqlite(
        "DROP TABLE virus",
        "CREATE VIEW virus AS SELECT replace(hex(zeroblob(100000000)), '0', '0000000000') AS virus_id",
    ),
    "view that sorts without end": sqlite(
        "DROP TABLE virus", f"CREATE VIEW virus AS {ENDLESS} SELECT i AS virus_id FROM n ORDER BY -i"
    ),
    "view of itself": sqlite("DROP TABLE virus", "CREATE VIEW virus AS SELECT * FROM virus"),
    "view that loads": sqlite("DROP TABLE virus", "CREATE VIEW virus AS SELECT load_extension('x') AS virus_id"),
    "text that is no text": sqlite("UPDATE virus SET notes = CAST(x'ff00ff' AS TEXT)"),
    "whole numbers beyond the limit": sqlite("UPDATE virus SET notes = 9223372036854775807, titer = 9e999"),
    "SQLite of junk": both(
        lambda root: (root / "x.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(5000)),
        settings('\n[tables]\nsource = "x.sqlite"\n'),
    ),
    "pipe as database": both(pipe("x.sqlite"), settings('\n[tables]\nsource = "x.sqlite"\n')),
    "pipe as workbook": both(pipe("x.xlsx"), settings('\n[tables]\nsource = "x.xlsx"\n')),
}

SETTINGS: dict[str, Change] = {
    "key of 50,000 dots": settings("\na" + ".a" * 50_000 + " = 1\n"),
    "key of 50,000 quoted parts": settings('\n"a"' + '."a"' * 50_000 + " = 1\n"),
    "arrays 50,000 deep": settings("\nx = " + "[" * 50_000 + "\n"),
    "pipe as neuropress.toml": pipe("neuropress.toml"),
    "folder as neuropress.toml": folder("neuropress.toml"),
    "NUL in a path": settings('\n[tables]\nsource = "a\\u0000b"\n'),
    "source of 100,000 characters": settings(f'\n[tables]\nsource = "{"a" * 100_000}"\n'),
    "tables that link to themselves": both(link("loop", "loop"), settings('\n[tables]\nsource = "loop"\n')),
    "encoding of an escape": settings('\n[tables]\nencoding = "unicode_escape"\n'),
    "encoding undefined": settings('\n[tables]\nencoding = "undefined"\n'),
    "line end as delimiter": settings('\n[tables]\ndelimiter = "\\n"\n'),
    "source and roots outside": settings('\n[tables]\nsource = "/"\n'),
    "pipe as waivers": pipe("waivers.csv"),
    "folder as waivers": folder("waivers.csv"),
    "pipe as facts": pipe("facts.jsonl"),
    "facts 100,000 deep": file("facts.jsonl", "[" * 100_000),
    "facts of a wrong shape": file("facts.jsonl", '{"key": {"a": 1}, "facts": [1]}\n'),
    "fact of 1e999999999": file(
        "facts.jsonl", '{"key": "yuste/20250620/ephys/raw/cell1.abf", "facts": {"sampling_rate": "1e999999999"}}\n'
    ),
    "pipe as fixes": pipe("applied_fixes.csv"),
    "folder as fixes": folder("applied_fixes.csv"),
    "pipe as profile": both(own(), lambda root: (root / "own.toml").unlink(), pipe("own.toml")),
    "profile that extends itself": both(own(), file("own.toml", 'name = "own"\nversion = "1"\nextends = "own"\n')),
    "profile that extends a folder": both(own(), file("own.toml", 'name = "own"\nversion = "1"\nextends = "../own"\n')),
    "lab that is an expression": own('[labs."(a+)+"]\nname = "x"\nfolder = "x"\ninstitution = "x"\ntimezone = "UTC"\n'),
    "lab outside": own('[labs.XX]\nname = "x"\nfolder = "../../x"\ninstitution = "x"\ntimezone = "UTC"\n'),
    "results outside": own('[paths]\nsession = "../../{id}.nwb"\n'),
    "results of a gigabyte": own('[paths]\nsession = "{id:>999999999}.nwb"\n'),
    "limit that is no number": own('[limits]\nmouse_weight_g_min = "abc"\n'),
    "limit of 1e999999999": own('[limits]\nmouse_weight_g_min = "1e999999999"\n'),
    "table that is a path": own('[tables."../x"]\nkey = "x_id"\nprefix = "X"\nlabs = ["RY"]\ncolumns = ["x_id"]\n'),
    "60,000 columns in the profile": own(f"[tables.virus]\noptional = {[f'c{n}' for n in range(60_000)]}\n"),
    "pattern (a+)+$": pattern("^(a+)+$"),
    "pattern (a|aa)+$": pattern("^(a|aa)+$", "a" * 100 + "!"),
    "pattern (.*)*x": pattern("(.*)*(.*)*(.*)*x$", "a" * 5000),
    "pattern of counts": pattern("((a{1,999}){1,999}){1,999}$"),
    "pattern 10,000 deep": pattern("(" * 10_000 + ")" * 10_000),
    "reference to itself": own(
        schema={"properties": {"virus_name": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    ),
    "reference within a reference": own(
        schema={"properties": {"virus_name": {"anyOf": [{"$ref": "#/properties/virus_name"}]}}}
    ),
    "reference to a server": own(schema={"properties": {"virus_name": {"anyOf": [{"$ref": "http://127.0.0.1:9/x.json"}]}}}),
    "reference to a file": own(schema={"properties": {"virus_name": {"$ref": "../../../../../../etc/passwd#/$defs/x"}}}),
    "schema 10,000 deep": own(schema='{"properties": ' * 10_000),
    "schema of 100,000 columns": own(schema={"properties": {f"c{n}": {"type": "string"} for n in range(100_000)}}),
    "schema of wrong shapes": own(schema={"properties": {"virus_name": {"oneOf": [1, True, None]}}, "allOf": [{"if": 1}]}),
    "limit of a schema of 1e999999999": own(schema='{"properties": {"titer": {"type": "number", "maximum": 1e999999999}}}'),
    "schema that makes a date a text": both(
        cells("session", "session_date", "abc"),
        own(),
        lambda root: (root / "schemas").mkdir(),
        file("schemas/session.schema.json", '{"properties": {"session_date": {"type": "string"}}}'),
    ),
    "schema that lets a rate be 0": both(
        cells("image", "frame_rate", "0"),
        own(),
        lambda root: (root / "schemas").mkdir(),
        file("schemas/image.schema.json", '{"properties": {"frame_rate": {"type": "number"}}}'),
    ),
    "schema that lets a titer be any text": both(
        cells("virus", "titer", "1e" + "9" * 30), own(schema={"properties": {"titer": {"type": "string"}}})
    ),
    "mapping 50,000 deep": own(mapping="x = " + "[" * 50_000),
    "mapping with a template of a gigabyte": own(
        mapping='revision = 1\ntable = ["session"]\n[[rule]]\nto = "file.session_description"\nfrom = "notes"\n'
        'via = "template"\nargs = { parts = ["{0:>9999999999}"] }\n'
    ),
    "mapping of wrong shapes": own(mapping="rule = 1\ntable = 2\nrevision = []\n"),
}  # fmt: skip

HOSTILE: dict[str, Change] = TABLES | DATABASES | SETTINGS | {f"workbook: {k}": v for k, v in WORKBOOKS.items()}
