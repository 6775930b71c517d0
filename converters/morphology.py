"""Morphologies: model rows whose file is an SWC tree become asset records; the file itself is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuropress.converters import Built, Job
from neuropress.mapping.rules import Slots
from neuropress.model.finding import problem
from neuropress.model.plan import Field, Node
from neuropress.model.record import Record

NAME = "morphology"
REVISION = 1
TABLES = ("model",)
COLUMN: Mapping[str, str] = {"model": "file_path_model"}
TARGET = "asset"
SLOTS: Slots = {"asset": frozenset(("id", "type", "version", "description", "notes", "model_file", "script"))}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "a morphology has no time"

COUNTS = ("points", "soma_points", "roots", "sections")


def takes(record: Record) -> bool:
    """Rows whose file is called like a morphology; models of other kinds have no converter yet."""
    cell = record.cells.get(COLUMN.get(record.table, ""))
    return cell is not None and cell.text.lower().endswith(".swc")


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The record of one row's morphology: what the row says, and facts of the tree, lengths in um.

    Raises
    ------
    Problem
        ``asset.content``: the file holds no tree.
    """
    (job,) = jobs
    if len(job.contents) != 1 or "sections" not in job.contents[0].facts:
        formats = ", ".join(content.format for content in job.contents)
        message = f"{job.source} ({formats}) holds no morphology"
        raise problem("asset.content", message, **job.record.place(job.column), file=job.source)
    (content,) = job.contents
    fields = dict(job.fields["asset"])
    fields["format"] = Field(content.format, "morphology:format")
    for name, text in content.facts.items():
        value = int(text) if name in COUNTS else float(text)
        source = job.make_fact_ref(name, text)
        fields[f"facts/{name}"] = Field(value, f"morphology:{name}", "number", (source,))
    return Built((Node("/asset", "Morphology", fields, {}, {}),))
