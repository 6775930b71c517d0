"""Builders of whole sessions that are alike: hdmf makes those of the first, others are made after them.

hdmf checks and looks up everything anew for each object of each session: more than half of the time that a small one
took. Where two plans have one shape (`shapes`), a third plan with names and values that occur nowhere else is built as
well: what differs between its builders and those of a real one is a name or a value of the plan, stored as it is, and all
else is the same for any plan of the shape. Where it is not so, hdmf builds every session of the shape, as it does the
first two. `tests/results/test_templates.py` compares the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hdmf.build import GroupBuilder, ReferenceBuilder

from .alike import Link, Member
from .columns import DeclaredArray
from .shapes import Shape

_ID = "object_id"
"""The attribute that the writer gives to each object."""


class _Unexplained(Exception):
    """What hdmf stores does not follow from single values."""


@dataclass(slots=True)
class PlacedMember(Member):
    """A dataset that others may refer to; for `BuilderWriter` a builder."""

    name: str
    parent: Any


class MadeGroup(GroupBuilder):  # type: ignore[misc]
    """The builder of a group of a session that was made after another one."""

    name = parent = groups = datasets = links = attributes = None  # properties of hdmf's, which no call may set

    def __init__(self, name: str, parent: Any) -> None:
        # Not hdmf's own: it checks arguments for longer than all else takes.
        self.name, self.parent = name, parent
        self.groups: dict[str, MadeGroup] = {}
        self.datasets: dict[str, PlacedMember] = {}
        self.links: dict[str, Link] = {}
        self.attributes: dict[str, Any] = {}


class _Reference(ReferenceBuilder):  # type: ignore[misc]
    """A reference to an object of the same file."""

    builder = None

    def __init__(self) -> None:
        pass


@dataclass(slots=True)
class _Filling:
    """A session that is being made: its own names and values, its builders by number, references to be set."""

    shape: Shape
    made: list[Any] = field(default_factory=list)
    pending: list[tuple[Any, int]] = field(default_factory=list)

    def refer(self, item: Any, number: int) -> Any:
        self.pending.append((item, number))
        return item


type _Part = Callable[[_Filling], Any]
"""Gives a value of a session."""


@dataclass(frozen=True, slots=True)
class _Dataset:
    name: _Part
    data: _Part
    dtype: Any
    attributes: Mapping[str, _Part]


@dataclass(frozen=True, slots=True)
class _Group:
    name: _Part
    groups: list[_Group]
    datasets: list[_Dataset]
    links: list[tuple[_Part, int]]
    attributes: Mapping[str, _Part]


@dataclass(frozen=True, slots=True)
class Template:
    """Makes the builders of any session of a shape."""

    root: _Group

    def fill(self, shape: Shape) -> MadeGroup:
        """The tree for the names and values of a plan."""
        filling = _Filling(shape)
        root = _fill_group(self.root, filling, None)
        for item, number in filling.pending:
            item.builder = filling.made[number]
        return root


def _fill_group(group: _Group, filling: _Filling, parent: MadeGroup | None) -> MadeGroup:
    made = MadeGroup(group.name(filling), parent)
    filling.made.append(made)
    for name, part in group.attributes.items():
        made.attributes[name] = part(filling)
    for one in group.datasets:
        attributes = {key: part(filling) for key, part in one.attributes.items()}
        dataset = PlacedMember(one.data(filling), one.dtype, attributes, one.name(filling), made)
        filling.made.append(dataset)
        made.datasets[dataset.name] = dataset
    for inner in group.groups:
        child = _fill_group(inner, filling, made)
        made.groups[child.name] = child
    for link_name, number in group.links:
        made.links[link_name(filling)] = filling.refer(Link(None), number)
    return made


def learn_template(real: Any, shape: Shape, stand_in: Any, other: Shape) -> Template | None:
    """What two trees of builders have in common; None where that does not tell how a third is made.

    Parameters
    ----------
    real, shape
        Builders of a plan, and its shape.
    stand_in, other
        The same of the plan that stands in for all others.
    """
    try:
        return Template(_Learner(real, shape, stand_in, other).learn_group(real, stand_in))
    except _Unexplained:
        return None


class _Learner:
    def __init__(self, real: Any, shape: Shape, stand_in: Any, other: Shape) -> None:
        self._shape, self._other = shape, other
        self._names = {name: number for number, name in enumerate(other.names)}
        self._values = {value: number for number, value in enumerate(other.values)}
        self._numbers = {id(one): number for number, one in enumerate(_list_builders(real))}
        self._other_numbers = {id(one): number for number, one in enumerate(_list_builders(stand_in))}

    def learn_group(self, real: Any, other: Any) -> _Group:
        attributes = self._learn_attributes(real, other)
        datasets = [self._learn_dataset(*pair) for pair in _pair_items(real.datasets, other.datasets)]
        groups = [self.learn_group(one, its) for _, one, _, its in _pair_items(real.groups, other.groups)]
        links = [
            (self._learn_name(name, its_name), self._find_number(one.builder, its.builder))
            for name, one, its_name, its in _pair_items(real.links, other.links)
        ]
        return _Group(self._learn_name(real.name, other.name), groups, datasets, links, attributes)

    def _learn_dataset(self, name: str, real: Any, other_name: str, other: Any) -> _Dataset:
        if real.dtype != other.dtype:
            raise _Unexplained
        attributes = self._learn_attributes(real, other)
        return _Dataset(self._learn_name(name, other_name), self._learn(real.data, other.data), real.dtype, attributes)

    def _learn_attributes(self, real: Any, other: Any) -> dict[str, _Part]:
        pairs = _pair_items(real.attributes, other.attributes)
        if any(name != other_name for name, _, other_name, _ in pairs):
            raise _Unexplained
        return {name: _repeat("") if name == _ID else self._learn(one, its) for name, one, _, its in pairs}

    def _learn_name(self, real: str, other: str) -> _Part:
        if real == other:
            return _repeat(real)
        number = self._names.get(other)
        if number is None or self._shape.names[number] != real:
            raise _Unexplained
        return lambda filling: filling.shape.names[number]

    def _find_number(self, real: Any, other: Any) -> int:
        number = self._numbers.get(id(real))
        if number is None or number != self._other_numbers.get(id(other)):
            raise _Unexplained
        return number

    def _learn(self, real: Any, other: Any) -> _Part:
        """How a value is made: the same for all, one of the plan, or several of either."""
        if type(real) is not type(other):
            raise _Unexplained
        if isinstance(real, DeclaredArray):
            return _repeat(None)  # the writer declares it by its specification
        if isinstance(real, ReferenceBuilder):
            number = self._find_number(real.builder, other.builder)
            return lambda filling: filling.refer(_Reference(), number)
        if isinstance(real, (list, tuple)):
            return self._learn_parts(type(real), real, other)
        if isinstance(real, np.ndarray):
            return self._learn_array(real, other)
        if not isinstance(real, (str, float, int, bytes, np.generic, type(None))):
            raise _Unexplained
        is_same = real == other or (real != real and other != other)
        return _repeat(real) if is_same else self._learn_value(real, other)

    def _learn_value(self, real: Any, other: Any) -> _Part:
        number = self._values.get(other.decode() if isinstance(other, bytes) else other)
        if number is None or not isinstance(real, (str, bytes, float, np.floating)):
            raise _Unexplained
        value, kind = self._shape.values[number], str.encode if isinstance(real, bytes) else type(real)
        if isinstance(value, str) is not isinstance(real, (str, bytes)) or kind(value) != real:
            raise _Unexplained
        return lambda filling: kind(filling.shape.values[number])

    def _learn_parts(self, kind: type, real: Any, other: Any) -> _Part:
        if len(real) != len(other):
            raise _Unexplained
        parts = [self._learn(one, its) for one, its in zip(real, other, strict=True)]
        return lambda filling: kind(part(filling) for part in parts)

    def _learn_array(self, real: np.ndarray, other: np.ndarray) -> _Part:
        if real.shape != other.shape or real.dtype != other.dtype:
            raise _Unexplained
        if real.dtype.kind in "iubf" and np.array_equal(real, other, equal_nan=real.dtype.kind == "f"):
            return _repeat(real)
        if real.ndim != 1 or real.dtype.kind != "f":
            raise _Unexplained
        parts, dtype = self._learn_parts(list, list(real), list(other)), real.dtype
        return lambda filling: np.array(parts(filling), dtype)


def _repeat(value: Any) -> _Part:
    return lambda filling: value


def _pair_items(real: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, str, Any]]:
    """Members of both in their order."""
    if len(real) != len(other):
        raise _Unexplained
    return [(*one, *its) for one, its in zip(real.items(), other.items(), strict=True)]


def _list_builders(group: Any) -> Iterator[Any]:
    """A group and all below it, in the order in which `Template.fill` makes them."""
    yield group
    yield from group.datasets.values()
    for child in group.groups.values():
        yield from _list_builders(child)
