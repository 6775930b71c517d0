"""Back from JSON in columns, which may have been written by anybody (see `columns`)."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from .budget import DECODED_BYTES, DECODED_NODE, OverBudget
from .columns import LARGEST, MARK

FORMS = ("~text", "~range", "~ranges", "~values", "~sha256", "~list")


def decode(data: Any, most: int = DECODED_BYTES) -> Any:
    """The JSON that `encode` was given.

    Parameters
    ----------
    most
        Bytes that all groups together may come to: 16 for each value, and its text.

    Raises
    ------
    ValueError
        It is nothing that `encode` writes.
    OverBudget
        It would come to more than `most`; found out before any of it is made.
    """
    shared: Any = {}
    if isinstance(data, dict) and "~columns" in data:
        shared, data = _members(data, "~columns", "~data")
        if not isinstance(shared, dict) or not all(map(_stands_alone, shared.values())):
            raise ValueError("its columns are no object of columns that name no other")
    return _Decoder(shared, most).decode(data)


def _stands_alone(data: Any) -> bool:
    """Whether a column leads to no other: such references could multiply."""
    if isinstance(data, dict):
        return "~column" not in data and all(map(_stands_alone, data.values()))
    return not isinstance(data, list) or all(map(_stands_alone, data))


def _members(data: Any, *names: str, optional: Sequence[str] = ()) -> list[Any]:
    """Members of an object that has these and no others, an optional one that is absent as None."""
    if not isinstance(data, dict) or not set(names) <= data.keys() <= {*names, *optional}:
        raise ValueError(f"expected an object of {', '.join(names)}")
    return [data.get(name) for name in (*names, *optional)]


def _whole(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"expected a whole number from {least} to {most}")
    return value


def _unescape(name: str) -> str:
    if name.startswith(MARK) and not name.startswith(MARK * 2):
        raise ValueError(f"{name[:40]!r} has no meaning here")
    return name[1:] if name.startswith(MARK) else name


def _names_column(data: Any) -> bool:
    return isinstance(data, dict) and any(name.startswith(MARK) and name[1:2] != MARK for name in data)


class _Decoder:
    """Expands groups; the budget is counted down over all of them, before each is made."""

    def __init__(self, shared: Mapping[str, Any], room: int) -> None:
        self._shared, self._room, self._most = shared, room, room
        self._shared_costs: dict[str, int] = {}

    def decode(self, data: Any) -> Any:
        if isinstance(data, dict):
            if "~groups" in data:
                return self._table(data)
            if "~paths" in data:
                return self._paths(data)
            return {_unescape(name): self.decode(value) for name, value in data.items()}
        return [self.decode(value) for value in data] if isinstance(data, list) else data

    def _paths(self, data: dict[str, Any]) -> dict[str, Any]:
        paths, order = _members(data, "~paths", optional=("~order",))
        parents = self.decode(paths)
        if not isinstance(parents, dict) or not all(isinstance(members, dict) for members in parents.values()):
            raise ValueError("the parents of paths are no objects of objects")
        for parent, members in parents.items():
            self._spend(len(members), parent)
        names = [f"{parent}/{name}" for parent, members in parents.items() for name in members]
        return self._object(names, [value for members in parents.values() for value in members.values()], order)

    def _table(self, data: dict[str, Any]) -> Any:
        groups, rest, order = _members(data, "~groups", optional=("~rest", "~order"))
        if not isinstance(groups, list) or not groups or not isinstance(groups[0], dict):
            raise ValueError("expected a list of groups")
        named = "~names" in groups[0]
        names: list[Any] = []
        values: list[Any] = []
        for group in groups:
            count, each, *stated = _members(group, "~rows", "~each", *(("~names",) if named else ()))
            self._spend(_whole(count, 1, LARGEST), (each, stated))
            values += self._rows(each, count)
            names += self._column(stated[0], count) if named else ()
        if rest is not None:
            plain = self.decode(rest)
            if not isinstance(plain, dict if named else list):
                raise ValueError("what is in no group is of another kind than what is")
            names += plain
            values += plain.values() if isinstance(plain, dict) else plain
        if named:
            return self._object(names, values, order)
        return values if order is None else [values[i] for i in self._order(order, len(values))]

    def _object(self, names: list[Any], values: list[Any], order: Any) -> dict[str, Any]:
        if not all(isinstance(name, str) for name in names):
            raise ValueError("a name is no text")
        if len(set(names)) != len(names):
            raise ValueError("two rows have one name")
        by_name = sorted(range(len(names)), key=names.__getitem__)
        return {names[i]: values[i] for i in (by_name if order is None else self._order(order, len(names)))}

    def _order(self, order: Any, count: int) -> list[int]:
        self._spend(count, order)
        positions = self._column(order, count)
        if sorted(_whole(i, 0, count) for i in positions) != list(range(count)):
            raise ValueError("the order does not name every row once")
        return positions

    def _spend(self, count: int, each: Any) -> None:
        self._room -= count * self._cost(each)
        if self._room < 0:
            raise OverBudget(f"its rows come to more than {self._most} bytes")

    def _cost(self, data: Any) -> int:
        """Bytes of one row, at the most."""
        if _names_column(data):
            return self._column_cost(data)
        if isinstance(data, dict):
            return DECODED_NODE + sum(self._cost(item) for item in data.values())
        if isinstance(data, (list, tuple)):
            return DECODED_NODE + sum(map(self._cost, data))
        return DECODED_NODE + (len(data) if isinstance(data, str) else 0)

    def _column_cost(self, data: dict[str, Any]) -> int:
        if "~column" in data:
            column, name = self._lookup(data), data["~column"]
            if name not in self._shared_costs:
                self._shared_costs[name] = self._column_cost(column)
            return self._shared_costs[name]
        if "~text" in data:
            return self._cost(data["~text"])
        if "~values" in data:
            longest = max((len(text) for text in _scalars(data["~values"]) if isinstance(text, str)), default=0)
            return DECODED_NODE + longest + self._cost(data.get("~which"))
        return DECODED_NODE

    def _rows(self, each: Any, count: int) -> list[Any]:
        """The record of each row."""
        if isinstance(each, dict) and not _names_column(each):
            names = [_unescape(name) for name in each]
            columns = [self._rows(item, count) for item in each.values()]
            return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] or _empty({}, count)
        if isinstance(each, list):
            columns = [self._rows(item, count) for item in each]
            return [list(row) for row in zip(*columns, strict=True)] or _empty([], count)
        return self._column(each, count)

    def _lookup(self, data: dict[str, Any]) -> dict[str, Any]:
        (name,) = _members(data, "~column")
        found = self._shared.get(name) if isinstance(name, str) else None
        if not isinstance(found, dict) or "~column" in found:
            raise ValueError("a column that is named is not there")
        return found

    def _column(self, data: Any, count: int) -> list[Any]:
        """The value of each row."""
        if not _names_column(data):
            return _scalars([data]) * count
        if "~column" in data:
            data = self._lookup(data)
        form = next((form for form in FORMS if form in data), "")
        values, *which = _members(data, form, *(("~which",) if form == "~values" else ()))
        if not isinstance(values, list):
            raise ValueError(f"{form} is no list")
        if form == "~text":
            return self._texts(values, count)
        if form == "~range":
            return _numbers([[*values, count]], count)
        if form == "~ranges":
            return _numbers(values, count)
        if len(values) > count or (form != "~values" and len(values) < count):
            raise ValueError(f"{len(values)} values for {count} rows")
        if form == "~sha256":
            return [_to_hexadecimal(value) for value in values]
        if form == "~list":
            return _scalars(values)
        known = _scalars(values)
        return [known[_whole(i, 0, len(known) - 1)] for i in self._column(which[0], count)]

    def _texts(self, parts: list[Any], count: int) -> list[str]:
        columns: list[list[str]] = []
        for part in parts:
            if isinstance(part, str):
                columns.append([part] * count)
            elif isinstance(part, list) and len(part) == 2:
                digits = _whole(part[0], 1, 15)
                numbers = self._column(part[1], count)
                columns.append([f"{_whole(n, 0, 10**15 - 1):0{digits}d}" for n in numbers])
            else:
                raise ValueError("a part of a text is neither text nor column")
        return ["".join(row) for row in zip(*columns, strict=True)] or [""] * count


def _empty(kind: Any, count: int) -> list[Any]:
    return [type(kind)() for _ in range(count)]


def _numbers(runs: list[Any], count: int) -> list[int]:
    """Whole numbers of runs, whose lengths are added up before any is made."""
    if len(runs) > count:
        raise ValueError(f"{len(runs)} ranges for {count} rows")
    if any(not isinstance(run, list) or len(run) != 3 for run in runs):
        raise ValueError("a range does not have start and step")
    for start, step, rows in runs:
        _whole(rows, 1, count)
        _whole(start, -LARGEST, LARGEST)
        _whole(step, -2 * LARGEST, 2 * LARGEST)
    if sum(rows for _, _, rows in runs) != count:
        raise ValueError(f"ranges do not have {count} numbers together")
    return [start + i * step for start, step, rows in runs for i in range(rows)]


def _scalars(values: Any) -> list[Any]:
    if not isinstance(values, list) or any(isinstance(value, (dict, list)) for value in values):
        raise ValueError("a column holds what is no single value")
    return values


def _to_hexadecimal(text: Any) -> str:
    try:
        digest = binascii.a2b_base64(f"{text}=".encode("ascii"), strict_mode=True)
    except ValueError:
        digest = b""
    if len(digest) != 32 or not isinstance(text, str):
        raise ValueError("a digest is not 32 bytes in base64")
    return digest.hex()
