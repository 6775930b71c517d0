"""What the parts of an XLSX file ask for, found out before a library builds objects from them.

openpyxl takes the file's word: for a row numbered 900,000,000 it makes as many empty ones, and for each
of a million styles an object. Here the XML is only counted, which is 20 times as fast as reading it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ..model.budget import (
    DEPTH,
    TABLE_CELLS,
    TABLE_COLUMNS,
    TABLE_ROWS,
    WORKBOOK_BYTES,
    WORKBOOK_CELLS,
    WORKBOOK_ELEMENTS,
    WORKBOOK_UNPACKED,
    OverBudget,
)

_CELL = re.compile(r"([A-Z]{1,3})[0-9]{1,9}")
_PER_CELL = 8
"""XML elements that a cell may have: it holds a value, or runs of text with their fonts."""


@dataclass(slots=True)
class PackagePart:
    """One part of the package: how many elements it has, and the merged ranges of a sheet.

    `extent` counts the cells of rows up to the last one that is there, `width` those of the row so far.
    """

    name: str
    cells: int = 0
    elements: int = 0
    depth: int = 0
    extent: int = 0
    width: int = 0
    merged: int = 0
    first_merged: str = ""

    def start_element(self, name: str, attributes: Mapping[str, str]) -> None:
        """Count an element."""
        self.elements += 1
        self.depth += 1
        tag = name.rpartition(":")[2]  # the prefix is the file's own choice
        if self.depth > DEPTH:
            raise OverBudget(f"{self.name} is nested deeper than {DEPTH} levels")
        if tag == "c":
            self.count_cell(attributes.get("r"))
        elif tag == "si":  # a shared text: openpyxl builds all of them, whether a cell names them or not
            self.cells += 1
        elif tag == "row":
            self.extent, self.width = self.extent + self.width, 0
            number = attributes.get("r", "1")
            if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) <= TABLE_ROWS + 1):
                raise OverBudget(f"{self.name} has a row {number[:20]!r}; a table has at most {TABLE_ROWS} rows")
        elif tag == "mergeCell":
            self.first_merged = self.first_merged or attributes.get("ref", "")[:40]
            self.merged += 1
        if self.extent > TABLE_CELLS:
            raise OverBudget(f"{self.name} spans more than {TABLE_CELLS} cells, blank ones included")
        if self.cells > WORKBOOK_CELLS:
            raise OverBudget(f"{self.name} has more than {WORKBOOK_CELLS} cells or texts")
        if self.elements > WORKBOOK_ELEMENTS + _PER_CELL * self.cells:
            raise OverBudget(f"{self.name} has more than {WORKBOOK_ELEMENTS} elements beside its cells")

    def count_cell(self, reference: str | None) -> None:
        """Count a cell; without a reference, which the standard allows, it is the next one of its row."""
        self.cells += 1
        place = _CELL.fullmatch(reference or "")
        if place:
            self.width = _parse_column_letters(place[1])
        elif reference is None:
            self.width += 1
        if (reference is not None and not place) or self.width > TABLE_COLUMNS:
            shown = (reference or "")[:20]
            raise OverBudget(f"{self.name} has a cell {shown!r}; a table has {TABLE_COLUMNS} columns")

    def end_element(self, name: str) -> None:
        """Leave an element."""
        self.depth -= 1

    def refuse_declaration(self, *_: Any) -> None:
        """A workbook declares no document type and no entities."""
        raise OverBudget(f"{self.name} declares entities of its own, which no spreadsheet program writes")


def _parse_column_letters(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number


def count_package_parts(path: Path) -> Mapping[str, PackagePart]:
    """Count what every XML part of a workbook holds.

    Raises
    ------
    OverBudget
        The file is larger than `WORKBOOK_BYTES`, would unpack to more than `WORKBOOK_UNPACKED`, or a part asks
        for more rows, columns, cells or elements than a workbook may have.
    ValueError, zipfile.BadZipFile, expat.ExpatError
        It is no workbook.
    """
    if path.stat().st_size > WORKBOOK_BYTES:
        raise OverBudget(f"it has {path.stat().st_size} bytes; a workbook has at most {WORKBOOK_BYTES}")
    parts: dict[str, PackagePart] = {}
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > WORKBOOK_UNPACKED:
            raise OverBudget(f"it would unpack to {unpacked} bytes; a workbook has at most {WORKBOOK_UNPACKED}")
        for item in archive.infolist():
            # Whatever its name: which part holds the texts or styles is for another part to say.
            part = parts[item.filename] = PackagePart(item.filename)
            with archive.open(item) as file:
                try:
                    _count_elements(part, file)
                except expat.ExpatError:
                    if item.filename.endswith((".xml", ".rels")):
                        raise
    cells = sum(part.cells for part in parts.values())
    if cells > WORKBOOK_CELLS:
        raise OverBudget(f"it has {cells} cells and texts; a workbook has at most {WORKBOOK_CELLS}")
    return parts


def _count_elements(part: PackagePart, file: Any) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = part.start_element
    parser.EndElementHandler = part.end_element
    parser.StartDoctypeDeclHandler = part.refuse_declaration
    parser.EntityDeclHandler = part.refuse_declaration
    while chunk := file.read(1 << 20):
        parser.Parse(chunk)
    parser.Parse(b"", True)
