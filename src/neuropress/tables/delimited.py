"""Delimited text as it stands: every cell's text, and the line that it stands on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..model.budget import LINE_CHARS, TABLE_BYTES, OverBudget, read_file
from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from .raw import RawRow, RawTable, Size, broken, header_findings, over_budget, public_names

DELIMITERS = (",", ";", "\t", "|")
_HEADER_REACH = 1 << 16
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n|\Z)")


def read_csv(
    path: Path, spec: TableSpec, encoding: str = "utf-8", delimiter: str = "", most: int = TABLE_BYTES
) -> RawTable:
    """One table from a delimited text file, with or without byte order mark.

    Parameters
    ----------
    delimiter
        Found out from the header when it is not stated.
    most
        Bytes that the file may have.
    """
    try:
        data = read_file(path, most)
    except FileNotFoundError:
        return RawTable(spec, path.name, present=False)
    except OverBudget as error:
        return over_budget(spec, path.name, error)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return broken(spec, path.name, _undecodable(data, error, spec, path.name, encoding))
    separator = _delimiter(text, spec, delimiter)
    if separator is None:
        start = text[:60].strip().partition("\n")[0]
        begins = "begins with a row" if spec.private else f"begins {start!r},"  # it may be a row of private cells
        said = f"{begins} which names no column of this table" if start else "is empty"
        expected = ",".join(spec.columns)
        told = finding(
            "table.header", f"{path.name} {said}", table=spec.name, line=1, file=path.name, expected=expected
        )
        return broken(spec, path.name, told)
    try:
        header, *rows = _rows(text, separator)
        _check_lines(rows, separator, header.cells, spec)
    except _BadQuotes as error:
        message = f"{path.name}: the quotes cannot be understood ({error})"
        return broken(
            spec, path.name, finding("table.quotes", message, table=spec.name, line=error.line, file=path.name)
        )
    except OverBudget as error:
        return over_budget(spec, path.name, error)
    columns = public_names(header.cells, spec)
    return RawTable(spec, path.name, columns, rows, tuple(header_findings(columns, spec, path.name)))


def _check_lines(rows: Sequence[RawRow], delimiter: str, header: Sequence[str], spec: TableSpec) -> None:
    """Refuse a cell that took in other rows: a quote too many begins it, and another one ends it lines later.

    Raises
    ------
    _BadQuotes
        A cell holds a line end, a key of this table between delimiters, and the delimiters of a whole row.
    """
    if not spec.prefix:
        return
    mark = re.escape(delimiter)
    key = re.compile(rf"(?:^|\r|{mark})\"?(?:{'|'.join(spec.labs)})_{spec.prefix}_[0-9]{{4}}\"?{mark}", re.MULTILINE)
    for row in rows:
        for text in row.cells:
            if ("\n" in text or "\r" in text) and text.count(delimiter) >= len(header) - 1 and key.search(text):
                raise _BadQuotes(csv.Error("a cell holds what looks like further rows"), row.line)


class _BadQuotes(Exception):
    def __init__(self, error: csv.Error, line: int) -> None:
        super().__init__(str(error))
        self.line = line


def _rows(text: str, delimiter: str) -> Iterator[RawRow]:
    """Rows that hold anything: spreadsheets append empty ones at will."""
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    line = 1
    size = None
    try:
        for cells in reader:
            size = size or Size(cells)
            size.add(cells, line)
            if any(cells):
                yield RawRow(line, tuple(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise OverBudget(f"a cell of line {line} has more than {csv.field_size_limit()} characters") from error
        raise _BadQuotes(error, line) from error


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends; `io.StringIO` would take four bytes a character."""
    for number, match in enumerate(_LINE.finditer(text), 1):
        line = match[0]
        if len(line) > LINE_CHARS:
            raise OverBudget(f"line {number} has {len(line)} characters; a line has at most {LINE_CHARS}")
        if line:
            yield line


def _delimiter(text: str, spec: TableSpec, stated: str) -> str | None:
    """The delimiter that makes most columns known; None when none makes any."""
    known = {*spec.columns, *spec.optional}
    counts = {}
    for delimiter in (stated,) if stated else DELIMITERS:
        try:
            header = next(_rows(text[:_HEADER_REACH], delimiter), None)
        except (_BadQuotes, OverBudget):
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
