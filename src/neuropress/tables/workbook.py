"""Tables in an XLSX workbook: one sheet a table, the text of cells as the spreadsheet shows it."""

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
from .package import Part, examine
from .raw import RawTable, broken, from_rows, unreadable

MOST_TOLD = 100
"""Cells of one sheet that are told: formulas fill whole columns."""

_SHEET = re.compile(r"<(?:\w{1,20}:)?sheet\s[^>]{0,200}?\bname=\"([^\"]{1,200})\"")

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


class _Unclear(ValueError):
    """What a cell shows cannot be told."""


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
        wrong = "is no file" if path.exists() else "is not there"
        raise problem("table.source", f"{path} {wrong}", file=str(path))
    try:
        parts = examine(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what openpyxl does not keep when it writes
            book = openpyxl.load_workbook(path, read_only=True, data_only=False, keep_links=False)
    except OverBudget as error:
        raise problem("table.budget", f"{path.name}: {error}", file=str(path)) from None
    except Exception as error:  # noqa: BLE001 - openpyxl raises what it likes on what is spoilt
        raise problem("table.source", f"{path.name} is no workbook that can be read: {error}", file=str(path)) from None
    try:
        return {spec.name: _sheet(book, path, spec, parts) for spec in specs}
    finally:
        book.close()


def sheet_names(path: Path) -> list[str]:
    """Names of all sheets; none where the file cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("xl/workbook.xml") as file:
            text = file.read(LINES_BYTES)
        return [unescape(name) for name in _SHEET.findall(text.decode("utf-8"))]
    except Exception:  # noqa: BLE001 - whatever is wrong with it is told where it is read
        return []


def _sheet(book: Any, path: Path, spec: TableSpec, parts: Mapping[str, Part]) -> RawTable:
    place = f"{path.name}!{spec.name}"
    if spec.name not in book.sheetnames:
        return RawTable(spec, place, present=False)
    wrong: list[Finding] = []
    rows: list[list[str]] = []
    try:
        sheet = book[spec.name]
        sheet.reset_dimensions()  # what a file says of its own extent may be wrong
        merged = parts[sheet._worksheet_path]
        if merged.merged:
            message = f"{place}: cells {merged.first_merged} are merged"
            more = f", and {merged.merged - 1} more ranges" if merged.merged > 1 else ""
            wrong.append(finding("table.merged", message + more, table=spec.name, file=place))
        names: list[str] = []
        for row in sheet.iter_rows():
            rows.append(list(_trimmed([_text(cell, place, spec, wrong, names) for cell in row])))
            names = names or rows[0]
    except Exception as error:  # noqa: BLE001 - openpyxl raises what it likes on what is spoilt
        return unreadable(spec, place, error)
    if wrong:
        return broken(spec, place, *wrong)
    width = max(map(len, rows), default=0)
    header, *rest = rows or [[]]
    filled = (row + [""] * (width - len(row)) for row in rest)
    try:
        return from_rows(spec, place, header + [""] * (width - len(header)), filled, str)
    except OverBudget as error:
        return unreadable(spec, place, error)


def _trimmed(row: Sequence[str]) -> Sequence[str]:
    """Without the blank cells at its end."""
    last = max((i for i, text in enumerate(row) if text), default=-1)
    return row[: last + 1]


def _text(cell: Any, place: str, spec: TableSpec, wrong: list[Finding], names: Sequence[str]) -> str:
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
    if len(wrong) >= MOST_TOLD:
        return ""
    name = names[cell.column - 1] if cell.column <= len(names) else ""
    column = name if name in (*spec.columns, *spec.optional) else None
    told = finding(id, message, value=str(cell.value), table=spec.name, line=cell.row, column=column, file=place)
    if spec.private and (column is None or column in spec.private):
        told = replace(withhold_text(told), message=f"{place} {cell.coordinate}: {catalogue()[id]['meaning']}")
    wrong.append(shorten(told))
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
        raise _Unclear(f"what {str(value)[:80]} shows in the format {form!r} is not certain; format the column as text")
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
