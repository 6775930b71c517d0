"""Output of simulations: rows whose file has spikes or reports of simulated nodes, to an NWB file each."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import count

from neuropress.mapping.rules import Slots
from neuropress.mapping.units import parse_unit
from neuropress.model.clock import Clock
from neuropress.model.content import Content, DataTable, Series
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.record import CellRef, Record

from . import Built, Job, make_constant
from .session import build_identifier

NAME = "simulation"
REVISION = 1
TABLES = ("model", "analysis", "file_asset")
COLUMN: Mapping[str, str] = {"model": "file_path_model", "analysis": "file_path", "file_asset": "file_path"}
TARGET = "simulation"
SLOTS: Slots = {
    "file": frozenset(
        (
            "experiment_description", "institution", "keywords", "lab", "notes", "session_description", "session_id",
        )
    ),
    "lines": frozenset(("row",)),
}  # fmt: skip
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "a simulation counts from its own start"
WANTS = "spikes or reports of simulated nodes"
AS_STORED = "as stored"
"""The order of spikes that the reader did not have to sort."""
MODULE = "/processing/simulation"
SUFFIXES = (".h5", ".hdf5")
_STATED = ("model_type", "asset_type", "description", "notes")
"""Columns that may say what a row's file is."""
_SI = {"V": "volts", "A": "amperes"}
_MEANINGS = {
    "node_id": "Id of the node in its population of the circuit, from 0",
    "element_id": "Id of the element within its node: section, synapse or electrode",
    "element_pos": "Place along the section, from 0 to 1",
    "channel_id": "Channel of the electrode",
    "population": "Population of the node",
}


def takes(record: Record) -> bool:
    """Rows of an HDF5 file that name SONATA, or simulations as its kind, or do not say at all what it is.

    Any other HDF5 file of these tables may be a network's weights or a morphology.
    """
    cell = record.cells.get(COLUMN.get(record.table, ""))
    if cell is None or not cell.text.lower().endswith(SUFFIXES):
        return False
    stated = {name: record.cells[name].text.lower() for name in _STATED if name in record.cells}
    is_named = "sonata" in " ".join([cell.text.lower(), *stated.values()])
    return is_named or "simulat" in stated.get("asset_type", "") or not any(stated.values())


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def select(record: Record | None, contents: Sequence[Content]) -> Sequence[Content]:
    """What bears the conditions of a simulation."""
    return [one for one in contents if isinstance(one, (DataTable, Series)) and "simulation" in one.header]


def build(jobs: Sequence[Job]) -> Built:
    """The file of one row: units of all nodes that spiked, and each report with the table of its elements.

    There is no subject: what was simulated is no animal, and nothing states one.

    Raises
    ------
    Problem
        ``simulation.no_start``: nobody states when the simulation was run.
    """
    (job,) = jobs
    nodes: dict[str, Node] = {"/": _build_file(job)}
    for content in job.contents:
        built = _build_units(job, content) if isinstance(content, DataTable) else _build_report(job, content, nodes)
        nodes |= {node.path: node for node in built}
    return Built(tuple(nodes.values()), tuple(_list_findings(job)))


def _list_findings(job: Job) -> Iterator[Finding]:
    """That a clock is declared which no time of the file goes by."""
    if any(content.clock_offset or content.trigger for content in job.contents):
        message = f"{job.source} has a declared clock, and its times count from the start of the simulation"
        yield finding("simulation.clock", message, **job.locate())


def _build_file(job: Job) -> Node:
    content = job.contents[0]
    if content.started is None:
        message = f"{job.source} does not tell when the simulation was run, which an NWB file begins with"
        hint = f'State it in neuropress.toml: [options."{job.source}"] started = "2025-06-20T09:30+02:00"'
        raise problem("simulation.no_start", message, hint=hint, **job.locate())
    fields = dict(job.fields["file"])
    fields["identifier"] = build_identifier(job, job.profile.tables[job.record.table].key)
    fields["session_start_time"] = _make_fact(job, "started", content.started.isoformat())
    words = fields.get("keywords")
    stated = [*words.value, NAME] if words else [NAME]
    fields["keywords"] = replace(words, value=stated) if words else make_constant(NAME, "keywords", stated)
    if lines := _list_conditions(job, content):
        fields["data_collection"] = lines
    return Node("/", "NWBFile", fields)


def _list_conditions(job: Job, content: Content) -> Field | None:
    """Settings of the simulation, a line each, below what the row says of its file and script."""
    about = content.header["simulation"]
    row = job.fields.get("lines", {}).get("row")
    lines = [str(row.value)] if row else []
    sources = row.sources if row else ()
    if about["conditions"]:
        lines.append(f"Conditions of the simulation, from {about['config'].rpartition('/')[2]}:")
        lines += [f"{name} = {text}" for name, text in about["conditions"].items()]
        sources = (*sources, CellRef("file", about["config"], "conditions", "", "header"))
    return Field("\n".join(lines), f"{NAME}:data_collection", "lines", sources) if lines else None


def _build_units(job: Job, content: DataTable) -> list[Node]:
    """A unit for each node that spiked."""
    silent = "Nodes that never spiked are not in the file: the circuit alone knows them"
    is_sorted = any(one["spikes"] and one["order"] != AS_STORED for one in content.header["populations"])
    order = "Spikes were sorted by node and time" if is_sorted else "Spikes are in the order in which they were stored"
    text = f"Spikes of simulated nodes, a row each. {silent}. {order}."
    fields = {"description": _make_fact(job, "units", text)}
    arrays = {
        "spike_times": ArraySpec.of(job.source, content, "spike_times", clock=Clock(content.header["scale"])),
        "spike_times_index": ArraySpec.of(job.source, content, "ends"),
    }
    if step := content.header["simulation"]["conditions"].get("run.dt"):
        fields |= _state_resolution(job, step)
    names = [name for name in ("node_id", "population") if name in content.arrays]
    return [Node("/units", "Units", fields | _describe_columns(job, names), {}, arrays | _take(job, content, names))]


def _state_resolution(job: Job, step: str) -> dict[str, Field]:
    """The simulation's step, in ms by the format, as the smallest difference of two spikes' times."""
    try:
        seconds = float(step) / 1000
    except ValueError:
        return {}
    return {"resolution": _make_fact(job, "resolution", seconds)} if 0 < seconds < math.inf else {}


def _build_report(job: Job, content: Content, taken: Container[str]) -> list[Node]:
    """A series of all elements, and the table of what they are, in the module "simulation"."""
    header = content.header
    variable = header["variable"] or ("ecp" if header["is_extracellular"] else "report")
    name = _choose_name("_".join(part for part in (variable, header["population"]) if part), taken)
    unit, conversion = _find_si_unit(header["unit"])
    table = f"{name}_elements"
    what = "Extracellular potential" if header["is_extracellular"] else f"Report of {variable}"
    stated = header["simulation"].get("report", {})
    sections = f", sections: {stated['sections']}" if "sections" in stated else ""
    population = f" of population {header['population']}" if header["population"] else ""
    text = f"{what}{population}{sections}. Output of a simulation; column i of the data is row i of {table}."
    scale = Fraction(header["scale"])
    fields = {
        "description": _make_fact(job, "report", text),
        "unit": _make_fact(job, "unit", unit),
        "rate": _make_fact(job, "rate", float(1 / (Fraction(header["step"]) * scale))),
        "starting_time": _make_fact(job, "start", float(Fraction(header["start"]) * scale)),
    }
    if conversion != 1:
        fields["conversion"] = _make_fact(job, "conversion", conversion)
    columns = header["columns"]
    about = {"description": _make_fact(job, "elements", f"What the columns of {name} are, in their order.")}
    module = {"description": make_constant(NAME, "module", "Reports of a simulation.")}
    return [
        Node(MODULE, "ProcessingModule", module),
        Node(f"{MODULE}/{name}", "TimeSeries", fields, {}, _take(job, content, ["data"])),
        Node(
            f"{MODULE}/{table}",
            "DynamicTable",
            about | _describe_columns(job, columns),
            {},
            _take(job, content, columns),
        ),
    ]


def _take(job: Job, content: Content, names: Sequence[str]) -> dict[str, ArraySpec]:
    return {name: ArraySpec.of(job.source, content, name) for name in names}


def _describe_columns(job: Job, names: Sequence[str]) -> dict[str, Field]:
    return {
        f"{name}/description": _make_fact(job, name, f"{_MEANINGS.get(name, f'Entry {name} of the mapping')}.")
        for name in names
    }


def _find_si_unit(symbol: str) -> tuple[str, float]:
    """NWB's name of the unit and what makes it of stored values; any other unit is written as it is stated."""
    unit = parse_unit(symbol)
    if unit is None or unit.base not in _SI:
        return symbol or "unknown", 1.0
    return _SI[unit.base], float(Decimal(1).scaleb(unit.exponent))


def _choose_name(wanted: str, taken: Container[str]) -> str:
    """A name without what NWB does not allow in it, with a number behind it where it is taken."""
    name = clean = re.sub(r"[/:\\]", "_", wanted)
    for number in count(2):
        if f"{MODULE}/{name}" not in taken and f"{MODULE}/{name}_elements" not in taken:
            break
        name = f"{clean}_{number}"
    return name


def _make_fact(job: Job, name: str, value: object) -> Field:
    """A field from the file or the options that it was read with."""
    return Field(value, f"{NAME}:{name}", "header", (job.make_fact_ref(name, value),))
