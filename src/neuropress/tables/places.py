"""Where a cell stands in its file, for programs that show a finding beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..model.budget import TABLE_BYTES, OverBudget, read_file
from ..model.profile import TableSpec
from .delimited import detect_delimiter, split_lines
from .raw import TableSource, TableSources
from .unread_files import SUFFIXES


def find_source(sources: TableSources, file: str) -> TableSource:
    """The source of a row, by the file that it stands in; where there are several and none is named, the first."""
    own = (one for one in sources.parts if one.label and file.startswith((f"{one.label}/", f"{one.label}!")))
    return next(own, sources.parts[0])


def find_table_file(source: TableSource, table: str) -> Path | None:
    """The file that holds a table: in a folder the table's own, there or not; None for a database at an address."""
    if "://" in source.location:
        return None
    path = Path(source.location)
    if path.suffix.lower() == ".xlsx" or path.is_file():
        return path
    candidates = [path / f"{table}{suffix}" for suffix in SUFFIXES]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


@dataclass(frozen=True)
class TextTable:
    """A table's text file, read again to find out where its cells begin.

    `spec` tells the delimiter from the header; without it, that is a comma.
    """

    path: Path
    spec: TableSpec | None = None
    encoding: str = "utf-8"
    delimiter: str = ""

    def find_cell(self, line: int, column: str) -> tuple[int, int] | None:
        """Line and character, both from 1, at which a cell begins; None where that cannot be told.

        Parameters
        ----------
        line
            On which the cell's row starts; the cell itself may stand on a later one.
        """
        if self.path.suffix == ".jsonl":
            text = self._lines[line - 1] if line <= len(self._lines) else ""
            position = text.find(json.dumps(column, ensure_ascii=False))
            return (line, position + 1) if position >= 0 else None
        if column not in self._columns:
            return None
        return _find_field(self._lines, line, self._columns.index(column), self._separator)

    @cached_property
    def _lines(self) -> list[str]:
        try:
            text = read_file(self.path, TABLE_BYTES).decode(self.encoding).removeprefix("\ufeff")
            return list(split_lines(text))
        except (OSError, ValueError, OverBudget):  # what is wrong with the file is a finding of its own
            return []

    @cached_property
    def _separator(self) -> str:
        stated = self.delimiter or ("\t" if self.path.suffix == ".tsv" else "")
        if self.spec is None:
            return stated or ","
        return detect_delimiter("".join(self._lines), self.spec, stated) or ","

    @cached_property
    def _columns(self) -> Sequence[str]:
        try:
            return next(csv.reader(self._lines, delimiter=self._separator), [])
        except csv.Error:
            return []


def _find_field(lines: Sequence[str], line: int, position: int, delimiter: str) -> tuple[int, int] | None:
    """Line and character at which the field of a row begins; fields in quotes may go on over several lines."""
    field = 0
    begins, in_quotes, has_quotes = True, False, False
    for number, text in enumerate(lines[line - 1 :], line):
        for character, letter in enumerate(text, 1):
            if field == position:
                return number, character
            if begins:
                has_quotes = letter == '"'
            begins = False
            if letter == '"' and has_quotes:  # two of them within a field end it and begin it again
                in_quotes = not in_quotes
            elif letter == delimiter and not in_quotes:
                field += 1
                begins = True
        if field == position:
            return number, len(text) + 1
        if not in_quotes:
            return None
    return None
