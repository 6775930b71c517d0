"""Metadata tables: read verbatim, understood cell by cell, joined by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..model.finding import Finding, finding
from ..model.privacy import hide_for
from ..model.profile import Profile, TableSpec
from ..model.waiver import Waiver, waive
from .fixes import FILE as FIXES
from .fixes import applied, mark, read_tables
from .keys import normalise_key
from .link import RowId, Tables, link
from .memory import uncollected
from .raw import RawRow, RawTable, TableSource
from .schema import check_schemas
from .sources import read_source
from .unread import unread
from .validate import type_table
from .write import write_headers

__all__ = [
    "FIXES",
    "RawTable",
    "RowId",
    "TableSource",
    "Tables",
    "check_schemas",
    "draft_findings",
    "load_tables",
    "normalise_key",
    "read_source",
    "read_tables",
    "uncollected",
    "write_headers",
]


def load_tables(source: TableSource | Path, profile: Profile, waivers: Sequence[Waiver] = ()) -> Tables:
    """Read, understand and join all tables of a source; rules between rows are `neuropress.checks`' task.

    Nothing raises on bad input: everything that is wrong is in the result's `findings`, without the text of
    private cells.

    Parameters
    ----------
    waivers
        Errors that they cover are warnings; a row is not blocked by one if all of its cells are understood.

    Raises
    ------
    Problem
        As `read_source`.
    OSError
        The machine could not read a file that is there.
    """
    source = TableSource(str(source)) if isinstance(source, Path) else source
    raw = read_tables(source, profile)
    typed = {name: type_table(table, profile, waivers) for name, table in raw.items()}
    for one in typed.values():
        mark(one)
    tables = link(typed, profile, waivers)
    told = {found.location.file for found in tables.findings if found.id == "table.missing"}
    missing = (table for table in raw.values() if not table.present and not table.spec.optional_table)
    absent = [table for table in missing if table.file not in told]
    told_of = [_absent(table) for table in absent]
    told_of += (remark for table in raw.values() for remark in table.remarks)
    told_of += (*applied(raw), *unread(source, raw))
    return tables.with_findings([(waive(hide_for(found, profile), waivers), ()) for found in told_of])


def _absent(table: RawTable) -> Finding:
    message = f"there is no {table.file}, so table {table.spec.name} is taken to be empty"
    return finding("table.absent", message, table=table.spec.name, file=table.file)


def draft_findings(spec: TableSpec, row: Mapping[str, str], profile: Profile) -> list[str]:
    """What a row by itself still lacks, in words; rules between rows are not looked at."""
    cells = tuple(row.get(column, "") for column in spec.columns)
    return [told.message for told in type_table(RawTable(spec, "", spec.columns, [RawRow(2, cells)]), profile).findings]
