"""From a plan's nodes to a `pynwb.NWBFile` whose arrays are declared and still empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from hdmf.common import ElementIdentifiers, VectorData
from hdmf.utils import get_docval
from pynwb import NWBFile
from pynwb.event import DurationVectorData, EventsTable, TimestampVectorData

from ...model.finding import Problem, problem
from ...model.plan import Node, Plan
from . import icephys
from .extension import DATASETS, NAME, provenance_class, type_map
from .storage import declared

ADDERS = {
    "/acquisition": "add_acquisition",
    "/events": "add_events_table",
    "/general/devices": "add_device",
    "/general/devices/models": "add_device_model",
    "/general/intracellular_ephys": "add_icephys_electrode",
    "/general/optophysiology": "add_imaging_plane",
    "/stimulus/presentation": "add_stimulus",
    "/stimulus/templates": "add_stimulus_template",
}
"""Where in the file an object may lie -> the method that puts it there."""

EVENT_COLUMNS = {
    "timestamps": ("timestamp", TimestampVectorData, "Time of each event, in seconds from the session's start."),
    "durations": ("duration", DurationVectorData, "Duration of each event, in seconds; NaN where it has none."),
    "text": ("annotation", VectorData, "What the event says."),
    "kind": ("kind", VectorData, "What set the event, as the recording program names it."),
}
"""Field of an EventsTable node -> column."""


def build(plan: Plan, version: str, sections: Mapping[str, str]) -> NWBFile:
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
        raise _invalid("two nodes have the same path")
    file = _file(nodes.pop("/", None), version)
    rows = [node for node in nodes.values() if node.type in icephys.ROWS]
    objects = _Objects({path: node for path, node in nodes.items() if node.type not in icephys.ROWS})
    linked = {path for node in nodes.values() for link in node.links.values() for path in _paths(link)}
    for path in objects.nodes:
        parent = path.rpartition("/")[0]
        if path == "/general/subject":
            file.subject = objects[path]
        elif parent in ADDERS:
            getattr(file, ADDERS[parent])(objects[path])
        elif path not in linked:
            raise _invalid(f"nothing in an NWB file can hold {path}; known places: {', '.join(sorted(ADDERS))}")
    icephys.add_tables(file, rows, objects)
    texts = {DATASETS[name]: text for name, text in sections.items()}
    file.add_lab_meta_data(provenance_class()(name=NAME, **texts))
    return file


def _invalid(why: str, **where: Any) -> Problem:
    return problem("plan.invalid", f"The plan cannot be written as NWB: {why}", **where)


def _paths(link: str | tuple[str, ...]) -> tuple[str, ...]:
    return (link,) if isinstance(link, str) else link


def _file(node: Node | None, version: str) -> NWBFile:
    if node is None or node.type != "NWBFile":
        raise _invalid("it has no node '/' of type NWBFile")
    kwargs = _arguments(NWBFile, node)
    # The wall clock would make two runs on the same input differ: the file's create date is the session's start.
    kwargs["file_create_date"] = kwargs.get("session_start_time")
    kwargs["was_generated_by"] = [["neuropress", version]]
    return _construct(NWBFile, kwargs, node)


class _Objects:
    """Path -> pynwb object, made when first asked for, after those that it links to."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._made: dict[str, Any] = {}
        self._under_way: list[str] = []

    def __getitem__(self, path: str) -> Any:
        if path not in self._made:
            if path not in self.nodes:
                raise _invalid(f"{path} is linked to, but the plan has no such node")
            if path in self._under_way:
                raise _invalid(f"{path} links to itself by way of {', '.join(self._under_way)}")
            self._under_way.append(path)
            self._made[path] = self._make(self.nodes[path])
            self._under_way.pop()
        return self._made[path]

    def _make(self, node: Node) -> Any:
        cls = _container_class(node)
        if cls is EventsTable:
            return _events(node)
        kwargs = _arguments(cls, node)
        for name, link in node.links.items():
            kwargs[name] = self[link] if isinstance(link, str) else [self[path] for path in link]
        return _construct(cls, kwargs, node)


def _container_class(node: Node) -> Any:
    try:
        return type_map().get_dt_container_cls(node.type, "core")
    except ValueError as error:
        raise _invalid(f"{node.path}: NWB has no type {node.type}") from error


def _arguments(cls: Any, node: Node) -> dict[str, Any]:
    """Constructor arguments from a node's fields and arrays; links are left to the caller."""
    known = {argument["name"]: argument for argument in get_docval(cls.__init__)}
    unknown = sorted({*node.fields, *node.links, *node.arrays} - set(known))
    if unknown:
        raise _invalid(f"{node.path}: {node.type} has no field {unknown[0]!r}; known: {', '.join(sorted(known))}")
    kwargs = {name: _value(known[name], field.value, node) for name, field in node.fields.items()}
    kwargs.update({name: declared(spec) for name, spec in node.arrays.items()})
    if "name" in known and node.path != "/general/subject":
        kwargs["name"] = node.path.rpartition("/")[2]
    return kwargs


def _value(argument: Mapping[str, Any], value: Any, node: Node) -> Any:
    """A JSON value as the type that pynwb insists on."""
    types = argument["type"] if isinstance(argument["type"], (tuple, list)) else (argument["type"],)
    if datetime in types:
        return _instant(value, argument["name"], node)
    if any("\0" in text for text in ([value] if isinstance(value, str) else _texts(value))):
        raise _invalid(f"{node.path}: {argument['name']} holds a NUL character, which HDF5 text cannot")
    if isinstance(value, int) and not isinstance(value, bool):
        if "uint32" in types and 0 <= value < 2**32:
            return np.uint32(value)
        return float(value) if float in types and int not in types else value
    return value


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _instant(text: Any, name: str, node: Node) -> datetime:
    """ISO 8601 text with its offset. Without one pynwb would silently take the machine's zone."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise _invalid(f"{node.path}: {name} = {text!r} is no ISO 8601 date and time") from error
    if moment.tzinfo is None:
        raise _invalid(f"{node.path}: {name} = {text!r} has no offset from UTC")
    return moment


def _construct(cls: Any, kwargs: Mapping[str, Any], node: Node) -> Any:
    try:
        return cls(**kwargs)
    except (TypeError, ValueError) as error:
        raise _invalid(f"{node.path}: {error}") from error


def _events(node: Node) -> EventsTable:
    texts = {name: field.value for name, field in node.fields.items() if name not in EVENT_COLUMNS}
    unknown = sorted(set(texts) - {"description", "source_description"})
    if unknown or "timestamps" not in node.fields:
        known = ", ".join(("description", "source_description", *EVENT_COLUMNS))
        raise _invalid(f"{node.path}: an EventsTable needs timestamps and takes {known}; found {sorted(node.fields)}")
    columns = [
        cls(name=name, description=description, data=list(node.fields[source].value))
        for source, (name, cls, description) in EVENT_COLUMNS.items()
        if source in node.fields
    ]
    name = node.path.rpartition("/")[2]
    identifiers = ElementIdentifiers(name="id", data=list(range(len(columns[0].data))))
    return _construct(EventsTable, {"name": name, "id": identifiers, "columns": columns, **texts}, node)
