"""Tables as they stand: every cell's text, and the line that it stands on.

`read_tables` is the only door: another kind of source (workbook, database) is another
function that gives a `RawTable` for a table's specification.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from ..model.finding import Finding, finding
from ..model.profile import Profile, TableSpec

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_HEADER_REACH = 1 << 16
_UNKNOWN_TOLD = 20
"""So many unknown columns are told; a table with more is another table."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: the line on which it starts (the header is line 1) and its cells' text."""

    line: int
    cells: tuple[str, ...]


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
    """

    spec: TableSpec
    file: str
    columns: tuple[str, ...] = ()
    rows: Sequence[RawRow] = ()
    findings: tuple[Finding, ...] = ()
    present: bool = True


def read_tables(folder: Path, profile: Profile) -> Mapping[str, RawTable]:
    """All tables of a profile from ``<folder>/<table>.csv``.

    Raises
    ------
    OSError
        The machine could not read a file that is there.
    """
    return {name: read_csv(folder / f"{name}.csv", spec) for name, spec in profile.tables.items()}


def read_csv(path: Path, spec: TableSpec) -> RawTable:
    """One table from a delimited text file, UTF-8 with or without byte order mark."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return RawTable(spec, path.name, present=False)
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return _broken(spec, path.name, _undecodable(data, error, spec, path.name))
    delimiter = _delimiter(text, spec)
    if delimiter is None:
        start = text[:60].splitlines()[0] if text.strip() else ""
        said = f"begins {start!r}, which names no column of this table" if start else "is empty"
        expected = ",".join(spec.columns)
        told = finding(
            "table.header", f"{path.name} {said}", table=spec.name, line=1, file=path.name, expected=expected
        )
        return _broken(spec, path.name, told)
    rows: list[RawRow] = []
    try:
        rows.extend(_rows(text, delimiter))
    except _BadQuotes as error:
        message = f"{path.name}: the quotes cannot be understood ({error})"
        return _broken(
            spec, path.name, finding("table.quotes", message, table=spec.name, line=error.line, file=path.name)
        )
    columns = rows[0].cells
    return RawTable(spec, path.name, columns, rows[1:], tuple(_header_findings(columns, spec, path.name)))


class _BadQuotes(Exception):
    def __init__(self, error: csv.Error, line: int) -> None:
        super().__init__(str(error))
        self.line = line


def _rows(text: str, delimiter: str) -> Iterator[RawRow]:
    """Rows that hold anything: spreadsheets append empty ones at will."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield RawRow(line, tuple(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise _BadQuotes(error, line) from error


def _delimiter(text: str, spec: TableSpec) -> str | None:
    """The delimiter that makes most columns known; None when none makes any."""
    known = {*spec.columns, *spec.optional}
    counts = {}
    for delimiter in DELIMITERS:
        try:
            header = next(_rows(text[:_HEADER_REACH], delimiter), None)
        except _BadQuotes:
            continue
        counts[delimiter] = len(known.intersection(header.cells)) if header else 0
    best = max(counts, key=lambda d: counts[d], default=None)
    return best if best and counts[best] else None


def _broken(spec: TableSpec, file: str, *findings: Finding) -> RawTable:
    return RawTable(spec, file, findings=findings)


def _undecodable(data: bytes, error: UnicodeDecodeError, spec: TableSpec, file: str) -> Finding:
    line = data.count(b"\n", 0, error.start) + 1
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    what = "is UTF-16" if utf16 else f"has the byte 0x{data[error.start]:02x} at offset {error.start}, line {line}"
    return finding("table.encoding", f"{file} {what}; it is not UTF-8", table=spec.name, line=line, file=file)


def _header_findings(columns: Sequence[str], spec: TableSpec, file: str) -> Iterator[Finding]:
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
