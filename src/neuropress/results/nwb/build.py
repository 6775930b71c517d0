"""From a plan's nodes to a `pynwb.NWBFile` whose arrays are declared and still empty."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from hdmf.common import DynamicTable
from hdmf.utils import get_docval
from pynwb import NWBFile

from ...model.plan import Node, Plan
from . import icephys
from .columns import (
    DeclaredArray,
    ObjectTable,
    check_texts,
    list_regions,
    make_plan_problem,
    make_region,
    make_table_parts,
)
from .extension import DATASETS, NAME, find_type_map, get_container_class, get_provenance_class
from .graft_places import check_grafts
from .places import Places, add_object, get_rules, list_linked_paths


def build_nwbfile(plan: Plan, version: str, sections: Mapping[str, str]) -> NWBFile:
    """The whole file as pynwb objects.

    Parameters
    ----------
    version
        Of neuropress, for ``was_generated_by``.
    sections
        Provenance as text; the receipt is a placeholder that is replaced once the arrays are filled.

    Raises
    ------
    Problem
        ``plan.invalid``: the plan asks for a type, a field or a value that NWB does not have.
    """
    nodes = {node.path: node for node in plan.nodes}
    if len(nodes) < len(plan.nodes):
        raise make_plan_problem("two nodes have the same path")
    file = _make_file(nodes.pop("/", None), version)
    own = [node for node in nodes.values() if not node.graft]
    rows = [node for node in own if node.type in icephys.ROWS]
    types = find_type_map(plan)
    objects = _ObjectTable({n.path: n for n in own if n.type not in icephys.ROWS}, types, plan.grafts())
    places = Places.of(file)
    check_grafts(nodes, objects, places)
    for node in objects.nodes.values():
        try:
            _place_object(file, node, objects, places)
        except (TypeError, ValueError) as error:
            raise make_plan_problem(f"{node.path}: {error}") from error
    icephys.add_tables(file, rows, objects)
    texts = {DATASETS[name]: text for name, text in sections.items()}
    file.add_lab_meta_data(get_provenance_class(types)(name=NAME, **texts))
    return file


def _place_object(file: NWBFile, node: Node, objects: _ObjectTable, places: Places) -> None:
    """Put an object where its path says: into the file, or into the object whose path is the beginning of its own."""
    parent = node.path.rpartition("/")[0]
    item = objects[node.path]
    if node.path in places.single:
        attribute, cls = places.single[node.path]
        if not isinstance(item, cls):
            raise make_plan_problem(f"{node.path} is a {cls.__name__} in every NWB file, not a {node.type}")
        setattr(file, attribute, item)
    elif parent in places.many:
        add_object(file, item, parent, [places.many[parent]])
    elif parent in objects.nodes:
        if node.path not in list_linked_paths(objects.nodes[parent]):  # its parent was made of it
            add_object(objects[parent], item, parent, get_rules(objects[parent]))
    elif not any(node.path in list_linked_paths(other) for other in objects.nodes.values()):
        known = ", ".join(sorted({*places.many, *places.single}))
        raise make_plan_problem(
            f"nothing in an NWB file can hold {node.path}: {parent} is no node of the plan; places: {known}"
        )


def _make_file(node: Node | None, version: str) -> NWBFile:
    if node is None or node.type != "NWBFile":
        raise make_plan_problem("it has no node '/' of type NWBFile")
    kwargs = _make_arguments(NWBFile, node)
    # The wall clock would make two runs on the same input differ: the file's create date is the session's start.
    kwargs["file_create_date"] = kwargs.get("session_start_time")
    kwargs["was_generated_by"] = [["neuropress", version]]
    return _construct_object(NWBFile, kwargs, node)


class _ObjectTable:
    """Path -> pynwb object, made when first asked for, after those that it links to."""

    def __init__(self, nodes: Mapping[str, Node], types: Any, grafts: Collection[str] = ()) -> None:
        self.nodes = nodes
        self._types = types
        self._grafts = grafts
        self._made: dict[str, Any] = {}
        self._under_way: list[str] = []

    def __getitem__(self, path: str) -> Any:
        if path not in self._made:
            if path in self._grafts:
                raise make_plan_problem(
                    f"{path} is linked to by a node, and it comes from a fragment: only its own can"
                )
            if path not in self.nodes:
                raise make_plan_problem(f"{path} is linked to, but the plan has no such node")
            if path in self._under_way:
                raise make_plan_problem(f"{path} links to itself by way of {', '.join(self._under_way)}")
            self._under_way.append(path)
            self._made[path] = self._make_object(self.nodes[path])
            self._under_way.pop()
        return self._made[path]

    def _make_object(self, node: Node) -> Any:
        cls = _get_container_class(node, self._types)
        if issubclass(cls, DynamicTable):
            return _construct_object(
                cls, {**_make_arguments(cls, node, self), **make_table_parts(cls, node, self)}, node
            )
        return _construct_object(cls, _make_arguments(cls, node, self), node)


def _get_container_class(node: Node, types: Any) -> Any:
    try:
        return get_container_class(types, node.type)
    except ValueError as error:
        raise make_plan_problem(f"{node.path}: NWB has no type {node.type}") from error


def _make_arguments(cls: Any, node: Node, objects: ObjectTable | None = None) -> dict[str, Any]:
    """Constructor arguments from a node's fields, arrays and links; columns of tables are left to the caller."""
    known = {argument["name"]: argument for argument in get_docval(cls.__init__)}
    is_table = issubclass(cls, DynamicTable)
    names = {name.partition("/")[0] for name in (*node.fields, *node.links, *node.arrays)}
    regions = list_regions(node)
    unknown = sorted(names - set(known))
    if unknown and not is_table:
        raise make_plan_problem(
            f"{node.path}: {node.type} has no field {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )
    parts = [name for name in node.fields if "/" in name and name.split("/")[0] not in regions]
    if parts and not is_table:
        raise make_plan_problem(f"{node.path}: {parts[0]} says something of a region that {node.type} does not have")
    kwargs: dict[str, Any] = {}
    for name in sorted(names & set(known) - {"id"}):
        if name in regions:
            kwargs[name] = make_region(node, name, objects)
        elif name in node.fields:
            kwargs[name] = _convert_value(known[name], node.fields[name].value, node)
        elif name in node.arrays:
            kwargs[name] = DeclaredArray(node.arrays[name])
        elif name in node.links and objects is not None:
            link = node.links[name]
            kwargs[name] = objects[link] if isinstance(link, str) else [objects[path] for path in link]
    if "name" in known and node.path != "/general/subject":
        kwargs["name"] = node.path.rpartition("/")[2]
    return kwargs


def _convert_value(argument: Mapping[str, Any], value: Any, node: Node) -> Any:
    """A JSON value as the type that pynwb insists on."""
    types = argument["type"] if isinstance(argument["type"], (tuple, list)) else (argument["type"],)
    if datetime in types:
        return _parse_instant(value, argument["name"], node)
    check_texts(value, f"{node.path}: {argument['name']}")
    if isinstance(value, list) and value and isinstance(value[0], list):
        return _convert_pairs(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if "uint32" in types and 0 <= value < 2**32:
            return np.uint32(value)
        return float(value) if float in types and int not in types else value
    return value


def _convert_pairs(rows: list[list[Any]]) -> Any:
    """Lists of row numbers as the smallest type that holds them: where NWB asks for uint8, hdmf takes no list."""
    numbers = np.asarray(rows)
    if numbers.dtype.kind != "i" or numbers.min() < 0:
        return rows
    return numbers.astype(np.min_scalar_type(numbers.max()))


def _parse_instant(text: Any, name: str, node: Node) -> datetime:
    """ISO 8601 text with its offset. Without one pynwb would silently take the machine's zone."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise make_plan_problem(f"{node.path}: {name} = {text!r} is no ISO 8601 date and time") from error
    if moment.tzinfo is None:
        raise make_plan_problem(f"{node.path}: {name} = {text!r} has no offset from UTC")
    return moment


def _construct_object(cls: Any, kwargs: Mapping[str, Any], node: Node) -> Any:
    try:
        return cls(**kwargs)
    except (TypeError, ValueError) as error:
        raise make_plan_problem(f"{node.path}: {error}") from error
