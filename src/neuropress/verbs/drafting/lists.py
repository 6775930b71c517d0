"""A consortium's published attribute lists: JSON, and Markdown with keys, prefixes and labs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...model.budget import LIST_BYTES, TABLE_COLUMNS, OverBudget, read_file
from ...model.finding import Problem, problem
from ...model.parsing import parse_json

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


def read_attribute_lists(folder: Path) -> Published:
    """Read every ``*.json`` and ``*.md`` below a folder.

    A JSON file is ``{"<table>": {"attributes": [{"attribute", "type", "description"}]}}``. A Markdown file has a
    heading for each table and below it a table of attribute, type and description.

    Raises
    ------
    Problem
        ``schema.input``: a file cannot be read, or there is no list at all.
    """
    from_json: dict[str, AttributeList] = {}
    from_markdown: dict[str, AttributeList] = {}
    labs: dict[str, PublishedLab] = {}
    for path in _list_visible_files(folder, "*.json"):
        for table in _parse_json_lists(path):
            if table.table in from_json:
                raise _make_input_problem(path, f"{table.table} is described in {from_json[table.table].file} already")
            from_json[table.table] = table
    for path in _list_visible_files(folder, "*.md"):
        text = _read_text(path)
        from_markdown |= {table.table: table for table in _parse_markdown_lists(text, path.name)}
        labs |= {lab.initials: lab for lab in _parse_labs(text)}
    if not from_json and not from_markdown:
        raise problem("schema.input", f"{folder} holds no attribute list (*.json or *.md)", file=str(folder))
    if not from_json:
        return Published(from_markdown, labs)
    tables = {}
    differences: list[tuple[str, str, str]] = []
    for name, listed in from_json.items():
        described = from_markdown.get(name)
        tables[name] = _join_lists(listed, described) if described else listed
        if described:
            differences += _find_differences(listed, described)
    return Published(tables, labs, tuple(differences))


def _list_visible_files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, without what is hidden."""
    visible = []
    for path in folder.rglob(pattern):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not is_hidden:
            visible.append(path)
    return sorted(visible)


def _make_input_problem(path: Path, message: str) -> Problem:
    return problem("schema.input", f"{path.name}: {message}", file=str(path))


def _read_text(path: Path) -> str:
    try:
        return read_file(path, LIST_BYTES).decode("utf-8-sig")
    except OverBudget as error:
        raise _make_input_problem(path, f"{error}: that is no list of attributes") from error
    except UnicodeDecodeError as error:
        raise _make_input_problem(path, f"it is not UTF-8 (byte {error.start})") from error


def _parse_json_lists(path: Path) -> Iterator[AttributeList]:
    try:
        data: Any = parse_json(_read_text(path), LIST_BYTES)
    except ValueError as error:
        raise _make_input_problem(path, f"it is not JSON: {error}") from error
    if not isinstance(data, dict) or not data:
        raise _make_input_problem(path, "it is not an object with the names of tables")
    for table, body in data.items():
        entries = body.get("attributes") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not entries:
            raise _make_input_problem(path, f"{table!r} has no list of attributes")
        attributes = tuple(_parse_attribute(entry, table, path) for entry in entries)
        yield _check_names(AttributeList(table, attributes, path.name), path)


def _parse_attribute(entry: Any, table: str, path: Path) -> Attribute:
    wanted = ("attribute", "type", "description")
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in wanted):
        raise _make_input_problem(
            path, f"an attribute of {table!r} is not attribute, type and description: {str(entry)[:80]}"
        )
    return Attribute(*(entry[name] for name in wanted))


def _check_names(table: AttributeList, path: Path) -> AttributeList:
    names = [a.name for a in table.attributes]
    if len(names) > TABLE_COLUMNS:
        raise _make_input_problem(
            path, f"{table.table} has {len(names)} attributes; a table has at most {TABLE_COLUMNS} columns"
        )
    for name in (table.table, *names):
        if not _NAME.fullmatch(name):
            raise _make_input_problem(
                path, f"{name!r} cannot be the name of a table or column: small letters, digits and _"
            )
        if names.count(name) > 1:
            raise _make_input_problem(path, f"{table.table} has the attribute {name} twice")
    return table


def _parse_markdown_lists(text: str, file: str) -> Iterator[AttributeList]:
    """Tables below headings; what stands between heading and table describes it."""
    table = ""
    description_lines: list[str] = []
    attributes: list[Attribute] = []
    for line in [*text.splitlines(), "# end"]:  # a heading closes the table before it, so one is put at the end
        if line.startswith("#"):
            if table and attributes:
                description = " ".join(description_lines)
                prefixes = {of or table: prefix for prefix, of in _PREFIX.findall(description)}
                yield AttributeList(table, tuple(attributes), file, description, prefixes.get(table, ""))
            heading = _HEADING.fullmatch(line)
            table = heading[1] if heading else ""
            description_lines, attributes = [], []
        elif row := _ROW.fullmatch(line):
            marks = frozenset(m.strip() for m in (row[2] or "").split(",") if m.strip())
            attributes.append(Attribute(row[1], row[3], row[4], marks))
        elif line.strip() and not line.startswith(("|", "---")) and not attributes:
            description_lines.append(line.strip())


def _parse_labs(text: str) -> Iterator[PublishedLab]:
    for line in text.splitlines():
        if match := _LAB.fullmatch(line):
            tables = tuple(name.strip() for name in match[3].split(","))
            yield PublishedLab(match[1], match[2], tables)


def _join_lists(listed: AttributeList, described: AttributeList) -> AttributeList:
    """The JSON list with the marks, prefix and description that only Markdown has."""
    marks = {a.name: a.marks for a in described.attributes}
    attributes = tuple(replace(a, marks=marks.get(a.name, a.marks)) for a in listed.attributes)
    return replace(listed, attributes=attributes, description=described.description, prefix=described.prefix)


def _find_differences(listed: AttributeList, described: AttributeList) -> Iterator[tuple[str, str, str]]:
    """Table, column and what the two lists say."""
    others = {a.name: a for a in described.attributes}
    for a in listed.attributes:
        b = others.pop(a.name, None)
        if b is None:
            yield listed.table, a.name, f"{listed.file} has this column, {described.file} has not"
        elif a.type != b.type:
            yield listed.table, a.name, f"type {a.type!r} in {listed.file}, {b.type!r} in {described.file}"
        elif " ".join(a.description.split()) != " ".join(b.description.split()):
            yield listed.table, a.name, f"{a.description!r} in {listed.file}, {b.description!r} in {described.file}"
    for name in others:
        yield listed.table, name, f"{described.file} has this column, {listed.file} has not"
