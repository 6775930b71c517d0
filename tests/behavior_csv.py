"""A reader of CSV tables and two converters of them, as an outsider would add them; registered for one test."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from neuropress import converters, readers, registry
from neuropress.converters import Built, Job
from neuropress.model.clock import Clock
from neuropress.model.content import Column, Content, DataTable, LazyArray
from neuropress.model.finding import problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.record import CellRef, Record
from neuropress.model.source import Source
from neuropress.readers import Claim, Format, raw

MODULE = "/processing/behavior"
MAPPING = """
revision = 1
table = ["behavior"]

[[rule]]
to = "series.comments"
from = "task"

[[compare]]
column = "task"
fact = "task"
"""
TEXT = np.dtypes.StringDType()


def make_reader() -> ModuleType:
    """``[name] KEY=VALUE ...``, a line of column names, lines of cells; several such tables in a file."""

    def probe(head: bytes, name: str) -> Claim | None:
        return Claim("tables", "it begins with [", 2) if name.endswith(".csv") and head[:1] == b"[" else None

    def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
        with source.open() as file:
            blocks = file.read().decode().strip().split("[")[1:]
        return tuple(table(block, source) for block in blocks)

    def table(block: str, source: Source) -> DataTable:
        head, names, *lines = block.strip().splitlines()
        name, _, rest = head.partition("]")
        facts = dict(word.split("=", 1) for word in rest.split())
        cells = [line.split(",") for line in lines]
        if any(len(row) != len(names.split(",")) for row in cells):
            raise problem("file.changed", f"{source.key}: a row is ragged", file=source.key)
        arrays = {}
        for column, values in zip(names.split(","), zip(*cells, strict=True), strict=True):
            data = np.array(values, dtype=TEXT)
            if column != "label":
                data = np.array(values, dtype="<i8" if column.endswith("_ms") else "<f8")
            arrays[column] = LazyArray(column, data.shape, data.dtype, ("row",), data.__getitem__, data.shape)
        started = datetime.fromisoformat(facts.pop("started")) if "started" in facts else None
        columns = tuple(Column(column, column) for column in arrays)
        return DataTable(name, "tables", facts, dict(facts), arrays, started=started, columns=columns)

    format = Format("tables", "tables of one test", "behavior_tables", probe=probe, suffixes=(".csv",))
    return make_module("behavior_tables", FORMAT=format, read=read)


def make_module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(members)
    return made


def make_constant(name: str, value: Any) -> Field:
    return Field(
        value, f"behavior:{name}", "constant", (CellRef("converter", "behavior", name, str(value), "constant"),)
    )


def make_converter(name: str, wanted: set[str], make: Any) -> ModuleType:
    """A converter of behaviour rows whose file holds a table with the wanted columns."""

    def takes(record: Record) -> bool:
        return record.table == "behavior" and record.cells["file_path_raw"].text.endswith(".csv")

    def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
        return [c for c in contents if wanted <= set(c.arrays)]

    def convert(jobs: Sequence[Job]) -> Built:
        nodes = [Node(MODULE, "ProcessingModule", {"description": make_constant("module", "Behaviour of the mouse.")})]
        for job in jobs:
            for content in job.contents:
                nodes += make(job, content)
        return Built(tuple(nodes))

    return make_module(
        f"behavior_{name}",
        MAPPING=MAPPING, NAME=name, REVISION=1, TABLES=("behavior",), COLUMN={"behavior": "file_path_raw"}, TARGET="session",
        SLOTS={"series": frozenset({"comments"})}, BINDINGS={}, WANTS=f"a table with {', '.join(sorted(wanted))}",
        takes=takes, bindings=lambda record: {}, select=select, build=convert,
    )  # fmt: skip


def make_clock(content: Content) -> Clock:
    return Clock("0.001", content.facts.get("offset", "0"))


def build_position(job: Job, content: Content) -> list[Node]:
    series = {
        "description": make_constant("description", "Speed of the mouse."),
        "unit": make_constant("unit", "m/s"),
        **job.fields.get("series", {}),
    }
    times = ArraySpec.of(job.source, content, "time_ms", clock=make_clock(content))
    arrays = {"data": ArraySpec.of(job.source, content, "x"), "timestamps": times}
    name = "_".join(filter(None, (job.record.key, content.name)))
    return [
        Node(f"{MODULE}/BehavioralTimeSeries", "BehavioralTimeSeries"),
        Node(f"{MODULE}/BehavioralTimeSeries/{name}", "TimeSeries", series, {}, arrays),
    ]


def build_licks(job: Job, content: Content) -> list[Node]:
    fields = {
        "description": make_constant("description", "Licks."),
        "label/description": make_constant("label", "What happened."),
    }
    arrays = {
        "timestamp": ArraySpec.of(job.source, content, "time_ms", clock=make_clock(content)),
        "label": ArraySpec.of(job.source, content, "label"),
    }
    return [Node(f"/events/{job.record.key}", "EventsTable", fields, {}, arrays)]


def register_plugins(patch: pytest.MonkeyPatch, *made: ModuleType) -> None:
    """Let neuropress find the reader and the converters as those of another package, each with a mapping of one rule."""
    entries = {readers.GROUP: [EntryPoint("tables", "behavior_tables:FORMAT", readers.GROUP)], converters.GROUP: []}
    patch.setitem(sys.modules, "behavior_tables", make_reader())
    for one in made:
        patch.setitem(sys.modules, one.__name__, one)
        entries[converters.GROUP].append(EntryPoint(one.NAME, one.__name__, converters.GROUP))
    patch.setattr(registry, "entry_points", lambda group: entries[group])
    for module, names in (
        (readers, ("_load_readers", "get_registered_formats")),
        (converters, ("_load_plugin_converters",)),
    ):
        for name in names:
            patch.setattr(module, name, cache(getattr(module, name).__wrapped__))
    patch.setattr(raw, "get_registered_formats", readers.get_registered_formats)
