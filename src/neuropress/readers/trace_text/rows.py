"""The rows of a text: each number becomes the float64 that is nearest to its decimal."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np

from ...model.budget import NUMBER_CHARS, TRACE_CELLS
from ...model.source import RawFile
from ..atf.rows import EXACT_DIGITS, NUMBER, Print, count_most_digits
from .layout import Layout

BLOCK_BYTES = 2**22
ALLOWED = b"0123456789+-.eE\t\n;, "
LOOKED_AT = 64
"""Rows at either end of a block whose digits are counted, of the first columns, to learn how they were printed."""
LEARNED = 50
_LINE_BYTES = 2**22


class BadRow(ValueError):
    """A row that is none; `line` is its number in the file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


class TooMany(ValueError):
    """More numbers than are read."""


class Rows:
    """Reads the rows of a file once.

    Attributes
    ----------
    printed
        How the numbers of each of the first columns were printed.
    most_digits
        Of a number longer than float64 holds; 0 where there is none.
    is_ended
        Whether the last line had an end: without one, it may have been cut within a number.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.printed = [Print() for _ in layout.names[:LEARNED]]
        self.most_digits = 0
        self.is_ended = True

    def read_columns(self, file: RawFile) -> np.ndarray:
        """(column, row) all numbers. Raises `BadRow`, `TooMany`."""
        blocks = list(self._iterate_blocks(file))
        if not blocks:
            return np.zeros((len(self._layout.names), 0))
        return np.ascontiguousarray(np.concatenate(blocks).T)

    def _iterate_blocks(self, file: RawFile) -> Iterator[np.ndarray]:
        cells, line, blank = 0, self._layout.first_line, 0
        for text in self._split_text(file):
            rows = text.rstrip(b"\n \t")
            if rows and blank:
                raise BadRow(blank, "a blank line between the rows")
            if rows:
                count = rows.count(b"\n") + 1
                parsed = self._parse(rows, line, count)
                cells += parsed.size
                if cells > TRACE_CELLS:
                    raise TooMany(f"it has more than {TRACE_CELLS} numbers")
                yield parsed
                blank = line + count if text.count(b"\n") > count else 0
            line += text.count(b"\n")

    def _split_text(self, file: RawFile) -> Iterator[bytes]:
        """Text up to the end of a line, whose ends are made LF; the last one may have none."""
        file.seek(self._layout.start)
        rest = b""
        while data := file.read(BLOCK_BYTES):
            data = rest + data
            held = data[-1:] if data.endswith(b"\r") else b""  # its LF may come with the next block
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = data.rfind(b"\n") + 1
            rest = data[end:] + held
            if len(rest) > _LINE_BYTES:
                raise TooMany(f"a line has more than {_LINE_BYTES} characters")
            if end:
                yield data[:end]
        self.is_ended = not rest or rest.endswith(b"\r")
        if rest:
            yield rest.replace(b"\r", b"\n")

    def _parse(self, rows: bytes, line: int, count: int) -> np.ndarray:
        """(row, column) numbers of lines without the last one's end."""
        layout = self._layout
        if rows.translate(None, ALLOWED):
            raise self._find_bad_row(rows, line)
        plain = rows.replace(b",", b".") if layout.has_comma else rows
        if layout.delimiter:  # one behind the last cell makes none
            plain = plain.replace(layout.delimiter + b"\n", b"\n").removesuffix(layout.delimiter)
        try:
            delimiter = layout.delimiter.decode() or None
            parsed = np.loadtxt(BytesIO(plain), delimiter=delimiter, comments=None, ndmin=2)
        except ValueError as error:
            raise self._find_bad_row(rows, line) from error
        if parsed.shape != (count, len(layout.names)) or not np.isfinite(parsed).all():
            raise self._find_bad_row(rows, line)
        self._learn(plain)
        return parsed

    def _learn(self, rows: bytes) -> None:
        ends = (*rows.split(b"\n", LOOKED_AT)[:LOOKED_AT], *rows.rsplit(b"\n", LOOKED_AT)[-LOOKED_AT:])
        for row in ends:
            for printed, cell in zip(self.printed, self._layout.split(row), strict=False):
                printed.learn(cell)
        self.most_digits = max(self.most_digits, count_most_digits(rows))

    def _find_bad_row(self, rows: bytes, first: int) -> BadRow:
        """What is wrong with a block, cell by cell."""
        names = self._layout.names
        for line, row in enumerate(rows.split(b"\n"), first):
            cells = self._layout.split(row)
            if not row.strip():
                return BadRow(line, "a blank line between the rows")
            if len(cells) != len(names):
                return BadRow(line, f"{len(cells)} cells, where the first row of numbers has {len(names)}")
            for name, cell in zip(names, cells, strict=True):
                plain = cell.replace(b",", b".") if self._layout.has_comma else cell
                if len(cell) > NUMBER_CHARS or not NUMBER.fullmatch(plain) or not np.isfinite(float(plain)):
                    shown = cell[:80].decode("utf-8", "backslashreplace")
                    return BadRow(line, f"{shown!r} under {name[:80]!r} is no number")
        return BadRow(first, f"it and the lines behind it are no rows of numbers of at most {EXACT_DIGITS} digits")
