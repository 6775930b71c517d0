"""The canonical form of a table: what is exported, what a release holds, what two releases are compared by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..model.plan import SourceRow
from ..model.profile import TableSpec

# One cell and what follows it. The text is our own, so whatever else it holds is damage.
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))([,\n])')


def canonical_csv(spec: TableSpec, rows: Iterable[SourceRow], *, ordered: bool = False) -> str:
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
    there = {column for row in kept for column in row.cells}
    columns = [*spec.columns, *(c for c in spec.optional if c in there)]
    columns += sorted(there - set(columns))
    lines = (columns, *([row.cells.get(column, "") for column in columns] for row in kept))
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def _quoted(text: str) -> str:
    """As RFC 4180 has it; the csv module of some Python versions leaves a lone carriage return bare."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def parse_canonical(text: str) -> tuple[Sequence[str], list[Mapping[str, str]]]:
    """Columns and rows of a table in canonical form.

    Raises
    ------
    ValueError
        The text is not in this form.
    """
    lines = list(_lines(text))
    if not lines:
        raise ValueError("the table has no header")
    columns, *rows = lines
    ragged = next((number for number, row in enumerate(rows, 2) if len(row) != len(columns)), None)
    if ragged is not None:
        raise ValueError(f"row {ragged} has not as many cells as the header")
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _lines(text: str) -> Iterator[list[str]]:
    cells: list[str] = []
    position = 0
    while position < len(text):
        found = _CELL.match(text, position)
        if found is None:
            raise ValueError(f"the table cannot be read at character {position}")
        quoted, plain, end = found.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        if end == "\n":
            yield cells
            cells = []
        position = found.end()
    if cells:
        raise ValueError("the last line of the table is cut")
