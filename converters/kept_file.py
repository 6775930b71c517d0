"""Files that nothing is made of: rows of models, analyses and other files get an asset record with their digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from neuropress.converters import Built, Job
from neuropress.mapping.rules import Slots
from neuropress.model.plan import Field, Node
from neuropress.model.record import CellRef, Record

NAME = "kept_file"
REVISION = 1
TABLES = ("model", "analysis", "file_asset")
COLUMN: Mapping[str, str] = {"model": "file_path_model", "analysis": "file_path", "file_asset": "file_path"}
TARGET = "asset"
SLOTS: Slots = {
    "asset": frozenset(("id", "type", "version", "source_type", "source", "description", "notes", "file", "script"))
}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "it is kept as it is"
FALLBACK = True
"""Whatever another converter takes is not for this one."""
KEEPS = True
"""No reader is asked what the file holds."""


def takes(record: Record) -> bool:
    """Every row that names a file."""
    cell = record.cells.get(COLUMN.get(record.table, ""))
    return cell is not None and bool(cell.text)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The record of one row's file: what the row says; the result adds size and SHA-256 of each file."""
    (job,) = jobs
    fields = dict(job.fields["asset"])
    suffix = PurePosixPath(job.source).suffix.removeprefix(".").lower()
    reference = (CellRef("converter", NAME, "suffix", suffix, "constant"),)
    fields["format"] = Field(suffix or "none", f"{NAME}:suffix", "constant", reference)
    return Built((Node("/asset", "KeptFile", fields, {}, {}),))
