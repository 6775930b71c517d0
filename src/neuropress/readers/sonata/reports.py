"""Reports: values of elements (compartments, synapses, channels) at evenly spaced moments, in every dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import h5py
import numpy as np

from ...model.budget import SONATA_ELEMENTS
from ...model.finding import problem
from .members import NODES, clean_name, find_member, find_time_unit, find_vector, list_groups, read_text

POINTERS = ("index_pointers", "index_pointer")
"""Where the elements of each node begin, and where the last ends: Blue Brain's name and the Allen Institute's."""
ELEMENTS = ("element_ids", "element_id")
_READ = {*NODES, *POINTERS, *ELEMENTS, "time"}
_TAKEN = {"node_id", "element_id", "id", "name", "description", "columns", "colnames"}
"""Names of columns that are made here, and those that NWB's tables use themselves."""
LEAST, MOST = Fraction(1, 10**12), 10**15
"""The shortest step that is believed, and the longest time, in whatever unit."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    Attributes
    ----------
    name
        That of its population; empty where the layout has none.
    is_extracellular
        Whether its columns are channels, which are no nodes.
    data
        Values as stored, (time, element).
    columns
        What is known of each element: ``node_id``, ``element_id``, ``element_pos``, ``channel_id`` and what else the
        file has, by name.
    nodes
        How many nodes it is about.
    start, step
        Of its times, exact in `time_unit`.
    unit, variable
        As the file states them; empty where it does not.
    notes
        What does not agree, a sentence each.
    """

    name: str
    is_extracellular: bool
    data: h5py.Dataset
    columns: Mapping[str, np.ndarray]
    nodes: int
    start: Fraction
    step: Fraction
    time_unit: str
    unit: str
    variable: str
    notes: tuple[str, ...]


def read_reports(file: h5py.File, key: str, options: Mapping[str, Any]) -> Iterator[Report]:
    """Reports of all populations, or the only one of a layout without populations.

    Raises
    ------
    Problem
        ``sonata.limit``, ``sonata.unit``.
    ValueError
        The file is damaged.
    """
    group = find_member(file, "report")
    for name, place in list_groups(group).items() if isinstance(group, h5py.Group) else ():
        yield _read_report(place, clean_name(name), key, options)
    channels = find_member(file, "ecp")
    for place in (file, channels):
        if isinstance(place, h5py.Group) and "data" in place and ("mapping" in place or "channel_id" in place):
            yield _read_report(place, "", key, options)


def _read_report(group: h5py.Group, name: str, key: str, options: Mapping[str, Any]) -> Report:
    where = clean_name(str(group.name)).rstrip("/")
    data = find_member(group, "data")
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf" or data.dtype.itemsize > 8:
        raise ValueError(f"there is no dataset {where}/data of numbers")
    if data.shape is None or len(data.shape) != 2 or not all(data.shape):
        raise ValueError(f"{where}/data has the shape {data.shape}, not one of moments and elements")
    if data.shape[1] > SONATA_ELEMENTS:
        message = f"{key}: {where}/data has {data.shape[1]} elements; the limit is {SONATA_ELEMENTS}"
        raise problem("sonata.limit", message, file=key)
    mapping = find_member(group, "mapping")
    place = mapping if isinstance(mapping, h5py.Group) else group
    channels = find_vector(group, "channel_id", needed=False)
    notes: list[str] = []
    if channels is not None:
        columns, nodes = {"channel_id": _read_column(channels, data.shape[1])}, 0
    else:
        columns, nodes = _read_elements(place, where, data.shape[1], notes)
    time = find_vector(place, "time", kinds="iuf", needed=False) or find_vector(group, "time", kinds="iuf")
    start, step = _read_times(time, where, len(data), notes)
    return Report(
        name=name,
        is_extracellular=channels is not None,
        data=data,
        columns=columns,
        nodes=nodes,
        start=start,
        step=step,
        time_unit=find_time_unit(time, key, options),
        unit=read_text(data, "units", "unit"),
        variable=read_text(data, "variable", "variable_name"),
        notes=tuple(notes),
    )


def _read_elements(mapping: h5py.Group, where: str, count: int, notes: list[str]) -> tuple[dict[str, np.ndarray], int]:
    """What the mapping knows of each column of the data, and of how many nodes."""
    nodes, pointers = find_vector(mapping, *NODES), find_vector(mapping, *POINTERS)
    elements = find_vector(mapping, *ELEMENTS, needed=False)
    if nodes is None or pointers is None:
        raise ValueError(f"{where} does not map its columns to nodes")
    if len(nodes) > count or len(pointers) != len(nodes) + 1:
        counts = f"{count} columns, {len(nodes)} nodes and {len(pointers)} index pointers"
        raise ValueError(f"{where} has {counts}; each node has a column, and there is one pointer more than nodes")
    ids, begins = nodes[()], pointers[()]
    if ids.size and ids.min() < 0:
        raise ValueError(f"{where} has the node {ids.min()}; ids count from 0")
    if begins[0] != 0 or begins[-1] != count or np.any(begins[1:] < begins[:-1]):
        raise ValueError(f"index pointers of {where} do not ascend from 0 to its {count} columns")
    columns = {"node_id": np.repeat(ids.astype("<u8"), np.diff(begins.astype("<i8")))}
    if elements is not None:
        columns["element_id"] = _read_column(elements, count)
    others = []
    for name in sorted(mapping):
        item = find_member(mapping, name)
        if name in _READ:
            continue
        is_column = isinstance(item, h5py.Dataset) and item.shape == (count,) and item.dtype.kind in "iuf"
        is_name = name.isidentifier() and name.isascii() and name not in _TAKEN
        if is_column and is_name and item.dtype.itemsize <= 8:
            columns[name] = _read_column(item, count)
        else:
            others.append(clean_name(name))
    if others:
        notes.append(
            f"{where}/mapping has {', '.join(others[:10])}, which is no number for each element and is left out"
        )
    return columns, len(ids)


def _read_column(item: h5py.Dataset, count: int) -> np.ndarray:
    if len(item) != count:
        name = clean_name(str(item.name))
        raise ValueError(f"{name} has {len(item)} entries for {count} columns of data")
    column = item[()]
    return np.asarray(column.astype(column.dtype.newbyteorder("<")))


def _read_times(time: h5py.Dataset | None, where: str, frames: int, notes: list[str]) -> tuple[Fraction, Fraction]:
    """Start and step, exact, of ``[start, stop, step]``, which must agree with the number of moments."""
    if time is None or len(time) != 3:
        raise ValueError(f"{where} does not state its time as start, stop and step")
    values = time[()]
    if not np.all(np.isfinite(values)):
        raise ValueError(f"time of {where} is {values.tolist()}")
    # The decimal that was meant: the float64 nearest to 0.1 is no tenth, and the float32 even less.
    start, stop, step = (Fraction(str(value)) for value in values)
    if step < LEAST or stop < start or max(abs(start), abs(stop), step) > MOST:
        raise ValueError(f"time of {where} is {values.tolist()}: start, stop and step do not fit together")
    expected = (stop - start) / step
    if abs(expected - frames) >= Fraction(3, 2):  # simulators count the last moment or do not, and stop is rounded
        raise ValueError(f"time of {where} is {values.tolist()}, which does not make the {frames} moments that it has")
    if abs(expected - frames) >= Fraction(1, 2):
        notes.append(f"time of {where} makes {float(expected):g} moments, and it has {frames}; the step is believed")
    return start, step
