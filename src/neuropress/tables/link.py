"""Rows joined by their foreign keys, and what an error in one row means for those that point to it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..model.budget import NUMBER_CHARS
from ..model.finding import Finding, Severity, finding
from ..model.profile import Profile
from ..model.record import Record
from ..model.waiver import Waiver, waive
from .keys import prefix_of
from .validate import Typed, Unkeyed

_DIGITS = re.compile("[0-9]+")

type RowId = tuple[str, str]
"""Table and key."""


@dataclass(frozen=True)
class Tables:
    """All tables of a dataset.

    Attributes
    ----------
    rows
        Table -> key -> row: every row with a key of its own, also those with faulty
        cells, whose typed value is None there.
    faulty
        (table, key) -> columns with an error of their own.
    unkeyed
        Table -> findings on rows that have no key of their own.
    broken
        Table -> what is wrong with the table as a whole.
    findings
        Everything that was found, in the order of tables and lines.
    causes
        (table, key) -> first error of the row itself.
    blocked
        (table, key) -> why the row must not be used: its own first error, or that of
        a row that it depends on. A warning where the error is waived and the row is not understood.
    waivers
        Those that hold for the errors of these rows, also for what is found in their raw files.
    """

    rows: Mapping[str, Mapping[str, Record]]
    faulty: Mapping[RowId, frozenset[str]]
    unkeyed: Mapping[str, Sequence[Finding]]
    broken: Mapping[str, Finding]
    findings: tuple[Finding, ...]
    causes: Mapping[RowId, Finding]
    pointing: Mapping[RowId, Sequence[Record]] = field(repr=False)
    withheld: Mapping[RowId, Sequence[tuple[RowId, Finding]]] = field(repr=False)
    waivers: tuple[Waiver, ...] = ()

    @cached_property
    def records(self) -> Mapping[str, Mapping[str, Record]]:
        """Table -> key -> row, for the rows whose every cell is understood; look them up in `blocked`."""
        return {
            table: {key: row for key, row in rows.items() if (table, key) not in self.faulty}
            for table, rows in self.rows.items()
        }

    @cached_property
    def blocked(self) -> Mapping[RowId, Finding]:
        """(table, key) -> first cause, through all rows that depend on a faulty one."""
        blocked = dict(self.causes)
        queue = deque(blocked)
        while queue:
            above = queue.popleft()
            for row in self.pointing.get(above, ()):
                below = (row.table, row.key)
                if below not in blocked:
                    blocked[below] = blocked[above]
                    queue.append(below)
        return blocked

    def table(self, name: str) -> Mapping[str, Record]:
        """Key -> row of one table, understood or not; empty for a table that the profile does not have."""
        return self.rows.get(name, {})

    def children(self, record: Record, table: str) -> tuple[Record, ...]:
        """The understood rows of a table that point to a row, in the order of their lines."""
        found = self.pointing.get((record.table, record.key), ())
        return tuple(row for row in found if row.table == table and (table, row.key) not in self.faulty)

    def blocked_children(self, record: Record) -> dict[RowId, Finding]:
        """The blocked rows, understood or not, that point to a row, each with its cause.

        A row without a key of its own goes by what stands in the key cell, or by its line.
        """
        own = (record.table, record.key)
        found = ((row.table, row.key) for row in self.pointing.get(own, ()))
        return dict(self.withheld.get(own, ())) | {row: self.blocked[row] for row in found if row in self.blocked}

    def sound(self, record: Record, columns: Iterable[str]) -> bool:
        """Whether none of the cells (dotted paths over relations) has an error of its own."""
        for path in columns:
            relations, _, column = path.rpartition(".")
            row = record.related(relations)
            if row is not None and column in self.faulty.get((row.table, row.key), ()):
                return False
        return True

    def with_findings(self, found: Sequence[tuple[Finding, Sequence[RowId]]]) -> Tables:
        """The same tables with further findings, each with the rows that it withholds if it is an error.

        A finding that the tables already have is not told again; it only withholds more rows.
        """
        causes = dict(self.causes)
        for told, rows in found:
            if told.severity is Severity.ERROR:
                for row in rows:
                    causes.setdefault(row, told)
        everything = dict.fromkeys((*self.findings, *(told for told, _ in found)))
        order = {table: position for position, table in enumerate(self.rows)}
        findings = sorted(everything, key=lambda f: (order.get(f.location.table or "", -1), f.location.line or 0))
        return replace(self, findings=tuple(findings), causes=causes)


@dataclass(slots=True)
class _Reference:
    """A foreign key cell whose row was not found."""

    row: Record
    column: str
    target: str
    key: str


_PASSABLE = ("link.dangling", "table.missing")
"""Errors of links that a waiver may cover so that the row is used without what it points to."""


def link(tables: Mapping[str, Typed], profile: Profile, waivers: Sequence[Waiver] = ()) -> Tables:
    """Join all rows; tell dangling keys and circles, but not twice what is already told."""
    pointing: dict[RowId, list[Record]] = {}
    missing: dict[str, list[_Reference]] = {}
    for reference, parent in _references(tables, profile):
        row = reference.row
        if parent is not None:
            tables[row.table].parents[row.key][reference.column.removesuffix("_id")] = parent
        else:
            missing.setdefault(reference.target, []).append(reference)
        pointing.setdefault((reference.target, reference.key), []).append(row)
    _accompany(tables, profile)
    found: list[tuple[Finding, Sequence[RowId]]] = []
    for target, references in missing.items():
        found += _missing(references, tables[target])
    for table, spec in profile.tables.items():
        for column, targets in spec.foreign.items():
            if table in targets:
                found += _circles(tables[table], column.removesuffix("_id"))
    found = [(waive(told, waivers), rows) for told, rows in found]
    causes = dict(_own_causes(tables))
    for told, rows in found:
        if told.severity is Severity.ERROR or told.id not in _PASSABLE:
            for key in rows:
                causes.setdefault(key, told)
    whole = Tables(
        rows={name: typed.rows for name, typed in tables.items()},
        faulty={(name, key): bad for name, typed in tables.items() for key, bad in typed.faulty.items()},
        unkeyed={name: [row.told for row in typed.unkeyed] for name, typed in tables.items()},
        broken={name: typed.broken for name, typed in tables.items() if typed.broken},
        findings=tuple(told for typed in tables.values() for told in typed.findings),
        causes=causes,
        pointing=pointing,
        withheld=_withheld(tables, profile),
        waivers=tuple(waivers),
    )
    return whole.with_findings(found)


def _references(tables: Mapping[str, Typed], profile: Profile) -> Iterator[tuple[_Reference, Record | None]]:
    """Every foreign key cell and the row that it names; of faulty cells those only that name one."""
    for table, typed in tables.items():
        for column, targets in profile.tables[table].foreign.items():
            by_prefix = {profile.tables[t].prefix: t for t in targets}
            for row in typed.rows.values():
                value = row.values.get(column)
                faulty = value is None and column in typed.faulty.get(row.key, ())
                text = str(value) if value is not None else row.cells[column].text if faulty else ""
                target = by_prefix.get(prefix_of(text)) if text else None
                if target is None:
                    continue
                parent = tables[target].rows.get(text)
                if parent is not None or not faulty:
                    yield _Reference(row, column, target, text), parent


def _accompany(tables: Mapping[str, Typed], profile: Profile) -> None:
    """Tell each row which understood rows accompany it."""
    for table, spec in profile.tables.items():
        for row in tables[table].rows.values() if spec.accompanies else ():
            behind = row.parents.get(spec.accompanies)
            companions = tables[behind.table].companions if behind else None
            if behind and companions is not None and row.key not in tables[table].faulty:
                companions[behind.key].append(row)


def _withheld(tables: Mapping[str, Typed], profile: Profile) -> dict[RowId, list[tuple[RowId, Finding]]]:
    """Rows without a key of their own, by the rows that they point to."""
    found: dict[RowId, list[tuple[RowId, Finding]]] = {}
    for table, typed in tables.items():
        for row in typed.unkeyed:
            for column, text in row.foreign.items():
                for target in profile.tables[table].foreign[column]:
                    if text in tables[target].rows:
                        label = (table, row.text or f"line {row.line}")
                        found.setdefault((target, text), []).append((label, row.told))
    return found


def _own_causes(tables: Mapping[str, Typed]) -> Iterator[tuple[RowId, Finding]]:
    for name, typed in tables.items():
        for key in typed.rows:
            cause = typed.broken or typed.causes.get(key)
            if cause is not None:
                yield (name, key), cause


def _missing(references: Sequence[_Reference], target: Typed) -> Iterator[tuple[Finding, Sequence[RowId]]]:
    """Rows that point to nothing, and why: a missing or broken table, a row whose key is unreadable, a wrong key."""
    rows = [(r.row.table, r.row.key) for r in references]
    spec = target.raw.spec
    if not target.raw.present:
        who = references[0]
        message = f"there is no {target.raw.file}, but {who.row.table} {who.row.key} points to {who.key}"
        yield finding("table.missing", message, table=spec.name, file=target.raw.file), rows
        return
    if target.broken:
        yield target.broken, rows
        return
    by_key: dict[str, list[_Reference]] = {}
    for reference in references:
        by_key.setdefault(reference.key, []).append(reference)
    explained = _explained(list(by_key), target.unkeyed)
    for key, group in by_key.items():
        if key in explained:
            yield explained[key], [(r.row.table, r.row.key) for r in group]
            continue
        for r in group:
            message = f"{r.column}: {spec.name} has no row {key}"
            place: dict[str, Any] = {"table": r.row.table, "line": r.row.line, "key": r.row.key}
            yield (
                finding("link.dangling", message, column=r.column, value=key, **place),
                [(r.row.table, r.row.key)],
            )


def _explained(keys: Sequence[str], unkeyed: Sequence[Unkeyed]) -> dict[str, Finding]:
    """Which missing keys the rows without a key of their own account for.

    A row whose key is damaged is one defect: the rows that point to it are not told again.
    A damaged key with the same number is taken first; if then no fewer damaged keys than
    missing ones are left, these account for the rest.
    """
    left = dict(enumerate(unkeyed))
    by_number: dict[str, list[int]] = {}
    for position, one in left.items():
        if one.told.id != "key.duplicate":
            for digits in _DIGITS.findall(one.text[:NUMBER_CHARS]):
                by_number.setdefault(digits.lstrip("0") or "0", []).append(position)
    explained: dict[str, Finding] = {}
    for key in keys:
        twins = by_number.get(key[-4:].lstrip("0") or "0", [])
        while twins and twins[0] not in left:
            twins.pop(0)
        if twins:
            explained[key] = left.pop(twins.pop(0)).told
    rest = [key for key in keys if key not in explained]
    if len(rest) <= len(left):
        explained |= {key: one.told for key, one in zip(rest, left.values(), strict=False)}
    return explained


def _circles(typed: Typed, relation: str) -> Iterator[tuple[Finding, Sequence[RowId]]]:
    """Rows of one table that depend on themselves; the link of the first is cut."""
    table = typed.raw.spec.name
    done: set[str] = set()
    for start in typed.rows:
        path: dict[str, None] = {}
        row: Record | None = typed.rows[start]
        while row is not None and row.table == table and row.key not in done and row.key not in path:
            path[row.key] = None
            row = row.parents.get(relation)
        if row is not None and row.table == table and row.key in path:
            keys = list(path)[list(path).index(row.key) :]
            first = min((typed.rows[key] for key in keys), key=lambda r: r.line)
            del typed.parents[first.key][relation]
            chain = " -> ".join((*keys, keys[0])) if len(keys) > 1 else f"{first.key} points to itself"
            column = f"{relation}_id"
            place: dict[str, Any] = {"table": table, "line": first.line, "key": first.key, "column": column}
            value = first.cells[column].text
            yield finding("link.circle", f"{column}: {chain}", value=value, **place), [(table, k) for k in keys]
        done.update(path)
