"""Columns of tables and regions of tables, from a node's fields, arrays and links."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, DynamicTableRegion, ElementIdentifiers, VectorData, VectorIndex
from hdmf.utils import get_docval

from ...model.elements import TEXT
from ...model.finding import Problem, problem
from ...model.plan import ArraySpec, Node

INDEX = "_index"
_RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")


class ObjectTable(Protocol):
    """Path -> pynwb object, and the nodes they are made from."""

    nodes: Mapping[str, Node]

    def __getitem__(self, path: str) -> Any: ...


class DeclaredArray(H5DataIO):  # type: ignore[misc]
    """The shape and type of an array that is filled later; for pynwb an array without elements."""

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(shape=spec.shape, dtype=np.dtype(object) if spec.dtype == TEXT else spec.type)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        """Whether it will have elements: hdmf writes no names of columns where all columns are empty."""
        return 0 not in self.shape

    def get_io_params(self) -> dict[str, Any]:
        """Nothing: hdmf copies records element by element and hands these on, beside data that they are not of."""
        return {}


def make_plan_problem(why: str, **where: Any) -> Problem:
    """A plan that asks for what NWB does not have."""
    return problem("plan.invalid", f"The plan cannot be written as NWB: {why}", **where)


def check_texts(value: Any, place: str) -> None:
    """Refuse texts that HDF5 cannot hold."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and "\0" in text for text in values):
        raise make_plan_problem(f"{place} holds a NUL character, which HDF5 text cannot")


def list_regions(node: Node) -> set[str]:
    """Names with rows and a table: regions."""
    return {name for name in node.links if name in node.fields or name in node.arrays}


def make_region(node: Node, name: str, objects: ObjectTable | None) -> DynamicTableRegion:
    """Rows of another table: ``rois`` of a series, ``electrodes`` of a unit."""
    link = node.links[name]
    if objects is None or not isinstance(link, str) or not isinstance(objects[link], DynamicTable):
        raise make_plan_problem(f"{node.path}: {name} is a region of {link}, which is no table")
    table = objects[link]
    rows: Any = DeclaredArray(node.arrays[name]) if name in node.arrays else _parse_rows(node, name)
    if not isinstance(rows, DeclaredArray) and rows.size and not 0 <= rows.min() <= rows.max() < len(table.id):
        raise make_plan_problem(f"{node.path}: {name} names row {rows.max()} of {link}, which has {len(table.id)} rows")
    stated = node.fields.get(f"{name}/description")
    description = str(stated.value) if stated else f"Rows of {link}."
    return DynamicTableRegion(name=name, data=rows, description=description, table=table, validate_data=False)


def _parse_rows(node: Node, name: str) -> np.ndarray:
    """Row numbers of a field: a list, or ``start:stop``."""
    value = node.fields[name].value
    if isinstance(value, str) and (match := _RANGE.fullmatch(value)):
        return np.arange(int(match[1]), int(match[2]), dtype="<i8")
    if isinstance(value, (list, tuple)) and all(isinstance(row, int) for row in value):
        return np.asarray(value, "<i8")
    raise make_plan_problem(f"{node.path}: {name} = {str(value)[:80]!r} is no list of row numbers and no range (0:10)")


def make_table_parts(cls: Any, node: Node, objects: ObjectTable) -> dict[str, Any]:
    """``columns`` and ``id`` of a table, for its constructor.

    Columns that the type names come first, in its order; then the others as the node has them.
    """
    fixed = {argument["name"] for argument in get_docval(cls.__init__)}
    stated = {column["name"]: column for column in getattr(cls, "__columns__", ())}
    names = dict.fromkeys(name for name in (*node.fields, *node.arrays, *node.links) if name not in fixed)
    own = [name for name in names if "/" not in name]
    indices = [name for name in own if name.endswith(INDEX) and name.removesuffix(INDEX) in own]
    ordered = [name for name in (*stated, *own) if name in own and name not in indices]
    made: dict[str, Any] = {}
    for name in dict.fromkeys(ordered):
        made[name] = _make_column(node, name, stated.get(name, {}), objects)
    for name in sorted(indices, key=len):  # an index of an index has the longer name
        made[name] = VectorIndex(name=name, data=_get_values(node, name), target=made[name.removesuffix(INDEX)])
    _check_parts(node, names, made)
    tops = [column for name, column in made.items() if name + INDEX not in made]
    count = len(tops[0].data) if tops else 0
    data = DeclaredArray(node.arrays["id"]) if "id" in node.arrays else np.arange(count, dtype="<i8")
    return {"columns": list(made.values()) or None, "id": ElementIdentifiers(name="id", data=data)}


def _check_parts(node: Node, names: Mapping[str, None], made: Mapping[str, Any]) -> None:
    """Refuse a description of a column that the table does not have."""
    for name in names:
        column, _, part = name.partition("/")
        if part and column not in made:
            raise make_plan_problem(f"{node.path}: {name} says something of a column that the table does not have")


def _make_column(node: Node, name: str, stated: Mapping[str, Any], objects: ObjectTable) -> VectorData:
    if name in list_regions(node):
        return make_region(node, name, objects)
    cls = stated.get("class", VectorData)
    about = {key.partition("/")[2]: field.value for key, field in node.fields.items() if key.startswith(f"{name}/")}
    known = {argument["name"] for argument in get_docval(cls.__init__)}
    if unknown := sorted(set(about) - known):
        raise make_plan_problem(
            f"{node.path}: column {name} ({cls.__name__}) has no {unknown[0]!r}; say it in its description"
        )
    if name in node.links:
        link = node.links[name]
        data: Any = [objects[path] for path in ((link,) if isinstance(link, str) else link)]
    else:
        data = _get_values(node, name)
    if "description" not in {*about, *stated}:
        raise make_plan_problem(f"{node.path}: the column {name} needs a field {name}/description")
    return cls(**{"name": name, "data": data, "description": stated.get("description"), **about})


def _get_values(node: Node, name: str) -> Any:
    """What fills a column: an array of raw data, or a list that stands in the plan."""
    if name in node.arrays:
        return DeclaredArray(node.arrays[name])
    value = node.fields[name].value
    if not isinstance(value, (list, tuple)):
        raise make_plan_problem(
            f"{node.path}: {node.type} has no field {name!r}; as a column it needs a list or an array"
        )
    check_texts(list(value), f"{node.path}: {name}")
    if all(isinstance(part, str) for part in value):
        return list(value)
    # Of a mixed list hdmf takes the first element's type for all: 2.5 after 1 would become 2.
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise make_plan_problem(f"{node.path}: {name}: {error}") from error
    if numbers.dtype.kind not in "biuf":
        raise make_plan_problem(f"{node.path}: the column {name} holds neither texts alone nor numbers alone")
    return numbers


def check_indices(file: h5py.File, arrays: Collection[str]) -> None:
    """Refuse an index that does not fit its column, which only samples show, read by now.

    Raises
    ------
    Problem
        ``plan.invalid``: ends of rows that do not ascend, or do not end where the column ends.
    """
    for path in arrays:
        target = file.get(path.removesuffix(INDEX)) if path.endswith(INDEX) else None
        if not isinstance(target, h5py.Dataset) or file[path].attrs.get("neurodata_type") != "VectorIndex":
            continue
        ends = file[path][()].astype("<i8")
        last = int(ends[-1]) if ends.size else 0
        if last != len(target) or np.any(np.diff(ends, prepend=0) < 0):
            raise make_plan_problem(f"{path} ends at {last} or does not ascend; its column has {len(target)} elements")
