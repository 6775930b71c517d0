"""Points and boxes as texts, and what their columns say of places in the image."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...model.content import Column, Content, LazyArray
from ...model.points import OBJECT, PointAxis, Points
from ...model.source import Source
from ..arrays.language import format_options
from . import FORMAT
from .columns import AXES, OTHERS, Undeclared, draft_columns, find_roles, parse_first
from .rows import Rows, make_problem, read_rows

NUMBER = re.compile(r"[+-]?([0-9]{1,20}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
LARGEST = 1e12
BLANK = {"", "na", "n/a", "nan"}
"""Scores of rows that have none, in lower case."""
TEXT = np.dtypes.StringDType()


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One table; without places where a person has yet to state what its columns are.

    Raises
    ------
    Problem
        ``points.damaged``, with line, column and value.
    """
    rows = read_rows(source, str(options.get("header", "")))
    facts = {"rows": str(len(rows.columns[0]))}
    try:
        roles = find_roles(rows.names, str(options.get("columns", "")))
        stated = _find_stated(rows, roles, options)
    except Undeclared as missing:
        return (_make_undeclared(source.key, rows, facts, missing, options),)
    _check_numbers(source.key, rows, roles)
    firsts = parse_first(stated["first"]) if "first" in stated else dict.fromkeys(AXES, 0)
    axes = tuple(_make_axis(axis, roles, stated, firsts.get(axis, 0)) for axis in AXES if _list_places(axis, roles))
    arrays = {name: _make_array(name, cells) for name, cells in zip(rows.names, rows.columns, strict=True)}
    columns = tuple(Column(name, name) for name in rows.names)
    header = {"columns": dict(roles), **stated}
    others = {role: name for role, name in roles.items() if role in OTHERS}
    return (
        Points("", FORMAT.name, facts, header, arrays, columns=columns, axes=axes, roles=others, stated=stated,
               lines=tuple(rows.lines)),
    )  # fmt: skip


def _find_known(rows: Rows, options: Mapping[str, Any]) -> dict[str, str]:
    """Unit, first pixel and ends of boxes: what a person states, else the file."""
    known = dict(rows.known)
    if any(name.lower() == "axis-0" for name in rows.names):  # what napari writes is in pixels from 0
        known |= {"unit": "pixel", "first": "0"}
    return known | {name: str(options[name]) for name in ("unit", "first", "box_ends") if name in options}


def _list_missing(known: Mapping[str, str], roles: Mapping[str, str]) -> dict[str, str]:
    """Options that a person must state, with what they may be."""
    missing = {} if "unit" in known else {"unit": "pixel or micrometer"}
    if known.get("unit") != "micrometer":
        missing |= {} if "first" in known else {"first": "0 or 1"}
        is_box = any(role.endswith("_max") for role in roles)
        missing |= {"box_ends": "included or excluded"} if is_box and "box_ends" not in known else {}
    return missing


def _find_stated(rows: Rows, roles: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """What is known of numbers. Raises `Undeclared`."""
    known = _find_known(rows, options)
    if missing := _list_missing(known, roles):
        raise Undeclared(f"neither the file nor neuropress.toml says {' and '.join(missing)}", missing)
    if "first" in known and (lacking := set(_list_axes(roles)) - set(parse_first(known["first"]))):
        raise Undeclared(f"the option first says nothing of {', '.join(sorted(lacking))}", {})
    if known["unit"] == "micrometer" and (needless := {"first", "box_ends"} & set(options)):
        raise Undeclared(f"{min(needless)} is of pixels, and its unit is micrometer; leave it out", {})
    return known


def _make_undeclared(
    key: str, rows: Rows, facts: Mapping[str, str], missing: Undeclared, options: Mapping[str, Any]
) -> Content:
    """What `inspect --write-mapping` drafts, and every verb refuses."""
    usual = {"columns": draft_columns(rows.names)}
    drafted = usual | {name: str(text) for name, text in options.items()} | dict(missing.options)
    with suppress(Undeclared):  # what else is missing, once these are stated
        drafted |= _list_missing(_find_known(rows, options), find_roles(rows.names, drafted.get("columns", "")))
    first = ", ".join(
        f"{name} {cells[0][:40]!r}" for name, cells in zip(rows.names, rows.columns, strict=True) if cells
    )
    comments = [f"first row: {first[:400]}"] if first else []
    what = "columns: x, y, z; x_min and x_max or x_size (boxes); class, score, object; others are kept, too"
    needed = "; ".join(f'{name} = "{text}"' for name, text in missing.options.items())
    header = {
        "undeclared": str(missing) + (f"; state {needed}" if needed else ""),
        "draft": format_options(key, drafted, [*comments, what]),
    }
    return Content("", FORMAT.name, facts, header, {})


def _list_places(axis: str, roles: Mapping[str, str]) -> list[str]:
    return [f"{axis}{end}" for end in ("", "_min", "_max", "_size") if f"{axis}{end}" in roles]


def _list_axes(roles: Mapping[str, str]) -> list[str]:
    return [axis for axis in AXES if _list_places(axis, roles)]


def _make_axis(axis: str, roles: Mapping[str, str], stated: Mapping[str, str], first: int) -> PointAxis:
    places = _list_places(axis, roles)
    is_size = places[-1].endswith("_size")
    ends: Any = stated.get("box_ends", "") if len(places) > 1 and not is_size else ""
    unit: Any = stated["unit"]
    return PointAxis(axis, tuple(roles[place] for place in places), is_size, unit, first, ends)


def _check_numbers(key: str, rows: Rows, roles: Mapping[str, str]) -> None:
    """Places are numbers, scores numbers or blank; boxes end behind where they begin."""
    numbers: dict[str, np.ndarray] = {}
    for role, name in roles.items():
        if role in ("class", OBJECT):
            continue
        cells = rows.columns[rows.names.index(name)]
        numbers[role] = np.array([_parse(cell, role == "score") for cell in cells], "f8")
        wrong = np.flatnonzero(np.isinf(numbers[role]))
        if wrong.size:
            _refuse(key, rows, int(wrong[0]), name, f"{cells[int(wrong[0])][:80]!r} is no number")
    for axis in AXES:
        begin, end, size = (numbers.get(f"{axis}{part}") for part in ("_min", "_max", "_size"))
        backward = end < begin if end is not None else size < 0 if size is not None else np.zeros(0, bool)
        if np.any(backward):
            at = int(np.flatnonzero(backward)[0])
            _refuse(key, rows, at, roles.get(f"{axis}_max") or roles[f"{axis}_size"], "the box ends before it begins")


def _parse(cell: str, may_be_blank: bool) -> float:
    """A number; NaN of a blank one, infinite of what is none."""
    text = cell.strip()
    if NUMBER.fullmatch(text):
        value = float(text)
        return value if abs(value) < LARGEST else math.inf
    return math.nan if may_be_blank and text.lower() in BLANK else math.inf


def _refuse(key: str, rows: Rows, at: int, column: str, why: str) -> None:
    line = rows.lines[at] if rows.lines else 0
    where = "" if line else f" (row {at + 1})"
    raise make_problem(key, why + where, line, column, rows.columns[rows.names.index(column)][at])


def _make_array(name: str, cells: list[str]) -> LazyArray:
    data = np.array(cells, TEXT)
    return LazyArray(name, data.shape, data.dtype, ("row",), data.__getitem__, data.shape)
