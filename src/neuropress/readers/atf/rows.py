"""The rows of an Axon text file: blocks of text to float64, each the one nearest to the decimal that stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from ...model.budget import ATF_CELLS, NUMBER_CHARS
from ...model.finding import Problem, problem
from ...model.source import RawFile
from .header import Header

BLOCK_BYTES = 2**22
ALLOWED = b"0123456789+-.eE\t\n, "
"""All that rows of numbers need: NumPy would also take ``nan``, ``inf`` and hexadecimal digits."""
NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
EXACT_DIGITS = 17
"""No float64 tells decimals of more digits apart."""
LOOKED_AT = 512
"""Times at either end of a block whose digits are counted, to learn how the program printed them."""


@dataclass(slots=True)
class Print:
    """How a program printed the times: the most significant digits and the most decimals that were seen."""

    digits: int = 1
    decimals: int = 0

    def learn(self, text: bytes) -> None:
        """Look at one more number."""
        mantissa, _, exponent = text.strip().lower().partition(b"e")
        whole, _, fraction = mantissa.lstrip(b"+-").partition(b".")
        self.digits = max(self.digits, len((whole + fraction).lstrip(b"0")))
        self.decimals = max(self.decimals, len(fraction) - int(exponent or b"0"))


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows: when they were sampled, and what (column, row); `line` is that of the first."""

    times: np.ndarray
    values: np.ndarray
    line: int


class Rows:
    """Reads the rows of a file once, from `Header.data_start` on.

    Attributes
    ----------
    printed
        How the times of the blocks given so far were printed.
    most_digits
        Of a number longer than float64 holds; 0 where there is none.
    is_ended
        Whether the last line had an end: without one, it may have been cut within a number.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.printed = Print()
        self.most_digits = 0
        self.is_ended = True

    def iterate_blocks(self, file: RawFile) -> Iterator[Block]:
        """Blocks of whole rows.

        Raises
        ------
        Problem
            ``atf.damaged`` with line and column, ``atf.truncated``, ``atf.unsupported``.
        """
        header, cells, blank = self._header, 0, 0
        line = header.data_line
        for text in self._split_text(file, line_limit=len(header.titles) * (NUMBER_CHARS + 1)):
            rows = text.rstrip(b"\n")
            if rows and blank:
                raise self._make_problem(blank, "a blank line between the rows")
            count = rows.count(b"\n") + 1 if rows else 0
            if rows:
                parsed = self._parse(rows, line)
                cells += parsed.size
                if cells > ATF_CELLS:
                    raise problem("atf.unsupported", f"{header.key} has more than {ATF_CELLS} numbers", file=header.key)
                yield Block(np.ascontiguousarray(parsed[:, 0]), np.ascontiguousarray(parsed[:, 1:].T), line)
            if text.count(b"\n") > count and not blank:
                blank = line + count
            line += text.count(b"\n")

    def _split_text(self, file: RawFile, line_limit: int) -> Iterator[bytes]:
        """Text up to the end of a line, whose ends are made LF; the last one may have none."""
        file.seek(self._header.data_start)
        rest = b""
        while data := file.read(BLOCK_BYTES):
            data = rest + data
            held = data[-1:] if data.endswith(b"\r") else b""  # its LF may come with the next block
            data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = data.rfind(b"\n") + 1
            rest = data[end:] + held
            if len(rest) > line_limit:
                what = f"a line of {self._header.key} has more than {line_limit} characters"
                raise problem("atf.damaged", what, file=self._header.key)
            if end:
                yield data[:end]
        self.is_ended = not rest or rest.endswith(b"\r")
        if rest:
            yield rest.replace(b"\r", b"\n")

    def _parse(self, rows: bytes, line: int) -> np.ndarray:
        """(row, column) numbers of lines without the last one's end."""
        count, delimiter = rows.count(b"\n") + 1, self._header.delimiter
        longest = _measure_longest_cell(rows, delimiter)
        if rows.translate(None, ALLOWED) or longest > NUMBER_CHARS or not rows.strip(b"\t\n, "):
            raise self._find_problem(rows, line)
        try:
            parsed = np.loadtxt(BytesIO(rows), delimiter=delimiter.decode(), comments=None, ndmin=2)
        except ValueError as error:
            raise self._find_problem(rows, line) from error
        if parsed.shape != (count, len(self._header.titles)) or not np.isfinite(parsed).all():
            raise self._find_problem(rows, line)
        first, last = rows.split(b"\n", LOOKED_AT)[:LOOKED_AT], rows.rsplit(b"\n", LOOKED_AT)[-LOOKED_AT:]
        for text in (*first, *last):
            self.printed.learn(text.split(delimiter, 1)[0])
        if longest > EXACT_DIGITS:
            self.most_digits = max(self.most_digits, count_most_digits(rows))
        return parsed

    def _find_problem(self, rows: bytes, line: int) -> Problem:
        """What is wrong with a block that NumPy refused, cell by cell."""
        titles, lines = self._header.titles, rows.split(b"\n")
        for number, text in enumerate(lines, line):
            cells = text.split(self._header.delimiter)
            if len(cells) != len(titles):
                is_last = not self.is_ended and number == line + len(lines) - 1
                id = "atf.truncated" if is_last and len(cells) < len(titles) else "atf.damaged"
                return self._make_problem(number, f"{len(cells)} cells under {len(titles)} titles", id)
            for title, cell in zip(titles, cells, strict=True):
                cell = cell.strip(b" ")
                if len(cell) > NUMBER_CHARS:
                    return self._make_problem(number, f"{title.text[:80]!r} has {len(cell)} characters", value=cell)
                if not NUMBER.fullmatch(cell) or not np.isfinite(float(cell)):
                    what = f"{cell[:80].decode('ascii', 'backslashreplace')!r} under {title.text[:80]!r} is no number"
                    return self._make_problem(number, what, value=cell)
        return self._make_problem(line, "it and the lines behind it are no rows of numbers")

    def _make_problem(self, line: int, message: str, id: str = "atf.damaged", value: bytes = b"") -> Problem:
        where = {"value": value[:80].decode("ascii", "backslashreplace")} if value else {}
        return problem(id, f"{self._header.key} line {line}: {message}", file=self._header.key, line=line, **where)


def _measure_longest_cell(rows: bytes, delimiter: bytes) -> int:
    """Bytes of the longest cell."""
    letters = np.frombuffer(rows, "u1")
    ends = np.flatnonzero((letters == delimiter[0]) | (letters == ord("\n")))
    return int(np.diff(ends, prepend=-1, append=len(letters)).max()) - 1


def count_most_digits(rows: bytes) -> int:
    """Significant digits of the longest number; 0 where none has more than float64 holds."""
    digits = 0
    for text in re.findall(rb"[0-9.]{%d,}" % (EXACT_DIGITS + 1), rows):
        digits = max(digits, len(text.replace(b".", b"").lstrip(b"0")))
    return digits if digits > EXACT_DIGITS else 0
