"""The canonical form of a table: what is exported, what a release holds, what two releases are compared by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..model.plan import SourceRow
from ..model.profile import TableSpec

# One cell and what follows it. The text is our own, so whatever else it holds is damage, and must be
# found: the csv module would read on past a stray quote or a lone carriage return without a word.
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))([,\n])')


def format_canonical_csv(spec: TableSpec, rows: Iterable[SourceRow], *, ordered: bool = False) -> str:
    """Canonical form of a table: LF, published column order, private columns blank, cells quoted as RFC 4180 demands.

    Columns that only some rows have (optional or unknown ones) come after the published ones.

    Parameters
    ----------
    ordered
        Rows stay in the order given; else they are sorted by key, those of one key by their cells.
    """
    kept = list(rows)
    if not ordered:
        kept.sort(key=lambda row: (row.cells.get(spec.key, ""), sorted(row.cells.items())))
    present = {column for row in kept for column in row.cells}
    columns = [*spec.columns, *(c for c in spec.optional if c in present)]
    columns += sorted(present - set(columns))
    lines = [columns]
    for row in kept:
        lines.append([row.cells.get(column, "") for column in columns])
    return "".join(",".join(map(_quote_cell, line)) + "\n" for line in lines)


def _quote_cell(text: str) -> str:
    """As RFC 4180 has it; the csv module of some Python versions leaves a lone carriage return bare."""
    if any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def parse_canonical_csv(text: str) -> tuple[Sequence[str], list[Mapping[str, str]]]:
    """Columns and rows of a table in canonical form.

    Raises
    ------
    ValueError
        The text is not in this form.
    """
    lines = list(_split_lines(text))
    if not lines:
        raise ValueError("the table has no header")
    columns, *rows = lines
    for number, row in enumerate(rows, 2):
        if len(row) != len(columns):
            raise ValueError(f"row {number} has not as many cells as the header")
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _split_lines(text: str) -> Iterator[list[str]]:
    cells: list[str] = []
    position = 0
    while position < len(text):
        cell = _CELL.match(text, position)
        if cell is None:
            raise ValueError(f"the table cannot be read at character {position}")
        quoted, plain, end = cell.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        if end == "\n":
            yield cells
            cells = []
        position = cell.end()
    if cells:
        raise ValueError("the last line of the table is cut")
