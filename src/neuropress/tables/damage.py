"""What spreadsheets do to cells, recognised. What the text was, `spelling` says, where that is certain."""

from __future__ import annotations

import re

from .keys import CellFault
from .spelling import spell_boolean, spell_date, spell_time

_ERROR_VALUE = re.compile(r"#(?:NAME\?|REF!|VALUE!|DIV/0!|N/A|NUM!|NULL!|SPILL!)")
_TOO_NARROW = re.compile(r"#{3,}")
_POINT_ZERO = re.compile(r"\d+\.0+")
_THOUSANDS = re.compile(r"\d{1,3}\.000")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]00:00(?::00(?:\.0+)?)?")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LOCAL_DATE = re.compile(r"\d{1,4}([/.\-])\d{1,2}[/.\-]\d{1,4}")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?")
_FRACTION = re.compile(r"0?\.\d+")
_GENE_DATE = re.compile(r"\d{1,2}-[A-Z][a-z]{2}|[A-Z][a-z]{2}-\d{1,2}")


def find_damage(text: str, kind: str) -> CellFault | None:
    """Recognise a cell that a spreadsheet changed, or an ISO date; `kind` is the column's kind or ``key``."""
    if text[0] == "#" and _ERROR_VALUE.fullmatch(text):
        what = "a spreadsheet's error value: it took what was typed for a formula, and the original text is lost"
        return _make_fault(text, what)
    if text[0] == "#" and _TOO_NARROW.fullmatch(text):
        return _make_fault(text, "what a spreadsheet shows in a column that is too narrow; the workbook has the value")
    what = ""
    if kind == "date":
        if _ISO_DATE.fullmatch(text):
            message = f"{text!r} is a date with hyphens; the column holds YYYYMMDD"
            return CellFault("cell.format", message, expected="YYYYMMDD")
        what = _describe_date(text)
    elif kind == "time":
        what = _describe_time(text)
    elif kind == "boolean" and text not in ("TRUE", "FALSE") and spell_boolean(text):
        what = "not one of the spellings TRUE and FALSE"
    elif kind == "integer" and _POINT_ZERO.fullmatch(text):
        doubt = ", or has a separator between its thousands" if _THOUSANDS.fullmatch(text) else ""
        what = f"a whole number that was turned into a decimal{doubt}"
    elif kind == "text" and _GENE_DATE.fullmatch(text):
        what = "a name that a spreadsheet took for a date; several names give this date, so the original is lost"
    return _make_fault(text, what) if what else None


def _make_fault(text: str, what: str) -> CellFault:
    return CellFault("cell.damaged", f"{text!r} is {what}")


def _describe_date(text: str) -> str:
    if _POINT_ZERO.fullmatch(text):
        return "a date that was turned into a decimal number"
    if _MOMENT.fullmatch(text):
        return "a date that was turned into a moment"
    if _LOCAL_DATE.fullmatch(text):
        doubt = "" if spell_date(text) else ", whose day, month and year cannot be told apart for certain"
        return f"a date in a local spelling{doubt}"
    if len(text) == 5 and text.isascii() and text.isdigit():
        doubt = "" if spell_date(text) else "; whether it counts from 1900 or from 1904 is not certain"
        return f"a spreadsheet's day number{doubt}"
    return ""


def _describe_time(text: str) -> str:
    if _CLOCK.fullmatch(text) and spell_time(text) not in ("", text):
        return "a time that is not written as HH:MM of 24 hours"
    if _FRACTION.fullmatch(text):
        doubt = "" if spell_time(text) else "; it was rounded, and several minutes give it"
        return f"a time that was turned into a fraction of a day{doubt}"
    return ""
