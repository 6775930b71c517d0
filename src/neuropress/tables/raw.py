"""What every source of tables gives: columns and the text of cells, nothing understood yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..model.budget import CELL_CHARS, TABLE_CELLS, TABLE_COLUMNS, TABLE_ROWS, OverBudget
from ..model.finding import Finding, Severity, finding
from ..model.profile import TableSpec
from ..model.record import Fix

SERIAL_1900, SERIAL_1904 = " (serial 1900)", " (serial 1904)"
"""Ends of the names of columns that hold the numbers behind a workbook's dates, by the day that these count from."""
_UNKNOWN_LISTED = 20
"""So many unknown columns are findings; a table with more is another table."""
_NO_FIXES: Mapping[int, Fix] = MappingProxyType({})
_NO_FAULTS: Mapping[int, Finding] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TableSource:
    """Where tables are kept: one of the ``[tables]`` of ``neuropress.toml``.

    Attributes
    ----------
    location
        A folder, a ``.xlsx`` or SQLite file, or ``postgresql://user@host:port/database``.
    encoding, delimiter
        Of text files; UTF-8, and found out from the header, unless stated.
    schema
        Of a PostgreSQL database.
    label
        What its tables go by where there are several sources; empty for the only one.
    """

    location: str
    encoding: str = "utf-8"
    delimiter: str = ""
    schema: str = "public"
    label: str = ""

    @property
    def display_name(self) -> str:
        """The location without a password, for messages."""
        if "://" not in self.location:
            return Path(self.location).name
        scheme, _, rest = self.location.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class TableSources:
    """The whole ``[tables]`` entry: a table may be kept in several sources, as one file for each lab.

    Attributes
    ----------
    parts
        In the order in which rows are read.
    fixes
        File of a dataset's signed fixes, which are laid over the tables wherever they come from.
    """

    parts: tuple[TableSource, ...]
    fixes: str = ""

    @classmethod
    def of(cls, source: TableSources | TableSource | Path) -> TableSources:
        """One source, or a folder of tables, as all that there is."""
        if isinstance(source, Path):
            source = TableSource(str(source))
        return cls((source,)) if isinstance(source, TableSource) else source


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: the line on which it starts (the header is line 1) and its cells' text.

    `fixes` says, by position, which of them a person corrected; `cells` are then the corrected texts.
    `faults` says, by position, what the source found wrong with a cell: a formula, which is read as blank.
    """

    line: int
    cells: tuple[str, ...]
    fixes: Mapping[int, Fix] = _NO_FIXES
    faults: Mapping[int, Finding] = _NO_FAULTS

    @property
    def originals(self) -> tuple[str, ...]:
        """The texts as they stand in the source."""
        if not self.fixes:
            return self.cells
        texts = list(self.cells)
        for position, fix in self.fixes.items():
            texts[position] = fix.original
        return tuple(texts)


@dataclass(frozen=True)
class RawTable:
    """One table as one source holds it.

    Attributes
    ----------
    file
        Name of the source, for messages.
    columns
        As in the source's header, in its order; every row should be as long.
    findings
        What is wrong with the table as a whole: no row of it is used, though what can be read of it is checked.
    present
        False when there is no such source.
    remarks
        What withholds no row: unknown columns, and what is wrong with fixes of this table.
    source
        The file again, by which its rows are told from those of other sources; empty for the only source.
    label
        Of its `TableSource`.
    """

    spec: TableSpec
    file: str
    columns: tuple[str, ...] = ()
    rows: Sequence[RawRow] = ()
    findings: tuple[Finding, ...] = ()
    present: bool = True
    remarks: tuple[Finding, ...] = ()
    source: str = ""
    label: str = ""

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Column of the table -> where it stands; a misspelt one under the name that is meant."""
        return map_columns(self.columns, self.spec)

    @property
    def place(self) -> dict[str, Any]:
        """The table: parts of a `Location`."""
        return {"table": self.spec.name, **({"source": self.source} if self.source else {})}

    def under(self, label: str) -> RawTable:
        """The same table as one of several, its file named by the source's label."""
        _, mark, name = self.file.partition("!")
        file = f"{label}!{name}" if mark else f"{label}/{self.file}"  # a sheet or a database's table, or a file

        def relabel(found: Finding) -> Finding:
            where = found.location
            return replace(found, location=replace(where, source=file, file=None)) if where.table else found

        rows = self.rows
        if any(row.faults for row in rows):
            rows = [replace(row, faults={at: relabel(fault) for at, fault in row.faults.items()}) for row in rows]
        return replace(
            self,
            file=file,
            rows=rows,
            findings=tuple(map(relabel, self.findings)),
            remarks=tuple(map(relabel, self.remarks)),
            source=file,
            label=label,
        )


type RawParts = Sequence[RawTable]
"""One table as it stands in each source that has it."""


def choose_part(parts: RawParts, label: str) -> RawTable:
    """A table as one source has it; one that is not present, if that source does not have it."""
    return next((table for table in parts if table.label == label), None) or replace(parts[0], present=False)


def make_broken_table(spec: TableSpec, file: str, *findings: Finding) -> RawTable:
    """A table that is wrong as a whole."""
    return RawTable(spec, file, findings=findings)


def make_over_budget_table(spec: TableSpec, file: str, error: OverBudget, line: int | None = None) -> RawTable:
    """A table that asks for more than any table needs."""
    return make_broken_table(
        spec, file, finding("table.budget", f"{file}: {error}", table=spec.name, line=line, file=file)
    )


def make_unreadable_table(spec: TableSpec, place: str, error: Exception, id: str = "table.unreadable") -> RawTable:
    """A table that a library gave up; its message may hold text of private cells."""
    if isinstance(error, OverBudget):
        return make_over_budget_table(spec, place, error)
    reason = type(error).__name__
    if not spec.private:
        reason = str(error) or reason
    return make_broken_table(spec, place, finding(id, f"{place}: {reason}", table=spec.name, file=place))


class TableSize:
    """What a table has taken so far; rows are counted while they are read, because a source may have no end.

    Raises
    ------
    OverBudget
        From each method: more than a table may have.
    """

    def __init__(self, columns: Sized) -> None:
        if len(columns) > TABLE_COLUMNS:
            raise OverBudget(f"its header has {len(columns)} columns; a table has at most {TABLE_COLUMNS}")
        self.rows = self.cells = 0

    def count_row(self, cells: Sequence[str], line: int) -> None:
        """Count a row."""
        self.rows += 1
        self.cells += len(cells)
        if self.rows > TABLE_ROWS:
            raise OverBudget(f"it has more than {TABLE_ROWS} rows")
        if self.cells > TABLE_CELLS:
            raise OverBudget(f"it has more than {TABLE_CELLS} cells")
        # The sum is the cheaper question, and for nearly every row it is enough.
        if sum(map(len, cells)) > CELL_CHARS and max(map(len, cells)) > CELL_CHARS:
            raise OverBudget(f"a cell of line {line} has more than {CELL_CHARS} characters")


def build_raw_table(
    spec: TableSpec, place: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], text: Callable[[Any], str]
) -> RawTable:
    """A raw table from rows of values; `line` counts them, the header being line 1."""
    filled: list[RawRow] = []
    size = TableSize(columns)
    for line, row in enumerate(rows, 2):
        cells = tuple(text(v) for v in row)
        size.count_row(cells, line)
        if any(cells):
            filled.append(RawRow(line, cells))
    return make_raw_table(spec, place, columns, filled)


def make_raw_table(spec: TableSpec, place: str, columns: Sequence[str], rows: Sequence[RawRow]) -> RawTable:
    """A table with what is wrong with its header."""
    names = hide_unknown_names(columns, spec)
    found = list(check_header(names, spec, place))
    errors = tuple(one for one in found if one.severity is Severity.ERROR)
    remarks = tuple(one for one in found if one.severity is not Severity.ERROR)
    return RawTable(spec, place, names, rows, errors, remarks=remarks)


def hide_unknown_names(columns: Sequence[str], spec: TableSpec) -> tuple[str, ...]:
    """The names of a header; where a table has private columns, only those that are, or nearly are, its own.

    Where the header is missing, or joined with the row below it, cells stand in the place of names.
    """
    known = (*spec.columns, *spec.optional)
    if not spec.private or set(map(strip_serial, columns)) <= {*known, ""}:
        return tuple(columns)

    names = []
    for position, name in enumerate(columns, 1):
        is_known = not name or strip_serial(name) in known or _find_close_name(name[:80], known)
        names.append(name if is_known else f"column {position}")
    return tuple(names)


def _find_close_name(name: str, known: Sequence[str]) -> str:
    """The one of the known names that a name is nearly; empty where none is near enough."""
    close = get_close_matches(name.strip().casefold(), known, 1, cutoff=0.75)
    return close[0] if close else ""


def number_names(columns: Sequence[str]) -> list[str]:
    """A name of its own for each column: the second ``notes`` is ``notes (2)``."""
    names: dict[str, None] = {}
    for name in columns:
        number = 1
        while (unique := f"{name} ({number})" if number > 1 else name) in names:
            number += 1
        names[unique] = None
    return list(names)


def strip_serial(column: str) -> str:
    """The column whose numbers behind dates stand in this one; any other column itself."""
    return column.removesuffix(SERIAL_1900).removesuffix(SERIAL_1904)


def map_columns(columns: Sequence[str], spec: TableSpec) -> dict[str, int]:
    """Where each column of a table stands; without those that are missing or stand there twice."""
    counts = Counter(columns)
    known = (*spec.columns, *spec.optional)
    positions = {name: columns.index(name) for name in known if counts[name] == 1}
    return positions | {meant: columns.index(name) for name, meant in _find_misspelt(columns, spec).items()}


def _find_misspelt(columns: Sequence[str], spec: TableSpec) -> dict[str, str]:
    """Unknown columns that stand for a missing one, and for which: by their name, or else by their place."""
    meant = find_close_columns(columns, spec)
    if len(columns) == len(spec.columns):
        missing = {*spec.columns} - {*columns, *meant.values()}
        for name, here in zip(columns, spec.columns, strict=True):
            if here in missing and name not in (*spec.columns, *spec.optional, *meant) and columns.count(name) == 1:
                meant[name] = here  # renamed beyond recognition, but it stands where the published one should
    return meant


def find_close_columns(columns: Sequence[str], spec: TableSpec) -> dict[str, str]:
    """Unknown columns whose names are nearly those of missing ones, and of which."""
    counts = Counter(columns)
    missing = [name for name in spec.columns if name not in counts]
    unknown = [name for name in counts if strip_serial(name) not in (*spec.columns, *spec.optional)]
    unknown = [name for name in unknown if counts[name] == 1]
    meant: dict[str, str] = {}
    for name in unknown[:_UNKNOWN_LISTED]:
        if close := _find_close_name(name, missing):
            meant[name] = close
            missing.remove(close)
    return meant


def check_header(columns: Sequence[str], spec: TableSpec, file: str) -> Iterator[Finding]:
    """Duplicate, unknown and missing columns; a misspelt one is one finding, not an unknown and a missing one."""
    place: dict[str, Any] = {"table": spec.name, "line": 1, "file": file}
    allowed = (*spec.columns, *spec.optional)
    place_of_unknown = {**place, "expected": ", ".join(allowed)}
    counts = Counter(columns)
    for column in allowed:
        if counts[column] > 1:
            message = f"column {column!r} stands {counts[column]} times in the header"
            yield finding("table.column_duplicate", message, column=column, **place)
    misspelt = _find_misspelt(columns, spec)
    unknown = [column for column in counts if strip_serial(column) not in allowed]
    for column in unknown[:_UNKNOWN_LISTED]:
        message = f"table {spec.name} has no column {column!r}"
        severity, hint = Severity.WARNING, _suggest_place(column, columns, spec)
        if column in misspelt:
            message += f", and {misspelt[column]} is missing"
            severity, hint = Severity.ERROR, _suggest_name(column, misspelt[column])
        else:
            message += "; its cells are kept as they stand" if not spec.private else "; its cells are taken for private"
        more = {**place_of_unknown, "column": column}
        yield finding("table.column_unknown", message, severity=severity, hint=hint, **more)
    if len(unknown) > _UNKNOWN_LISTED:
        message = f"table {spec.name} has {len(unknown) - _UNKNOWN_LISTED} more unknown columns"
        yield finding("table.column_unknown", message, severity=Severity.WARNING, **place_of_unknown)
    for column in spec.columns:
        if column not in counts and column not in misspelt.values():
            yield finding(
                "table.column_missing", f"the column {column} is missing from the header", column=column, **place
            )


def _suggest_name(column: str, meant: str) -> str:
    """How to rename a misspelt column: a name that is only near may say another unit, as weight_kg is not in grams."""
    if column.strip().casefold().replace(" ", "_").replace("-", "_") == meant:
        return f"Rename it to {meant}."
    return f"Look at its cells: if they are those of {meant}, in its unit, rename it so."


def _suggest_place(column: str, columns: Sequence[str], spec: TableSpec) -> str:
    """What to do with an unknown column that stands for no missing one."""
    if not column:
        return f"Column {columns.index(column) + 1} has no name: name it, or delete it when it is empty."
    if close := _find_close_name(column, [name for name in spec.optional if name not in columns]):
        return f"Rename it to {close}, if that is meant."
    return (
        f"To check it, or to take it to a field of a result, add it to `optional` of [tables.{spec.name}] in a profile "
        f"of your own and describe it in schemas/{spec.name}.schema.json; a rule in mappings/ says where it goes."
    )
