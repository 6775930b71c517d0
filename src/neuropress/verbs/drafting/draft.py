"""From attribute lists to drafted schemas: what the lists state, and guesses that are marked as such."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .lists import Attribute, AttributeList, Published

type Schema = dict[str, Any]

TYPES: Mapping[str, Schema] = {
    "str": {"$ref": "common.schema.json#/$defs/text"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"$ref": "common.schema.json#/$defs/date"},
    "time": {"$ref": "common.schema.json#/$defs/time"},
}
_EITHER = re.compile(r"\(([A-Z]) or ([A-Z])\)")
EXAMPLES = re.compile(r"\(?\be\.?\s?g\.?,?\s+([^()]+?)(?: for [^()]*)?\)")
MAY_BE_BLANK = re.compile(r"if any|if applicable|optional|additional comments", re.IGNORECASE)
_PATH = re.compile(r"file_path(?:_([a-z]+))?")


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of a table; `is_marked` when the lists say so themselves."""

    column: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """Keys, links and schemas, as far as the lists tell them.

    Attributes
    ----------
    keys
        Table -> its key; a table without any ID column has none.
    foreign
        Table -> foreign key column -> tables that it may name; empty where none has such a key.
    paths
        Table -> path column -> versions, empty where its name states none.
    private
        Table -> columns with a path on a lab's own disk.
    schemas
        Table -> JSON Schema.
    """

    published: Published
    keys: Mapping[str, Key]
    foreign: Mapping[str, Mapping[str, tuple[str, ...]]]
    paths: Mapping[str, Mapping[str, tuple[str, ...]]]
    private: Mapping[str, tuple[str, ...]]
    schemas: Mapping[str, Schema]


def draft_schemas(published: Published) -> Draft:
    """Draft everything that follows from the lists."""
    tables = published.tables
    keys: dict[str, Key] = {}
    for name, table in tables.items():
        key = _find_key(table)
        if key:
            keys[name] = key
    by_column = {key.column: name for name, key in keys.items()}
    foreign: dict[str, dict[str, tuple[str, ...]]] = {}
    paths: dict[str, dict[str, tuple[str, ...]]] = {}
    private: dict[str, tuple[str, ...]] = {}
    schemas: dict[str, Schema] = {}
    for name, table in tables.items():
        versions = dict(_find_path_columns(table))
        foreign[name] = dict(_find_foreign_keys(table, keys, by_column))
        paths[name] = {c: (version,) if version else () for c, version in versions.items() if version != "local"}
        private[name] = tuple(c for c, version in versions.items() if version == "local")
        ids = set(foreign[name])
        if name in keys:
            ids.add(keys[name].column)
        schemas[name] = _draft_table_schema(table, ids, paths[name])
    return Draft(published, keys, foreign, paths, private, schemas)


def _find_key(table: AttributeList) -> Key | None:
    marked = [a.name for a in table.attributes if "PK" in a.marks]
    if marked:
        return Key(marked[0], is_marked=True)
    ids = [a.name for a in table.attributes if a.type == "ID"]
    if not ids:
        return None
    own = f"{table.table}_id"
    return Key(own if own in ids else ids[0], is_marked=False)


def _find_foreign_keys(
    table: AttributeList, keys: Mapping[str, Key], by_column: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for a in table.attributes:
        if a.type == "ID" and (table.table not in keys or a.name != keys[table.table].column):
            yield a.name, (by_column[a.name],) if a.name in by_column else ()


def _find_path_columns(table: AttributeList) -> Iterator[tuple[str, str]]:
    """Path columns and the version that their name states."""
    for a in table.attributes:
        if match := _PATH.fullmatch(a.name):
            yield a.name, match[1] or ""


def _draft_table_schema(table: AttributeList, ids: set[str], paths: Mapping[str, tuple[str, ...]]) -> Schema:
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{table.table}.schema.json",
        "title": table.table,
    }
    if table.description:
        schema["description"] = table.description
    properties = {a.name: _draft_column(a, a.name in ids, a.name in paths) for a in table.attributes}
    about = {"type": "object", "additionalProperties": False, "required": list(properties)}
    return schema | about | {"properties": properties}


def _draft_column(a: Attribute, is_id: bool, is_path: bool) -> Schema:
    """One column: its published description, its type, and a remark for each guess."""
    guesses = []
    kind: Schema = {"type": "string"} if is_id or is_path else dict(TYPES.get(a.type, TYPES["str"]))
    if a.type not in {*TYPES, "ID"}:
        guesses.append(f"the type {a.type!r} is taken for text")
    if match := _EITHER.search(a.description):
        kind = {"enum": [match[1], match[2]]}
        guesses.append("the values are those that the description names")
    column: Schema = {"description": a.description}
    if examples := parse_examples(a):
        column["examples"] = examples
    if MAY_BE_BLANK.search(a.description):
        guesses.append("it may be blank, because the description says so")
    elif not is_id:
        guesses.append("it may be blank, because nothing says that it must not")
    is_required = is_id and not MAY_BE_BLANK.search(a.description)
    if is_required:
        column |= kind
    elif "enum" in kind:
        column["enum"] = [*kind["enum"], None]
    else:
        column["oneOf"] = [kind, {"type": "null"}]
    if guesses:
        column["$comment"] = "Guessed: " + "; ".join(guesses) + "."
    return column


def parse_examples(a: Attribute) -> list[Any]:
    """The examples in a description, of the column's type."""
    match = EXAMPLES.search(a.description)
    if match is None or a.type in ("int", "float", "bool"):
        return []  # those of numbers stand with their units
    texts = [part.strip(" \"'\u201c\u201d.") for part in match[1].split(",")]
    return [text for text in texts if text]
