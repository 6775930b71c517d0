"""Rows joined by their foreign keys, and what an error in one row means for those that point to it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from ..model.budget import NUMBER_CHARS
from ..model.finding import Finding, Severity, finding
from ..model.profile import Profile
from ..model.record import Record, RowPlace
from ..model.waiver import Waiver, waive
from .keys import parse_key_prefix
from .validate import TypedTable, UnkeyedRow

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
    error_columns
        (table, key) -> columns with an error of their own.
    unkeyed
        Table -> findings on rows that have no key of their own.
    keyless
        Table -> those rows, whose cells are checked like all others. A copy of a whole row is not among them.
    keyless_errors
        Its place -> columns of such a row with an error of their own.
    broken
        Tables that are wrong as a whole, in a source at least.
    findings
        Everything that is wrong, in the order of tables and lines.
    causes
        (table, key) -> first error of the row itself.
    blocked
        (table, key) -> why the row must not be used: its own first error, or that of
        a row that it depends on. A warning where the error is waived and the row is not understood.
    referencing
        (table, key) -> rows that point to it, whether it is there or not.
    keyless_referencing
        The same of rows without a key of their own.
    unkeyed_children
        (table, key) -> rows without a key of their own that point to it, each with what is wrong with its key.
    waivers
        Those that hold for the errors of these rows, also for what is found in their raw files.
    """

    rows: Mapping[str, Mapping[str, Record]]
    error_columns: Mapping[RowId, frozenset[str]]
    unkeyed: Mapping[str, Sequence[Finding]]
    keyless: Mapping[str, Sequence[Record]]
    keyless_errors: Mapping[RowPlace, frozenset[str]]
    broken: frozenset[str]
    findings: tuple[Finding, ...]
    causes: Mapping[RowId, Finding]
    referencing: Mapping[RowId, Sequence[Record]] = field(repr=False)
    keyless_referencing: Mapping[RowId, Sequence[Record]] = field(repr=False)
    unkeyed_children: Mapping[RowId, Sequence[tuple[RowId, Finding]]] = field(repr=False)
    waivers: tuple[Waiver, ...] = ()

    @classmethod
    def of_sound_rows(
        cls, rows: Mapping[str, Mapping[str, Record]], referencing: Mapping[RowId, Sequence[Record]]
    ) -> Tables:
        """Rows that come from no table and have no error."""
        return cls(rows, {}, {}, {}, {}, frozenset(), (), {}, referencing, {}, {})

    @cached_property
    def records(self) -> Mapping[str, Mapping[str, Record]]:
        """Table -> key -> row, for the rows whose every cell is understood; look them up in `blocked`."""
        return {
            table: {key: row for key, row in rows.items() if (table, key) not in self.error_columns}
            for table, rows in self.rows.items()
        }

    @cached_property
    def blocked(self) -> Mapping[RowId, Finding]:
        """(table, key) -> first cause, through all rows that depend on a faulty one."""
        # Breadth first and without recursion: a row gets the nearest cause, and chains of analyses are thousands long.
        blocked = dict(self.causes)
        queue = deque(blocked)
        while queue:
            parent = queue.popleft()
            for row in self.referencing.get(parent, ()):
                child = (row.table, row.key)
                if child not in blocked:
                    blocked[child] = blocked[parent]
                    queue.append(child)
        return blocked

    def get_rows(self, name: str) -> Mapping[str, Record]:
        """Key -> row of one table, understood or not; empty for a table that the profile does not have."""
        return self.rows.get(name, {})

    def iterate_rows(self, name: str) -> Iterator[Record]:
        """All rows of one table, understood or not; at the end those without a key of their own."""
        yield from self.get_rows(name).values()
        yield from self.keyless.get(name, ())

    def has_key(self, record: Record) -> bool:
        """Whether the row has a key of its own, by which others find it."""
        return self.get_rows(record.table).get(record.key) is record

    def get_error_columns(self, record: Record) -> frozenset[str]:
        """Columns of a row with an error of their own."""
        if self.has_key(record):
            return self.error_columns.get((record.table, record.key), frozenset())
        return self.keyless_errors.get(record.row_place, frozenset())

    def list_referencing(self, record: Record) -> list[Record]:
        """All rows that point to a row, those without a key of their own at the end."""
        own = (record.table, record.key)
        return [*self.referencing.get(own, ()), *self.keyless_referencing.get(own, ())]

    def get_children(self, record: Record, table: str) -> tuple[Record, ...]:
        """The understood rows of a table that point to a row, in the order of their lines."""
        rows = self.referencing.get((record.table, record.key), ())
        return tuple(row for row in rows if row.table == table and (table, row.key) not in self.error_columns)

    def get_blocked_children(self, record: Record) -> dict[RowId, Finding]:
        """The blocked rows, understood or not, that point to a row, each with its cause.

        A row without a key of its own goes by what stands in the key cell, or by its line.
        """
        own = (record.table, record.key)
        children = dict(self.unkeyed_children.get(own, ()))
        return children | {child: self.blocked[child] for child in self._blocked_referencing.get(own, ())}

    @cached_property
    def _blocked_referencing(self) -> Mapping[RowId, Sequence[RowId]]:
        """The blocked rows that point to a row: thousands of sessions may be of one mouse, and each asks for them."""
        found: dict[RowId, list[RowId]] = {}
        for parent, rows in self.referencing.items() if self.blocked else ():
            if children := [(row.table, row.key) for row in rows if (row.table, row.key) in self.blocked]:
                found[parent] = children
        return found

    def has_sound_cells(self, record: Record, columns: Iterable[str]) -> bool:
        """Whether none of the cells (dotted paths over relations) has an error of its own."""
        for path in columns:
            relations, _, column = path.rpartition(".")
            row = record.related(relations)
            if row is not None and column in self.get_error_columns(row):
                return False
        return True

    def with_findings(
        self,
        results: Sequence[tuple[Finding, Sequence[RowId]]],
        instead: Mapping[Finding, Finding] = MappingProxyType({}),
    ) -> Tables:
        """The same tables with further findings, each with the rows that it withholds if it is an error.

        A finding that the tables already have is not repeated; it only withholds more rows. `instead` has findings
        that take the place of others.
        """
        causes = {row: instead.get(cause, cause) for row, cause in self.causes.items()}
        for reported, rows in results:
            if reported.severity is Severity.ERROR:
                for table, key in rows:
                    if key in self.rows.get(table, ()):  # a row without a key of its own is withheld for that
                        causes.setdefault((table, key), reported)
        known = (instead.get(reported, reported) for reported in self.findings)
        everything = dict.fromkeys((*known, *(reported for reported, _ in results)))
        order = {table: position for position, table in enumerate(self.rows)}

        def rank(found: Finding) -> tuple[int, str, int]:
            where = found.location
            return order.get(where.table or "", -1), where.source or "", where.line or 0

        findings = sorted(everything, key=rank)
        return replace(self, findings=tuple(findings), causes=causes)


@dataclass(slots=True)
class _Reference:
    """A foreign key cell and the key that it names."""

    row: Record
    column: str
    target: str
    key: str
    is_keyless: bool = False

    @property
    def withheld(self) -> list[RowId]:
        """The row, where it has a key of its own and is not withheld for that."""
        return [] if self.is_keyless else [(self.row.table, self.row.key)]


_WAIVABLE_LINKS = ("link.dangling", "table.missing")
"""Errors of links that a waiver may cover so that the row is used without what it points to."""


def link_tables(tables: Mapping[str, TypedTable], profile: Profile, waivers: Sequence[Waiver] = ()) -> Tables:
    """Join all rows; find dangling keys and circles, but not a second time what is a finding already."""
    referencing: dict[RowId, list[Record]] = {}
    keyless_referencing: dict[RowId, list[Record]] = {}
    missing: dict[str, list[_Reference]] = {}
    for reference, parent, parents in _resolve_references(tables, profile):
        if parent is not None:
            parents[reference.column.removesuffix("_id")] = parent
        else:
            missing.setdefault(reference.target, []).append(reference)
        known = keyless_referencing if reference.is_keyless else referencing
        known.setdefault((reference.target, reference.key), []).append(reference.row)
    _attach_companions(tables, profile)
    results: list[tuple[Finding, Sequence[RowId]]] = []
    for target, references in missing.items():
        results += _check_missing_rows(references, tables[target])
    for table, spec in profile.tables.items():
        for column, targets in spec.foreign.items():
            if table in targets:
                results += _check_circles(tables[table], column.removesuffix("_id"))
    results = [(waive(reported, waivers), rows) for reported, rows in results]
    causes = dict(_collect_own_causes(tables))
    for reported, rows in results:
        if reported.severity is Severity.ERROR or reported.id not in _WAIVABLE_LINKS:
            for row_id in rows:
                causes.setdefault(row_id, reported)
    whole = Tables(
        rows={name: typed.rows for name, typed in tables.items()},
        error_columns={
            (name, key): columns for name, typed in tables.items() for key, columns in typed.error_columns.items()
        },
        unkeyed={name: [row.finding for row in typed.unkeyed] for name, typed in tables.items()},
        keyless={name: [row.record for row in _list_keyless(typed)] for name, typed in tables.items()},
        keyless_errors={row.record.row_place: row.error_columns for typed in tables.values() for row in typed.unkeyed},
        broken=frozenset(name for name, typed in tables.items() if typed.broken),
        findings=tuple(reported for typed in tables.values() for reported in typed.findings),
        causes=causes,
        referencing=referencing,
        keyless_referencing=keyless_referencing,
        unkeyed_children=_collect_unkeyed_children(tables, profile),
        waivers=tuple(waivers),
    )
    return whole.with_findings(results)


def _list_keyless(typed: TypedTable) -> list[UnkeyedRow]:
    """Rows without a key of their own that are checked; of a copied row, all is found where it was copied from."""
    return [row for row in typed.unkeyed if not row.is_copy]


def _resolve_references(
    tables: Mapping[str, TypedTable], profile: Profile
) -> Iterator[tuple[_Reference, Record | None, dict[str, Record]]]:
    """Every foreign key cell, the row that it names and the parents of its own; of faulty cells those that name one."""
    for table, typed in tables.items():
        keyless = _list_keyless(typed)
        for column, targets in profile.tables[table].foreign.items():
            by_prefix = {profile.tables[t].prefix: t for t in targets}
            for row in typed.rows.values():
                found = _resolve_reference(row, column, by_prefix, typed.error_columns.get(row.key, ()), tables)
                if found is not None:
                    yield (*found, typed.parents[row.key])
            for unkeyed in keyless:
                found = _resolve_reference(unkeyed.record, column, by_prefix, unkeyed.error_columns, tables)
                if found is not None:
                    yield replace(found[0], is_keyless=True), found[1], unkeyed.parents


def _resolve_reference(
    row: Record, column: str, by_prefix: Mapping[str, str], errors: Collection[str], tables: Mapping[str, TypedTable]
) -> tuple[_Reference, Record | None] | None:
    """One foreign key cell; None where it is blank, or faulty and names no row."""
    value = row.values.get(column)
    text = "" if value is None else str(value)
    has_error = value is None and column in errors
    if has_error:
        text = row.cells[column].text
    target = by_prefix.get(parse_key_prefix(text)) if text else None
    if target is None:
        return None
    parent = tables[target].rows.get(text)
    # Of a faulty cell no dangling key is made: its own error says what is wrong with it.
    if parent is None and has_error:
        return None
    return _Reference(row, column, target, text), parent


def _attach_companions(tables: Mapping[str, TypedTable], profile: Profile) -> None:
    """Add each understood row to the companions of the row that it accompanies."""
    for table, spec in profile.tables.items():
        if not spec.accompanies:
            continue
        for row in tables[table].rows.values():
            parent = row.parents.get(spec.accompanies)
            companions = tables[parent.table].companions if parent else None
            if parent and companions is not None and row.key not in tables[table].error_columns:
                companions[parent.key].append(row)


def _collect_unkeyed_children(
    tables: Mapping[str, TypedTable], profile: Profile
) -> dict[RowId, list[tuple[RowId, Finding]]]:
    """Rows without a key of their own, by the rows that they point to."""
    children: dict[RowId, list[tuple[RowId, Finding]]] = {}
    for table, typed in tables.items():
        for row in typed.unkeyed:
            for column, targets in profile.tables[table].foreign.items():
                text = row.record.cells[column].text if column in row.record.cells else ""
                for target in targets:
                    if text in tables[target].rows:
                        label = (table, row.record.key or f"line {row.record.line}")
                        children.setdefault((target, text), []).append((label, row.finding))
    return children


def _collect_own_causes(tables: Mapping[str, TypedTable]) -> Iterator[tuple[RowId, Finding]]:
    for name, typed in tables.items():
        broken = typed.broken
        for key, row in typed.rows.items():
            cause = broken.get(row.source) or typed.causes.get(key)
            if cause is not None:
                yield (name, key), cause


def _check_missing_rows(
    references: Sequence[_Reference], target: TypedTable
) -> Iterator[tuple[Finding, Sequence[RowId]]]:
    """Rows that point to nothing, and why: a missing or broken table, a row whose key is unreadable, a wrong key."""
    rows = [row for reference in references for row in reference.withheld]
    spec, absent = target.spec, target.parts[0]
    if not absent.present:
        first = references[0]
        message = f"there is no {absent.file}, but {first.row.table} {first.row.key} points to {first.key}"
        yield finding("table.missing", message, table=spec.name, file=absent.file), rows
        return
    if target.without_keys:
        yield target.without_keys, rows
        return
    by_key: dict[str, list[_Reference]] = {}
    for reference in references:
        by_key.setdefault(reference.key, []).append(reference)
    explained = _explain_missing_keys(list(by_key), target)
    for key, group in by_key.items():
        if key in explained:
            yield explained[key], [row for reference in group for row in reference.withheld]
            continue
        for reference in group:
            row, column = reference.row, reference.column
            message = f"{column}: {spec.name} has no row {key}"
            place = row.place() | {"key": row.key or None}
            yield finding("link.dangling", message, column=column, value=key, **place), reference.withheld


def _explain_missing_keys(keys: Sequence[str], target: TypedTable) -> dict[str, Finding]:
    """Which missing keys the rows without a key of their own account for.

    A row whose key is damaged is one defect, not one more for each row that points to it. But a wrong key elsewhere
    must not hide behind it: the damaged text has the missing key's number, or the row stands where its number belongs.
    """
    unmatched = dict(enumerate(target.unkeyed))
    by_number: dict[str, list[int]] = {}
    for position, row in unmatched.items():
        if row.finding.id != "key.duplicate":
            for digits in _DIGITS.findall(row.record.key[:NUMBER_CHARS]):
                by_number.setdefault(_strip_zeros(digits), []).append(position)
    explained: dict[str, Finding] = {}
    for key in keys:
        for position in by_number.get(_strip_zeros(key[-4:]), ()):
            if position in unmatched and not _names_other_lab(unmatched[position], key, target):
                explained[key] = unmatched.pop(position).finding
                break
    rest = sorted(key for key in keys if key not in explained)
    if not rest or not unmatched:
        return explained
    gaps = {lab: _list_gaps(lab, target, unmatched) for lab in {_parse_lab(key) for key in rest}}
    for key in rest:
        for position, first, last in gaps[_parse_lab(key)]:
            if position in unmatched and first <= int(key[-4:]) <= last:
                explained[key] = unmatched.pop(position).finding
                break
    return explained


def _parse_lab(key: str) -> str:
    return key.partition("_")[0]


def _names_other_lab(row: UnkeyedRow, key: str, target: TypedTable) -> bool:
    """Whether what stands in a row's key cell is of another lab than a key."""
    initials = _parse_lab(row.record.key)
    return initials in target.spec.labs and initials != _parse_lab(key)


def _list_gaps(lab: str, target: TypedTable, unkeyed: Mapping[int, UnkeyedRow]) -> list[tuple[int, int, int]]:
    """For each row without a key of its own, the numbers that it may have where it stands among the keys of a lab.

    Numbers are given one after the other: behind 0003, the second row without a key has at most 0005, and less than
    the next key that can be read.
    """
    lines = [(row.row_place, int(key[-4:]), -1) for key, row in target.rows.items() if _parse_lab(key) == lab]
    lines += [(row.record.row_place, 0, position) for position, row in unkeyed.items()]
    places = [(number, position) for _, number, position in sorted(lines)]
    gaps = []
    before, waiting = 0, 0
    after = _list_next_numbers(places)
    for (number, position), following in zip(places, after, strict=True):
        if position < 0:
            before, waiting = number, 0
        else:
            waiting += 1
            gaps.append((position, before + 1, min(before + waiting, following - 1)))
    return gaps


def _list_next_numbers(places: Sequence[tuple[int, int]]) -> list[int]:
    """For each place, the number of the next key that can be read."""
    numbers, following = [], 10_000
    for number, position in reversed(places):
        numbers.append(following)
        following = number if position < 0 else following
    return numbers[::-1]


def _strip_zeros(digits: str) -> str:
    """A number's text as a spreadsheet writes it: 0007 as 7."""
    return digits.lstrip("0") or "0"


def _check_circles(typed: TypedTable, relation: str) -> Iterator[tuple[Finding, Sequence[RowId]]]:
    """Rows of one table that depend on themselves; the link of the first is cut."""
    table = typed.spec.name
    done: set[str] = set()
    for start in typed.rows:
        path: dict[str, None] = {}  # a set that keeps its order
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
            yield finding("link.circle", f"{column}: {chain}", **first.place(column)), [(table, k) for k in keys]
        done.update(path)
