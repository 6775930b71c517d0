"""The row of one raw file or folder."""

from __future__ import annotations

from collections.abc import Iterator

from neuropress.converters import load_converter

from ...model.content import Content
from ...model.profile import TableSpec
from ...planning.facts import read_header_cells
from .occasion import Occasion
from .rows import Draft, Drafts, list_converters


def draft_data_row(drafts: Drafts, spec: TableSpec, contents: tuple[Content, ...], key: str, meant: Occasion) -> Draft:
    """The row of a file: its session or subject, its path, and what the header says.

    Raises
    ------
    Problem
        ``add.full``.
    """
    cells = {load_converter(list_converters(spec.name)[0]).COLUMN[spec.name]: key}
    if "session_id" in spec.columns:
        cells["session_id"] = meant.session or ""
    else:
        cells |= {"start_date": meant.date or "", **drafts.link(spec.name, meant.subject or "")}
    cells |= read_header_cells(spec.name, contents, drafts.config.profile)
    return drafts.draft(spec.name, meant.lab, cells, path=key)


def find_rows_of_file(drafts: Drafts, spec: TableSpec, name: str, lab: str) -> Iterator[Draft]:
    """Rows of a lab that name a raw object of this name."""
    raw = drafts.get_raw(spec.name, lab)
    for converter in list_converters(spec.name):
        column = load_converter(converter).COLUMN[spec.name]
        if column not in raw.columns or spec.key not in raw.columns:
            continue
        for row in raw.rows:
            cells = dict(zip(raw.columns, row.cells, strict=False))
            path = cells.get(column, "")
            if path.rstrip("/").endswith(f"/{name}") and cells.get(spec.key, "").startswith(f"{lab}_"):
                yield Draft(spec.name, lab, cells[spec.key], cells, path.rstrip("/"), written=True)
