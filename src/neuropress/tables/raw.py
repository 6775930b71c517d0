"""What every source of tables gives: columns and the text of cells, nothing understood yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..model.budget import CELL_CHARS, TABLE_CELLS, TABLE_COLUMNS, TABLE_ROWS, OverBudget
from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from ..model.record import Fix

_UNKNOWN_TOLD = 20
"""So many unknown columns are told; a table with more is another table."""
_NO_FIXES: Mapping[int, Fix] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TableSource:
    """The ``[tables]`` entry of ``neuropress.toml``.

    Attributes
    ----------
    location
        A folder, a ``.xlsx`` or SQLite file, or ``postgresql://user@host:port/database``.
    encoding, delimiter
        Of text files; UTF-8, and found out from the header, unless stated.
    schema
        Of a PostgreSQL database.
    fixes
        File of a dataset's signed fixes, which are laid over the tables wherever they come from.
    """

    location: str
    encoding: str = "utf-8"
    delimiter: str = ""
    schema: str = "public"
    fixes: str = ""

    @property
    def shown(self) -> str:
        """The location without a password, for messages."""
        if "://" not in self.location:
            return Path(self.location).name
        scheme, _, rest = self.location.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: the line on which it starts (the header is line 1) and its cells' text.

    `fixes` tells, by position, which of them a person corrected; `cells` are then the corrected texts.
    """

    line: int
    cells: tuple[str, ...]
    fixes: Mapping[int, Fix] = _NO_FIXES

    @property
    def originals(self) -> tuple[str, ...]:
        """The texts as they stand in the source."""
        texts = (self.fixes[i].original if i in self.fixes else text for i, text in enumerate(self.cells))
        return tuple(texts) if self.fixes else self.cells


@dataclass(frozen=True, slots=True)
class RawTable:
    """One table as its source holds it.

    Attributes
    ----------
    file
        Name of the source, for messages.
    columns
        As in the source's header, in its order; every row should be as long.
    findings
        What is wrong with the table as a whole: no row of it can be trusted.
    present
        False when there is no such source.
    remarks
        What is wrong with fixes of this table.
    """

    spec: TableSpec
    file: str
    columns: tuple[str, ...] = ()
    rows: Sequence[RawRow] = ()
    findings: tuple[Finding, ...] = ()
    present: bool = True
    remarks: tuple[Finding, ...] = ()


def broken(spec: TableSpec, file: str, *findings: Finding) -> RawTable:
    """A table that is wrong as a whole."""
    return RawTable(spec, file, findings=findings)


def over_budget(spec: TableSpec, file: str, error: OverBudget, line: int | None = None) -> RawTable:
    """A table that asks for more than any table needs."""
    return broken(spec, file, finding("table.budget", f"{file}: {error}", table=spec.name, line=line, file=file))


def unreadable(spec: TableSpec, place: str, error: Exception, id: str = "table.unreadable") -> RawTable:
    """A table that a library gave up; what it says of it may hold text of private cells."""
    if isinstance(error, OverBudget):
        return over_budget(spec, place, error)
    said = type(error).__name__ if spec.private else f"{error}" or type(error).__name__
    return broken(spec, place, finding(id, f"{place}: {said}", table=spec.name, file=place))


class Size:
    """What a table has taken so far.

    Raises
    ------
    OverBudget
        From each method: more than a table may have.
    """

    def __init__(self, columns: Sized) -> None:
        if len(columns) > TABLE_COLUMNS:
            raise OverBudget(f"its header has {len(columns)} columns; a table has at most {TABLE_COLUMNS}")
        self.rows = self.cells = 0

    def add(self, cells: Sequence[str], line: int) -> None:
        """Count a row."""
        self.rows += 1
        self.cells += len(cells)
        if self.rows > TABLE_ROWS:
            raise OverBudget(f"it has more than {TABLE_ROWS} rows")
        if self.cells > TABLE_CELLS:
            raise OverBudget(f"it has more than {TABLE_CELLS} cells")
        if sum(map(len, cells)) > CELL_CHARS and max(map(len, cells)) > CELL_CHARS:
            raise OverBudget(f"a cell of line {line} has more than {CELL_CHARS} characters")


def from_rows(
    spec: TableSpec, place: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], text: Callable[[Any], str]
) -> RawTable:
    """A raw table from rows of values; `line` counts them, the header being line 1."""
    filled: list[RawRow] = []
    size = Size(columns)
    for line, row in enumerate(rows, 2):
        cells = tuple(text(v) for v in row)
        size.add(cells, line)
        if any(cells):
            filled.append(RawRow(line, cells))
    names = public_names(columns, spec)
    return RawTable(spec, place, names, filled, tuple(header_findings(names, spec, place)))


def public_names(columns: Sequence[str], spec: TableSpec) -> tuple[str, ...]:
    """The names of a header; where a table has private columns, only those that are, or nearly are, its own.

    Where the header is missing, or joined with the row below it, cells stand in the place of names.
    """
    known = (*spec.columns, *spec.optional)
    if not spec.private or set(columns) <= {*known, ""}:
        return tuple(columns)

    def shown(name: str) -> bool:
        return not name or name in known or bool(get_close_matches(name[:80].strip().casefold(), known, 1, cutoff=0.75))

    return tuple(name if shown(name) else f"column {place}" for place, name in enumerate(columns, 1))


def header_findings(columns: Sequence[str], spec: TableSpec, file: str) -> Iterator[Finding]:
    """Duplicate, unknown and missing columns; a misspelt one is told once."""
    place: dict[str, Any] = {"table": spec.name, "line": 1, "file": file}
    allowed = (*spec.columns, *spec.optional)
    missing = [c for c in spec.columns if c not in columns]
    counts = Counter(columns)
    for column in (c for c, times in counts.items() if times > 1):
        message = f"column {column!r} stands {counts[column]} times in the header"
        yield finding("table.column_duplicate", message, column=column, **place)
    for column in islice((c for c in counts if c not in allowed), _UNKNOWN_TOLD):
        place_of = columns.index(column)
        published = spec.columns[place_of] if len(columns) == len(spec.columns) else ""
        close = get_close_matches(column.strip().casefold(), missing, 1, cutoff=0.75)
        close = close or [c for c in missing if c == published]
        hint = ""
        if close:
            missing.remove(close[0])
            hint = f"Rename it to {close[0]}."
        elif not column:
            hint = f"Column {place_of + 1} has no name: name it, or delete it when it is empty."
        message = f"table {spec.name} has no column {column!r}"
        yield finding("table.column_unknown", message, hint=hint, column=column, expected=", ".join(allowed), **place)
    for column in missing:
        yield finding("table.column_missing", f"the column {column} is missing from the header", column=column, **place)
