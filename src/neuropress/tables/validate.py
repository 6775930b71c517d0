"""From a raw table to typed rows: cells, keys and the conditions within a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeGuard

from ..model.finding import Finding, Severity, finding
from ..model.key_patterns import matches_key
from ..model.privacy import hide_private, shorten
from ..model.profile import Profile, TableSpec
from ..model.record import Cell, Record, Value
from ..model.waiver import Waiver, waive
from .cells import FlaggedCell, build_cell_parser
from .keys import find_key_fault, normalise_key
from .raw import RawParts, RawRow, RawTable, number_names
from .schema import Conditional, compile_table_schema

_NO_COLUMNS: frozenset[str] = frozenset()


class _RowMapping[T, S](Mapping[str, T]):
    """Things of one row by column; all rows of a table share the names.

    Equal to a dictionary of the same items and a quarter of its size: a row of 20
    columns takes two of them, and there are 100,000 rows.
    """

    __slots__ = ("_index", "_items")

    def __init__(self, index: Mapping[str, int], items: Sequence[S]) -> None:
        self._index = index
        self._items = tuple(items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return repr(dict(self))


class RowValues[T](_RowMapping[T, T]):
    """Values of one row."""

    __slots__ = ()

    def __getitem__(self, column: str) -> T:
        return self._items[self._index[column]]


class RowCells(_RowMapping[Cell, str]):
    """Cells of one row, made when they are asked for: a row keeps its texts only."""

    __slots__ = ()

    def __getitem__(self, column: str) -> Cell:
        return Cell(self._items[self._index[column]])


@dataclass(frozen=True, slots=True)
class UnkeyedRow:
    """A row without a key of its own.

    Attributes
    ----------
    record
        The row; its key is what stands in the key's place.
    finding
        What is wrong with its key.
    error_columns
        Columns with an error.
    parents
        Those of the record, filled in by linking.
    is_copy
        Whether it is the same as the row that has the key, cell by cell.
    """

    record: Record
    finding: Finding
    error_columns: frozenset[str]
    parents: dict[str, Record]
    is_copy: bool = False


@dataclass(slots=True)
class TypedTable:
    """One table's rows, of all sources, while they are being understood.

    Attributes
    ----------
    spec, parts
        The table, and it as each source has it.
    rows
        Key -> row, also rows with faulty cells, whose value there is None. The parents
        and companions are filled in by linking; nobody changes them afterwards.
    companions
        Key -> rows that accompany it; None for a table that no other accompanies.
    error_columns
        Key -> columns with an error.
    unkeyed
        Rows that have no key of their own.
    causes
        Key -> what keeps the row from being used; a waived error where the row cannot be understood.
    waivers
        Errors that they cover become warnings.
    find_reader
        The reader that the settings name for the raw file of a row.
    """

    spec: TableSpec
    parts: RawParts
    rows: dict[str, Record] = field(default_factory=dict)
    parents: dict[str, dict[str, Record]] = field(default_factory=dict)
    companions: dict[str, list[Record]] | None = None
    error_columns: dict[str, frozenset[str]] = field(default_factory=dict)
    unkeyed: list[UnkeyedRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    causes: dict[str, Finding] = field(default_factory=dict)
    waivers: Sequence[Waiver] = ()
    find_reader: Callable[[Mapping[str, Cell]], str] = lambda cells: ""

    @property
    def broken(self) -> Mapping[str, Finding]:
        """Source -> what is wrong with the table there as a whole, the first of it."""
        return {raw.source: raw.findings[0] for raw in self.parts if raw.findings}

    @property
    def without_keys(self) -> Finding | None:
        """Why keys of a source cannot be read: what the others do not name may be there."""
        unread = (raw.findings[0] for raw in self.parts if raw.findings and self.spec.key not in raw.positions)
        return next(unread, None)

    def add_row(
        self,
        key: str,
        row: RawRow,
        source: str,
        cells: Mapping[str, Cell],
        values: Mapping[str, Value],
        error_columns: frozenset[str],
    ) -> None:
        """Take a row that has a key of its own."""
        parents: dict[str, Record] = {}
        companions = self.companions.setdefault(key, []) if self.companions is not None else ()
        reader = self.find_reader(cells)
        self.rows[key] = Record(self.spec.name, key, row.line, cells, values, parents, companions, source, reader)
        self.parents[key] = parents
        if error_columns:
            self.error_columns[key] = error_columns

    def add_unkeyed_row(
        self,
        key: str,
        row: RawRow,
        source: str,
        cells: Mapping[str, Cell],
        values: Mapping[str, Value],
        error_columns: frozenset[str],
        reason: Finding,
    ) -> None:
        """Take a row that has no key of its own."""
        parents: dict[str, Record] = {}
        record = Record(self.spec.name, key, row.line, cells, values, parents, source=source)
        first = self.rows.get(key)
        is_copy = first is not None and first.cells == cells
        self.unkeyed.append(UnkeyedRow(record, reason, error_columns, parents, is_copy))


def parse_table(parts: RawParts, profile: Profile, waivers: Sequence[Waiver] = ()) -> TypedTable:
    """Understand every row of a table, in the order of its sources; a key is taken once in all of them."""
    parts = tuple(
        replace(raw, findings=tuple(waive(shorten(reported), waivers) for reported in raw.findings)) for raw in parts
    )
    typed = TypedTable(parts[0].spec, parts, findings=[one for raw in parts for one in raw.findings], waivers=waivers)
    typed.find_reader = partial(_find_reader, typed.spec, profile)
    if typed.spec.name in profile.accompanied:
        typed.companions = {}
    for raw in parts:
        if raw.columns:
            _parse_rows(raw, typed, profile)
    return typed


def _find_reader(spec: TableSpec, profile: Profile, cells: Mapping[str, Cell]) -> str:
    """The reader that the settings name for a row's raw file, by its key before all patterns; empty without."""
    column = next(iter(spec.paths), "")
    if not profile.readers or column not in cells:
        return ""
    key = normalise_key(cells[column].text, profile)
    named = [reader for pattern, reader in profile.readers.items() if matches_key(pattern, key)]
    return profile.readers.get(key) or (named[-1] if named else "")


def _parse_rows(raw: RawTable, typed: TypedTable, profile: Profile) -> None:
    layout = _TableLayout.of(raw)
    parsers = []
    for name in layout.values:
        if name not in layout.absent:
            blank = name in layout.choice if name in raw.spec.either else None
            parse = build_cell_parser(name, raw.spec, profile, blank)
            parsers.append((parse, layout.texts[name]))
    nothing: list[Value | FlaggedCell] = [None] * len(layout.absent)
    for row in raw.rows:
        texts = row.cells
        if len(texts) != len(raw.columns):
            _add_ragged_row(row, raw, typed, profile)
            continue
        _add_row(row, [parse(texts[position]) for parse, position in parsers] + nothing, layout, typed)


@dataclass(frozen=True, slots=True)
class _TableLayout:
    """What the rows of a table share: where texts and values stand, and the conditions within a row."""

    raw: RawTable
    texts: Mapping[str, int]
    values: Mapping[str, int]
    conditionals: tuple[Conditional, ...]
    choice: tuple[str, ...]
    absent: frozenset[str]

    @classmethod
    def of(cls, raw: RawTable) -> _TableLayout:
        """The layout of a table; of columns that its header does not name once, every cell is wrong."""
        spec, positions = raw.spec, raw.positions
        absent = [name for name in spec.columns if name not in positions]
        names = [name for name in (*spec.columns, *spec.optional) if name in positions]
        either = tuple(name for name in spec.either if name in positions)
        texts = {name: positions[name] for name in names}
        for position, name in enumerate(number_names(raw.columns)):
            texts.setdefault(name, position)  # what the table does not know travels as it stands
        # Beyond the cells of a row stands one more, which is blank.
        texts |= dict.fromkeys(absent, len(raw.columns))
        return cls(
            raw=raw,
            texts=texts,
            values={name: position for position, name in enumerate((*names, *absent))},
            conditionals=compile_table_schema(spec.name, spec.schema).conditionals,
            choice=either if len(either) > 1 else (),
            absent=frozenset(absent),
        )

    def make_cells(self, texts: tuple[str, ...]) -> RowCells:
        """The cells of a row."""
        return RowCells(self.texts, (*texts, "") if self.absent else texts)

    def is_undecided(self, values: Mapping[str, Value]) -> bool:
        """Whether not exactly one of the columns of choice is filled in."""
        return bool(self.choice) and sum(values[column] is not None for column in self.choice) != 1

    def has_conflict(self, values: Mapping[str, Value]) -> bool:
        """Whether cells that are right by themselves contradict each other."""
        return self.is_undecided(values) or any(rule.is_violated_by(values) for rule in self.conditionals)


def _is_unflagged(parsed: list[Value | FlaggedCell]) -> TypeGuard[list[Value]]:
    # By exact type, in C: isinstance in a generator takes three times as long, for millions of cells.
    return FlaggedCell not in map(type, parsed)


def _add_row(row: RawRow, parsed: list[Value | FlaggedCell], layout: _TableLayout, typed: TypedTable) -> None:
    """A row without any finding is taken as it is, which nearly all rows are; the others are judged."""
    if _is_unflagged(parsed) and not layout.absent and not row.faults:
        key = row.cells[layout.texts[typed.spec.key]]
        values = RowValues(layout.values, parsed)
        if key not in typed.rows and not layout.has_conflict(values):
            typed.add_row(key, row, layout.raw.source, layout.make_cells(row.cells), values, _NO_COLUMNS)
            return
    _judge_row(row, parsed, layout, typed)


class _JudgedRow:
    """The findings on one row, and its columns with an error that nobody answers for."""

    def __init__(self, row: RawRow, key: str, typed: TypedTable, layout: _TableLayout) -> None:
        self.findings: list[Finding] = []
        self.error_columns: set[str] = set(layout.absent)
        self._private = typed.spec.private
        self._waivers = typed.waivers
        self._place: dict[str, Any] = {"line": row.line, "key": key or None, **layout.raw.place}

    def add_finding(self, id: str, message: str, column: str, **more: Any) -> bool:
        """Add a finding on a cell; whether it is an error that nobody answers for."""
        made = finding(id, message, column=column, **self._place, **more)
        waived = waive(hide_private(made, self._private), self._waivers)
        self.findings.append(waived)
        return waived.severity is Severity.ERROR

    def resolve_cell(self, name: str, cell: FlaggedCell, text: str) -> Value:
        """Add what is wrong with a cell; its value, which only a waiver lets an erroneous one keep."""
        is_error = False
        for fault in cell.faults:
            more = {"hint": fault.hint, "value": text or None, "expected": fault.expected}
            is_error = self.add_finding(fault.id, f"{name}: {fault.message}", name, **more)
        if not cell.has_error or (cell.value is not None and not is_error):
            return cell.value
        self.error_columns.add(name)
        return None

    def find_cause(self) -> Finding | None:
        """What keeps the row from being used: its first error, else what is waived on a cell that is not understood."""
        for reported in self.findings:
            if reported.severity is Severity.ERROR:
                return reported
        for reported in self.findings:
            if reported.location.column in self.error_columns:
                return reported
        return None


def _judge_row(row: RawRow, parsed: list[Value | FlaggedCell], layout: _TableLayout, typed: TypedTable) -> None:
    spec, position = typed.spec, layout.texts
    texts = (*row.cells, "")
    key = texts[position[spec.key]]
    judged = _JudgedRow(row, key, typed, layout)
    resolved: list[Value] = []
    for name, cell in zip(layout.values, parsed, strict=True):
        refused = row.faults.get(position[name])
        if refused is not None:
            judged.findings.append(waive(refused, typed.waivers))
            judged.error_columns.add(name)
            resolved.append(None)
        elif isinstance(cell, FlaggedCell):
            resolved.append(judged.resolve_cell(name, cell, texts[position[name]]))
        else:
            resolved.append(cell)
    beyond = row.faults.keys() - {position[name] for name in layout.values}
    judged.findings += [waive(row.faults[place], typed.waivers) for place in sorted(beyond)]
    values = RowValues(layout.values, resolved)
    _judge_conditions(judged, values, texts, layout)
    first = typed.rows.get(key)
    if first is not None and spec.key not in judged.error_columns:
        where = f" of {first.source}" if first.source != layout.raw.source else ""
        message = f"{spec.key}: {key} is already the key of line {first.line}{where}"
        judged.add_finding("key.duplicate", message, spec.key, value=key)
        judged.error_columns.add(spec.key)  # waived or not: two rows cannot have one key
    typed.findings += judged.findings
    cause = judged.find_cause()
    if cause is not None and key:
        typed.causes.setdefault(key, cause)
    cells, error_columns = layout.make_cells(row.cells), frozenset(judged.error_columns)
    if spec.key not in error_columns:
        typed.add_row(key, row, layout.raw.source, cells, values, error_columns)
        return
    of_key = (reported for reported in judged.findings if reported.location.column == spec.key)
    reason = next(of_key, None) or layout.raw.findings[0]
    typed.add_unkeyed_row(key, row, layout.raw.source, cells, values, error_columns, reason)


def _judge_conditions(judged: _JudgedRow, values: RowValues[Value], texts: Sequence[str], layout: _TableLayout) -> None:
    """The conditions between cells; where one of its cells has an error, that is the one to correct."""
    choice = layout.choice
    if layout.is_undecided(values) and judged.error_columns.isdisjoint(choice):
        message = f"one of {' and '.join(choice)} must be filled in, and only one"
        if judged.add_finding("row.conflict", message, choice[0]):
            judged.error_columns.add(choice[0])
    for rule in layout.conditionals:
        if not judged.error_columns.isdisjoint({*rule.when, *rule.then}) or not rule.is_violated_by(values):
            continue
        column = next(iter(rule.then))
        text = texts[layout.texts[column]] if column in layout.texts else ""
        if judged.add_finding("row.conflict", rule.description, column, value=text):
            judged.error_columns.add(column)


def _add_ragged_row(row: RawRow, raw: RawTable, typed: TypedTable, profile: Profile) -> None:
    """A row whose cells cannot be assigned to columns: kept with its key, where that can be read."""
    message = f"the row has {len(row.cells)} cells, the header {len(raw.columns)}"
    position = raw.positions.get(raw.spec.key, len(row.cells))
    text = row.cells[position] if position < len(row.cells) else ""
    has_key = bool(text) and find_key_fault(text, (raw.spec.name,), profile) is None and text not in typed.rows
    place: dict[str, Any] = {"line": row.line, "key": text if has_key else None, **raw.place}
    ragged = waive(finding("table.row_ragged", message, **place), typed.waivers)
    typed.findings.append(ragged)
    # Nothing but the key is trusted; it has all columns nevertheless.
    index = {name: position for position, name in enumerate(raw.spec.columns)}
    texts = {name: row.cells[position] for name, position in raw.positions.items() if position < len(row.cells)}
    cells = RowCells(index, [texts.get(name, "") for name in index])
    nothing: RowValues[Value] = RowValues(index, [None] * len(index))
    if has_key:
        typed.causes.setdefault(text, ragged)
        typed.add_row(text, row, raw.source, cells, nothing, frozenset(index))
    else:
        # What stands in the key's place may be a private cell: the row goes by its line.
        key = "" if raw.spec.private else text
        typed.add_unkeyed_row(key, row, raw.source, cells, nothing, frozenset(index), ragged)
