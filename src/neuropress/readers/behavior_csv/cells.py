"""Lines and cells of a table as text, within limits; numbers of cells without a detour over binary fractions."""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import batched

import numpy as np

from ...model.finding import Problem, problem
from .columns import Described, find_delimiter

MAX_LINE = 2**18
"""Characters of one line; 60 tracked points have some 4,000."""
MAX_CELLS = 40_000_000
BATCH = 1024
"""Rows that are parsed together."""
NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
PLAIN = re.compile(r"[0-9.eE+-]*")
"""What ``float`` may be trusted with: it also takes ``1_000``, ``infinity`` and digits of other scripts."""
BLANK = {"", "na", "n/a", "nan"}
"""Cells of values that have none, in lower case."""
SURROGATE = re.compile("[\\ud800-\\udfff]")
"""Bytes that are no UTF-8 come as these (errors="surrogateescape")."""
MAX_DIGITS = 18
"""Of a whole number that surely fits int64."""
TEXT = np.dtypes.StringDType()


class BadCell(ValueError):
    """A cell that is not what its column says, by its place among those that were to be added."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class Texts:
    """Cells as they stand."""

    def __init__(self) -> None:
        self.cells: list[str] = []

    def extend(self, cells: Sequence[str]) -> None:
        """Add cells."""
        self.cells.extend(cells)

    def make_array(self) -> np.ndarray:
        """(row,) texts."""
        return np.array(self.cells, TEXT)


class Values:
    """Numbers, each the float64 nearest to what stands there; NaN without one."""

    def __init__(self) -> None:
        self.numbers = array("d")

    def extend(self, cells: Sequence[str]) -> None:
        """Add cells. Raises `BadCell`."""
        texts = [cell.strip() for cell in cells]
        if PLAIN.fullmatch("".join(texts)) and all(texts):
            with suppress(ValueError):
                numbers = array("d", map(float, texts))
                if not math.isnan(sum(numbers) * 0):  # as it is of an infinity
                    self.numbers.extend(numbers)
                    return
        for at, text in enumerate(texts):
            self.numbers.append(math.nan if text.lower() in BLANK else _parse_number(text, at))

    def make_array(self) -> np.ndarray:
        """(row,) float64."""
        return np.array(self.numbers, "<f8")


class Blanks:
    """Cells under no name, behind a delimiter at the end of each line."""

    def extend(self, cells: Sequence[str]) -> None:
        """Look that cells are blank. Raises `BadCell`."""
        for at, cell in enumerate(cells):
            if cell.strip():
                raise BadCell(at)


class Times:
    """Times in whole numbers of ``10**-places`` units, and as floats where int64 cannot hold all digits."""

    def __init__(self) -> None:
        self.ticks = array("q")
        self.floats = array("d")
        self.places = 0
        self.largest = 0
        self.is_whole = True

    def extend(self, cells: Sequence[str]) -> None:
        """Add cells. Raises `BadCell`."""
        texts = [cell.strip() for cell in cells]
        self.floats.extend(_parse_number(text, at) for at, text in enumerate(texts))
        exact = [Decimal(text) for text in texts]
        places = max(self.places, *(-int(number.as_tuple().exponent) for number in exact))
        self.largest = max(self.largest, *(number.adjusted() + 1 for number in exact))
        self.is_whole = self.is_whole and self.largest + places <= MAX_DIGITS
        if not self.is_whole:
            return
        if places > self.places:
            factor = 10 ** (places - self.places)
            self.ticks = array("q", [tick * factor for tick in self.ticks])
            self.places = places
        self.ticks.extend(int(number.scaleb(places)) for number in exact)


def scale_times(columns: Sequence[Times], unit: Fraction) -> tuple[list[np.ndarray], str]:
    """Arrays of times on one clock, and the exact seconds of one step of it.

    Whole numbers where int64 can hold every digit, otherwise the float64 nearest to each cell.
    """
    places = max(times.places for times in columns)
    digits = max(times.largest for times in columns) + places
    if digits > MAX_DIGITS or not all(times.is_whole for times in columns):
        return [np.array(times.floats, "<f8") for times in columns], str(unit)
    arrays = [np.array(times.ticks, "<i8") * 10 ** (places - times.places) for times in columns]
    return arrays, str(unit / 10**places)


@dataclass(frozen=True, slots=True)
class Table:
    """What stands below the header, by column; of columns that are ignored, None."""

    names: Sequence[str]
    columns: Sequence[Described]
    cells: Sequence[Texts | Values | Times | Blanks | None]
    lines: Sequence[int]
    points: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What is known of each tracked point, by its name, in files of DeepLabCut."""

    def make_array(self, number: int) -> np.ndarray:
        """(row,) of a column of values or texts."""
        cells = self.cells[number]
        if not isinstance(cells, (Texts, Values)):
            raise TypeError(f"column {number} has neither values nor texts")
        return cells.make_array()

    def find(self, *roles: str) -> list[int]:
        """Numbers of the columns of these roles."""
        return [number for number, column in enumerate(self.columns) if column.role in roles]


def split_rows(key: str, file: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that is not blank. Raises `Problem` (``behavior.damaged``)."""

    def limit_lines(first: str) -> Iterator[str]:
        number, line = 1, first
        while line:
            if len(line) > MAX_LINE:
                raise make_problem(key, number, f"more than {MAX_LINE} characters")
            if "\0" in line or (not line.isascii() and SURROGATE.search(line)):
                raise make_problem(key, number, "it is not UTF-8 text; save the file as CSV UTF-8")
            yield line
            number, line = number + 1, file.readline(MAX_LINE + 1)

    first = file.readline(MAX_LINE + 1)
    reader = csv.reader(limit_lines(first), delimiter=find_delimiter(first), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise make_problem(key, reader.line_num, str(error)) from error


def parse_rows(
    key: str,
    rows: Iterator[tuple[int, list[str]]],
    names: Sequence[str],
    columns: Sequence[Described],
    comma: bool,
) -> Table:
    """Every cell by what its column is. Raises `Problem` (``behavior.damaged``) with line, column and value."""
    kinds: Mapping[str, type[Texts | Values | Blanks]] = {"value": Values, "text": Texts, "blank": Blanks}
    cells = [None if column.role == "ignore" else kinds.get(column.role, Times)() for column in columns]
    lines = array("L")
    # Column by column within a batch, which takes a fifth of the time of cell by cell.
    for batch in batched(rows, BATCH):
        lines.extend(line for line, _ in batch)
        for line, row in batch:
            if len(row) != len(columns):
                raise make_problem(key, line, f"{len(row)} cells under {len(columns)} columns")
        if len(lines) * len(columns) > MAX_CELLS:
            raise make_problem(key, lines[-1], f"more than {MAX_CELLS} cells")
        for number, kept in enumerate(cells):
            if kept is None:
                continue
            column = [row[number] for _, row in batch]
            is_number = not isinstance(kept, Texts)
            try:
                kept.extend([cell.replace(",", ".") for cell in column] if comma and is_number else column)
            except BadCell as bad:
                cell = column[bad.at]
                kind = "no number" if names[number].strip() else "under no name"
                advice = '; state decimal = "comma" if that is meant' if "," in cell and not comma else ""
                line = batch[bad.at][0]
                raise make_problem(key, line, f"{cell[:80]!r} is {kind}{advice}", names[number], cell) from bad
    return Table(names, columns, cells, lines)


def _parse_number(text: str, at: int) -> float:
    number = float(text) if NUMBER.fullmatch(text) else math.inf
    if math.isinf(number):
        raise BadCell(at)
    return number


def make_problem(key: str, line: int, message: str, column: str = "", cell: str = "") -> Problem:
    """A ``behavior.damaged`` that names file, line, and what is known of the cell."""
    place = f"{key} line {line}" + (f", column {column[:80]!r}" if column else "")
    where = {"value": cell[:80]} if cell else {}
    return problem("behavior.damaged", f"{place}: {message}", file=key, line=line, **where)
