"""What spreadsheets do to cells, recognised together with the likely original.

Nothing is repaired: the original is a guess, and the person who filled in the table decides.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from decimal import Decimal

from .keys import CellFault, is_date

_ERROR_VALUE = re.compile(r"#(?:NAME\?|REF!|VALUE!|DIV/0!|N/A|NUM!|NULL!|SPILL!|####*)|#{3,}")
_MINUTES = Decimal(1440)
_POINT_ZERO = re.compile(r"(\d+)\.0+")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?")
_SLASH_DATE = re.compile(r"\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00(?:\.0+)?)?(?: ?([AaPp])\.?[Mm]\.?)?")
_FRACTION = re.compile(r"0?\.\d+")
# Genes that spreadsheets take for dates have new names for this very reason (MARCH1 is MARCHF1); what was damaged
# is an old one, because the new ones are safe.
_MONTHS = {"Mar": "MARCH", "Sep": "SEPT", "Dec": "DEC", "Oct": "OCT", "Feb": "FEB", "Nov": "NOV", "Apr": "APR"}
_GENE_DATE = re.compile(r"(\d{1,2})-([A-Z][a-z]{2})|([A-Z][a-z]{2})-(\d{1,2})")
_TRUE = {"true", "1", "1.0", "yes", "y", "t", "wahr", "vrai", "verdadero", "vero"}
_FALSE = {"false", "0", "0.0", "no", "n", "f", "falsch", "faux", "falso"}
# Spreadsheets call 1 January 1900 day 1 and hold 1900 for a leap year: from March on, that is as if this were day 0.
_EPOCH = date(1899, 12, 30)


def _make_fault(text: str, what: str, likely: str) -> CellFault:
    hint = f"The original was likely {likely}: write that, in a cell formatted as text." if likely else ""
    return CellFault("cell.damaged", f"{text!r} is {what}", hint, likely or None)


def find_damage(text: str, kind: str, column: str) -> CellFault | None:
    """Recognise a cell that a spreadsheet changed; `kind` is the column's kind or ``key``."""
    if text[0] == "#" and _ERROR_VALUE.fullmatch(text):
        likely = "+/-" if column == "genotype" and text == "#NAME?" else ""
        return _make_fault(text, "a spreadsheet's error value", likely)
    if kind == "date":
        return _find_date_damage(text)
    if kind == "time":
        return _find_time_damage(text)
    if kind == "boolean" and text not in ("TRUE", "FALSE"):
        likely = _guess_boolean(text)
        return _make_fault(text, "not one of the spellings TRUE and FALSE", likely) if likely else None
    if kind == "integer" and (match := _POINT_ZERO.fullmatch(text)):
        return _make_fault(text, "a whole number that was turned into a decimal", match[1])
    if kind == "text" and (match := _GENE_DATE.fullmatch(text)):
        month, day = match[2] or match[3], match[1] or match[4]
        likely = f"{_MONTHS.get(month, month.upper())}{int(day)}"
        return _make_fault(text, "a name that a spreadsheet took for a date", likely)
    return None


def _guess_boolean(text: str) -> str:
    """The truth value that a spelling of some language or program stands for; empty where it stands for none."""
    if text.casefold() in _TRUE:
        return "TRUE"
    return "FALSE" if text.casefold() in _FALSE else ""


def _find_date_damage(text: str) -> CellFault | None:
    if match := _POINT_ZERO.fullmatch(text):
        likely = match[1] if is_date(match[1]) else ""
        return _make_fault(text, "a date that was turned into a decimal number", likely)
    if match := _ISO_DATE.fullmatch(text):
        return _make_fault(text, "a date that a spreadsheet rewrote", "".join(match.groups()))
    if _SLASH_DATE.fullmatch(text):
        return _make_fault(text, "a date in a local spelling, whose day and month cannot be told apart", "")
    if len(text) == 5 and text.isascii() and text.isdigit():
        return _make_fault(text, "a spreadsheet's day number", f"{_EPOCH + timedelta(days=int(text)):%Y%m%d}")
    return None


def _find_time_damage(text: str) -> CellFault | None:
    if match := _CLOCK.fullmatch(text):
        hour, half = int(match[1]), (match[3] or "").casefold()
        if half:
            hour = hour % 12  # 12 AM is 00, 12 PM is 12
            hour += 12 if half == "p" else 0
        likely = f"{hour:02d}:{match[2]}"
        if hour > 23 or likely == text:
            return None  # no time at all, or a good one: the schema decides
        return _make_fault(text, "a time that a spreadsheet rewrote", likely)
    if _FRACTION.fullmatch(text):
        return _make_fault(text, "a time that was turned into a fraction of a day", _guess_minute(Decimal(text)))
    return None


def _guess_minute(fraction: Decimal) -> str:
    """The full minute that a fraction of a day stands for, exactly or as the only one that rounds to it; else empty.

    0.396 is 09:30, 0.40 may be anything from 09:29 to 09:43. In decimals: as a float, half of the last digit
    of 0.396 is not exact, and a minute at the edge would be lost or won.
    """
    exact = _MINUTES * fraction
    if exact == int(exact):
        return _format_minute(int(exact))
    half_digit = Decimal(5).scaleb(int(fraction.as_tuple().exponent) - 1)
    first = math.ceil(_MINUTES * (fraction - half_digit))
    last = math.floor(_MINUTES * (fraction + half_digit))
    return _format_minute(first) if first == last and 0 <= first < _MINUTES else ""


def _format_minute(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
