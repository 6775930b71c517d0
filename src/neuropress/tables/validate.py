"""From a raw table to typed rows: cells, keys and the conditions within a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..model.finding import Finding, Severity, finding
from ..model.privacy import hide_private, shorten
from ..model.profile import Profile
from ..model.record import Cell, Record, Value
from ..model.waiver import Waiver, waive
from .cells import Flawed, parser
from .keys import key_fault
from .raw import RawRow, RawTable
from .schema import Conditional, table_schema

_NONE: frozenset[str] = frozenset()


class _Named[T, S](Mapping[str, T]):
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


class Columns[T](_Named[T, T]):
    """Values of one row."""

    __slots__ = ()

    def __getitem__(self, column: str) -> T:
        return self._items[self._index[column]]


class Cells(_Named[Cell, str]):
    """Cells of one row, made when they are asked for: a row keeps its texts only."""

    __slots__ = ()

    def __getitem__(self, column: str) -> Cell:
        return Cell(self._items[self._index[column]])


@dataclass(frozen=True, slots=True)
class Unkeyed:
    """A row without a key of its own: what stands there instead, why, and what it points to (column -> text)."""

    text: str
    line: int
    told: Finding
    foreign: Mapping[str, str]


@dataclass(slots=True)
class Typed:
    """One table's rows while they are being understood.

    Attributes
    ----------
    rows
        Key -> row, also rows with faulty cells, whose value there is None. The parents
        and companions are filled in by linking; nobody changes them afterwards.
    companions
        Key -> rows that accompany it; None for a table that no other accompanies.
    faulty
        Key -> columns with an error.
    unkeyed
        Rows that have no key of their own.
    causes
        Key -> what keeps the row from being used; a waived error where the row cannot be understood.
    waivers
        Errors that they cover become warnings.
    broken
        What is wrong with the table as a whole.
    """

    raw: RawTable
    rows: dict[str, Record] = field(default_factory=dict)
    parents: dict[str, dict[str, Record]] = field(default_factory=dict)
    companions: dict[str, list[Record]] | None = None
    faulty: dict[str, frozenset[str]] = field(default_factory=dict)
    unkeyed: list[Unkeyed] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    causes: dict[str, Finding] = field(default_factory=dict)
    waivers: Sequence[Waiver] = ()

    @property
    def broken(self) -> Finding | None:
        """The first finding on the table as a whole."""
        return self.raw.findings[0] if self.raw.findings else None

    def add(
        self, key: str, line: int, cells: Mapping[str, Cell], values: Columns[Value], faulty: frozenset[str]
    ) -> None:
        """Take a row that has a key of its own."""
        parents: dict[str, Record] = {}
        companions = self.companions.setdefault(key, []) if self.companions is not None else ()
        self.rows[key] = Record(self.raw.spec.name, key, line, cells, values, parents, companions)
        self.parents[key] = parents
        if faulty:
            self.faulty[key] = faulty


def type_table(raw: RawTable, profile: Profile, waivers: Sequence[Waiver] = ()) -> Typed:
    """Understand every row of a raw table."""
    raw = replace(raw, findings=tuple(waive(shorten(found), waivers) for found in raw.findings))
    typed = Typed(raw, findings=list(raw.findings), waivers=waivers)
    if raw.spec.name in profile.accompanied:
        typed.companions = {}
    if typed.broken:
        _keys_of_broken(typed, profile)
        return typed
    spec = raw.spec
    names = [c for c in (*spec.columns, *spec.optional) if c in raw.columns]
    choice = spec.either if set(spec.either) <= set(names) else ()
    schema = table_schema(spec.name, spec.schema)
    columns = _Columns(
        texts={name: raw.columns.index(name) for name in names},
        values={name: position for position, name in enumerate(names)},
        conditionals=schema.conditionals,
        choice=choice,
    )
    parsers = [(parser(name, spec, profile, blank=name in choice), columns.texts[name]) for name in names]
    for row in raw.rows:
        texts = row.cells
        if len(texts) != len(raw.columns):
            _ragged(row, typed, profile)
            continue
        _take(row, [parse(texts[position]) for parse, position in parsers], columns, typed)
    return typed


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the rows of a table share: where texts and values stand, and the conditions within a row."""

    texts: Mapping[str, int]
    values: Mapping[str, int]
    conditionals: tuple[Conditional, ...]
    choice: tuple[str, ...]

    def undecided(self, values: Mapping[str, Value]) -> bool:
        """Whether not exactly one of the columns of choice is filled in."""
        return bool(self.choice) and sum(values[column] is not None for column in self.choice) != 1

    def conflict(self, values: Mapping[str, Value]) -> bool:
        """Whether cells that are right by themselves contradict each other."""
        return self.undecided(values) or any(rule.fails(values) for rule in self.conditionals)


def _take(row: RawRow, parsed: list[Value | Flawed], columns: _Columns, typed: Typed) -> None:
    """A row in which nothing is to be told is taken as it is, the others are judged."""
    key = row.cells[columns.texts[typed.raw.spec.key]]
    values: Columns[Value] = Columns(columns.values, parsed)  # type: ignore[arg-type]
    if Flawed in map(type, parsed) or key in typed.rows or columns.conflict(values):
        _judge(row, parsed, columns, typed)
    else:
        typed.add(key, row.line, Cells(columns.texts, row.cells), values, _NONE)


def _judge(row: RawRow, parsed: list[Value | Flawed], columns: _Columns, typed: Typed) -> None:
    spec, texts, at = typed.raw.spec, row.cells, columns.texts
    key = texts[at[spec.key]]
    place: dict[str, Any] = {"table": spec.name, "line": row.line, "key": key or None}
    told: list[Finding] = []
    faulty: set[str] = set()

    def tell(id: str, message: str, column: str, **more: Any) -> bool:
        """Add a finding; whether it is an error that nobody answers for."""
        made = finding(id, message, column=column, **place, **more)
        told.append(waive(hide_private(made, spec.private), typed.waivers))
        return told[-1].severity is Severity.ERROR

    for position, name in enumerate(columns.values):
        one = parsed[position]
        if isinstance(one, Flawed):
            text = texts[at[name]]
            for fault in one.faults:
                more = {"hint": fault.hint, "value": text or None, "expected": fault.expected}
                wrong = tell(fault.id, f"{name}: {fault.message}", name, **more)
            understood = one.value is not None and not wrong
            parsed[position] = one.value if understood or not one.faulty else None
            if one.faulty and not understood:
                faulty.add(name)
    values: Columns[Value] = Columns(columns.values, parsed)  # type: ignore[arg-type]
    choice = columns.choice
    if columns.undecided(values) and faulty.isdisjoint(choice):
        message = f"one of {' and '.join(choice)} must be filled in, and only one"
        if tell("row.conflict", message, choice[0]):
            faulty.add(choice[0])
    for rule in columns.conditionals:
        if (not faulty or faulty.isdisjoint({*rule.when, *rule.then})) and rule.fails(values):
            column = next(iter(rule.then))
            text = texts[at[column]] if column in at else ""
            if tell("row.conflict", rule.description, column, value=text):
                faulty.add(column)
    first = typed.rows.get(key)
    if first is not None and spec.key not in faulty:
        message = f"{spec.key}: {key} is already the key of line {first.line}"
        tell("key.duplicate", message, spec.key, value=key)
        faulty.add(spec.key)
    typed.findings += told
    cause = next((f for f in told if f.severity is Severity.ERROR), None)
    cause = cause or next((f for f in told if f.location.column in faulty), None)
    if cause is not None:
        typed.causes.setdefault(key, cause)
    if spec.key in faulty:
        why = next(f for f in told if f.location.column == spec.key)
        foreign = {column: texts[at[column]] for column in spec.foreign if column in at}
        typed.unkeyed.append(Unkeyed(key, row.line, why, foreign))
        return
    typed.add(key, row.line, Cells(at, texts), values, frozenset(faulty))


def _ragged(row: RawRow, typed: Typed, profile: Profile) -> None:
    """A row whose cells cannot be told apart: kept with its key, where that can be read."""
    raw = typed.raw
    message = f"the row has {len(row.cells)} cells, the header {len(raw.columns)}"
    position = raw.columns.index(raw.spec.key)
    text = row.cells[position] if position < len(row.cells) else ""
    own = bool(text) and key_fault(text, (raw.spec.name,), profile) is None and text not in typed.rows
    place: dict[str, Any] = {"table": raw.spec.name, "line": row.line, "key": text if own else None}
    told = waive(finding("table.row_ragged", message, **place), typed.waivers)
    typed.findings.append(told)
    if own:
        typed.causes.setdefault(text, told)
        _add_unread(row, text, typed)
    else:
        cells = dict(zip(raw.columns, row.cells, strict=False))
        foreign = {column: cells.get(column, "") for column in raw.spec.foreign}
        # Cells that cannot be told apart may be private ones: the row goes by its line.
        typed.unkeyed.append(Unkeyed("" if raw.spec.private else text, row.line, told, foreign))


def _keys_of_broken(typed: Typed, profile: Profile) -> None:
    """Keys of a table that is wrong as a whole, so that rows that point to it are told the true cause."""
    raw = typed.raw
    if raw.columns.count(raw.spec.key) != 1:
        return
    position = raw.columns.index(raw.spec.key)
    for row in raw.rows:
        text = row.cells[position] if position < len(row.cells) else ""
        if text and text not in typed.rows and key_fault(text, (raw.spec.name,), profile) is None:
            _add_unread(row, text, typed)


def _add_unread(row: RawRow, key: str, typed: Typed) -> None:
    """A row of which nothing but the key is trusted; it has all columns nevertheless."""
    raw = typed.raw
    texts = dict(zip(raw.columns, row.cells, strict=False))
    index = {name: position for position, name in enumerate(raw.spec.columns)}
    cells = Cells(index, [texts.get(name, "") for name in index])
    nothing: Columns[Value] = Columns(index, [None] * len(index))
    typed.add(key, row.line, cells, nothing, frozenset(index))
