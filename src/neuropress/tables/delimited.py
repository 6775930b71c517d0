"""Delimited text as it stands: every cell's text, and the line that it stands on.

The csv module splits the cells. What it leaves to its caller is here: lines of every convention, numbers of
lines where cells hold line ends, the delimiter of the country, limits, and the mistakes that it takes for cells.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..model.budget import LINE_CHARS, TABLE_BYTES, OverBudget, read_file
from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from .raw import (
    RawRow,
    RawTable,
    TableSize,
    make_broken_table,
    make_over_budget_table,
    make_raw_table,
)

DELIMITERS = (",", ";", "\t", "|")
_HEADER_REACH = 1 << 16
"""Characters in which a header is looked for, with each delimiter."""
_LINE = re.compile(r"[^\r\n]*+(?:\r\n|\r|\n|\Z)")


def read_csv(
    path: Path, spec: TableSpec, encoding: str = "utf-8", delimiter: str = "", max_bytes: int = TABLE_BYTES
) -> RawTable:
    """One table from a delimited text file, with or without byte order mark.

    Parameters
    ----------
    delimiter
        Found out from the header when it is not stated.
    max_bytes
        Bytes that the file may have.
    """
    try:
        data = read_file(path, max_bytes)
    except FileNotFoundError:
        return RawTable(spec, path.name, present=False)
    except OverBudget as error:
        return make_over_budget_table(spec, path.name, error)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return make_broken_table(spec, path.name, _make_encoding_finding(data, error, spec, path.name, encoding))
    separator = detect_delimiter(text, spec, delimiter)
    if separator is None:
        return make_broken_table(spec, path.name, _make_header_finding(text, spec, path.name))
    try:
        header, *rows = _split_rows(text, separator)
        _check_swallowed_rows(rows, separator, header.cells, spec)
    except _BadQuotes as error:
        message = f"{path.name}: the quotes cannot be understood ({error})"
        bad_quotes = finding("table.quotes", message, table=spec.name, line=error.line, file=path.name)
        return make_broken_table(spec, path.name, bad_quotes)
    except OverBudget as error:
        return make_over_budget_table(spec, path.name, error)
    return make_raw_table(spec, path.name, header.cells, rows)


def _make_header_finding(text: str, spec: TableSpec, file: str) -> Finding:
    """A text whose first line names no column."""
    start = text[:60].strip().partition("\n")[0]
    if not start:
        message = f"{file} is empty"
    elif spec.private:  # without a header, the first line may be a row of private cells
        message = f"{file} begins with a row which names no column of this table"
    else:
        message = f"{file} begins {start!r}, which names no column of this table"
    expected = ",".join(spec.columns)
    return finding("table.header", message, table=spec.name, line=1, file=file, expected=expected)


def _check_swallowed_rows(rows: Sequence[RawRow], delimiter: str, header: Sequence[str], spec: TableSpec) -> None:
    """Refuse a cell that took in other rows: a quote too many begins it, and another one ends it lines later.

    Raises
    ------
    _BadQuotes
        A cell holds a line end, a key of this table between delimiters, and the delimiters of a whole row.
    """
    if not spec.prefix:
        return
    separator = re.escape(delimiter)
    labs = "|".join(spec.labs)
    key = re.compile(rf"(?:^|\r|{separator})\"?(?:{labs})_{spec.prefix}_[0-9]{{4}}\"?{separator}", re.MULTILINE)
    for row in rows:
        for text in row.cells:
            if "\n" not in text and "\r" not in text:
                continue
            # A note may well hold a list with delimiters, or a key: only both together are a row.
            if text.count(delimiter) >= len(header) - 1 and key.search(text):
                raise _BadQuotes(csv.Error("a cell holds what looks like further rows"), row.line)


class _BadQuotes(Exception):
    def __init__(self, error: csv.Error, line: int) -> None:
        super().__init__(str(error))
        self.line = line


def _split_rows(text: str, delimiter: str) -> Iterator[RawRow]:
    """Rows that hold anything: spreadsheets append empty ones at will."""
    # strict: else csv takes text after a closing quote, or a file that ends within quotes, for a part of the cell.
    reader = csv.reader(split_lines(text), delimiter=delimiter, strict=True)
    line = 1
    size = None
    try:
        for cells in reader:
            size = size or TableSize(cells)
            size.count_row(cells, line)
            if any(cells):
                yield RawRow(line, tuple(cells))
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise OverBudget(f"a cell of line {line} has more than {csv.field_size_limit()} characters") from error
        raise _BadQuotes(error, line) from error


def split_lines(text: str) -> Iterator[str]:
    """Lines with their ends; `io.StringIO` would take four bytes a character.

    `str.splitlines` would also split at U+2028 and the like, which cells may hold.
    """
    for number, match in enumerate(_LINE.finditer(text), 1):
        line = match[0]
        if len(line) > LINE_CHARS:
            raise OverBudget(f"line {number} has {len(line)} characters; a line has at most {LINE_CHARS}")
        if line:
            yield line


def detect_delimiter(text: str, spec: TableSpec, stated: str) -> str | None:
    """The delimiter that makes most columns known; None when none makes any."""
    known = {*spec.columns, *spec.optional}
    # Not csv.Sniffer: it guesses from the frequency of characters, and free text is full of commas.
    counts = {}
    for delimiter in (stated,) if stated else DELIMITERS:
        try:
            header = next(_split_rows(text[:_HEADER_REACH], delimiter), None)
        except (_BadQuotes, OverBudget):
            continue
        counts[delimiter] = len(known.intersection(header.cells)) if header else 0
    best = max(counts, key=lambda d: counts[d], default=None)
    return best if best and counts[best] else None


def _make_encoding_finding(
    data: bytes, error: UnicodeDecodeError, spec: TableSpec, file: str, encoding: str
) -> Finding:
    line = data.count(b"\n", 0, error.start) + 1
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        problem = "is UTF-16"
    else:
        problem = f"has the byte 0x{data[error.start]:02x} at offset {error.start}, line {line}"
    message = f"{file} {problem}; it is not {encoding.upper()}"
    return finding("table.encoding", message, table=spec.name, line=line, file=file)
