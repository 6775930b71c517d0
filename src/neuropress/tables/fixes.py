"""``applied_fixes.csv``: cells that a person corrected, laid over the tables whenever they are read.

The tables themselves stay as they are. A fix names its cell by the text that stands there, so
that a table which changed meanwhile is never "corrected" by mistake.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model.budget import LINES_BYTES
from ..model.finding import Finding, finding
from ..model.profile import Profile, TableSpec
from ..model.record import Cell, Fix
from .cells import FlaggedCell, build_cell_parser
from .delimited import read_csv
from .raw import RawParts, RawRow, RawTable, TableSource, TableSources
from .sources import read_sources
from .validate import RowValues, TypedTable

FILE = "applied_fixes.csv"
COLUMNS = ("id", "table", "key", "line", "column", "text", "fix", "reason", "finding", "person")
_EXAMPLES = 3
_SPEC = TableSpec("fixes", "id", "", COLUMNS)


@dataclass(frozen=True, slots=True)
class FixLine:
    """One line of ``applied_fixes.csv``, or of proposals, which have the same form.

    Attributes
    ----------
    id
        Names the proposal, so that it is found again after a spreadsheet changed `text`.
    key
        Text of the row's key cell, as it stands.
    line
        Line of the row; it decides only where rows cannot be told apart otherwise.
    text, fix
        What stands in the cell, and what shall be read instead.
    reason, finding
        What is wrong with `text`, and the id of that finding.
    person
        Who signs; a line without a person changes nothing.
    at
        Line in the file of fixes.
    """

    id: str
    table: str
    key: str
    line: str
    column: str
    text: str
    fix: str
    reason: str
    finding: str
    person: str
    at: int = 0

    @property
    def is_signed(self) -> bool:
        """Whether a person answers for it."""
        return bool(self.person.strip())

    def make_finding(self, id: str, message: str, file: str, column: str = "", expected: str | None = None) -> Finding:
        """A finding on this line."""
        value = getattr(self, column) or None if column else None
        place: dict[str, Any] = {"line": self.at, "key": self.key or None, "column": column or None, "file": file}
        return finding(id, f"{file} line {self.at}: {message}", table="fixes", value=value, expected=expected, **place)


def read_fixes(path: Path) -> tuple[list[FixLine], list[Finding]]:
    """The lines of a file of fixes, and what is wrong with it as a whole; no file, no lines."""
    raw = read_csv(path, _SPEC, max_bytes=LINES_BYTES)
    if raw.findings or not raw.present:
        return [], list(raw.findings)
    position = {column: raw.columns.index(column) for column in COLUMNS}
    lines, findings = [], []
    for row in raw.rows:
        if len(row.cells) != len(raw.columns):
            message = f"{path.name} line {row.line} has {len(row.cells)} cells, the header {len(raw.columns)}"
            findings.append(finding("table.row_ragged", message, table="fixes", line=row.line, file=path.name))
            continue
        lines.append(FixLine(**{column: row.cells[i] for column, i in position.items()}, at=row.line))
    return lines, findings


def format_fixes(lines: Iterable[FixLine]) -> str:
    """A file of fixes, in canonical order."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    # Line numbers are texts here: filled up with zeros, 10 comes after 9.
    for line in sorted(lines, key=lambda f: (f.table, f.key, f.line.zfill(9), f.column)):
        writer.writerow([getattr(line, column) for column in COLUMNS])
    return text.getvalue()


type CellPosition = tuple[str, int, int, int]
"""Table, position of its source, position of the row, position of the cell."""


class CellLocator:
    """Finds the cells that fixes are about, in the tables as they stand."""

    def __init__(self, tables: Mapping[str, RawParts], profile: Profile, file: str) -> None:
        self.tables, self.profile, self.file = tables, profile, file
        self._rows: dict[str, dict[str, list[tuple[int, int]]]] = {}

    def locate_cell(self, line: FixLine) -> CellPosition | Finding:
        """The one cell that a fix is about, or why there is none."""
        parts = self.tables.get(line.table)
        if parts is None:
            known = ", ".join(self.tables)
            return line.make_finding(
                "fix.invalid", f"there is no table {line.table!r}", self.file, "table", expected=known
            )
        spec, files = parts[0].spec, " and ".join(table.file for table in parts)
        own = (*spec.columns, *spec.optional)
        columns = [table.columns.index(line.column) if table.columns.count(line.column) == 1 else -1 for table in parts]
        if max(columns) < 0 or line.column not in own:
            message = f"{files} has not one column {line.column!r}"
            return line.make_finding("fix.invalid", message, self.file, "column", expected=", ".join(parts[0].columns))
        if line.column in spec.private:
            message = f"{line.table}.{line.column} is private: it is in no result, correct it in {files}"
            return line.make_finding("fix.invalid", message, self.file, "column")
        rows = [
            (part, row)
            for part, row in self._find_rows(line.table, line.key)
            if self._get_text(parts[part].rows[row], columns[part]) == line.text
        ]
        if len(rows) > 1:
            # Only now: lines move when rows are added above, keys and texts do not.
            rows = [(part, row) for part, row in rows if str(parts[part].rows[row].line) == line.line]
        if len(rows) == 1:
            part, row = rows[0]
            return line.table, part, row, columns[part]
        message = f"{line.table} {line.key or 'row without a key'} has no {line.column} {line.text!r} any more"
        return line.make_finding("fix.stale", message, self.file, "text")

    def _find_rows(self, name: str, key: str) -> Sequence[tuple[int, int]]:
        """Rows whose key cell holds a text: positions of the source and of the row in it."""
        known = self._rows.get(name)
        if known is None:
            known = self._rows[name] = {}
            for part, table in enumerate(self.tables[name]):
                has_key = table.columns.count(table.spec.key) == 1
                key_column = table.columns.index(table.spec.key) if has_key else -1
                for position, row in enumerate(table.rows):
                    known.setdefault(self._get_text(row, key_column) or "", []).append((part, position))
        return known.get(key, ())

    @staticmethod
    def _get_text(row: RawRow, position: int) -> str | None:
        return row.cells[position] if 0 <= position < len(row.cells) else None


def check_fix_text(line: FixLine, profile: Profile, file: str) -> Finding | None:
    """Why a corrected text must not stand in its column; None when it may."""
    parsed = build_cell_parser(line.column, profile.tables[line.table], profile)(line.fix)
    if not isinstance(parsed, FlaggedCell) or not parsed.has_error:
        return None
    fault = parsed.faults[0]
    return line.make_finding("fix.wrong", f"{line.column}: {fault.message}", file, "fix", expected=fault.expected)


def read_tables(source: TableSources | TableSource | Path, profile: Profile) -> Mapping[str, RawParts]:
    """All tables of a profile, as their sources have them, with the signed fixes of the dataset laid over them.

    A fix that cannot be used changes nothing; why is in the table's `remarks`, and what is
    wrong with the file of fixes as a whole in those of the first table.

    Raises
    ------
    Problem, OSError
        As `read_sources`.
    """
    sources = TableSources.of(source)
    tables = read_sources(sources, profile)
    path = Path(sources.fixes) if sources.fixes else None
    if path is None or not path.exists():
        return tables
    lines, findings = read_fixes(path)
    first = next(iter(tables))
    remarks: dict[str, list[Finding]] = {first: findings}
    fixes: dict[tuple[str, int], FixesOfRows] = {}
    locator = CellLocator(tables, profile, path.name)
    for line in lines:
        position = _locate_usable_fix(line, locator, fixes)
        if isinstance(position, Finding):
            remarks.setdefault(line.table if line.table in tables else first, []).append(position)
            continue
        table, part, row, column = position
        fix = Fix(line.text, line.fix, line.person.strip(), line.reason)
        fixes.setdefault((table, part), {}).setdefault(row, {})[column] = fix
    corrected = {}
    for name, parts in tables.items():
        own = [remarks.get(name, ()), *[()] * (len(parts) - 1)]
        corrected[name] = tuple(
            _apply_fixes(raw, fixes.get((name, part), {}), own[part]) for part, raw in enumerate(parts)
        )
    return corrected


type FixesOfRows = dict[int, dict[int, Fix]]
"""Position of the row -> position of the cell -> its correction."""


def _locate_usable_fix(
    line: FixLine, locator: CellLocator, taken: Mapping[tuple[str, int], FixesOfRows]
) -> CellPosition | Finding:
    """The cell of a signed fix that its column may hold and no line before has corrected; else why it is not used."""
    if not line.is_signed:
        return line.make_finding(
            "fix.unsigned", f"{line.table} {line.key} {line.column} is not signed", locator.file, "person"
        )
    position = locator.locate_cell(line)
    if isinstance(position, Finding):
        return position
    table, part, row, column = position
    if column in taken.get((table, part), {}).get(row, ()):
        message = f"{table} {line.key} {line.column} is corrected twice"
        return line.make_finding("fix.invalid", message, locator.file, "column")
    return check_fix_text(line, locator.profile, locator.file) or position


def _apply_fixes(table: RawTable, fixes: Mapping[int, Mapping[int, Fix]], remarks: Sequence[Finding]) -> RawTable:
    rows = list(table.rows)
    for position, by_column in fixes.items():
        row = rows[position]
        cells = list(row.cells)
        for column, fix in by_column.items():
            cells[column] = fix.text
        faults = {at: fault for at, fault in row.faults.items() if at not in by_column}
        rows[position] = RawRow(row.line, tuple(cells), by_column, faults)
    return replace(table, rows=rows, remarks=(*table.remarks, *remarks)) if fixes or remarks else table


def attach_fixes(typed: TypedTable) -> None:
    """Give the cells of corrected rows what stood there and who answers for it."""
    corrected = {}
    for raw in typed.parts:
        for row in raw.rows:
            if row.fixes:
                fixes = {raw.columns[position]: fix for position, fix in row.fixes.items()}
                corrected[raw.source, row.line] = fixes
    if not corrected:
        return  # as in nearly every table: its rows need not be looked through
    for key, record in typed.rows.items():
        if (record.source, record.line) not in corrected:
            continue
        fixes = corrected[record.source, record.line]
        index = {name: position for position, name in enumerate(record.cells)}
        cells = []
        for name, cell in record.cells.items():
            cells.append(Cell(cell.text, "fix", fixes[name]) if name in fixes else cell)
        typed.rows[key] = replace(record, cells=RowValues(index, cells))


def report_applied_fixes(tables: Iterable[RawTable]) -> Iterator[Finding]:
    """One finding a table, so that nobody forgets that some of its cells are read otherwise."""
    for table in tables:
        fixes = [(row, position, fix) for row in table.rows for position, fix in row.fixes.items()]
        if not fixes:
            continue
        key = table.columns.index(table.spec.key)
        examples = []
        for row, position, fix in fixes[:_EXAMPLES]:
            cell = f"{row.cells[key]} {table.columns[position]}"
            examples.append(f"{cell} {fix.original!r} as {fix.text!r} ({fix.person})")
        more = f" and {len(fixes) - _EXAMPLES} more" if len(fixes) > _EXAMPLES else ""
        message = f"{table.file}: read as {FILE} says: {', '.join(examples)}{more}"
        yield finding("fix.applied", message, file=FILE, **table.place)
