"""The one right spelling of a cell whose meaning is certain; nothing where there is any doubt.

Whoever follows such a spelling writes it into the data, so a likely reading is not enough: `03/04/2018`, `1,234`
and `1-Mar` have none. The caller still asks the column whether it takes what comes from here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from ..mapping.transforms import format_decimal
from ..mapping.units import convert_number, parse_unit
from .keys import guess_key, is_date

_BLANKS = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
# Where one of these stands, a text was probably damaged in more ways than the one that was found: letters read in
# another encoding, quotes set by a word processor, spaces that are none.
_SUSPECT = re.compile(
    "[\x80-\xa0\u00c2\u00c3\u00e2\u2000-\u200b\u2018-\u201f\u2028-\u202f\u205f\u2060\u3000\ufeff\ufffd]"
    r"|[\u00c4-\u00d6\u221a][^\x00-\x7f]|\w\?\w"
)

_POINT_ZERO = re.compile(r"([0-9]+)\.0+")
_MIDNIGHT = r"(?:[ T]00:00(?::00(?:\.0+)?)?)?"
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_MIDNIGHT}")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([-/.])([0-9]{{1,2}})\2([0-9]{{4}}){_MIDNIGHT}")
_DAY_NUMBER = re.compile(r"[0-9]{5}")
# Spreadsheets call 1 January 1900 day 1 and hold 1900 for a leap year: from March on, that is as if this were day 0.
_EPOCH = date(1899, 12, 30)
_OTHER_EPOCH = date(1904, 1, 1)
"""From which workbooks count that were made by older spreadsheets on a Macintosh."""

_CLOCK_24 = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::00(?:\.0+)?)?")
_CLOCK_12 = re.compile(r"(0?[1-9]|1[0-2]):([0-5][0-9])(?::00(?:\.0+)?)? ?([AaPp])\.?[Mm]\.?")
_FRACTION = re.compile(r"0?\.[0-9]+")
_MINUTES = Decimal(1440)
_FLOAT_ERROR = Decimal("1e-12")
"""Of a day: far more than a fraction of float64 is off by, far less than a minute."""

_TRUE = {"true", "1", "1.0", "yes", "y", "t", "wahr", "vrai", "verdadero", "vero"}
_FALSE = {"false", "0", "0.0", "no", "n", "f", "falsch", "faux", "falso"}

_QUANTITY = re.compile(r"([+-]?)([0-9][0-9.,']*) ?([A-Za-z\u00b5\u03bc]{1,4})?")
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_COMMA = re.compile(r"[0-9]+,[0-9]+")
_ONE_GROUP = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
"""A decimal of three digits, or a thousand and more: 1,234 and 1.234."""
_GROUPS = (
    re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+\.[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3}){2,}"),
    re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}"),
    re.compile(r"[1-9][0-9]{0,2}(?:'[0-9]{3})+(?:\.[0-9]+)?"),
)
_MILLI, _MICRO = -3, -6


def spell_text(text: str, kind: str, unit: str, choices: Sequence[str]) -> str:
    """The right spelling of a cell's text; empty where it is not certain.

    Parameters
    ----------
    kind
        The column's kind, or ``key``, ``prose``, ``path``.
    unit
        Symbol of the column's unit; empty where it states none.
    choices
        The words that the column allows; none for a column of free text.
    """
    if kind == "path":
        return ""  # a file's name may have spaces at its ends
    if kind in ("text", "prose") and not choices:
        return "" if _SUSPECT.search(text) else text.strip()
    plain = _BLANKS.sub(" ", _INVISIBLE.sub("", text)).strip()
    if kind == "date":
        return spell_date(plain)
    if kind == "time":
        return spell_time(plain)
    if kind == "boolean":
        return spell_boolean(plain)
    if kind in ("number", "integer"):
        return spell_number(plain, kind, unit)
    if kind == "key":
        return guess_key(plain)
    alike = [choice for choice in choices if choice.casefold() == plain.casefold()]
    return alike[0] if len(alike) == 1 else ""


def spell_date(text: str) -> str:
    """``YYYYMMDD`` of a date in another spelling; empty where day and month, or the century, are not certain."""
    spelled = text
    if match := _POINT_ZERO.fullmatch(text):
        spelled = match[1]
    elif match := _YEAR_FIRST.fullmatch(text):
        spelled = f"{match[1]}{int(match[3]):02d}{int(match[4]):02d}"
    elif match := _YEAR_LAST.fullmatch(text):
        spelled = _order_day_and_month(int(match[1]), int(match[3]), match[4])
    elif _DAY_NUMBER.fullmatch(text):
        spelled = _read_day_number(int(text))
    return spelled if is_date(spelled) else ""


def _order_day_and_month(first: int, second: int, year: str) -> str:
    if first > 12 or first == second:
        return f"{year}{second:02d}{first:02d}"
    return f"{year}{first:02d}{second:02d}" if second > 12 else ""


def _read_day_number(days: int) -> str:
    """The day of a spreadsheet's number, if only one of the two days from which they count gives a day that has been.

    What tables date is past: an acquisition, an injection, a birth.
    """
    latest = datetime.now(UTC).date() + timedelta(days=1)  # some zones are a day ahead
    is_certain = _EPOCH + timedelta(days=days) <= latest < _OTHER_EPOCH + timedelta(days=days)
    return f"{_EPOCH + timedelta(days=days):%Y%m%d}" if is_certain else ""


def spell_time(text: str) -> str:
    """``HH:MM`` of a time in another spelling, or of a fraction of a day that is one full minute and no other."""
    if match := _CLOCK_12.fullmatch(text):
        hour = int(match[1]) % 12 + (12 if match[3] in "Pp" else 0)  # 12 AM is 00, 12 PM is 12
        return f"{hour:02d}:{match[2]}"
    if match := _CLOCK_24.fullmatch(text):
        return f"{int(match[1]):02d}:{match[2]}"
    return _find_minute(Decimal(text)) if _FRACTION.fullmatch(text) else ""


def _find_minute(fraction: Decimal) -> str:
    """The only full minute that rounds to a fraction of a day.

    0.396 is 09:30; 0.40 may be anything from 09:29 to 09:43, though it is 09:36 exactly. In decimals: as a float, half
    of the last digit of 0.396 is not exact, and a minute at the edge would be lost or won.
    """
    half_digit = max(Decimal(5).scaleb(int(fraction.as_tuple().exponent) - 1), _FLOAT_ERROR)
    first = math.ceil(_MINUTES * (fraction - half_digit))
    last = math.floor(_MINUTES * (fraction + half_digit))
    return f"{first // 60:02d}:{first % 60:02d}" if first == last and 0 <= first < _MINUTES else ""


def spell_boolean(text: str) -> str:
    """The truth value that a spelling of some language or program stands for."""
    if text.casefold() in _TRUE:
        return "TRUE"
    return "FALSE" if text.casefold() in _FALSE else ""


def spell_number(text: str, kind: str, unit: str) -> str:
    """A number in the column's unit, with a decimal point and nothing else.

    A unit is converted exactly; a number with a unit in a column that states none is not certain.
    """
    match = _QUANTITY.fullmatch(text)
    digits = _spell_digits(match[2]) if match else ""
    if match is None or not digits:
        return ""
    spelled = match[1].replace("+", "") + digits
    if match[3]:
        spelled = _convert_text(spelled, match[3], unit)
    if kind == "integer" and spelled:
        whole = Decimal(spelled)
        spelled = format_decimal(whole) if whole == int(whole) else ""
    return spelled


def _spell_digits(digits: str) -> str:
    """Digits with a decimal point at most; empty where a separator may be a decimal mark or not."""
    if _ONE_GROUP.fullmatch(digits):
        return ""
    if _PLAIN.fullmatch(digits):
        return digits
    if _COMMA.fullmatch(digits):
        return digits.replace(",", ".")
    for groups, separator in zip(_GROUPS, ",.'", strict=True):
        if groups.fullmatch(digits):
            return digits.replace(separator, "").replace(",", ".")
    return ""


def _convert_text(number: str, symbol: str, unit: str) -> str:
    given, wanted = parse_unit(symbol), parse_unit(unit)
    # A program without the letter for micro leaves it out, and nobody can tell 0.7 m that was 0.7 um from 0.7 m. In a
    # column of thousandths only numbers from 1 on are in doubt: 0.0355 uW would be far below what it is made for.
    if given and wanted and given.exponent == 0:
        is_large = wanted.exponent == _MILLI and abs(Decimal(number)) >= 1
        if wanted.exponent == _MICRO or is_large:
            return ""
    if given == wanted and given is not None:
        return number
    converted = convert_number(Decimal(number), symbol, unit)
    return "" if converted is None else format_decimal(converted)
