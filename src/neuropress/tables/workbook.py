"""Tables in an XLSX workbook: one sheet a table, the text of cells as the spreadsheet shows it.

What a person saw when they typed it is the shown text: a file stores 24.50 as 24.5. Where that depends on a column's
width, on rounding or on a country, the cell is refused. A date or a time in a column of such is read from the number
of days that the file stores, whatever its format; that number travels beside it, in a column of its own.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from ..model.budget import LINES_BYTES, OverBudget
from ..model.finding import Finding, catalogue, finding, problem
from ..model.privacy import shorten, withhold_text
from ..model.profile import TableSpec
from .package import PackagePart, count_package_parts
from .raw import (
    SERIAL_1900,
    SERIAL_1904,
    RawRow,
    RawTable,
    TableSize,
    make_broken_table,
    make_raw_table,
    make_unreadable_table,
)
from .schema import compile_table_schema
from .serials import parse_date_format, read_day, read_second

MOST_LISTED = 100
"""Cells of one sheet that are findings: formulas fill whole columns."""

_FROM_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 - what openpyxl calls the epoch of such a workbook
_SHEET = re.compile(r"<(?:\w{1,20}:)?sheet\s[^>]{0,200}?\bname=\"([^\"]{1,200})\"")

DATE_FORMATS = {
    "yyyymmdd": "%Y%m%d",
    "yyyy-mm-dd": "%Y-%m-%d",
    "yyyy/mm/dd": "%Y/%m/%d",
    "yyyy-mm-dd hh:mm:ss": "%Y-%m-%d %H:%M:%S",
    "yyyy\\-mm\\-dd": "%Y-%m-%d",
    "hh:mm": "%H:%M",
    "hh:mm:ss": "%H:%M:%S",
}
"""Formats of dates and times whose displayed text is certain in a column of texts; `h:mm` is handled apart."""


def read_workbook(path: Path, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """All sheets that bear a table's name.

    Raises
    ------
    Problem
        ``table.source``: no workbook, or openpyxl is missing; ``table.budget``: it is larger than any table needs.
    """
    try:
        import openpyxl
    except ImportError:
        message = "XLSX needs openpyxl: python -m pip install 'neuropress[xlsx]'"
        raise problem("table.source", message, file=str(path)) from None
    if not path.is_file():
        reason = "is no file" if path.exists() else "is not there"
        raise problem("table.source", f"{path} {reason}", file=str(path))
    try:
        parts = count_package_parts(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what openpyxl does not keep when it writes
            book = openpyxl.load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except OverBudget as error:
        raise problem("table.budget", f"{path.name}: {error}", file=str(path)) from None
    except Exception as error:  # noqa: BLE001 - openpyxl raises what it likes on what is spoilt
        raise problem("table.source", f"{path.name} is no workbook that can be read: {error}", file=str(path)) from None
    # Left alone, openpyxl makes dates of numbers itself, and rounds them.
    book._date_formats, book._timedelta_formats = set(), set()
    try:
        return {spec.name: _read_sheet(book, path, spec, parts) for spec in specs}
    finally:
        book.close()


def list_sheet_names(path: Path) -> list[str]:
    """Names of all sheets; none where the file cannot be read."""
    from xml.sax.saxutils import unescape  # brings a client of HTTP along

    try:
        with zipfile.ZipFile(path) as archive, archive.open("xl/workbook.xml") as file:
            text = file.read(LINES_BYTES)
        return [unescape(name) for name in _SHEET.findall(text.decode("utf-8"))]
    except Exception:  # noqa: BLE001 - whatever is wrong with it is found where it is read
        return []


def _read_sheet(book: Any, path: Path, spec: TableSpec, parts: Mapping[str, PackagePart]) -> RawTable:
    place = f"{path.name}!{spec.name}"
    if spec.name not in book.sheetnames:
        return RawTable(spec, place, present=False)
    try:
        sheet = book[spec.name]
        sheet.reset_dimensions()  # what a file says of its own extent may be wrong
        merged = parts[sheet._worksheet_path]
        if merged.merged:
            message = f"{place}: cells {merged.first_merged} are merged"
            if merged.merged > 1:
                message += f", and {merged.merged - 1} more ranges"
            return make_broken_table(spec, place, finding("table.merged", message, table=spec.name, file=place))
        reader = _SheetReader(place, spec, from_1904=book.epoch == _FROM_1904)
        for row in sheet.iter_rows():
            reader.add_row(row)
    except OverBudget as error:
        return make_unreadable_table(spec, place, error)
    except Exception as error:  # noqa: BLE001 - openpyxl raises what it likes on what is spoilt
        return make_unreadable_table(spec, place, error)
    return reader.make_table()


class _SheetReader:
    """The rows of one sheet while they are read."""

    def __init__(self, place: str, spec: TableSpec, *, from_1904: bool) -> None:
        self.place, self.spec, self.from_1904 = place, spec, from_1904
        self.names: Sequence[str] = ()
        self.rows: list[tuple[list[str], dict[int, Finding], dict[int, str]]] = []
        self.count = 0
        columns = compile_table_schema(spec.name, spec.schema).columns
        self.kinds = {name: column.kind for name, column in columns.items() if column.kind in ("date", "time")}

    def add_row(self, row: Iterable[Any]) -> None:
        """Read the cells of a row: what they show, what is wrong with them, and the numbers behind dates and times."""
        texts: list[str] = []
        faults: dict[int, Finding] = {}
        serials: dict[int, str] = {}
        for position, cell in enumerate(row):
            text = ""
            if cell.value is not None:
                name = self.names[position] if position < len(self.names) else ""
                try:
                    text, serial = self._read_cell(cell, name)
                    if serial:
                        serials[position] = serial
                except _Refused as refused:
                    faults[position] = self._make_fault(refused, cell, name)
            texts.append(text)
        last = max((i for i, text in enumerate(texts) if text or i in faults), default=-1)
        self.rows.append((texts[: last + 1], faults, serials))
        self.names = self.names or self.rows[0][0]

    def _read_cell(self, cell: Any, name: str) -> tuple[str, str]:
        """The text of a cell, and the number behind a date or a time. Raises `_Refused`."""
        if cell.data_type == "f":
            raise _Refused("table.formula", f"holds the formula {cell.value}")
        if isinstance(cell.value, float) and not math.isfinite(cell.value):
            raise _Refused("table.display", f"holds the number {cell.value}")
        kind, value, form = self.kinds.get(name, ""), cell.value, cell.number_format
        if kind and isinstance(value, (date, time)):
            return _read_iso_date(value, kind), value.isoformat()
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        shown = parse_date_format(form) if is_number else None
        if not shown:
            return _format_cell(value, form), ""
        serial = Decimal(repr(value))
        if not kind:
            return _format_shown_date(serial, form, from_1904=self.from_1904), ""
        text = _read_date(serial, shown, from_1904=self.from_1904) if kind == "date" else _read_time(serial, shown)
        if not text:
            raise _Refused("table.display", f"what {value!r} is as a {kind} {_explain_format(form)}")
        return text, format(serial.normalize() + 0, "f")

    def _make_fault(self, refused: _Refused, cell: Any, name: str) -> Finding:
        """The finding on a cell; the text of one that may be private is not in it."""
        self.count += 1
        spec, column = self.spec, name if name in (*self.spec.columns, *self.spec.optional) else None
        if self.count > MOST_LISTED:  # formulas fill whole columns
            message = f"{self.place}: more than {MOST_LISTED} cells hold formulas or show what is not certain"
            return finding(refused.id, message, table=spec.name, file=self.place)
        message = f"{self.place} {cell.coordinate} {refused}"
        where = {"table": spec.name, "line": cell.row, "column": column, "file": self.place}
        fault = finding(refused.id, message, value=str(cell.value), **where)
        if spec.private and (column is None or column in spec.private):
            meaning = catalogue()[refused.id]["meaning"]
            fault = replace(withhold_text(fault), message=f"{self.place} {cell.coordinate}: {meaning}")
        return shorten(fault)

    def make_table(self) -> RawTable:
        """The table; the numbers behind its dates and times stand in columns of their own."""
        spec, place = self.spec, self.place
        (header, header_faults, _), *rows = self.rows or [([], {}, {})]
        if header_faults:
            return make_broken_table(spec, place, *header_faults.values())
        width = max(map(len, (texts for texts, _, _ in self.rows)), default=0)
        names = [*header, *[""] * (width - len(header))]
        system = SERIAL_1904 if self.from_1904 else SERIAL_1900
        behind = sorted({position for _, _, serials in rows for position in serials})
        filled: list[RawRow] = []
        try:
            size = TableSize(names)
            for line, (texts, faults, serials) in enumerate(rows, 2):
                cells = [*texts, *[""] * (width - len(texts)), *(serials.get(position, "") for position in behind)]
                size.count_row(cells, line)
                if any(cells) or faults:
                    filled.append(RawRow(line, tuple(cells), faults=faults))
        except OverBudget as error:
            return make_unreadable_table(spec, place, error)
        return make_raw_table(spec, place, [*names, *(f"{names[position]}{system}" for position in behind)], filled)


class _Refused(ValueError):
    """A cell that is not read: the finding's id, and why."""

    def __init__(self, id: str, why: str) -> None:
        super().__init__(why)
        self.id = id


def _read_iso_date(value: date | time, kind: str) -> str:
    """A cell that holds a date or a time as ISO 8601, which some programs write. Raises `_Refused`."""
    if kind == "date" and isinstance(value, date):
        return f"{value:%Y%m%d}"
    if kind == "time" and isinstance(value, (datetime, time)) and not value.second and not value.microsecond:
        return f"{value:%H:%M}"
    raise _Refused("table.display", f"holds {value.isoformat()}, which is no {kind} to the minute")


def _read_date(serial: Decimal, shown: Set[str], *, from_1904: bool) -> str:
    """The day as YYYYMMDD; empty where the cell does not show year, month and day, or has none."""
    day = read_day(serial, from_1904=from_1904) if {"y", "m", "d"} <= shown else None
    return f"{day:%Y%m%d}" if day else ""


def _read_time(serial: Decimal, shown: Set[str]) -> str:
    """The time of day as HH:MM; empty where the cell does not show hour and minute, or holds seconds, too."""
    second = read_second(serial)
    is_time = {"h", "n"} <= shown or (serial < 1 and {"elapsed", "n"} <= shown)
    if second is None or second % 60 or not is_time:
        return ""
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"


def _format_shown_date(serial: Decimal, form: str, *, from_1904: bool) -> str:
    """What a column of texts shows of a date, in the few formats in which that is certain. Raises `_Refused`."""
    plain = form.lower().partition(";")[0]
    second, day = read_second(serial), read_day(serial, from_1904=from_1904)
    if second is not None and plain == "h:mm":
        return f"{second // 3600}:{second // 60 % 60:02d}"
    if second is None or plain not in DATE_FORMATS or (day is None and "%Y" in DATE_FORMATS[plain]):
        raise _Refused("table.display", f"what the date {serial} shows {_explain_format(form)}")
    return (datetime.combine(day or date(1900, 1, 1), time()) + timedelta(seconds=second)).strftime(DATE_FORMATS[plain])


def _format_cell(value: Any, form: str) -> str:
    """The text that the spreadsheet shows. Raises `_Refused` for formats that are not certain."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if not isinstance(value, (int, float)):
        raise _Refused("table.display", f"what {str(value)[:80]} shows {_explain_format(form)}")
    shown = _format_number(Decimal(repr(value)), form)
    if shown is None:
        raise _Refused("table.display", f"what the number {value!r} shows {_explain_format(form)}")
    return shown


def _explain_format(form: str) -> str:
    return f"in the format {form!r} is not certain; format the column as text"


def _format_number(number: Decimal, form: str) -> str | None:
    """The displayed text, where no width, rounding or exponent can come into play; else None."""
    plain = format(number.normalize() + 0, "f")  # adding 0 turns -0 into 0
    # Beyond 11 digits before the point, or 10 in all, General shows an exponent or rounds to the column's width.
    if abs(number) >= Decimal(10) ** 11 or len(plain.replace("-", "").replace(".", "")) > 10:
        return None
    if form in ("General", "@"):
        return plain
    whole, _, decimals = form.partition(".")
    if whole != "0" or not set(decimals) <= {"0"}:
        return None
    rounded = number.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    return format(rounded, "f") if rounded == number else None
