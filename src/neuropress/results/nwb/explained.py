"""The closed list of explained findings (``explained.toml``) and the conditions that it names."""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import h5py
import numpy as np

from ...model.finding import Finding, Severity
from ...model.provenance import SECTIONS, Provenance
from ...model.serial import from_json

_SPIKES = 2**20
"""Times that are compared at once."""

type Condition = Callable[[h5py.Group], bool]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One entry: findings of `check` on objects of `types` that fulfil `when` are explained by `reason`."""

    rule: str
    check: str
    types: tuple[str, ...]
    reason: str
    when: str = ""


@cache
def load_explanations() -> tuple[Explanation, ...]:
    """All entries of the list."""
    text = files("neuropress.results.nwb").joinpath("explained.toml").read_text("utf-8")
    return tuple(from_json(Explanation, entry) for entry in tomllib.loads(text)["explained"])


def explain_finding(finding: Finding, file: h5py.File) -> Finding:
    """The finding itself, or with severity info and the reason where the list explains it."""
    place, _, about = (finding.location.array or "").partition("(")
    type_name, _, name = about.rstrip(")").partition(" ")
    for entry in load_explanations():
        if entry.check != finding.id or type_name not in entry.types:
            continue
        item = file.get(place.strip()) if place.strip() else _find_object(file, type_name, name)
        if not entry.when or (isinstance(item, h5py.Group) and CONDITIONS[entry.when](item)):
            return replace(finding, severity=Severity.INFO, hint=f"Explained by rule {entry.rule}: {entry.reason}")
    return finding


def _find_object(file: h5py.Group, type_name: str, name: str) -> h5py.Group | None:
    """An object whose place nwbinspector does not tell, by its type and name; None where that is several."""
    found: list[h5py.Group] = []

    def collect(path: str, item: h5py.Group) -> None:
        if path.rpartition("/")[2] == name and item.attrs.get("neurodata_type") == type_name:
            found.append(item)

    file.visititems(collect)
    return found[0] if len(found) == 1 else None


def _has_frames_first(series: h5py.Group) -> bool:
    """The stated width and height are the axes after the first."""
    if "dimension" not in series or "data" not in series:
        return False
    sides = [int(n) for n in series["dimension"][()]]
    return list(series["data"].shape[1 : 1 + len(sides)]) == sides


def _has_unknown_location(item: h5py.Group) -> bool:
    return "location" in item and item["location"].asstr()[()] == "unknown"


def _is_simulated(item: h5py.Group) -> bool:
    """The file holds output of a simulation: its places, which no recording has."""
    return "processing/simulation" in item.file or "units/node_id" in item.file


def _has_ascending_spikes(units: h5py.Group) -> bool:
    """Output of a simulation in which no spike of a unit is before the one above it, as the raw file was sorted."""
    if not _is_simulated(units) or "spike_times" not in units or "spike_times_index" not in units:
        return False
    times, ends = units["spike_times"], units["spike_times_index"][()]
    for first in range(1, len(times), _SPIKES):
        block = times[first - 1 : first + _SPIKES]
        if not np.all(np.isin(np.flatnonzero(block[1:] < block[:-1]) + first, ends)):
            return False
    return True


def _is_simulation_module(item: h5py.Group) -> bool:
    return str(item.name) == "/processing/simulation"


def _has_elements_last(series: h5py.Group) -> bool:
    """The table beside the series has a row for each entry of the second axis."""
    table = series.file.get(f"{series.name}_elements")
    if not isinstance(table, h5py.Group) or "id" not in table or "data" not in series:
        return False
    return bool(series["data"].shape[1:] == table["id"].shape)


def _is_recorded_input(series: h5py.Group) -> bool:
    """The external files are raw files whose digests the receipt has, by the paths that they have in a release."""
    group = series.file.get("/general/neuropress")
    if group is None:
        return False
    made = Provenance.from_texts({name: group[f"{name}_json"][()] for name in SECTIONS})
    folder = posixpath.dirname(made.target.path)
    paths = series["external_file"].asstr()[()]
    return all(posixpath.normpath(f"{folder}/{path}".lstrip("/")) in made.receipt.inputs for path in paths)


CONDITIONS: Mapping[str, Condition] = {
    "frames_first": _has_frames_first,
    "input_recorded": _is_recorded_input,
    "location_unknown": _has_unknown_location,
    "simulated": _is_simulated,
    "simulated_ascending": _has_ascending_spikes,
    "simulation_module": _is_simulation_module,
    "elements_last": _has_elements_last,
}
