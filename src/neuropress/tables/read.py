"""Delimited text as it stands: every cell's text, and the line that it stands on."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from ..model.record import Fix

DELIMITERS = (",", ";", "\t", "|")
_HEADER_REACH = 1 << 16
_UNKNOWN_TOLD = 20
"""So many unknown columns are told; a table with more is another table."""
_NO_FIXES: Mapping[int, Fix] = MappingProxyType({})


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


def read_csv(path: Path, spec: TableSpec, encoding: str = "utf-8", delimiter: str = "") -> RawTable:
    """One table from a delimited text file, with or without byte order mark.

    Parameters
    ----------
    delimiter
        Found out from the header when it is not stated.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return RawTable(spec, path.name, present=False)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return broken(spec, path.name, _undecodable(data, error, spec, path.name, encoding))
    separator = _delimiter(text, spec, delimiter)
    if separator is None:
        start = text[:60].splitlines()[0] if text.strip() else ""
        said = f"begins {start!r}, which names no column of this table" if start else "is empty"
        expected = ",".join(spec.columns)
        told = finding(
            "table.header", f"{path.name} {said}", table=spec.name, line=1, file=path.name, expected=expected
        )
        return broken(spec, path.name, told)
    rows: list[RawRow] = []
    try:
        rows.extend(_rows(text, separator))
    except _BadQuotes as error:
        message = f"{path.name}: the quotes cannot be understood ({error})"
        return broken(
            spec, path.name, finding("table.quotes", message, table=spec.name, line=error.line, file=path.name)
        )
    columns = rows[0].cells
    return RawTable(spec, path.name, columns, rows[1:], tuple(header_findings(columns, spec, path.name)))


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


def _delimiter(text: str, spec: TableSpec, stated: str) -> str | None:
    """The delimiter that makes most columns known; None when none makes any."""
    known = {*spec.columns, *spec.optional}
    counts = {}
    for delimiter in (stated,) if stated else DELIMITERS:
        try:
            header = next(_rows(text[:_HEADER_REACH], delimiter), None)
        except _BadQuotes:
            continue
        counts[delimiter] = len(known.intersection(header.cells)) if header else 0
    best = max(counts, key=lambda d: counts[d], default=None)
    return best if best and counts[best] else None


def broken(spec: TableSpec, file: str, *findings: Finding) -> RawTable:
    """A table that is wrong as a whole."""
    return RawTable(spec, file, findings=findings)


def _undecodable(data: bytes, error: UnicodeDecodeError, spec: TableSpec, file: str, encoding: str) -> Finding:
    line = data.count(b"\n", 0, error.start) + 1
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    what = "is UTF-16" if utf16 else f"has the byte 0x{data[error.start]:02x} at offset {error.start}, line {line}"
    return finding(
        "table.encoding", f"{file} {what}; it is not {encoding.upper()}", table=spec.name, line=line, file=file
    )


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
