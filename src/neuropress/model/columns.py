"""JSON in which records that are alike are written once, with columns for what differs between them.

Plain JSON stands as it is. Members of an object, or elements of a list, that have the same shape become a group::

    {"~groups": [{"~rows": 200,
                  "~names": {"~text": ["sweep", [3, {"~range": [0, 1]}]]},
                  "~each": {"value": 20000.0, "rule": "patch_clamp:rate", ...}}],
     "~rest": {...}}

``~each`` is the record; what is the same in all rows stands there as it is, what differs is a column:

``{"~range": [start, step]}``
    Whole numbers; row i has ``start + i * step``.
``{"~ranges": [[start, step, rows], ...]}``
    Several of these, one after another.
``{"~text": [part, ...]}``
    A text in parts: a text that all rows share, or ``[digits, column]``, whole numbers filled up with zeros.
``{"~sha256": [...]}``
    Digests, in base64 here and in hexadecimal when decoded.
``{"~values": [...], "~which": column}``
    Few values, and which of them (from 0) each row has.
``{"~list": [...]}``
    One value a row.
``{"~column": name}``
    A column that occurs several times; it stands under ``~columns`` beside the document, which is ``~data`` then.

An object of many paths (``/acquisition/sweep000/rate``) is ``{"~paths": {parent: {member: ...}}}``.

Members are in the order of their names, elements as the groups and then ``~rest`` have them, unless ``~order`` states
the position of each among those. A name of the data that begins with ``~`` has one more. The form is chosen by size
alone, so the same data give the same document. `columns_reader` reads it.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

MARK = "~"
LARGEST = 2**63

LEAST_MEMBERS, LEAST_ELEMENTS = 2, 4
"""Fewer stand as they are: people read them more easily."""

LEAST_UNLIKE = 3
"""The same for members whose names have nothing in common, so that each has to be listed."""

LEAST_PATHS = 16
"""Fewer paths are not split into parents and members."""

MOST_LEAVES = 256
"""Values of a record; a larger one is looked at by itself."""

WORTH_SHARING = 32
"""Bytes of a column that is written once: a reference takes some 16, and people have to look it up."""

_SHARED = (("~text",), ("~ranges", "~sha256", "~values", "~list"))
"""Texts first: those that are left may share the numbers in them."""

_SCALAR = "scalar"
"""The shape of all that is neither an object nor a list."""

_DIGITS = re.compile("([0-9]{1,15})")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Group:
    """Members by name, or elements by their place, that share a record, and how they are written."""

    places: Sequence[Any]
    written: Mapping[str, Any]


def encode(data: Any) -> Any:
    """Write JSON in columns; `columns_reader.decode` gives it back."""
    return _share_columns(_encode(data))


def _encode(data: Any) -> Any:
    if isinstance(data, dict):
        return _encode_paths(data) or _encode_object(data)
    if isinstance(data, list):
        return _encode_list(data)
    return data


def _encode_paths(data: dict[str, Any]) -> dict[str, Any] | None:
    """An object of paths as an object of objects, if many paths have few parents."""
    if len(data) < LEAST_PATHS or not all("/" in name for name in data):
        return None
    parents: dict[str, dict[str, Any]] = {}
    for name in sorted(data):
        parent, _, last = name.rpartition("/")
        parents.setdefault(parent, {})[last] = data[name]
    if len(parents) > len(data) // 2:
        return None
    parents = dict(sorted(parents.items()))
    written = {"~paths": _encode_object(parents)}
    if list(data) != sorted(data):
        names = [f"{parent}/{last}" for parent, members in parents.items() for last in members]
        written["~order"] = _encode_column(_positions(names, list(data)))
    return written


def _encode_object(data: dict[str, Any]) -> dict[str, Any]:
    groups, rest = _group_members(data)
    rest = sorted(rest) if groups else rest
    plain = {_escape(name): _encode(data[name]) for name in rest}
    if not groups:
        return plain
    order = None
    if list(data) != sorted(data):
        order = _positions([name for group in groups for name in group.places] + rest, list(data))
    return _table(groups, plain, order)


def _encode_list(data: list[Any]) -> Any:
    groups, rest = _group_elements(data)
    plain = [_encode(data[i]) for i in rest]
    if not groups:
        return plain
    places = [i for group in groups for i in group.places] + rest
    order = None
    if places != list(range(len(data))):
        order = _positions(places, range(len(data)))
    return _table(groups, plain, order)


def _positions(places: Sequence[Any], wanted: Sequence[Any]) -> list[int]:
    position = {place: i for i, place in enumerate(places)}
    return [position[place] for place in wanted]


def _table(groups: list[_Group], rest: Any, order: list[int] | None) -> dict[str, Any]:
    table: dict[str, Any] = {"~groups": [group.written for group in groups]}
    if rest:
        table["~rest"] = rest
    if order is not None:
        table["~order"] = _encode_column(order)
    return table


def _escape(name: str) -> str:
    return MARK + name if name.startswith(MARK) else name


def _group_members(data: dict[str, Any]) -> tuple[list[_Group], list[str]]:
    """Members whose names differ in their digits only and whose values have one shape; and the others."""
    alike: dict[Any, list[str]] = {}
    for name, value in data.items():
        alike.setdefault((_shape(value), *_DIGITS.split(name)[::2]), []).append(name)
    groups = []
    unlike: dict[Any, list[str]] = {}
    for (shape, *_), names in alike.items():
        group = _worthwhile_group(data, _in_runs(names), LEAST_MEMBERS) if shape else None
        if group:
            groups.append(group)
        else:
            unlike.setdefault(shape, []).extend(names)
    rest = []
    for shape, names in unlike.items():
        group = _worthwhile_group(data, sorted(names), LEAST_UNLIKE) if shape else None
        if group:
            groups.append(group)
        else:
            rest += names
    groups.sort(key=lambda group: str(group.places[0]))
    left = set(rest)
    return groups, [name for name in data if name in left]


def _in_runs(names: list[str]) -> list[str]:
    """Names by the numbers in them, those numbers first that have the fewest values.

    So a channel or recording stays the same for as long as it can, and what depends on it does too.
    """
    numbers = {name: [int(text) for text in _DIGITS.split(name)[1::2]] for name in names}
    values = [len(set(column)) for column in zip(*numbers.values(), strict=True)]
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    return sorted(names, key=lambda name: ([numbers[name][i] for i in order], name))


def _group_elements(data: list[Any]) -> tuple[list[_Group], list[int]]:
    """Elements that have one shape, and the places of the others."""
    alike: dict[Any, list[int]] = {}
    if len(data) < LEAST_ELEMENTS:
        return [], list(range(len(data)))
    for i, value in enumerate(data):
        alike.setdefault(_shape(value), []).append(i)
    groups: list[_Group] = []
    rest: list[int] = []
    for shape, places in alike.items():
        group = _worthwhile_group(data, places, LEAST_ELEMENTS) if shape else None
        if group:
            groups.append(group)
        else:
            rest += places
    return groups, sorted(rest)


def _worthwhile_group(data: Any, places: list[Any], least: int) -> _Group | None:
    """The group of these members or elements, if it is smaller than they are one by one."""
    if len(places) < least:
        return None
    values = [data[place] for place in places]
    written: dict[str, Any] = {"~rows": len(places)}
    plain: Any = values
    if isinstance(data, dict):
        written["~names"] = _encode_column(places)
        plain = dict(zip(places, values, strict=True))
    written["~each"] = _write_pattern(values)
    if written["~each"] == {"~list": plain}:
        return None
    return _Group(places, written) if _size(written) < _size(plain) else None


def _shape(value: Any) -> Any:
    """What two records must have in common to share a group: names and lengths; None if there are too many values."""
    if not isinstance(value, (dict, list)):
        return _SCALAR
    room = MOST_LEAVES

    def walk(part: dict[str, Any] | list[Any]) -> tuple[Any, ...]:
        nonlocal room
        shape: list[Any] = [tuple(part) if isinstance(part, dict) else len(part)]
        for item in part.values() if isinstance(part, dict) else islice(part, MOST_LEAVES + 1):
            if isinstance(item, (dict, list)) and room >= 0:
                shape.append(walk(item))
            else:
                room -= 1
                shape.append(_SCALAR)
        return tuple(shape)

    shape = walk(value)
    return None if room < 0 else shape


def _write_pattern(values: list[Any]) -> Any:
    """One record for values of one shape."""
    first = values[0]
    if isinstance(first, dict):
        return {_escape(name): _write_pattern([value[name] for value in values]) for name in first}
    if isinstance(first, list):
        return [_write_pattern([value[i] for value in values]) for i in range(len(first))]
    return _encode_column(values)


def _encode_column(values: Sequence[Any]) -> Any:
    """The smallest form of a column of scalars; a constant stands as it is."""
    numbers: dict[Any, int] = {}
    which = [numbers.setdefault(_identity(value), len(numbers)) for value in values]
    if len(numbers) == 1:
        return values[0]
    forms = [_encode_whole_numbers(values), _encode_texts(values), {"~list": list(values)}]
    if len(numbers) <= len(values) // 2:
        distinct = list(dict(zip(which, values, strict=True)).values())
        forms.append({"~values": distinct, "~which": _encode_whole_numbers(which)})
    known = [form for form in forms if form is not None]
    return min(known, key=_size) if len(known) > 1 else known[0]


def _identity(value: Any) -> Any:
    """Equal for values that are written alike only: 1, 1.0 and true differ, -0.0 and 0.0 too, NaN equals itself."""
    return value if isinstance(value, str) else (type(value), repr(value))


def _encode_whole_numbers(values: Sequence[Any]) -> Any:
    if not all(type(value) is int and abs(value) < LARGEST for value in values):
        return None
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][0] + runs[-1][1] * runs[-1][2]:
            runs[-1][2] += 1
        elif runs and runs[-1][2] == 1:
            runs[-1][1:] = [value - runs[-1][0], 2]
        else:
            runs.append([value, 0, 1])
    if len(runs) == 1:
        return {"~range": runs[0][:2]}
    return min({"~ranges": runs}, {"~list": list(values)}, key=_size)


def _encode_texts(values: Sequence[Any]) -> Any:
    if not all(isinstance(value, str) for value in values):
        return None
    if all(_SHA256.fullmatch(value) for value in values):
        return {"~sha256": [_to_base64(value) for value in values]}
    split = [_DIGITS.split(value) for value in values]
    if any(parts[::2] != split[0][::2] for parts in split):
        return None
    written: list[Any] = [""]
    for place, texts in enumerate(zip(*split, strict=True)):
        if len(set(texts)) == 1:
            part: Any = texts[0]
        else:
            digits, numbers = min(map(len, texts)), [int(text) for text in texts]
            if place % 2 == 0 or any(f"{n:0{digits}d}" != text for n, text in zip(numbers, texts, strict=True)):
                return None
            part = [digits, _encode_column(numbers)]
        if isinstance(part, str) and isinstance(written[-1], str):
            written[-1] += part
        else:
            written.append(part)
    return {"~text": [part for part in written if part != ""]}


def _to_base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii").rstrip("=")


def _size(data: Any) -> int:
    return len(json.dumps(data, separators=(",", ":")))


def _share_columns(data: Any) -> Any:
    """Write columns that occur several times once; none of them leads to another."""
    columns: dict[str, Any] = {}
    for form in _SHARED:
        counts = Counter(_columns(data, form))
        repeated = [text for text, count in counts.items() if count > 1 and len(text) > WORTH_SHARING]
        names = {text: str(len(columns) + i) for i, text in enumerate(repeated, 1)}
        columns |= {name: json.loads(text) for text, name in names.items()}
        data = _refer(data, form, names)
    return {"~columns": columns, "~data": data} if columns else data


def _columns(data: Any, form: Sequence[str]) -> Iterator[str]:
    """Canonical text of every column of these forms."""
    if isinstance(data, dict):
        if not data.keys().isdisjoint(form):
            yield json.dumps(data, sort_keys=True)
        else:
            for item in data.values():
                yield from _columns(item, form)
    elif isinstance(data, list):
        for item in data:
            yield from _columns(item, form)


def _refer(data: Any, form: Sequence[str], names: Mapping[str, str]) -> Any:
    if isinstance(data, dict):
        if not data.keys().isdisjoint(form):
            name = names.get(json.dumps(data, sort_keys=True))
            return data if name is None else {"~column": name}
        return {name: _refer(item, form, names) for name, item in data.items()}
    return [_refer(item, form, names) for item in data] if isinstance(data, list) else data
