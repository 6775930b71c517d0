"""Spikes and element reports of SONATA by libsonata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import libsonata
import numpy as np

from .reading import CannotRead, SecondArrays

SECONDS = {"ms": 1e-3, "s": 1.0, "us": 1e-6}


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    if content.startswith("report/"):
        return _read_report(path, content.removeprefix("report/"))
    if content.startswith("ecp"):
        raise CannotRead("libsonata reads no extracellular potentials")
    return _read_spikes(path, options)


def _read_spikes(path: Path, options: Mapping[str, Any]) -> SecondArrays:
    reader = libsonata.SpikeReader(str(path))
    units: dict[tuple[str, int], list[float]] = {}
    for name in sorted(reader.get_population_names()):
        population = reader[name]
        factor = SECONDS[str(getattr(population, "time_units", "") or options.get("time_unit", "ms"))]
        for node, time in population.get():
            units.setdefault((name, int(node)), []).append(float(time) * factor)
    keys = sorted(units)
    times = np.concatenate([np.sort(units[key]) for key in keys]) if keys else np.empty(0)
    arrays = {
        "spike_times": times,
        "ends": np.cumsum([len(units[key]) for key in keys], dtype="i8"),
        "node_id": np.array([node for _, node in keys], "u8"),
    }
    return SecondArrays(arrays)


def _read_report(path: Path, name: str) -> SecondArrays:
    population = libsonata.ElementReportReader(str(path))[name]
    frame = population.get()
    if population.time_units not in SECONDS:
        raise CannotRead(f"times are in {population.time_units!r}")
    ids = np.asarray(frame.ids)
    arrays = {"data": np.asarray(frame.data), "node_id": ids[:, 0], "element_id": ids[:, 1]}
    return SecondArrays(arrays, np.asarray(frame.times) * SECONDS[population.time_units])
