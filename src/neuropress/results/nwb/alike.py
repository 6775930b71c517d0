"""Builders of objects that are alike: hdmf makes the first, the others are made after it.

A recording of 500 sweeps has 500 series of one type that are stored in the same way, and hdmf finds out anew for each
how: half of the time that such a file took. Here an object whose fields have the types of those of one that hdmf has
built is made after that one (`tests/results/test_alike.py` compares what both write). Only objects without others in
them are; of all else, and of every first one, the builder is that of hdmf.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hdmf.build import BuildManager, GroupBuilder
from hdmf.container import Container
from hdmf.spec import GroupSpec

from .columns import DeclaredArray

_VARIED = (str, float, int, np.number)
"""Values of these types differ between objects that are alike; truths do not."""
_PLAIN_OVERRIDES = {"data", "timestamps"}
"""Attributes that hdmf takes from elsewhere only where they are another series, which makes no pattern here."""


@dataclass(slots=True)
class Member:
    """A dataset of an object that was made after another one; for `BuilderWriter` a builder."""

    data: Any
    dtype: Any
    attributes: dict[str, Any]


@dataclass(slots=True)
class Link:
    """A link of it."""

    builder: Any


class MadeAlike(GroupBuilder):  # type: ignore[misc]
    """The builder of an object that was made after another one."""

    def __init__(self, name: str, source: str | None) -> None:
        self.members: dict[str, Member] = {}
        self.linked: dict[str, Link] = {}
        super().__init__(name=name, source=source)

    @property
    def datasets(self) -> dict[str, Member]:
        """By name."""
        return self.members

    @property
    def links(self) -> dict[str, Link]:
        """By name."""
        return self.linked


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as it is stored: one for all, or that of an attribute of the object, in the type of the first one."""

    stored: Any
    attribute: str = ""

    def get(self, container: Any) -> Any:
        return type(self.stored)(getattr(container, self.attribute)) if self.attribute else self.stored


@dataclass(frozen=True, slots=True)
class _Dataset:
    data: _Value
    dtype: Any
    attributes: Mapping[str, _Value]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """How objects that are alike are stored; links by the attribute that holds the other object."""

    attributes: Mapping[str, _Value]
    datasets: Mapping[str, _Dataset]
    links: Mapping[str, str]
    spec: Any = field(repr=False)
    """Kept, so that no other specification gets its id."""

    def make_builder(self, container: Any, source: str) -> MadeAlike:
        """All of it but the links."""
        made = MadeAlike(container.name, source)
        made.attributes.update({name: value.get(container) for name, value in self.attributes.items()})
        for name, dataset in self.datasets.items():
            attributes = {key: value.get(container) for key, value in dataset.attributes.items()}
            made.members[name] = Member(dataset.data.get(container), dataset.dtype, attributes)
        return made


type _Key = tuple[Any, ...]

_PATTERNS: dict[_Key, _Pattern | None] = {}
"""What objects have in common -> how these are stored; None where hdmf must build each of them."""
_ATTRIBUTES: dict[Any, tuple[str, ...] | None] = {}
"""Mapper of a type -> the attributes from which hdmf takes what it stores; None where not from them alone."""


class AlikeBuildManager(BuildManager):  # type: ignore[misc]
    """hdmf's manager of builders, but for objects that are like one that it has built."""

    def build(self, container: Any, source: Any = None, matched_spec: Any = None, **kwargs: Any) -> Any:
        """See `BuildManager.build`."""
        if kwargs or not isinstance(container, Container):
            return super().build(container, source=source, matched_spec=matched_spec, **kwargs)
        if (known := self.get_builder(container)) is not None:
            return known
        mapper = self.type_map.get_map(container)
        key = _describe(container, mapper, matched_spec)
        pattern = _PATTERNS.get(key) if key else None
        if pattern is not None:
            return self._build_alike(container, pattern, source)
        built = super().build(container, source=source, matched_spec=matched_spec)
        if key and key not in _PATTERNS:
            _PATTERNS[key] = _find_pattern(container, built, mapper, matched_spec)
        return built

    def _build_alike(self, container: Any, pattern: _Pattern, source: str) -> MadeAlike:
        container.container_source = source
        made = pattern.make_builder(container, source)
        self.prebuilt(container, made)
        for name, attribute in pattern.links.items():
            made.linked[name] = Link(self.build(getattr(container, attribute), source=source))
        return made


def _describe(container: Any, mapper: Any, matched_spec: Any) -> _Key | None:
    """What an object has in common with all that are stored like it; None for one that has others in it."""
    if mapper not in _ATTRIBUTES:
        _ATTRIBUTES[mapper] = _list_attributes(mapper)
    names = _ATTRIBUTES[mapper]
    if names is None or container.container_source is not None:
        return None
    kinds: list[Any] = []
    for name in names:
        value = getattr(container, name, None)
        if value is None:
            kinds.append(None)
        elif isinstance(value, bool):
            kinds.append(value)
        elif isinstance(value, _VARIED):
            kinds.append((type(value), value == ""))
        elif isinstance(value, DeclaredArray):
            kinds.append((DeclaredArray, len(value.shape), value.dtype))
        elif isinstance(value, Container) and value.parent is not None:
            kinds.append((Container, type(value)))
        else:
            return None
    return (mapper, id(matched_spec), type(container), *kinds)


def _list_attributes(mapper: Any) -> tuple[str, ...] | None:
    if not isinstance(mapper.spec, GroupSpec) or not set(mapper.obj_attrs) <= _PLAIN_OVERRIDES:
        return None
    names = (mapper.get_attribute(spec) for spec in _walk_specs(mapper.spec))
    return tuple(dict.fromkeys(name for name in names if name))


def _walk_specs(spec: Any) -> Iterator[Any]:
    """Everything that a specification has; nothing of what is an object of its own."""
    yield from spec.attributes
    if not isinstance(spec, GroupSpec):
        return
    yield from spec.links
    for part in (*spec.datasets, *spec.groups):
        yield part
        if part.data_type is None:
            yield from _walk_specs(part)


def _find_pattern(container: Any, built: Any, mapper: Any, matched_spec: Any) -> _Pattern | None:
    """How hdmf stored an object; None where that does not follow from its attributes one by one."""
    attributes = {spec.name: spec for spec in mapper.spec.attributes}
    datasets = {spec.name: spec for spec in mapper.spec.datasets if spec.data_type is None}
    links = {spec.name: mapper.get_attribute(spec) for spec in mapper.spec.links}
    if built.groups or not set(built.datasets) <= set(datasets) or not set(built.links) <= set(links):
        return None

    def find_value(stored: Any, spec: Any) -> _Value:
        is_fixed = spec is None or getattr(spec, "value", None) is not None
        name = "" if is_fixed else mapper.get_attribute(spec) or ""
        value = getattr(container, name, None) if name else None
        if isinstance(value, Container):
            raise ValueError("taken from another object")
        if isinstance(value, DeclaredArray):
            return _Value(None)
        if isinstance(value, bool) or not isinstance(value, _VARIED):
            return _Value(stored)  # a default, or the same for all that are alike
        found = _Value(stored, name)
        if not isinstance(stored, _VARIED):
            raise ValueError("not stored as it is")
        if found.get(container) != stored and value == value:
            raise ValueError("not stored as it is")
        return found

    try:
        made = {}
        for name, item in built.datasets.items():
            own = {spec.name: spec for spec in datasets[name].attributes}
            inner = {key: find_value(value, own.get(key)) for key, value in item.attributes.items()}
            made[name] = _Dataset(find_value(item.data, datasets[name]), item.dtype, inner)
        outer = {key: find_value(value, attributes.get(key)) for key, value in built.attributes.items()}
    except ValueError:
        return None
    return _Pattern(outer, made, {name: links[name] for name in built.links}, matched_spec)
