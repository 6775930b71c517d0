"""Metadata tables: read verbatim, understood cell by cell, joined by their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..model.finding import Finding, finding
from ..model.memory import pause_garbage_collection
from ..model.privacy import hide_for
from ..model.profile import Profile, TableSpec
from ..model.waiver import Waiver, waive
from .fixes import FILE as FIXES
from .fixes import attach_fixes, read_tables, report_applied_fixes
from .keys import normalise_key
from .link import RowId, Tables, link_tables
from .raw import RawParts, RawRow, RawTable, TableSource, TableSources, number_names
from .schema import ColumnSchema, check_schemas, compile_table_schema
from .sources import read_sources
from .unknown import check_unknown_columns, is_private_cell
from .unread_files import check_unread_files
from .validate import parse_table
from .write import write_headers

__all__ = [
    "FIXES",
    "RawParts",
    "RawTable",
    "RowId",
    "TableSource",
    "TableSources",
    "Tables",
    "check_schemas",
    "is_private_cell",
    "list_row_gaps",
    "load_tables",
    "normalise_key",
    "number_names",
    "pause_garbage_collection",
    "read_sources",
    "read_tables",
    "write_headers",
]


def load_tables(source: TableSources | TableSource | Path, profile: Profile, waivers: Sequence[Waiver] = ()) -> Tables:
    """Read, understand and join all tables of one source or several; rules between rows are `neuropress.checks`' task.

    Nothing raises on bad input: everything that is wrong is in the result's `findings`, without the text of
    private cells.

    Parameters
    ----------
    waivers
        Errors that they cover are warnings; a row is not blocked by one if all of its cells are understood.

    Raises
    ------
    Problem
        As `read_tables`.
    OSError
        The machine could not read a file that is there.
    """
    sources = TableSources.of(source)
    raw = read_tables(sources, profile)
    typed = {name: parse_table(parts, profile, waivers) for name, parts in raw.items()}
    for table in typed.values():
        attach_fixes(table)
    tables = link_tables(typed, profile, waivers)
    everything = [table for parts in raw.values() for table in parts]
    findings = list(_check_absent_tables(everything, tables.findings))
    for raw_table in everything:
        findings += raw_table.remarks
        findings += check_unknown_columns(raw_table)
    findings += report_applied_fixes(everything)
    findings += check_unread_files(sources, raw)
    return tables.with_findings([(waive(hide_for(reported, profile), waivers), ()) for reported in findings])


def _check_absent_tables(tables: Iterable[RawTable], known: Sequence[Finding]) -> Iterator[Finding]:
    """A finding for each published table that is not there, unless rows that point to it are one already."""
    missing = {reported.location.file for reported in known if reported.id == "table.missing"}
    for table in tables:
        if table.present or table.spec.optional_table or table.file in missing:
            continue
        what = "source with it" if table.source else table.file
        message = f"there is no {what}, so table {table.spec.name} is taken to be empty"
        yield finding("table.absent", message, table=table.spec.name, file=table.file)


def list_row_gaps(spec: TableSpec, row: Mapping[str, str], profile: Profile) -> dict[str, str]:
    """What a row by itself still lacks: column -> what it should say; rules between rows are not looked at."""
    columns = tuple(row)
    cells = tuple(row.values())
    typed = parse_table([RawTable(spec, "", columns, [RawRow(2, cells)])], profile)
    described = compile_table_schema(spec.name, spec.schema).columns
    gaps = {}
    for found in typed.findings:
        if column := found.location.column:
            gaps[column] = _describe_column(described[column]) if not row[column] else found.message
    return gaps


def _describe_column(column: ColumnSchema) -> str:
    """What a column means and which words it may hold."""
    allowed = ", ".join(str(word) for word in column.rules.get("enum", ()) if word is not None)
    example = f" As in {column.example}." if column.example and not allowed else ""
    return f"{column.description}{f' One of: {allowed}.' if allowed else ''}{example}"
