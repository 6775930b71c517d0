"""Cells of a table of points as texts, whatever the file is: CSV, CellCounter XML, or an array of NumPy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...model.budget import OverBudget
from ...model.finding import Problem, problem
from ...model.parsing import parse_xml
from ...model.source import Source
from ..numpy_files.errors import DamagedFile
from ..numpy_files.header import make_npy_array, read_npy_header
from . import NPY

MAX_BYTES = 256 * 2**20
MAX_CELLS = 60_000_000
MAX_CELL = 10_000
"""Characters of one cell."""
MAX_COLUMNS = 200
XML_BYTES, XML_ELEMENTS = 1024 * 2**20, 40_000_000
"""A marker takes 120 bytes; what was read of one is dropped at once."""
CELLFINDER = "placeholder.tif"
"""What cellfinder writes for the image, whose pixels it counts from 0; CellCounter names a file."""
MARKER = {"MarkerX": "x", "MarkerY": "y", "MarkerZ": "z"}


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of texts.

    Attributes
    ----------
    names, columns
        Of each column its name and its cells.
    lines
        Line of the file that each row begins in; empty where it has none.
    known
        Option -> what the file itself says of it.
    """

    names: list[str]
    columns: list[list[str]]
    lines: list[int] = field(default_factory=list)
    known: Mapping[str, str] = field(default_factory=dict)


def read_rows(source: Source, header: str) -> Rows:
    """All rows of a file. Raises `Problem` (``points.damaged``)."""
    head = source.head()
    if head.startswith(NPY):
        return _read_array(source)
    most = XML_BYTES if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else MAX_BYTES
    if source.size() > most:
        raise make_problem(source.key, f"{source.size()} bytes, more than {most}")
    try:
        text = source.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"it is no UTF-8 text ({error.reason} at byte {error.start}); save it as CSV UTF-8"
        raise make_problem(source.key, why) from error
    if "\0" in text:
        raise make_problem(source.key, "it is no text: it has bytes 0")
    return _read_markers(source.key, text) if most == XML_BYTES else _read_text(source.key, text, header)


def make_problem(key: str, message: str, line: int = 0, column: str = "", cell: str = "") -> Problem:
    """A ``points.damaged`` that names file, line, and what is known of the cell."""
    place = key + (f" line {line}" if line else "") + (f", column {column[:80]!r}" if column else "")
    where: dict[str, Any] = {"line": line} if line else {}
    where |= {"value": cell[:80]} if cell else {}
    return problem("points.damaged", f"{place}: {message}", file=key, **where)


def _read_text(key: str, text: str, header: str) -> Rows:
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    rows = _split_text(key, text, delimiter)
    stated = [name.strip() for name in next(csv.reader([header]), [])]
    names = stated or [name.strip() for name in next(rows, (0, []))[1]]
    while names and not names[-1]:  # a delimiter behind the last name
        names.pop()
    twice = next((name for name in names if names.count(name) > 1 or not name), None)
    if not names or len(names) > MAX_COLUMNS or twice is not None:
        why = f"two columns are called {twice[:80]!r}" if twice else "its first line does not name every column"
        raise make_problem(key, f'{why}; state the option header = "x,y,z" where it has no names')
    columns: list[list[str]] = [[] for _ in names]
    lines: list[int] = []
    for line, row in rows:
        cells = row[:-1] if len(row) == len(names) + 1 and not row[-1] else row
        if len(cells) != len(names):
            raise make_problem(key, f"{len(cells)} cells under {len(names)} columns", line)
        lines.append(line)
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    return Rows(names, columns, lines)


def _split_text(key: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    count = 0
    try:
        for row in reader:
            count += len(row)
            if count > MAX_CELLS or any(len(cell) > MAX_CELL for cell in row):
                raise make_problem(
                    key, f"more than {MAX_CELLS} cells, or {MAX_CELL} characters in one", reader.line_num
                )
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise make_problem(key, f"it is no table of text ({error})", reader.line_num) from error


def _read_markers(key: str, text: str) -> Rows:
    """Markers of CellCounter with the type that they stand under."""
    found: list[tuple[str, ...]] = []
    waiting: list[tuple[str, ...]] = []
    image: list[str] = []

    def take(element: ElementTree.Element) -> None:
        if element.tag == "Marker":
            cells = tuple((element.findtext(name) or "").strip() for name in MARKER)
            waiting.append(cells)
            element.clear()
        elif element.tag == "Marker_Type":
            kind = (element.findtext("Type") or "").strip()
            found.extend((kind, *cells) for cells in waiting)
            waiting.clear()
            element.clear()
        elif element.tag == "Image_Filename":
            image.append((element.text or "").strip())

    try:
        root = parse_xml(text, most=XML_BYTES, elements=XML_ELEMENTS, on_end=take)
    except OverBudget as error:
        raise make_problem(key, f"its XML is refused: {error}") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise make_problem(key, f"its XML cannot be read ({error})") from error
    if root.tag != "CellCounter_Marker_File" or waiting:
        raise make_problem(key, f"it is XML of <{root.tag[:40]}>, not the markers of CellCounter or cellfinder")
    known = {"unit": "pixel"} | ({"first": "0"} if image == [CELLFINDER] else {})
    columns = [list(cells) for cells in zip(*found, strict=True)] or [[] for _ in range(4)]
    return Rows(["Type", *MARKER], columns, [], known)


def _read_array(source: Source) -> Rows:
    """An array of numbers, a row a point; numbers as the shortest texts that give them back."""
    try:
        header = read_npy_header(source, source.key)
        if header.is_pickled:
            raise DamagedFile("it holds Python objects, which only unpickling could read; that may run code")
        array = make_npy_array(source, source.key, header, "array", ("row", "q")[: len(header.shape)])
    except DamagedFile as error:
        raise make_problem(source.key, str(error)) from error
    extents = " x ".join(map(str, array.shape))
    if len(array.shape) != 2 or not 2 <= array.shape[1] <= MAX_COLUMNS or array.dtype.kind not in "uif":
        raise make_problem(source.key, f"an array of {extents} {array.dtype} is no table of points")
    if array.shape[0] * array.shape[1] > MAX_CELLS:
        raise make_problem(source.key, f"{extents} cells, more than {MAX_CELLS}")
    data = array.read(tuple(slice(0, extent) for extent in array.shape))
    columns = [_format_numbers(data[:, number]) for number in range(data.shape[1])]
    return Rows([str(number) for number in range(data.shape[1])], columns)


def _format_numbers(column: np.ndarray) -> list[str]:
    is_double = column.dtype.itemsize == 8 or column.dtype.kind != "f"
    return [repr(n) for n in column.tolist()] if is_double else [str(n) for n in column]
