"""Rows of numbers as text: blocks of it to float64, each the one nearest to the decimal that stands there.

`atf` and `trace_text` share this; what is wrong with a row they tell as findings of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from ..model.budget import NUMBER_CHARS
from ..model.source import RawFile

BLOCK_BYTES = 2**22
ALLOWED = b"0123456789+-.eE\t\n;, "
"""All that rows of numbers need: NumPy would also take ``nan``, ``inf`` and hexadecimal digits."""
NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_QUOTED = {d: re.compile(rb'(?m)(^|%b)"([^"\n%b]*)"(?=%b|\r?$)' % (d, d, d)) for d in (b"\t", b";", b",")}
"""Delimiter -> a whole cell in quotes, without the delimiter in it: 1,065 is no two numbers."""
EXACT_DIGITS = 17
"""No float64 tells decimals of more digits apart."""
LOOKED_AT = 512
"""Cells of a column at either end of a block whose digits are counted, to learn how the program printed them."""
LEAST_LOOKED_AT = 64
"""The same where there are many columns."""


class BadRow(ValueError):
    """A row that is none.

    Attributes
    ----------
    line, value
        Its number in the file, and the cell that is no number, if it is one.
    is_cut
        Whether it is the last one, has no end, and lacks cells.
    """

    def __init__(self, line: int, message: str, value: bytes = b"", *, is_cut: bool = False) -> None:
        super().__init__(f"line {line}: {message}")
        self.line, self.is_cut = line, is_cut
        self.value = value[:80].decode("utf-8", "backslashreplace")


class TooMany(ValueError):
    """More numbers than are read, or a longer line."""


@dataclass(slots=True)
class Print:
    """How a program printed numbers: the most significant digits and the most decimals that were seen."""

    digits: int = 1
    decimals: int = 0

    def learn(self, text: bytes) -> None:
        """Look at one more number."""
        mantissa, _, exponent = text.strip().lower().partition(b"e")
        whole, _, fraction = mantissa.lstrip(b"+-").partition(b".")
        self.digits = max(self.digits, len((whole + fraction).lstrip(b"0")))
        self.decimals = max(self.decimals, len(fraction) - int(exponent or b"0"))


@dataclass(frozen=True, slots=True)
class Columns:
    """Where rows begin, and of what columns they are.

    Attributes
    ----------
    names
        As messages call them.
    delimiter
        Empty for blanks.
    start, first_line
        Byte and line (from 1) of the first row.
    has_comma
        Whether decimals have commas.
    is_loose
        Whether blanks at the end of a line, and a delimiter behind its last cell, make no cell, and cells have quotes.
    """

    names: tuple[str, ...]
    delimiter: bytes
    start: int
    first_line: int
    has_comma: bool = False
    is_loose: bool = False

    def split(self, row: bytes) -> list[bytes]:
        """Cells of a row, blanks around them taken off."""
        return split_row(row, self.delimiter) if self.is_loose else [c.strip(b" ") for c in row.split(self.delimiter)]


def unquote(text: bytes, delimiter: bytes) -> bytes:
    """Text with its cells out of their quotes, as some programs write each; any other quote stays."""
    return _QUOTED[delimiter].sub(rb"\1\2", text) if b'"' in text and delimiter in _QUOTED else text


def split_row(row: bytes, delimiter: bytes) -> list[bytes]:
    """Cells of a row, blanks around them taken off; a delimiter behind the last one makes none."""
    if not delimiter:
        return row.split()
    cells = [cell.strip(b" ") for cell in row.strip(b" ").split(delimiter)]
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


class NumberRows:
    """Reads the rows of a file once.

    Attributes
    ----------
    printed
        How the numbers of each of the first columns were printed, in the blocks given so far.
    most_digits
        Of a number longer than float64 holds; 0 where there is none.
    is_ended
        Whether the last line had an end: without one, it may have been cut within a number.

    Parameters
    ----------
    most_cells
        Beyond which no numbers are read.
    learned
        Columns, the first ones, whose print is looked at.
    """

    def __init__(self, columns: Columns, most_cells: int, learned: int = 1) -> None:
        self._columns, self._most_cells = columns, most_cells
        self.printed = [Print() for _ in columns.names[:learned]]
        self.most_digits = 0
        self.is_ended = True

    def iterate_blocks(self, file: RawFile) -> Iterator[tuple[int, np.ndarray]]:
        """The line of its first row and (row, column) numbers of each block. Raises `BadRow`, `TooMany`."""
        cells, line, blank = 0, self._columns.first_line, 0
        ends = b"\n \t" if self._columns.is_loose else b"\n"
        for text in self._split_text(file):
            text = unquote(text, self._columns.delimiter) if self._columns.is_loose else text
            rows = text.rstrip(ends)
            if rows and blank:
                raise BadRow(blank, "a blank line between the rows")
            count = rows.count(b"\n") + 1 if rows else 0
            if rows:
                parsed = self._parse(rows, line, count)
                cells += parsed.size
                if cells > self._most_cells:
                    raise TooMany(f"it has more than {self._most_cells} numbers")
                yield line, parsed
            if text.count(b"\n") > count and not blank:
                blank = line + count
            line += text.count(b"\n")

    def _split_text(self, file: RawFile) -> Iterator[bytes]:
        """Text up to the end of a line, whose ends are made LF; the last one may have none."""
        file.seek(self._columns.start)
        rest, most = b"", max(len(self._columns.names) * (NUMBER_CHARS + 1), BLOCK_BYTES)
        while data := file.read(BLOCK_BYTES):
            data = rest + data
            held = data[-1:] if data.endswith(b"\r") else b""  # its LF may come with the next block
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = data.rfind(b"\n") + 1
            rest = data[end:] + held
            if len(rest) > most:
                raise TooMany(f"a line has more than {most} characters")
            if end:
                yield data[:end]
        self.is_ended = not rest or rest.endswith(b"\r")
        if rest:
            yield rest.replace(b"\r", b"\n")

    def _parse(self, rows: bytes, line: int, count: int) -> np.ndarray:
        """(row, column) numbers of lines without the last one's end."""
        columns = self._columns
        longest = _measure_longest_cell(rows, columns.delimiter)
        if rows.translate(None, ALLOWED) or not rows.strip(b"\t\n;, "):
            raise self._find_bad_row(rows, line) or self._make_vague(line)
        if longest > NUMBER_CHARS and (bad := self._find_bad_row(rows, line)):
            raise bad
        plain = rows.replace(b",", b".") if columns.has_comma else rows
        if columns.delimiter and columns.is_loose:
            plain = plain.replace(columns.delimiter + b"\n", b"\n").removesuffix(columns.delimiter)
        try:
            parsed = np.loadtxt(BytesIO(plain), delimiter=columns.delimiter.decode() or None, comments=None, ndmin=2)
        except ValueError as error:
            raise (self._find_bad_row(rows, line) or self._make_vague(line)) from error
        if parsed.shape != (count, len(columns.names)) or not np.isfinite(parsed).all():
            raise self._find_bad_row(rows, line) or self._make_vague(line)
        self._learn(plain)
        if longest > EXACT_DIGITS:
            self.most_digits = max(self.most_digits, count_most_digits(rows))
        return parsed

    def _learn(self, rows: bytes) -> None:
        count = max(LEAST_LOOKED_AT, LOOKED_AT // len(self.printed))
        for row in (*rows.split(b"\n", count)[:count], *rows.rsplit(b"\n", count)[-count:]):
            for printed, cell in zip(self.printed, self._columns.split(row), strict=False):
                printed.learn(cell)

    def _find_bad_row(self, rows: bytes, first: int) -> BadRow | None:
        """What is wrong with a block, cell by cell; None for nothing that can be told of one."""
        names, lines = self._columns.names, rows.split(b"\n")
        for line, row in enumerate(lines, first):
            if not row.strip():
                return BadRow(line, "a blank line between the rows")
            cells = self._columns.split(row)
            if len(cells) != len(names):
                is_last = not self.is_ended and line == first + len(lines) - 1
                what = f"{len(cells)} cells, and there are {len(names)} columns"
                return BadRow(line, what, is_cut=is_last and len(cells) < len(names))
            for name, cell in zip(names, cells, strict=True):
                plain = cell.replace(b",", b".") if self._columns.has_comma else cell
                if len(cell) > NUMBER_CHARS:
                    return BadRow(line, f"{name[:80]!r} has {len(cell)} characters", cell)
                if not NUMBER.fullmatch(plain) or not np.isfinite(float(plain)):
                    shown = cell[:80].decode("utf-8", "backslashreplace")
                    return BadRow(line, f"{shown!r} under {name[:80]!r} is no number", cell)
        return None

    def _make_vague(self, line: int) -> BadRow:
        return BadRow(line, "it and the lines behind it are no rows of numbers")


def _measure_longest_cell(rows: bytes, delimiter: bytes) -> int:
    """Bytes of the longest cell."""
    letters = np.frombuffer(rows, "u1")
    is_end = letters == ord("\n")
    for end in delimiter or b" \t":
        is_end |= letters == end
    return int(np.diff(np.flatnonzero(is_end), prepend=-1, append=len(letters)).max()) - 1


def count_most_digits(rows: bytes) -> int:
    """Significant digits of the longest number; 0 where none has more than float64 holds."""
    digits = 0
    for text in re.findall(rb"[0-9.]{%d,}" % (EXACT_DIGITS + 1), rows):
        digits = max(digits, len(text.replace(b".", b"").lstrip(b"0")))
    return digits if digits > EXACT_DIGITS else 0
