"""Tables and ontologies of classes: which name, acronym and colour an id of a mask has.

A table is CSV or TSV with a header; an ontology is JSON, a list of structures or a tree of ``children``, as the
Allen Institute's structure graphs (``msg``), brainglobe's ``structures.json`` and circuits' ``hierarchy.json`` are.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from ..model.finding import Problem, problem
from ..model.labels import LabelClass
from ..model.parsing import parse_json
from ..model.source import Source

MOST_BYTES = 64 * 2**20
MOST_CLASSES = 1_000_000

COLUMNS: Mapping[str, Sequence[str]] = {
    "value": ("id", "label", "label_id", "label-value", "value", "index", "structure_id"),
    "name": ("name", "safe_name", "structure_name", "class", "type", "region"),
    "acronym": ("acronym", "abbreviation", "structure_abbreviation"),
    "color": ("colour", "color", "color_hex_triplet", "rgb_triplet", "rgba", "rgb", "hex"),
    "parent": ("parent", "parent_id", "parent_structure_id"),
}
"""Part of a class -> how columns are called that hold it, in lower case; the first that is there counts."""
CHANNELS = (("red", "r"), ("green", "g"), ("blue", "b"), ("alpha", "a"))


def read_classes(source: Source) -> tuple[LabelClass, ...]:
    """The classes that a file states, by ascending id.

    Raises
    ------
    Problem
        ``labels.classes``: it is no such table, an id is none or stands twice with different classes.
    """
    if source.size() > MOST_BYTES:
        raise _make_problem(source, f"{source.size()} bytes, more than {MOST_BYTES}, are no table of classes")
    data = source.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _make_problem(source, f"it is no UTF-8 text ({error.reason} at byte {error.start})") from error
    is_json = text.lstrip()[:1] in ("{", "[")
    classes: dict[int, LabelClass] = {}
    for place, row in _list_structures(source, data) if is_json else _list_rows(source, text):
        try:
            one = _parse_class(row)
        except ValueError as error:
            raise _make_problem(source, f"{place}: {error}") from error
        if classes.setdefault(one.value, one) != one:
            raise _make_problem(source, f"{place}: id {one.value} stands twice, with different classes")
        if len(classes) > MOST_CLASSES:
            raise _make_problem(source, f"more than {MOST_CLASSES} classes")
    if not classes:
        raise _make_problem(source, "it holds no class")
    return tuple(one for _, one in sorted(classes.items()))


def _make_problem(source: Source, why: str) -> Problem:
    return problem("labels.classes", f"{source.key}: {why}", file=source.key)


def _list_rows(source: Source, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        for row in (reader := csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)):
            if any(value for value in row.values()):
                yield f"line {reader.line_num}", {str(key).strip(): value for key, value in row.items() if key}
    except csv.Error as error:
        raise _make_problem(source, f"it is no table of text ({error})") from error


def _list_structures(source: Source, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every structure of a list or tree, each with its parent."""
    try:
        root = parse_json(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise _make_problem(source, f"it is no JSON ({error})") from error
    if isinstance(root, dict) and not set(root) & set(COLUMNS["value"]):
        root = root.get("msg", root.get("structures", root.get("data", root)))
    waiting: list[tuple[Any, Any]] = [(one, None) for one in (root if isinstance(root, list) else [root])]
    for number, (one, above) in enumerate(waiting, 1):
        if not isinstance(one, dict):
            raise _make_problem(source, f"structure {number} is {json.dumps(one)[:80]}, and no object")
        parent = {} if above is None else {"parent": above}
        yield f"structure {number}", {**parent, **{str(key): value for key, value in one.items()}}
        children = one.get("children") or []
        if not isinstance(children, list):
            raise _make_problem(source, f"the children of structure {number} are no list")
        above = next((one[key] for key in COLUMNS["value"] if key in one), None)
        waiting += [(child, above) for child in children]


def _parse_class(row: Mapping[str, Any]) -> LabelClass:
    known = {key.lower(): value for key, value in row.items()}
    cells = {
        part: next((known[n] for n in names if known.get(n) not in (None, "")), "") for part, names in COLUMNS.items()
    }
    if cells["value"] == "":
        raise ValueError(f"it has no id; a column may be called {', '.join(COLUMNS['value'])}")
    parent = None if cells["parent"] in ("", "None", "null") else _parse_id(cells["parent"])
    color = _parse_color(cells["color"]) if cells["color"] != "" else _parse_channels(known)
    return LabelClass(
        _parse_id(cells["value"]), str(cells["name"]).strip(), str(cells["acronym"]).strip(), color, parent
    )


def _parse_id(value: Any) -> int:
    """A whole number in any spelling (``12``, ``12.0``) that an integer of 64 bits can hold."""
    try:
        number = Decimal(str(value).strip()) if not isinstance(value, bool) and len(str(value)) < 64 else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or not -(2**63) <= number < 2**64 or number != int(number):
        raise ValueError(f"{str(value)[:40]!r} is no id: a whole number of 64 bits at most")
    return int(number)


def _parse_color(value: Any) -> tuple[int, int, int, int]:
    """``#RRGGBB`` or ``RRGGBBAA``, with # or without, or three or four numbers up to 255."""
    if isinstance(value, list):
        return _make_color([str(part) for part in value])
    text = str(value).strip().removeprefix("#")
    if re.fullmatch("[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8}", text):
        return _make_color([str(int(text[i : i + 2], 16)) for i in range(0, len(text), 2)])
    return _make_color(re.split(r"[\s,;]+", text.strip("()[] ")))


def _parse_channels(known: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """A colour in three or four columns; none where they are not there or blank."""
    parts = [next((str(known[n]).strip() for n in names if known.get(n) not in (None, "")), "") for names in CHANNELS]
    return _make_color(parts if parts[3] else parts[:3]) if all(parts[:3]) else None


def _make_color(parts: Sequence[str]) -> tuple[int, int, int, int]:
    if len(parts) not in (3, 4) or any(not re.fullmatch("[0-9]{1,3}", part) or int(part) > 255 for part in parts):
        raise ValueError(
            f"{' '.join(parts)[:40]!r} is no colour: six or eight hexadecimal digits, or numbers up to 255"
        )
    red, green, blue, *alpha = map(int, parts)
    return red, green, blue, alpha[0] if alpha else 255
