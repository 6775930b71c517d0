"""Mapping files: flat rules from cells to fields of the result, checked before any use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.resources import files
from typing import Any

from ..model.finding import MappingError
from ..model.parsing import parse_toml
from ..model.plan import Field
from ..model.profile import Lab, Profile
from ..model.record import CellRef, Record, Value
from ..model.serial import from_json
from .transforms import TRANSFORMS, Absent

RESERVED = ("default", "stated", "dataset", "lab", "file")
"""First parts of a `from` path that are no relation: defaults of any sort; those that a row or the lab states;
those of the whole dataset, where neither does; the lab's entry in the profile; facts of the raw file's header."""

OPTIONAL = "?"
MOST_TIMES = 100
"""How often a value may be repeated: once for each dimension of an array."""

type Slots = Mapping[str, frozenset[str]]
type Fields = dict[str, dict[str, Field]]


@dataclass(frozen=True, slots=True)
class Rule:
    """``to = from via args``: one field of one slot.

    Attributes
    ----------
    to
        ``slot.field``; the converter declares its slots.
    source
        ``from`` in the file: a column of the row, a dotted path over relations
        (``session.mouse.weight``), ``default.NAME``, ``stated.NAME``, ``dataset.NAME``, ``lab.NAME`` or
        ``file.FACT``; or several.
        ``?`` before a path: a profile may lack it; it is blank then.
    via, args
        A named transform and its arguments.
    absent
        Written where every source is blank and the standard demands a value.
    tables
        The mapping's tables whose rows it is for; empty: all of them.
    each
        A table that accompanies the row or one that it depends on; of a session also a table of its data rows.
        The rule is applied to each of those rows, `source` begins there, and the texts are joined line by line.
    """

    to: str
    source: tuple[str, ...]
    via: str = "copy"
    args: Mapping[str, Any] = field(default_factory=dict)
    absent: Any = None
    tables: tuple[str, ...] = ()
    each: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A cell that must agree with the raw file's header.

    Relative differences above `error` withhold the row, those above `warn` are warnings. Up to `error` the header's
    value is written in place of the cell's; where `error` is ``Infinity`` nothing is withheld, and the cell is written.
    `scale` brings the column's unit to the fact's (``0.001``: nm to um). `tables`: see `Rule`.
    """

    column: str
    fact: str
    error: str = "0"
    warn: str = "0"
    scale: str = "1"
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MappingRules:
    """One ``mappings/<name>.toml``; `own` is the revision of a profile's rules that are laid over it."""

    name: str
    revision: int
    table: tuple[str, ...]
    rules: tuple[Rule, ...]
    compare: tuple[Comparison, ...] = ()
    own: int = 0


@cache
def load_mapping(name: str, own: str = "", text: str = "") -> MappingRules:
    """Read ``mappings/<name>.toml``. Raises `MappingError` on unknown or missing keys.

    Parameters
    ----------
    text
        What the file says, of a mapping that another package ships; empty for ours.
    own
        Text of a dataset's own mapping, which is laid over the shipped one: its rules take the
        place of those for the same field, or are added.
    """
    text = text or files("neuropress.data.mappings").joinpath(f"{name}.toml").read_text("utf-8")
    shipped = _parse_mapping(name, text)
    if not own:
        return shipped
    added = _parse_mapping(name, own)
    fields = {(rule.to, rule.tables) for rule in added.rules}
    kept = tuple(rule for rule in shipped.rules if (rule.to, rule.tables) not in fields)
    columns = {(comparison.column, comparison.tables) for comparison in added.compare}
    compared = tuple(c for c in shipped.compare if (c.column, c.tables) not in columns)
    return replace(shipped, rules=(*kept, *added.rules), compare=(*compared, *added.compare), own=added.revision)


def _parse_mapping(name: str, text: str) -> MappingRules:
    try:
        data = parse_toml(text)
    except ValueError as error:
        raise MappingError(f"mappings/{name}.toml: {error}") from error
    rules = data.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise MappingError(f"mappings/{name}.toml: rules are written as [[rule]]")
    for rule in rules:
        source = rule.pop("from", [])
        rule["source"] = [source] if isinstance(source, str) else source
    data["rules"] = data.pop("rule", [])
    try:
        return from_json(MappingRules, {"name": name, **data})
    except (TypeError, ValueError) as error:
        raise MappingError(f"mappings/{name}.toml: {error}") from error


def check_mapping(mapping: MappingRules, slots: Slots, bindings: Mapping[str, str], profile: Profile) -> None:
    """Check every name of a mapping: slots, fields, columns, relations, transforms.

    `bindings` are extra relations that the converter offers (name -> table).

    Raises
    ------
    MappingError
        Naming the file, the rule and what is known.
    """
    named = [rule.tables for rule in mapping.rules] + [comparison.tables for comparison in mapping.compare]
    for table in set(mapping.table).union(*named):
        if table not in profile.tables:
            known = ", ".join(profile.tables)
            raise MappingError(f"mappings/{mapping.name}.toml: there is no table {table!r}; known: {known}")
    for rule in mapping.rules:
        place = f"mappings/{mapping.name}.toml, rule to = {rule.to!r}"
        slot, _, name = rule.to.partition(".")
        if slot not in slots:
            raise MappingError(f"{place}: no slot {slot!r}; the converter has {', '.join(sorted(slots))}")
        if name not in slots[slot]:
            raise MappingError(f"{place}: {slot} has no field {name!r}; known: {', '.join(sorted(slots[slot]))}")
        if rule.via not in TRANSFORMS:
            raise MappingError(f"{place}: no transform {rule.via!r}; known: {', '.join(sorted(TRANSFORMS))}")
        _check_args(rule, place)
        if rule.each and rule.each not in profile.tables:
            continue  # a shipped rule for a table that only some profiles have
        for path in rule.source:
            for table in _list_start_tables(rule, mapping):
                _check_path(path, table, bindings, profile, place)
    for comparison in mapping.compare:
        for table in comparison.tables or mapping.table:
            _check_comparison(comparison, table, profile, f"mappings/{mapping.name}.toml, compare")


def _list_start_tables(rule: Rule, mapping: MappingRules) -> tuple[str, ...]:
    """Tables in which the paths of a rule begin."""
    if rule.each:
        return (rule.each,)
    return rule.tables or mapping.table


def _check_comparison(comparison: Comparison, table: str, profile: Profile, place: str) -> None:
    if comparison.column in profile.tables[table].private:
        raise MappingError(f"{place}: {table}.{comparison.column} is private, so nothing is told of it")
    if comparison.column not in profile.tables[table].columns:
        raise MappingError(f"{place}: {table} has no column {comparison.column!r}")


def _check_args(rule: Rule, place: str) -> None:
    """Refuse arguments that would make a value of any size."""
    parts = rule.args.get("parts", [])
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise MappingError(f"{place}: parts must be a list of texts")
    if any(set("{}") & set(part.replace("{}", "")) for part in parts):
        raise MappingError(f"{place}: a part holds {{}} for the cell's text, and no other braces")
    times = rule.args.get("times", 1)
    if not isinstance(times, int) or not 0 <= times <= MOST_TIMES:
        raise MappingError(f"{place}: times must be a whole number up to {MOST_TIMES}, not {times!r}")


def _check_path(path: str, table: str, bindings: Mapping[str, str], profile: Profile, place: str) -> None:
    if path.startswith(OPTIONAL):
        return
    *relations, column = path.split(".")
    if relations and relations[0] in RESERVED:
        _check_reserved(relations[0], column, profile, place)
        return
    current = table
    for position, relation in enumerate(relations):
        foreign = profile.tables[current].foreign.get(f"{relation}_id")
        if position == 0 and relation in bindings:
            current = bindings[relation]
        elif foreign:
            current = foreign[0]
        else:
            raise MappingError(f"{place}: {current} has no relation {relation!r} (from = {path!r})")
    spec = profile.tables[current]
    if column in spec.private:
        raise MappingError(f"{place}: {current}.{column} is private and goes into no result (from = {path!r})")
    if column not in (*spec.columns, *spec.optional):
        raise MappingError(f"{place}: table {current} has no column {column!r} (from = {path!r})")


def list_rule_sources(
    mapping: MappingRules, bindings: Mapping[str, str], profile: Profile
) -> Iterator[tuple[str, str]]:
    """What each rule takes: (``session/subject.weight``, ``mouse.weight``).

    Beside tables stand ``default``, ``lab`` and ``file``; a rule without sources takes ``<table>.(constant)``.
    """
    for rule in mapping.rules:
        for table in _list_start_tables(rule, mapping):
            for path in rule.source or ("(constant)",):
                yield f"{mapping.name}/{rule.to}", _locate_source(path, table, bindings, profile)


def _locate_source(path: str, table: str, bindings: Mapping[str, str], profile: Profile) -> str:
    """The table and column in which a path ends; no table where the profile lacks one on the way."""
    *relations, column = path.removeprefix(OPTIONAL).split(".")
    current = table
    if relations and relations[0] in RESERVED:
        current = relations.pop(0)
    for relation in relations:
        spec = profile.tables.get(current)
        if relation in bindings and current == table:
            current = bindings[relation]
        else:
            targets = spec.foreign.get(f"{relation}_id", ()) if spec else ()
            current = targets[0] if targets else ""
    return f"{current}.{column}"


def _check_reserved(head: str, name: str, profile: Profile, place: str) -> None:
    """Names of defaults and of a lab's entries; a header's facts are known to its reader only."""
    known = {field.name for field in fields(Lab)}
    if head in ("default", "stated", "dataset"):
        known = {*profile.defaults, *(k for lab in profile.labs.values() for k in lab.overrides)}
        known |= {column for spec in profile.tables.values() for column in spec.optional}
    if head != "file" and name not in known:
        raise MappingError(f"{place}: there is no {head}.{name}; known: {', '.join(sorted(known))}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What the paths of a mapping resolve against, for one row.

    ``default.NAME`` is the first of: a column NAME of the row or of a row that it
    depends on, the lab's entry in ``neuropress.toml``, the lab's in the profile, the profile's. The last one
    alone is ``dataset.NAME``, the others are ``stated.NAME``: what other tools read as a fact of this recording
    takes only those.

    Attributes
    ----------
    measured
        Column of the row -> the header's value, in the column's unit, that is written in its place.
    """

    record: Record
    profile: Profile
    facts: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    bindings: Mapping[str, Record | None] = field(default_factory=dict)
    measured: Mapping[str, tuple[Value, CellRef]] = field(default_factory=dict)

    def resolve_path(self, path: str) -> tuple[Value, CellRef] | None:
        """The typed value and its reference; None where it is blank or unknown."""
        *relations, column = path.removeprefix(OPTIONAL).split(".")
        head = relations[0] if relations else ""
        if head in ("default", "stated", "dataset"):
            return self._resolve_default(head, column)
        if head == "lab":
            return self._make_default(column, getattr(self.profile.lab_of(self.record.key), column, None))
        if head == "file":
            fact = self.facts.get(column)
            return (fact, CellRef("file", self.file, column, fact, "header")) if fact else None
        record: Record | None = self.record
        if head in self.bindings:
            record = self.bindings[head]
            relations = relations[1:]
        row = record.related(".".join(relations)) if record else None
        return self._read_cell(row, column) if row else None

    def _resolve_default(self, head: str, column: str) -> tuple[Value, CellRef] | None:
        """The nearest row's own value; where none has the column, what the lab or the profile states."""
        lab = self.profile.lab_of(self.record.key)
        stated = next((cell for row in self.record.lineage() if (cell := self._read_cell(row, column))), None)
        if stated is None and lab is not None:
            stated = self._make_default(column, lab.overrides.get(column))
        if head == "stated" or (head == "default" and stated):
            return stated
        return self._make_default(column, self.profile.defaults.get(column)) if stated is None else None

    def _make_default(self, column: str, text: str | None) -> tuple[Value, CellRef] | None:
        if not text:
            return None
        place = self.profile.place_of_default(column, self.profile.lab_of(self.record.key))
        return text, CellRef(place, self.record.key.split("_", 1)[0], column, text, "default")

    def _read_cell(self, record: Record, column: str) -> tuple[Value, CellRef] | None:
        if record.values.get(column) is None or self._is_private(record, column):
            return None
        if record is self.record and column in self.measured:
            return self.measured[column]
        return record.values[column], record.ref(column)

    def list_replaced(self, paths: Iterable[str]) -> tuple[CellRef, ...]:
        """Cells among these paths in whose place the header's value is written."""
        columns = [path.removeprefix(OPTIONAL) for path in paths]
        return tuple(replace(self.record.ref(c), origin="replaced") for c in columns if c in self.measured)

    def _is_private(self, record: Record, column: str) -> bool:
        """Whether a cell stays in its table, whatever a rule says: paths with ``?`` are not checked before."""
        return column in self.profile.tables[record.table].private


def apply_mapping(mapping: MappingRules, scope: Scope) -> Fields:
    """All fields that a row's cells give: slot -> field -> `Field`.

    A rule whose sources are all blank gives nothing, or `absent` where the rule states it.
    """
    fields: Fields = {}
    for rule in mapping.rules:
        if rule.tables and scope.record.table not in rule.tables:
            continue
        apply = _apply_rule_to_companions if rule.each else apply_rule
        value = apply(mapping.name, rule, scope)
        if value is not None:
            slot, _, name = rule.to.partition(".")
            fields.setdefault(slot, {})[name] = value
    return fields


def _apply_rule_to_companions(mapping: str, rule: Rule, scope: Scope) -> Field | None:
    """One line for each row that accompanies the scope's."""
    lines: list[Field] = []
    for ancestor in scope.record.lineage():
        for row in ancestor.companions:
            if row.table != rule.each:
                continue
            line = apply_rule(mapping, rule, replace(scope, record=row))
            if line is not None:
                lines.append(line)
    if not lines:
        return None
    sources = tuple(ref for line in lines for ref in line.sources)
    return replace(lines[0], value="\n".join(str(line.value) for line in lines), sources=sources)


def apply_rule(mapping: str, rule: Rule, scope: Scope) -> Field | None:
    """One rule on one row; None where there is nothing to write."""
    transform = TRANSFORMS[rule.via]
    values: list[Value] = []
    refs: tuple[CellRef, ...] = ()
    for path in rule.source:
        cell = scope.resolve_path(path)
        if cell is None:
            values.append(None)
            continue
        value, ref = cell
        values.append(ref.text if transform.verbatim else value)
        refs = (*refs, ref)
    if transform.first:
        refs = refs[:1]
    identifier = f"{mapping}/{rule.to}"
    if refs or not rule.source:
        try:
            content = transform.forward(values, rule.args)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            message = f"transform {rule.via!r} with args {dict(rule.args)} cannot take {values}"
            raise MappingError(f"mappings/{identifier}: {message} ({type(error).__name__}: {error})") from error
        if not isinstance(content, Absent):
            return Field(content, identifier, rule.via, (*refs, *scope.list_replaced(rule.source)))
    if rule.absent is None:
        return None
    constant = CellRef("mapping", mapping, rule.to, str(rule.absent), "constant")
    return Field(rule.absent, identifier, "absent", (constant,))
