"""Whether the files that path cells name are there, for rows that no reader opens."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import Config
from ..model.finding import Finding, Problem, Severity, finding
from ..model.privacy import hide_for
from ..model.profile import Profile
from ..model.record import Record
from ..model.source import SourceRoots
from ..tables import Tables, normalise_key
from .build import raw_column
from .targets import Wanted, wanted_targets


def check_files(tables: Tables, config: Config, targets: Sequence[Wanted] | None = None) -> list[Finding]:
    """Look for every file that a path cell names and that planning does not open anyway.

    The first path column of a table holds the data, so its absence is an error; a
    missing script or processed file withholds nothing and is a warning.

    Parameters
    ----------
    targets
        Only rows of these targets; all rows without it.
    """
    opened = {
        (row.table, row.key, raw_column(name, row))
        for wanted in wanted_targets(tables, config.profile)
        for name, row in wanted.jobs
    }
    rows = {(r.table, r.key) for w in targets for r in w.records()} if targets is not None else None
    found = []
    roots = config.sources()
    for table, spec in config.profile.tables.items():
        for record in tables.records.get(table, {}).values():
            if rows is not None and (table, record.key) not in rows:
                continue
            for position, column in enumerate(spec.paths):
                if (table, record.key, column) not in opened and (table, record.key) not in tables.blocked:
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
