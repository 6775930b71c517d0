"""Delimited text as it stands: every cell's text, and the line that it stands on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from .raw import RawRow, RawTable, broken, header_findings

DELIMITERS = (",", ";", "\t", "|")
_HEADER_REACH = 1 << 16


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


def _undecodable(data: bytes, error: UnicodeDecodeError, spec: TableSpec, file: str, encoding: str) -> Finding:
    line = data.count(b"\n", 0, error.start) + 1
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    what = "is UTF-16" if utf16 else f"has the byte 0x{data[error.start]:02x} at offset {error.start}, line {line}"
    return finding(
        "table.encoding", f"{file} {what}; it is not {encoding.upper()}", table=spec.name, line=line, file=file
    )
