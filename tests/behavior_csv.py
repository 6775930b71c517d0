"""A reader of CSV tables and two converters of them, as an outsider would add them; registered for one test."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from neuropress import converters, readers
from neuropress.converters import Built, Job
from neuropress.mapping import rules
from neuropress.model.clock import Clock
from neuropress.model.content import Claim, Column, Content, DataTable, LazyArray
from neuropress.model.finding import problem
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.record import CellRef, Record
from neuropress.model.source import Source
from neuropress.planning import build, targets

MODULE = "/processing/behavior"
TEXT = np.dtypes.StringDType()


def reader() -> ModuleType:
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

    return module("neuropress.readers.tables", FORMAT="tables", probe=probe, read=read)


def module(name: str, **members: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(members)
    return made


def constant(name: str, value: Any) -> Field:
    return Field(
        value, f"behavior:{name}", "constant", (CellRef("converter", "behavior", name, str(value), "constant"),)
    )


def behavior(name: str, wanted: set[str], make: Any) -> ModuleType:
    """A converter of behaviour rows whose file holds a table with the wanted columns."""

    def takes(record: Record) -> bool:
        return record.table == "behavior" and record.cells["file_path_raw"].text.endswith(".csv")

    def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
        return [c for c in contents if wanted <= set(c.arrays)]

    def convert(jobs: Sequence[Job]) -> Built:
        nodes = [Node(MODULE, "ProcessingModule", {"description": constant("module", "Behaviour of the mouse.")})]
        for job in jobs:
            for content in job.contents:
                nodes += make(job, content)
        return Built(tuple(nodes))

    return module(
        f"neuropress.converters.{name}",
        NAME=name, REVISION=1, TABLES=("behavior",), COLUMN={"behavior": "file_path_raw"}, TARGET="session",
        SLOTS={"series": frozenset({"comments"})}, BINDINGS={}, WANTS=f"a table with {', '.join(sorted(wanted))}",
        takes=takes, bindings=lambda record: {}, select=select, build=convert,
    )  # fmt: skip


def clock(content: Content) -> Clock:
    return Clock("0.001", content.facts.get("offset", "0"))


def position(job: Job, content: Content) -> list[Node]:
    series = {
        "description": constant("description", "Speed of the mouse."),
        "unit": constant("unit", "m/s"),
        **job.fields.get("series", {}),
    }
    times = ArraySpec.of(job.source, content, "time_ms", clock=clock(content))
    arrays = {"data": ArraySpec.of(job.source, content, "x"), "timestamps": times}
    name = "_".join(filter(None, (job.record.key, content.name)))
    return [
        Node(f"{MODULE}/BehavioralTimeSeries", "BehavioralTimeSeries"),
        Node(f"{MODULE}/BehavioralTimeSeries/{name}", "TimeSeries", series, {}, arrays),
    ]


def licks(job: Job, content: Content) -> list[Node]:
    fields = {
        "description": constant("description", "Licks."),
        "label/description": constant("label", "What happened."),
    }
    arrays = {
        "timestamp": ArraySpec.of(job.source, content, "time_ms", clock=clock(content)),
        "label": ArraySpec.of(job.source, content, "label"),
    }
    return [Node(f"/events/{job.record.key}", "EventsTable", fields, {}, arrays)]


def register(patch: pytest.MonkeyPatch, *made: ModuleType) -> None:
    """Let neuropress know the reader and the converters, each with a mapping of one rule."""
    for one in (reader(), *made):
        patch.setitem(sys.modules, one.__name__, one)
        package = readers if hasattr(one, "FORMAT") else converters
        patch.setattr(package, one.__name__.rpartition(".")[2], one, raising=False)
    names = tuple(dict.fromkeys((*converters.CONVERTERS, *(one.NAME for one in made))))
    patch.setattr(readers, "FORMATS", tuple(dict.fromkeys((*readers.FORMATS, "tables"))))
    for place in (converters, build, targets):
        patch.setattr(place, "CONVERTERS", names)
    shipped = rules.load_mapping

    def load(name: str, own: str = "") -> rules.MappingRules:
        if name not in {one.NAME for one in made}:
            return shipped(name, own)
        rule = rules.Rule("series.comments", ("task",))
        return rules.MappingRules(name, 1, ("behavior",), (rule,), (rules.Comparison("task", "task"),))

    patch.setattr(rules, "load_mapping", load)
