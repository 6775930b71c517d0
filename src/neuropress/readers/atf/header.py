"""The lines above the rows of an Axon text file: version, counts, records and titles."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ...model.budget import ATF_COLUMNS, ATF_HEADER_BYTES
from ...model.finding import Problem, problem
from ...model.source import RawFile
from . import FIRST_LINE

LINE_END = re.compile(rb"\r\n?|\n")
COUNTS = re.compile(rb'"?([0-9]{1,6})"?[\t, ]+"?([0-9]{1,6})"?[\t, ]*')
TRACE = re.compile(r"Trace\s?#\s?([0-9]{1,9})(?![0-9])\s?(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Title:
    """What the title of a column says (``Trace #1 (pA)``, ``Time (s)``, ``Vm (mV)``); `trace` numbers a sweep."""

    text: str
    trace: int | None
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Header:
    """All lines above the rows.

    Attributes
    ----------
    records
        The optional header records as they stand.
    values
        Name of a record -> the texts behind its ``=``, those in further cells and those between commas apart.
    signals
        Name of the channel of each column behind the times; empty where the header does not name each.
    data_start, data_line
        Byte and line (from 1) at which the rows begin.
    """

    key: str
    version: str
    delimiter: bytes
    records: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    titles: tuple[Title, ...]
    signals: tuple[str, ...]
    data_start: int
    data_line: int


def read_header(file: RawFile, key: str) -> Header:
    """Parse the lines above the rows, of a file that was just opened.

    Raises
    ------
    Problem
        ``atf.damaged``, ``atf.truncated``, ``atf.unsupported``.
    """
    head = file.read(ATF_HEADER_BYTES)
    version = FIRST_LINE.match(head)
    if not version:
        raise problem("atf.damaged", f"{key} begins with {head[:8]!r}, not with ATF and a version", file=key)
    if version[1] not in (b"1.0", b"1"):
        raise problem("atf.unsupported", f"{key} is an ATF of version {version[1].decode()}, not 1.0", file=key)
    lines, ends = _split_lines(head, 2, key)
    counts = COUNTS.fullmatch(lines[1])
    if not counts:
        message = f"{key} line 2: {lines[1][:40]!r} is no number of header records and of columns"
        raise problem("atf.damaged", message, file=key, line=2)
    count, columns = int(counts[1]), int(counts[2])
    if not 2 <= columns <= ATF_COLUMNS:
        message = f"{key} has {columns} columns; a recording has one of times and at most {ATF_COLUMNS - 1} others"
        raise problem("atf.unsupported", message, file=key)
    lines, ends = _split_lines(head, count + 3, key)
    delimiter = b"\t" if b"\t" in lines[-1] else b","
    texts = _split_cells(lines[-1], delimiter)
    while len(texts) > columns and not texts[-1].strip():
        texts.pop()
    if len(texts) != columns:
        message = f"{key} line {count + 3}: {len(texts)} titles of the {columns} columns that line 2 promises"
        raise problem("atf.damaged", message, file=key, line=count + 3)
    values, signals = _parse_records(lines[2:-1], delimiter)
    return Header(
        key=key,
        version=version[1].decode(),
        delimiter=delimiter,
        records=tuple(decode(line) for line in lines[2:-1]),
        values=values,
        titles=tuple(_parse_title(text) for text in texts),
        signals=signals if len(signals) == columns - 1 else (),
        data_start=ends[-1],
        data_line=count + 4,
    )


def decode(line: bytes) -> str:
    """Text of programs that wrote Windows-1252 or UTF-8 without saying which; B5 is micro in the former."""
    return line.decode("utf-8", "backslashreplace").replace("\\xb5", "\u00b5")


def parse_decimals(texts: tuple[str, ...]) -> tuple[Decimal, ...]:
    """Numbers of a record (``0.000,1000.000``); none at all where one of them is none."""
    try:
        numbers = tuple(Decimal(text) for text in texts if len(text) <= 40)
    except InvalidOperation:
        return ()
    sane = all(number.is_finite() and abs(number.adjusted()) < 40 for number in numbers)
    return numbers if sane and len(numbers) == len(texts) else ()


def _split_lines(head: bytes, count: int, key: str) -> tuple[list[bytes], list[int]]:
    """The first lines without their ends, and where each ends. Raises `Problem`."""
    lines: list[bytes] = []
    ends: list[int] = []
    start = 0
    for match in LINE_END.finditer(head):
        if len(lines) == count:
            break
        lines.append(head[start : match.start()])
        ends.append(start := match.end())
    if len(lines) < count:
        raise _make_short_problem(head, count, len(lines), key)
    return lines, ends


def _make_short_problem(head: bytes, count: int, found: int, key: str) -> Problem:
    if len(head) == ATF_HEADER_BYTES:
        return problem("atf.unsupported", f"{key}: its header has more than {ATF_HEADER_BYTES} bytes", file=key)
    return problem("atf.truncated", f"{key} ends in line {found + 1}; its header has {count} lines", file=key)


def _split_cells(line: bytes, delimiter: bytes) -> list[str]:
    """Cells of a line, quotes taken off."""
    text = decode(line)
    try:
        return next(csv.reader([text], delimiter=delimiter.decode(), strict=True), []) or [text]
    except csv.Error:  # a quote within a text, a text beyond the reader's limit
        return text.split(delimiter.decode())


def _parse_records(lines: list[bytes], delimiter: bytes) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """What the records say by name, the last of a name counting; and the names of the signals, a cell each."""
    values: dict[str, tuple[str, ...]] = {}
    signals: tuple[str, ...] = ()
    for line in lines:
        first, *others = _split_cells(line, delimiter)
        name, equals, value = first.partition("=")
        if not equals:
            continue
        cells = [value, *others]
        values[name.strip()] = tuple(text.strip() for cell in cells for text in cell.split(",") if text.strip())
        if name.strip() == "Signals":
            signals = tuple(cell.strip() for cell in others)
    return values, signals


def _parse_title(text: str) -> Title:
    text = text.strip()
    name, bracket, unit = text.removesuffix(")").rpartition("(") if text.endswith(")") else (text, "", "")
    name = name if bracket else text
    match = TRACE.fullmatch(name)
    return Title(text, int(match[1]) if match else None, (match[2] if match else name).strip(), unit.strip())
