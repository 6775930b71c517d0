"""Spikes of populations, node by node: where each node's lie, and how they are read in that order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import h5py
import numpy as np

from ...model.budget import SONATA_NODES, SONATA_SORTED
from ...model.finding import Problem, problem
from .members import NODES, clean_name, find_time_unit, find_vector, list_groups, read_text

SORTINGS = {"0": "none", "1": "by_id", "2": "by_time"}
"""What the numbers of ``sorting`` mean, where a file does not bring their names along."""
AS_STORED = "as stored"
SORTED = "by node, then by time"
SCANNED = 2**20
"""Spikes that are looked at at once."""


@dataclass(frozen=True, slots=True)
class Population:
    """Spikes of one population, those of each node together and in the order of time.

    Attributes
    ----------
    name
        As the group is called; empty in the flat layout.
    nodes, ends
        Ids of the nodes that spiked, ascending, and where the spikes of each end.
    times
        All times as stored, in this order: the file's dataset, or a copy that was sorted.
    unit, sorting
        As the file states them.
    negative
        How many spikes are before time 0.
    """

    name: str
    nodes: np.ndarray
    ends: np.ndarray
    times: h5py.Dataset | np.ndarray
    unit: str
    sorting: str
    negative: int

    @property
    def order(self) -> str:
        """How the order came about."""
        return AS_STORED if isinstance(self.times, h5py.Dataset) else SORTED


class _Runs(NamedTuple):
    """Nodes of spikes that are in order, where the spikes of each begin, and how many spikes are before time 0."""

    nodes: np.ndarray
    starts: np.ndarray
    negative: int


def read_populations(group: h5py.Group, key: str, options: Mapping[str, Any]) -> list[Population]:
    """Populations that spiked, or the only one of the flat layout.

    Raises
    ------
    Problem
        ``sonata.limit``, ``sonata.unit``.
    ValueError
        The file is damaged.
    """
    places = {"": group} if "timestamps" in group else list_groups(group)
    return [_read_population(place, clean_name(name), key, options) for name, place in places.items()]


def _read_population(group: h5py.Group, name: str, key: str, options: Mapping[str, Any]) -> Population:
    times, ids = find_vector(group, "timestamps", kinds="iuf"), find_vector(group, *NODES)
    if times is None or ids is None:
        raise ValueError("spikes have times and nodes")
    where = clean_name(str(group.name))
    if len(times) != len(ids):
        raise ValueError(f"{where} has {len(times)} timestamps and {len(ids)} node ids; each spike has one of both")
    unit = find_time_unit(times, key, options)
    sorting = read_text(group, "sorting")
    sorting = SORTINGS.get(sorting, sorting)
    runs = _find_runs(ids, times)
    data: h5py.Dataset | np.ndarray = times
    if runs is None:
        if len(times) > SONATA_SORTED:
            raise _make_limit_problem(
                key, f"{where} has {len(times)} spikes that do not stand node by node; up to {SONATA_SORTED} are sorted"
            )
        data, runs = _sort_spikes(ids[()], times[()])
    if len(runs.nodes) > SONATA_NODES:
        raise _make_limit_problem(key, f"{len(runs.nodes)} nodes of {where} spiked; the limit is {SONATA_NODES}")
    ends = np.append(runs.starts[1:], len(times)).astype("<i8") if len(times) else np.empty(0, "<i8")
    return Population(name, runs.nodes.astype("<u8"), ends, data, unit, sorting, runs.negative)


def _find_runs(ids: h5py.Dataset, times: h5py.Dataset) -> _Runs | None:
    """Where each node's spikes begin; None where they do not stand node by node and in the order of time."""
    nodes, starts, negative = [], [], 0
    last: tuple[Any, Any] | None = None
    for first in range(0, len(ids), SCANNED):
        node, time = ids[first : first + SCANNED], times[first : first + SCANNED]
        _check_spikes(node, time)
        negative += int(np.count_nonzero(time < 0))
        if last is not None:  # the one before belongs to the comparison, not to this block
            node, time = np.insert(node, 0, last[0]), np.insert(time, 0, last[1])
        is_same = node[1:] == node[:-1]
        if np.any(node[1:] < node[:-1]) or np.any(is_same & (time[1:] < time[:-1])):
            return None
        begins = np.flatnonzero(~is_same) + 1
        if last is None:
            begins = np.insert(begins, 0, 0)
        nodes.append(node[begins])
        starts.append(begins + first - (last is not None))
        last = node[-1], time[-1]
    if not nodes:
        return _Runs(np.empty(0, "<u8"), np.empty(0, "<i8"), 0)
    return _Runs(np.concatenate(nodes), np.concatenate(starts), negative)


def _sort_spikes(ids: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, _Runs]:
    """Times by node, then by time; equal ones stay in the order in which they were stored."""
    _check_spikes(ids, times)
    order = np.lexsort((times, ids))
    ids, times = ids[order], times[order]
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    return times, _Runs(ids[starts], starts, int(np.count_nonzero(times < 0)))


def _check_spikes(ids: np.ndarray, times: np.ndarray) -> None:
    if ids.size and ids.min() < 0:
        raise ValueError(f"a spike is of the node {ids.min()}; ids count from 0")
    if not np.all(np.isfinite(times)):
        wrong = times[~np.isfinite(times)][0]
        raise ValueError(f"a spike of node {ids[~np.isfinite(times)][0]} has the time {wrong}")


def read_times(populations: Sequence[Population], start: int, stop: int) -> Iterator[np.ndarray]:
    """Times from one place to another of those of all populations, one after the other."""
    first = 0
    for population in populations:
        count = len(population.times)
        low, high = max(start - first, 0), min(stop - first, count)
        if low < high:
            yield population.times[low:high]
        first += count


def _make_limit_problem(key: str, why: str) -> Problem:
    return problem("sonata.limit", f"{key}: {why}", file=key)
