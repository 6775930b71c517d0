"""Where tables come from: a folder of CSV, TSV or JSON Lines, a workbook, SQLite, PostgreSQL.

Each source is one function that gives a `RawTable`: columns and the text of cells, nothing
understood yet. The same tables through each give the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..model.budget import LINE_CHARS, SHOWN_CHARS, TABLE_BYTES, TABLE_COLUMNS, OverBudget, read_file
from ..model.finding import finding, problem
from ..model.parsing import parse_json
from ..model.profile import Profile, TableSpec
from .delimited import read_csv
from .postgres import read_postgres
from .raw import (
    RawParts,
    RawRow,
    RawTable,
    TableSize,
    TableSource,
    TableSources,
    find_close_columns,
    make_broken_table,
    make_over_budget_table,
    make_raw_table,
)
from .sqlite import MAGIC, read_sqlite
from .unread_files import SUFFIXES
from .workbook import read_workbook


def read_sources(sources: TableSources, profile: Profile) -> Mapping[str, RawParts]:
    """All tables of a profile, each as it stands in every source that has it. Sources are only ever read.

    Of a table that no source has there is one, which is not `present`.

    Raises
    ------
    Problem, OSError
        As `read_source`.
    """
    parts: dict[str, list[RawTable]] = {}
    for source in sources.parts:
        for name, table in read_source(source, profile).items():
            parts.setdefault(name, []).append(table.under(source.label) if source.label else table)
    return {name: tuple(t for t in tables if t.present) or (tables[0],) for name, tables in parts.items()}


def read_source(source: TableSource, profile: Profile) -> Mapping[str, RawTable]:
    """All tables of a profile, as they stand in one source.

    Raises
    ------
    Problem
        ``table.source``: it is of no known kind, or a package is missing (the message names it).
    OSError
        The machine or the database could not be read.
    """
    specs = profile.tables.values()
    if source.location.startswith(("postgresql://", "postgres://")):
        return read_postgres(source, specs)
    path = Path(source.location)
    if path.suffix.lower() == ".xlsx":
        return read_workbook(path, specs)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
        if head == MAGIC:
            return read_sqlite(path, specs)
        raise problem("table.source", f"{path.name} is neither a folder, a workbook nor an SQLite file", file=str(path))
    if not path.is_dir():
        reason = "is neither a folder nor a file" if path.exists() else "does not exist"
        raise problem("table.source", f"{path} {reason}", file=str(path))
    return {spec.name: _read_from_folder(path, spec, source) for spec in specs}


def _read_from_folder(folder: Path, spec: TableSpec, source: TableSource) -> RawTable:
    candidates = [folder / f"{spec.name}{suffix}" for suffix in SUFFIXES]
    # A link that leads nowhere is a file that is missing, not a table that is absent: reading it is an error.
    present = [path for path in candidates if path.exists() or path.is_symlink()]
    if len(present) > 1:
        names = " and ".join(path.name for path in present)
        message = f"table {spec.name} is there twice: {names}"
        twice = finding("table.twice", message, table=spec.name, file=present[0].name)
        return make_broken_table(spec, present[0].name, twice)
    path = present[0] if present else folder / f"{spec.name}.csv"
    if path.suffix == ".jsonl":
        return read_jsonl(path, spec)
    delimiter = source.delimiter
    if not delimiter and path.suffix == ".tsv":
        delimiter = "\t"
    return read_csv(path, spec, source.encoding, delimiter)


def read_jsonl(path: Path, spec: TableSpec) -> RawTable:
    """One JSON object a line; numbers keep their digits, true and false become TRUE and FALSE, null blank.

    Not by the json module's numbers: 24.50 would come out as 24.5, and long integers lose digits in other programs.
    """
    try:
        data = read_file(path, TABLE_BYTES)
        objects = list(_parse_objects(data, path.name, spec))
        names: dict[str, None] = {}
        for line, pairs in objects:
            names.update(dict.fromkeys(pairs))
            if len(names) > TABLE_COLUMNS:
                raise OverBudget(f"up to line {line} it has {len(names)} keys; a table has at most {TABLE_COLUMNS}")
        columns = list(names) or list(spec.columns)
        there = {*names, *find_close_columns(columns, spec).values()}
        columns += [c for c in spec.columns if c not in there]  # a key that no line has is blank in all
        size = TableSize(columns)
        rows = []
        for line, pairs in objects:
            rows.append(RawRow(line, tuple(pairs.get(c, "") for c in columns)))
            size.count_row(rows[-1].cells, line)
    except OverBudget as error:
        return make_over_budget_table(spec, path.name, error)
    except _BadLine as bad:
        message = f"{path.name} line {bad.line}: {bad}"
        bad_line = finding("table.json", message, table=spec.name, line=bad.line, file=path.name)
        return make_broken_table(spec, path.name, bad_line)
    return make_raw_table(spec, path.name, columns, rows)


class _BadLine(ValueError):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _parse_objects(data: bytes, file: str, spec: TableSpec) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every object; errors do not repeat a text that may be that of a private cell."""
    for line, octets in enumerate(data.split(b"\n"), 1):
        if not octets.strip():
            continue
        try:
            pairs = parse_json(octets, LINE_CHARS, object_pairs_hook=_collect_pairs, parse_int=str, parse_float=str)
            if not isinstance(pairs, dict):
                raise ValueError("it is no object")
            yield line, {name: _format_value(value) for name, value in pairs.items()}
        except OverBudget as error:
            raise OverBudget(f"line {line}: {error}") from None
        except _BadValue as error:
            raise _BadLine(error.kind if spec.private else str(error), line) from None
        except (ValueError, RecursionError) as error:
            raise _BadLine(str(error), line) from error


class _BadValue(ValueError):
    """What is wrong with a text of the line; `kind` does not repeat the text."""

    def __init__(self, kind: str, text: object) -> None:
        super().__init__(f"{kind}: {str(text)[:SHOWN_CHARS]!r}")
        self.kind = kind


def _collect_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > TABLE_COLUMNS:
        raise OverBudget(f"it has {len(pairs)} keys; a table has at most {TABLE_COLUMNS}")
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:  # the json module would keep the last one without a word
            raise _BadValue("a key stands twice", name)
        values[name] = value
    return values


def _format_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        value.encode("utf-8")  # half of a surrogate pair is no text: UnicodeEncodeError is a ValueError
        return value
    raise _BadValue("a value is no text, number or truth", value)
