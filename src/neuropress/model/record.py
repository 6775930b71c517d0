"""Rows of metadata tables, as they stood and as they were understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

type Value = str | int | Decimal | bool | None
"""A typed cell: numbers with a fraction are `Decimal`, so units change exactly."""

type Origin = Literal["cell", "header", "default", "fix", "constant", "export", "replaced", "option"]
"""Where a text came from: typed in a table, lifted from a raw file's header, a
dataset default, an applied fix, a constant that a mapping rule states, a fragment that
another program exported, or a cell that is not written because the header's value, which
agrees with it within the tolerance, is; or an option that a person stated for a raw file."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A person's correction of one cell: `text` is read where the table says `original`."""

    original: str
    text: str
    person: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, byte for byte. Empty text, and nothing else, is null.

    Of a cell with a `fix` (origin "fix"), `text` is the corrected one, which everything is made from.
    """

    text: str
    origin: Origin = "cell"
    fix: Fix | None = None

    @property
    def original(self) -> str:
        """The text as it stands in the table."""
        return self.fix.original if self.fix else self.text


@dataclass(frozen=True, slots=True)
class CellRef:
    """Where one value came from: the cell and its text, or the header fact.

    For `origin` "header", `table` is ``file``, `key` the raw file's key and `column`
    the fact's name; for "default" and "constant", `table` names the profile or mapping; for
    "export", `column` is the place in the fragment and `text` empty: the value is as it stands there.
    """

    table: str
    key: str
    column: str
    text: str
    origin: Origin = "cell"


type RowPlace = tuple[str, str, int]
"""Table, source, line."""


@dataclass(frozen=True, slots=True)
class Record:
    """A validated row with its joined parents.

    Attributes
    ----------
    table, key
        Table name and primary key (``mouse``, ``RY_M_0001``).
    line
        Line of the table file on which the row starts; the header is line 1.
    cells
        Column -> `Cell`, in the order of the schema.
    values
        Column -> typed value; ``None`` for a blank cell.
    parents
        Relation -> parent row. The relation is the foreign key's column without
        ``_id``: ``session``, ``mouse``, ``virus``, ``plasmid``, ``source``.
    companions
        Rows of tables that accompany this one's (``injection``: those of a mouse). The row
        does not depend on them.
    source
        File that the row stands in, where its table is kept in several; else empty.
    reader
        Reader that ``neuropress.toml`` names for its raw file; empty where it names none.
    """

    table: str
    key: str
    line: int
    cells: Mapping[str, Cell]
    values: Mapping[str, Value]
    parents: Mapping[str, Record] = field(default_factory=dict)
    companions: Sequence[Record] = field(default=(), compare=False, repr=False)
    source: str = ""
    reader: str = ""

    @property
    def lab(self) -> str:
        """The lab's initials: the first token of the key."""
        return self.key.split("_", 1)[0]

    @property
    def row_place(self) -> RowPlace:
        """What tells rows apart whatever their keys."""
        return self.table, self.source, self.line

    def related(self, path: str) -> Record | None:
        """Follow a dotted path of relations (``session.mouse.virus``); None where a key is blank."""
        record: Record | None = self
        for relation in path.split(".") if path else ():
            record = record.parents.get(relation) if record else None
        return record

    def ref(self, column: str) -> CellRef:
        """Reference to one cell of this row."""
        cell = self.cells[column]
        return CellRef(self.table, self.key, column, cell.text, cell.origin)

    def place(self, column: str | None = None) -> dict[str, Any]:
        """Where the row, or one of its cells, stands: parts of a `Location`."""
        row: dict[str, Any] = {"table": self.table, "line": self.line, "key": self.key}
        if self.source:
            row["source"] = self.source
        return row if column is None else {**row, "column": column, "value": self.cells[column].text}

    def lineage(self) -> Iterator[Record]:
        """This row and all rows it depends on, each once, itself first."""
        seen: set[tuple[str, str]] = set()
        queue: list[Record] = [self]
        while queue:
            record = queue.pop(0)
            if (record.table, record.key) not in seen:
                seen.add((record.table, record.key))
                yield record
                queue.extend(record.parents.values())
