"""Whether objects of fragments fit into a plan: their places, what they refer to, the extensions that they need."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hdmf.common import DynamicTable

from ...model.elements import digest_elements
from ...model.finding import problem
from ...model.graft import Graft, GraftIndex, Reference, find_above
from ...model.plan import Node
from .columns import ObjectTable, make_plan_problem
from .extension import get_type_map
from .places import Places, get_rules, get_types


def check_grafts(nodes: Mapping[str, Node], objects: ObjectTable, places: Places) -> None:
    """Refuse grafts for which the file has no place.

    Parameters
    ----------
    nodes
        All of the plan.
    objects
        Those that are made here.

    Raises
    ------
    Problem
        ``plan.invalid``; ``fragment.reference``: what one refers to is not in the result.
    """
    grafts = {place: node.graft for place, node in nodes.items() if node.graft}
    known: dict[tuple[str, str], str] = {}
    for place, graft in grafts.items():
        first = known.setdefault((graft.source, graft.path), place)
        if first != place:
            raise make_plan_problem(f"{graft.path} of {graft.source} is to lie at {first} and at {place}")
        _check_place(place, graft, objects, places)
    _check_nesting(grafts, nodes)
    _check_references(grafts, nodes, objects)
    _check_schemas(grafts)


def _check_place(place: str, graft: Graft, objects: ObjectTable, places: Places) -> None:
    try:
        cls = get_type_map().get_dt_container_cls(graft.base, "core")
    except ValueError as error:
        raise make_plan_problem(f"{place}: NWB has no type {graft.base}") from error
    parent = place.rpartition("/")[0]
    if place in places.single:
        allowed: tuple[type, ...] = (places.single[place][1],)
    elif parent in places.many:
        allowed = get_types(places.many[parent])
    elif parent in objects.nodes:
        allowed = tuple(one for rule in get_rules(objects[parent]) for one in get_types(rule))
    else:
        known = ", ".join(sorted({*places.many, *places.single}))
        raise make_plan_problem(
            f"nothing in an NWB file can hold {place}: {parent} is no node of the plan; places: {known}"
        )
    if not issubclass(cls, allowed):
        names = ", ".join(one.__name__ for one in allowed) or "nothing"
        raise make_plan_problem(f"{place} is for {names}, and {graft.path} of {graft.source} is a {graft.base}")


def _check_nesting(grafts: Mapping[str, Graft], nodes: Mapping[str, Node]) -> None:
    """Refuse objects below those of a fragment: all that is there is as the other program exported it."""
    for place in nodes:
        above = find_above(place.rpartition("/")[0], grafts)
        if above:
            raise make_plan_problem(f"{place} is to lie in {above}, which comes whole from {grafts[above].source}")


def _check_references(grafts: Mapping[str, Graft], nodes: Mapping[str, Node], objects: ObjectTable) -> None:
    index = GraftIndex(grafts)
    for place, graft in grafts.items():
        for path, reference in graft.references.items():
            if index.find_place(graft.source, path) is not None:
                continue
            if why := _find_mismatch(nodes.get(path), reference, objects):
                message = f"{graft.path} of {graft.source} refers to {path} ({reference.type or 'no type'}), {why}"
                raise problem("fragment.reference", message, file=graft.source, array=place)


def _find_mismatch(node: Node | None, reference: Reference, objects: ObjectTable) -> str:
    """Why the node of the plan at its place cannot stand for an object of a fragment; empty if one can.

    Ids of rows that come from a raw file, or from another fragment, are compared when the table is filled (see
    `grafts.check_stand_ins`).
    """
    if node is None:
        return "which is neither taken over nor a node of the plan"
    if not reference.ids or node.graft:
        return "" if node.type == reference.type else f"where the plan has a {node.type}"
    table = objects[node.path]
    if not isinstance(table, DynamicTable):
        return f"where the plan has a {node.type}"
    ids = table.id.data
    if isinstance(ids, np.ndarray) and digest_elements(ids.astype("<i8")).hex() != reference.ids:
        return f"and the table of the plan has other row ids ({len(ids)} rows)"
    return ""


def _check_schemas(grafts: Mapping[str, Graft]) -> None:
    """Refuse different versions of one extension: a file is read with one."""
    known: dict[str, tuple[str, Graft]] = {}
    for graft in grafts.values():
        for name, schema in graft.schemas.items():
            first, other = known.setdefault(name, (schema, graft))
            if first != schema:
                versions = f"{first.split()[0]} in {other.source}, {schema.split()[0]} in {graft.source}"
                raise make_plan_problem(f"the extension {name} is not the same in all fragments: {versions}")
