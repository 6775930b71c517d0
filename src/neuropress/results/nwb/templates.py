"""Whole sessions that are alike: hdmf makes the builders of the first, others are made after them.

hdmf checks and looks up everything anew for each object of each session: more than half of the time that a small one
took. Where two plans have one shape (`shapes`), a third plan with names and values that occur nowhere else is built as
well: what differs between its builders and those of a real one are names and values of the plan, stored as they are,
and all else is the same for any plan of the shape. Where it is not so, hdmf builds every session of the shape, as it
does the first two. The digests of the objects follow from the names and values in the same way.
`tests/results/test_templates.py` compares the bytes of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
from hdmf.build import GroupBuilder

from ...model.plan import digest
from ...readers.hdf5.walk import get_address, walk_objects
from .alike import Link, Member
from .digest import EXCLUDED, describe_object
from .parts import Filling, Learner, Part, Same, Unexplained
from .shapes import Shape
from .storage import make_object_id

_ID = "object_id"
"""The attribute that the writer gives to each object."""

type Descriptions = dict[str, dict[str, Any]]
"""Path -> what `digest_objects` takes the digest of."""


@dataclass(slots=True)
class PlacedMember(Member):
    """A dataset that others may refer to; for `BuilderWriter` a builder."""

    name: str
    parent: Any


class MadeGroup(GroupBuilder):  # type: ignore[misc]
    """The builder of a group of a session that was made after another one."""

    # In place of properties that cannot be set.
    name: str = ""
    parent: Any = None
    groups: Any = None
    datasets: Any = None
    links: Any = None
    attributes: Any = None

    def __init__(self, name: str, parent: Any) -> None:
        # Not that of hdmf: it checks arguments for longer than all else takes.
        self.name, self.parent = name, parent
        self.groups, self.datasets, self.links, self.attributes = {}, {}, {}, {}


@dataclass(frozen=True, slots=True)
class _Dataset:
    name: Part
    data: Part
    dtype: Any
    attributes: Mapping[str, Part]


@dataclass(frozen=True, slots=True)
class _Group:
    name: Part
    groups: list[_Group]
    datasets: list[_Dataset]
    links: list[tuple[Part, int]]
    attributes: Mapping[str, Part]


@dataclass(frozen=True, slots=True)
class Template:
    """Makes the builders of any session of a shape, and says what the digests of its objects will be.

    `objects` are path and digest of each object, None for one that has to be read.
    """

    root: _Group
    objects: list[tuple[Part, Part | None]]

    def fill(self, shape: Shape) -> MadeGroup:
        """The tree for the names and values of a plan."""
        filling = Filling(shape)
        root = _fill_group(self.root, filling, None)
        for item, number in filling.pending:
            item.builder = filling.made[number]
        return root

    def digest_objects(self, shape: Shape) -> dict[str, str]:
        """Digests as `digest_objects` takes them of the file; empty for those that have to be read."""
        filling = Filling(shape)
        return {path(filling): part(filling) if part else "" for path, part in self.objects}


def _fill_group(group: _Group, filling: Filling, parent: MadeGroup | None) -> MadeGroup:
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


@dataclass(frozen=True, slots=True)
class Example:
    """What was made of a plan: its shape, builders, the descriptions of what was written, and the paths of arrays."""

    shape: Shape
    root: Any
    objects: Descriptions
    arrays: Collection[str]


def learn_template(real: Example, stand_in: Example) -> Template | None:
    """What two sessions have in common; None where that does not tell how a third is made."""
    learner = Learner(real.shape, stand_in.shape)
    learner.note_builders(list(_list_builders(real.root)), list(_list_builders(stand_in.root)))
    try:
        root = _learn_group(learner, real.root, stand_in.root, "", real.arrays)
        return Template(root, _learn_objects(learner, real, stand_in))
    except Unexplained:
        return None


def _list_builders(group: Any) -> Iterator[Any]:
    """A group and all below it, in the order in which `Template.fill` makes them."""
    yield group
    yield from group.datasets.values()
    for child in group.groups.values():
        yield from _list_builders(child)


def _learn_group(learner: Learner, real: Any, other: Any, path: str, arrays: Collection[str]) -> _Group:
    datasets = []
    for name, one, its_name, its in _pair_items(real.datasets, other.datasets):
        if one.dtype != its.dtype:
            raise Unexplained
        # The writer declares an array of raw data by its specification.
        data = Same(None) if f"{path}/{name}" in arrays else learner.learn(one.data, its.data)
        attributes = _learn_attributes(learner, one, its)
        datasets.append(_Dataset(learner.learn_text(name, its_name), data, one.dtype, attributes))
    pairs = _pair_items(real.groups, other.groups)
    groups = [_learn_group(learner, one, its, f"{path}/{name}", arrays) for name, one, _, its in pairs]
    links = [
        (learner.learn_text(name, its_name), learner.find_builder(one.builder, its.builder))
        for name, one, its_name, its in _pair_items(real.links, other.links)
    ]
    attributes = _learn_attributes(learner, real, other)
    return _Group(learner.learn_text(real.name, other.name), groups, datasets, links, attributes)


def _learn_attributes(learner: Learner, real: Any, other: Any) -> dict[str, Part]:
    if list(real.attributes) != list(other.attributes):
        raise Unexplained
    pairs = _pair_items(real.attributes, other.attributes)
    return {name: Same("") if name == _ID else learner.learn(one, its) for name, one, _, its in pairs}


def _pair_items(real: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, str, Any]]:
    """Members of both in their order."""
    if len(real) != len(other):
        raise Unexplained
    return [(*one, *its) for one, its in zip(real.items(), other.items(), strict=True)]


def describe_objects(file: h5py.File, arrays: Collection[str]) -> Descriptions:
    """What `digest_objects` takes the digests of."""
    objects = dict(walk_objects(file, "/", EXCLUDED))
    paths = {get_address(item): path for path, item in objects.items()}
    return {path: describe_object(item, path in arrays, paths, 0) for path, item in objects.items()}


def _learn_objects(learner: Learner, real: Example, other: Example) -> list[tuple[Part, Part | None]]:
    names = dict(zip(real.shape.names, other.shape.names, strict=True))

    def find_name(path: str) -> str:
        return "/".join(names.get(part, part) for part in path.split("/"))

    identifier = learner.learn_text(_get_identifier(real), _get_identifier(other))
    found: list[tuple[Part, Part | None]] = []
    for path, described in real.objects.items():
        place, its = learner.learn_text(path, find_name(path)), other.objects.get(find_name(path))
        if its is None:
            raise Unexplained
        if members := described.get("members"):  # sorted, and the names of the stand-in sort otherwise
            its = {**its, "members": {find_name(name): its["members"].get(find_name(name)) for name in members}}
        try:
            found.append((place, _learn_digest(learner, described, its, identifier, place)))
        except Unexplained:
            found.append((place, None))
    return found


def _get_identifier(one: Example) -> str:
    return str(one.root.datasets["identifier"].data)


def _learn_digest(learner: Learner, real: Any, other: Any, identifier: Part, place: Part) -> Part:
    """How the digest of an object follows from its description."""
    attributes, its_attributes = dict(real["attributes"]), dict(other["attributes"])
    object_id, _ = attributes.pop(_ID, ""), its_attributes.pop(_ID, "")
    part = learner.learn({**real, "attributes": attributes}, {**other, "attributes": its_attributes})
    if not object_id:
        return Same(digest(part.value)) if isinstance(part, Same) else lambda filling: digest(part(filling))

    def take(filling: Filling) -> str:
        described = part(filling)
        own = make_object_id(identifier(filling), place(filling))
        return digest({**described, "attributes": {**described["attributes"], _ID: own}})

    learner.check(take, digest(real))
    return take
