"""The tables of intracellular electrophysiology, from recordings up to experimental conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdmf.common import DynamicTable
from pynwb import NWBFile

from ...model.finding import problem
from ...model.plan import Node
from .columns import ObjectTable


@dataclass(frozen=True, slots=True)
class _Level:
    """One table: what makes it, and its column that refers to the level below."""

    table: str
    members: str


_LEVELS = {
    "SimultaneousRecording": _Level("get_icephys_simultaneous_recordings", "recordings"),
    "SequentialRecording": _Level("get_icephys_sequential_recordings", "simultaneous_recordings"),
    "Repetition": _Level("get_icephys_repetitions", "sequential_recordings"),
    "ExperimentalCondition": _Level("get_icephys_experimental_conditions", "repetitions"),
}
ROWS = frozenset({"IntracellularRecording", *_LEVELS})
"""Node types that are rows of these tables; their order in the plan is the order of the rows."""

_OWN_COLUMNS = {"stimulus_type"}


def add_tables(file: NWBFile, rows: Sequence[Node], objects: ObjectTable) -> None:
    """Add all rows; fields that the tables do not have by themselves become text columns.

    Raises
    ------
    Problem
        ``plan.invalid``: a row refers to something that is not in the plan.
    """
    index: dict[str, int] = {}
    recordings = [node for node in rows if node.type == "IntracellularRecording"]
    columns = _add_columns(file.get_intracellular_recordings(), recordings) if recordings else []
    for node in recordings:
        index[node.path] = file.add_intracellular_recording(**_make_recording(node, columns, objects))
    for kind, level in _LEVELS.items():
        members = [node for node in rows if node.type == kind]
        if not members:
            continue
        table = getattr(file, level.table)()
        columns = _add_columns(table, members)
        for node in members:
            below = [_find_row(index, path, node) for path in node.links.get(level.members, ())]
            # Not by pynwb's own method: it looks whether the row's number is among those of all rows before.
            DynamicTable.add_row(table, **{level.members: below}, **_get_extra_values(node, columns, own=True))
            index[node.path] = len(table) - 1


def _make_recording(node: Node, columns: Sequence[str], objects: ObjectTable) -> dict[str, Any]:
    kwargs: dict[str, Any] = {}
    for name, path in node.links.items():
        if name not in ("electrode", "response", "stimulus") or not isinstance(path, str):
            raise problem("plan.invalid", f"{node.path}: a recording has no link {name!r} to {path!r}")
        kwargs[name] = objects[path]
        array = objects.nodes[path].arrays.get("data")
        if array:  # pynwb cannot count the samples of a dataset that is still empty
            kwargs.update({f"{name}_start_index": 0, f"{name}_index_count": array.shape[0]})
    return {**kwargs, **_get_extra_values(node, columns)}


def _find_row(index: Mapping[str, int], path: str, node: Node) -> int:
    if path not in index:
        raise problem("plan.invalid", f"{node.path} refers to {path}, which is no row of the table below it")
    return index[path]


def _add_columns(table: Any, rows: Sequence[Node]) -> list[str]:
    """Columns for all fields that the table does not have by itself; their names."""
    names = sorted({name for node in rows for name in node.fields} - _OWN_COLUMNS)
    for name in names:
        table.add_column(name=name, description=f"{name.replace('_', ' ').capitalize()} of each row of this table.")
    return names


def _get_extra_values(node: Node, columns: Sequence[str], *, own: bool = False) -> dict[str, Any]:
    """Values of the row's further columns; a column cannot be left out of one row, so text is then empty."""
    values = {name: node.fields[name].value if name in node.fields else "" for name in columns}
    if own:
        values.update({name: node.fields[name].value for name in _OWN_COLUMNS if name in node.fields})
    return values
