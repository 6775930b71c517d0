"""Where tables come from: a folder of CSV, TSV or JSON Lines, a workbook, SQLite, PostgreSQL.

Each source is one function that gives a `RawTable`: columns and the text of cells, nothing
understood yet. The same tables through each give the same cells.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..model.finding import finding, problem
from ..model.profile import Profile, TableSpec
from .delimited import read_csv
from .postgres import read_postgres
from .raw import RawRow, RawTable, TableSource, broken, from_rows, header_findings
from .workbook import read_workbook

SQLITE = b"SQLite format 3\0"
SUFFIXES = (".csv", ".tsv", ".jsonl")


def read_source(source: TableSource | Path, profile: Profile) -> Mapping[str, RawTable]:
    """All tables of a profile, as they stand in their source. The source is only ever read.

    Raises
    ------
    Problem
        ``table.source``: it is of no known kind, or a package is missing (the message names it).
    OSError
        The machine or the database could not be read.
    """
    source = TableSource(str(source)) if isinstance(source, Path) else source
    specs = profile.tables.values()
    if source.location.startswith(("postgresql://", "postgres://")):
        return read_postgres(source, specs)
    path = Path(source.location)
    if path.suffix.lower() == ".xlsx":
        return read_workbook(path, specs)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(SQLITE))
        if head == SQLITE:
            return read_sqlite(path, specs)
        raise problem("table.source", f"{path.name} is neither a folder, a workbook nor an SQLite file", file=str(path))
    if not path.is_dir():
        raise problem("table.source", f"{path} does not exist", file=str(path))
    return {spec.name: _from_folder(path, spec, source) for spec in specs}


def _from_folder(folder: Path, spec: TableSpec, source: TableSource) -> RawTable:
    there = [folder / f"{spec.name}{suffix}" for suffix in SUFFIXES if (folder / f"{spec.name}{suffix}").is_file()]
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        message = f"table {spec.name} is there twice: {names}"
        return broken(spec, there[0].name, finding("table.twice", message, table=spec.name, file=there[0].name))
    path = there[0] if there else folder / f"{spec.name}.csv"
    if path.suffix == ".jsonl":
        return read_jsonl(path, spec)
    return read_csv(path, spec, source.encoding, source.delimiter or ("\t" if path.suffix == ".tsv" else ""))


def read_jsonl(path: Path, spec: TableSpec) -> RawTable:
    """One JSON object a line; numbers keep their digits, true and false become TRUE and FALSE, null blank."""
    objects: list[tuple[int, dict[str, str]]] = []
    for line, data in enumerate(path.read_bytes().split(b"\n"), 1):
        if not data.strip():
            continue
        try:
            text = data.decode("utf-8-sig" if line == 1 else "utf-8")
            pairs = json.loads(text, object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_refuse)
            if not isinstance(pairs, dict):
                raise ValueError("it is no object")
            objects.append((line, {name: _text(value) for name, value in pairs.items()}))
        except (ValueError, RecursionError) as error:
            message = f"{path.name} line {line}: {error}"
            return broken(spec, path.name, finding("table.json", message, table=spec.name, line=line, file=path.name))
    columns = list(dict.fromkeys(name for _, pairs in objects for name in pairs)) or list(spec.columns)
    columns += [c for c in spec.columns if c not in columns]  # a key that no line has is blank in all
    rows = [RawRow(line, tuple(pairs.get(c, "") for c in columns)) for line, pairs in objects]
    return RawTable(spec, path.name, tuple(columns), rows, tuple(header_findings(columns, spec, path.name)))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the key {twice!r} stands twice")
    return dict(pairs)


def _refuse(constant: str) -> str:
    raise ValueError(f"{constant} is no JSON")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        value.encode("utf-8")  # half of a surrogate pair is no text: UnicodeEncodeError is a ValueError
        return value
    raise ValueError(f"a value is no text, number or truth: {value!r}")


def read_sqlite(path: Path, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """One SQLite file, opened immutable: neither it nor a journal beside it is written.

    Rows that only a journal holds would not be seen, so a file that is in use is refused.
    """
    for suffix in ("-wal", "-journal"):
        journal = path.with_name(path.name + suffix)
        if journal.is_file() and journal.stat().st_size:
            message = f"{path.name} is in use: {journal.name} holds changes that are not in it yet"
            raise problem(
                "table.source", message, hint="Close the program that writes it, then check again.", file=str(path)
            )
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
    except sqlite3.Error as error:
        raise problem("table.source", f"{path.name}: {error}", file=str(path)) from error
    try:
        return {spec.name: _sqlite_table(connection, path, spec) for spec in specs}
    finally:
        connection.close()


def _sqlite_table(connection: sqlite3.Connection, path: Path, spec: TableSpec) -> RawTable:
    place = f"{path.name}!{spec.name}"
    try:
        known = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
        if (spec.name,) not in known:
            return RawTable(spec, place, present=False)
        cursor = connection.execute(f'SELECT * FROM "{spec.name}"')  # a profile's table name, not a user's text
        columns = [item[0] for item in cursor.description]
        return from_rows(spec, place, columns, cursor, _sqlite_text)
    except (sqlite3.Error, ValueError) as error:
        return broken(spec, place, finding("table.unreadable", f"{place}: {error}", table=spec.name, file=place))


def _sqlite_text(value: object) -> str:
    if isinstance(value, bytes):
        raise ValueError("a cell holds bytes, not text")
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
