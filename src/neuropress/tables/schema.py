"""The JSON Schemas of the tables, taken apart into columns that are checked fast.

A table of 100,000 rows holds millions of cells, and most differ from each other only in
keys and paths. So each column's schema is compiled once: what a regular expression and two
lengths can decide is decided by them, all else by jsonschema, once per distinct value.
A test holds both against each other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry

from ..model.budget import DEPTH, NUMBER_CHARS, SETTING_BYTES, SHOWN_CHARS, parse_json
from ..model.profile import Profile
from ..model.record import Value
from .patterns import Confined, bounded_search, check_own, count_parts

type Schema = Mapping[str, Any]
type Kind = Literal["text", "number", "integer", "boolean", "date", "time"]

_ANNOTATIONS = {"title", "description", "examples", "$comment"}
_TEXT_KEYWORDS = {"type", "pattern", "minLength", "maxLength"}
_NUMBER_KEYWORDS = {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_ENDLESS = Decimal("Infinity")
MOST_EXPONENT = 300
_REFERENCE = re.compile(r"([a-z_]{1,100}\.schema\.json)?#/\$defs/([^/]{1,100})")
_KINDS: Mapping[str, Kind] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column's schema.

    Attributes
    ----------
    rules
        Keyword -> value of all parts that must hold, references resolved.
    accepts
        Whether a typed value fits the schema.
    """

    name: str
    kind: Kind
    nullable: bool
    description: str
    example: str
    rules: Schema
    accepts: Callable[[Value], bool]


@dataclass(frozen=True, slots=True)
class Conditional:
    """One ``if``/``then`` of a table's schema; `description` says in words what is wrong when it fails."""

    description: str
    when: Mapping[str, Callable[[Value], bool]]
    then: Mapping[str, Callable[[Value], bool]]

    def fails(self, values: Mapping[str, Value]) -> bool:
        """Whether the row meets the condition but not its consequence; a column that is not there is blank."""
        for column, meets in self.when.items():
            if not meets(values.get(column)):
                return False
        return not all(meets(values.get(column)) for column, meets in self.then.items())


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table's schema, compiled."""

    columns: Mapping[str, Column]
    conditionals: tuple[Conditional, ...]


def _decimal(text: str) -> Decimal:
    if len(text) > NUMBER_CHARS or abs(int(re.split("[eE]", f"{text}e0")[1])) > MOST_EXPONENT:
        raise ValueError(f"{text[:40]} is no number that a cell could have")
    return Decimal(text)


@cache
def document(name: str) -> Schema:
    """``schemas/<name>`` as it stands; numbers as `Decimal`, because 1.7 as a float is less than 1.7."""
    text = files("neuropress.schemas").joinpath(name).read_text("utf-8")
    data: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return data


@cache
def table_schema(table: str, own: str = "") -> TableSchema:
    """The compiled schema of one table.

    Parameters
    ----------
    own
        Text of a dataset's own schema. Where one of this name is shipped, it is laid over
        it: its columns are added or take the place of the shipped ones.

    Raises
    ------
    FileNotFoundError
        There is no ``schemas/<table>.schema.json``.
    ValueError
        The dataset's own schema is not one that can be used.
    """
    whole = _laid_over(table, own) if own else document(f"{table}.schema.json")
    return TableSchema(
        {column: _column(column, schema, whole, bool(own)) for column, schema in whole["properties"].items()},
        tuple(_conditional(rule, whole, bool(own)) for rule in whole.get("allOf", ())),
    )


def _laid_over(table: str, own: str) -> Schema:
    try:
        stated: Any = parse_json(own, SETTING_BYTES, parse_float=_decimal)
        if not isinstance(stated, dict):
            raise ValueError("it is no object")
        count_parts(stated)
        Draft202012Validator.check_schema(stated)
        properties = dict(stated["properties"])
        check_own(stated)
    except (ValueError, LookupError, TypeError, AttributeError, SchemaError, RecursionError) as error:
        said = error.message if isinstance(error, SchemaError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"schemas/{table}.schema.json: {said[:SHOWN_CHARS]}") from error
    try:
        shipped = document(f"{table}.schema.json")
    except FileNotFoundError:
        return dict(stated)
    return {**shipped, **stated, "properties": {**shipped["properties"], **properties}}


def check_schemas(profile: Profile) -> None:
    """Compile the schema of every table of a dataset's own profile.

    Raises
    ------
    ValueError
        A schema is missing, cannot be used, or does not describe a column of its table.
    """
    for name, spec in profile.tables.items():
        place = f"schemas/{name}.schema.json"
        try:
            columns = table_schema(name, spec.schema).columns
        except FileNotFoundError:
            raise ValueError(f"table {name} has no {place}") from None
        except (re.error, LookupError, ArithmeticError, AttributeError, TypeError) as error:
            raise ValueError(f"{place}: {type(error).__name__}: {error}") from error
        shipped = _shipped_kinds(name) if spec.schema else {}
        for column in (*spec.columns, *spec.optional):
            if column not in columns:
                raise ValueError(f"{place} does not describe the column {column} of table {name}")
            kind, wanted = columns[column].kind, shipped.get(column, "text")
            if wanted != "text" and kind not in (wanted, "integer" if wanted == "number" else wanted):
                reason = "rules and checks calculate with it"
                raise ValueError(f"{place}: {column} must stay a {wanted} as in the shipped schema: {reason}")


def _shipped_kinds(table: str) -> Mapping[str, Kind]:
    """What the columns of the shipped table of this name hold."""
    try:
        return {name: column.kind for name, column in table_schema(table).columns.items()}
    except FileNotFoundError:
        return {}


def _column(name: str, schema: Schema, whole: Schema, own: bool) -> Column:
    options = schema.get("oneOf", (schema,))
    nullable = any(o.get("type") == "null" or None in o.get("enum", ()) for o in options)
    parts = [p for o in options if o.get("type") != "null" for p in _parts(o, whole)]
    rules = {keyword: value for part in reversed(parts) for keyword, value in part.items()}
    target = next((o["$ref"].rsplit("/", 1)[1] for o in options if "$ref" in o), "")
    kind = _KINDS.get(target) or _KINDS.get(rules.get("type", ""), "text")
    example = next(iter(schema.get("examples", ())), "")
    return Column(
        name, kind, nullable, schema.get("description", ""), example, rules, _predicate(tuple(parts), nullable, own)
    )


def _conditional(rule: Schema, whole: Schema, own: bool) -> Conditional:
    sides = [
        {
            column: _predicate(tuple(_parts(schema, whole)), schema.get("type") == "null", own)
            for column, schema in rule[side]["properties"].items()
        }
        for side in ("if", "then")
    ]
    return Conditional(rule["description"], *sides)


def _parts(schema: Schema, whole: Schema, depth: int = 0) -> list[Schema]:
    """A schema's own keywords and those of what it refers to: all of them must hold."""
    if depth > DEPTH:
        raise ValueError(f"$ref {schema.get('$ref')!r} leads back to itself")
    own = {k: v for k, v in schema.items() if k not in _ANNOTATIONS and k != "$ref"}
    parts: list[Schema] = [own] if own else []
    if "$ref" in schema:
        reference = _REFERENCE.fullmatch(str(schema["$ref"]))
        if reference is None:
            raise ValueError(f"$ref {schema['$ref']!r} is neither #/$defs/<name> nor one into a shipped schema")
        meant = document(reference[1]) if reference[1] else whole
        parts += _parts(meant["$defs"][reference[2]], meant, depth + 1)
    return parts


def _predicate(parts: tuple[Schema, ...], nullable: bool, own: bool) -> Callable[[Value], bool]:
    tests = [_test(part, own) for part in parts]

    def accepts(value: Value) -> bool:
        if value is None:
            return nullable
        for test in tests:  # noqa: SIM110  (a generator for each of millions of cells costs more than the test)
            if not test(value):
                return False
        return True

    return accepts


def _test(part: Schema, own: bool) -> Callable[[Value], bool]:
    if part.get("type") == "string" and part.keys() <= _TEXT_KEYWORDS:
        return _text_test(part, own)
    if part.get("type") in ("number", "integer") and part.keys() <= _NUMBER_KEYWORDS:
        return _number_test(part)
    return _schema_test(part)


def _number_test(part: Schema) -> Callable[[Value], bool]:
    kinds = int if part["type"] == "integer" else (int, Decimal)
    least, most = part.get("minimum", -_ENDLESS), part.get("maximum", _ENDLESS)
    above, below = part.get("exclusiveMinimum", -_ENDLESS), part.get("exclusiveMaximum", _ENDLESS)

    def test(value: Value) -> bool:
        if not isinstance(value, kinds) or isinstance(value, bool):
            return False
        return bool(least <= value <= most and above < value < below)

    return test


def _text_test(part: Schema, own: bool) -> Callable[[Value], bool]:
    least, most = part.get("minLength", 0), part.get("maxLength", 1 << 62)
    matches = bounded_search(part.get("pattern", "")) if own else re.compile(part.get("pattern", "")).search

    def test(value: Value) -> bool:
        return isinstance(value, str) and least <= len(value) <= most and bool(matches(value))

    return test


def _schema_test(part: Schema) -> Callable[[Value], bool]:
    is_valid = Confined(dict(part), registry=Registry()).is_valid

    @lru_cache(maxsize=4096, typed=True)
    def test(value: Value) -> bool:
        return bool(is_valid(value))

    return test
