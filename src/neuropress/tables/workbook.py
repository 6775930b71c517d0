"""Tables in an XLSX workbook: one sheet a table, the text of cells as the spreadsheet shows it."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from ..model.finding import Finding, Problem, finding, problem
from ..model.profile import TableSpec
from .raw import RawTable, broken, from_rows

LARGEST = 1 << 30
"""Bytes that a workbook may unpack to: a small file can hold a very large one."""

DATES = {
    "yyyymmdd": "%Y%m%d",
    "yyyy-mm-dd": "%Y-%m-%d",
    "yyyy/mm/dd": "%Y/%m/%d",
    "yyyy-mm-dd hh:mm:ss": "%Y-%m-%d %H:%M:%S",
    "yyyy\\-mm\\-dd": "%Y-%m-%d",
    "hh:mm": "%H:%M",
    "hh:mm:ss": "%H:%M:%S",
}
"""Formats of dates and times whose displayed text is certain; `h:mm` is handled apart."""


_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\b[^>]*\bref=[\"']([^\"']*)")


class _Unclear(ValueError):
    """What a cell shows cannot be told."""


def read_workbook(path: Path, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """All sheets that bear a table's name.

    Raises
    ------
    Problem
        ``table.source``: no workbook, one that unpacks to more than 1 GiB, or openpyxl is missing.
    """
    try:
        import openpyxl
    except ImportError:
        message = "XLSX needs openpyxl: python -m pip install 'neuropress[xlsx]'"
        raise problem("table.source", message, file=str(path)) from None
    if not path.is_file():
        raise problem("table.source", f"{path} is not there", file=str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST:
            raise problem(
                "table.source", f"{path.name} would unpack to {size} bytes, the limit is {LARGEST}", file=str(path)
            )
        book = openpyxl.load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except Problem:
        raise
    except Exception as error:
        raise problem(
            "table.source", f"{path.name} is no workbook that can be read: {error}", file=str(path)
        ) from error
    try:
        return {spec.name: _sheet(book, path, spec) for spec in specs}
    finally:
        book.close()


def _sheet(book: Any, path: Path, spec: TableSpec) -> RawTable:
    place = f"{path.name}!{spec.name}"
    if spec.name not in book.sheetnames:
        return RawTable(spec, place, present=False)
    sheet = book[spec.name]
    sheet.reset_dimensions()  # what a file says of its own extent may be wrong
    wrong = [_merged(merged, place, spec) for merged in _merges(path, sheet)]
    rows: list[list[str]] = []
    try:
        for row in sheet.iter_rows():
            rows.append([_text(cell, place, spec, wrong) for cell in row])
    except (ValueError, KeyError, TypeError, SyntaxError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        return broken(spec, place, finding("table.unreadable", f"{place}: {error}", table=spec.name, file=place))
    if wrong:
        return broken(spec, place, *wrong)
    width = max((len(_trimmed(row)) for row in rows), default=0)
    header, *rest = rows or [[]]
    filled = (row[:width] + [""] * (width - len(row)) for row in rest)
    return from_rows(spec, place, header[:width] + [""] * (width - len(header)), filled, str)


def _merges(path: Path, sheet: Any) -> list[str]:
    """Ranges of merged cells, which openpyxl does not tell of a sheet that it reads row by row."""
    found: list[str] = []
    with zipfile.ZipFile(path) as archive, archive.open(sheet._worksheet_path) as file:
        rest = b""
        while chunk := file.read(1 << 20):
            text = rest + chunk
            found += [match.decode("ascii", "replace") for match in _MERGED.findall(text)]
            rest = text[text.rfind(b"<") :]
    return found


def _trimmed(row: Sequence[str]) -> Sequence[str]:
    """Without the blank cells at its end."""
    last = max((i for i, text in enumerate(row) if text), default=-1)
    return row[: last + 1]


def _merged(cells: str, place: str, spec: TableSpec) -> Finding:
    return finding("table.merged", f"{place}: cells {cells} are merged", table=spec.name, file=place)


def _text(cell: Any, place: str, spec: TableSpec, wrong: list[Finding]) -> str:
    """What a cell shows; formulas, and cells of which that is not certain, are added to `wrong`."""
    if cell.value is None:
        return ""
    if cell.data_type != "f":
        try:
            return _shown(cell)
        except _Unclear as error:
            id, message = "table.display", f"{place} {cell.coordinate}: {error}"
    else:
        id, message = "table.formula", f"{place} {cell.coordinate} holds the formula {cell.value}"
    wrong.append(finding(id, message, value=str(cell.value), table=spec.name, line=cell.row, file=place))
    return ""


def _shown(cell: Any) -> str:
    """The text that the spreadsheet shows. Raises `_Unclear` for formats that are not certain."""
    value, form = cell.value, cell.number_format
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime, date, time)):
        return _date(value, form)
    if not isinstance(value, (int, float)):
        raise _Unclear(f"what {value} shows in the format {form!r} is not certain; format the column as text")
    shown = _number(Decimal(repr(value)), form)
    if shown is None:
        raise _Unclear(
            f"what the number {value!r} shows in the format {form!r} is not certain; format the column as text"
        )
    return shown


def _number(number: Decimal, form: str) -> str | None:
    """The displayed text, where no width, rounding or exponent can come into play; else None."""
    plain = format(number.normalize() + 0, "f")
    if abs(number) >= Decimal(10) ** 11 or len(plain.replace("-", "").replace(".", "")) > 10:
        return None
    if form in ("General", "@"):
        return plain
    whole, _, decimals = form.partition(".")
    if whole != "0" or not set(decimals) <= {"0"}:
        return None
    rounded = number.quantize(Decimal(1).scaleb(-len(decimals)), ROUND_HALF_UP)
    return format(rounded, "f") if rounded == number else None


def _date(value: datetime | date | time, form: str) -> str:
    plain = form.lower().partition(";")[0]
    if (plain == "h:mm" and not isinstance(value, date)) or (plain == "h:mm" and isinstance(value, datetime)):
        return f"{value.hour}:{value.minute:02d}"
    if plain in DATES:
        return value.strftime(DATES[plain])
    raise _Unclear(f"what the date {value} shows in the format {form!r} is not certain; format the column as text")
