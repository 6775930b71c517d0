"""Raw files and the path cells that name them, both ways: files that are missing, and files that no row names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from ..config import Config
from ..model.finding import Finding, Problem, finding
from ..model.privacy import hide_for
from ..model.profile import Profile
from ..model.record import Record, RowPlace
from ..model.source import SourceRoots
from ..tables import Tables, normalise_key, read_tables
from ..tables.keys import ObjectKey, parse_object_key
from .inspect import CellPlace, list_wrong_cells
from .kept import make_lacking_finding
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
                place = (record.row_place, column)
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
        return [make_lacking_finding(bad, record, column, profile)]
    return []


type PathCell = tuple[RowPlace, str]
"""Row and column."""


def list_named_keys(config: Config) -> dict[str, list[PathCell]]:
    """Keys that path cells name, whether their rows are understood or not, and the cells of each.

    So are the files that the settings name beside volumes, with no cell.
    """
    named: dict[str, list[PathCell]] = {}
    everything = [raw for parts in read_tables(config.tables, config.profile).values() for raw in parts]
    for raw in everything:
        places = [(name, place) for name, place in raw.positions.items() if name in raw.spec.paths]
        for row in raw.rows:
            for name, place in places:
                text = row.cells[place] if place < len(row.cells) else ""
                if text:
                    row_place = (raw.spec.name, raw.source, row.line)
                    named.setdefault(normalise_key(text, config.profile), []).append((row_place, name))
    beside = (path for files in config.profile.labels.values() for one in files for path in (one.path, one.classes))
    for path in filter(None, beside):
        named.setdefault(normalise_key(path, config.profile), [])
    return named


def list_unnamed_files(config: Config, named: Iterable[str], *, remote: bool) -> Iterator[str]:
    """Keys of raw files that no path cell names, neither themselves nor by a folder; hidden files left out.

    Of a root inside the dataset's folder all files are looked at, of others those in the labs' folders.

    Parameters
    ----------
    remote
        Whether buckets are listed as well.
    """
    keys = {key.rstrip("/") for key in named}
    labs = sorted({lab.folder for lab in config.profile.labs.values()})
    seen: set[str] = set()
    for root in config.sources().roots:
        folder = root.path("")
        if folder is None and not remote:
            continue
        own = config.root.resolve()
        is_own = folder is not None and own in folder.resolve().parents
        for start in ["."] if is_own else labs:
            for found in root.files(start) if root.holds(start) else ():
                key = found.removeprefix("./")
                parts = key.split("/")
                above = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
                if key not in seen and not any(part.startswith(".") for part in parts) and keys.isdisjoint(above):
                    seen.add(key)
                    yield key


def check_unnamed_files(config: Config, read: Iterable[str]) -> list[Finding]:
    """Raw files where those of rows lie, and of the same sort, that no row names: one finding a lab and table.

    Parameters
    ----------
    read
        Keys of further files that plans read: what the header of a named file names.
    """
    named = list_named_keys(config)
    sorts = {(parts.object_type, PurePosixPath(key).suffix) for key in named if (parts := _parse_raw(key, config))}
    groups: dict[tuple[str, str], list[str]] = {}
    for key in list_unnamed_files(config, [*named, *read], remote=False):
        parts = _parse_raw(key, config)
        if parts and (parts.object_type, PurePosixPath(key).suffix) in sorts:
            groups.setdefault((parts.folder, parts.object_type), []).append(key)
    found = []
    for (folder, table), keys in groups.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        message = f"{keys[0]}{more}: raw {table} files of {folder} that no row names"
        found.append(finding("file.unnamed", message, table=table, file=keys[0]))
    return found


def _parse_raw(key: str, config: Config) -> ObjectKey | None:
    """The levels of a key that lies where raw data belongs."""
    parts = parse_object_key(key, config.profile)
    return parts if parts and parts.version == "raw" else None
