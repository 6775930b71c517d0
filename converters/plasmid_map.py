"""Plasmid maps: file_asset rows whose file is a GenBank record become asset records; the file is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuropress.converters import Built, Job
from neuropress.mapping.rules import Slots
from neuropress.model.content import list_contents
from neuropress.model.finding import problem
from neuropress.model.plan import Field, Node
from neuropress.model.record import CellRef, Record

NAME = "plasmid_map"
REVISION = 1
TABLES = ("file_asset",)
COLUMN: Mapping[str, str] = {"file_asset": "file_path"}
TARGET = "asset"
SLOTS: Slots = {"asset": frozenset(("id", "type", "source", "description", "notes"))}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "a sequence has no time"

NUMBERS = {"length": int, "features": int, "gc_content": float}
"""Facts of a record are numbers; the texts stand beside them."""


def takes(record: Record) -> bool:
    """Rows whose file is called like a GenBank file, whatever kind they state."""
    cell = record.cells.get(COLUMN.get(record.table, ""))
    return cell is not None and cell.text.lower().endswith((".gb", ".gbk"))


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The record of one row's map: what the row says, and what the file says of its sequence.

    Raises
    ------
    Problem
        ``asset.content``: the file holds no sequence, or several.
    """
    (job,) = jobs
    if len(job.contents) != 1 or "length" not in job.contents[0].facts:
        message = f"{job.source} holds no nucleotide sequence"
        if len(job.contents) > 1:
            message = (
                f"{job.source} holds {len(job.contents)} records ({list_contents(job.contents)}); a row describes one: "
                f'choose it in neuropress.toml by its number or name, [options."{job.source}"] image = "1"'
            )
        raise problem("asset.content", message, **job.record.place(job.column), file=job.source)
    (content,) = job.contents
    fields = dict(job.fields["asset"])
    about = (CellRef("converter", NAME, "format", content.format, "constant"),)
    fields["format"] = Field(content.format, f"{NAME}:format", "constant", about)
    for name, text in content.facts.items():
        source = (job.make_fact_ref(name, text),)
        if name in NUMBERS:
            fields[f"facts/{name}"] = Field(NUMBERS[name](text), f"{NAME}:{name}", "number", source)
        else:
            fields[name] = Field(text, f"{NAME}:{name}", "text", source)
    return Built((Node("/asset", "PlasmidMap", fields, {}, {}),))
