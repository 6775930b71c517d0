"""Dates and times as spreadsheets hold them: a number of days, and a format that shows it.

The day and the second are read from the number itself, in decimals. A format decides only what a person saw: one that
shows no year, or minutes without hours, is of no use to somebody who typed a date or a time.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

type Part = Literal["y", "m", "d", "h", "n", "s", "elapsed"]
"""What a format shows: year, month, day, hour, minute, second; hours beyond a day."""

_ASIDE = re.compile(r"\"[^\"]*\"|\\.|[_*].|\[(?![hms]+\])[^\]]*\]", re.IGNORECASE)
"""Of a format what stands for itself: quoted and escaped characters, widths, colours, conditions and locales."""
_TOKEN = re.compile(r"AM/PM|A/P|\[h+\]|\[m+\]|\[s+\]|y+|e+|b+|m+|d+|h+|s+(?:\.0+)?", re.IGNORECASE)
_OTHERS = re.compile(r"[0#?@a-z]", re.IGNORECASE)
_SECONDS = 86_400
_LAST_DAY = {False: 2_958_465, True: 2_957_003}
"""31 December 9999, by whether days are counted from 1904."""


def parse_date_format(form: str) -> frozenset[Part]:
    """What a number format shows of a date or a time; nothing where it is a format of numbers or texts."""
    plain = _ASIDE.sub(" ", form.partition(";")[0])
    if "general" in plain.casefold() or _OTHERS.search(_TOKEN.sub(" ", plain)):
        return frozenset()
    tokens = [token.casefold() for token in _TOKEN.findall(plain)]
    shown: set[Part] = set()
    for position, token in enumerate(tokens):
        before = tokens[position - 1][:2].strip("[") if position else ""
        after = tokens[position + 1] if position + 1 < len(tokens) else ""
        if token[0] in "[":
            shown.add("elapsed")
        elif token[0] in "yeb":
            shown.add("y")
        elif token in ("d", "dd"):  # three and more are the name of the weekday
            shown.add("d")
        elif token[0] in "hs":
            shown.add("h" if token[0] == "h" else "s")
        elif token[0] == "m":
            # The same letter: a minute behind an hour or before a second, a month anywhere else.
            shown.add("n" if len(token) < 3 and (before[:1] == "h" or after.strip("[")[:1] == "s") else "m")
    return frozenset(shown)


def read_day(serial: Decimal, *, from_1904: bool) -> date | None:
    """The day of a serial; None where it has none: the 29th of February 1900, and what is out of range."""
    days = math.floor(serial)
    if days < (0 if from_1904 else 1) or days > _LAST_DAY[from_1904]:
        return None
    if from_1904:
        return date(1904, 1, 1) + timedelta(days=days)
    if days == 60:
        return None  # Lotus 1-2-3 took 1900 for a leap year, and every spreadsheet has done so since
    return date(1899, 12, 31 if days < 60 else 30) + timedelta(days=days)


def read_second(serial: Decimal) -> int | None:
    """The second of the day of a serial; None where it is none to the 15 digits that spreadsheets keep."""
    if serial < 0:
        return None
    fraction = serial - math.floor(serial)
    second = int((fraction * _SECONDS).to_integral_value())
    step = Decimal(1).scaleb(max(serial.adjusted(), -1) - 14)
    if abs(fraction * _SECONDS - second) > step * _SECONDS or second == _SECONDS:
        return None
    return second
