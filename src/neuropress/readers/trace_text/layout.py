"""Where the numbers of a text begin, what parts their columns, and what these are called."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...model.budget import TRACE_COLUMNS
from ..number_rows import NUMBER, Columns, split_row, unquote
from . import LOOKED_AT

HEAD_BYTES = 2**20
DELIMITERS = (b"\t", b";", b",", b"")
"""In this order; the last are blanks."""
COMMENTS = "#%"


class NoNumbers(ValueError):
    """The text has no rows of numbers; why, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a text, each with another name.

    `lines` is all that stands above the numbers.
    """

    columns: Columns
    lines: tuple[str, ...]


def find_layout(head: bytes, stated: str | None, has_comma: bool) -> Layout:
    """The layout of a text by its first bytes.

    Parameters
    ----------
    stated
        Names of the columns by a person, with commas between.

    Raises
    ------
    NoNumbers
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head[:4096]:
        raise NoNumbers("it is no text in UTF-8; save it as such")
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    rows = head[start:].split(b"\n", LOOKED_AT)
    rows = rows if len(rows) > 1 else head[start:].split(b"\r", LOOKED_AT)
    for number, row in enumerate(rows[:LOOKED_AT]):
        for delimiter in DELIMITERS:
            cells = split_row(unquote(row.rstrip(b"\r"), delimiter), delimiter)
            if (has_comma and delimiter == b",") or not _are_numbers(cells, has_comma):
                continue
            if len(cells) > TRACE_COLUMNS:
                raise NoNumbers(f"it has {len(cells)} columns, more than {TRACE_COLUMNS}")
            lines = tuple(line.rstrip(b"\r").decode("utf-8", "replace") for line in rows[:number])
            names = _find_names(lines, len(cells), delimiter, stated)
            return Layout(Columns(names, delimiter, start, number + 1, has_comma, is_loose=True), lines)
        start += len(row) + 1
    hint = "" if has_comma else '; state decimal = "comma" if its numbers have commas'
    raise NoNumbers(f"none of its first {min(len(rows), LOOKED_AT)} lines is a row of numbers{hint}")


def _are_numbers(cells: Sequence[bytes], has_comma: bool) -> bool:
    return bool(cells) and all(NUMBER.fullmatch(cell.replace(b",", b".") if has_comma else cell) for cell in cells)


def _find_names(lines: Sequence[str], count: int, delimiter: bytes, stated: str | None) -> tuple[str, ...]:
    """By a person, or by the line above the numbers where it has a name for each. Raises `NoNumbers`."""
    if stated is not None:
        names = [name.strip() for name in next(csv.reader([stated]), [])]
        if len(names) != count:
            raise NoNumbers(f"the option header names {len(names)} columns, the first row of numbers has {count}")
    else:
        above = next((line for line in reversed(lines) if line.strip()), "").lstrip(COMMENTS + " ")
        cells = split_row(above.encode(), delimiter)
        names = [cell.decode().strip().strip('"').strip() for cell in cells]
    if len(names) != count or not all(names):
        names = [f"column{number}" for number in range(1, count + 1)]
    names = [name.replace(";", ",")[:200] for name in names]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[place] = f"{name} ({seen[name]})"
    return tuple(names)
