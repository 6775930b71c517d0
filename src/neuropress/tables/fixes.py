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
from .cells import Flawed, parser
from .delimited import read_csv
from .raw import RawRow, RawTable, TableSource
from .sources import read_source
from .validate import Columns, Typed

FILE = "applied_fixes.csv"
COLUMNS = ("id", "table", "key", "line", "column", "text", "fix", "reason", "finding", "person")
_SPEC = TableSpec("fixes", "id", "", (), COLUMNS)


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
    def signed(self) -> bool:
        """Whether a person answers for it."""
        return bool(self.person.strip())

    def told(self, id: str, message: str, file: str, column: str = "", expected: str | None = None) -> Finding:
        """A finding on this line."""
        value = getattr(self, column) or None if column else None
        place: dict[str, Any] = {"line": self.at, "key": self.key or None, "column": column or None, "file": file}
        return finding(id, f"{file} line {self.at}: {message}", table="fixes", value=value, expected=expected, **place)


def read_fixes(path: Path) -> tuple[list[FixLine], list[Finding]]:
    """The lines of a file of fixes, and what is wrong with it as a whole; no file, no lines."""
    raw = read_csv(path, _SPEC, most=LINES_BYTES)
    if raw.findings or not raw.present:
        return [], list(raw.findings)
    position = {column: raw.columns.index(column) for column in COLUMNS}
    lines, told = [], []
    for row in raw.rows:
        if len(row.cells) != len(raw.columns):
            message = f"{path.name} line {row.line} has {len(row.cells)} cells, the header {len(raw.columns)}"
            told.append(finding("table.row_ragged", message, table="fixes", line=row.line, file=path.name))
            continue
        lines.append(FixLine(**{c: row.cells[i] for c, i in position.items()}, at=row.line))
    return lines, told


def fixes_text(lines: Iterable[FixLine]) -> str:
    """A file of fixes, in canonical order."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in sorted(lines, key=lambda f: (f.table, f.key, f.line.zfill(9), f.column)):
        writer.writerow([getattr(line, column) for column in COLUMNS])
    return made.getvalue()


type Spot = tuple[str, int, int]
"""Table, position of the row, position of the cell."""


class Finder:
    """Finds the cells that fixes are about, in the tables as they stand."""

    def __init__(self, tables: Mapping[str, RawTable], profile: Profile, file: str) -> None:
        self.tables, self.profile, self.file = tables, profile, file
        self._rows: dict[str, dict[str, list[int]]] = {}

    def find(self, line: FixLine) -> Spot | Finding:
        """The one cell that a fix is about, or why there is none."""
        table = self.tables.get(line.table)
        if table is None:
            known = ", ".join(self.tables)
            return line.told("fix.invalid", f"there is no table {line.table!r}", self.file, "table", expected=known)
        if table.columns.count(line.column) != 1:
            message = f"{table.file} has not one column {line.column!r}"
            return line.told("fix.invalid", message, self.file, "column", expected=", ".join(table.columns))
        if line.column in table.spec.private:
            message = f"{line.table}.{line.column} is private: it is in no result, correct it in {table.file}"
            return line.told("fix.invalid", message, self.file, "column")
        column = table.columns.index(line.column)
        there = [p for p in self._positions(table, line.key) if self._text(table.rows[p], column) == line.text]
        if len(there) > 1:
            there = [p for p in there if str(table.rows[p].line) == line.line]
        if len(there) == 1:
            return line.table, there[0], column
        message = f"{line.table} {line.key or 'row without a key'} has no {line.column} {line.text!r} any more"
        return line.told("fix.stale", message, self.file, "text")

    def _positions(self, table: RawTable, key: str) -> Sequence[int]:
        known = self._rows.get(table.spec.name)
        if known is None:
            known = self._rows[table.spec.name] = {}
            place = table.columns.index(table.spec.key) if table.columns.count(table.spec.key) == 1 else -1
            for position, row in enumerate(table.rows):
                known.setdefault(self._text(row, place) or "", []).append(position)
        return known.get(key, ())

    @staticmethod
    def _text(row: RawRow, position: int) -> str | None:
        return row.cells[position] if 0 <= position < len(row.cells) else None


def refused(line: FixLine, profile: Profile, file: str) -> Finding | None:
    """Why a corrected text must not stand in its column; None when it may."""
    parsed = parser(line.column, profile.tables[line.table], profile)(line.fix)
    if not isinstance(parsed, Flawed) or not parsed.faulty:
        return None
    wrong = parsed.faults[0]
    return line.told("fix.wrong", f"{line.column}: {wrong.message}", file, "fix", expected=wrong.expected)


def read_tables(source: TableSource | Path, profile: Profile) -> Mapping[str, RawTable]:
    """All tables of a profile with the signed fixes of the dataset laid over them.

    A fix that cannot be used changes nothing; why is in the table's `remarks`, and what is
    wrong with the file of fixes as a whole in those of the first table.

    Raises
    ------
    Problem, OSError
        As `read_source`.
    """
    tables = read_source(source, profile)
    path = Path(source.fixes) if isinstance(source, TableSource) and source.fixes else None
    if path is None or not path.exists():
        return tables
    lines, told = read_fixes(path)
    first = next(iter(tables))
    remarks: dict[str, list[Finding]] = {first: told}
    fixes: dict[str, dict[int, dict[int, Fix]]] = {}
    finder = Finder(tables, profile, path.name)
    for line in lines:
        spot = _usable(line, finder, fixes)
        if isinstance(spot, Finding):
            remarks.setdefault(line.table if line.table in tables else first, []).append(spot)
            continue
        fix = Fix(line.text, line.fix, line.person.strip(), line.reason)
        fixes.setdefault(spot[0], {}).setdefault(spot[1], {})[spot[2]] = fix
    return {name: _fixed(table, fixes.get(name, {}), remarks.get(name, ())) for name, table in tables.items()}


def _usable(line: FixLine, finder: Finder, taken: Mapping[str, Mapping[int, Mapping[int, Fix]]]) -> Spot | Finding:
    if not line.signed:
        return line.told("fix.unsigned", f"{line.table} {line.key} {line.column} is not signed", finder.file, "person")
    spot = finder.find(line)
    if isinstance(spot, Finding):
        return spot
    table, row, column = spot
    if column in taken.get(table, {}).get(row, ()):
        message = f"{table} {line.key} {line.column} is corrected twice"
        return line.told("fix.invalid", message, finder.file, "column")
    return refused(line, finder.profile, finder.file) or spot


def _fixed(table: RawTable, fixes: Mapping[int, Mapping[int, Fix]], remarks: Sequence[Finding]) -> RawTable:
    rows = list(table.rows)
    for position, by_column in fixes.items():
        row = rows[position]
        cells = tuple(by_column[i].text if i in by_column else text for i, text in enumerate(row.cells))
        rows[position] = RawRow(row.line, cells, by_column)
    return replace(table, rows=rows, remarks=tuple(remarks)) if fixes or remarks else table


def mark(typed: Typed) -> None:
    """Tell the cells of corrected rows what stood there and who answers for it."""
    raw = typed.raw
    corrected = {row.line: row.fixes for row in raw.rows if row.fixes}
    for key, record in typed.rows.items() if corrected else ():
        if record.line in corrected:
            fixes = {raw.columns[position]: fix for position, fix in corrected[record.line].items()}
            index = {name: position for position, name in enumerate(record.cells)}
            cells = [Cell(c.text, "fix", fixes[n]) if n in fixes else c for n, c in record.cells.items()]
            typed.rows[key] = replace(record, cells=Columns(index, cells))


def applied(tables: Mapping[str, RawTable]) -> Iterator[Finding]:
    """One finding a table, so that nobody forgets that some of its cells are read otherwise."""
    for name, table in tables.items():
        fixes = [(row, table.columns[i], fix) for row in table.rows for i, fix in row.fixes.items()]
        if fixes:
            key = table.columns.index(table.spec.key)
            said = [f"{r.cells[key]} {c} {f.original!r} as {f.text!r} ({f.person})" for r, c, f in fixes[:3]]
            more = f" and {len(fixes) - 3} more" if len(fixes) > 3 else ""
            message = f"{table.file}: read as {FILE} says: {', '.join(said)}{more}"
            yield finding("fix.applied", message, table=name, file=FILE)
