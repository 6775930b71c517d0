"""Where objects may lie in an NWB file, as the schema says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pynwb import NWBFile

from ...model.plan import Node
from .columns import make_plan_problem
from .extension import get_type_map


@dataclass(frozen=True, slots=True)
class Places:
    """The places that the file itself has.

    Attributes
    ----------
    many
        Path of a group that holds any number of objects -> pynwb's rule (``add``: the file's method, ``type``).
    single
        Path of an object that a file has once (``/units``, ``/intervals/trials``) -> the file's attribute, the class.
    """

    many: Mapping[str, Mapping[str, Any]]
    single: Mapping[str, tuple[str, type]]

    @classmethod
    def of(cls, file: NWBFile) -> Places:
        """The places of the schema that pynwb comes with."""
        rules = {rule["attr"]: rule for rule in type(file).__clsconf__}
        rules["scratch_containers"] = rules["scratch"]  # the schema has two groups of what pynwb keeps in one
        mapper = get_type_map().get_map(file)
        many: dict[str, Mapping[str, Any]] = {}
        single: dict[str, tuple[str, type]] = {}
        for place, spec in _list_typed_groups(get_type_map().namespace_catalog.get_spec("core", "NWBFile"), ""):
            attribute = mapper.get_attribute(spec)
            if spec.name is not None:
                single[f"{place}/{spec.name}"] = attribute, get_type_map().get_dt_container_cls(spec.data_type)
            elif attribute in rules:
                many[place] = rules[attribute]
        return cls(many, single)


def _list_typed_groups(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Path and specification of every group below that is an object of its own."""
    for spec in group.groups:
        if spec.data_type is None:
            yield from _list_typed_groups(spec, f"{path}/{spec.name}")
        else:
            yield path, spec


def list_linked_paths(node: Node) -> set[str]:
    """Paths of all nodes that a node links to."""
    return {path for link in node.links.values() for path in ((link,) if isinstance(link, str) else link)}


def get_rules(parent: Any) -> list[Mapping[str, Any]]:
    """What objects of the parent's type hold, and by which method it is added."""
    stated = getattr(type(parent), "__clsconf__", ())
    return [stated] if isinstance(stated, dict) else list(stated)


def get_types(rule: Mapping[str, Any]) -> tuple[type, ...]:
    """The classes of pynwb that a rule is for."""
    return tuple(rule["type"]) if isinstance(rule["type"], (tuple, list)) else (rule["type"],)


def add_object(parent: Any, item: Any, path: str, rules: Iterable[Mapping[str, Any]]) -> None:
    """Put an object into another one: a series into a Position, a container into a processing module.

    Raises
    ------
    Problem
        ``plan.invalid``: none of the rules is for the item's type.
    """
    for rule in rules:
        if isinstance(item, get_types(rule)):
            getattr(parent, rule["add"])(item)
            return
    raise make_plan_problem(f"{path} ({type(parent).__name__}) holds no {type(item).__name__}, which {item.name} is")
