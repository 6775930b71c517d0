"""What a check is: one small function, the table it looks at, the cells it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..model.finding import Finding, finding
from ..model.profile import Profile
from ..model.record import Record
from ..tables import RowId, Tables

type Found = tuple[Finding, Sequence[RowId]]
"""A finding and the rows that it withholds if it is an error."""


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A rule within one row and the rows that it depends on.

    `uses` are the cells that it looks at, dotted paths over relations; the check does
    not run where one of them has an error of its own, which is told already.
    """

    table: str
    uses: tuple[str, ...]
    run: Callable[[Record, Profile], Finding | None]


type TableCheck = Callable[[Tables, Profile], Iterator[Found]]
"""A rule between rows. It leaves out cells with an error of their own (`Tables.sound`)."""


def applies(profile: Profile, table: str, uses: Sequence[str]) -> bool:
    """Whether the profile has the cells that a check looks at (dotted paths over relations)."""
    return all(_has(profile, table, path) for path in uses)


def _has(profile: Profile, table: str, path: str) -> bool:
    *relations, column = path.split(".")
    for relation in relations:
        spec = profile.tables.get(table)
        table = next(iter(spec.foreign.get(f"{relation}_id", ())), "") if spec else ""
    there = profile.tables.get(table)
    return there is not None and column in (*there.columns, *there.optional)


def tell(id: str, record: Record, column: str, message: str, **more: Any) -> Finding:
    """A finding on one cell of a row."""
    return finding(
        id,
        f"{column}: {message}",
        table=record.table,
        line=record.line,
        key=record.key,
        column=column,
        value=record.cells[column].text or None,
        **more,
    )


def row_id(record: Record) -> RowId:
    """Table and key of a row."""
    return record.table, record.key


def limit(profile: Profile, name: str) -> Decimal:
    """A limit of the profile.

    Raises
    ------
    KeyError
        The profile's ``[limits]`` does not state it.
    """
    return Decimal(profile.limits[name])
