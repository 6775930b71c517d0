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

from ..model.budget import DEPTH, NUMBER_CHARS, SETTING_BYTES, SHOWN_CHARS
from ..model.parsing import parse_json
from ..model.profile import Profile
from ..model.record import Value
from .patterns import ConfinedValidator, check_own_schema, check_schema_size, compile_bounded_search

type Schema = Mapping[str, Any]
type Kind = Literal["text", "number", "integer", "boolean", "date", "time"]

_ANNOTATIONS = {"title", "description", "examples", "unit", "$comment"}
_TEXT_KEYWORDS = {"type", "pattern", "minLength", "maxLength"}
_NUMBER_KEYWORDS = {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_INFINITY = Decimal("Infinity")
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
class ColumnSchema:
    """One column's schema.

    Attributes
    ----------
    unit
        Symbol of the unit that the column's numbers are in; empty where the schema states none.
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
    unit: str
    rules: Schema
    accepts: Callable[[Value], bool]


@dataclass(frozen=True, slots=True)
class Conditional:
    """One ``if``/``then`` of a table's schema; `description` says in words what is wrong when it fails."""

    description: str
    when: Mapping[str, Callable[[Value], bool]]
    then: Mapping[str, Callable[[Value], bool]]

    def is_violated_by(self, values: Mapping[str, Value]) -> bool:
        """Whether the row meets the condition but not its consequence; a column that is not there is blank."""
        for column, meets in self.when.items():
            if not meets(values.get(column)):
                return False
        return not all(meets(values.get(column)) for column, meets in self.then.items())


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table's schema, compiled."""

    columns: Mapping[str, ColumnSchema]
    conditionals: tuple[Conditional, ...]


def _parse_schema_number(text: str) -> Decimal:
    if len(text) > NUMBER_CHARS or abs(int(re.split("[eE]", f"{text}e0")[1])) > MOST_EXPONENT:
        raise ValueError(f"{text[:40]} is no number that a cell could have")
    return Decimal(text)


@cache
def load_schema_document(name: str) -> Schema:
    """``schemas/<name>`` as it stands; numbers as `Decimal`, because 1.7 as a float is less than 1.7."""
    text = files("neuropress.data.schemas").joinpath(name).read_text("utf-8")
    data: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return data


@cache
def compile_table_schema(table: str, own: str = "") -> TableSchema:
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
    whole = _overlay_own_schema(table, own) if own else load_schema_document(f"{table}.schema.json")
    is_own = bool(own)
    columns = {name: _compile_column(name, schema, whole, is_own) for name, schema in whole["properties"].items()}
    return TableSchema(columns, tuple(_compile_conditional(rule, whole, is_own) for rule in whole.get("allOf", ())))


def _overlay_own_schema(table: str, own: str) -> Schema:
    try:
        stated: Any = parse_json(own, SETTING_BYTES, parse_float=_parse_schema_number)
        if not isinstance(stated, dict):
            raise ValueError("it is no object")
        check_schema_size(stated)
        Draft202012Validator.check_schema(stated)
        properties = dict(stated["properties"])
        check_own_schema(stated)
    except (ValueError, LookupError, TypeError, AttributeError, SchemaError, RecursionError) as error:
        # The text of a SchemaError repeats the whole schema, its message only what is wrong.
        reason = error.message if isinstance(error, SchemaError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"schemas/{table}.schema.json: {reason[:SHOWN_CHARS]}") from error
    try:
        shipped = load_schema_document(f"{table}.schema.json")
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
            columns = compile_table_schema(name, spec.schema).columns
        except FileNotFoundError:
            raise ValueError(f"table {name} has no {place}") from None
        except (re.error, LookupError, ArithmeticError, AttributeError, TypeError) as error:
            raise ValueError(f"{place}: {type(error).__name__}: {error}") from error
        shipped = _get_shipped_columns(name) if spec.schema else {}
        for column in (*spec.columns, *spec.optional):
            if column not in columns:
                raise ValueError(f"{place} does not describe the column {column} of table {name}")
            before = shipped.get(column)
            if before is None:
                continue
            kind, wanted = columns[column].kind, before.kind
            is_narrower = (kind, wanted) == ("integer", "number")
            if wanted not in ("text", kind) and not is_narrower:
                reason = "rules and checks calculate with it"
                raise ValueError(f"{place}: {column} must stay a {wanted} as in the shipped schema: {reason}")
            if before.unit and columns[column].unit not in ("", before.unit):
                raise ValueError(f"{place}: {column} must stay in {before.unit}: rules calculate with it")


def _get_shipped_columns(name: str) -> Mapping[str, ColumnSchema]:
    """The columns of the shipped table of this name; none where there is no such table."""
    try:
        return compile_table_schema(name).columns
    except FileNotFoundError:
        return {}


def _compile_column(name: str, schema: Schema, whole: Schema, own: bool) -> ColumnSchema:
    options = schema.get("oneOf", (schema,))
    nullable = any(option.get("type") == "null" or None in option.get("enum", ()) for option in options)
    parts: list[Schema] = []
    for option in options:
        if option.get("type") != "null":
            parts += _collect_parts(option, whole)
    rules: dict[str, Any] = {}
    for part in reversed(parts):  # a column's own keyword explains more than that of the definition it refers to
        rules |= part
    definitions = [option["$ref"].rsplit("/", 1)[1] for option in options if "$ref" in option]
    kind = _KINDS.get(definitions[0]) if definitions else None  # a date is a string in JSON: the definition names it
    return ColumnSchema(
        name=name,
        kind=kind or _KINDS.get(rules.get("type", ""), "text"),
        nullable=nullable,
        description=schema.get("description", ""),
        example=next(iter(schema.get("examples", ())), ""),
        unit=str(schema.get("unit", "")),
        rules=rules,
        accepts=_compile_parts(tuple(parts), nullable, own),
    )


def _compile_conditional(rule: Schema, whole: Schema, own: bool) -> Conditional:
    def compile_side(side: str) -> Mapping[str, Callable[[Value], bool]]:
        tests = {}
        for column, schema in rule[side]["properties"].items():
            parts = tuple(_collect_parts(schema, whole))
            tests[column] = _compile_parts(parts, schema.get("type") == "null", own)
        return tests

    return Conditional(rule["description"], when=compile_side("if"), then=compile_side("then"))


def _collect_parts(schema: Schema, whole: Schema, depth: int = 0) -> list[Schema]:
    """A schema's own keywords and those of what it refers to: all of them must hold."""
    if depth > DEPTH:
        raise ValueError(f"$ref {schema.get('$ref')!r} leads back to itself")
    own = {k: v for k, v in schema.items() if k not in _ANNOTATIONS and k != "$ref"}
    parts: list[Schema] = [own] if own else []
    if "$ref" in schema:
        reference = _REFERENCE.fullmatch(str(schema["$ref"]))
        if reference is None:
            raise ValueError(f"$ref {schema['$ref']!r} is neither #/$defs/<name> nor one into a shipped schema")
        meant = load_schema_document(reference[1]) if reference[1] else whole
        parts += _collect_parts(meant["$defs"][reference[2]], meant, depth + 1)
    return parts


def _compile_parts(parts: tuple[Schema, ...], nullable: bool, own: bool) -> Callable[[Value], bool]:
    tests = [_compile_part(part, own) for part in parts]

    def accepts(value: Value) -> bool:
        if value is None:
            return nullable
        for test in tests:  # noqa: SIM110  (a generator for each of millions of cells costs more than the test)
            if not test(value):
                return False
        return True

    return accepts


def _compile_part(part: Schema, own: bool) -> Callable[[Value], bool]:
    if part.get("type") == "string" and part.keys() <= _TEXT_KEYWORDS:
        return _compile_text_test(part, own)
    if part.get("type") in ("number", "integer") and part.keys() <= _NUMBER_KEYWORDS:
        return _compile_number_test(part)
    return _compile_schema_test(part)


def _compile_number_test(part: Schema) -> Callable[[Value], bool]:
    kinds = int if part["type"] == "integer" else (int, Decimal)
    least, most = part.get("minimum", -_INFINITY), part.get("maximum", _INFINITY)
    above, below = part.get("exclusiveMinimum", -_INFINITY), part.get("exclusiveMaximum", _INFINITY)

    def test(value: Value) -> bool:
        if not isinstance(value, kinds) or isinstance(value, bool):
            return False
        return bool(least <= value <= most and above < value < below)

    return test


def _compile_text_test(part: Schema, own: bool) -> Callable[[Value], bool]:
    least, most = part.get("minLength", 0), part.get("maxLength", 1 << 62)
    pattern = part.get("pattern", "")
    # The shipped patterns are known to end; a search with a timeout takes 20 times as long.
    matches = compile_bounded_search(pattern) if own else re.compile(pattern).search

    def test(value: Value) -> bool:
        return isinstance(value, str) and least <= len(value) <= most and bool(matches(value))

    return test


def _compile_schema_test(part: Schema) -> Callable[[Value], bool]:
    is_valid = ConfinedValidator(dict(part), registry=Registry()).is_valid

    @lru_cache(maxsize=4096, typed=True)  # typed: 1 and True are equal, and only one of them is an integer
    def test(value: Value) -> bool:
        return bool(is_valid(value))

    return test
