"""``export-tables``: the metadata tables again, from results and ``records.jsonl`` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..config import DEFAULT_PROFILE, FILE, Config, find_dataset, load_config
from ..model.finding import Finding, Problem, finding, problem
from ..model.plan import SourceRow
from ..model.profile import Profile, TableSpec, load_profile
from ..model.provenance import Provenance
from ..model.report import Outcome, Report
from ..planning.records import NAME, Records, RowText, digest_carried_rows, parse_records, raw_rows, row_text
from ..publishing.selection import load_parts
from ..release import OpenRelease, is_release, open_release
from ..results import KINDS, find_kind_by_suffix
from ..storage.state import write_atomic
from ..tables import FIXES, read_tables
from ..tables.canonical import format_canonical_csv
from ..tables.fixes import FixLine, format_fixes


@dataclass(slots=True)
class Gathered:
    """All rows of an output folder or a release, and what was wrong with it."""

    profile: str = DEFAULT_PROFILE
    tables: Mapping[str, TableSpec] = field(default_factory=dict)
    rows: list[SourceRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    results: int = 0


def export_source(source: str, to: Path, release: str | None = None, endpoint: str | None = None) -> Report:
    """Rebuild the tables from a dataset's output, an output folder, or a release (folder or S3)."""
    gathered = gather_rows(source, release, endpoint)
    folder = find_dataset(Path(source)) if "://" not in source else None
    counts = export_tables(gathered, to, folder)
    outcomes = [Outcome(f"{table}.csv", "written", f"{n} row{'s' if n != 1 else ''}") for table, n in counts.items()]
    return Report.of("export-tables", outcomes, gathered.findings)


def gather_rows(source: str, number: str | None = None, endpoint: str | None = None) -> Gathered:
    """All rows that a dataset, an output folder or a release carries.

    Raises
    ------
    Problem
        ``export.nothing``: the source is none of these.
    """
    folder = Path(source)
    config = None
    if (folder / FILE).is_file():
        config = load_config(folder)
        folder = config.output
    if (folder / NAME).is_file() and not (folder / "releases").is_dir():
        return _from_output(folder, config)
    if "://" in source or is_release(source, endpoint):
        return _from_release(source, number, endpoint)
    raise problem(
        "export.nothing", f"{source} is no dataset, no output folder with a {NAME}, and no release", file=source
    )


def _from_output(folder: Path, config: Config | None) -> Gathered:
    records = parse_records((folder / NAME).read_bytes(), str(folder / NAME))

    def read(path: str) -> Provenance:
        kind = find_kind_by_suffix(path)
        if kind is None:
            raise problem("result.none", f"{path} is called like no result", file=path)
        return kind.load().read_provenance(config.locate_result(kind.name, path) if config else folder / path)

    return _gather_carried(records, read)


def _from_release(url: str, number: str | None, endpoint: str | None) -> Gathered:
    """The rows of all labs' parts; each result must carry rows that stand there."""
    with open_release(url, number, endpoint) as release:
        found = Gathered()
        for part in load_parts(release).values():
            found.profile = part.settings["profile"]["name"]
            for name, table in part.tables.items():
                known = found.tables.get(name, table.spec)
                found.tables = {**found.tables, name: replace(known, name=name)}
                found.rows += table.rows
        there = {row_text(row) for row in found.rows}
        for name, entry in release.release.assets.items():
            if entry.kind in KINDS:
                try:
                    made = KINDS[entry.kind].load().stream_provenance(partial(_open, release, name), Path(name))
                except Problem as bad:
                    found.findings.append(bad.finding.at(file=name))
                    continue
                found.results += 1
                if any(row_text(row) not in there for row in made.records):
                    message = f"{name} carries other rows than the tables of the release"
                    found.findings.append(finding("export.differs", message, file=name))
    return found


def _open(release: OpenRelease, name: str, member: str) -> BinaryIO:
    """One file of a released result, piece by piece where it is a file by itself. Raises `FileNotFoundError`."""
    if member and all(one.path != member for one in release.list_files(name)):
        raise FileNotFoundError(f"{name} of the release has no {member}")
    return release.stream(name, member) if member else release.open(name)


def _gather_carried(records: Records, read: Callable[[str], Provenance]) -> Gathered:
    found = Gathered(records.profile, records.tables)
    carried: dict[RowText, SourceRow] = {}
    for path, digest in records.results.items():
        try:
            made = read(path)
        except Problem as bad:
            found.findings.append(bad.finding.at(file=path))
            continue
        if digest_carried_rows(made.records) != digest:
            message = f"{path} carries other rows than {NAME} says"
            found.findings.append(finding("export.differs", message, file=path))
        found.results += 1
        carried |= {row_text(row): row for row in made.records}
    found.rows = [*carried.values(), *records.rows]
    return found


def export_tables(found: Gathered, to: Path, folder: Path | None = None) -> Mapping[str, int]:
    """Write ``<table>.csv`` for every table, in canonical form.

    Parameters
    ----------
    folder
        The dataset of the source, if there is one: its tables are not overwritten, and its own
        profile serves where the output does not describe its tables.

    Returns
    -------
    mapping
        Table -> number of rows.

    Raises
    ------
    Problem
        ``export.over_tables``: the folder is a dataset's ``tables/``, whose private cells would be lost;
        ``export.profile``: the tables are not known.
    """
    for dataset in (find_dataset(to), folder):
        sources = load_config(dataset).tables.parts if dataset else ()
        if to.resolve() in (Path(source.location).resolve() for source in sources):
            raise problem("export.over_tables", f"{to} holds the tables of a dataset", file=str(to))
    counts = {}
    specs = found.tables or _find_profile(found, folder).tables
    for name, spec in specs.items():
        rows = [row for row in found.rows if row.table == name]
        write_atomic(to / f"{name}.csv", format_canonical_csv(spec, rows))
        counts[name] = len(rows)
    if fixes := list(_list_fixes(found.rows, specs)):
        write_atomic(to / FIXES, format_fixes(fixes))
    return counts


def _list_fixes(rows: Iterable[SourceRow], specs: Mapping[str, TableSpec]) -> Iterator[FixLine]:
    """The signed fixes that the rows carry."""
    for row in rows:
        key = row.cells[specs[row.table].key] if row.fixes else ""
        for column, fix in row.fixes.items():
            yield FixLine("", row.table, key, "", column, fix.original, fix.text, fix.reason, "", fix.person)


def canonical_tables(folder: Path, profile: Profile) -> Iterator[tuple[str, str]]:
    """Canonical form of the tables in a folder, to compare an export with."""
    for name, parts in read_tables(folder, profile).items():
        if parts[0].present:
            rows = [row for table in parts for row in raw_rows(table)]
            yield name, format_canonical_csv(parts[0].spec, rows)


def _find_profile(found: Gathered, folder: Path | None) -> Profile:
    """The profile that the rows were typed for."""
    try:
        return load_profile(found.profile, folder)
    except FileNotFoundError:
        message = f"the tables belong to profile {found.profile!r}, which is not here"
        raise problem("export.profile", message, value=found.profile) from None
