"""New, empty tables."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from ..model.profile import Profile


def write_headers(folder: Path, profile: Profile, wanted: Collection[str] = ()) -> list[Path]:
    """Write ``<folder>/<table>.csv`` with the header only, for every table that is not there yet.

    Parameters
    ----------
    wanted
        Optional tables that are written too.

    Returns
    -------
    list of Path
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, spec in profile.tables.items():
        path = folder / f"{name}.csv"
        if not path.exists() and (name in wanted or not spec.optional_table):
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(spec.columns)
            written.append(path)
    return written
