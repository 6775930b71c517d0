"""What spreadsheets do to cells, recognised together with the likely original.

Nothing is repaired: the original is a guess, and the person who filled in the table decides.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from decimal import Decimal

from .keys import Fault, is_date

_ERROR_VALUE = re.compile(r"#(?:NAME\?|REF!|VALUE!|DIV/0!|N/A|NUM!|NULL!|SPILL!|####*)|#{3,}")
_POINT_ZERO = re.compile(r"(\d+)\.0+")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?")
_SLASH_DATE = re.compile(r"\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00(?:\.0+)?)?(?: ?([AaPp])\.?[Mm]\.?)?")
_FRACTION = re.compile(r"0?\.\d+")
_MONTHS = {"Mar": "MARCH", "Sep": "SEPT", "Dec": "DEC", "Oct": "OCT", "Feb": "FEB", "Nov": "NOV", "Apr": "APR"}
_GENE_DATE = re.compile(r"(\d{1,2})-([A-Z][a-z]{2})|([A-Z][a-z]{2})-(\d{1,2})")
_TRUE = {"true", "1", "1.0", "yes", "y", "t", "wahr", "vrai", "verdadero", "vero"}
_FALSE = {"false", "0", "0.0", "no", "n", "f", "falsch", "faux", "falso"}
_EPOCH = date(1899, 12, 30)


def _fault(text: str, what: str, likely: str) -> Fault:
    hint = f"The original was likely {likely}: write that, in a cell formatted as text." if likely else ""
    return Fault("cell.damaged", f"{text!r} is {what}", hint, likely or None)


def damage(text: str, kind: str, column: str) -> Fault | None:
    """Recognise a cell that a spreadsheet changed; `kind` is the column's kind or ``key``."""
    if text[0] == "#" and _ERROR_VALUE.fullmatch(text):
        likely = "+/-" if column == "genotype" and text == "#NAME?" else ""
        return _fault(text, "a spreadsheet's error value", likely)
    if kind == "date":
        return _date(text)
    if kind == "time":
        return _time(text)
    if kind == "boolean" and text not in ("TRUE", "FALSE"):
        likely = "TRUE" if text.casefold() in _TRUE else "FALSE" if text.casefold() in _FALSE else ""
        return _fault(text, "not one of the spellings TRUE and FALSE", likely) if likely else None
    if kind == "integer" and (match := _POINT_ZERO.fullmatch(text)):
        return _fault(text, "a whole number that was turned into a decimal", match[1])
    if kind == "text" and (match := _GENE_DATE.fullmatch(text)):
        month, day = match[2] or match[3], match[1] or match[4]
        return _fault(
            text, "a name that a spreadsheet took for a date", f"{_MONTHS.get(month, month.upper())}{int(day)}"
        )
    return None


def _date(text: str) -> Fault | None:
    if match := _POINT_ZERO.fullmatch(text):
        likely = match[1] if is_date(match[1]) else ""
        return _fault(text, "a date that was turned into a decimal number", likely)
    if match := _ISO_DATE.fullmatch(text):
        return _fault(text, "a date that a spreadsheet rewrote", "".join(match.groups()))
    if _SLASH_DATE.fullmatch(text):
        return _fault(text, "a date in a local spelling, whose day and month cannot be told apart", "")
    if len(text) == 5 and text.isascii() and text.isdigit():
        return _fault(text, "a spreadsheet's day number", f"{_EPOCH + timedelta(days=int(text)):%Y%m%d}")
    return None


def _time(text: str) -> Fault | None:
    if match := _CLOCK.fullmatch(text):
        hour, half = int(match[1]), (match[3] or "").casefold()
        hour = hour % 12 + (12 if half == "p" else 0) if half else hour
        likely = f"{hour:02d}:{match[2]}"
        return _fault(text, "a time that a spreadsheet rewrote", likely) if hour < 24 and likely != text else None
    if _FRACTION.fullmatch(text):
        return _fault(text, "a time that was turned into a fraction of a day", _minute(Decimal(text)))
    return None


def _minute(fraction: Decimal) -> str:
    """The full minute that a fraction of a day stands for, exactly or as the only one that rounds to it; else empty."""
    if (exact := Decimal(1440) * fraction) == int(exact):
        return f"{int(exact) // 60:02d}:{int(exact) % 60:02d}"
    least, most = (
        Decimal(1440) * (fraction + sign * Decimal(5).scaleb(int(fraction.as_tuple().exponent) - 1)) for sign in (-1, 1)
    )
    first, last = math.ceil(least), math.floor(most)
    return f"{first // 60:02d}:{first % 60:02d}" if first == last and 0 <= first < 1440 else ""
