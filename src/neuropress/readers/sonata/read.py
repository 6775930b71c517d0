"""SONATA files as a table of units and as series with their elements.

Own code on h5py: libsonata (LGPL) refuses files of the Allen Institute, whose attribute ``sorting`` is a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np

from ...model.budget import SONATA_NODES, SONATA_POPULATIONS
from ...model.content import Channel, Column, Content, DataTable, LazyArray, Selection, Series
from ...model.finding import problem
from ...model.source import Source
from ..hdf5.guard import GuardFindings, check_file
from ..hdf5.stream import RawStream
from ..stamp import check_unchanged
from . import FORMAT, SECONDS, parse_moment
from .conditions import Conditions, read_conditions
from .members import BLOCK, LONGEST, find_member, make_array
from .reports import Report, read_reports
from .spikes import AS_STORED, Population, read_populations, read_times

IDS = GuardFindings("sonata.unsafe", "sonata.damaged")
TEXT = np.dtypes.StringDType()
BLOCK_BYTES = 8 * 2**20

type _Guarded = Callable[[Callable[[], np.ndarray]], np.ndarray]
"""Runs what reads samples: the file must be unchanged, and damage is a finding."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One table of all nodes that spiked, and a series for each report.

    The table's column ``spike_times`` has the times of each node as stored, those of one node after those of another:
    nodes ascend within their population, and times within a node. Where a file has them in another order, they are
    sorted, which its header tells (``order``).

    Raises
    ------
    Problem
        ``sonata.damaged``, ``sonata.empty``, ``sonata.limit``, ``sonata.unit``, ``sonata.unsafe``.
    """
    stamp = source.stamp()
    stream = RawStream(source, IDS)
    opened: list[h5py.File] = []

    def close() -> None:
        for file in opened:
            file.close()
        stream.close()

    def run(read: Callable[[], np.ndarray]) -> np.ndarray:
        check_unchanged(source.stamp(), stamp, source.key)
        with stream.translate_errors():
            return read()

    try:
        with stream.translate_errors():
            opened.append(h5py.File(stream, "r"))
            populations, reports = _read_members(opened[0], source.key, options)
        conditions = read_conditions(source)
        started = parse_moment(options["started"]) if "started" in options else None
        common: dict[str, Any] = {"format": FORMAT.name, "close": close, "started": started}
        contents: list[Content] = []
        if any(len(one.times) for one in populations):
            contents.append(_make_table(source.key, populations, conditions, run, common))
        for report in reports:
            contents.append(_make_series(report, options, conditions, run, common))
    except BaseException:
        close()
        raise
    return tuple(contents)


def _read_members(
    file: h5py.File, key: str, options: Mapping[str, Any]
) -> tuple[Sequence[Population], Sequence[Report]]:
    """Populations with spikes and reports, after the file was looked at."""
    check_file(file, PurePosixPath(key), IDS)
    spikes = find_member(file, "spikes")
    populations = read_populations(spikes, key, options) if isinstance(spikes, h5py.Group) else []
    reports = list(read_reports(file, key, options))
    _check_names([f"spikes/{one.name}" for one in populations])
    _check_names([_name_content(one) for one in reports])
    if len(populations) + len(reports) > SONATA_POPULATIONS:
        message = f"{key} has more than {SONATA_POPULATIONS} populations"
        raise problem("sonata.limit", message, file=key)
    if not reports and not any(len(one.times) for one in populations):
        what = "its populations have no spike" if populations else "it has no spikes and no report"
        raise problem("sonata.empty", f"{key}: {what}", file=key)
    return populations, reports


def _name_content(report: Report) -> str:
    kind = "ecp" if report.is_extracellular else "report"
    return f"{kind}/{report.name}" if report.name else kind


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that no result can bear, and those that bytes which are no UTF-8 leave alike."""
    odd = [name for name in names if len(name) > LONGEST or not name.isprintable()]
    if odd:
        raise ValueError(
            f"a population's name has more than {LONGEST} characters, or control characters: {odd[0][:80]!r}"
        )
    twice = [name for name in names if names.count(name) > 1] if len(names) > len(set(names)) else []
    if twice:
        raise ValueError(f"it has two of {twice[0]}")


def _describe_conditions(conditions: Conditions) -> dict[str, Any]:
    described: dict[str, Any] = {"config": conditions.file, "conditions": dict(conditions.texts)}
    return {"simulation": described | ({"report": dict(conditions.report)} if conditions.report else {})}


def _make_table(
    key: str,
    populations: Sequence[Population],
    conditions: Conditions,
    run: _Guarded,
    common: Mapping[str, Any],
) -> DataTable:
    """All nodes that spiked, population by population.

    Raises
    ------
    Problem
        ``sonata.limit``, ``sonata.unit``; ``sonata.damaged``: times of different types.
    """
    spiking = [one for one in populations if len(one.times)]
    unit, dtype = _find_common_type(key, spiking)
    arrays = _make_columns(spiking, dtype, run)
    described = [
        {
            "name": one.name,
            "spikes": len(one.times),
            "spiking_nodes": len(one.nodes),
            "sorting": one.sorting,
            "order": one.order,
        }
        for one in populations
    ]
    times = {"time_unit": unit, "scale": SECONDS[unit]}
    (total,), (nodes,) = arrays["spike_times"].shape, arrays["ends"].shape
    return DataTable(
        name="spikes",
        facts={"spikes": str(total), "spiking_nodes": str(nodes)},
        header={**_describe_conditions(conditions), **times, "populations": described},
        arrays=arrays,
        warnings=tuple(_list_warnings(key, populations, conditions)),
        columns=tuple(Column(n, n, ends="ends" if n == "spike_times" else "") for n in arrays if n != "ends"),
        **common,
    )


def _find_common_type(key: str, spiking: Sequence[Population]) -> tuple[str, np.dtype[Any]]:
    """Unit and type of the times of all populations, which are one column."""
    units = {one.unit for one in spiking}
    if len(units) > 1:
        message = f"{key}: its populations have times in {' and '.join(sorted(units))}"
        raise problem("sonata.unit", message, hint="Write a file for each.", file=key)
    dtypes = {one.times.dtype.newbyteorder("=") for one in spiking}
    if len({dtype.kind for dtype in dtypes}) > 1:
        raise problem("sonata.damaged", f"{key}: times of its populations are of different types", file=key)
    if sum(len(one.nodes) for one in spiking) > SONATA_NODES:
        raise problem("sonata.limit", f"{key}: more than {SONATA_NODES} nodes spiked", file=key)
    return units.pop(), np.result_type(*dtypes)


def _make_columns(spiking: Sequence[Population], dtype: np.dtype[Any], run: _Guarded) -> dict[str, LazyArray]:
    """Times of all nodes one after the other, where those of each end, and whose they are."""

    def read_block(selection: Selection) -> np.ndarray:
        parts = [part.astype(dtype) for part in read_times(spiking, selection[0].start, selection[0].stop)]
        return np.concatenate(parts) if parts else np.empty(0, dtype)

    firsts = np.cumsum([0, *(len(one.times) for one in spiking)])
    total = int(firsts[-1])
    ends = np.concatenate([one.ends + first for one, first in zip(spiking, firsts, strict=False)])
    ends = ends.astype("<u4" if total < 2**32 else "<u8")  # NWB's indices are unsigned
    block = (min(total, BLOCK),)
    arrays = {
        "spike_times": LazyArray(
            "spike_times", (total,), dtype, ("spike",), lambda s: run(partial(read_block, s)), block
        ),
        "ends": make_array("ends", ends, "unit"),
        "node_id": make_array("node_id", np.concatenate([one.nodes for one in spiking]), "unit"),
    }
    if any(one.name for one in spiking):
        names = np.repeat(np.array([one.name for one in spiking], TEXT), [len(one.nodes) for one in spiking])
        arrays["population"] = make_array("population", names, "unit")
    return arrays


def _list_warnings(key: str, populations: Sequence[Population], conditions: Conditions) -> list[str]:
    warnings = list(conditions.notes)
    for one in populations:
        where = f"population {one.name!r} of {key}" if one.name else key
        if one.sorting == "by_id" and one.order != AS_STORED:
            warnings.append(f"{where} states that it is sorted by_id, and is not; it was sorted")
        if one.negative:
            warnings.append(f"{where} has {one.negative} spikes before time 0")
    return warnings


def _make_series(
    report: Report,
    options: Mapping[str, Any],
    conditions: Conditions,
    run: _Guarded,
    common: Mapping[str, Any],
) -> Series:
    data = report.data
    frames, elements = data.shape
    dtype = data.dtype.newbyteorder("=")

    def read_block(selection: Selection) -> np.ndarray:
        return np.asarray(data[selection].astype(dtype, copy=False))

    read = LazyArray(
        "data", data.shape, dtype, ("time", "element"), lambda s: run(partial(read_block, s)), _choose_block(data)
    )
    scale = SECONDS[report.time_unit]
    unit = report.unit or str(options.get("data_unit", ""))
    variable = report.variable or conditions.report.get("variable_name", "")
    warnings = [*conditions.notes, *report.notes]
    if not unit:
        warnings.append(f"{data.name} states no unit; state data_unit, else it is written as unknown")
    header = {
        **_describe_conditions(conditions),
        "population": report.name,
        "is_extracellular": report.is_extracellular,
        "variable": variable,
        "unit": unit,
        "start": str(report.start),
        "step": str(report.step),
        "time_unit": report.time_unit,
        "scale": scale,
        "nodes": report.nodes,
        "columns": list(report.columns),
    }
    seconds = report.step.numerator * Decimal(scale) / report.step.denominator
    return Series(
        name=_name_content(report),
        facts={"frames": str(frames), "elements": str(elements)},
        header=header,
        arrays={"data": read} | {name: make_array(name, column, "element") for name, column in report.columns.items()},
        warnings=tuple(warnings),
        array="data",
        rate=1 / seconds,
        channels=(Channel(0, variable or "data", unit, Decimal(1), Decimal(0), dtype),),
        **common,
    )


def _choose_block(data: h5py.Dataset) -> tuple[int, int]:
    """Whole moments where a chunk's worth of them is no more than `BLOCK_BYTES`, else the chunk itself."""
    frames, elements = data.shape
    row = elements * data.dtype.itemsize
    rows = min(frames, data.chunks[0] if data.chunks else max(1, BLOCK_BYTES // row))
    if data.chunks and rows * row > BLOCK_BYTES:
        return rows, min(elements, data.chunks[1])
    return rows, elements
