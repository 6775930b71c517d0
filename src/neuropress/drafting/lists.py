"""A consortium's published attribute lists: JSON, and Markdown with keys, prefixes and labs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..model.budget import LIST_BYTES, TABLE_COLUMNS, OverBudget, parse_json, read_file
from ..model.finding import Problem, problem

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_HEADING = re.compile(r"#+\s*`?([a-z][a-z0-9_]*)`?\s+[Tt]able\s*")
_ROW = re.compile(r"\|\s*`([A-Za-z0-9_]+)(?:\s*\(([A-Z, ]+)\))?`\s*\|\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|\s*")
_LAB = re.compile(r"[-*]\s*\*\*(.+?)\s*\(([A-Z]+)\)\*\*\s*:\s*(.+?)\.?\s*")
_PREFIX = re.compile(r"\*\*([A-Z]+)\*\*(?:\s+for\s+([a-z_]+))?")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column as it is published; `marks` are ``PK`` and ``FK`` where the list has them."""

    name: str
    type: str
    description: str
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AttributeList:
    """One table as it is published, in the order of its columns; `prefix` is empty where none is stated."""

    table: str
    attributes: tuple[Attribute, ...]
    file: str
    description: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class PublishedLab:
    """A lab and the tables that it fills in."""

    name: str
    initials: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """All that a folder of lists says; `differences` are places where two lists of one table disagree."""

    tables: Mapping[str, AttributeList]
    labs: Mapping[str, PublishedLab] = field(default_factory=dict)
    differences: tuple[tuple[str, str, str], ...] = ()


def read_lists(folder: Path) -> Published:
    """Read every ``*.json`` and ``*.md`` below a folder.

    A JSON file is ``{"<table>": {"attributes": [{"attribute", "type", "description"}]}}``. A Markdown file has a
    heading for each table and below it a table of attribute, type and description.

    Raises
    ------
    Problem
        ``schema.input``: a file cannot be read, or there is no list at all.
    """
    listed: dict[str, AttributeList] = {}
    told: dict[str, AttributeList] = {}
    labs: dict[str, PublishedLab] = {}
    for path in _visible(folder, "*.json"):
        for table in _json(path):
            if table.table in listed:
                raise _bad(path, f"{table.table} is described in {listed[table.table].file} already")
            listed[table.table] = table
    for path in _visible(folder, "*.md"):
        text = _text(path)
        told |= {table.table: table for table in _markdown(text, path.name)}
        labs |= {lab.initials: lab for lab in _labs(text)}
    if not listed and not told:
        raise problem("schema.input", f"{folder} holds no attribute list (*.json or *.md)", file=str(folder))
    tables = {name: _joined(listed.get(name), told.get(name)) for name in (listed or told)}
    differences = tuple(d for name in listed if name in told for d in _differences(listed[name], told[name]))
    return Published(tables, labs, differences)


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, without what is hidden."""
    found = (path for path in folder.rglob(pattern) if path.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _bad(path: Path, message: str) -> Problem:
    return problem("schema.input", f"{path.name}: {message}", file=str(path))


def _text(path: Path) -> str:
    try:
        return read_file(path, LIST_BYTES).decode("utf-8-sig")
    except OverBudget as error:
        raise _bad(path, f"{error}: that is no list of attributes") from error
    except UnicodeDecodeError as error:
        raise _bad(path, f"it is not UTF-8 (byte {error.start})") from error


def _json(path: Path) -> Iterator[AttributeList]:
    try:
        data: Any = parse_json(_text(path), LIST_BYTES)
    except ValueError as error:
        raise _bad(path, f"it is not JSON: {error}") from error
    if not isinstance(data, dict) or not data:
        raise _bad(path, "it is not an object with the names of tables")
    for table, body in data.items():
        entries = body.get("attributes") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not entries:
            raise _bad(path, f"{table!r} has no list of attributes")
        attributes = tuple(_attribute(entry, table, path) for entry in entries)
        yield _checked(AttributeList(table, attributes, path.name), path)


def _attribute(entry: Any, table: str, path: Path) -> Attribute:
    wanted = ("attribute", "type", "description")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in wanted):
        raise _bad(path, f"an attribute of {table!r} is not attribute, type and description: {str(entry)[:80]}")
    return Attribute(*(entry[name] for name in wanted))


def _checked(table: AttributeList, path: Path) -> AttributeList:
    names = [a.name for a in table.attributes]
    if len(names) > TABLE_COLUMNS:
        raise _bad(path, f"{table.table} has {len(names)} attributes; a table has at most {TABLE_COLUMNS} columns")
    for name in (table.table, *names):
        if not _NAME.fullmatch(name):
            raise _bad(path, f"{name!r} cannot be the name of a table or column: small letters, digits and _")
        if names.count(name) > 1:
            raise _bad(path, f"{table.table} has the attribute {name} twice")
    return table


def _markdown(text: str, file: str) -> Iterator[AttributeList]:
    """Tables below headings; what stands between heading and table describes it."""
    table = ""
    said: list[str] = []
    found: list[Attribute] = []
    for line in [*text.splitlines(), "# end"]:
        if line.startswith("#"):
            if table and found:
                description = " ".join(said)
                prefixes = {of or table: prefix for prefix, of in _PREFIX.findall(description)}
                yield AttributeList(table, tuple(found), file, description, prefixes.get(table, ""))
            heading = _HEADING.fullmatch(line)
            table, said, found = heading[1] if heading else "", [], []
        elif row := _ROW.fullmatch(line):
            marks = frozenset(m.strip() for m in (row[2] or "").split(",") if m.strip())
            found.append(Attribute(row[1], row[3], row[4], marks))
        elif line.strip() and not line.startswith(("|", "---")) and not found:
            said.append(line.strip())


def _labs(text: str) -> Iterator[PublishedLab]:
    for line in text.splitlines():
        if match := _LAB.fullmatch(line):
            tables = tuple(name.strip() for name in match[3].split(","))
            yield PublishedLab(match[1], match[2], tables)


def _joined(listed: AttributeList | None, told: AttributeList | None) -> AttributeList:
    """The JSON list with the marks, prefix and description that only Markdown has."""
    if listed is None or told is None:
        one = listed or told
        assert one is not None
        return one
    marks = {a.name: a.marks for a in told.attributes}
    attributes = tuple(replace(a, marks=marks.get(a.name, a.marks)) for a in listed.attributes)
    return replace(listed, attributes=attributes, description=told.description, prefix=told.prefix)


def _differences(listed: AttributeList, told: AttributeList) -> Iterator[tuple[str, str, str]]:
    """Table, column and what the two lists say."""
    other = {a.name: a for a in told.attributes}
    for a in listed.attributes:
        b = other.pop(a.name, None)
        if b is None:
            yield listed.table, a.name, f"{listed.file} has this column, {told.file} has not"
        elif a.type != b.type:
            yield listed.table, a.name, f"type {a.type!r} in {listed.file}, {b.type!r} in {told.file}"
        elif " ".join(a.description.split()) != " ".join(b.description.split()):
            yield listed.table, a.name, f"{a.description!r} in {listed.file}, {b.description!r} in {told.file}"
    for name in other:
        yield listed.table, name, f"{told.file} has this column, {listed.file} has not"
