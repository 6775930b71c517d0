"""What a check is: one small function, the table it looks at, the cells it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..model.finding import Finding, finding
from ..model.profile import Profile, TableSpec
from ..model.record import Record
from ..tables import RowId, Tables

type CheckResult = tuple[Finding, Sequence[RowId]]
"""A finding and the rows that it withholds if it is an error."""


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A rule within one row and the rows that it depends on.

    `uses` are the cells that it looks at, dotted paths over relations; the check does
    not run where one of them has an error of its own, which is a finding already.
    """

    table: str
    uses: tuple[str, ...]
    run: Callable[[Record, Profile], Finding | None]


type TableCheck = Callable[[Tables, Profile], Iterator[CheckResult]]
"""A rule between rows. It leaves out cells with an error of their own (`Tables.has_sound_cells`)."""


def has_columns(profile: Profile, table: str, paths: Sequence[str]) -> bool:
    """Whether the profile has the columns that a check looks at (dotted paths over relations)."""
    for path in paths:
        spec, column = resolve_column(profile, table, path)
        if spec is None or column not in (*spec.columns, *spec.optional):
            return False
    return True


def resolve_column(profile: Profile, table: str, path: str) -> tuple[TableSpec | None, str]:
    """The table in which a dotted path ends, and its column; None for a relation that the profile does not have."""
    *relations, column = path.split(".")
    spec = profile.tables.get(table)
    for relation in relations:
        targets = spec.foreign.get(f"{relation}_id", ()) if spec else ()
        spec = profile.tables.get(targets[0]) if targets else None
    return spec, column


def make_cell_finding(id: str, record: Record, column: str, message: str, **more: Any) -> Finding:
    """A finding on one cell of a row."""
    place = record.place(column)
    return finding(id, f"{column}: {message}", **place | {"value": place["value"] or None}, **more)


def get_row_id(record: Record) -> RowId:
    """Table and key of a row."""
    return record.table, record.key


def get_limit(profile: Profile, name: str) -> Decimal:
    """A limit of the profile.

    Raises
    ------
    KeyError
        The profile's ``[limits]`` does not state it.
    """
    return Decimal(profile.limits[name])
