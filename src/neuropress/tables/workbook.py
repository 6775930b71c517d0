"""Tables in an XLSX workbook: one sheet a table, the text of cells as the spreadsheet shows it.

What a person saw when they typed it is the shown text: a file stores 24.50 as 24.5 and a date as a number of
days. Where the shown text depends on a column's width, on rounding or on a country, the cell is refused.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

from ..model.budget import LINES_BYTES, OverBudget
from ..model.finding import Finding, catalogue, finding, problem
from ..model.privacy import shorten, withhold_text
from ..model.profile import TableSpec
from .package import PackagePart, count_package_parts
from .raw import RawTable, build_raw_table, make_broken_table, make_unreadable_table

MOST_LISTED = 100
"""Cells of one sheet that are findings: formulas fill whole columns."""

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
"""Formats of dates and times whose displayed text is certain; `h:mm` is handled apart."""


class _UncertainDisplay(ValueError):
    """What a cell shows is not certain."""


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
    try:
        return {spec.name: _read_sheet(book, path, spec, parts) for spec in specs}
    finally:
        book.close()


def list_sheet_names(path: Path) -> list[str]:
    """Names of all sheets; none where the file cannot be read."""
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
    findings: list[Finding] = []
    rows: list[list[str]] = []
    try:
        sheet = book[spec.name]
        sheet.reset_dimensions()  # what a file says of its own extent may be wrong
        merged = parts[sheet._worksheet_path]
        if merged.merged:
            message = f"{place}: cells {merged.first_merged} are merged"
            if merged.merged > 1:
                message += f", and {merged.merged - 1} more ranges"
            findings.append(finding("table.merged", message, table=spec.name, file=place))
        names: list[str] = []
        for row in sheet.iter_rows():
            rows.append(list(_trim_row([_read_cell(cell, place, spec, findings, names) for cell in row])))
            names = names or rows[0]
    except Exception as error:  # noqa: BLE001 - openpyxl raises what it likes on what is spoilt
        return make_unreadable_table(spec, place, error)
    if findings:
        return make_broken_table(spec, place, *findings)
    width = max(map(len, rows), default=0)
    header, *rest = rows or [[]]
    filled = (row + [""] * (width - len(row)) for row in rest)
    try:
        return build_raw_table(spec, place, header + [""] * (width - len(header)), filled, str)
    except OverBudget as error:
        return make_unreadable_table(spec, place, error)


def _trim_row(row: Sequence[str]) -> Sequence[str]:
    """Without the blank cells at its end."""
    last = max((i for i, text in enumerate(row) if text), default=-1)
    return row[: last + 1]


def _read_cell(cell: Any, place: str, spec: TableSpec, findings: list[Finding], names: Sequence[str]) -> str:
    """What a cell shows; formulas, and cells of which that is not certain, are added to `findings`."""
    if cell.value is None:
        return ""
    if cell.data_type != "f":
        try:
            return _format_cell(cell)
        except _UncertainDisplay as error:
            id, message = "table.display", f"{place} {cell.coordinate}: {error}"
    else:
        id, message = "table.formula", f"{place} {cell.coordinate} holds the formula {cell.value}"
    if len(findings) >= MOST_LISTED:
        return ""
    name = names[cell.column - 1] if cell.column <= len(names) else ""
    column = name if name in (*spec.columns, *spec.optional) else None
    refused = finding(id, message, value=str(cell.value), table=spec.name, line=cell.row, column=column, file=place)
    if spec.private and (column is None or column in spec.private):
        refused = replace(withhold_text(refused), message=f"{place} {cell.coordinate}: {catalogue()[id]['meaning']}")
    findings.append(shorten(refused))
    return ""


def _format_cell(cell: Any) -> str:
    """The text that the spreadsheet shows. Raises `_UncertainDisplay` for formats that are not certain."""
    value, form = cell.value, cell.number_format
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime, date, time)):
        return _format_date(value, form)
    if not isinstance(value, (int, float)):
        raise _UncertainDisplay(f"what {str(value)[:80]} shows {_explain_format(form)}")
    shown = _format_number(Decimal(repr(value)), form)
    if shown is None:
        raise _UncertainDisplay(f"what the number {value!r} shows {_explain_format(form)}")
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


def _format_date(value: datetime | date | time, form: str) -> str:
    plain = form.lower().partition(";")[0]
    if plain == "h:mm" and isinstance(value, (time, datetime)):
        return f"{value.hour}:{value.minute:02d}"
    if plain in DATE_FORMATS:
        return value.strftime(DATE_FORMATS[plain])
    raise _UncertainDisplay(f"what the date {value} shows {_explain_format(form)}")
