"""Whether the files that path cells name are there, for rows that no reader opens."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..config import Config
from ..model.finding import Finding, Problem, Severity, finding
from ..model.privacy import hide_for
from ..model.profile import Profile
from ..model.record import Record
from ..model.source import SourceRoots
from ..tables import Tables, normalise_key
from .inspect import CellPlace, list_wrong_cells
from .targets import Wanted


def check_files(
    tables: Tables, config: Config, opened: Collection[CellPlace], targets: Sequence[Wanted] | None = None
) -> list[Finding]:
    """Look for every file that a path cell names and that nobody has opened.

    The first path column of a table holds the data, so its absence is an error; a
    missing script or processed file withholds nothing and is a warning.

    Parameters
    ----------
    opened
        Cells whose files were opened.
    targets
        Only rows of these targets; all rows without it.
    """
    wrong = list_wrong_cells(tables.findings)
    rows = {(r.table, r.key) for w in targets for r in w.records()} if targets is not None else None
    found = []
    roots = config.sources()
    for table, spec in config.profile.tables.items():
        for record in tables.iterate_rows(table):
            if rows is not None and (table, record.key) not in rows:
                continue
            for position, column in enumerate(spec.paths):
                place = (table, record.line, column)
                if place not in opened and place not in wrong and column not in tables.get_error_columns(record):
                    found += _check_file(record, column, position == 0, roots, config.profile)
    return found


def _check_file(record: Record, column: str, holds_data: bool, roots: SourceRoots, profile: Profile) -> list[Finding]:
    text = record.cells[column].text
    if not text:
        return []
    try:
        roots.locate(normalise_key(text, profile))
    except Problem as bad:
        where = record.place(column)
        if holds_data:
            return [hide_for(bad.finding.at(**where), profile)]
        message = f"{bad.finding.message}; it is not the data file, so nothing is withheld"
        missing = finding(bad.finding.id, message, severity=Severity.WARNING, file=bad.finding.location.file, **where)
        return [hide_for(missing, profile)]
    return []
